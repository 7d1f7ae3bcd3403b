"""Packed rows are PostgreSQL's binary COPY format; whatever is missing, each field keeps its place."""

from __future__ import annotations

from struct import unpack_from

from hypothesis import given
from hypothesis import strategies as st

from central.store.readings import Columns, packed

float4 = st.floats(width=32, allow_nan=False, allow_infinity=False)
word = st.integers(-(2**31), 2**31 - 1)
Row = tuple[int, int, float | None, float | None, float | None, float | None, int | None]


def read(raw: bytes) -> list[tuple[object, ...]]:
    """The fields of each row, by the format's own description."""
    rows: list[tuple[object, ...]] = []
    at = 0
    while at < len(raw):
        (count,) = unpack_from(">h", raw, at)
        at += 2
        fields: list[object] = []
        for kind in (">q", ">q", ">i", ">f", ">f", ">f", ">f", ">i"):
            (length,) = unpack_from(">i", raw, at)
            at += 4
            if length == -1:
                fields.append(None)
                continue
            piece = raw[at : at + length]
            fields.append(unpack_from(kind, piece)[0])
            at += length
        assert count == len(fields)
        rows.append(tuple(fields))
    return rows


@given(
    st.lists(
        st.tuples(
            st.integers(1, 2**31 - 1),
            st.integers(-(2**62), 2**62),
            *(st.none() | float4 for _ in range(4)),
            st.none() | word,
        ),
        min_size=1,
        max_size=20,
    ),
    st.sets(st.integers(2, 6)),
)
def test_what_is_packed_reads_back_field_by_field(rows: list[Row], empty: set[int]) -> None:
    """A column left empty is null in every row."""
    columns = [list(column) for column in zip(*rows, strict=True)]
    for one in empty:
        columns[one] = []
    raw = b"".join(packed([Columns(123_000, *columns)]))  # type: ignore[arg-type]
    expected = [
        (
            row[1],
            123_000,
            row[0],
            *(None if n in empty else row[n] for n in range(2, 7)),
        )
        for row in rows
    ]
    assert read(raw) == expected
