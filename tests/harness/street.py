"""A small street on record: the example CSV files, imported; and alarms put into it by hand."""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from datetime import timedelta
from pathlib import Path
from typing import Any

from central.engine.model import Alarm, AlarmState, Condition, Reason, Severity
from central.registry.csv_files import read_folder
from central.registry.csv_import import run_import
from central.store import alarms
from central.store.pool import Store, Tx
from device_profiles.load import load_profiles

EXAMPLES = Path(__file__).parents[2] / "docs" / "examples" / "registry"
PROFILES = load_profiles()


@asynccontextmanager
async def opened(dsn: str, **options: Any) -> AsyncIterator[Store]:
    """A store that is closed at the end."""
    store = Store(dsn, max_connections=options.pop("max_connections", 4), **options)
    await store.open()
    try:
        yield store
    finally:
        await store.close()


async def fill(store: Store) -> None:
    """The example street."""
    await run_import(store, read_folder(EXAMPLES), by="test", profiles=PROFILES)


async def smoke(tx: Tx, detector: str = "d-0001", *, ago: timedelta = timedelta()) -> int:
    """An open smoke alarm of a detector of the street, with its first line of the log."""
    row = await (
        await tx.conn.execute(
            "SELECT p.id AS placement, p.household, h.building, b.grid, p.gateway FROM placement p"
            " JOIN household h ON h.id = p.household JOIN building b ON b.id = h.building"
            " WHERE p.detector = %s AND p.to_at IS NULL",
            (detector,),
        )
    ).fetchone()
    assert row is not None
    return await _open(tx, Condition.SMOKE, Severity.LIFE, detector, row, ago)


async def silent(tx: Tx, gateway: str = "gw-xh-1") -> int:
    """An open alarm of a gateway that is not heard."""
    row = {"placement": None, "household": None, "building": None, "grid": None, "gateway": gateway}
    return await _open(tx, Condition.GATEWAY_SILENT, Severity.UNWATCHED, "", row, timedelta())


async def _open(
    tx: Tx, condition: Condition, severity: Severity, part: str, row: dict[str, Any], ago: timedelta
) -> int:
    alarm = Alarm(
        id=(await alarms.reserve(tx, 1))[0],
        condition=condition,
        severity=severity,
        state=AlarmState.ACTIVE_UNACKNOWLEDGED,
        area="danshuichi",
        part=part,
        opened_at=tx.now - ago,
        event_at=tx.now - ago,
        **row,
    )
    lost = await alarms.insert(tx, [alarm])
    assert not lost()
    opened = alarms.Line(alarm.id, "opened", Reason.FIRST_ASSERT, to_state=AlarmState.ACTIVE_UNACKNOWLEDGED)
    await alarms.log(tx, [opened])
    return alarm.id
