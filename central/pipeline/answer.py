"""What a gateway is told about a batch. Law of this file: it always carries epoch and our time."""

from __future__ import annotations

from collections.abc import Iterable, Sequence

from central.store.epoch import epoch
from central.store.pool import Tx
from wire.messages import Ack, Ask, Lane


async def answer(
    tx: Tx, stream: str, lane: Lane, cursor: int, *, echo_ms: int | None, asks: Iterable[Ask] = ()
) -> Ack:
    """To be sent once `tx` is committed. `echo_ms` is the batch's own monotonic time."""
    (ack,) = await answers(tx, lane, [(stream, cursor, echo_ms)], asks)
    return ack


async def answers(
    tx: Tx, lane: Lane, taken: Sequence[tuple[str, int, int | None]], asks: Iterable[Ask] = ()
) -> list[Ack]:
    """The same for several batches: the stream of each, its cursor now, and its own monotonic time."""
    ours, now_ms, asked = await epoch(tx), round(tx.now.timestamp() * 1000), sorted(asks)
    return [
        Ack(
            stream=stream,
            lane=lane,
            through_seq=cursor,
            epoch=ours,
            server_ms=now_ms,
            echo_ms=echo_ms,
            ask=asked,
        )
        for stream, cursor, echo_ms in taken
    ]
