"""Numbers that stand for a gateway's detector in `readings`. Law of this file: a number is never given again.

Only a detector that the registry knows gets one. What is remembered here is of one database: another epoch
may have given the same numbers to others.
"""

from __future__ import annotations

from collections.abc import Sequence

from central.store.epoch import epoch
from central.store.pool import Tx
from central.store.sql import queries

_sql = queries("series")
Names = tuple[str, str]
"""Gateway and detector."""


class SeriesIds:
    """The numbers that are known; asked by one task at a time or by several."""

    def __init__(self) -> None:
        self._epoch = ""
        self._known: dict[str, dict[str, int]] = {}

    async def find(self, tx: Tx, asked: Sequence[tuple[str, Sequence[str]]]) -> list[list[int | None]]:
        """The numbers of the detectors of each (gateway, detectors); None for a stranger.

        New ones are given here, and remembered only when they are asked for again: this transaction may fail.
        """
        now = await epoch(tx)
        if now != self._epoch:
            self._epoch, self._known = now, {}
        numbers = self._numbers(asked)
        missing = _strangers(asked, numbers)
        if missing:
            for (gateway, detector), number in (await _found(tx, missing)).items():
                self._known.setdefault(gateway, {})[detector] = number
            numbers = self._numbers(asked)
            missing = _strangers(asked, numbers)
        if missing:
            await tx.conn.execute(_sql["add"], _columns(missing))
            fresh = await _found(tx, missing)
            for (gateway, detectors), found in zip(asked, numbers, strict=True):
                found[:] = (
                    fresh.get((gateway, detector)) if number is None else number
                    for detector, number in zip(detectors, found, strict=True)
                )
        return numbers

    def _numbers(self, asked: Sequence[tuple[str, Sequence[str]]]) -> list[list[int | None]]:
        return [list(map(self._known.get(gateway, {}).get, detectors)) for gateway, detectors in asked]


def _strangers(asked: Sequence[tuple[str, Sequence[str]]], numbers: list[list[int | None]]) -> list[Names]:
    found = {
        (gateway, detector)
        for (gateway, detectors), known in zip(asked, numbers, strict=True)
        if None in known
        for detector, number in zip(detectors, known, strict=True)
        if number is None
    }
    return sorted(found)


async def _found(tx: Tx, asked: list[Names]) -> dict[Names, int]:
    rows = await (await tx.conn.execute(_sql["find"], _columns(asked))).fetchall()
    return {(row["gateway"], row["detector"]): int(row["id"]) for row in rows}


def _columns(asked: list[Names]) -> dict[str, list[str]]:
    return {"gateways": [gateway for gateway, _ in asked], "detectors": [detector for _, detector in asked]}
