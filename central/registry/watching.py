"""What a gateway is told to watch.

Law of this file: equal content never makes a new version, and every change that a gateway must know of goes
through `rebuild` in the transaction that makes it.
"""

from __future__ import annotations

import re
import uuid
from collections.abc import Iterable
from itertools import groupby
from typing import Any

import msgspec
import structlog

from central.notifier.render import home
from central.registry.check import missing
from central.registry.errors import MissingError, Problem, RegistryError
from central.store import audit
from central.store import registry as rows
from central.store.pool import Tx
from wire import codec
from wire.errors import LocalError
from wire.messages import BusConfig, Contact, DetectorConfig, GatewayConfig
from wire.topics import Channel

CONTACTS_MAX = 100
"""As many as a configuration holds; the first to go come first."""
PLACE_MAX = 80
_log = structlog.get_logger()

REPORT_S = 3600.0
"""A reading that does not change is told hourly: told every five minutes, it alone is 50 MB of mobile data a
month for 128 detectors."""


async def rebuild(
    tx: Tx, gateway: str, by: str, *, again: bool = False, may_watch_nothing: bool = False
) -> int | None:
    """Want the gateway to run what the registry says; the new version, or None when nothing changed.

    `again` makes a new version of the same content (a new epoch). `may_watch_nothing`: a person has said that
    no detector is to be watched any more; without it the gateway keeps its watch when none is left.
    Raises RegistryError when what hangs on the gateway does not fit into one configuration.
    """
    if await rows.lock_gateway(tx, gateway) is None:
        return None
    watched = await rows.watched(tx, gateway)
    buses, contacts = _buses(watched), _contacts(watched, await rows.helpers(tx, gateway, CONTACTS_MAX))
    latest = await rows.latest_config(tx, gateway)
    version = 1 if latest is None else int(latest["version"]) + 1
    try:
        config = codec.seal_config(
            await rows.current_epoch(tx),
            version,
            buses,
            REPORT_S,
            contacts=contacts,
            may_watch_nothing=may_watch_nothing and not any(bus.detectors for bus in buses),
        )
        body = codec.encode(config)
    except LocalError as error:
        raise RegistryError(
            [
                Problem(
                    f"gateway {gateway}",
                    f"cannot be told all it would have to watch: {error}",
                    "该网关的配置超出限制",
                    "Spread the detectors over more gateways or lines.",
                )
            ]
        ) from error
    if latest is not None and latest["hash"] == config.hash and not again:
        return None
    await rows.add_config(tx, gateway, version, config.hash, body, by)
    _log.info("gateway configuration made", gateway=gateway, version=version, by=by)
    return version


async def rebuild_all(
    tx: Tx, gateways: Iterable[str], by: str, *, may_watch_nothing: bool = False
) -> list[str]:
    """Rebuild several, in the order in which their rows are locked; those that got a new version."""
    return [
        gateway
        for gateway in sorted(set(gateways))
        if await rebuild(tx, gateway, by, may_watch_nothing=may_watch_nothing) is not None
    ]


async def stand_down(tx: Tx, gateway: str, by: str, *, from_where: str = "") -> int | None:
    """Have the gateway watch nothing; its new version, or None when that is already wanted of it.

    Raises MissingError for an unknown gateway, RegistryError while a detector hangs on it.
    """
    if await rows.lock_gateway(tx, gateway) is None:
        raise MissingError([missing("gateway", "gateway", gateway)])
    hanging = [row["detector"] for row in await rows.watched(tx, gateway) if row["detector"] is not None]
    if hanging:
        raise RegistryError(
            [
                Problem(
                    f"gateway {gateway}",
                    f"still watches {len(hanging)} detectors, {hanging[0]} among them",
                    "该网关仍有探测器",
                    "Move or remove them first.",
                )
            ]
        )
    await audit.note(
        tx, who=by, action="stand_down_gateway", subject=f"gateway:{gateway}", from_where=from_where
    )
    return await rebuild(tx, gateway, by, may_watch_nothing=True)


async def new_epoch(tx: Tx, by: str) -> tuple[str, int]:
    """Say that this database is another than before; returns the epoch and how many gateways are told."""
    epoch = uuid.uuid4().hex
    await rows.set_epoch(tx, epoch)
    told = 0
    for gateway in sorted(await rows.ids(tx, "gateway")):
        told += await rebuild(tx, gateway, by, again=True) is not None
    await audit.note(tx, who=by, action="new_epoch", subject=f"epoch:{epoch}", detail={"gateways": told})
    return epoch, told


def read_config(body: bytes) -> GatewayConfig:
    """A stored configuration."""
    config = codec.decode(Channel.CONFIG, bytes(body))
    assert isinstance(config, GatewayConfig)
    return config


def _buses(watched: list[dict[str, Any]]) -> tuple[BusConfig, ...]:
    found = []
    for bus, lines in groupby(watched, key=lambda row: row["bus"]):
        on_it = list(lines)
        found.append(
            msgspec.structs.replace(
                msgspec.convert({**on_it[0]["settings"], "bus": bus}, BusConfig),
                detectors=[
                    DetectorConfig(
                        detector=row["detector"],
                        unit=row["unit"],
                        profile=row["profile"],
                        point=row["point"],
                        allow_writes=row["allow_writes"],
                        place=_place(row),
                    )
                    for row in on_it
                    if row["detector"] is not None
                ],
            )
        )
    return tuple(found)


def _place(row: dict[str, Any]) -> str:
    """Where it hangs, for whoever the gateway calls by itself: no name of anybody."""
    words = (row["building"], home(row["entrance"], row["floor"], row["room"], "zh"), row["spot"])
    return " ".join(word for word in words if word)[:PLACE_MAX]


def _contacts(watched: list[dict[str, Any]], helpers: list[dict[str, Any]]) -> list[Contact]:
    everything = {row["detector"] for row in watched if row["detector"] is not None}
    return [
        Contact(
            phone=re.sub(r"[ -]", "", one["phone"]),
            detectors=[] if everything <= set(one["detectors"]) else one["detectors"],
        )
        for one in helpers
    ]
