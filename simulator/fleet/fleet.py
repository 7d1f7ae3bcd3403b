"""All gateways of a run: what happens when, who speaks next, who is spoken to.

Law of this file: pure. `tick` makes happen what is due, `next` gives the messages of one connection, `hear`
takes what came over any. What is recorded late, because the machine was busy, bears the moment at which it
was due.
"""

from __future__ import annotations

from collections import deque
from math import gcd

from simulator.fleet.bodies import Bodies
from simulator.fleet.dice import Dice, number_of
from simulator.fleet.gateway import Gateway, Message, World
from simulator.fleet.plan import Outage, Plan, rows_at_most
from simulator.fleet.tally import Tally
from simulator.fleet.timetable import Metronome
from wire.codec import decode_alive
from wire.errors import RemoteError
from wire.topics import ALIVE, PREFIX, Channel

HELLOS_A_SECOND = 1000.0
"""So fast gateways come up, unless their heartbeats are faster still."""
SWEEP_S = 0.25
"""So often whoever waits for an answer is looked at: whether it is late."""
_ALIVE = ALIVE.encode()
_DOWN = {channel.value.encode(): channel for channel in (Channel.ACK, Channel.CONFIG, Channel.COMMAND)}


class Fleet:
    """A run. `salt` makes its streams other ones than those of every earlier run; `wall_ms` is its start."""

    def __init__(self, plan: Plan, salt: str, wall_ms: int) -> None:
        names = plan.names
        self.plan = plan
        self.tally = Tally()
        self._bodies = Bodies(names.detectors, rows_at_most(plan), plan.seed) if names.detectors else None
        self._world = World(plan, salt, wall_ms, self._bodies, self.tally, eager=plan.rate is None)
        self._gateways = [Gateway(number, self._world) for number in range(names.gateways)]
        self._dice = Dice(plan.seed, "lose")
        self._epoch: str | None = None
        self._ready: list[deque[Gateway]] = [deque() for _ in range(plan.connections)]
        self._urgent: list[deque[Gateway]] = [deque() for _ in range(plan.connections)]
        self._open: set[Gateway] = set()
        self._swept_at = 0.0
        self._now = 0.0
        self._missed: dict[Gateway, bytes] = {}
        """Configurations published while their gateway was cut off: the broker would hand them out later."""

        beats = names.gateways / plan.heartbeat_s if plan.heartbeat_s else 0.0
        self._hellos = Metronome(max(HELLOS_A_SECOND, beats), count=names.gateways)
        self._beats = Metronome(beats)
        rows = self._bodies.rows if self._bodies is not None else 1
        chunks = plan.rate / rows if plan.rate else 0.0
        self._chunks = Metronome(chunks, start=1 / chunks if chunks else 0.0)
        self._alarms = Metronome(plan.alarms, start=1 / plan.alarms if plan.alarms else 0.0)
        self._storm = Metronome(plan.storm / plan.storm_seconds, start=plan.storm_at, count=plan.storm)
        self._clears: deque[tuple[float, Gateway, int]] = deque()
        self._lit = number_of(plan.seed, "fire") % max(1, names.detectors) * names.gateways
        self._stride = _stride(names.gateways)
        self._outages = sorted(plan.outages, key=lambda outage: outage.begin)
        self._ends: list[tuple[float, list[Gateway]]] = []

    def begin(self, wall_ms: int) -> None:
        """The time of the run begins now, by the wall clock; making it and connecting took a while."""
        self._world.started_ms = wall_ms

    @property
    def waiting(self) -> int:
        """Rows on record that the centre has not acknowledged."""
        return self.tally.waiting

    def line_of(self, gateway: int) -> int:
        """The connection over which a gateway speaks."""
        return gateway % self.plan.connections

    def filters(self, line: int) -> list[tuple[str, int]]:
        """What one connection subscribes to: a connection listens for whole areas. Empty: only speaks."""
        names = self.plan.names
        areas = [area for area in range(names.areas) if self._ear(area) == line]
        if not areas:
            return []
        return [(ALIVE, 0), *((f"{PREFIX}/{names.area(area)}/+/down/+", 1) for area in areas)]

    def line_up(self, line: int) -> None:
        """A connection is there again: what was under way over it may be gone."""
        for gateway in self._gateways:
            if self.line_of(gateway.number) == line or self._ear(gateway.area) == line:
                gateway.reconnected()
                if gateway.waiting:
                    self._wake(gateway)

    def finish(self) -> None:
        """Nothing is recorded any more, all outages end. What waits is still sent, hearts go on beating."""
        self._world.eager = False
        for metronome in (self._hellos, self._chunks, self._alarms, self._storm):
            metronome.stop()
        self._clears.clear()
        self._outages.clear()
        for _, gateways in self._ends:
            self._come_back(gateways)
        self._ends.clear()

    # -- what happens

    def tick(self, now: float) -> None:
        """Make happen what is due by now."""
        self._now = now
        self._cut_off(now)
        for number, at in self._hellos.due(now):
            self._hello(self._gateways[number], at)
        for number, at in self._beats.due(now):
            gateway = self._gateways[number % len(self._gateways)]
            # Who has just come up has said all that there is to say.
            if gateway.beat_at is None or at - gateway.beat_at > self.plan.heartbeat_s / 2:
                gateway.beat()
                self._wake(gateway)
        for number, at in self._chunks.due(now):
            gateway = self._gateways[number % len(self._gateways)]
            gateway.read(at)
            self._wake(gateway)
        for _, at in self._alarms.due(now):
            self._light(at)
        for number, at in self._storm.due(now):
            self._light(at)
            wall_ms = self._world.wall_ms(at)
            if number == 0:
                self.tally.storm_from_ms = wall_ms
            self.tally.storm_to_ms = wall_ms
        while self._clears and self._clears[0][0] <= now:
            at, gateway, detector = self._clears.popleft()
            gateway.put_out(detector, at)
            self._wake(gateway)
        if now - self._swept_at >= SWEEP_S:
            self._swept_at = now
            self._sweep()

    def _hello(self, gateway: Gateway, at: float) -> None:
        if self.plan.heartbeat_s:
            gateway.beat(whole=True)
        if self.plan.snapshots and self.plan.names.detectors:
            gateway.look_around(at)
        self._wake(gateway)
        if self._world.eager:
            self._open.add(gateway)

    def _light(self, at: float) -> None:
        """The next detector in a round over all gateways begins to burn, far from the one before."""
        names = self.plan.names
        number = self._lit % (names.gateways * names.detectors)
        self._lit += 1
        detector, turn = divmod(number, names.gateways)
        gateway = self._gateways[turn * self._stride % names.gateways]
        if not gateway.burn(detector, at):
            return
        if self.plan.clear_after_s:
            self._clears.append((at + self.plan.clear_after_s, gateway, detector))
        if not gateway.away:
            self._urgent[self.line_of(gateway.number)].append(gateway)

    def _cut_off(self, now: float) -> None:
        for end, gateways in self._ends:
            if end <= now:
                self._come_back(gateways)
        self._ends = [each for each in self._ends if each[0] > now]
        while self._outages and self._outages[0].begin <= now:
            outage = self._outages.pop(0)
            gone = self._share(outage)
            for gateway in gone:
                gateway.away = True
            self.tally.away += len(gone)
            self._ends.append((outage.begin + outage.seconds, gone))

    def _come_back(self, gateways: list[Gateway]) -> None:
        self.tally.away -= len(gateways)
        for gateway in gateways:
            gateway.away = False
            gateway.reconnected()
            if self.plan.heartbeat_s:
                gateway.beat(whole=True)
            config = self._missed.pop(gateway, None)
            if config is not None:
                gateway.hear(Channel.CONFIG, config, self._now)
            self._wake(gateway)

    def _share(self, outage: Outage) -> list[Gateway]:
        """Whom an outage cuts off: always the same for a seed, at least one, none that is away already."""
        there = [gateway for gateway in self._gateways if not gateway.away]
        there.sort(key=lambda gateway: number_of(self.plan.seed, "outage", outage.begin, gateway.name))
        return there[: max(1, round(outage.share * len(self._gateways)))]

    def _sweep(self) -> None:
        over = []
        for gateway in self._open:
            if gateway.waiting or self._world.eager:
                self._wake(gateway)
            else:
                over.append(gateway)
        self._open.difference_update(over)

    def _wake(self, gateway: Gateway) -> None:
        if not gateway.queued and not gateway.away:
            gateway.queued = True
            self._ready[self.line_of(gateway.number)].append(gateway)

    # -- what is said

    def next(self, line: int, now: float) -> Message | None:
        """The next message over a connection, or None: one of each gateway in turn, fires first."""
        urgent, ready = self._urgent[line], self._ready[line]
        while urgent or ready:
            if urgent:
                gateway = urgent.popleft()
            else:
                gateway = ready.popleft()
                gateway.queued = False
            if gateway.away:
                continue
            said = gateway.next(now)
            if said is None:
                continue
            self._wake(gateway)
            if gateway.waiting:
                self._open.add(gateway)
            if self.plan.lose and not said.beat and self._dice.share() < self.plan.lose:
                self.tally.lost_up += 1
                continue
            return said
        return None

    # -- what is heard

    def hear(self, topic: bytes, payload: bytes, retained: bool, now: float) -> None:
        """Something came over one of the connections."""
        if topic == _ALIVE:
            if not retained:
                self._hear_alive(payload, now)
            return
        levels = topic.split(b"/", 4)
        channel = _DOWN.get(levels[4]) if len(levels) == 5 else None
        number = self.plan.names.gateway_number(levels[3].decode("utf-8", "replace")) if channel else None
        if channel is None or number is None:
            self.tally.strangers += 1
            return
        gateway = self._gateways[number]
        if gateway.away and channel is Channel.CONFIG:
            self._missed[gateway] = payload
        if gateway.away or (retained and channel is not Channel.CONFIG):
            return
        if self.plan.lose and channel is Channel.ACK and self._dice.share() < self.plan.lose:
            self.tally.lost_down += 1
            return
        gateway.hear(channel, payload, now)
        self._wake(gateway)

    def _hear_alive(self, payload: bytes, now: float) -> None:
        try:
            epoch = decode_alive(payload).epoch
        except RemoteError:
            self.tally.refused += 1
            return
        if epoch == self._epoch:
            return
        self._epoch = epoch
        for gateway in self._gateways:
            if not gateway.away and gateway.hear_epoch(epoch, now):
                self._wake(gateway)

    def _ear(self, area: int) -> int:
        """The connection that listens for an area."""
        return area % self.plan.connections


def _stride(count: int) -> int:
    """A step that visits each of `count` once in a round, one after the other far apart (golden section)."""
    stride = max(1, round(count * 0.618))
    while gcd(stride, count) > 1:
        stride += 1
    return stride
