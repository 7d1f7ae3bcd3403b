"""Events become rows, alarms and deliveries, once in effect, in a real database."""

from __future__ import annotations

import asyncio

import psycopg
import pytest

from central import pipeline
from central.engine.model import Act, ActKind, Disposition
from central.store import alarms
from tests.harness.town import BOOT, GATEWAY, STREAM, Town, batch, event, send
from wire.messages import Ask, Condition, EventKind

A, C, U, F = EventKind.ASSERT, EventKind.CLEAR, EventKind.UNKNOWN, EventKind.FALLBACK
SMOKE, HEAT, TEST, FAULT = Condition.SMOKE, Condition.HEAT, Condition.TEST, Condition.FAULT
NO_RESPONSE, BUS_DOWN = Condition.NO_RESPONSE, Condition.BUS_DOWN


def snapshot(seq: int, **states: list[Condition] | None):
    named = {name.replace("_", "-"): found for name, found in states.items()}
    return event(seq, EventKind.SNAPSHOT, states=named)


async def smoke_alarm(town: Town) -> dict:
    return await town.one("SELECT * FROM alarm WHERE condition = 'smoke'")


async def act(town: Town, alarm: int, kind: ActKind, who: str = "primary", **more) -> None:
    async with town.store.transaction() as tx:
        await pipeline.act(tx, alarm, Act(kind, **more), who, "test")


async def test_smoke_opens_an_alarm_and_calls_the_grid_worker_in_the_same_transaction(town: Town) -> None:
    """The event, the alarm with its home, the log, the due step and the delivery."""
    ack = await send(town, batch([event(1, A, SMOKE)]))
    assert (ack.through_seq, ack.ask, ack.echo_ms) == (1, [], 1000)
    alarm = await smoke_alarm(town)
    assert (alarm["state"], alarm["household"], alarm["grid"], alarm["address_known"]) == (
        "active_unacknowledged",
        "h1",
        "g1",
        True,
    )
    assert not alarm["late"]
    assert await town.told() == [("primary", "alarm", 1, 0)]
    due = await town.one("SELECT kind, step, due_at - %s AS after FROM due", alarm["opened_at"])
    assert (due["kind"], due["step"], due["after"].total_seconds()) == ("step", 1, 90)
    log = await town.rows("SELECT what, reason, event FROM alarm_log ORDER BY id")
    assert [(row["what"], row["reason"]) for row in log] == [
        ("opened", "first_assert"),
        ("told", "first_assert"),
    ]
    async with town.store.transaction() as tx:
        facts = await alarms.describe(tx, alarm["id"])
        lines = await alarms.timeline(tx, alarm["id"])
    assert facts is not None
    assert facts.residents[0].name == "王奶奶"
    assert (facts.spot, facts.room, facts.community_name) == ("厨房", "501", "一社区")
    assert [line.what for line in lines] == ["opened", "told"]


async def test_a_batch_that_comes_again_is_answered_and_changes_nothing(town: Town) -> None:
    """Repeated, overlapping: once in effect."""
    first = batch([event(1, A, SMOKE), event(2, C, SMOKE)])
    await send(town, first)
    assert (await send(town, first)).through_seq == 2
    await send(town, batch([event(2, C, SMOKE), event(3, A, FAULT)]))
    assert len(await town.rows("SELECT FROM event")) == 3
    assert len(await town.rows("SELECT FROM alarm")) == 2
    assert (await smoke_alarm(town))["state"] == "cleared_unacknowledged"


async def test_a_fresh_smoke_ahead_of_the_backlog_is_judged_at_once_and_the_backlog_undoes_nothing(
    town: Town,
) -> None:
    """An older clear changes nothing; the cursor waits for the gap to be filled."""
    ack = await send(town, batch([event(100, A, SMOKE)]))
    assert ack.through_seq == 0
    assert await town.told() == [("primary", "alarm", 1, 0)]
    backlog = [event(n, EventKind.CANARY) for n in range(1, 98)]
    ack = await send(town, batch([*backlog, event(98, A, SMOKE), event(99, C, SMOKE)]))
    assert ack.through_seq == 100
    assert (await smoke_alarm(town))["state"] == "active_unacknowledged"
    assert len(await town.told()) == 1


async def test_an_older_smoke_that_nobody_looked_into_opens_an_alarm_that_is_already_cleared(
    town: Town,
) -> None:
    """Told late: somebody must still go and look."""
    await send(town, batch([event(5000, C, SMOKE)]))
    await send(town, batch([event(1, A, SMOKE)], sent_mono_ms=5_000_000))
    alarm = await smoke_alarm(town)
    assert (alarm["state"], alarm["late"]) == ("cleared_unacknowledged", True)
    assert await town.told() == [("primary", "alarm", 1, 0)]


async def test_smoke_sent_again_under_a_new_stream_is_stored_but_is_no_new_alarm(town: Town) -> None:
    """An outbox that started anew sends all it holds again."""
    await send(town, batch([event(1, A, SMOKE), event(2, C, SMOKE)]))
    alarm = await smoke_alarm(town)
    await act(town, alarm["id"], ActKind.CLOSE, disposition=Disposition.TEST)
    again = [event(1, A, SMOKE, mono_ms=1000), event(2, C, SMOKE, mono_ms=2000)]
    await send(town, batch(again, stream="c" * 32))
    assert len(await town.rows("SELECT FROM event")) == 4
    assert (await smoke_alarm(town))["id"] == alarm["id"]


async def test_what_can_never_come_is_a_gap_an_alarm_and_a_question(town: Town) -> None:
    """The cursor moves on, so that the rest can be forgotten."""
    await send(town, batch([event(1, EventKind.CANARY)]))
    ack = await send(town, batch([event(10, EventKind.CANARY)], oldest=10))
    assert (ack.through_seq, ack.ask) == (10, [Ask.SNAPSHOT])
    gap = await town.one("SELECT from_seq, to_seq FROM data_gap")
    assert gap == {"from_seq": 2, "to_seq": 9}
    assert (await town.one("SELECT condition, severity FROM alarm"))["condition"] == "data_gap"


async def test_a_repeat_with_other_content_is_quarantined_and_suspected_to_be_a_clone(town: Town) -> None:
    """It is never taken for a duplicate, and the gateway starts another stream."""
    await send(town, batch([event(1, EventKind.CANARY)]))
    ack = await send(town, batch([event(1, A, SMOKE), event(2, A, FAULT)]))
    assert Ask.NEW_STREAM in ack.ask
    assert "differs" in (await town.one("SELECT reason FROM quarantine"))["reason"]
    found = {row["condition"] for row in await town.rows("SELECT condition FROM alarm")}
    assert found == {"clone_suspected", "fault"}


@pytest.mark.parametrize("gateway", ["nobody-knows", GATEWAY])
async def test_smoke_from_an_unknown_detector_calls_the_command_centre_at_once(
    town: Town, gateway: str
) -> None:
    """Address unknown; steps without anybody are passed over, and the log says so."""
    await send(town, batch([event(1, A, SMOKE, detector="stranger")]), gateway=gateway)
    alarm = await smoke_alarm(town)
    assert (alarm["address_known"], alarm["household"], alarm["area"]) == (False, None, "street")
    assert await town.told() == [("desk", "alarm", 1, 2)]
    skipped = await town.rows("SELECT detail FROM alarm_log WHERE what = 'skipped' ORDER BY id")
    assert [row["detail"]["step"] for row in skipped] == [0, 1]
    assert (await town.one("SELECT step FROM due"))["step"] == 3


async def test_smoke_from_an_area_nobody_registered_calls_every_dispatcher(town: Town) -> None:
    """Rather too many than none."""
    await send(town, batch([event(1, A, SMOKE)]), area="elsewhere", gateway="new-gw")
    assert ("desk", "alarm", 1, 2) in await town.told() or ("primary", "alarm", 1, 0) in await town.told()
    await send(town, batch([event(1, A, HEAT, detector="x")]), area="elsewhere", gateway="newer-gw")
    assert (await town.told())[-1] == ("desk", "alarm", 1, 2)


async def test_a_scrapped_detector_still_calls_for_its_last_home(town: Town) -> None:
    """The home is the last one known, and the alarm says that this is not sure."""
    await town.do("UPDATE placement SET to_at = now() - interval '1 day' WHERE detector = 'det-1'")
    await town.do("UPDATE detector SET scrapped_at = now() WHERE id = 'det-1'")
    await send(town, batch([event(1, A, SMOKE)]))
    alarm = await smoke_alarm(town)
    assert (alarm["household"], alarm["address_known"]) == ("h1", False)
    assert await town.told() == [("primary", "alarm", 1, 0)]


async def test_an_event_that_cannot_be_processed_is_kept_raw_and_hinders_no_other(town: Town) -> None:
    """Stored with the reason, the cursor moves, a system alarm says it, the next alarm opens."""
    await town.do(
        """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF NEW.part = 'cursed' THEN RAISE EXCEPTION 'planted'; END IF; RETURN NEW; END $$"""
    )
    await town.do("CREATE TRIGGER t BEFORE INSERT ON alarm FOR EACH ROW EXECUTE FUNCTION refuse()")
    ack = await send(
        town, batch([event(1, A, FAULT, detector="cursed"), event(2, A, FAULT), event(3, A, SMOKE)])
    )
    assert ack.through_seq == 3
    failed = await town.rows("SELECT seq, failed FROM event WHERE failed IS NOT NULL")
    assert [row["seq"] for row in failed] == [1]
    assert "planted" in failed[0]["failed"]
    found = await town.rows("SELECT condition, part FROM alarm ORDER BY id")
    assert [(row["condition"], row["part"]) for row in found] == [
        ("system", "events"),
        ("fault", "det-1"),
        ("smoke", "det-1"),
    ]
    await send(town, batch([event(4, A, FAULT, detector="cursed")]))
    assert (await town.one("SELECT detail FROM alarm WHERE condition = 'system'"))["detail"]["folded"] == 1


async def test_smoke_that_fails_with_its_home_still_alarms_without_one(town: Town) -> None:
    """Rather an alarm without an address than none."""
    await town.do(
        """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF NEW.household IS NOT NULL THEN RAISE EXCEPTION 'planted'; END IF; RETURN NEW; END $$"""
    )
    await town.do("CREATE TRIGGER t BEFORE INSERT ON alarm FOR EACH ROW EXECUTE FUNCTION refuse()")
    await send(town, batch([event(1, A, SMOKE)]))
    assert (await smoke_alarm(town))["address_known"] is False
    assert ("desk", "alarm", 1, 2) in await town.told()


async def test_a_row_that_the_database_refuses_is_quarantined_and_the_cursor_moves(town: Town) -> None:
    """Even when the event table itself says no."""
    await town.do(
        """CREATE FUNCTION refuse() RETURNS trigger LANGUAGE plpgsql AS
        $$ BEGIN IF NEW.detector = 'cursed' THEN RAISE EXCEPTION 'planted'; END IF; RETURN NEW; END $$"""
    )
    await town.do("CREATE TRIGGER t BEFORE INSERT ON event FOR EACH ROW EXECUTE FUNCTION refuse()")
    ack = await send(town, batch([event(1, A, FAULT, detector="cursed"), event(2, A, SMOKE)]))
    assert ack.through_seq == 2
    assert "planted" in (await town.one("SELECT reason FROM quarantine"))["reason"]
    assert (await smoke_alarm(town))["state"] == "active_unacknowledged"


async def test_smoke_in_a_snapshot_opens_an_alarm_and_a_good_read_without_it_clears(town: Town) -> None:
    """Null is unknown and changes nothing."""
    await send(town, batch([snapshot(1, det_1=[SMOKE, FAULT], det_2=None)]))
    assert (await smoke_alarm(town))["state"] == "active_unacknowledged"
    await send(town, batch([snapshot(2, det_1=None, det_2=None)]))
    assert (await smoke_alarm(town))["state"] == "active_unacknowledged"
    await send(town, batch([snapshot(3, det_1=[], det_2=[])]))
    assert (await smoke_alarm(town))["state"] == "cleared_unacknowledged"
    assert (await town.one("SELECT state FROM alarm WHERE condition = 'fault'"))["state"] == "closed"


async def test_a_detector_that_leaves_the_configuration_makes_its_smoke_unknown(town: Town) -> None:
    """Removal is never a clear."""
    await send(town, batch([event(1, A, SMOKE)]))
    await send(town, batch([snapshot(2, det_2=[])]))
    assert (await smoke_alarm(town))["state"] == "active_unknown"
    await send(town, batch([event(3, U, SMOKE)]))
    assert (await smoke_alarm(town))["state"] == "active_unknown"


async def test_only_the_source_or_the_present_owners_snapshot_ends_what_was_asserted(town: Town) -> None:
    """Another gateway's clear is no news."""
    await send(town, batch([event(1, A, SMOKE)]))
    await send(town, batch([event(1, C, SMOKE)], stream="c" * 32, boot="d" * 32), gateway="gw-2")
    await send(town, batch([snapshot(2, det_1=[])], stream="c" * 32, boot="d" * 32), gateway="gw-2")
    assert (await smoke_alarm(town))["state"] == "active_unacknowledged"
    await town.do("UPDATE placement SET gateway = 'gw-2' WHERE detector = 'det-1'")
    await send(town, batch([snapshot(3, det_1=[])], stream="c" * 32, boot="d" * 32), gateway="gw-2")
    assert (await smoke_alarm(town))["state"] == "cleared_unacknowledged"


async def test_a_test_press_is_noted_calls_nobody_and_closes_itself(town: Town) -> None:
    """An alarm of its own kind."""
    await send(town, batch([event(1, A, TEST)]))
    assert await town.told() == []
    await send(town, batch([event(2, C, TEST)]))
    alarm = await town.one("SELECT severity, state, disposition FROM alarm")
    assert alarm == {"severity": "note", "state": "closed", "disposition": "returned_to_normal"}


@pytest.mark.parametrize("silent", [(NO_RESPONSE, "detector", "det-1"), (BUS_DOWN, "bus", "bus-1")])
async def test_falling_silent_in_smoke_calls_the_next_step_and_coming_back_asks_how_it_is(
    town: Town, silent: tuple[Condition, str, str]
) -> None:
    """Not folded into the silence, whether of the detector or of its line."""
    condition, key, value = silent
    await send(town, batch([event(1, A, SMOKE)]))
    await send(town, batch([event(2, A, condition, **{key: value})]))
    assert (await smoke_alarm(town))["state"] == "active_unknown"
    alarms_told = [told for told in await town.told() if told[3] == 1]
    assert {told[0] for told in alarms_told} == {"backup", "lead"}
    ack = await send(town, batch([event(3, C, condition, **{key: value})]))
    assert ack.ask == [Ask.SNAPSHOT]
    await send(town, batch([snapshot(4, det_1=[SMOKE])]))
    assert (await smoke_alarm(town))["state"] == "active_unacknowledged"


async def test_a_silent_line_names_the_homes_behind_it(town: Town) -> None:
    """One message for all of them."""
    await send(town, batch([event(1, A, BUS_DOWN, bus="bus-1")]))
    alarm = await town.one("SELECT detail, severity FROM alarm")
    assert alarm["detail"]["count"] == 2
    assert alarm["detail"]["homes"] == ["3栋 2单元-501", "3栋 2单元-601"]
    assert {told[0] for told in await town.told()} == {"lead", "fitter"}


async def test_nobody_at_all_to_tell_is_an_alarm_of_its_own(town: Town) -> None:
    """And it does not call itself for ever."""
    await town.do("UPDATE worker SET active = false")
    await send(town, batch([event(1, A, SMOKE)]))
    found = await town.rows("SELECT condition, part FROM alarm ORDER BY id")
    assert [(row["condition"], row["part"]) for row in found] == [
        ("smoke", "det-1"),
        ("system", "reach:street"),
    ]
    assert await town.told() == []
    assert len(await town.rows("SELECT FROM due WHERE kind = 'step' AND alarm = 1")) == 1


async def test_two_replicas_with_the_same_batch_at_once_store_it_once(town: Town) -> None:
    """The lane's row is held; the second finds everything stored."""
    one = batch([event(1, A, SMOKE), *(event(n, EventKind.CANARY) for n in range(2, 60))])
    acks = await asyncio.gather(*(send(town, one) for _ in range(4)))
    assert {ack.through_seq for ack in acks} == {59}
    assert len(await town.rows("SELECT FROM event")) == 59
    assert len(await town.told()) == 1


async def test_a_clock_in_1970_or_2099_neither_loses_nor_misdates_an_alarm(town: Town) -> None:
    """The corrected time stands near the receipt, the raw stamp is kept."""
    for seq, wild in ((1, 0), (2, 4_102_444_800_000), (3, 2**53), (4, -(2**53))):
        fresh = event(seq, A, SMOKE, detector=f"d{seq}")
        odd = type(fresh)(
            seq=seq, kind=A, at_ms=wild, mono_ms=1, condition=SMOKE, detector=f"d{seq}", synchronised=True
        )
        sent = batch([odd], boot=BOOT)
        sent = type(sent)(
            stream=STREAM,
            first_seq=seq,
            oldest_seq=1,
            boot=BOOT,
            sent_boot="e" * 32,
            clock=sent.clock,
            events=[odd],
        )
        await send(town, sent)
    rows = await town.rows("SELECT event_at - received_at AS off, raw_at, quality FROM event ORDER BY seq")
    assert all(abs(row["off"].total_seconds()) <= 300 for row in rows)
    assert {row["quality"] for row in rows} == {"received"}
    assert rows[0]["raw_at"].year == 1970
    assert rows[1]["raw_at"].year == 2100
    assert len(await town.rows("SELECT FROM alarm WHERE condition = 'smoke'")) == 4


async def test_a_transaction_that_dies_leaves_nothing_and_can_be_done_again(town: Town) -> None:
    """All or nothing: the event, the alarm and the delivery."""
    with pytest.raises(RuntimeError):
        async with town.store.transaction() as tx:
            came = pipeline.Came("street", GATEWAY, batch([event(1, A, SMOKE)]), tx.now)
            await pipeline.take_events(tx, [came])
            raise RuntimeError
    with psycopg.connect(town.dsn) as conn:
        counts = conn.execute(
            "SELECT (SELECT count(*) FROM event), (SELECT count(*) FROM alarm), (SELECT count(*) FROM lane)"
        ).fetchone()
    assert counts == (0, 0, 0)
    await send(town, batch([event(1, A, SMOKE)]))
    assert len(await town.told()) == 1


async def test_a_fallback_stands_on_the_time_line_of_the_alarm_it_called_for(town: Town) -> None:
    """One alarm row; what the gateway did, in its words; nobody is told a second time."""
    said = "已自行通知 / told: 短信 SMS …0101"
    await send(town, batch([event(1, A, SMOKE), event(2, C, SMOKE), event(3, F, SMOKE, text=said)]))
    alarm = await smoke_alarm(town)
    assert alarm["state"] == "cleared_unacknowledged"
    async with town.store.transaction() as tx:
        lines = await alarms.timeline(tx, alarm["id"])
    assert [line.what for line in lines] == ["opened", "told", "cleared", "fallback"]
    assert lines[-1].detail == {"text": said}
    assert lines[-1].reason == "centre_silent"
    assert lines[-1].event is not None
    assert await town.told() == [("primary", "alarm", 1, 0)]


async def test_a_fallback_that_comes_after_the_alarm_was_closed_opens_no_other(town: Town) -> None:
    """The gateway's last words arrive late: they belong to the alarm that somebody has dealt with."""
    await send(town, batch([event(1, A, SMOKE), event(2, C, SMOKE)]))
    alarm = await smoke_alarm(town)
    await act(town, alarm["id"], ActKind.ACKNOWLEDGE)
    await act(town, alarm["id"], ActKind.CLOSE, disposition=Disposition.REAL_FIRE)
    await send(town, batch([event(3, F, SMOKE, text="自行呼叫结束 / calling ends")]))
    assert (await smoke_alarm(town))["id"] == alarm["id"]
    async with town.store.transaction() as tx:
        assert (await alarms.timeline(tx, alarm["id"]))[-1].what == "fallback"


async def test_a_fallback_whose_assert_never_came_is_alarmed_like_the_smoke_it_names(town: Town) -> None:
    """The gateway called people for something we know nothing of: not a line in a table, an alarm."""
    await send(town, batch([event(1, F, SMOKE, text="网关开始自行呼叫 / calling by itself")]))
    alarm = await smoke_alarm(town)
    assert (alarm["state"], alarm["household"]) == ("active_unacknowledged", "h1")
    async with town.store.transaction() as tx:
        lines = await alarms.timeline(tx, alarm["id"])
    assert [line.what for line in lines] == ["opened", "told", "fallback"]
    assert await town.told() == [("primary", "alarm", 1, 0)]
    await send(town, batch([event(2, F, SMOKE, text="已自行通知 / told")]))
    assert len(await town.rows("SELECT FROM alarm")) == 1
