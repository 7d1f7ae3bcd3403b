"""The agent calls by itself while the centre is silent: real processes on real lines."""

from __future__ import annotations

import asyncio
import contextlib
import sqlite3
import time
from collections.abc import AsyncIterator
from pathlib import Path

import msgspec
import pytest

from central.ending import end
from central.store import alarms
from tests.harness.box import AREA, GATEWAY, SMOKE, Box
from tests.harness.broker import Broker
from tests.harness.centre import Centre, centre
from tests.harness.modem import PtyModem
from tests.harness.sinks import SECRET, Say, Sink, sink
from tests.harness.town import batch, open_town, send
from tests.harness.wait import eventually
from wire.codec import seal_config
from wire.messages import BusConfig, Contact, DetectorConfig, Event, EventKind

ZHANG, LI = "+8613800000101", "+8613800000102"
SOUND = b"\x01\x00\x00\x53"
"""The reference detector's order to sound: address 256, value 83."""


@pytest.fixture
async def modem() -> AsyncIterator[PtyModem]:
    one = PtyModem()
    yield one
    one.close()


@pytest.fixture
async def receiver() -> AsyncIterator[Sink]:
    async with sink() as one:
        yield one


@pytest.fixture
async def box(tmp_path: Path, broker: Broker, modem: PtyModem, receiver: Sink) -> AsyncIterator[Box]:
    """A gateway that waits 2 s for the answer, then 2 s whether the centre goes on to say that it lives."""
    made = Box(tmp_path, {"host": broker.host, "port": broker.port}, [1, 2])
    (tmp_path / "hook").write_text(SECRET)
    made.config.write_text(
        made.config.read_text()
        + "[fallback]\nack_within_s = 2\nalive_within_s = 2\nwatch_s = 2\n"
        + f'phones = ["{ZHANG}"]\nsounders = ["det-9"]\n'
        + f'[fallback.webhook]\nurl = "{receiver.url}"\nsecret_file = "hook"\n'
        + f'[fallback.modem]\nport = "{modem.path}"\n'
    )
    made.state[9] = 0
    yield made
    made.close()


@contextlib.asynccontextmanager
async def living(broker: Broker) -> AsyncIterator[tuple[Centre, asyncio.Task[None]]]:
    """A centre that answers and says that it lives; cancel the task to make it fall silent."""
    async with centre(broker.host, broker.port, AREA, GATEWAY) as far:
        alive = asyncio.create_task(far.live())
        try:
            yield far, alive
        finally:
            await end([alive])


def with_places(box: Box) -> BusConfig:
    """Two homes and a siren, as the centre pushes them."""
    plain = box.bus([1, 2])
    homes = [
        DetectorConfig(detector="det-1", unit=1, profile=plain.detectors[0].profile, place="3栋 2单元 501室"),
        DetectorConfig(detector="det-2", unit=2, profile=plain.detectors[0].profile, place="3栋 2单元 502室"),
        DetectorConfig(detector="det-9", unit=9, profile=plain.detectors[0].profile, allow_writes=True),
    ]
    return BusConfig(
        bus=plain.bus, transport=plain.transport, address=plain.address, baud=plain.baud, detectors=homes
    )


async def configured(box: Box, far: Centre) -> None:
    """Start the agent and push whom to call and where its detectors hang."""
    box.start()
    pushed = seal_config(far.epoch, 1, [with_places(box)], contacts=[Contact(ZHANG), Contact(LI, ["det-1"])])
    await far.push(pushed)
    await eventually(lambda: far.status is not None and far.status.config_hash == pushed.hash, 15, box.log)
    await eventually(
        lambda: any("det-9" in (one.states or {}) for one in far.of_kind(EventKind.SNAPSHOT)), 10
    )


def fallbacks(far: Centre) -> list[Event]:
    return far.of_kind(EventKind.FALLBACK, "det-1")


def on_record(box: Box, words: str) -> bool:
    """Whether an event with these words is in the outbox's file."""
    with contextlib.closing(sqlite3.connect(f"file:{box.outbox}?mode=ro", uri=True)) as db:
        found = db.execute("SELECT 1 FROM event WHERE instr(CAST(body AS TEXT), ?)", (words,))
        return found.fetchone() is not None


async def one_alarm_with_all_of_it(database: str, far: Centre) -> None:
    """What this agent recorded, given to the real centre: one smoke alarm, and the calls on its time line."""
    town = await open_town(database)
    events = [event for event in far.events if event.detector == "det-1"]
    first = events[0].seq
    renumbered = [msgspec.structs.replace(one, seq=first + i) for i, one in enumerate(events)]
    await send(town, batch(renumbered, oldest=first))
    alarm = await town.one("SELECT id FROM alarm WHERE condition = 'smoke' AND part = 'det-1'")
    async with town.store.transaction() as tx:
        lines = await alarms.timeline(tx, alarm["id"])
    await town.store.close()
    told = [str(line.detail["text"]) for line in lines if line.what == "fallback"]
    assert told == [str(event.text) for event in fallbacks(far)]


async def test_smoke_without_a_centre_sounds_sends_and_is_told_later(
    box: Box, broker: Broker, modem: PtyModem, receiver: Sink, database: str
) -> None:
    """Within the 2 s and a few more: siren, two SMS, two webhooks; all on record when the centre is back."""
    async with living(broker) as (far, alive):
        await configured(box, far)
        alive.cancel()
        far.answering = False
        burnt = time.monotonic()
        box.state[1] = SMOKE
        await eventually(lambda: len(modem.sent) == 2 and len(receiver.received) == 2, 10, box.log)
        assert 2 <= time.monotonic() - burnt < 8
        assert [one.number for one in modem.sent] == [ZHANG[1:], LI[1:]]
        text = modem.sent[0].text
        assert text.startswith("【烟雾报警】3栋 2单元 501室 ")
        assert "中心无应答，请立即前往并拨打119" in text
        posted = receiver.received[0]
        assert posted.signed
        assert posted.body["to"] == ZHANG
        assert posted.body["gateway"] == GATEWAY
        assert posted.body["urgent"] is True
        assert text[:20] in posted.body["text"]
        await eventually(lambda: [r for r in box.slave.requests if r[0] == 9 and r[2:6] == SOUND], 5)
        far.answering = True
        await eventually(lambda: any("calling ends" in str(e.text) for e in fallbacks(far)), 15, box.log)
    texts = [str(event.text) for event in fallbacks(far)]
    assert "no answer in 2 s" in texts[0]
    assert any("短信 SMS …0101" in text for text in texts)
    assert any("sounder det-9" in text for text in texts)
    assert not any(ZHANG in text for text in texts), "a whole number is on record"
    assert ZHANG not in box.log()
    smoke = far.of_kind(EventKind.ASSERT, "det-1")
    assert len(smoke) == 1
    assert len(modem.sent) == 2
    assert len(receiver.received) == 2
    await one_alarm_with_all_of_it(database, far)


async def test_an_answer_in_time_calls_nobody_and_a_centre_that_then_falls_silent_does(
    box: Box, broker: Broker, modem: PtyModem, receiver: Sink
) -> None:
    """Two fires: through the whole watch of the first nobody is called; in the second's the centre dies."""
    async with living(broker) as (far, alive):
        await configured(box, far)
        box.state[2] = SMOKE
        await eventually(lambda: far.of_kind(EventKind.ASSERT, "det-2"), 5)
        watched_until = time.monotonic() + 2 + 2 + 1.5
        await eventually(lambda: time.monotonic() > watched_until, 10)
        assert modem.commands == []
        assert receiver.received == []
        box.state[1] = SMOKE
        await eventually(lambda: far.of_kind(EventKind.ASSERT, "det-1"), 5)
        alive.cancel()
        await eventually(lambda: len(modem.sent) == 2, 10, box.log)
        assert "501室" in modem.sent[0].text
        assert "502室" not in modem.sent[0].text
        await eventually(lambda: any("silent for 2 s" in str(e.text) for e in fallbacks(far)), 5)


async def test_killed_before_the_call_and_with_a_modem_that_answers_error(
    box: Box, broker: Broker, modem: PtyModem, receiver: Sink
) -> None:
    """The smoke is on record, nobody was told: the next start calls. A modem in error hinders no other."""
    modem.manners.refuse = b"+CMS ERROR: 500"
    receiver.answer = lambda one: Say(200, b'{"ok": false, "error": "no"}') if one.number == 1 else Say()
    broker.stop()
    box.state[1] = SMOKE
    box.start()
    await eventually(lambda: box.depth() > 0, 15, box.log)
    box.kill9()
    assert receiver.received == []
    box.start()
    await eventually(lambda: len(receiver.received) == 1, 15, box.log)
    await eventually(lambda: "unknown error" in box.log(), 15)
    modem.manners.refuse = None
    await eventually(lambda: modem.sent and len(receiver.received) == 2, 20, box.log)
    assert modem.sent[0].number == ZHANG[1:], "the box's own list, where the centre has pushed none"
    assert "探测器 det-1" in modem.sent[0].text
    assert receiver.keys[0] == receiver.keys[1]
    await eventually(lambda: on_record(box, "webhook …0101") and on_record(box, "SMS …0101"), 10)
    sent = len(modem.sent)
    box.kill9()
    box.start()
    broker.start()
    async with living(broker) as (far, _):
        await eventually(lambda: any("told: 短信" in str(e.text) for e in fallbacks(far)), 20, box.log)
        await eventually(lambda: box.depth() == 0, 15)
    assert len(modem.sent) == sent, "told again after the restart"
