"""Numbers that stand for a gateway's detector in `readings`. Law of this file: a number is never given again.

Only a detector that the registry knows gets one. What is remembered here is of one database: another epoch
may have given the same numbers to others.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

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

    async def find(self, tx: Tx, asked: Mapping[str, Iterable[str]]) -> dict[str, Mapping[str, int]]:
        """By gateway the numbers of its detectors (more than were asked, maybe); strangers are not in it.

        New ones are given here, and remembered only when they are asked for again: this transaction may fail.
        """
        now = await epoch(tx)
        if now != self._epoch:
            self._epoch, self._known = now, {}
        missing = [
            (gateway, detector)
            for gateway, detectors in asked.items()
            for detector in set(detectors) - self._known.get(gateway, {}).keys()
        ]
        fresh: dict[str, dict[str, int]] = {}
        if missing:
            for (gateway, detector), number in (await _found(tx, missing)).items():
                self._known.setdefault(gateway, {})[detector] = number
            missing = [names for names in missing if names[1] not in self._known.get(names[0], {})]
        if missing:
            await tx.conn.execute(_sql["add"], _columns(missing))
            for (gateway, detector), number in (await _found(tx, missing)).items():
                fresh.setdefault(gateway, {})[detector] = number
        return {
            gateway: {**self._known.get(gateway, {}), **fresh[gateway]}
            if gateway in fresh
            else self._known.get(gateway, {})
            for gateway in asked
        }


async def _found(tx: Tx, asked: list[Names]) -> dict[Names, int]:
    rows = await (await tx.conn.execute(_sql["find"], _columns(asked))).fetchall()
    return {(row["gateway"], row["detector"]): int(row["id"]) for row in rows}


def _columns(asked: list[Names]) -> dict[str, list[str]]:
    return {"gateways": [gateway for gateway, _ in asked], "detectors": [detector for _, detector in asked]}
