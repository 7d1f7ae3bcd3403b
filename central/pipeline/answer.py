"""What a gateway is told about a batch. Law of this file: it always carries epoch and our time."""

from __future__ import annotations

from collections.abc import Collection, Sequence
from typing import NamedTuple

from central.store.epoch import epoch
from central.store.pool import Tx
from wire.messages import Ack, Ask, Lane


class Said(NamedTuple):
    """What is to be said about one batch."""

    stream: str
    cursor: int
    echo_ms: int | None
    """The batch's own monotonic time."""
    asks: Collection[Ask] = ()
    unknown: Sequence[str] = ()
    """Detectors whose readings are not kept, at most 16."""


async def answers(tx: Tx, lane: Lane, said: Sequence[Said], ours: str | None = None) -> list[Ack]:
    """To be sent once `tx` is committed. `ours` is the epoch where the caller knows it already."""
    ours, now_ms = ours or await epoch(tx), round(tx.now.timestamp() * 1000)
    return [
        Ack(
            stream=one.stream,
            lane=lane,
            through_seq=one.cursor,
            epoch=ours,
            server_ms=now_ms,
            echo_ms=one.echo_ms,
            ask=sorted(one.asks),
            unknown=list(one.unknown),
        )
        for one in said
    ]
