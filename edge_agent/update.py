"""`smokewatch-edge update`: a signed package becomes the version that is tried next; run by root.

Law of this file: until the last step, which is one rename, the box runs what it ran; after it the launcher
decides what becomes of the trial. The version that runs now stays installed, beside the new one.
"""

from __future__ import annotations

import os
import shutil
import subprocess
import sys
import tempfile
import uuid
from collections.abc import Callable, Iterator
from contextlib import contextmanager, suppress
from dataclasses import dataclass
from pathlib import Path

from edge_agent.launcher import PYTHON_FLAGS, ROOT, STATE, Found, installed, look, write_wanted
from edge_agent.package import MOST_PACKED, Here, PackageError, architecture, refusals, unpack, verify
from edge_agent.trial import TRIAL_S, Wanted

KEY = Path("/etc/smokewatch/update.pub")
CONFIG = Path("/etc/smokewatch/edge.toml")
_UNIT = "smokewatch-edge.service"
_CHECK_WITHIN_S = 120.0


@dataclass(frozen=True, slots=True)
class Places:
    """Where an update finds what it needs."""

    root: Path = ROOT
    state: Path = STATE
    key: Path = KEY
    config: Path = CONFIG


def restart_service() -> str | None:
    """Start the agent anew where systemd runs. Returns what a person must do, or None."""
    if not Path("/run/systemd/system").is_dir():
        return "no systemd here: start the agent anew by hand"
    run = subprocess.run(["systemctl", "try-restart", _UNIT], capture_output=True, check=False)  # noqa: S603, S607
    return None if run.returncode == 0 else f"systemctl try-restart {_UNIT} failed: start it by hand"


def update(
    package: Path, signature: Path, places: Places, restart: Callable[[], str | None] = restart_service
) -> list[str]:
    """Install a package beside what runs, and try it. Returns what to tell a person. Raises PackageError."""
    found = look(places.root, places.state)
    running = _running(found)
    with _workshop(places.root) as workshop:
        held, its_signature = workshop / package.name, workshop / "signature"
        _bring(package, held, MOST_PACKED)
        _bring(signature, its_signature, 4096)
        verify(held, its_signature, places.key)
        fresh = workshop / "version"
        fresh.mkdir()
        manifest = unpack(held, fresh)
        python = f"{sys.version_info[0]}.{sys.version_info[1]}"
        if problems := refusals(manifest, Here(running, architecture(), python)):
            raise PackageError("\n".join(f"{package.name}: {problem}" for problem in problems))
        _try_out(fresh, places.config, package.name)
        try:
            fresh.chmod(0o755)
            os.sync()
            goal = places.root / "versions" / manifest.version
            if goal.exists():  # of an earlier try; it does not run now
                goal.rename(workshop / "old")
            fresh.rename(goal)
            write_wanted(places.root, Wanted(manifest.version, running, uuid.uuid4().hex))
        except OSError as error:
            raise PackageError(f"{places.root}: {error.strerror}: make it writable, make room") from None
    _prune(places.root, {manifest.version, running})
    todo = restart()
    minutes = f"{TRIAL_S / 60:.0f} min"
    told = [
        f"{manifest.version} is on trial: if the centre is silent about it for {minutes}, {running} returns"
    ]
    return told if todo is None else [*told, todo]


def back(places: Places, restart: Callable[[], str | None] = restart_service) -> list[str]:
    """Return to the version before, for good. Raises PackageError."""
    wanted = look(places.root, places.state).wanted
    if wanted is None or wanted.fallback is None or wanted.fallback not in installed(places.root):
        raise PackageError("there is no version before this one here: install a package instead")
    try:
        write_wanted(places.root, Wanted(wanted.fallback))
    except OSError as error:
        raise PackageError(f"{places.root}: {error.strerror}: run this as root") from None
    todo = restart()
    told = [f"back at {wanted.fallback}"]
    return told if todo is None else [*told, todo]


def standing(places: Places) -> list[str]:
    """Which version runs, and how it got there."""
    found = look(places.root, places.state)
    if found.choice is None:
        return [f"no version under {places.root}: the agent was not installed by its package"]
    lines = [f"version {found.choice.version}" + (" on trial" if _on_trial(found) else "")]
    others = sorted(installed(places.root) - {found.choice.version})
    if others:
        lines.append(f"also installed: {', '.join(others)}")
    if found.wanted is not None and found.choice.memory.gave_up is not None:
        lines.append(f"{found.wanted.version} was given up: {found.choice.memory.gave_up}")
    return lines


def _on_trial(found: Found) -> bool:
    return found.choice is not None and found.choice.on_trial


def _running(found: Found) -> str:
    if found.choice is None:
        raise PackageError(
            "no version is installed here by a package: this agent is updated the way it was installed"
        )
    if _on_trial(found):
        raise PackageError(f"{found.choice.version} is still on trial: wait 10 min, or go back with --back")
    return found.choice.version


@contextmanager
def _workshop(root: Path) -> Iterator[Path]:
    """A folder for root alone, on the same file system as the versions."""
    try:
        for left in root.glob(".update-*"):
            shutil.rmtree(left)
        workshop = Path(tempfile.mkdtemp(prefix=".update-", dir=root))
    except OSError as error:
        raise PackageError(f"{root}: {error.strerror}: run this as root") from None
    try:
        yield workshop
    finally:
        shutil.rmtree(workshop, ignore_errors=True)


def _bring(source: Path, target: Path, most: int) -> None:
    """A copy that nobody can change between the check and the use."""
    try:
        with source.open("rb") as reading, target.open("xb") as writing:
            while piece := reading.read(2**20):
                most -= len(piece)
                if most < 0:
                    raise PackageError(f"{source}: larger than such a file can be")
                writing.write(piece)
    except OSError as error:
        mend = "give the package and, beside it, its signature"
        raise PackageError(f"{error.filename or source}: {error.strerror}: {mend}") from None


def _try_out(version: Path, config: Path, name: str) -> None:
    """Compile the new version, and let it judge this box's settings before it is trusted with them."""
    for arguments in (["-m", "compileall", "-q", str(version)], [str(version), "check-config", str(config)]):
        if arguments[1] == "check-config" and not config.exists():
            continue
        command = [sys.executable, PYTHON_FLAGS, *arguments]
        try:
            run = subprocess.run(  # noqa: S603 -- signed by whom this box trusts
                command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_CHECK_WITHIN_S, check=False
            )
        except (OSError, subprocess.TimeoutExpired) as error:
            raise PackageError(f"{name}: the new version cannot be started: {error}") from None
        if run.returncode != 0:
            said = (run.stderr or run.stdout).decode(errors="replace").strip()[-1000:]
            raise PackageError(f"{name}: the new version refuses this box: {said or run.returncode}")


def _prune(root: Path, kept: set[str]) -> None:
    for version in installed(root) - kept:
        with suppress(OSError):
            shutil.rmtree(root / "versions" / version)
