"""When a version counts as proven, and what it tells of updates."""

from __future__ import annotations

import asyncio
from pathlib import Path

import pytest

from edge_agent.launcher import ATTEMPT_VARIABLE, FOLDER_VARIABLE, NOTE, PROOF
from edge_agent.proof import Proof


def _proof(folder: Path, highest: int = 7) -> Proof:
    return Proof({FOLDER_VARIABLE: str(folder), ATTEMPT_VARIABLE: "a1"}, "s1", highest)


@pytest.mark.parametrize(
    ("stream", "through", "highest", "counts"),
    [
        ("s1", 7, 9, False),  # recorded by the version before
        ("s1", 8, 9, True),
        ("s1", 500, 9, False),  # beyond all that was ever written: the file went back in time
        ("s2", 3, 3, False),  # numbered anew: this may be what the version before recorded
    ],
)
async def test_only_what_this_version_recorded_proves_it(
    stream: str, through: int, highest: int, counts: bool, tmp_path: Path
) -> None:
    """An acknowledgement of the old version's events says nothing of the new one."""
    proof = _proof(tmp_path)
    await proof.acknowledged(stream, through, highest)
    assert (tmp_path / PROOF).exists() == counts
    if counts:
        assert (tmp_path / PROOF).read_text() == "a1\n"


async def test_after_a_new_stream_the_next_event_proves_it(tmp_path: Path) -> None:
    """A snapshot follows every new stream; its acknowledgement counts."""
    proof = _proof(tmp_path)
    await proof.acknowledged("s2", 3, 3)
    await proof.acknowledged("s2", 4, 4)
    assert (tmp_path / PROOF).exists()


def test_outside_of_the_launcher_nothing_is_written(tmp_path: Path) -> None:
    """An agent from pip, or one that is not on trial."""
    for environment in ({}, {FOLDER_VARIABLE: str(tmp_path)}):
        proof = Proof(environment, "s1", 0)
        assert proof.notes("0.2.0") == []
        asyncio.run(proof.acknowledged("s1", 5, 5))
        proof.noted()
    assert list(tmp_path.iterdir()) == []


def test_a_note_of_the_launcher_is_told_until_it_is_on_record(tmp_path: Path) -> None:
    """Twice is better than never."""
    (tmp_path / NOTE).write_text("已退回 / went back", encoding="utf-8")
    proof = _proof(tmp_path)
    assert proof.notes("0.2.0") == [
        "已退回 / went back",
        "版本 0.2.0 试运行 / version 0.2.0 is on trial",
    ]
    proof.noted()
    assert proof.notes("0.2.0") == ["版本 0.2.0 试运行 / version 0.2.0 is on trial"]


async def test_a_card_that_refuses_does_not_end_the_agent(tmp_path: Path) -> None:
    """The proof is tried again with the next acknowledgement."""
    folder = tmp_path / "later"
    proof = _proof(folder)
    await proof.acknowledged("s1", 8, 8)
    folder.mkdir()
    await proof.acknowledged("s1", 9, 9)
    assert (folder / PROOF).exists()
