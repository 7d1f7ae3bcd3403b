"""The whole system as processes on one machine: set-up, start in order, kill and restart by name, stop.

The demo and the promise tests run on this. It knows the programs only by their command lines and files.
"""

from __future__ import annotations

import csv
import json
import secrets
import subprocess
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any
from urllib.error import URLError
from urllib.request import urlopen

from simulator.demo.street import AREA, BAUD, Street, lay_out, serial_number
from simulator.parts import PartError
from simulator.parts.child import Child

CENTRAL_ROLES = ("api", "ingest", "worker", "jobs")


@dataclass(frozen=True, slots=True)
class Site:
    """Where a system lives and what it talks to."""

    folder: Path
    dsn: str
    broker_host: str
    broker_port: int
    http_port: int
    phone_url: str
    secret: str
    delay_ms: float = 20.0
    detectors_each: int | None = None
    """How many detectors each gateway gets; None: all 30."""
    gateways: int = 4
    apart: bool = False
    """Whether the centre's roles run as processes of their own."""

    @property
    def url(self) -> str:
        """The centre's address."""
        return f"http://127.0.0.1:{self.http_port}"

    @property
    def control(self) -> Path:
        """The simulator's control socket."""
        return self.folder / "run" / "sim.sock"

    @property
    def config(self) -> Path:
        """The centre's configuration file."""
        return self.folder / "central.toml"

    def gateway_ids(self) -> tuple[str, ...]:
        """`gw-1` and so on."""
        return tuple(f"gw-{n + 1}" for n in range(self.gateways))

    def line(self, gateway: str) -> Path:
        """The device path of a gateway's bus."""
        return self.folder / "run" / f"{gateway}-riser-1"


@dataclass(slots=True)
class System:
    """The processes of one site. Names: `simulator`, `central` (or its four roles), and each gateway's id."""

    site: Site
    street: Street
    children: dict[str, Child] = field(default_factory=dict)

    def prepare(self) -> None:
        """Write the configuration, migrate the database and import the registry. Safe to repeat."""
        site = self.site
        for name in ("run", "log", "registry"):
            (site.folder / name).mkdir(parents=True, exist_ok=True)
        (site.folder / "webhook.secret").write_text(site.secret)
        (site.folder / "webhook.secret").chmod(0o600)
        site.config.write_text(_central_toml(site))
        (site.folder / "street.toml").write_text(_street_toml(site, self.street))
        for gateway in self.street.gateways:
            (site.folder / f"{gateway}.toml").write_text(_edge_toml(site, gateway))
        for kind, rows in self.street.files.items():
            with (site.folder / "registry" / f"{kind}.csv").open("w", encoding="utf-8", newline="") as file:
                writer = csv.DictWriter(file, list(rows[0]))
                writer.writeheader()
                writer.writerows(rows)
        _run("central", "migrate", "--config", str(site.config))
        _run("central", "import", "--config", str(site.config), str(site.folder / "registry"))

    def admin(self, *words: str) -> str:
        """Run one `admin` command of the centre to its end; returns what it printed. Raises PartError."""
        return _run("central", "admin", *words, "--config", str(self.site.config))

    def start(self, *names: str) -> None:
        """Start the named processes, or all, each ready before the next."""
        for name in names or self.names():
            child = self.children.get(name)
            if child is None:
                child = self.children[name] = Child(name, self.site.folder / "log" / f"{name}.log")
            child.start(self._command(name), lambda _pid, name=name: self._ready(name), timeout_s=60)  # type: ignore[misc]

    def stop(self) -> None:
        """Stop all, the agents first."""
        for name in reversed(list(self.children)):
            self.children[name].stop(timeout_s=10)

    def kill9(self, name: str) -> None:
        """Kill one where it stands."""
        self.children[name].kill9()

    def names(self) -> tuple[str, ...]:
        """All processes in the order of their start."""
        centre = CENTRAL_ROLES if self.site.apart else ("central",)
        return ("simulator", *centre, *self.street.gateways)

    def _command(self, name: str) -> list[str]:
        folder = self.site.folder
        if name == "simulator":
            return [
                sys.executable,
                "-m",
                "simulator",
                "bus",
                str(folder / "street.toml"),
                "--control",
                str(self.site.control),
            ]
        if name in self.street.gateways:
            return [sys.executable, "-m", "edge_agent", "run", str(folder / f"{name}.toml")]
        role = "serve" if name == "central" else name
        return [sys.executable, "-m", "central", role, str(self.site.config)]

    def _ready(self, name: str) -> bool:
        if name == "simulator":
            return self.site.control.exists() and all(
                self.site.line(g).exists() for g in self.street.gateways
            )
        if name in ("central", "api"):
            path = "/readyz" if name == "central" else "/healthz"
            try:
                with urlopen(self.site.url + path, timeout=2) as answer:  # noqa: S310 -- our own loopback address
                    return bool(answer.status == 200)
            except (URLError, OSError):
                return False
        return True

    def outbox(self, gateway: str) -> dict[str, Any]:
        """What the agent's own file says: stream, highest sequence number ever recorded, depth."""
        shown: dict[str, Any] = json.loads(
            _run("edge_agent", "outbox", str(self.site.folder / f"{gateway}.toml"), "--json")
        )
        return shown


def build(site: Site) -> System:
    """The system of a site, nothing started."""
    street = lay_out(
        {gateway: str(site.line(gateway)) for gateway in site.gateway_ids()}, site.detectors_each
    )
    return System(site, street)


def new_secret() -> str:
    """A secret for the webhook of one site."""
    return secrets.token_hex(16)


def wait_until(done: Callable[[], bool], timeout_s: float) -> bool:
    """Whether `done()` became true in time, looking ten times a second."""
    for _ in range(int(timeout_s * 10)):
        if done():
            return True
        time.sleep(0.1)
    return done()


def _run(package: str, *arguments: str) -> str:
    result = subprocess.run(
        [sys.executable, "-m", package, *arguments], capture_output=True, text=True, timeout=120, check=False
    )
    if result.returncode != 0:
        raise PartError(
            f"{package} {arguments[0]} ended with {result.returncode}:\n"
            f"{result.stdout[-2000:]}{result.stderr[-4000:]}"
        )
    return result.stdout


def _central_toml(site: Site) -> str:
    return f"""\
[database]
dsn = "{site.dsn}"

[broker]
host = "{site.broker_host}"
port = {site.broker_port}

[http]
host = "127.0.0.1"
port = {site.http_port}
public_url = "{site.url}"

[channels.webhook]
url = "{site.phone_url}/messages"
secret_file = "{site.folder / "webhook.secret"}"
timeout_s = 5.0
"""


def _edge_toml(site: Site, gateway: str) -> str:
    return f"""\
area = "{AREA}"
gateway = "{gateway}"
state_dir = "state/{gateway}"
clock = "trusted"

[mqtt]
host = "{site.broker_host}"
port = {site.broker_port}
"""


def _street_toml(site: Site, street: Street) -> str:
    lines = []
    for gateway, detectors in street.detectors.items():
        lines += [
            "[[bus]]",
            f'id = "{gateway}-riser-1"',
            'transport = "pty"',
            f'link = "{site.line(gateway)}"',
            f"baud = {BAUD}",
            f"delay_ms = {site.delay_ms}",
            "",
        ]
        for detector, unit in detectors:
            lines += [
                "[[bus.detector]]",
                f'id = "{detector}"',
                f"unit = {unit}",
                'profile = "smokewatch-reference"',
                f"seed = {int(detector[2:])}",
                f"serial_number = {serial_number(detector)}",
                "",
            ]
    return "\n".join(lines)
