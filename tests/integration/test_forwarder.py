"""Alarms reach a fire-brigade centre: pipeline, rows and real sockets to a receiver that is not ours."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Iterator
from contextlib import asynccontextmanager
from datetime import UTC, datetime
from typing import Any

import pytest

from central import forwarder, pipeline
from central.config import ForwardSettings
from central.ending import end
from central.engine.model import Act, ActKind, Disposition
from central.forwarder import Forwarder
from central.store import forward
from tests.harness import fire_centre
from tests.harness.fire_centre import CONTROL, REQUEST, TRANSMITTER, US, Component, FireCentre
from tests.harness.town import Town, batch, event, send
from tests.harness.wait import eventually
from wire.messages import Condition, EventKind

A, C = EventKind.ASSERT, EventKind.CLEAR
SMOKE = Condition.SMOKE
NORMAL, FIRE, FAULT, POWER = 1, 2, 4, 1 << 8


@pytest.fixture
def centre() -> Iterator[FireCentre]:
    made = FireCentre().start()
    yield made
    made.stop()
    assert made.wrong == []


def settings(centre: FireCentre, **more: Any) -> ForwardSettings:
    more.setdefault("id", "fire-119")
    return ForwardSettings(
        host="127.0.0.1",
        port=centre.port,
        source_address=TRANSMITTER,
        destination_address=US,
        transport=centre.transport,
        **more,
    )


@asynccontextmanager
async def forwarding(town: Town, *centres: ForwardSettings) -> AsyncIterator[None]:
    """The forwarder runs, and has told each centre of itself."""
    task = asyncio.create_task(Forwarder(town.store, centres).run())
    try:
        ids = [one.id for one in centres]

        async def all_known() -> bool:
            rows = await town.rows("SELECT FROM forward_centre WHERE active AND id = ANY (%s)", ids)
            return len(rows) == len(ids)

        await eventually(all_known, 10)
        yield
    finally:
        await end([task])


async def act(town: Town, kind: ActKind, who: str = "primary", alarm: int = 1, **more: Any) -> None:
    async with town.store.transaction() as tx:
        await pipeline.act(tx, alarm, Act(kind, **more), who, "test")


async def all_confirmed(town: Town) -> bool:
    return await town.rows("SELECT FROM forward WHERE confirmed_at IS NULL") == []


async def states(centre: FireCentre, count: int) -> list[Component]:
    return await eventually(lambda: centre.told() if len(centre.told()) >= count else None, 10, str(count))


@pytest.mark.parametrize("transport", ["tcp", "udp"])
async def test_a_fire_arrives_with_its_place_and_moment_and_ends_when_a_person_closes_it(
    town: Town, transport: Any
) -> None:
    """Over TCP and UDP; the clear by itself ends nothing there either."""
    centre = FireCentre(transport).start()
    try:
        async with forwarding(town, settings(centre)):
            await send(town, batch([event(1, A, SMOKE)]))
            (fire,) = await states(centre, 1)
            assert (fire.system_type, fire.component_type, fire.state) == (1, 42, NORMAL | FIRE)
            assert (fire.system, fire.zone, fire.point) == (1, 1, 1)
            assert fire.text == "3栋2单元501 厨房 感烟火警"
            happened = (await town.one("SELECT event_at FROM alarm"))["event_at"].astimezone(UTC)
            tagged = datetime(*fire.at, tzinfo=UTC)
            assert (tagged - happened).total_seconds() == pytest.approx(8 * 3600, abs=1)
            await send(town, batch([event(2, C, SMOKE)]))
            await act(town, ActKind.ACKNOWLEDGE)
            await eventually(lambda: centre.of_kind(4), 10, "the acknowledgement")
            assert centre.of_kind(4)[0].data[2:6] == bytes([1, 1, 0x20, 0])
            assert len(centre.told()) == 1
            await act(town, ActKind.CLOSE, disposition=Disposition.REAL_FIRE)
            _, over = await states(centre, 2)
            assert (over.state, over.text, over.point) == (NORMAL, "3栋2单元501 厨房 恢复", 1)
            await eventually(lambda: all_confirmed(town), 10)
    finally:
        centre.stop()
    assert centre.wrong == []
    serials = [packet.serial for packet in centre.packets]
    assert serials == list(range(len(serials)))


async def test_a_test_press_is_never_a_fire_and_no_news_ends_a_fire(town: Town, centre: FireCentre) -> None:
    """A fault that comes and goes beside a fire is told with the fire's bit."""
    async with forwarding(town, settings(centre)):
        told = [event(1, A, Condition.TEST), event(2, C, Condition.TEST), event(3, A, Condition.PRE_ALARM)]
        await send(town, batch(told))
        await send(town, batch([event(4, A, Condition.LOW_BATTERY)]))
        (low,) = await states(centre, 1)
        assert (low.state, low.text) == (NORMAL | POWER, "3栋2单元501 厨房 电池欠压")
        await send(town, batch([event(5, A, SMOKE)]))
        assert (await states(centre, 2))[1].state == NORMAL | FIRE | POWER
        await send(town, batch([event(6, C, Condition.LOW_BATTERY)]))
        assert (await states(centre, 3))[2].state == NORMAL | FIRE
        await send(town, batch([event(7, A, Condition.NO_RESPONSE)]))
        assert (await states(centre, 4))[3].state == NORMAL | FIRE | FAULT
        await eventually(lambda: all_confirmed(town), 10)
    assert len(centre.told()) == 4


async def test_a_centre_may_want_0x0002_and_only_what_is_confirmed_or_raised(
    town: Town, centre: FireCentre
) -> None:
    """Several centres, each with its own rules; nobody answers for 90 s, and the second one is told."""
    other = FireCentre().start()
    careful = settings(other, id="careful", when="confirmed_or_raised", fire_state=0x0002)
    try:
        async with forwarding(town, settings(centre), careful):
            await send(town, batch([event(1, A, SMOKE)]))
            assert (await states(centre, 1))[0].state == 0x0003
            await eventually(lambda: all_confirmed(town), 10)
            assert other.told() == []
            town.time.forward(seconds=90)
            async with town.store.transaction() as tx:
                await pipeline.run_due(tx)
            assert (await states(other, 1))[0].state == 0x0002
            await eventually(lambda: all_confirmed(town), 10)
            rows = await town.rows("SELECT centre, what FROM forward ORDER BY id")
            assert [tuple(row.values()) for row in rows] == [("fire-119", "fire"), ("careful", "fire")]
            second = event(2, A, SMOKE, detector="det-2")
            await send(town, batch([second]))
            await states(centre, 2)
            await act(town, ActKind.ACKNOWLEDGE, alarm=2)
            await act(town, ActKind.CLOSE, alarm=2, disposition=Disposition.REAL_FIRE)
            fires = await states(other, 2)
            assert (fires[1].state, fires[1].zone, fires[1].point) == (0x0002, 1, 2)
        assert len(centre.fires()) == 2
    finally:
        other.stop()
    assert other.wrong == []


async def test_a_silent_centre_gets_it_four_times_with_one_serial_and_then_on_a_new_connection(
    town: Town, centre: FireCentre
) -> None:
    """And again, until it answers; nothing else is repeated meanwhile."""
    centre.behaviour = "silent"
    async with forwarding(town, settings(centre, ack_s=0.1)):
        await send(town, batch([event(1, A, SMOKE)]))

        def fires() -> list[fire_centre.Packet]:
            return [packet for packet in list(centre.packets) if fire_centre.components(packet)]

        await eventually(lambda: centre.connections >= 2 and len(fires()) >= 4, 15, "four times")
        first = [packet for packet in fires() if packet.serial == fires()[0].serial]
        assert len(first) == 4
        assert len({packet.raw for packet in first}) == 1
        assert len({packet.connection for packet in first}) == 1
        centre.behaviour = "confirm"
        town.time.forward(seconds=5)
        await eventually(lambda: all_confirmed(town), 20, "confirmed")
        assert fires()[-1].connection > first[0].connection
        (row,) = await town.rows("SELECT failed FROM forward WHERE what = 'fire'")
        assert row["failed"] >= 1


async def test_a_centre_that_denies_is_told_again_and_other_news_is_not_held_up(
    town: Town, centre: FireCentre
) -> None:
    """Four denials end an exchange, not the connection."""
    centre.behaviour = "deny"
    async with forwarding(town, settings(centre)):
        await send(town, batch([event(1, A, SMOKE), event(2, A, Condition.FAULT, detector="det-2")]))
        await eventually(lambda: {c.point for c in centre.told()} == {1, 2}, 10, "both")

        def serials() -> list[int]:
            told = [(packet.serial, fire_centre.components(packet)) for packet in list(centre.packets)]
            return [serial for serial, burning in told if burning and burning[0].burns]

        await eventually(lambda: len(serials()) >= 5, 10, "a second exchange")
        assert serials()[:4] == [serials()[0]] * 4 != serials()[1:5]
        centre.behaviour = "confirm"

        async def confirmed() -> bool:
            town.time.forward(seconds=20)
            return await all_confirmed(town)

        await eventually(confirmed, 10, "confirmed")
        assert centre.connections == 1
    address = await town.one("SELECT point FROM forward_address WHERE component = 'det-1'")
    assert {one.point for one in centre.fires()} == {address["point"]}


async def test_news_waits_for_a_centre_that_is_away_and_for_one_that_is_new(town: Town) -> None:
    """Fire first of all that waited; open alarms are told to a centre that was not known when they opened."""
    centre = FireCentre()
    centre.start()
    centre.stop()
    await send(town, batch([event(1, A, Condition.FAULT)]))
    async with forwarding(town, settings(centre)):
        await send(town, batch([event(2, A, SMOKE, detector="det-2")]))
        centre.start()
        told = await states(centre, 2)
        assert [one.state for one in told] == [NORMAL | FIRE, NORMAL | FAULT]
        await eventually(lambda: all_confirmed(town), 10)
    centre.stop()
    assert centre.wrong == []
    # What was told stays told, whoever starts again.
    async with forwarding(town, settings(centre.start())):
        await eventually(lambda: centre.connections >= 2 and centre.of_kind(21)[1:], 10, "the state again")
    centre.stop()
    assert len(centre.told()) == 2


async def test_orders_and_questions_are_answered_as_the_standard_says(town: Town, centre: FireCentre) -> None:
    """Clock, state, version, time; what is impossible, unknown or broken is denied."""
    async with forwarding(town, settings(centre)):
        await eventually(lambda: centre.of_kind(21), 10, "our own state")
        assert centre.of_kind(21)[0].data[2] == 1
        asked = {
            100: (CONTROL, "5A 01 02 3A 09 1A 09 0C"),
            101: (CONTROL, "5A 01 02 3A 09 20 09 0C"),
            102: (CONTROL, "59 01 00"),
            103: (REQUEST, "51 01 00"),
            104: (REQUEST, "55 01 00"),
            105: (REQUEST, "58 01 00"),
            106: (REQUEST, "99 01 00"),
            107: (7, ""),
        }
        for serial, (command, words) in asked.items():
            centre.order(serial, command, bytes.fromhex(words))

        def answers() -> dict[int, tuple[int, int]]:
            return {p.serial: (p.command, p.kind) for p in list(centre.packets) if p.serial >= 100}

        await eventually(lambda: len(answers()) == len(asked), 10, "all answered")
        assert answers() == {
            100: (fire_centre.CONFIRM, 0),
            101: (fire_centre.DENY, 0),
            102: (fire_centre.DENY, 0),
            103: (fire_centre.ANSWER, 21),
            104: (fire_centre.ANSWER, 25),
            105: (fire_centre.ANSWER, 28),
            106: (fire_centre.DENY, 0),
            107: (fire_centre.DENY, 0),
        }


async def test_a_roll_call_is_answered_by_the_person_who_takes_it(
    town: Town, centre: FireCentre, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The order is confirmed at once; the answer is a person's. An automatic one must be asked for."""
    monkeypatch.setattr(forwarder, "WATCH_S", 0.2)
    async with forwarding(town, settings(centre)):
        await eventually(lambda: centre.of_kind(21), 10, "connected")
        centre.order(500, CONTROL, bytes.fromhex("5B 01 0A"))
        await eventually(lambda: [p for p in list(centre.packets) if p.serial == 500], 10, "confirmed")
        alarm = await town.one("SELECT id, part, detail FROM alarm WHERE condition = 'system'")
        assert "查岗" in alarm["detail"]["text"]
        assert centre.of_kind(24) == []
        await act(town, ActKind.ACKNOWLEDGE, "desk", alarm["id"])
        (answer,) = await eventually(lambda: centre.of_kind(24), 10, "the answer")
        assert answer.data[2] == 0x20

        async def over() -> bool:
            return (await town.one("SELECT state FROM alarm"))["state"] == "closed"

        await eventually(over, 10, "the call is over")
        await eventually(lambda: all_confirmed(town), 10)  # or it comes again, to the next connection
    async with forwarding(town, settings(centre, roll_call="automatic")):
        await eventually(lambda: centre.connections == 2 and len(centre.of_kind(21)) == 2, 10, "again")
        centre.order(501, CONTROL, bytes.fromhex("5B 01 0A"))
        await eventually(lambda: len(centre.of_kind(24)) == 2, 10, "the answer")


async def test_what_the_database_took_back_is_sent_all_the_same(town: Town, centre: FireCentre) -> None:
    """A commit may fail because another transaction was first: the next turn says what this one meant to."""
    await town.do("CREATE SEQUENCE tries START 4")
    await town.do(
        "CREATE FUNCTION first_is_another() RETURNS trigger LANGUAGE plpgsql AS $$ BEGIN"
        " IF nextval('tries') <= 3 THEN RAISE 'another was first' USING ERRCODE = '40001'; END IF;"
        " RETURN NULL; END $$"
    )
    await town.do(
        "CREATE CONSTRAINT TRIGGER conflict AFTER UPDATE ON forward_centre"
        " DEFERRABLE INITIALLY DEFERRED FOR EACH ROW WHEN (NEW.serial IS DISTINCT FROM OLD.serial)"
        " EXECUTE FUNCTION first_is_another()"
    )
    three_fail = "SELECT setval('tries', 1, false)"
    async with forwarding(town, settings(centre, roll_call="automatic")):
        await eventually(lambda: centre.of_kind(21), 10, "connected")
        await town.do(three_fail)
        centre.order(500, CONTROL, bytes.fromhex("5B 01 0A"))
        await eventually(lambda: centre.of_kind(24), 10, "the answer to the roll call")
        await town.do(three_fail)
        await send(town, batch([event(1, A, SMOKE)]))
        await states(centre, 1)
        await eventually(lambda: all_confirmed(town), 10)
        await town.do(three_fail)
    async with forwarding(town, settings(centre)):
        await eventually(lambda: len(centre.of_kind(21)) == 2, 10, "the state, to a new connection")


async def test_one_process_at_a_time_speaks_to_a_centre(town: Town, centre: FireCentre) -> None:
    """The second waits, and takes over when the first one ends."""
    second = asyncio.create_task(asyncio.sleep(0))
    async with forwarding(town, settings(centre)):
        await eventually(lambda: centre.of_kind(21), 10, "the first")
        second = asyncio.create_task(Forwarder(town.store, [settings(centre)]).run())
        await send(town, batch([event(1, A, SMOKE)]))
        await states(centre, 1)
        assert centre.connections == 1
    try:
        await eventually(lambda: centre.connections == 2, 10, "the second")
        await send(town, batch([event(2, A, SMOKE, detector="det-2")]))
        await states(centre, 2)
    finally:
        await end([second])


async def test_a_detector_keeps_its_address_for_ever(town: Town, centre: FireCentre) -> None:
    """Also when it moves; points count within a building, zones within all."""
    async with forwarding(town, settings(centre)):
        await send(town, batch([event(1, A, SMOKE, detector="det-2"), event(2, A, SMOKE)]))
        await states(centre, 2)
        async with town.store.transaction() as tx:
            given = await forward.addresses(tx)
        assert [(one.component, one.system, one.zone, one.point) for one in given] == [
            ("det-2", 1, 1, 1),
            ("det-1", 1, 1, 2),
        ]
        await town.do("INSERT INTO building VALUES ('b2', 'g1', '很长很长的小区名字里面的第十二栋')")
        await town.do("INSERT INTO household VALUES ('h9', 'b2', '1单元', 1, '101')")
        await town.do("UPDATE placement SET to_at = now() - interval '1 minute' WHERE detector = 'det-2'")
        await town.do(
            "INSERT INTO placement (detector, household, gateway, bus, unit, from_at)"
            " VALUES ('det-2', 'h9', 'gw-1', 'bus-1', 3, now() - interval '1 minute')"
        )
        await send(town, batch([event(3, A, Condition.FAULT, detector="det-2")]))
        moved = (await states(centre, 3))[2]
        assert (moved.system, moved.zone, moved.point) == (1, 1, 1)
        assert moved.text.endswith("1单元101 故障")
        assert moved.text.startswith("很长")


async def test_a_centre_that_confirms_nothing_is_an_alarm_until_it_does(
    town: Town, centre: FireCentre, monkeypatch: pytest.MonkeyPatch
) -> None:
    """With the words that a person needs then; told in the area, and over by itself."""
    monkeypatch.setattr(forwarder, "WATCH_S", 0.1)
    monkeypatch.setattr(forwarder, "LOST_S", 0.3)
    centre.behaviour = "silent"

    async def lost() -> str:
        rows = await town.rows("SELECT state, detail FROM alarm WHERE condition = 'system'")
        return f"{rows[-1]['state']} {rows[-1]['detail']['text']}" if rows else ""

    async with forwarding(town, settings(centre, ack_s=0.3)):
        await send(town, batch([event(1, A, SMOKE)]))
        said = await eventually(lost, 10, "an alarm")
        assert said.startswith("active_unacknowledged 消防监控中心 fire-119 无应答，火警请电话报 119")
        centre.behaviour = "confirm"

        async def over() -> bool:
            return (await lost()).startswith("closed")

        await eventually(over, 10, "the alarm is over")


async def test_connections_to_the_database_that_are_cut_keep_no_fire_back(
    town: Town, centre: FireCentre, monkeypatch: pytest.MonkeyPatch
) -> None:
    """The hold on the centre too: it is taken again, and a confirmed row stays confirmed."""
    monkeypatch.setattr(forwarder, "ASK_S", 0.3)
    async with forwarding(town, settings(centre)):
        await send(town, batch([event(1, A, SMOKE)]))
        await states(centre, 1)
        await eventually(lambda: all_confirmed(town), 10)
        await town.rows(
            "SELECT pg_terminate_backend(pid) FROM pg_stat_activity"
            " WHERE application_name LIKE 'smokewatch-%%' AND pid <> pg_backend_pid()"
            " AND datname = current_database()"
        )
        await send(town, batch([event(2, A, SMOKE, detector="det-2")]))
        await eventually(lambda: {one.point for one in centre.fires()} == {1, 2}, 10, "the second fire")
        await eventually(lambda: all_confirmed(town), 10)
        await eventually(lambda: centre.connections == 2, 10, "the hold was lost and taken again")
    assert len([one for one in centre.fires() if one.point == 1]) == 1


async def test_the_temperature_beside_a_fire_is_told_when_it_was_measured(
    town: Town, centre: FireCentre
) -> None:
    """Type 3, in tenths of a degree; where nobody measured, nothing is said."""
    await town.do("INSERT INTO series (gateway, detector) VALUES ('gw-1', 'det-2')")
    await town.do(
        "INSERT INTO last_reading (series, at, temperature, temperature_at)"
        " SELECT id, now(), -1.25, now() FROM series"
    )
    async with forwarding(town, settings(centre)):
        await send(town, batch([event(1, A, SMOKE), event(2, A, SMOKE, detector="det-2")]))
        (value,) = await eventually(lambda: centre.of_kind(3), 10, "a value")
        assert value.data[:12] == bytes([3, 1, 1, 1, 42, 1, 0, 2, 0, 3, 0xF4, 0xFF])
        await eventually(lambda: all_confirmed(town), 10)
    assert len(centre.of_kind(3)) == 1
    assert len(centre.fires()) == 2


async def test_a_centre_that_comes_back_into_the_configuration_learns_what_ended_meanwhile(
    town: Town, centre: FireCentre
) -> None:
    """Otherwise the fire would stand there for ever."""
    async with forwarding(town, settings(centre)):
        await send(town, batch([event(1, A, SMOKE)]))
        await states(centre, 1)
        await eventually(lambda: all_confirmed(town), 10)
    other = FireCentre().start()
    async with forwarding(town, settings(other, id="other")):
        assert (await states(other, 1))[0].burns
        await send(town, batch([event(2, C, SMOKE)]))
        await act(town, ActKind.ACKNOWLEDGE)
        await act(town, ActKind.CLOSE, disposition=Disposition.FALSE_ALARM)
        assert not (await states(other, 2))[1].burns
    other.stop()
    assert len(centre.told()) == 1
    async with forwarding(town, settings(centre)):
        assert (await states(centre, 2))[1].state == NORMAL
