"""The two lanes of one gateway: what is on record, what goes into the next message, what an answer means.

Law of this file: pure, and the same rules of delivery as a real gateway's (`wire.sender`). What is sent again
is the same as before, whatever its number has become. Readings are not kept, of a whole message only the
moment at which it was read: all else follows from its place in the record.
"""

from __future__ import annotations

from collections import deque
from collections.abc import Sequence

from msgspec import structs

from simulator.fleet.bodies import Bodies, Chunk, head
from simulator.fleet.tally import LaneTally
from wire.codec import encode, encode_event
from wire.messages import URGENT, Ack, Clock, Event, EventBatch, EventKind, Lane
from wire.sender import Outcome, Range, Sender

EVENT_WINDOW = 8
EVENT_BYTES = 32_000
"""Events in a batch at most, as a real gateway does it."""
ALONE_MESSAGES = 100
"""So many messages carry one event each after the centre could not read an envelope."""
_KEPT_STAMPS = 300


class _Stamps:
    """When each batch under way was sent, for the delay of its answer."""

    __slots__ = ("_sent",)

    def __init__(self) -> None:
        self._sent: dict[int, float] = {}

    def sent(self, stamp: int, now: float) -> None:
        self._sent[stamp] = now
        if len(self._sent) > _KEPT_STAMPS:
            del self._sent[next(iter(self._sent))]

    def answered(self, stamp: int | None, now: float) -> float | None:
        """Seconds since that batch was sent; None when it is not known."""
        at = None if stamp is None else self._sent.pop(stamp, None)
        return None if at is None else now - at


def _take_answer(
    sender: Sender, stamps: _Stamps, tally: LaneTally, ack: Ack, now: float
) -> tuple[Outcome, range]:
    """What an answer means, counted, and the rows that are safe now and were not before."""
    before = sender.acked
    outcome = sender.on_ack(ack, now)
    took = stamps.answered(ack.echo_ms, now)
    if outcome.answered and took is not None:
        tally.delays.add(took * 1000)
    safe = range(before + 1, (outcome.forget_through or before) + 1)
    tally.acked += len(safe)
    return outcome, safe


class ReadingLane:
    """Readings of one gateway, in chunks of one message each.

    Row r (from 0, over all streams) is row r modulo `bodies.rows` of chunk r // `bodies.rows`; its number in
    the stream is r less what was acknowledged before the stream began, counted from 1.
    """

    __slots__ = (
        "_before", "_bodies", "_boot", "_detectors", "_first_chunk", "_head", "_hold", "_names", "_number",
        "_stamps", "_tally", "_told", "_until_ms", "_window", "moments", "sender",
    )  # fmt: skip

    def __init__(
        self,
        number: int,
        detectors: Sequence[str],
        bodies: Bodies,
        tally: LaneTally,
        *,
        stream: str,
        boot: str,
        window: int,
        hold: int,
        epoch: str | None,
    ) -> None:
        self._number = number
        self._detectors = detectors
        self._bodies = bodies
        self._tally = tally
        self._boot = boot
        self._window = window
        self._hold = max(hold, bodies.rows)
        self._names = bodies.names(detectors, 0) if bodies.aligned else None
        self._head = head(stream, boot)
        self._before = 0
        self._first_chunk = 0
        self._told = 0
        self._until_ms = 0
        self._stamps = _Stamps()
        self.moments: deque[int] = deque()
        """When each chunk that is still held was read, milliseconds."""
        self.sender = Sender(stream, Lane.READINGS, highest=0, window=window, epoch=epoch)

    @property
    def depth(self) -> int:
        """Rows on record and not yet safe."""
        return self.sender.depth

    @property
    def has_room(self) -> bool:
        """Whether the window takes another message than those that are held."""
        return self.sender.depth <= (self._window - 1) * self._bodies.rows

    def may_read(self, wall_ms: int) -> bool:
        """Whether another chunk can have been read by now: one reading a millisecond."""
        return self._until_ms + self._bodies.rows <= wall_ms

    def record(self, wall_ms: int) -> None:
        """Another chunk has been read by now; the oldest one is given up when too many wait."""
        rows = self._bodies.rows
        at_ms = max(wall_ms - rows, self._until_ms)
        self._until_ms = at_ms + rows
        self.moments.append(at_ms)
        self._tally.recorded += rows
        self.sender.recorded(self.sender.highest + rows)
        if self.sender.depth > self._hold:
            end = (self._first_chunk + 1) * rows - self._before
            self._tally.gaps += end - self.sender.acked
            self.sender.evicted(end)
            self._trim()

    def next(self, now: float, clock: Clock) -> bytes | None:
        """The next message, or None. `clock.mono_ms` must never be the same twice."""
        wanted = self.sender.next_range(now)
        if wanted is None:
            return None
        bodies = self._bodies
        row = wanted.first - 1 + self._before
        number, begin = divmod(row, bodies.rows)
        end = min(bodies.rows, begin + wanted.last - wanted.first + 1)
        chunk = Chunk(number, number + self._number, self.moments[number - self._first_chunk])
        oldest = self.sender.acked + 1
        if begin == 0 and end == bodies.rows:
            names = bodies.names(self._detectors, number) if self._names is None else self._names
            payload = bodies.whole(self._head, clock, wanted.first, oldest, chunk, names)
        else:
            stream, names_of_all = self.sender.stream, self._detectors
            payload = bodies.part(
                stream, self._boot, clock, wanted.first, oldest, chunk, names_of_all, begin, end
            )
        self.sender.sent(Range(wanted.first, wanted.first + end - begin - 1), now, clock.mono_ms)
        self._stamps.sent(clock.mono_ms, now)
        fresh = max(0, row + end - begin - max(row, self._told))
        self._told = max(self._told, row + end - begin)
        self._tally.messages += 1
        self._tally.sent += fresh
        self._tally.repeated += end - begin - fresh
        return payload

    def on_ack(self, ack: Ack, now: float) -> Outcome:
        """Take an answer."""
        outcome, safe = _take_answer(self.sender, self._stamps, self._tally, ack, now)
        if safe:
            self._trim()
        return outcome

    def new_stream(self, stream: str) -> None:
        """What is held is numbered from 1 again, under another name."""
        old = self.sender
        self._before += old.acked
        self._head = head(stream, self._boot)
        self.sender = Sender(stream, Lane.READINGS, highest=old.depth, window=self._window, epoch=old.epoch)

    def _trim(self) -> None:
        chunk = (self.sender.acked + self._before) // self._bodies.rows
        while self._first_chunk < chunk:
            self.moments.popleft()
            self._first_chunk += 1


class _Held:
    """One event on record."""

    __slots__ = ("event", "size", "told")

    def __init__(self, event: Event) -> None:
        self.event = event
        self.size = len(encode_event(event))
        self.told = False


class EventLane:
    """Events of one gateway, kept until they are acknowledged."""

    __slots__ = ("_alone", "_boot", "_held", "_stamps", "_tally", "sender")

    def __init__(self, tally: LaneTally, *, stream: str, boot: str, epoch: str | None) -> None:
        self._tally = tally
        self._boot = boot
        self._alone = 0
        self._held: dict[int, _Held] = {}
        self._stamps = _Stamps()
        self.sender = Sender(stream, Lane.EVENTS, highest=0, window=EVENT_WINDOW, epoch=epoch)

    @property
    def depth(self) -> int:
        """Events on record and not yet safe."""
        return self.sender.depth

    @property
    def oldest_mono_ms(self) -> int | None:
        """When the oldest event that is not yet safe was recorded; None when there is none."""
        held = self._held.get(self.sender.acked + 1)
        return None if held is None else held.event.mono_ms

    @property
    def snapshot_waits(self) -> bool:
        """Whether the last event is a snapshot that has not been sent yet."""
        held = self._held.get(self.sender.highest)
        return held is not None and held.event.kind is EventKind.SNAPSHOT and not held.told

    @property
    def next_seq(self) -> int:
        """The number that the next event must have."""
        return self.sender.highest + 1

    def record(self, event: Event) -> None:
        """An event is on record; its number is `next_seq`."""
        self._held[event.seq] = _Held(event)
        self._tally.recorded += 1
        self.sender.recorded(event.seq, urgent=_urgent(event))

    def next(self, now: float, clock: Clock) -> bytes | None:
        """The next message, or None. `clock.mono_ms` must never be the same twice."""
        wanted = self.sender.next_range(now)
        if wanted is None:
            return None
        batch: list[Event] = []
        size = 0
        for seq in range(wanted.first, (wanted.first if self._alone else wanted.last) + 1):
            held = self._held[seq]
            if batch and size + held.size > EVENT_BYTES:
                break
            size += held.size
            batch.append(held.event)
            self._tally.sent += not held.told
            self._tally.repeated += held.told
            held.told = True
        self._alone = max(0, self._alone - 1)
        payload = encode(
            EventBatch(
                stream=self.sender.stream,
                first_seq=wanted.first,
                oldest_seq=self.sender.acked + 1,
                boot=self._boot,
                sent_boot=self._boot,
                clock=clock,
                events=batch,
            )
        )
        self.sender.sent(Range(wanted.first, batch[-1].seq, wanted.urgent), now, clock.mono_ms)
        self._stamps.sent(clock.mono_ms, now)
        self._tally.messages += 1
        return payload

    def on_ack(self, ack: Ack, now: float) -> Outcome:
        """Take an answer."""
        outcome, safe = _take_answer(self.sender, self._stamps, self._tally, ack, now)
        for seq in safe:
            del self._held[seq]
        if outcome.one_by_one:
            self._alone = ALONE_MESSAGES
        return outcome

    def new_stream(self, stream: str) -> None:
        """What is held is numbered from 1 again, under another name."""
        old = self.sender
        held = [self._held[seq] for seq in sorted(self._held)]
        self._held = {}
        self.sender = Sender(stream, Lane.EVENTS, highest=len(held), window=EVENT_WINDOW, epoch=old.epoch)
        for seq, each in enumerate(held, 1):
            each.event = structs.replace(each.event, seq=seq)
            self._held[seq] = each
            if _urgent(each.event):
                self.sender.recorded(seq, urgent=True)


def _urgent(event: Event) -> bool:
    return event.kind is EventKind.ASSERT and event.condition in URGENT
