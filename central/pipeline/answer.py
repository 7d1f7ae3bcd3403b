"""What a gateway is told about a batch. Law of this file: it always carries epoch and our time."""

from __future__ import annotations

from collections.abc import Iterable

from central.store.epoch import epoch
from central.store.pool import Tx
from wire.messages import Ack, Ask, Lane


async def answer(
    tx: Tx, stream: str, lane: Lane, cursor: int, *, echo_ms: int | None, asks: Iterable[Ask] = ()
) -> Ack:
    """To be sent once `tx` is committed. `echo_ms` is the batch's own monotonic time."""
    return Ack(
        stream=stream,
        lane=lane,
        through_seq=cursor,
        epoch=await epoch(tx),
        server_ms=round(tx.now.timestamp() * 1000),
        echo_ms=echo_ms,
        ask=sorted(asks),
    )
