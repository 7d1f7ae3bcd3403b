"""Rows of the registry. Law of this file: it saves and reads; the rules are in `central.registry`."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, Literal

from psycopg.rows import DictRow
from psycopg.types.json import Jsonb

from central.store.pool import Tx, notify
from central.store.sql import queries

Row = Mapping[str, Any]
Place = Literal["area", "community", "grid", "building", "household", "resident"]
Kind = Literal["area", "community", "grid", "building", "household", "worker", "gateway", "bus", "detector"]
"""What other things refer to; a bus is referred to as `gateway/bus`."""

_SQL = queries("registry")


async def save_places(tx: Tx, kind: Place, rows: Sequence[Row]) -> None:
    """Insert or update; an unchanged row is left alone. Raises StoreRefused for a missing parent."""
    async with tx.conn.cursor() as cursor:
        await cursor.executemany(_SQL[f"save_{kind}"], rows)


async def save_worker(tx: Tx, row: Row, grids: Sequence[Row], contacts: Sequence[Row]) -> None:
    """Insert or update a worker; `grids` and `contacts` become exactly these."""
    who = {"worker": row["id"]}
    async with tx.conn.cursor() as cursor:
        await cursor.execute(_SQL["save_worker"], row)
        await cursor.execute(_SQL["drop_worker_grids"], who)
        await cursor.execute(_SQL["drop_contacts"], who)
        if grids:
            await cursor.executemany(_SQL["add_worker_grid"], [{**who, **grid} for grid in grids])
        if contacts:
            ranked = [{**who, "rank": rank, **contact} for rank, contact in enumerate(contacts)]
            await cursor.executemany(_SQL["add_contact"], ranked)


async def save_gateway(tx: Tx, row: Row, by: str) -> None:
    """Insert or update a gateway, and begin its lease when it has none yet."""
    await tx.conn.execute(_SQL["save_gateway"], {**row, "at": tx.now, "by": by})
    await tx.conn.execute(_SQL["begin_lease"], {"gateway": row["id"], "area": row["area"], "at": tx.now})


async def lock_gateway(tx: Tx, gateway: str) -> DictRow | None:
    """The gateway's row, held until the end of the transaction; None when there is none."""
    return await (await tx.conn.execute(_SQL["lock_gateway"], {"id": gateway})).fetchone()


async def save_bus(tx: Tx, gateway: str, bus: str, settings: Row) -> None:
    """Insert or update a line; `settings` are a wire BusConfig without `bus` and `detectors`."""
    await tx.conn.execute(
        _SQL["save_bus"], {"gateway": gateway, "id": bus, "settings": Jsonb(dict(settings))}
    )


async def save_detector(tx: Tx, row: Row) -> None:
    """Insert or update a detector; its placement is not touched."""
    await tx.conn.execute(_SQL["save_detector"], row)


async def lock_detector(tx: Tx, detector: str) -> DictRow | None:
    """The detector's row, held until the end of the transaction; None when there is none."""
    return await (await tx.conn.execute(_SQL["lock_detector"], {"id": detector})).fetchone()


async def current_placement(tx: Tx, detector: str) -> DictRow | None:
    """Where it hangs now; None on the shelf."""
    return await (await tx.conn.execute(_SQL["current_placement"], {"detector": detector})).fetchone()


async def on_same_address(tx: Tx, gateway: str, bus: str, unit: int, detector: str) -> list[DictRow]:
    """The other detectors on this unit id of this line now."""
    row = {"gateway": gateway, "bus": bus, "unit": unit, "detector": detector}
    return await (await tx.conn.execute(_SQL["on_same_address"], row)).fetchall()


async def close_placement(tx: Tx, detector: str) -> str | None:
    """End the current placement; the gateway that watched it, or None when it hung nowhere."""
    row = await (
        await tx.conn.execute(_SQL["close_placement"], {"detector": detector, "at": tx.now})
    ).fetchone()
    return None if row is None else str(row["gateway"])


async def open_placement(tx: Tx, detector: str, row: Row) -> None:
    """Begin a placement. Raises StoreRefused when the place is taken or does not exist."""
    await tx.conn.execute(_SQL["open_placement"], {**row, "detector": detector, "at": tx.now})


async def watched(tx: Tx, gateway: str) -> list[DictRow]:
    """Each line of the gateway with each detector on it now (`detector` is null on an empty line)."""
    return await (await tx.conn.execute(_SQL["watched"], {"gateway": gateway})).fetchall()


async def helpers(tx: Tx, gateway: str, limit: int) -> list[DictRow]:
    """Telephone numbers of those who answer for the homes behind a gateway, with the detectors, in order."""
    return await _page(tx, "helpers", {"gateway": gateway, "limit": limit})


async def gateways_of_worker(tx: Tx, worker: str) -> set[str]:
    """The gateways that call this worker by themselves, or would if there were a number."""
    return {row["gateway"] for row in await _page(tx, "gateways_of_worker", {"worker": worker})}


async def gateways_of_places(tx: Tx, kind: Place, ids: Sequence[str]) -> set[str]:
    """The gateways that say where these grids, buildings or households are, or whom to call there."""
    row = {"kind": kind, "ids": list(ids)}
    return {found["gateway"] for found in await _page(tx, "gateways_of_places", row)}


async def current_epoch(tx: Tx) -> str:
    """The value that says which database this is."""
    row = await (await tx.conn.execute(_SQL["epoch"])).fetchone()
    assert row is not None, "migrate makes the epoch"
    return str(row["epoch"])


async def set_epoch(tx: Tx, epoch: str) -> None:
    """Say that this is another database than before (it was restored or replaced)."""
    await tx.conn.execute(_SQL["new_epoch"], {"epoch": epoch, "at": tx.now})


async def latest_config(tx: Tx, gateway: str) -> DictRow | None:
    """The configuration the gateway is wanted to run; None before the first."""
    return await (await tx.conn.execute(_SQL["latest_config"], {"gateway": gateway})).fetchone()


async def add_config(tx: Tx, gateway: str, version: int, digest: str, body: bytes, by: str) -> None:
    """Want this configuration from now on, and wake ingest to publish it."""
    row = {"gateway": gateway, "version": version, "hash": digest, "body": body, "at": tx.now, "by": by}
    await tx.conn.execute(_SQL["add_config"], row)
    await notify(tx, "config", gateway)


async def known(tx: Tx, kind: Kind, name: str) -> bool:
    """Whether there is one of this kind with this id."""
    row = await (await tx.conn.execute(_SQL[f"known_{kind}"], {"id": name})).fetchone()
    return row is not None


async def ids(tx: Tx, kind: Kind) -> set[str]:
    """Every id of a kind that something else may refer to."""
    rows = await (await tx.conn.execute(_SQL[f"ids_{kind}"])).fetchall()
    return {str(row["id"]) for row in rows}


async def gateways(tx: Tx, *, gateway: str | None = None, after: str = "", limit: int = 100) -> list[DictRow]:
    """Gateways with their lines, lease and wanted configuration, by id."""
    return await _page(tx, "gateways", {"id": gateway, "after": after, "limit": limit})


async def detectors(
    tx: Tx, *, detector: str | None = None, gateway: str | None = None, after: str = "", limit: int = 100
) -> list[DictRow]:
    """Detectors with where they hang now, by id. No personal data."""
    return await _page(tx, "detectors", {"id": detector, "gateway": gateway, "after": after, "limit": limit})


async def placements(tx: Tx, detector: str) -> list[DictRow]:
    """Every place where the detector has hung, oldest first."""
    return await _page(tx, "placements", {"detector": detector})


async def households(
    tx: Tx, *, building: str | None = None, after: str = "", limit: int = 100
) -> list[DictRow]:
    """Homes by id: addresses only."""
    return await _page(tx, "households", {"building": building, "after": after, "limit": limit})


async def residents(
    tx: Tx,
    *,
    resident: str | None = None,
    household: str | None = None,
    after: str = "",
    limit: int = 100,
) -> list[DictRow]:
    """Residents by id. Personal data: the caller writes the audit row in the same transaction."""
    row = {"id": resident, "household": household, "after": after, "limit": limit}
    return await _page(tx, "residents", row)


async def workers(tx: Tx, *, after: str = "", limit: int = 100) -> list[DictRow]:
    """Workers with their grids and contacts, by id."""
    return await _page(tx, "workers", {"after": after, "limit": limit})


async def places(
    tx: Tx,
    kind: Literal["areas", "communities", "grids", "buildings"],
    *,
    after: str = "",
    limit: int = 1000,
) -> list[DictRow]:
    """Places of one kind, by id."""
    return await _page(tx, kind, {"after": after, "limit": limit})


async def _page(tx: Tx, name: str, row: Row) -> list[DictRow]:
    return await (await tx.conn.execute(_SQL[name], row)).fetchall()


async def set_worker_active(tx: Tx, worker: str, *, active: bool) -> bool:
    """Put a worker on or off duty; False when there is none."""
    row = {"id": worker, "active": active}
    return (await tx.conn.execute(_SQL["set_worker_active"], row)).rowcount == 1
