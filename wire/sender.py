"""The edge's end of a lane: what to send next, and what may be forgotten.

Law of this file: a row is forgotten only on an answer *to a batch that held this very row*, known by the
batch's echo. The cursor in the answer alone would not do: the box may be a clone or its file may have gone
back in time, and then the cursor counts rows of its twin. Pure: `now` is seconds of a clock that only runs
forward.

A batch is *under way* from `sent` until it is answered, or lost: because a later one was answered before it,
because the retry time is over, or because the line or the centre's database is another one.
"""

from __future__ import annotations

import heapq
from collections import OrderedDict
from collections.abc import Mapping
from dataclasses import dataclass
from typing import NamedTuple

from wire.messages import Ack, Ask, Lane

RETRY_S = 3.0
"""An answer that has not come after this time will not come; doubles while nothing at all is answered."""
MAX_RETRY_S = 30.0
URGENT_RETRY_S = 5.0
"""The same for urgent rows, which never wait longer."""
PROBE_ROWS = 20
"""Rows in a batch while nobody answers: enough to find out, cheap on mobile data."""
MAX_ROWS: Mapping[Lane, int] = {Lane.EVENTS: 1000, Lane.READINGS: 5000}
"""Rows in a batch, as `messages` bounds them."""
_KEPT_LOST = 256


class Range(NamedTuple):
    """Rows `first` to `last`, both included."""

    first: int
    last: int
    urgent: bool = False
    """Sent ahead of what waits."""


@dataclass(frozen=True, slots=True)
class Outcome:
    """What an acknowledgement means for the edge."""

    forget_through: int | None = None
    """Rows up to here are safe at the centre; None when nothing new is."""
    new_stream: bool = False
    """Start another stream and send all that is held again (after forgetting)."""
    snapshot: bool = False
    """Record a snapshot of every detector."""
    one_by_one: bool = False
    """Send one event a message for a while: the centre could not read an envelope."""
    epoch_changed: bool = False
    """The centre's database is another one than before."""
    answered: bool = False
    """This answers a batch of ours; its echo is good for measuring the round trip."""
    stored: Range | None = None
    """Rows of the batch this answers: the centre has them, though its cursor may be short of them."""


@dataclass(frozen=True, slots=True)
class _Flight:
    rows: Range
    order: int
    at: float


class Sender:
    """One lane of one stream. Costs do not grow with the backlog.

    `highest` is the highest seq ever written in the stream, `acked` the highest already forgotten, `window`
    the number of batches under way, `epoch` the centre's database as last heard.
    """

    def __init__(
        self,
        stream: str,
        lane: Lane,
        *,
        highest: int,
        acked: int = 0,
        window: int = 8,
        epoch: str | None = None,
    ) -> None:
        self._stream = stream
        self._lane = lane
        self._highest = max(highest, acked)
        self._acked = acked
        self._window = window
        self._epoch = epoch
        self._next = acked + 1
        self._through = acked
        self._fresh: list[int] = []
        self._urgent: list[int] = []
        self._again: list[Range] = []
        self._early: set[int] = set()
        self._answered: list[Range] = []
        self._flights: OrderedDict[int, _Flight] = OrderedDict()
        self._lost: OrderedDict[int, _Flight] = OrderedDict()
        self._order = 0
        self._retry_s = RETRY_S
        self._probing = False
        self._moved_at: float | None = None

    @property
    def stream(self) -> str:
        """The stream this sender speaks for."""
        return self._stream

    @property
    def acked(self) -> int:
        """Rows up to here may be forgotten."""
        return self._acked

    @property
    def highest(self) -> int:
        """The last row recorded."""
        return self._highest

    @property
    def depth(self) -> int:
        """Rows recorded and not yet safe."""
        return self._highest - self._acked

    @property
    def epoch(self) -> str | None:
        """The centre's database as last heard; None before the first."""
        return self._epoch

    @property
    def retry_s(self) -> float:
        """Seconds after which an unanswered batch is sent again."""
        return self._retry_s

    def recorded(self, seq: int, *, urgent: bool = False) -> None:
        """A row is on record. A new urgent one goes out at once, whatever waits or is under way."""
        if urgent and seq > self._acked:
            (self._fresh if seq > self._highest else self._urgent).append(seq)
        self._highest = max(self._highest, seq)

    def evicted(self, through: int) -> None:
        """Rows up to here are gone without an answer: a bounded buffer overflowed."""
        self._highest = max(self._highest, through)
        self._settle(through)

    def next_range(self, now: float) -> Range | None:
        """What to send now; None when there is nothing or the window is full. Report it with `sent`."""
        self._expire(now)
        limit = PROBE_ROWS if self._probing else MAX_ROWS[self._lane]
        if self._fresh:
            return _newest(self._fresh, limit)
        if len(self._flights) >= (1 if self._probing else self._window):
            return None
        return self._waiting(limit)

    def sent(self, rows: Range, now: float, echo_ms: int | None = None) -> None:
        """These rows went out in a batch stamped `echo_ms`, unique within the lane (default: made of `now`).

        They may be fewer than `next_range` offered, when the batch would have been too big.
        """
        echo = round(now * 1000) if echo_ms is None else echo_ms
        if echo in self._flights:
            self._lose(echo)
        self._lost.pop(echo, None)
        self._order += 1
        self._flights[echo] = _Flight(rows, self._order, now)
        self._moved_at = now
        if rows.urgent:
            self._drop_urgent(rows)
            self._early.update(range(rows.first, rows.last + 1))
        elif self._again and self._again[0].first == rows.first:
            whole = heapq.heappop(self._again)
            if rows.last < whole.last:
                heapq.heappush(self._again, Range(rows.last + 1, whole.last))
        else:
            self._next = max(self._next, rows.last + 1)
            self._drop_urgent(rows)

    def on_ack(self, ack: Ack, now: float) -> Outcome:
        """Take an answer. One for another stream or lane, or to no batch we know of, forgets nothing."""
        if ack.lane is not self._lane:
            return Outcome()
        if ack.stream != self._stream:
            return Outcome(one_by_one=Ask.ONE_BY_ONE in ack.ask)
        flight = self._take_flight(ack.echo_ms)
        changed = flight is not None and self.on_epoch(ack.epoch)
        forget = stored = None
        if flight is not None:
            self._moved_at = now
            self._retry_s = RETRY_S
            self._probing = False
            self._lose_before(flight)
            if Ask.NEW_STREAM in ack.ask or Ask.ONE_BY_ONE in ack.ask:
                self._send_again(flight.rows)
            else:
                stored = flight.rows
                forget = self._confirm(flight.rows, min(ack.through_seq, self._highest))
        return Outcome(
            forget_through=forget,
            # An answer beyond all we ever wrote: our file went back in time.
            new_stream=Ask.NEW_STREAM in ack.ask or ack.through_seq > self._highest,
            snapshot=changed or Ask.SNAPSHOT in ack.ask,
            one_by_one=Ask.ONE_BY_ONE in ack.ask,
            epoch_changed=changed,
            answered=flight is not None,
            stored=stored,
        )

    def on_epoch(self, epoch: str) -> bool:
        """Hear which database the centre has, from an answer or its broadcast. True when it is another.

        Then what was answered and not yet forgotten does not count any more: it is sent again.
        """
        if self._probing:
            self._retry_s = RETRY_S
        before, self._epoch = self._epoch, epoch
        if before is None or before == epoch:
            return False
        self._start_over()
        return True

    def reconnected(self) -> None:
        """The line is a new one: what was under way may be gone and is sent again at once."""
        for echo in list(self._flights):
            self._lose(echo)
        self._retry_s = RETRY_S
        self._probing = False

    # -- what waits

    def _waiting(self, limit: int) -> Range | None:
        if self._urgent:
            return _newest(self._urgent, limit)
        while self._again:
            rows = self._again[0]
            if rows.first > self._acked:
                return Range(rows.first, min(rows.last, rows.first + limit - 1))
            heapq.heappop(self._again)
            if rows.last > self._acked:
                heapq.heappush(self._again, Range(self._acked + 1, rows.last))
        while self._next in self._early:
            self._early.discard(self._next)
            self._next += 1
        if self._next > self._highest:
            self._early.clear()
            return None
        return Range(self._next, min(self._next + limit - 1, self._highest))

    def _send_again(self, rows: Range) -> None:
        if rows.last <= self._acked:
            return
        if rows.urgent:
            again = range(max(rows.first, self._acked + 1), rows.last + 1)
            self._fresh = sorted({*self._fresh, *again})
        else:
            heapq.heappush(self._again, Range(rows.first, rows.last))

    def _drop_urgent(self, rows: Range) -> None:
        for waiting in (self._fresh, self._urgent):
            if waiting:
                waiting[:] = [seq for seq in waiting if not rows.first <= seq <= rows.last]

    # -- what is under way

    def _take_flight(self, echo: int | None) -> _Flight | None:
        if echo is None:
            return None
        flight = self._flights.pop(echo, None)
        if flight is not None:
            return flight
        late = self._lost.pop(echo, None)
        if late is not None:
            self._drop_urgent(late.rows)
            waiting = Range(late.rows.first, late.rows.last)
            if not late.rows.urgent and waiting in self._again:
                self._again.remove(waiting)
                heapq.heapify(self._again)
        return late

    def _lose(self, echo: int) -> None:
        flight = self._flights.pop(echo)
        self._lost[echo] = flight
        while len(self._lost) > _KEPT_LOST:
            self._lost.popitem(last=False)
        self._send_again(flight.rows)

    def _lose_before(self, answered: _Flight) -> None:
        # The line keeps order, so what was sent earlier and is unanswered is lost. Each batch is lost once,
        # and what replaces it is younger than every answer under way: at most one repeat in a round trip.
        # The centre takes urgent rows first, so their answer overtakes those of the backlog before them.
        earlier = [echo for echo, flight in self._flights.items() if flight.order < answered.order]
        for echo in earlier:
            if answered.rows.urgent and not self._flights[echo].rows.urgent:
                continue
            if self._lane is Lane.EVENTS or self._flights[echo].rows.last > self._through:
                self._lose(echo)

    def _expire(self, now: float) -> None:
        if self._flights:
            oldest = next(iter(self._flights.values()))
            if now - oldest.at < self._retry_s:
                # A fire goes again soon, however patient the rest has become: it is a small message.
                for echo, flight in list(self._flights.items()):
                    if flight.rows.urgent and now - flight.at >= URGENT_RETRY_S:
                        self._lose(echo)
                return
            for echo in list(self._flights):
                self._lose(echo)
            self._probing = True
            self._retry_s = min(self._retry_s * 2, MAX_RETRY_S)
        elif self._moved_at is not None and now - self._moved_at >= MAX_RETRY_S and self._stalled():
            self._start_over()

    def _stalled(self) -> bool:
        """All was answered and still the cursor stays short: the centre has to see it again."""
        return self._acked < self._highest and not self._fresh and self._waiting(1) is None

    def _start_over(self) -> None:
        for flight in (*self._flights.values(), *self._lost.values()):
            if flight.rows.urgent:
                self._send_again(flight.rows)
        self._flights.clear()
        self._lost.clear()
        self._again.clear()
        self._answered.clear()
        self._early.clear()
        self._through = self._acked
        self._next = self._acked + 1

    # -- what is safe

    def _confirm(self, rows: Range, through: int) -> int | None:
        self._through = max(self._through, through)
        if self._lane is Lane.EVENTS:
            heapq.heappush(self._answered, rows)
        else:
            # Readings live in this process only and have no twin: the cursor may be believed.
            if through < rows.last:
                self._send_again(Range(max(rows.first, through + 1), rows.last))
            for echo in [echo for echo, each in self._flights.items() if each.rows.last <= through]:
                del self._flights[echo]
            heapq.heappush(self._answered, Range(0, min(through, self._next - 1)))
        reach = self._acked
        while self._answered and self._answered[0].first <= reach + 1:
            reach = max(reach, heapq.heappop(self._answered).last)
        safe = min(reach, self._through)
        if safe < reach:
            heapq.heappush(self._answered, Range(safe + 1, reach))
        if safe <= self._acked:
            return None
        self._settle(safe)
        return safe

    def _settle(self, through: int) -> None:
        self._acked = max(self._acked, through)
        self._through = max(self._through, self._acked)
        self._next = max(self._next, self._acked + 1)
        self._drop_urgent(Range(0, self._acked))


def _newest(seqs: list[int], limit: int) -> Range:
    """The newest run of consecutive rows: the fire of this moment before the fires of the outage."""
    waiting = set(seqs)
    last = first = max(waiting)
    while first - 1 in waiting and last - first + 1 < limit:
        first -= 1
    return Range(first, last, urgent=True)
