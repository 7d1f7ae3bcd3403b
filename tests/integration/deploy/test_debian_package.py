"""The Debian package of the agent: built, installed in a Debian 12 root, run there, updated, removed.

Run by `make package` and by CI: building fetches the libraries, and the root is large.
"""

from __future__ import annotations

import ctypes
import grp
import json
import os
import shutil
import signal
import subprocess
import sys
from collections.abc import Iterator
from importlib.metadata import version
from pathlib import Path

import pytest

from tests.harness.box import AREA, GATEWAY, ROOT, SMOKE, Box
from tests.harness.broker import Broker
from tests.harness.centre import centre
from tests.harness.programs import lacking
from tests.harness.wait import eventually
from wire.messages import Condition, EventKind

pytestmark = pytest.mark.package

DEBIAN = Path(os.environ.get("SMOKEWATCH_DEBIAN_ROOT", "/var/cache/smokewatch/bookworm"))
CONFIG = "/etc/smokewatch/edge.toml"
_PR_SET_MDWE, _REFUSE_EXEC_GAIN = 65, 1


def _build(out: Path, *options: str) -> Path:
    builder = [sys.executable, ROOT / "tools" / "deb.py", "--out", out, *options]
    said = subprocess.run(builder, check=True, capture_output=True, text=True).stdout
    return Path(said.splitlines()[-1])


@pytest.fixture(scope="module")
def package(tmp_path_factory: pytest.TempPathFactory) -> Path:
    """The package for this machine."""
    return _build(tmp_path_factory.mktemp("built"))


class Debian:
    """A Debian root of our own to install into."""

    def __init__(self, folder: Path) -> None:
        self.folder = folder

    def run(self, *command: str, code: int = 0) -> str:
        """What a command in it says; it must end with `code`."""
        run = subprocess.run(self._inside([], command), capture_output=True, text=True)
        assert run.returncode == code, run.stdout + run.stderr
        return run.stdout + run.stderr

    def as_service(self, *command: str) -> list[str]:
        """The command line that starts it with the rights of the unit: no user of note, two groups."""
        return self._inside(["--userspec=nobody:nogroup", "--groups=smokewatch,dialout"], command)

    def put(self, file: Path, at: str = "/root") -> str:
        """Bring a file along; its path inside."""
        shutil.copy(file, self.folder / at.lstrip("/") / file.name)
        return f"{at}/{file.name}"

    def __truediv__(self, name: str) -> Path:
        return self.folder / name.lstrip("/")

    def _inside(self, options: list[str], command: tuple[str, ...]) -> list[str]:
        # The mounts are seen by these processes only and go with them.
        mounts = 'mount --rbind /dev "$0/dev" && mount -t proc proc "$0/proc" && exec chroot "$@"'
        return [
            "unshare",
            "--mount",
            "sh",
            "-c",
            mounts,
            str(self.folder),
            *options,
            str(self.folder),
            *command,
        ]


@pytest.fixture
def debian(tmp_path: Path, package: Path) -> Iterator[Debian]:
    """A fresh root with the package installed and nothing else done."""
    if not (DEBIAN / "usr/bin/python3").exists():
        lacking(f"no Debian under {DEBIAN}: tools/debian-root bookworm {DEBIAN} python3 openssl")
    folder, changes, work = (tmp_path / name for name in ("debian", "changes", "work"))
    for place in (folder, changes, work):
        place.mkdir()
    layers = f"lowerdir={DEBIAN},upperdir={changes},workdir={work}"
    laid = subprocess.run(["mount", "-t", "overlay", "-o", layers, "none", folder]).returncode == 0
    if not laid:  # a container may itself lie on an overlay; then a copy, which takes longer
        subprocess.run(["cp", "-a", f"{DEBIAN}/.", folder], check=True)
    try:
        debian = Debian(folder)
        debian.run("dpkg", "-i", debian.put(package))
        yield debian
    finally:
        if laid:
            subprocess.run(["umount", folder], check=True)


def test_it_installs_without_a_network_and_answers(debian: Debian) -> None:
    """Commands, settings and what a technician finds; nothing is started before there are settings."""
    assert "smokewatch-edge run" in debian.run("smokewatch-edge", "--help")
    assert debian.run("smokewatch-edge", "update", "--status") == f"version {_version()}\n"
    settings = (debian / "etc/smokewatch").stat()
    assert settings.st_mode & 0o777 == 0o750
    assert "smokewatch:x:" in (debian / "etc/group").read_text()
    assert list((debian / "etc/smokewatch").iterdir()) == [debian / "etc/smokewatch/tls"]
    example = "/usr/share/doc/smokewatch-edge/examples/edge.toml"
    debian.run("cp", example, CONFIG)
    debian.run("sh", "-c", "echo 0123456789abcdef0123456789abcdef > /etc/machine-id")
    assert "2 detectors" in debian.run("smokewatch-edge", "check-config", CONFIG)
    assert "cannot be read" in debian.run("smokewatch-edge", "check-config", "/none", code=2)
    unit = (debian / "usr/lib/systemd/system/smokewatch-edge.service").read_text()
    assert unit == (ROOT / "systemd" / "smokewatch-edge.service").read_text()


async def test_the_installed_agent_watches_a_line(debian: Debian, tmp_path: Path, broker: Broker) -> None:
    """With the unit's rights only, memory never both writable and executable: smoke reaches the centre."""
    box = _configured(debian, tmp_path, broker)
    async with centre(broker.host, broker.port, AREA, GATEWAY) as far:
        with (tmp_path / "log").open("wb") as log:
            agent = subprocess.Popen(  # noqa: ASYNC220 -- started as systemd would, not awaited
                debian.as_service(
                    "env", "STATE_DIRECTORY=/var/lib/smokewatch", "smokewatch-edge", "run", CONFIG
                ),
                stdout=log,
                stderr=log,
                preexec_fn=_never_writable_and_executable,
            )
        said = (tmp_path / "log").read_text
        try:
            await eventually(lambda: far.of_kind(EventKind.SNAPSHOT), 20, "a snapshot")
            box.state[1] = SMOKE
            await eventually(
                lambda: any(e.condition is Condition.SMOKE for e in far.of_kind(EventKind.ASSERT, "det-1")),
                10,
            )
            assert far.status is not None
            assert far.status.version == _version()
        except AssertionError as error:
            raise AssertionError(f"{error}\n{said()}") from None
        finally:
            agent.send_signal(signal.SIGTERM)
            assert agent.wait(20) == 0, said()
    box.close()


def test_a_signed_update_goes_beside_the_installed_version(
    debian: Debian, package: Path, tmp_path: Path
) -> None:
    """With Debian's own Python, dpkg and openssl; the agent's real package."""
    newer = _renumbered(package, tmp_path, "9.0.0")
    for command in (
        ["genpkey", "-algorithm", "ed25519", "-out", tmp_path / "key"],
        ["pkey", "-in", tmp_path / "key", "-pubout", "-out", tmp_path / "update.pub"],
        ["pkeyutl", "-sign", "-rawin", "-inkey", tmp_path / "key", "-in", newer, "-out", f"{newer}.sig"],
    ):
        subprocess.run(["openssl", *command], check=True)
    inside = debian.put(newer)
    debian.put(Path(f"{newer}.sig"))
    assert "put the public key there" in debian.run("smokewatch-edge", "update", inside, code=1)
    debian.put(tmp_path / "update.pub", "/etc/smokewatch")
    assert "9.0.0 is on trial" in debian.run("smokewatch-edge", "update", inside)
    status = debian.run("smokewatch-edge", "update", "--status")
    assert status == f"version 9.0.0 on trial\nalso installed: {_version()}\n"
    assert debian.run("smokewatch-edge", "update", "--back").startswith(f"back at {_version()}")
    assert "smokewatch-edge run" in debian.run("smokewatch-edge", "--help")
    # Whoever installs a package by hand stands there: no trial, and the update's version is not in the way.
    debian.run("dpkg", "-i", f"/root/{package.name}")
    assert debian.run("smokewatch-edge", "update", "--status").startswith(f"version {_version()}\n")


def test_removal_leaves_settings_and_events_and_purging_takes_them(debian: Debian) -> None:
    """A package removed by mistake must not lose what the centre has not acknowledged."""
    (debian / CONFIG).write_text("x")
    (debian / "var/lib/smokewatch").mkdir()
    (debian / "var/lib/smokewatch/outbox.db").write_text("x")
    debian.run("dpkg", "--remove", "smokewatch-edge")
    assert not (debian / "opt/smokewatch").exists()
    assert not (debian / "usr/lib/smokewatch").exists()
    assert (debian / CONFIG).exists()
    assert (debian / "var/lib/smokewatch/outbox.db").exists()
    debian.run("dpkg", "--purge", "smokewatch-edge")
    assert not (debian / "etc/smokewatch").exists()
    assert not (debian / "var/lib/smokewatch").exists()


def test_purging_leaves_the_centre_on_the_same_machine_alone(debian: Debian) -> None:
    """Both programs keep their settings in one folder."""
    for name in ("edge.toml", "central.toml", "update.pub"):
        (debian / "etc/smokewatch" / name).write_text("x")
    debian.run("dpkg", "--purge", "smokewatch-edge")
    assert sorted(path.name for path in (debian / "etc/smokewatch").iterdir()) == ["central.toml", "tls"]


def test_the_same_sources_give_the_same_package(package: Path, tmp_path: Path) -> None:
    """Whoever doubts a package builds it again."""
    assert _build(tmp_path).read_bytes() == package.read_bytes()


@pytest.mark.parametrize(("arch", "machine"), [("amd64", 62), ("arm64", 183)])
def test_the_libraries_are_for_the_packages_machine(arch: str, machine: int, tmp_path: Path) -> None:
    """Built on this machine for another one: each library's ELF header says which."""
    package = _build(tmp_path, "--arch", arch)
    subprocess.run(["dpkg-deb", "-x", package, tmp_path / "tree"], check=True)
    libraries = list((tmp_path / "tree").rglob("*.so"))
    assert libraries
    assert {int.from_bytes(library.read_bytes()[18:20], "little") for library in libraries} == {machine}
    said = subprocess.run(
        ["dpkg-deb", "-f", package, "Architecture"], check=True, capture_output=True, text=True
    )
    assert said.stdout.strip() == arch
    held = tmp_path / "tree/opt/smokewatch/versions" / _version()
    assert json.loads((held / "manifest.json").read_text())["architecture"] == arch
    assert not (held / "central").exists()


def _version() -> str:
    return version("smokewatch")


def _configured(debian: Debian, tmp_path: Path, broker: Broker) -> Box:
    """Settings and a line whose port only group dialout may use, a state folder as systemd makes it."""
    folder = tmp_path / "box"
    folder.mkdir()
    box = Box(folder, {"host": broker.host, "port": broker.port}, [1])
    port = Path(box.slave.path).resolve()
    text = box.config.read_text().replace('"state"', '"/var/lib/smokewatch"')
    text = text.replace(box.slave.path, str(port))
    (debian / CONFIG).write_text(text)
    debian.put(folder / "machine-id", "/etc/smokewatch")
    debian.run("chgrp", "-R", "smokewatch", "/etc/smokewatch")
    debian.run("chmod", "640", CONFIG, "/etc/smokewatch/machine-id")
    os.chown(port, 0, grp.getgrnam("dialout").gr_gid)
    port.chmod(0o660)
    state = debian / "var/lib/smokewatch"
    state.mkdir(mode=0o700)
    os.chown(state, 65534, 65534)
    return box


def _never_writable_and_executable() -> None:
    """As MemoryDenyWriteExecute=yes; a kernel before 6.3 cannot, and then this is not tried."""
    ctypes.CDLL(None).prctl(_PR_SET_MDWE, _REFUSE_EXEC_GAIN, 0, 0, 0)


def _renumbered(package: Path, tmp_path: Path, number: str) -> Path:
    """The same package as another version."""
    tree = tmp_path / "renumbered"
    subprocess.run(["dpkg-deb", "-R", package, tree], check=True)
    versions = tree / "opt/smokewatch/versions"
    (versions / _version()).rename(versions / number)
    manifest = versions / number / "manifest.json"
    manifest.write_text(json.dumps({**json.loads(manifest.read_text()), "version": number}))
    newer = tmp_path / "newer.deb"
    subprocess.run(
        ["dpkg-deb", "--root-owner-group", "--build", tree, newer], check=True, capture_output=True
    )
    return newer
