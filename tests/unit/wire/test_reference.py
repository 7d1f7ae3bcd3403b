"""The reference page says what the code does."""

from __future__ import annotations

import re
from pathlib import Path

from wire.codec import MAX_BYTES
from wire.topics import ALIVE, Channel, gateway_topic

PAGE = Path(__file__).parents[3] / "docs" / "reference" / "wire.md"


def test_the_table_names_every_channel_with_its_topic_and_size():
    """One row each, nothing else."""
    rows = re.findall(
        r"^\| (\w+) \| `([^`]+)` \| 1 \| (?:yes|no) \| (\d+) \|$", PAGE.read_text("utf-8"), re.M
    )
    found = {topic: int(size) for _, topic, size in rows}
    expected = {
        gateway_topic("a", "g", channel).replace("/a/g/", "/{area}/{gateway}/"): MAX_BYTES[channel]
        for channel in Channel
    }
    assert found == expected | {ALIVE: MAX_BYTES["alive"]}
