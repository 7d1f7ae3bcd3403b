"""Raw COPY is counted over the rows between which the run was."""

from __future__ import annotations

import pytest

from benchmarks.ingest import Copied

COPIED = Copied([0, 100, 200, 300], [0.0, 1.0, 3.0, 7.0])
"""Ever more slowly, as the index grows."""


@pytest.mark.parametrize(
    ("first", "last", "per_s"),
    [
        (0, None, 300 / 7),
        (0, 100, 100.0),
        (100, 300, 200 / 6),
        (150, 250, 25.0),
        (250, 900, 25.0),
        (900, 999, 25.0),
    ],
)
def test_the_rate_is_that_of_the_rows_asked_for_or_of_the_last(
    first: int, last: int | None, per_s: float
) -> None:
    assert COPIED.per_s(first, last) == pytest.approx(per_s)
