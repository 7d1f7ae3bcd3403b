"""One gateway of a fleet: what it says next, and what it does with what it hears.

Law of this file: pure, and the order of a real gateway: heartbeat, fire, other events, readings. Everything a
gateway says is made at the moment of sending. `now` is seconds since the start of the run.
"""

from __future__ import annotations

from collections.abc import Set as AbstractSet
from dataclasses import dataclass
from typing import NamedTuple

from simulator.fleet.bodies import Bodies
from simulator.fleet.dice import hex_of
from simulator.fleet.lanes import EventLane, ReadingLane
from simulator.fleet.plan import Plan
from simulator.fleet.tally import Tally
from wire.codec import decode, encode
from wire.errors import RemoteError
from wire.messages import (
    Ack,
    Ask,
    BusStatus,
    Clock,
    Command,
    Condition,
    Event,
    EventKind,
    GatewayConfig,
    Lane,
    Status,
)
from wire.sender import Outcome
from wire.topics import PREFIX, Channel

VERSION = "fleet"
"""What heartbeats call the agent's version."""
BOOTED_MS = 3_600_000
"""The boxes had been running for an hour when the run began."""
WHOLE_EVERY_S = 1800.0
"""At least so often a heartbeat tells everything."""
MOST_TRIP_MS = 5000
"""An answer that took longer says nothing of the centre's clock."""
NEW_STREAM_EVERY_S = 10.0
"""A centre that asks for new streams faster than this is not obeyed."""
_EVENTS, _READINGS, _STATUS = (
    channel.value.encode() for channel in (Channel.EVENTS, Channel.READINGS, Channel.STATUS)
)
ALARM_VALUE = 9.4
"""%/m at which a detector of a fleet alarms."""


class Message(NamedTuple):
    """What a gateway says."""

    topic: bytes
    payload: bytes
    qos: int
    retain: bool
    beat: bool = False
    """A heartbeat: nobody answers it."""


@dataclass(slots=True)
class World:
    """What all gateways of a fleet share. `salt` makes the streams of each run other ones."""

    plan: Plan
    salt: str
    started_ms: int
    """Wall clock at the start of the run."""
    bodies: Bodies | None
    """None for a fleet without detectors."""
    tally: Tally
    eager: bool = False
    """Readings are recorded as fast as they are acknowledged."""
    offset_ms: int | None = None
    """The centre's clock less ours, from the quickest answer so far; all gateways have the same clock."""
    trip_ms: int = MOST_TRIP_MS
    """How long that answer took."""

    def measure(self, server_ms: int, trip_ms: int, now: float) -> None:
        """An answer came after `trip_ms`."""
        if trip_ms < self.trip_ms:
            self.trip_ms = trip_ms
            self.offset_ms = server_ms - (self.wall_ms(now) - trip_ms // 2)

    def wall_ms(self, now: float) -> int:
        """The wall clock."""
        return self.started_ms + int(now * 1000)


class Gateway:
    """One gateway; see the module."""

    __slots__ = (
        "_beats", "_boot", "_brief", "_burning", "_config", "_stamp", "_stem", "_streamed_at", "_streams",
        "_whole_at", "_world", "area", "away", "beat_at", "epoch", "events", "name", "number", "queued",
        "readings",
    )  # fmt: skip

    def __init__(self, number: int, world: World) -> None:
        names = world.plan.names
        self.number = number
        self.name = names.gateway(number)
        self.area = names.area_number(number)
        self.away = False
        """Cut off: says nothing and hears nothing."""
        self.queued = False
        """Whether its fleet has it waiting for its turn to speak."""
        self.readings: ReadingLane | None = None
        self.events: EventLane | None = None
        self.epoch: str | None = None
        self.beat_at: float | None = None
        """When it last said that it lives."""
        self._stem = f"{PREFIX}/{names.area(self.area)}/{self.name}/".encode()
        self._world = world
        self._boot = hex_of(world.salt, self.name, "boot")
        self._brief = f'{{"boot":"{self._boot}","brief":true,"online":true}}'.encode()
        self._beats = False
        self._whole_at: float | None = None
        self._burning: AbstractSet[int] = frozenset()
        self._config: GatewayConfig | None = None
        self._stamp = 0
        self._streams = 0
        self._streamed_at: float | None = None

    @property
    def waiting(self) -> int:
        """Rows that the centre has not acknowledged."""
        return (self.readings.depth if self.readings else 0) + (self.events.depth if self.events else 0)

    # -- what happens at the gateway

    def read(self, now: float) -> None:
        """A message's worth of readings is on record."""
        self._reading_lane().record(self._world.wall_ms(now))

    def burn(self, detector: int, now: float) -> bool:
        """A detector begins to burn; False when it does already."""
        if detector in self._burning:
            return False
        self._burning |= {detector}
        self._world.tally.alarms += 1
        self._tell(EventKind.ASSERT, now, detector)
        return True

    def put_out(self, detector: int, now: float) -> None:
        """A detector burns no longer."""
        self._burning -= {detector}
        self._tell(EventKind.CLEAR, now, detector)

    def look_around(self, now: float) -> None:
        """Record how every detector is, unless the last event says so and has not been sent yet."""
        lane = self._event_lane()
        if lane.snapshot_waits:
            return
        ids = self._world.plan.names.detectors_of(self.number)
        states: dict[str, list[Condition] | None] = {
            detector: [Condition.SMOKE] if i in self._burning else [] for i, detector in enumerate(ids)
        }
        self._world.tally.snapshots += 1
        lane.record(self._event(EventKind.SNAPSHOT, now, lane.next_seq, states=states))

    def beat(self, *, whole: bool = False) -> None:
        """A heartbeat is due; a `whole` one tells everything."""
        self._beats = True
        if whole:
            self._whole_at = None

    def reconnected(self) -> None:
        """The line is a new one, or the outage is over."""
        self._whole_at = None
        for lane in (self.readings, self.events):
            if lane is not None:
                lane.sender.reconnected()

    # -- what it says

    def next(self, now: float) -> Message | None:
        """What it says next; None when there is nothing, or its windows are full."""
        if self._beats:
            self._beats = False
            return self._heartbeat(now)
        if self.events is not None and self.events.depth:
            payload = self.events.next(now, self._clock(now))
            if payload is not None:
                return Message(self._stem + _EVENTS, payload, 1, False)
        world = self._world
        lane = self.readings
        if world.eager:
            lane = self._reading_lane()
            if lane.has_room and lane.may_read(world.wall_ms(now)):
                lane.record(world.wall_ms(now))
        if lane is not None and lane.depth:
            payload = lane.next(now, self._clock(now))
            if payload is not None:
                return Message(self._stem + _READINGS, payload, world.plan.readings_qos, False)
        return None

    def _heartbeat(self, now: float) -> Message:
        self.beat_at = now
        self._world.tally.heartbeats += 1
        depth = self.events.depth if self.events is not None else 0
        brief = self._whole_at is not None and now - self._whole_at < WHOLE_EVERY_S
        if brief and not depth:
            payload = self._brief
        elif brief:
            payload = encode(
                Status(
                    online=True,
                    boot=self._boot,
                    brief=True,
                    outbox_depth=depth,
                    oldest_unacked_event_s=self._oldest_s(now),
                )
            )
        else:
            self._whole_at = now
            payload = encode(self._status(now, depth))
        return Message(self._stem + _STATUS, payload, 1, not brief, beat=True)

    def _status(self, now: float, depth: int) -> Status:
        config = self._config
        return Status(
            online=True,
            boot=self._boot,
            version=VERSION,
            uptime_s=round(now + BOOTED_MS / 1000, 1),
            clock=self._clock(now),
            stream=self._event_lane().sender.stream,
            outbox_depth=depth,
            oldest_unacked_event_s=self._oldest_s(now),
            buses=[
                BusStatus(bus=bus, up=True, lap_age_s=1.0, last_lap_s=1.0, answering=many)
                for bus, many in self._world.plan.names.buses()
            ],
            config_epoch=None if config is None else config.epoch,
            config_version=0 if config is None else config.version,
            config_hash=None if config is None else config.hash,
        )

    def _oldest_s(self, now: float) -> float | None:
        oldest = self.events.oldest_mono_ms if self.events is not None else None
        return None if oldest is None else round(max(0.0, (self._mono_ms(now) - oldest) / 1000), 1)

    # -- what it hears

    def hear(self, channel: Channel, payload: bytes, now: float) -> bool:
        """Something came down. False when it cannot be read."""
        try:
            said = decode(channel, payload)
        except RemoteError:
            self._world.tally.refused += 1
            return False
        match said:
            case Ack():
                self._hear_ack(said, now)
            case GatewayConfig():
                self._hear_config(said, now)
            case Command():
                self._world.tally.commands += 1
            case _:
                self._world.tally.refused += 1
                return False
        return True

    def hear_epoch(self, epoch: str, now: float) -> bool:
        """Learn which database the centre has. True when it is another than before: all is told again."""
        before, self.epoch = self.epoch, epoch
        if before is None or before == epoch:
            return False
        for lane in (self.readings, self.events):
            if lane is not None:
                lane.sender.on_epoch(epoch)
        self._epoch_changed(now)
        return True

    def _hear_ack(self, ack: Ack, now: float) -> None:
        lane = self.readings if ack.lane is Lane.READINGS else self.events
        if lane is None:
            return
        tally = self._world.tally
        for ask in ack.ask:
            tally.asks[ask.value] = tally.asks.get(ask.value, 0) + 1
        tally.refused += Ask.ONE_BY_ONE in ack.ask
        outcome = lane.on_ack(ack, now)
        if outcome.answered:
            if ack.echo_ms is not None:
                self._world.measure(ack.server_ms, self._mono_ms(now) - ack.echo_ms, now)
            other = self.events if ack.lane is Lane.READINGS else self.readings
            if outcome.epoch_changed and other is not None:
                other.sender.on_epoch(ack.epoch)
            self.epoch = ack.epoch
        self._obey(lane, outcome, now)

    def _obey(self, lane: ReadingLane | EventLane, outcome: Outcome, now: float) -> None:
        if outcome.new_stream and (
            self._streamed_at is None or now - self._streamed_at >= NEW_STREAM_EVERY_S
        ):
            self._streamed_at = now
            self._world.tally.new_streams += 1
            lane.new_stream(self._new_stream())
        if outcome.epoch_changed:
            self._epoch_changed(now)
        elif outcome.snapshot:
            self.look_around(now)

    def _epoch_changed(self, now: float) -> None:
        self._world.tally.epochs += 1
        self._whole_at = None
        self.look_around(now)

    def _hear_config(self, config: GatewayConfig, now: float) -> None:
        if (
            self._config is not None
            and self._config.hash == config.hash
            and self._config.epoch == config.epoch
        ):
            return
        self._config = config
        self._world.tally.configs += 1
        self.beat(whole=True)
        if self._world.plan.snapshots:
            self.look_around(now)

    # -- parts

    def _reading_lane(self) -> ReadingLane:
        if self.readings is None:
            world = self._world
            assert world.bodies is not None, "a fleet without detectors has no readings"
            self.readings = ReadingLane(
                self.number,
                world.plan.names.detectors_of(self.number),
                world.bodies,
                world.tally.readings,
                stream=self._new_stream(),
                boot=self._boot,
                window=world.plan.window,
                hold=world.plan.hold,
                epoch=self.epoch,
            )
        return self.readings

    def _event_lane(self) -> EventLane:
        if self.events is None:
            self.events = EventLane(
                self._world.tally.events, stream=self._new_stream(), boot=self._boot, epoch=self.epoch
            )
        return self.events

    def _new_stream(self) -> str:
        self._streams += 1
        return hex_of(self._world.salt, self.name, "stream", self._streams)

    def _tell(self, kind: EventKind, now: float, detector: int) -> None:
        lane = self._event_lane()
        asserts = kind is EventKind.ASSERT
        lane.record(
            self._event(
                kind,
                now,
                lane.next_seq,
                condition=Condition.SMOKE,
                detector=self._world.plan.names.detector(self.number, detector),
                bus=self._world.plan.names.bus(detector)[0],
                value=ALARM_VALUE if asserts else None,
            )
        )

    def _event(
        self,
        kind: EventKind,
        now: float,
        seq: int,
        *,
        condition: Condition | None = None,
        detector: str | None = None,
        bus: str | None = None,
        value: float | None = None,
        states: dict[str, list[Condition] | None] | None = None,
    ) -> Event:
        return Event(
            seq=seq,
            kind=kind,
            at_ms=self._world.wall_ms(now),
            mono_ms=self._mono_ms(now),
            synchronised=True,
            condition=condition,
            detector=detector,
            bus=bus,
            config_version=0 if self._config is None else self._config.version,
            value=value,
            states=states,
        )

    def _clock(self, now: float) -> Clock:
        self._stamp = max(self._stamp + 1, self._mono_ms(now))
        world = self._world
        return Clock(self._stamp, world.wall_ms(now), world.offset_ms, synchronised=True)

    def _mono_ms(self, now: float) -> int:
        return BOOTED_MS + int(now * 1000)
