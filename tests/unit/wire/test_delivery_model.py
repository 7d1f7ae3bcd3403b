"""Both ends of the events lane joined in memory, on a line that drops, repeats, delays and swaps messages.

Boxes restart, are cloned and set back in time; the centre is restored to an older state and emptied.
Whatever happens: what is stored under a name never changes, a box forgets only what a centre had stored, and
when the faults end every event that any box still holds or has forgotten is stored.
"""

from __future__ import annotations

import copy
import random
from dataclasses import dataclass, field

from hypothesis import given, settings
from hypothesis import strategies as st

from wire.codec import decode, encode, event_digest
from wire.delivery import Range, Sender, take_events
from wire.messages import Ack, Clock, Condition, Event, EventBatch, EventKind, Lane
from wire.topics import Channel

ROWS = 6
"""Rows in a batch, so that short scripts make many batches."""


def hex32(number: int) -> str:
    return f"{number:032x}"


@dataclass
class Box:
    """The outbox and its sender; `rows` is the file."""

    world: World
    name: int
    stream: str
    rows: dict[int, Event] = field(default_factory=dict)
    highest: int = 0
    epoch: str | None = None
    sender: Sender = None  # type: ignore[assignment]
    stamps: int = 0

    def start(self) -> None:
        oldest = min(self.rows, default=self.highest + 1)
        self.sender = Sender(
            self.stream, Lane.EVENTS, highest=self.highest, acked=oldest - 1, window=3, epoch=self.epoch
        )
        for seq, event in self.rows.items():
            if event.condition is Condition.SMOKE:
                self.sender.recorded(seq, urgent=True)

    def record(self, urgent: bool) -> None:
        self.highest += 1
        self.world.moments += 1
        kind, condition = (EventKind.ASSERT, Condition.SMOKE) if urgent else (EventKind.CANARY, None)
        # `at_ms` names the moment of recording: no two recordings in the world share it.
        self.rows[self.highest] = Event(self.highest, kind, self.world.moments, 0, condition=condition)
        self.world.recorded.add(self.world.moments)
        self.sender.recorded(self.highest, urgent=urgent)

    def send(self) -> None:
        while rows := self.sender.next_range(self.world.now):
            last = min(rows.last, rows.first + ROWS - 1)
            events = [self.rows[seq] for seq in range(rows.first, last + 1)]
            self.world.stamps += 1
            batch = EventBatch(
                self.stream,
                rows.first,
                min(self.rows),
                hex32(1),
                hex32(1),
                Clock(self.world.stamps, 0),
                events,
            )
            self.sender.sent(Range(rows.first, last, rows.urgent), self.world.now, self.world.stamps)
            self.world.up.append(encode(batch))

    def hear(self, ack: Ack) -> None:
        outcome = self.sender.on_ack(ack, self.world.now)
        self.epoch = self.sender.epoch
        if outcome.forget_through is not None:
            for seq in [seq for seq in self.rows if seq <= outcome.forget_through]:
                event = self.rows.pop(seq)
                assert event.at_ms in self.world.ever_stored, "forgot what no centre has stored"
                self.world.forgotten_under.setdefault(event.at_ms, self.world.centre.epoch)
        if outcome.new_stream:
            self.world.streams += 1
            self.stream = hex32(1000 + self.world.streams)
            events = [self.rows[seq] for seq in sorted(self.rows)]
            self.rows = {
                seq: Event(seq, event.kind, event.at_ms, 0, condition=event.condition)
                for seq, event in enumerate(events, 1)
            }
            self.highest = len(events)
            self.start()


@dataclass
class Centre:
    """The database: events by (stream, seq), cursors, gaps."""

    epoch: str
    stored: dict[tuple[str, int], Event] = field(default_factory=dict)
    cursors: dict[str, int] = field(default_factory=dict)

    def take(self, world: World, batch: EventBatch) -> Ack:
        cursor = self.cursors.get(batch.stream, 0)
        last = batch.first_seq + len(batch.events) - 1
        digests = {
            seq: event_digest(event)
            for (stream, seq), event in self.stored.items()
            if stream == batch.stream and (batch.first_seq <= seq <= last or seq > cursor)
        }
        taken = take_events(cursor, digests, batch)
        for event in taken.new:
            assert (batch.stream, event.seq) not in self.stored, "stored twice"
            self.stored[batch.stream, event.seq] = event
            world.ever_stored.add(event.at_ms)
        assert taken.cursor >= cursor
        self.cursors[batch.stream] = taken.cursor
        return Ack(
            batch.stream, Lane.EVENTS, taken.cursor, self.epoch, 0, batch.clock.mono_ms, list(taken.asks)
        )


class World:
    """One centre, some boxes, a bad line."""

    def __init__(self, seed: int) -> None:
        self.chance = random.Random(seed)
        self.now = 0.0
        self.moments = self.stamps = self.streams = self.epochs = 0
        self.up: list[bytes] = []
        self.down: list[bytes] = []
        self.recorded: set[int] = set()
        self.ever_stored: set[int] = set()
        self.lost_by_rollback: set[int] = set()
        self.forgotten_under: dict[int, str] = {}
        self.centre = Centre(hex32(7))
        self.backup = copy.deepcopy(self.centre)
        self.boxes: list[Box] = []
        self.saved: tuple[str, dict[int, Event], int, str | None] | None = None
        self.add_box(hex32(1000))

    def add_box(self, stream: str) -> Box:
        box = Box(self, len(self.boxes), stream)
        self.boxes.append(box)
        box.start()
        return box

    def box(self) -> Box:
        return self.chance.choice(self.boxes)

    def line(self, messages: list[bytes], faulty: bool) -> list[bytes]:
        """What comes out at the other end now; the rest stays under way."""
        if not faulty:
            out, messages[:] = list(messages), []
            return out
        out = []
        for _ in range(self.chance.randrange(len(messages) + 1)):
            place = 0 if self.chance.random() < 0.7 else self.chance.randrange(len(messages))
            fate = self.chance.random()
            message = messages[place] if fate < 0.15 else messages.pop(place)
            if fate < 0.75:
                out.append(message)
        return out

    def move(self, faulty: bool) -> None:
        self.now += self.chance.choice((0.05, 0.1, 4.0)) if faulty else 0.1
        for box in self.boxes:
            box.send()
        for payload in self.line(self.up, faulty):
            batch = decode(Channel.EVENTS, payload)
            assert isinstance(batch, EventBatch)
            self.down.append(encode(self.centre.take(self, batch)))
        for payload in self.line(self.down, faulty):
            ack = decode(Channel.ACK, payload)
            assert isinstance(ack, Ack)
            for box in self.boxes:  # clones listen to the same topic
                box.hear(ack)

    def step(self, what: str) -> None:
        box = self.box()
        match what:
            case "record":
                for _ in range(self.chance.randrange(1, 12)):
                    box.record(urgent=self.chance.random() < 0.2)
            case "move":
                self.move(faulty=True)
            case "restart box":
                box.start()
            case "reconnect":
                box.sender.reconnected()
            case "save file":
                self.saved = (box.stream, dict(box.rows), box.highest, box.epoch)
            case "set back" if self.saved is not None:
                self.forget_unsaved(box)
                box.stream, box.rows, box.highest, box.epoch = (
                    self.saved[0],
                    dict(self.saved[1]),
                    *self.saved[2:],
                )
                box.start()
            case "clone" if len(self.boxes) < 3:
                twin = self.add_box(box.stream)
                twin.rows, twin.highest, twin.epoch = dict(box.rows), box.highest, box.epoch
                twin.start()
            case "back up":
                self.backup = copy.deepcopy(self.centre)
            case "restore" | "empty":
                self.epochs += 1
                old = copy.deepcopy(self.backup) if what == "restore" else Centre("")
                self.centre = old
                self.centre.epoch = hex32(100 + self.epochs)
                kept = {event.at_ms for event in old.stored.values()}
                # What a box still holds must come again: the answers of the old database went with it.
                self.down.clear()
                held = {event.at_ms for each in self.boxes for event in each.rows.values()}
                self.lost_by_rollback |= self.ever_stored - kept - held
                if what == "empty":
                    self.backup = copy.deepcopy(old)
            case _:
                pass

    def forget_unsaved(self, box: Box) -> None:
        """A file set back in time takes with it what only it held: no protocol can bring that back."""
        others = {event.at_ms for each in self.boxes if each is not box for event in each.rows.values()}
        assert self.saved is not None
        kept = others | {event.at_ms for event in self.saved[1].values()}
        gone = {event.at_ms for event in box.rows.values()} - kept
        self.recorded -= {moment for moment in gone if moment not in self.ever_stored}
        self.lost_by_rollback |= gone

    def drain(self) -> int:
        for laps in range(400):
            self.move(faulty=False)
            if not any(box.rows for box in self.boxes) and not self.up:
                return laps
        raise AssertionError(
            f"not drained: {[(box.sender.__dict__, sorted(box.rows)) for box in self.boxes]}"
        )


STEPS = st.sampled_from(
    ["record"] * 4
    + ["move"] * 8
    + ["restart box", "reconnect", "save file", "set back", "clone", "back up", "restore", "empty"]
)


@settings(max_examples=250, deadline=None)
@given(seed=st.integers(0, 2**32), script=st.lists(STEPS, min_size=5, max_size=50))
def test_nothing_is_lost_and_nothing_stored_under_two_contents(seed, script):
    """Any script of faults; then quiet: everything drains, and everything that could be kept is stored."""
    world = World(seed)
    for what in script:
        world.step(what)
    world.drain()
    held_by_centre = {event.at_ms for event in world.centre.stored.values()}
    missing = world.recorded - held_by_centre
    assert missing <= world.lost_by_rollback, f"lost: {sorted(missing - world.lost_by_rollback)}"
    for stream in {stream for stream, _ in world.centre.stored}:
        moments = [event.at_ms for (its, _), event in world.centre.stored.items() if its == stream]
        assert len(moments) == len(set(moments)), "one recording twice in a stream"


FAULTS = st.sampled_from(["record"] * 3 + ["move"] * 6 + ["restart box", "reconnect"])


@settings(max_examples=150, deadline=None)
@given(seed=st.integers(0, 2**32), script=st.lists(FAULTS, min_size=5, max_size=50))
def test_a_bad_line_and_restarts_alone_store_each_event_exactly_once_in_one_stream(seed, script):
    """No clone, no restore: one stream, no hole, no gap, no repeat."""
    world = World(seed)
    for what in script:
        world.step(what)
    world.drain()
    assert world.streams == 0
    assert sorted(world.centre.stored) == [(hex32(1000), seq) for seq in range(1, world.boxes[0].highest + 1)]
    assert {event.at_ms for event in world.centre.stored.values()} == world.recorded


@settings(max_examples=60, deadline=None)
@given(seed=st.integers(0, 2**32), backlog=st.integers(0, 400), laps=st.integers(0, 5))
def test_a_fresh_fire_is_at_the_centre_within_one_round_trip(seed, backlog, laps):
    """However much waits and whatever is under way."""
    world = World(seed)
    (box,) = world.boxes
    for _ in range(backlog):
        box.record(urgent=False)
    for _ in range(laps):
        world.move(faulty=True)
    box.record(urgent=True)
    fire = box.highest
    world.move(faulty=False)
    assert (box.stream, fire) in world.centre.stored
