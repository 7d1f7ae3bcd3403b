"""An update package: whose it is, whom it is for, and what it holds.

Law of this file: nothing of a package is believed before its signature is, and nothing of it is run here.
What it unpacks is bounded, and lies where no program looks for it until the caller says so. Every refusal is
a PackageError with the mend. A package is the Debian package, with an Ed25519 signature of its bytes beside.
"""

from __future__ import annotations

import shutil
import subprocess
import tarfile
from collections.abc import Sequence
from dataclasses import dataclass
from pathlib import Path, PurePosixPath
from typing import IO

import msgspec

from edge_agent.trial import VERSION, order

PRODUCT = "smokewatch-edge"
SIGNATURE_BYTES = 64
MOST_PACKED = 64 * 2**20
MOST_UNPACKED = 256 * 2**20
MOST_FILES = 20_000
_WITHIN_S = 120.0
_VERSIONS = PurePosixPath("opt/smokewatch/versions")


class PackageError(Exception):
    """The package is refused and nothing has changed; the text says why and what to do."""


class Manifest(msgspec.Struct, frozen=True, rename={"oldest": "from"}):
    """What a package says of itself: `manifest.json` in the version's folder."""

    product: str
    version: str
    architecture: str
    """Debian's word: amd64, arm64."""
    python: str
    """Major and minor version of Python that its libraries are made for."""
    oldest: str
    """The lowest version that can become this one."""


@dataclass(frozen=True, slots=True)
class Here:
    """The box that is to be updated."""

    version: str
    architecture: str
    python: str


def refusals(manifest: Manifest, here: Here) -> list[str]:
    """Why this package is not for this box; empty when it is. Pure."""
    if manifest.product != PRODUCT:
        return [f"it is {manifest.product!r}, not {PRODUCT}: take the agent's package"]
    found = []
    if not VERSION.fullmatch(manifest.version):
        found.append(f"{manifest.version!r} is no version: build the package again")
    if manifest.architecture != here.architecture:
        found.append(
            f"it is for {manifest.architecture}, this box is {here.architecture}: take the one for this box"
        )
    if manifest.python != here.python:
        found.append(
            f"it is for Python {manifest.python}, this box has {here.python}: take the one for this Debian"
        )
    if manifest.version == here.version:
        found.append(f"{here.version} runs here already")
    if order(here.version) < order(manifest.oldest):
        found.append(
            f"it needs {manifest.oldest} or newer, here runs {here.version}: install {manifest.oldest} first"
        )
    return found


def verify(package: Path, signature: Path, key: Path) -> None:
    """Raises PackageError unless `signature` is the key's for exactly these bytes."""
    if not key.is_file():
        raise PackageError(f"{key}: no such file: put the public key there that updates are signed for")
    if signature.stat().st_size != SIGNATURE_BYTES:
        raise PackageError(f"{package.name}.sig: not a signature of {SIGNATURE_BYTES} bytes: fetch it again")
    command = ["openssl", "pkeyutl", "-verify", "-rawin", "-pubin"]
    files = ["-inkey", str(key), "-sigfile", str(signature), "-in", str(package)]
    if _run([*command, *files]).returncode != 0:
        raise PackageError(
            f"{package.name}: its signature does not fit {key}: it is cut short, changed, or not from us"
        )


def unpack(package: Path, into: Path) -> Manifest:
    """Unpack the one version that a verified package holds into the empty folder `into`.

    Regular files and folders below `/opt/smokewatch/versions/VERSION` only; all else in it is for `dpkg`.
    """
    with subprocess.Popen(  # noqa: S603 -- a fixed program, no shell
        ["dpkg-deb", "--fsys-tarfile", str(package)],  # noqa: S607
        stdin=subprocess.DEVNULL,
        stdout=subprocess.PIPE,
        stderr=subprocess.DEVNULL,
    ) as reader:
        assert reader.stdout is not None
        try:
            version = _unpack(reader.stdout, into)
        except (tarfile.TarError, EOFError, OSError) as error:
            raise PackageError(
                f"{package.name}: cannot be unpacked ({error}): fetch it again, make room"
            ) from None
        finally:
            reader.kill()
    try:
        manifest = msgspec.json.decode((into / "manifest.json").read_bytes(), type=Manifest)
    except (OSError, msgspec.DecodeError) as error:
        raise PackageError(
            f"{package.name}: no manifest in it ({error}): take a package made by make deb"
        ) from None
    if manifest.version != version:
        raise PackageError(f"{package.name}: holds {version!r} but says {manifest.version!r}: build it again")
    return manifest


def architecture() -> str:
    """Debian's word for what runs on this box; the kernel may be of another one. Raises PackageError."""
    said = _run(["dpkg", "--print-architecture"])
    if said.returncode != 0:
        raise PackageError("dpkg does not say what this box is: is this Debian?")
    return said.stdout.decode().strip()


def _unpack(stream: IO[bytes], into: Path) -> str:
    versions: set[str] = set()
    left, files = MOST_UNPACKED, MOST_FILES
    with tarfile.open(fileobj=stream, mode="r|") as archive:
        for member in archive:
            path = PurePosixPath(member.name)
            inside = _inside(path)
            if inside is None or not (member.isfile() or member.isdir()):
                continue
            versions.add(inside.parts[0])
            left -= member.size
            files -= 1
            if left < 0 or files < 0 or len(versions) > 1:
                raise tarfile.TarError("it holds more than one version of the agent can be")
            target = into.joinpath(*inside.parts[1:])
            if member.isdir():
                target.mkdir(parents=True, exist_ok=True)
                continue
            target.parent.mkdir(parents=True, exist_ok=True)
            source = archive.extractfile(member)
            assert source is not None
            with target.open("xb") as file:
                shutil.copyfileobj(source, file)
            target.chmod(0o755 if member.mode & 0o100 else 0o644)
    if not versions:
        raise tarfile.TarError("there is no version of the agent in it")
    return versions.pop()


def _inside(path: PurePosixPath) -> PurePosixPath | None:
    try:
        inside = path.relative_to(_VERSIONS)
    except ValueError:
        return None
    return inside if inside.parts and ".." not in path.parts else None


def _run(command: Sequence[str]) -> subprocess.CompletedProcess[bytes]:
    try:
        return subprocess.run(  # noqa: S603 -- fixed programs, no shell
            command, stdin=subprocess.DEVNULL, capture_output=True, timeout=_WITHIN_S, check=False
        )
    except FileNotFoundError:
        raise PackageError(f"{command[0]} is missing: apt-get install {command[0]}") from None
    except subprocess.TimeoutExpired:
        raise PackageError(f"{command[0]} did not end within {_WITHIN_S:.0f} s: try again") from None
