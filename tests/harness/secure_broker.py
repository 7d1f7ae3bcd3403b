"""A real Mosquitto with the files of `deploy/mosquitto`: TLS, certificates of our own, access list."""

from __future__ import annotations

import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from simulator.parts import free_port
from simulator.parts.child import Child
from simulator.parts.ports import is_free
from tests.harness.programs import require_program

DEPLOY = Path(__file__).parents[2] / "deploy" / "mosquitto"
HOST = "127.0.0.1"
CENTRE = "central"


@dataclass(frozen=True)
class SecureBroker:
    """It runs; `certificates` holds the authority's, the server's and every client's files."""

    port: int
    certificates: Path

    @property
    def ca(self) -> Path:
        """The authority."""
        return self.certificates / "ca.crt"

    def pair(self, name: str) -> tuple[Path, Path]:
        """Certificate and key of `central` or of an AREA/GATEWAY."""
        file = self.certificates / name.replace("/", "_")
        return file.with_name(f"{file.name}.crt"), file.with_name(f"{file.name}.key")


def make_certificate(folder: Path, *what: str) -> None:
    """Have the shipped script make one: `broker HOST`, `central` or AREA/GATEWAY."""
    subprocess.run([DEPLOY / "make-certificates", folder, *what], check=True, capture_output=True)


@contextmanager
def running_secure_broker(*gateways: str) -> Iterator[SecureBroker]:
    """Mosquitto on the shipped files for the length of a block; only paths and port are put in place."""
    mosquitto = require_program("mosquitto", "mosquitto")
    require_program("openssl", "openssl")
    with tempfile.TemporaryDirectory(prefix="smokewatch-test-tls-", ignore_cleanup_errors=True) as name:
        folder = Path(name)
        for what in (["broker", HOST], [CENTRE], *([gateway] for gateway in gateways)):
            make_certificate(folder, *what)
        port = free_port()
        config = (DEPLOY / "smokewatch.conf").read_text() + (DEPLOY / "limits.conf").read_text()
        config = (
            config.replace("listener 8883", f"listener {port} {HOST}")
            .replace("/etc/mosquitto/certs", str(folder))
            .replace("/etc/mosquitto/smokewatch.acl", str(DEPLOY / "smokewatch.acl"))
        )
        (folder / "mosquitto.conf").write_text(f"{config}user root\npersistence_location {folder}/\n")
        child = Child("Mosquitto", folder / "log")
        child.start([mosquitto, "-c", str(folder / "mosquitto.conf")], lambda _pid: not is_free(port))
        try:
            yield SecureBroker(port, folder)
        finally:
            child.kill9()
