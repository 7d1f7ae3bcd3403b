"""Reading the registry's CSV files: every bad row is named with its mend, and nothing raises."""

from __future__ import annotations

from pathlib import Path

from hypothesis import given, settings
from hypothesis import strategies as st

from central.registry.csv_files import KINDS, columns, read_files, read_folder
from central.registry.kinds import Contact, Detector, Resident, Worker

EXAMPLES = Path(__file__).parents[4] / "docs" / "examples" / "registry"


def problems(name: str, text: str | bytes) -> list[str]:
    content = text if isinstance(text, bytes) else text.encode()
    return [str(problem) for problem in read_files({name: content}).problems]


def test_the_examples_are_read_without_a_problem_and_hold_every_kind():
    """What the manual shows is what the reader takes."""
    parsed = read_folder(EXAMPLES)
    assert parsed.problems == ()
    assert {type(line.record) for line in parsed.lines} == set(KINDS.values())
    worker = next(line.record for line in parsed.lines if isinstance(line.record, Worker))
    assert worker.contacts == (
        Contact(channel="webhook", address="13800000101"),
        Contact(channel="smtp", address="zhangmin@example.org"),
    )
    shelf = [line.record for line in parsed.lines if isinstance(line.record, Detector)][-1]
    assert shelf.placement is None


def test_a_byte_order_mark_and_gb18030_are_understood():
    """Excel in Chinese writes either."""
    text = "id,household,name,lives_alone\nr-1,h-1,王桂兰,是\n"
    for content in (text.encode("utf-8-sig"), text.encode("gb18030")):
        parsed = read_files({"residents.csv": content})
        assert parsed.problems == ()
        assert parsed.lines[0].record == Resident(id="r-1", household="h-1", name="王桂兰")
    assert "GB18030" in read_files({"residents.csv": text.encode("gb18030")}).notes[0]


def test_every_bad_row_is_named_with_line_column_and_mend():
    """One run tells all of it."""
    found = problems(
        "buildings.csv",
        "id,grid,name,floors,lon,lat\n"
        "B 1,g-1,一栋,3,,\n"
        "b-2,g-1,,three,,\n"
        "b-3,g-1,三栋,900,114.3,\n"
        "b-4,g-1\n"
        "b-5,g-1,五栋,,999,30\n"
        "b-5,g-1,五栋,,,\n",
    )
    assert [text.split(" (")[0] for text in found] == [
        "buildings.csv:2, id: 'B 1' is not an id",
        "buildings.csv:3, name: is empty",
        "buildings.csv:3, floors: 'three' is not a whole number",
        "buildings.csv:4, lat: is missing",
        "buildings.csv:4, floors: 900 floors",
        "buildings.csv:5: has 2 cells, the header 6",
        "buildings.csv:6, lon: 999.0 is no place on earth",
        "buildings.csv:7, id: 'b-5' is in line 6 already",
    ]
    assert all(text.endswith(".") for text in found)


def test_a_wrong_header_is_told_with_the_right_columns():
    """Unknown, missing and doubled columns; the rows are not judged then."""
    found = problems("areas.csv", "id,title,id\na,b,c\n")
    assert "title: unknown column" in found[0]
    assert "name: column is missing" in found[1]
    assert "id: column is there twice" in found[2]
    assert all("Columns: id,name" in text for text in found[:2])


def test_files_that_cannot_be_taken_are_named():
    """Unknown names, no files, too large, no text, an open quotation mark."""
    assert "no file of the registry" in problems("people.csv", "id\n")[0]
    assert "larger than 10 MB" in problems("areas.csv", b"x" * 10_000_001)[0]
    assert "neither UTF-8 nor GB18030" in problems("areas.csv", b"id,name\n\xff\xff\xff,x\n")[0]
    assert "is not CSV" in problems("areas.csv", 'id,name\na,"open\n')[0]
    assert read_folder(EXAMPLES / "nowhere").problems[0].what == "is not a folder"


def test_a_detector_half_placed_is_refused():
    """Either it lies on the shelf, or all of its address is said."""
    found = problems("detectors.csv", f"{','.join(columns(Detector))}\nd-1,p,,h-1,,,,,,\n")
    assert [text.split(":")[1].split(",")[1].strip() for text in found] == ["gateway", "bus", "unit"]


def test_many_problems_are_counted_not_listed():
    """A file of nonsense does not drown the reader."""
    found = problems("areas.csv", "id,name\n" + "?,x\n" * 1000)
    assert len(found) == 201
    assert "more problems" in found[-1]


@settings(max_examples=150, deadline=None)
@given(name=st.sampled_from(sorted(KINDS)), content=st.binary(max_size=300))
def test_any_bytes_are_answered(name: str, content: bytes):
    """Random files give records or problems, never an exception."""
    parsed = read_files({name: content})
    assert len(parsed.problems) <= 201


@settings(max_examples=150, deadline=None)
@given(
    name=st.sampled_from(sorted(KINDS)),
    cells=st.lists(st.lists(st.text(max_size=8), min_size=0, max_size=12), max_size=4),
)
def test_any_cells_under_the_right_header_are_answered(name: str, cells: list[list[str]]):
    """Whatever stands in the cells."""
    text = "\n".join(",".join(row) for row in [list(columns(KINDS[name])), *cells])
    parsed = read_files({name: text.encode("utf-8", "replace")})
    assert all(problem.mend for problem in parsed.problems)
