"""Builds the agent's Debian package: `tools/deb.py [--arch arm64] [--python 3.11] [--out dist]`.

The same sources and the same SOURCE_DATE_EPOCH give the same bytes. Libraries are wheels that the lock file
names by hash, also for another architecture than this machine's; nothing is compiled.
"""

from __future__ import annotations

import argparse
import json
import os
import shutil
import subprocess
import sys
import tempfile
import tomllib
import zipfile
from pathlib import Path

ROOT = Path(__file__).resolve().parent.parent
FROM_DEBIAN = ROOT / "deploy" / "debian"
ROOMS = ("wire", "device_profiles", "mqtt_line", "gsm", "edge_agent")
OLDEST = "0.1.0"
"""The lowest version that `update` may replace by this one."""
PLATFORMS = {
    "amd64": ("manylinux2014_x86_64", 62),
    "arm64": ("manylinux2014_aarch64", 183),
}
"""Debian's word: the wheels' platform, and the ELF machine that their libraries must show."""
_RUN = "import sys\n\nfrom {module} import main\n\nsys.exit(main({arguments}))\n"


def build(architecture: str, python: str, out: Path) -> Path:
    """The package's path."""
    version = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["project"]["version"]
    goal = out / f"smokewatch-edge_{version}-py{python}_{architecture}.deb"
    with tempfile.TemporaryDirectory() as folder:
        tree = Path(folder) / "tree"
        home = tree / "opt" / "smokewatch" / "versions" / version
        libraries(home, architecture, python)
        ours(home, Path(folder))
        manifest = {
            "product": "smokewatch-edge", "version": version, "architecture": architecture,
            "python": python, "from": OLDEST,
        }  # fmt: skip
        write(home / "manifest.json", json.dumps(manifest, indent=1) + "\n")
        write(home / "__main__.py", _RUN.format(module="edge_agent.__main__", arguments=""))
        around(tree)
        control(tree, version, architecture, python)
        settle(tree)
        out.mkdir(parents=True, exist_ok=True)
        run("dpkg-deb", "--root-owner-group", "-Zxz", "--build", str(tree), str(goal))
    return goal


def libraries(home: Path, architecture: str, python: str) -> None:
    """The wheels of requirements/package.txt, unpacked; the machine of each library is looked at."""
    platform, machine = PLATFORMS[architecture]
    run(
        sys.executable, "-m", "pip", "install", "--quiet", "--disable-pip-version-check",
        "--no-compile", "--no-deps", "--require-hashes", "--only-binary", ":all:",
        "--platform", platform, "--python-version", python, "--implementation", "cp",
        "--target", str(home), "--requirement", str(ROOT / "requirements" / "package.txt"),
    )  # fmt: skip
    shutil.rmtree(home / "bin", ignore_errors=True)  # their commands start with this machine's Python
    for library in home.rglob("*.so"):
        head = library.read_bytes()[:20]
        if head[:4] != b"\x7fELF" or int.from_bytes(head[18:20], "little") != machine:
            sys.exit(f"{library.name} is not for {architecture}")


def ours(home: Path, folder: Path) -> None:
    """The rooms of this project that run on a gateway, as its wheel holds them."""
    run(sys.executable, "-m", "hatchling", "build", "-t", "wheel", "-d", str(folder / "wheel"))
    (wheel,) = (folder / "wheel").glob("*.whl")
    with zipfile.ZipFile(wheel) as held:
        for name in held.namelist():
            room, _, rest = name.partition("/")
            if room in ROOMS or rest == "METADATA" or rest.startswith("licenses/"):
                held.extract(name, home)


def around(tree: Path) -> None:
    """What surrounds the versions: launcher, command, unit, documents."""
    launcher = tree / "usr" / "lib" / "smokewatch" / "launcher"
    write(launcher / "__main__.py", _RUN.format(module="edge_agent.launcher", arguments="sys.argv[1:]"))
    for name in ("__init__.py", "launcher.py", "trial.py"):
        put(ROOT / "edge_agent" / name, launcher / "edge_agent" / name)
    put(FROM_DEBIAN / "smokewatch-edge", tree / "usr" / "bin" / "smokewatch-edge", 0o755)
    unit = "smokewatch-edge.service"
    put(ROOT / "systemd" / unit, tree / "usr" / "lib" / "systemd" / "system" / unit)
    documents = tree / "usr" / "share" / "doc" / "smokewatch-edge"
    put(FROM_DEBIAN / "copyright", documents / "copyright")
    for page in ("install.md", "install.zh-CN.md", "examples/edge.toml"):
        put(ROOT / "docs" / page, documents / page)


def control(tree: Path, version: str, architecture: str, python: str) -> None:
    """What dpkg has to know."""
    major, minor = python.split(".")
    size = sum(file.stat().st_size for file in tree.rglob("*") if file.is_file()) // 1024
    fields = {
        "Package": "smokewatch-edge",
        "Version": f"{version}-py{python}",
        "Architecture": architecture,
        "Maintainer": "The Smokewatch authors <smokewatch@localhost>",
        "Installed-Size": str(size),
        "Depends": f"python3 (>= {python}), python3 (<< {major}.{int(minor) + 1}~), openssl, passwd",
        "Recommends": "systemd, ca-certificates",
        "Section": "net",
        "Priority": "optional",
        "Description": "agent that watches smoke detectors on a gateway\n"
        " Polls smoke detectors over RS-485 and forwards what they say over MQTT. Everything that it\n"
        " needs beyond python3 and openssl is inside.",
    }
    write(tree / "DEBIAN" / "control", "".join(f"{key}: {value}\n" for key, value in fields.items()))
    for script in ("postinst", "prerm", "postrm"):
        text = (FROM_DEBIAN / script).read_text("utf-8").replace("@VERSION@", version)
        write(tree / "DEBIAN" / script, text, 0o755)


def settle(tree: Path) -> None:
    """One moment and plain rights for every file: nothing of this machine shows."""
    moment = int(os.environ["SOURCE_DATE_EPOCH"])
    for place in [tree, *tree.rglob("*")]:
        place.chmod(0o755 if place.is_dir() or place.stat().st_mode & 0o100 else 0o644)
        os.utime(place, (moment, moment))


def put(source: Path, goal: Path, mode: int = 0o644) -> None:
    """One file of the tree."""
    write(goal, source.read_text("utf-8"), mode)


def write(goal: Path, text: str, mode: int = 0o644) -> None:
    """One file."""
    goal.parent.mkdir(parents=True, exist_ok=True)
    goal.write_text(text, encoding="utf-8")
    goal.chmod(mode)


def run(*command: str) -> None:
    """A program that must succeed."""
    subprocess.run(command, cwd=ROOT, check=True)  # noqa: S603


def epoch() -> str:
    """When this version of the sources was made: their last commit, or what the environment says."""
    given = os.environ.get("SOURCE_DATE_EPOCH")
    if given:
        return given
    command = ["git", "log", "-1", "--format=%ct"]
    said = subprocess.run(command, cwd=ROOT, capture_output=True, text=True, check=False)  # noqa: S603
    return said.stdout.strip() or "1704067200"  # a source tree without its history


def main() -> int:
    """Build and print the path."""
    parser = argparse.ArgumentParser(description="Builds the agent's Debian package.")
    parser.add_argument("--arch", choices=sorted(PLATFORMS), default="amd64")
    parser.add_argument("--python", default="3.11", help="Debian 12 has 3.11, Debian 13 has 3.13")
    parser.add_argument("--out", type=Path, default=ROOT / "dist")
    arguments = parser.parse_args()
    os.environ["SOURCE_DATE_EPOCH"] = epoch()
    os.umask(0o022)
    print(build(arguments.arch, arguments.python, arguments.out))
    return 0


if __name__ == "__main__":
    sys.exit(main())
