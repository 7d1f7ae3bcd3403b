"""The agent's package holds every room of ours that the agent imports; building it is another test's."""

from __future__ import annotations

import runpy
import tomllib
from pathlib import Path

import grimp

ROOT = Path(__file__).resolve().parents[3]


def test_the_package_holds_every_room_that_the_agent_imports() -> None:
    """Directly or through another room; and none that it does not."""
    ours = tomllib.loads((ROOT / "pyproject.toml").read_text("utf-8"))["tool"]["importlinter"][
        "root_packages"
    ]
    graph = grimp.build_graph(*ours)
    imported = {name.partition(".")[0] for name in graph.find_upstream_modules("edge_agent", as_package=True)}
    assert set(runpy.run_path(str(ROOT / "tools" / "deb.py"))["ROOMS"]) == {"edge_agent", *imported}
