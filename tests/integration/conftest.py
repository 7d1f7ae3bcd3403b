"""What every integration test leaves behind: nothing."""

from __future__ import annotations

from collections.abc import Iterator

import pytest

from tests.harness.box import Box


@pytest.fixture(autouse=True)
def _no_box_outlives_its_test() -> Iterator[None]:
    """An agent that a failed test leaves would hold a pseudo-terminal that the next test is given."""
    yield
    while Box.made:
        Box.made.pop().close()
