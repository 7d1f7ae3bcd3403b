"""Whom a package is for."""

from __future__ import annotations

import pytest

from edge_agent.package import Here, Manifest, refusals

HERE = Here("0.1.0", "arm64", "3.11")
RIGHT = {
    "product": "smokewatch-edge",
    "version": "0.2.0",
    "architecture": "arm64",
    "python": "3.11",
    "oldest": "0.1.0",
}


@pytest.mark.parametrize(
    ("change", "says"),
    [
        ({"product": "smokewatch-central"}, "take the agent's package"),
        ({"version": "../../etc"}, "is no version"),
        ({"version": "0.1.0"}, "runs here already"),
        ({"architecture": "amd64"}, "it is for amd64, this box is arm64"),
        ({"python": "3.13"}, "it is for Python 3.13, this box has 3.11"),
        ({"oldest": "0.2.0"}, "install 0.2.0 first"),
    ],
)
def test_a_package_for_another_box_is_refused_with_the_reason(change: dict[str, str], says: str) -> None:
    """The person at the terminal reads which package to take instead."""
    (why,) = refusals(Manifest(**{**RIGHT, **change}), HERE)
    assert says in why


def test_a_package_for_this_box_is_taken() -> None:
    """Newer, and also an older one that somebody asks for."""
    assert refusals(Manifest(**RIGHT), HERE) == []
    assert refusals(Manifest(**{**RIGHT, "version": "0.0.9", "oldest": "0.0.1"}), HERE) == []
