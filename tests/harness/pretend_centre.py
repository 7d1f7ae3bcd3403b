"""A centre without a broker and a database, for tests of a fleet: takes payloads, gives back answers.

It judges by `wire.delivery`, as the real one does, and keeps all that it was told.
"""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

from wire.codec import decode, encode, event_digest
from wire.delivery import take_events, take_readings
from wire.messages import Ack, Ask, Event, EventBatch, Lane, ReadingBatch, Status
from wire.topics import Channel, gateway_topic, parse

EPOCH = "e" * 32


@dataclass
class PretendCentre:
    """What a fleet has said. Set `asks` to have the next answers ask for something."""

    epoch: str = EPOCH
    asks: list[Ask] = field(default_factory=list)
    cursors: dict[tuple[str, str], int] = field(default_factory=dict)
    events: dict[tuple[str, str, int], Event] = field(default_factory=dict)
    readings: Counter[tuple[str, str, int]] = field(default_factory=Counter)
    """(gateway, detector, moment) of every row stored."""
    values: dict[tuple[str, str, int], tuple[float | None, ...]] = field(default_factory=dict)
    statuses: list[tuple[str, Status]] = field(default_factory=list)
    batches: list[EventBatch | ReadingBatch] = field(default_factory=list)
    gaps: list[tuple[int, int]] = field(default_factory=list)
    conflicts: int = 0

    def restored(self, epoch: str) -> None:
        """The database is another one, and empty."""
        self.epoch = epoch
        self.cursors.clear()
        self.events.clear()
        self.readings.clear()

    def take(self, topic: bytes, payload: bytes) -> tuple[bytes, bytes] | None:
        """Topic and payload of the answer; None for a heartbeat. RemoteError: it breaks the contract."""
        address = parse(topic.decode())
        said = decode(address.channel, payload)
        if isinstance(said, Status):
            self.statuses.append((address.gateway, said))
            return None
        assert isinstance(said, EventBatch | ReadingBatch), said
        self.batches.append(said)
        key = (address.gateway, said.stream)
        cursor = self.cursors.get(key, 0)
        asks = list(self.asks)
        if isinstance(said, EventBatch):
            lane = Lane.EVENTS
            stored = {seq: event_digest(e) for (*k, seq), e in self.events.items() if tuple(k) == key}
            taken = take_events(cursor, stored, said)
            cursor, gap = taken.cursor, taken.gap
            self.events |= {(*key, event.seq): event for event in taken.new}
            self.conflicts += len(taken.conflicts)
            asks += taken.asks
        else:
            lane = Lane.READINGS
            rows = take_readings(cursor, said)
            cursor, gap = rows.cursor, rows.gap
            for i in range(rows.skip, len(said.t)):
                row = (address.gateway, said.detector[i], said.t[i])
                self.readings[row] += 1
                self.values[row] = (
                    said.smoke[i],
                    said.temperature[i],
                    said.battery[i],
                    said.contamination[i],
                )
        self.gaps += [] if gap is None else [gap]
        self.cursors[key] = cursor
        ack = Ack(
            stream=said.stream,
            lane=lane,
            through_seq=cursor,
            epoch=self.epoch,
            server_ms=0,
            echo_ms=said.clock.mono_ms,
            ask=asks,
        )
        return gateway_topic(address.area, address.gateway, Channel.ACK).encode(), encode(ack)
