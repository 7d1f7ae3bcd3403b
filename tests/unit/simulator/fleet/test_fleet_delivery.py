"""A fleet and a centre that judges by the contract, joined by a network that does what networks do."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from simulator.fleet.dice import Dice
from simulator.fleet.fleet import Fleet
from simulator.fleet.names import Names
from simulator.fleet.plan import Outage, Plan
from tests.harness.pretend_centre import PretendCentre
from wire.codec import encode, seal_config
from wire.messages import Alive, Ask, Condition, EventBatch, EventKind, ReadingBatch
from wire.topics import ALIVE, Channel, gateway_topic

WALL_MS = 1_760_000_000_000
OTHER_EPOCH = "d" * 32


@dataclass
class Network:
    """Takes everything that a fleet says to a centre and back, not always, not once, not in order."""

    fleet: Fleet
    centre: PretendCentre = field(default_factory=PretendCentre)
    dice: Dice = field(default_factory=lambda: Dice(0))
    drop: float = 0.0
    repeat: float = 0.0
    shuffle: bool = False
    now: float = 0.0

    def step(self, seconds: float = 0.5) -> None:
        """Let time pass, carry what is said, carry what is answered."""
        self.now += seconds
        self.fleet.tick(self.now)
        said = []
        for line in range(self.fleet.plan.connections):
            while message := self.fleet.next(line, self.now):
                said.append((message.topic, message.payload))
        answers = [answer for each in self._carried(said) if (answer := self.centre.take(*each)) is not None]
        for topic, payload in self._carried(answers):
            self.fleet.hear(topic, payload, False, self.now + 0.01)

    def until(self, now: float) -> None:
        """Step to a moment."""
        while self.now < now:
            self.step()

    def settle(self) -> None:
        """No more faults, nothing new: everything must become acknowledged."""
        self.drop = self.repeat = 0.0
        self.shuffle = False
        self.fleet.finish()
        for _ in range(2000):
            if not self.fleet.waiting:
                return
            self.step()
        raise AssertionError(f"{self.fleet.waiting} rows are still not acknowledged: {self.fleet.tally}")

    def _carried(self, said: list[tuple[bytes, bytes]]) -> list[tuple[bytes, bytes]]:
        arrived = []
        for each in said:
            if self.dice.share() >= self.drop:
                arrived.append(each)
                if self.dice.share() < self.repeat:
                    arrived.append(each)
        if self.shuffle:
            arrived.sort(key=lambda _: self.dice.share())
        return arrived


def fleet(**more) -> Fleet:
    options = {"names": Names("fleet", 4, 6), "rate": 48.0, "rows": 12, "alarms": 1.0, "clear_after_s": 5.0}
    return Fleet(Plan(**(options | more)), "salt", WALL_MS)


def assert_each_row_is_stored_once(network: Network) -> None:
    tally, centre = network.fleet.tally, network.centre
    assert (
        sum(centre.readings.values())
        == tally.readings.recorded
        == tally.readings.sent
        == tally.readings.acked
    )
    assert set(centre.readings.values()) <= {1}
    assert len(centre.events) == tally.events.recorded == tally.events.sent == tally.events.acked
    assert centre.conflicts == 0
    assert centre.gaps == []


@settings(max_examples=40, deadline=None)
@given(
    seed=st.integers(0, 2**32),
    drop=st.floats(0, 0.4),
    repeat=st.floats(0, 0.4),
    shuffle=st.booleans(),
    connections=st.integers(1, 3),
    rate=st.sampled_from([None, 48.0, 480.0]),
    lose=st.sampled_from([0.0, 0.2]),
    outage=st.booleans(),
)
def test_whatever_the_network_does_each_row_is_stored_once(
    seed, drop, repeat, shuffle, connections, rate, lose, outage
):
    """Dropped, repeated, out of order, lost on purpose, cut off for a time: stored equals recorded."""
    network = Network(
        fleet(
            seed=seed % 100,
            connections=connections,
            rate=rate,
            lose=lose,
            outages=(Outage(0.5, 4.0, 6.0),) if outage else (),
        ),
        dice=Dice(seed),
        drop=drop,
        repeat=repeat,
        shuffle=shuffle,
    )
    network.until(20)
    network.settle()
    assert_each_row_is_stored_once(network)


def test_without_faults_nothing_goes_twice_and_every_reading_has_its_own_moment():
    """Distinct in stream, number and time; and each detector is read in its turn."""
    network = Network(fleet())
    network.until(30)
    network.settle()
    assert_each_row_is_stored_once(network)
    tally = network.fleet.tally
    assert (tally.readings.repeated, tally.events.repeated, tally.refused, tally.asks) == (0, 0, 0, {})
    assert tally.readings.recorded == pytest.approx(48 * 30, rel=0.1)
    batches = [b for b in network.centre.batches if isinstance(b, ReadingBatch)]
    assert len({(b.stream, b.first_seq) for b in batches}) == len(batches) == tally.readings.messages
    assert len({b.stream for b in batches}) == 4
    assert Counter(gateway for gateway, _, _ in network.centre.readings).keys() == {
        "fleet-00001", "fleet-00002", "fleet-00003", "fleet-00004",
    }  # fmt: skip
    assert all(at <= WALL_MS + 30_000 for _, _, at in network.centre.readings)


def test_the_same_seed_and_the_same_start_say_the_same():
    """A run can be played again; another start has streams of its own."""
    said = []
    for salt in ("one", "one", "two"):
        network = Network(Fleet(fleet().plan, salt, WALL_MS))
        network.until(10)
        said.append([encode(batch) for batch in network.centre.batches])
    assert said[0] == said[1] != said[2]
    streams = [{batch.stream for batch in network.centre.batches}]
    assert not streams[0] & {payload.split(b'"')[3].decode() for payload in said[0]}


def test_an_outage_is_silent_and_then_all_of_it_comes_in_order():
    """A share of the gateways says nothing for a time; their backlog follows."""
    network = Network(fleet(outages=(Outage(0.5, 10.0, 10.0),), alarms=0.0))
    network.until(11)
    assert network.fleet.tally.away == 2
    heard = len(network.centre.readings)
    quiet_from = len(network.centre.batches)
    network.until(19)
    gateways = {gateway for gateway, status in network.centre.statuses}
    assert len(gateways) == 4
    speaking = {
        batch.stream for batch in network.centre.batches[quiet_from:] if isinstance(batch, ReadingBatch)
    }
    assert len(speaking) == 2
    assert network.fleet.tally.readings.waiting >= 2 * 12
    network.until(25)
    assert network.fleet.tally.away == 0
    network.settle()
    assert_each_row_is_stored_once(network)
    assert len(network.centre.readings) > heard


def test_a_new_epoch_is_told_everything_again_that_was_not_yet_forgotten_and_a_snapshot():
    """The centre's database was restored: the next snapshot says how all is."""
    network = Network(fleet(alarms=0.0))
    network.until(10)
    before = network.fleet.tally.snapshots
    network.centre.epoch = OTHER_EPOCH
    network.until(20)
    assert network.fleet.tally.epochs == 4
    assert network.fleet.tally.snapshots == before + 4
    network.settle()
    assert_each_row_is_stored_once(network)


def test_a_broadcast_of_another_epoch_is_enough():
    """A quiet gateway hears of it too."""
    network = Network(fleet(rate=0.0, alarms=0.0))
    alive = ALIVE.encode()
    for epoch, snapshots in (("e" * 32, 4), (OTHER_EPOCH, 8), (OTHER_EPOCH, 8)):
        network.step()
        network.centre.epoch = epoch
        network.fleet.hear(alive, encode(Alive(epoch=epoch, server_ms=1)), False, network.now)
        network.until(network.now + 5)
        assert network.fleet.tally.snapshots == snapshots
    network.fleet.hear(alive, encode(Alive(epoch="c" * 32, server_ms=1)), True, network.now)
    network.fleet.hear(alive, b"garbage", False, network.now)
    assert network.fleet.tally.snapshots == 8
    assert network.fleet.tally.refused == 1


def test_who_is_asked_for_a_snapshot_records_one_with_what_burns():
    """However many answers ask at once."""
    network = Network(fleet(rate=0.0, alarms=2.0, clear_after_s=0.0, seconds=100.0))
    network.until(5)
    burning = network.fleet.tally.alarms
    network.centre.asks = [Ask.SNAPSHOT]
    network.step()
    network.centre.asks = []
    network.fleet.finish()
    network.until(10)
    snapshots = {
        gateway: event.states
        for (gateway, _, _), event in sorted(network.centre.events.items())
        if event.kind is EventKind.SNAPSHOT
    }
    assert network.fleet.tally.asks["snapshot"] >= 1
    seen = sum(states == [Condition.SMOKE] for each in snapshots.values() for states in (each or {}).values())
    assert 0 < seen <= burning + 1
    assert all(len(states or {}) == 6 for states in snapshots.values())


def test_who_is_asked_for_a_new_stream_sends_what_it_holds_again_under_another_name():
    """Events and readings; not more often than every ten seconds."""
    network = Network(fleet())
    network.until(5)
    streams = {batch.stream for batch in network.centre.batches}
    network.centre.asks = [Ask.NEW_STREAM]
    network.until(7)
    network.centre.asks = []
    network.settle()
    later = {batch.stream for batch in network.centre.batches} - streams
    assert later
    tally = network.fleet.tally
    assert tally.new_streams == len(later) == 4
    assert tally.asks["new_stream"] >= 4
    assert tally.readings.acked == tally.readings.recorded
    assert tally.events.acked == tally.events.recorded
    told = {
        (each, event.at_ms, event.kind, event.detector)
        for (each, _, _), event in network.centre.events.items()
    }
    assert len(told) == tally.events.recorded
    assert set(network.centre.readings) == set(network.centre.values)
    assert len(network.centre.readings) == tally.readings.recorded


def test_what_is_sent_again_under_another_name_has_the_same_values():
    """A repeat that differs would be a lie."""
    network = Network(fleet(alarms=0.0, rate=240.0, outages=(Outage(1.0, 2.0, 2.0),)))
    network.until(2)
    network.centre.asks = [Ask.NEW_STREAM]
    first = dict(network.centre.values)
    network.until(6)
    network.centre.asks = []
    network.settle()
    assert max(network.centre.readings.values()) > 1
    assert all(network.centre.values[row] == values for row, values in first.items())


def test_a_centre_that_cannot_read_an_envelope_gets_one_event_a_message():
    """Until the bad one is isolated."""
    network = Network(fleet(rate=0.0, alarms=20.0, clear_after_s=0.5))
    network.until(3)
    network.centre.asks = [Ask.ONE_BY_ONE]
    network.step()
    network.centre.asks = []
    seen = len(network.centre.batches)
    network.until(6)
    batches = [batch for batch in network.centre.batches[seen:] if isinstance(batch, EventBatch)]
    assert batches
    assert all(len(batch.events) == 1 for batch in batches[1:20])
    assert network.fleet.tally.refused > 0
    network.settle()
    assert_each_row_is_stored_once(network)


def test_fires_go_ahead_of_what_waited():
    """A storm while a backlog of events drains: its asserts are sent first."""
    network = Network(fleet(rate=0.0, alarms=0.0, storm=24, storm_at=3.0, storm_seconds=1.0), drop=1.0)
    network.until(5)
    network.drop = 0.0
    network.centre.batches.clear()
    network.until(60)
    firsts: dict[str, EventBatch] = {}
    for batch in network.centre.batches:
        assert isinstance(batch, EventBatch)
        firsts.setdefault(batch.stream, batch)
    assert len(firsts) == 4
    assert all(batch.events[0].condition is Condition.SMOKE for batch in firsts.values())
    assert network.fleet.tally.alarms == 24
    assert network.fleet.tally.storm_from_ms == WALL_MS + 3000
    burning = {e.detector for e in network.centre.events.values() if e.kind is EventKind.ASSERT}
    assert len(burning) == 24


def test_a_gateway_that_holds_too_much_gives_the_oldest_readings_up_and_says_so():
    """The centre learns from `oldest_seq` that they never come."""
    network = Network(fleet(alarms=0.0, rate=480.0, hold=120, outages=(Outage(0.25, 2.0, 6.0),)))
    network.until(12)
    network.settle()
    tally = network.fleet.tally
    assert tally.readings.gaps > 0
    assert sum(last - first + 1 for first, last in network.centre.gaps) == tally.readings.gaps
    assert tally.readings.acked + tally.readings.gaps == tally.readings.recorded
    assert set(network.centre.readings.values()) == {1}


def test_a_configuration_is_taken_reported_and_followed_by_a_snapshot():
    """As a real gateway does; the same one again changes nothing, an order is counted and not carried out."""
    network = Network(fleet(rate=0.0, alarms=0.0))
    network.until(2)
    sealed = seal_config("c" * 32, 3, [])
    topic = gateway_topic("fleet", "fleet-00002", Channel.CONFIG).encode()
    for _ in range(3):
        network.fleet.hear(topic, encode(sealed), True, network.now)
        network.until(network.now + 2)
    said = [status for gateway, status in network.centre.statuses if gateway == "fleet-00002"]
    assert said[-1].config_hash == sealed.hash
    assert (said[-1].config_version, said[-1].config_epoch) == (3, "c" * 32)
    assert network.fleet.tally.configs == 1
    assert network.fleet.tally.snapshots == 5
    for stranger in (b"smokewatch/v1/fleet/gw-1/down/ack", b"smokewatch/v1/fleet/fleet-00009/down/ack", b"x"):
        network.fleet.hear(stranger, b"{}", False, network.now)
    assert network.fleet.tally.strangers == 3
    network.fleet.hear(topic, b"garbage", False, network.now)
    assert network.fleet.tally.refused == 1


def test_a_configuration_published_during_an_outage_is_taken_afterwards():
    """A broker keeps it for who is not there; answers to who is not there are lost."""
    network = Network(fleet(rate=0.0, alarms=0.0, outages=(Outage(1.0, 2.0, 5.0),)))
    network.until(3)
    topic = gateway_topic("fleet", "fleet-00002", Channel.CONFIG).encode()
    for version in (1, 2):
        network.fleet.hear(
            topic, encode(seal_config("c" * 32, version, [], report_s=version)), False, network.now
        )
    network.until(6)
    assert network.fleet.tally.configs == 0
    network.until(10)
    assert network.fleet.tally.configs == 1
    said = [status for gateway, status in network.centre.statuses if gateway == "fleet-00002"]
    assert said[-1].config_version == 2


def test_hearts_beat_whole_at_first_and_then_briefly():
    """One in each interval of each gateway, and what a brief one leaves out was said before."""
    network = Network(fleet(rate=0.0, alarms=0.0, heartbeat_s=10.0))
    network.until(60)
    for name in ("fleet-00001", "fleet-00004"):
        said = [status for gateway, status in network.centre.statuses if gateway == name]
        assert 5 <= len(said) <= 8
        assert not said[0].brief
        assert [(bus.bus, bus.answering) for bus in said[0].buses] == [("line-1", 6)]
        assert all(status.brief and status.boot == said[0].boot for status in said[1:])
    assert network.fleet.tally.heartbeats == len(network.centre.statuses)


def test_while_the_centre_is_silent_hearts_say_how_long_events_wait():
    """So that events that are stuck are noticed."""
    network = Network(fleet(rate=0.0, alarms=0.0, heartbeat_s=10.0))
    network.drop = 0.0
    network.centre.take = lambda topic, payload: (  # type: ignore[method-assign]
        None if b"/up/events" in topic else PretendCentre.take(network.centre, topic, payload)
    )
    network.until(40)
    last = network.centre.statuses[-1][1]
    assert last.outbox_depth == 1
    assert last.oldest_unacked_event_s is not None
    assert last.oldest_unacked_event_s > 20


def test_a_new_connection_sends_again_what_was_under_way():
    """What the broker had taken may be gone with it."""
    network = Network(fleet(alarms=0.0), drop=1.0)
    network.until(2)
    sent = network.fleet.tally.readings.sent
    assert sent
    network.drop = 0.0
    network.fleet.line_up(0)
    network.step()
    assert network.fleet.tally.readings.repeated >= sent - 12 * 4
    network.settle()
    assert_each_row_is_stored_once(network)


def test_gateways_without_detectors_only_beat():
    """As many heartbeats in each second, after they have all come up."""
    many = Fleet(Plan(names=Names("fleet", 6000, 0), rate=0.0), "salt", WALL_MS)
    counts = []
    for second in range(1, 41):
        many.tick(float(second))
        said = 0
        while many.next(0, float(second)):
            said += 1
        counts.append(said)
    assert sum(counts[:6]) == pytest.approx(6000, rel=0.2)
    assert all(count == pytest.approx(200, abs=1) for count in counts[31:])
