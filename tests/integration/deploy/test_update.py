"""An update from the signed package to its proof or its end: real packages, signatures and launcher."""

from __future__ import annotations

import json
import os
import shutil
import signal
import subprocess
import sys
import sysconfig
from collections.abc import Callable, Iterator
from dataclasses import dataclass, field, replace
from pathlib import Path
from typing import Any

import msgspec
import pytest

from edge_agent.launcher import LOOK_S, MEMORY, NOTE, PROOF, look
from edge_agent.outbox_file import look as look_at_outbox
from edge_agent.package import Manifest, PackageError, architecture
from edge_agent.trial import TRIAL_S
from edge_agent.update import Places, back, standing, update
from tests.harness.box import AREA, GATEWAY, ROOT, Box
from tests.harness.broker import Broker
from tests.harness.centre import centre
from tests.harness.programs import require_program
from tests.harness.wait import eventually, eventually_now
from wire.messages import EventKind

OLD, NEW = "0.1.0", "0.2.0"
_LAUNCH = """
import sys
from pathlib import Path
from edge_agent.launcher import main
sys.exit(main(sys.argv[2:], Path(sys.argv[1])))
"""

# Versions of the agent that only say that they run, and how they end.
_HEAD = "import os, pathlib, signal, sys\nif sys.argv[1] == 'check-config':\n    sys.exit(0)\n"
_SAY = """
with pathlib.Path(os.environ["STATE_DIRECTORY"], "ran").open("a") as told:
    told.write(pathlib.Path(__file__).parent.name + "\\n")
"""
RUNS = _HEAD + _SAY + "signal.pause()\n"
CRASHES = _HEAD + _SAY + "raise RuntimeError('this version is broken')\n"
REFUSES = "import sys\nsys.exit('edge.toml: mqtt.port: this version wants a port')\n"
# The agent of this source tree as a version.
REAL = (
    f"import sys\nsys.path[:0] = [{str(ROOT)!r}, {sysconfig.get_path('purelib')!r}]\n"
    "from edge_agent.__main__ import main\nsys.exit(main())\n"
)


@dataclass
class Gateway:
    """A box with version 0.1.0, its key, and somebody who builds packages."""

    folder: Path
    places: Places
    restarts: int = 0
    processes: list[subprocess.Popen[bytes]] = field(default_factory=list)

    def restart(self) -> str | None:
        self.restarts += 1
        return None

    def package(self, program: str, **said: str) -> Path:
        """A signed package whose version is this program; `said` changes its manifest."""
        manifest = {
            "product": "smokewatch-edge", "version": NEW, "architecture": architecture(),
            "python": f"{sys.version_info[0]}.{sys.version_info[1]}", "from": OLD, **said,
        }  # fmt: skip
        tree = self.folder / "tree"
        version = tree / "opt" / "smokewatch" / "versions" / NEW
        version.mkdir(parents=True)
        (version / "__main__.py").write_text(program)
        (version / "manifest.json").write_text(json.dumps(manifest))
        (tree / "usr").mkdir()
        (tree / "usr" / "elsewhere").write_text("for dpkg, not for us")
        (tree / "DEBIAN").mkdir()
        (tree / "DEBIAN" / "control").write_text(
            "Package: smokewatch-edge\nVersion: 0.2.0\nArchitecture: all\nMaintainer: us\nDescription: x\n"
        )
        package = self.folder / "smokewatch-edge_0.2.0.deb"
        subprocess.run(["dpkg-deb", "--build", tree, package], check=True, capture_output=True)
        shutil.rmtree(tree)
        self.sign(package, "update.key")
        return package

    def sign(self, package: Path, key: str) -> None:
        signature = f"{package}.sig"
        signing = ["openssl", "pkeyutl", "-sign", "-rawin", "-inkey", self.folder / key, "-in", package]
        subprocess.run([*signing, "-out", signature], check=True)

    def update(self, package: Path) -> list[str]:
        return update(package, Path(f"{package}.sig"), self.places, self.restart)

    def start(self) -> subprocess.Popen[bytes]:
        """What systemd does."""
        log = (self.folder / "log").open("ab")
        process = subprocess.Popen(
            [sys.executable, "-c", _LAUNCH, self.places.root, "run", self.places.config],
            cwd=ROOT,
            env={**os.environ, "STATE_DIRECTORY": str(self.places.state)},
            stderr=subprocess.STDOUT,
            stdout=log,
        )
        log.close()
        self.processes.append(process)
        return process

    def ran(self) -> list[str]:
        """Each start's version."""
        told = self.places.state / "ran"
        return told.read_text().split() if told.exists() else []

    def start_and_see(self, starts: int) -> str:
        """Start it; the version that has said that it runs, as the start of this number."""
        self.start()
        eventually_now(lambda: len(self.ran()) >= starts, what=f"start {starts}")
        return self.ran()[-1]

    def log(self) -> str:
        return (self.folder / "log").read_text()

    def memory(self) -> dict[str, object]:
        return json.loads((self.places.state / MEMORY).read_text())

    def end(self) -> None:
        process = self.processes[-1]
        process.send_signal(signal.SIGTERM)
        process.wait(10)


@pytest.fixture
def gateway(tmp_path: Path) -> Iterator[Gateway]:
    require_program("dpkg-deb", "dpkg")
    require_program("openssl", "openssl")
    root, state = tmp_path / "opt", tmp_path / "state"
    old = root / "versions" / OLD
    old.mkdir(parents=True)
    state.mkdir()
    (old / "__main__.py").write_text(RUNS)
    (root / "wanted.json").write_text(f'{{"version": "{OLD}"}}')
    (tmp_path / "edge.toml").write_text("")
    for name in ("update", "other"):
        key = tmp_path / f"{name}.key"
        subprocess.run(["openssl", "genpkey", "-algorithm", "ed25519", "-out", key], check=True)
        public = tmp_path / f"{name}.pub"
        subprocess.run(["openssl", "pkey", "-in", key, "-pubout", "-out", public], check=True)
    box = Gateway(tmp_path, Places(root, state, tmp_path / "update.pub", tmp_path / "edge.toml"))
    yield box
    for process in box.processes:
        if process.poll() is None:
            process.kill()
            process.wait(10)


def _refused(gateway: Gateway, package: Path) -> str:
    """Refused with these words, and the box is as it was."""
    before = sorted(str(path) for path in gateway.places.root.rglob("*"))
    with pytest.raises(PackageError) as refusal:
        gateway.update(package)
    assert sorted(str(path) for path in gateway.places.root.rglob("*")) == before
    assert gateway.restarts == 0
    assert standing(gateway.places) == [f"version {OLD}"]
    return str(refusal.value)


def test_an_update_for_another_box_is_refused(gateway: Gateway) -> None:
    """Signed, whole, and made for other hardware."""
    other = "arm64" if architecture() != "arm64" else "amd64"
    assert f"it is for {other}" in _refused(gateway, gateway.package(RUNS, architecture=other))
    assert "not smokewatch-edge" in _refused(gateway, gateway.package(RUNS, product="smokewatch-central"))


def test_a_truncated_update_is_refused(gateway: Gateway) -> None:
    """The line broke while it was fetched; also when somebody signed the torn piece."""
    package = gateway.package(RUNS)
    whole = package.read_bytes()
    for kept in (0, 1, len(whole) // 2, len(whole) - 1):
        package.write_bytes(whole[:kept])
        assert "signature does not fit" in _refused(gateway, package)
    for kept in (1, len(whole) // 2, len(whole) - 100):
        package.write_bytes(whole[:kept])
        gateway.sign(package, "update.key")
        assert "fetch it again" in _refused(gateway, package)


def test_a_package_that_we_did_not_sign_is_refused(gateway: Gateway) -> None:
    """Another key, one changed byte, no signature, half a signature, no key on the box."""
    package = gateway.package(RUNS)
    signature = Path(f"{package}.sig")
    right, whole = signature.read_bytes(), package.read_bytes()
    gateway.sign(package, "other.key")
    assert "not from us" in _refused(gateway, package)
    signature.write_bytes(right)
    package.write_bytes(whole[:-1] + bytes([whole[-1] ^ 1]))
    assert "not from us" in _refused(gateway, package)
    package.write_bytes(whole)
    signature.write_bytes(right[:40])
    assert "not a signature" in _refused(gateway, package)
    signature.unlink()
    assert "beside it, its signature" in _refused(gateway, package)
    signature.write_bytes(right)
    gateway.places.key.unlink()
    assert "put the public key there" in _refused(gateway, package)


def test_a_package_that_says_other_than_it_holds_is_refused(gateway: Gateway) -> None:
    """A manifest that names another version, or none at all."""
    assert "says '0.3.0'" in _refused(gateway, gateway.package(RUNS, version="0.3.0"))
    package = gateway.folder / "other.deb"
    package.write_bytes(b"not a package at all")
    gateway.sign(package, "update.key")
    assert "fetch it again" in _refused(gateway, package)


def test_a_version_that_cannot_read_this_boxs_settings_is_refused(gateway: Gateway) -> None:
    """Better now than at three in the morning."""
    assert "this version wants a port" in _refused(gateway, gateway.package(REFUSES))


def test_a_version_that_crashes_at_start_is_left_by_itself(gateway: Gateway) -> None:
    """Three starts, then the old one runs again, and the record will say why."""
    told = gateway.update(gateway.package(CRASHES))
    assert gateway.restarts == 1
    assert f"{NEW} is on trial" in told[0]
    assert standing(gateway.places) == [f"version {NEW} on trial", f"also installed: {OLD}"]
    for _ in range(3):
        assert gateway.start().wait(10) == 1
    assert gateway.start_and_see(4) == OLD
    assert gateway.ran() == [NEW, NEW, NEW, OLD]
    assert "went back to 0.1.0: started 3 times" in (gateway.places.state / NOTE).read_text()
    assert standing(gateway.places)[0] == f"version {OLD}"
    # And it stays so, until the same version is brought once more.
    gateway.end()
    assert gateway.start_and_see(5) == OLD
    gateway.update(gateway.package(RUNS))
    gateway.end()
    assert gateway.start_and_see(6) == NEW


def test_a_version_that_is_never_acknowledged_is_left_after_ten_minutes(gateway: Gateway) -> None:
    """It runs, but the centre hears nothing of it: ended from outside, and the next start is the old one."""
    gateway.update(gateway.package(RUNS))
    assert gateway.start_and_see(1) == NEW
    with pytest.raises(PackageError, match="still on trial"):
        gateway.update(gateway.package(RUNS, version=NEW))
    gateway.end()
    eventually_now(lambda: gateway.memory()["spent_s"], 5, "the watcher has noted the time")
    kept = gateway.memory()
    assert kept["starts"] == 1
    # Ten minutes, less one second, of running have passed.
    (gateway.places.state / MEMORY).write_text(json.dumps({**kept, "spent_s": TRIAL_S - 1}))
    assert gateway.start_and_see(2) == NEW
    assert gateway.processes[-1].wait(10) == -signal.SIGTERM
    assert gateway.start_and_see(3) == OLD
    assert "not acknowledged by the centre within 10 min" in (gateway.places.state / NOTE).read_text()


def test_time_on_trial_is_kept_over_a_crash(gateway: Gateway) -> None:
    """What ran for a while and died has used up that while."""
    gateway.update(gateway.package(RUNS))
    gateway.start_and_see(1)
    os.kill(gateway.processes[-1].pid, signal.SIGKILL)
    eventually_now(lambda: gateway.memory()["spent_s"], 5, "the watcher has noted the time")
    spent = gateway.memory()["spent_s"]
    assert isinstance(spent, float)
    assert 0 < spent < LOOK_S


def test_a_trial_that_cannot_be_counted_is_not_begun(gateway: Gateway) -> None:
    """The card is read-only: a version that might crash for ever is not started on it."""
    gateway.update(gateway.package(CRASHES))
    (gateway.places.state / MEMORY).mkdir()
    assert gateway.start_and_see(1) == OLD


@pytest.mark.parametrize(
    "rubbish", [b"", b"\xff\x00", b"[]", b"{", b'{"version": 5}', b"[" * 4000, b'{"starts": 1e999}']
)
def test_spoilt_files_of_the_launcher_leave_something_running(gateway: Gateway, rubbish: bytes) -> None:
    """Whatever a dying card made of them."""
    for file in (
        gateway.places.root / "wanted.json",
        gateway.places.state / MEMORY,
        gateway.places.state / PROOF,
    ):
        file.write_bytes(rubbish)
    assert gateway.start_and_see(1) == OLD


class PowerCut(BaseException):
    """Nothing after it happens, no cleaning up either."""


@pytest.mark.parametrize("step", range(1, 9))
def test_an_update_cut_off_at_any_step_leaves_a_version_that_runs(
    gateway: Gateway, monkeypatch: pytest.MonkeyPatch, step: int
) -> None:
    """Power fails before the n-th step: the box starts something whole, and takes the update again."""
    package = gateway.package(RUNS)
    calls = 0

    def before(real: Callable[..., Any]) -> Callable[..., Any]:
        def cut(*arguments: Any, **named: Any) -> Any:
            nonlocal calls
            calls += 1
            if calls >= step:
                raise PowerCut
            return real(*arguments, **named)

        return cut

    with monkeypatch.context() as patched:
        for place, name in ((os, "sync"), (os, "fsync"), (os, "write"), (Path, "rename"), (Path, "replace")):
            patched.setattr(place, name, before(getattr(place, name)))
        patched.setattr(shutil, "rmtree", before(shutil.rmtree))
        patched.setattr(gateway, "restart", before(gateway.restart))
        with pytest.raises(PowerCut):
            gateway.update(package)
    assert calls >= step
    status = standing(gateway.places)[0]
    assert status in (f"version {OLD}", f"version {NEW} on trial")
    assert gateway.start_and_see(1) == (NEW if "trial" in status else OLD)
    if "trial" in status:
        back(gateway.places, gateway.restart)
    gateway.update(package)
    gateway.end()
    assert gateway.start_and_see(2) == NEW


def test_what_the_agents_user_lays_into_its_folder_holds_nobody(gateway: Gateway) -> None:
    """Root reads and writes there: a pipe without a writer, a link to another file."""
    victim = gateway.folder / "victim"
    victim.write_text("untouched")
    os.mkfifo(gateway.places.state / PROOF)
    (gateway.places.state / MEMORY).symlink_to(victim)
    (gateway.places.state / f"{MEMORY}.new").symlink_to(victim)
    gateway.update(gateway.package(RUNS))
    assert gateway.start_and_see(1) == NEW
    assert victim.read_text() == "untouched"


def test_a_person_can_go_back(gateway: Gateway) -> None:
    """Also from a proven version; there is no second step back."""
    gateway.update(gateway.package(RUNS))
    assert back(gateway.places, gateway.restart) == [f"back at {OLD}"]
    assert gateway.start_and_see(1) == OLD
    with pytest.raises(PackageError, match="no version before this one"):
        back(gateway.places, gateway.restart)


async def test_an_acknowledged_version_stays(gateway: Gateway, tmp_path: Path, broker: Broker) -> None:
    """The real agent, a real broker, a centre that answers late: proof then only; the old one stays."""
    folder = tmp_path / "box"
    folder.mkdir()
    box = Box(folder, {"host": broker.host, "port": broker.port}, [1])
    gateway.places = replace(gateway.places, config=box.config)
    gateway.update(gateway.package(REAL))
    found = look(gateway.places.root, gateway.places.state)
    assert found.wanted is not None
    async with centre(broker.host, broker.port, AREA, GATEWAY) as far:
        far.answering = False
        gateway.start()
        await eventually(lambda: far.status is not None and box.depth() > 1, 20, gateway.log())
        assert not (gateway.places.state / PROOF).exists()
        assert standing(gateway.places)[0] == f"version {NEW} on trial"
        far.answering = True
        proof = gateway.places.state / PROOF
        await eventually(lambda: proof.exists() and proof.read_text().strip(), 20)
        assert proof.read_text().strip() == found.wanted.attempt
        notes = [str(event.text) for event in far.of_kind(EventKind.NOTE)]
        assert any("is on trial" in note for note in notes)
        await eventually(lambda: look_at_outbox(box.outbox).depth == 0, 10)
    gateway.end()
    assert standing(gateway.places) == [f"version {NEW}", f"also installed: {OLD}"]
    box.close()


def test_a_manifest_as_the_package_writes_it_is_what_the_agent_reads() -> None:
    """The builder and the reader agree on the names."""
    told = msgspec.json.encode(Manifest("smokewatch-edge", NEW, "arm64", "3.11", OLD))
    assert json.loads(told)["from"] == OLD
