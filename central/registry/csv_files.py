"""CSV files of the registry to records. Law of this file: it reads and judges, it saves nothing.

One file per kind, a header line, UTF-8 (with or without a byte order mark) or GB18030 as Chinese Excel
writes it. Every bad row is reported with file, line, column, what is wrong and the mend.
"""

from __future__ import annotations

import csv
import io
from collections.abc import Callable, Mapping, Sequence
from dataclasses import MISSING, dataclass, fields
from pathlib import Path
from types import MappingProxyType
from typing import Any

from central.registry.check import check
from central.registry.errors import Problem
from central.registry.kinds import (
    Area,
    Building,
    Bus,
    Community,
    Contact,
    Detector,
    Gateway,
    Grid,
    Household,
    Placement,
    Record,
    Resident,
    Worker,
)

MAX_FILE_BYTES = 10_000_000
MAX_ROWS = 100_000
MAX_PROBLEMS = 200

KINDS: Mapping[str, type[Record]] = MappingProxyType(
    {
        "areas.csv": Area,
        "communities.csv": Community,
        "grids.csv": Grid,
        "buildings.csv": Building,
        "households.csv": Household,
        "residents.csv": Resident,
        "workers.csv": Worker,
        "gateways.csv": Gateway,
        "buses.csv": Bus,
        "detectors.csv": Detector,
    }
)
"""File name to kind, in the order in which they must be saved."""

_PLACEMENT = tuple(field.name for field in fields(Placement))
_TRUE, _FALSE = {"true", "yes", "1", "是"}, {"false", "no", "0", "否"}


@dataclass(frozen=True, slots=True)
class Line:
    """A record and the `file:line` it came from."""

    place: str
    record: Record


@dataclass(frozen=True, slots=True)
class Parsed:
    """What the files say, and all that is wrong with them."""

    lines: tuple[Line, ...]
    problems: tuple[Problem, ...]
    notes: tuple[str, ...]
    """What a person should know though it is no mistake, such as the encoding that was taken."""


class _CellError(Exception):
    def __init__(self, what: str, zh: str, mend: str) -> None:
        super().__init__(what)
        self.what, self.zh, self.mend = what, zh, mend


def read_folder(folder: Path) -> Parsed:
    """Every known CSV file in a folder; see `read_files`."""
    if not folder.is_dir():
        problem = Problem(
            str(folder), "is not a folder", "不是文件夹", "Name the folder that holds the CSV files."
        )
        return Parsed((), (problem,), ())
    contents: dict[str, bytes] = {}
    for path in sorted(folder.glob("*.csv")):
        with path.open("rb") as file:
            contents[path.name] = file.read(MAX_FILE_BYTES + 1)
    return read_files(contents)


def read_files(contents: Mapping[str, bytes]) -> Parsed:
    """Parse the files by name; problems past 200 are counted, not listed."""
    lines: list[Line] = []
    problems: list[Problem] = []
    notes: list[str] = []
    problems += [
        Problem(name, "is no file of the registry", "不认识的文件", f"One of: {', '.join(KINDS)}.")
        for name in sorted(set(contents) - set(KINDS))
    ]
    if not set(contents) & set(KINDS):
        problems.append(
            Problem(
                "", "no file of the registry was given", "没有可导入的文件", f"Any of: {', '.join(KINDS)}."
            )
        )
    for name, kind in KINDS.items():
        if name in contents:
            found, wrong, note = _read(name, kind, contents[name])
            lines += found
            problems += wrong
            notes += note
    if len(problems) > MAX_PROBLEMS:
        rest = len(problems) - MAX_PROBLEMS
        problems = problems[:MAX_PROBLEMS]
        problems.append(Problem("", f"and {rest} more problems", f"另有 {rest} 处问题", "Mend these first."))
    return Parsed(tuple(lines), tuple(problems), tuple(notes))


def columns(kind: type[Record]) -> tuple[str, ...]:
    """The columns of a kind's file, in the order of the examples."""
    names = [field.name for field in fields(kind) if field.name != "placement"]
    return (*names, *_PLACEMENT) if kind is Detector else tuple(names)


def _read(name: str, kind: type[Record], content: bytes) -> tuple[list[Line], list[Problem], list[str]]:
    if len(content) > MAX_FILE_BYTES:
        big = Problem(
            name, "is larger than 10 MB", "文件超过 10 MB", "Split it and import the parts one by one."
        )
        return [], [big], []
    text, note = _text(name, content)
    if text is None:
        bad = Problem(name, "is neither UTF-8 nor GB18030", "文件编码无法识别", "Save it as “CSV UTF-8”.")
        return [], [bad], []
    reader = csv.reader(io.StringIO(text, newline=""), strict=True)
    lines: list[Line] = []
    problems: list[Problem] = []
    first_line: dict[str, int] = {}
    try:
        header = [cell.strip() for cell in next(reader, [])]
        if wrong := _header(name, kind, header):
            return [], wrong, note
        for row in reader:
            if not any(cell.strip() for cell in row):
                continue
            place = f"{name}:{reader.line_num}"
            if len(lines) >= MAX_ROWS:
                problems.append(Problem(place, f"more than {MAX_ROWS} rows", "行数太多", "Split the file."))
                break
            record, wrong = _record(kind, header, row)
            problems += [problem.at(place) for problem in wrong]
            if record is None:
                continue
            key = f"{record.gateway}/{record.id}" if isinstance(record, Bus) else record.id
            if key in first_line:
                problems.append(
                    Problem(
                        f"{place}, id",
                        f"{key!r} is in line {first_line[key]} already",
                        "编号重复",
                        "Keep one of the two rows, or give one another id.",
                    )
                )
            first_line.setdefault(key, reader.line_num)
            lines.append(Line(place, record))
    except csv.Error as error:
        problems.append(
            Problem(
                f"{name}:{reader.line_num}",
                f"is not CSV: {error}",
                "CSV 格式错误",
                "Look for a quotation mark that is not closed.",
            )
        )
    return lines, problems, note


def _text(name: str, content: bytes) -> tuple[str | None, list[str]]:
    try:
        return content.decode("utf-8-sig"), []
    except UnicodeDecodeError:
        try:
            return content.decode("gb18030"), [f"{name}: read as GB18030 (按 GB18030 编码读取)"]
        except UnicodeDecodeError:
            return None, []


def _header(name: str, kind: type[Record], header: Sequence[str]) -> list[Problem]:
    place, allowed = f"{name}:1", columns(kind)
    needed = [field.name for field in fields(kind) if field.default is MISSING and _plain(field)]
    problems = [
        Problem(
            f"{place}, {column or '(empty)'}",
            "unknown column",
            "不认识的列",
            f"Columns: {','.join(allowed)}.",
        )
        for column in header
        if column not in allowed
    ]
    problems += [
        Problem(f"{place}, {column}", "column is missing", "缺少列", f"Columns: {','.join(allowed)}.")
        for column in needed
        if column not in header
    ]
    problems += [
        Problem(f"{place}, {column}", "column is there twice", "列重复", "Keep one.")
        for column in sorted({column for column in header if header.count(column) > 1})
    ]
    return problems


def _plain(field: Any) -> bool:
    return field.name != "placement" and field.default_factory is MISSING


def _record(
    kind: type[Record], header: Sequence[str], row: Sequence[str]
) -> tuple[Record | None, list[Problem]]:
    if len(row) != len(header):
        return None, [
            Problem(
                "",
                f"has {len(row)} cells, the header {len(header)}",
                "列数与表头不一致",
                "Look for a missing comma, or put a text that holds a comma in quotation marks.",
            )
        ]
    cells = {column: cell.strip() for column, cell in zip(header, row, strict=True)}
    problems: list[Problem] = []
    values: dict[str, Any] = {}
    placement: dict[str, Any] = {}
    placed = kind is Detector and any(cells.get(name) for name in _PLACEMENT)
    for column, cell in cells.items():
        in_placement = kind is Detector and column in _PLACEMENT
        if in_placement and not placed:
            continue
        known = {field.name: field for field in fields(Placement if in_placement else kind)}[column]
        if cell == "" and known.default is not MISSING:
            continue
        if cell == "":
            if not in_placement:
                problems.append(Problem(column, "is empty", "不能为空", "Fill it in."))
            continue
        try:
            (placement if in_placement else values)[column] = _READERS[str(known.type)](cell)
        except _CellError as error:
            problems.append(Problem(column, error.what, error.zh, error.mend))
    if placed:
        problems += [
            Problem(name, "is empty", "不能为空", "A detector that hangs somewhere needs it.")
            for name in ("household", "gateway", "bus", "unit")
            if not cells.get(name)
        ]
    if problems:
        return None, problems
    if placed:
        values["placement"] = Placement(**placement)
    record = kind(**values)
    return record, check(record)


def _integer(cell: str) -> int:
    try:
        return int(cell)
    except ValueError:
        raise _CellError(f"{cell[:40]!r} is not a whole number", "应为整数", "Digits only.") from None


def _number(cell: str) -> float:
    try:
        value = float(cell)
    except ValueError:
        raise _CellError(f"{cell[:40]!r} is not a number", "应为数字", "Such as 114.3162.") from None
    if value != value or abs(value) == float("inf"):
        raise _CellError(f"{cell!r} is not a number", "应为数字", "Such as 114.3162.")
    return value


def _truth(cell: str) -> bool:
    if cell.lower() in _TRUE:
        return True
    if cell.lower() in _FALSE:
        return False
    raise _CellError(
        f"{cell[:40]!r} is neither yes nor no", "应填 是 或 否", "yes/no, true/false, 1/0 or 是/否."
    )


def _names(cell: str) -> tuple[str, ...]:
    return tuple(part.strip() for part in cell.replace("；", ";").split(";") if part.strip())


def _contacts(cell: str) -> tuple[Contact, ...]:
    found = []
    for part in _names(cell):
        channel, colon, address = part.partition(":")
        if not colon:
            raise _CellError(
                f"{part[:40]!r} has no channel",
                "联系方式应为 渠道:地址",
                "Write channel:address;channel:address, such as webhook:13800000001;smtp:a@example.org.",
            )
        found.append(Contact(channel=channel.strip(), address=address.strip()))
    return tuple(found)


_READERS: Mapping[str, Callable[[str], Any]] = {
    "str": str,
    "str | None": str,
    "int": _integer,
    "int | None": _integer,
    "float | None": _number,
    "bool": _truth,
    "tuple[str, ...]": _names,
    "tuple[Contact, ...]": _contacts,
}
