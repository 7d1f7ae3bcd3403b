"""What the documents say about the tree is true."""

from __future__ import annotations

import re
import subprocess
import sys
import tomllib
from pathlib import Path

import pytest

ROOT = Path(__file__).resolve().parent.parent
ARCHITECTURE = ROOT / "ARCHITECTURE.md"
_QUOTED = re.compile(r"`([A-Za-z0-9_.][A-Za-z0-9_./*-]*)`")
_SUFFIXES = {
    ".py",
    ".toml",
    ".md",
    ".sql",
    ".txt",
    ".service",
    ".conf",
    ".acl",
    ".html",
    ".js",
    ".css",
    ".csv",
}


def named_paths(text: str) -> set[str]:
    """The paths in backticks: what has a slash, or ends like a file."""
    return {name for name in _QUOTED.findall(text) if "/" in name or Path(name).suffix in _SUFFIXES}


def missing(text: str) -> list[str]:
    """The named paths that the tree does not have; a `*` stands for at least one name."""
    return sorted(name for name in named_paths(text) if not any(ROOT.glob(name.rstrip("/"))))


def test_every_path_in_the_architecture_exists() -> None:
    """A reader who follows the page arrives."""
    text = ARCHITECTURE.read_text(encoding="utf-8")
    assert missing(text) == []
    assert len(named_paths(text)) >= 9


def test_a_path_that_does_not_exist_is_noticed() -> None:
    """The check itself works: a wrong name is found, words and commands in backticks are no paths."""
    assert missing("see `wire/messages.py`, `central/engine/`, `wire/*.py`, `now`, `make test`") == []
    assert missing("see `wire/nowhere.py` and `gone.toml`") == ["gone.toml", "wire/nowhere.py"]


def test_imports_point_the_way_the_contracts_say() -> None:
    """import-linter keeps every contract of pyproject.toml."""
    linter = Path(sys.executable).parent / "lint-imports"
    run = subprocess.run([linter, "--no-cache"], cwd=ROOT, capture_output=True, text=True)
    assert run.returncode == 0, run.stdout + run.stderr


@pytest.mark.parametrize("lock", ["demo", "dev", "edge", "central", "package"])
def test_a_lock_has_versions_and_hashes_and_no_addresses(lock: str) -> None:
    """Whoever installs gets the same files, from wherever they take them."""
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    entries = text.replace("\\\n", " ").splitlines()
    assert len(entries) > 5
    for entry in entries:
        assert re.match(
            r"^[a-z0-9][a-z0-9._-]*==[^ ]+ (; [^\\]+?)?( *--hash=sha256:[0-9a-f]{64})+$", entry
        ), entry


@pytest.mark.parametrize("lock", ["demo", "dev", "edge", "central"])
def test_a_lock_has_what_the_project_asks_for(lock: str) -> None:
    """A requirement that is new in pyproject.toml needs `make lock`."""
    project = tomllib.loads((ROOT / "pyproject.toml").read_text(encoding="utf-8"))
    extras = project["project"]["optional-dependencies"]
    text = (ROOT / "requirements" / f"{lock}.txt").read_text(encoding="utf-8")
    locked = {line.split("==")[0] for line in text.splitlines() if "==" in line}
    wanted = [*project["project"]["dependencies"], *extras[lock], *project["build-system"]["requires"]]
    names = {re.split(r"[\[<>=~ ]", name)[0] for name in wanted} - {"smokewatch"}
    assert names - locked == set()
