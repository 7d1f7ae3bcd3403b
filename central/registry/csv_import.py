"""Save what CSV files say: all of it or nothing, and the same files again change nothing."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from dataclasses import asdict, dataclass, replace
from typing import cast

from central.registry.check import missing, references
from central.registry.csv_files import KINDS, MAX_PROBLEMS, Line, Parsed
from central.registry.errors import Problem, RegistryError
from central.registry.kinds import Bus, Detector, Worker
from central.registry.register import PLACES, Profiles, hang, profile_of, save, save_places
from central.registry.watching import rebuild_all
from central.store import audit
from central.store import registry as rows
from central.store.pool import Store, Tx

CHUNK = 1000
Progress = Callable[[str, int, int], None]
"""(kind, done, of): called as the work goes on."""


@dataclass(frozen=True, slots=True)
class Imported:
    """What an import did, or would have done."""

    saved: Mapping[str, int]
    """File name to rows."""
    reconfigured: tuple[str, ...]
    """Gateways that were given a new configuration."""
    notes: tuple[str, ...]
    dry_run: bool


class _DryRunError(Exception):
    def __init__(self, imported: Imported) -> None:
        super().__init__()
        self.imported = imported


async def run_import(
    store: Store,
    parsed: Parsed,
    *,
    by: str,
    profiles: Profiles,
    from_where: str = "",
    dry_run: bool = False,
    progress: Progress | None = None,
) -> Imported:
    """Save all of it in one transaction; RegistryError says all that is wrong, and then nothing is saved."""
    if parsed.problems:
        raise RegistryError(parsed.problems)
    try:
        async with store.transaction() as tx:
            done = await _apply(tx, parsed, by, profiles, progress or _silent)
            await audit.note(
                tx, who=by, action="import", from_where=from_where, detail={"rows": dict(done.saved)}
            )
            if dry_run:
                raise _DryRunError(done)
            return done
    except _DryRunError as rehearsed:
        return Imported(rehearsed.imported.saved, rehearsed.imported.reconfigured, parsed.notes, True)


async def _apply(tx: Tx, parsed: Parsed, by: str, profiles: Profiles, progress: Progress) -> Imported:
    problems = await _unknown(tx, parsed)
    if problems:
        raise RegistryError(problems)
    saved: Counter[str] = Counter()
    touched: set[str] = set()
    for name, kind in KINDS.items():
        lines = [line for line in parsed.lines if type(line.record) is kind]
        if not lines:
            continue
        if kind in PLACES:
            for start in range(0, len(lines), CHUNK):
                chunk = [line.record for line in lines[start : start + CHUNK]]
                touched |= await save_places(tx, chunk)
                progress(name, start + len(chunk), len(lines))
        elif kind is Detector:
            touched |= await _detectors(tx, lines, profiles, problems, progress)
        else:
            for number, line in enumerate(lines, 1):
                try:
                    touched |= await save(tx, line.record, by=by, profiles=profiles)
                except RegistryError as error:
                    problems += [problem.at(line.place) for problem in error.problems]
                progress(name, number, len(lines))
        saved[name] = len(lines)
    if problems:
        raise RegistryError(problems[:MAX_PROBLEMS])
    told = await rebuild_all(tx, touched, by)
    return Imported(dict(saved), tuple(told), parsed.notes, False)


async def _detectors(
    tx: Tx, lines: list[Line], profiles: Profiles, problems: list[Problem], progress: Progress
) -> set[str]:
    """First take down all that move, then hang them: two detectors may trade places in one file."""
    touched: set[str] = set()
    for line in lines:
        record = cast("Detector", line.record)
        try:
            profile_of(record, profiles)
        except RegistryError as error:
            problems += [problem.at(line.place) for problem in error.problems]
            continue
        before = await rows.current_placement(tx, record.id)
        if before is not None and record.placement is not None:
            wanted = asdict(record.placement)
            if any(before[key] != value for key, value in wanted.items()):
                touched |= {str(before["gateway"])}
                await rows.close_placement(tx, record.id)
    for number, line in enumerate(lines, 1):
        record = cast("Detector", line.record)
        try:
            profile = profile_of(record, profiles)
            touched |= await save(tx, replace(record, placement=None), by="", profiles=profiles)
            if record.placement is not None:
                touched |= await hang(tx, record.id, record.placement, profile)
        except RegistryError as error:
            problems += [problem.at(line.place) for problem in error.problems if problem.place != "profile"]
        progress("detectors.csv", number, len(lines))
    return touched


async def _unknown(tx: Tx, parsed: Parsed) -> list[Problem]:
    """References to what is neither in the files nor in the database."""
    known: dict[str, set[str]] = {}
    for line in parsed.lines:
        record = line.record
        if not isinstance(record, Worker):
            key = f"{record.gateway}/{record.id}" if isinstance(record, Bus) else record.id
            known.setdefault(type(record).__name__.lower(), set()).add(key)
    stored: dict[str, set[str]] = {}
    problems = []
    for line in parsed.lines:
        for field, kind, name in references(line.record):
            if name in known.get(kind, ()):
                continue
            if kind not in stored:
                stored[kind] = await rows.ids(tx, kind)
            if name not in stored[kind]:
                problems.append(missing(field, kind, name).at(line.place))
    return problems[:MAX_PROBLEMS]


def _silent(kind: str, done: int, of: int) -> None:
    """Nobody watches the progress."""
