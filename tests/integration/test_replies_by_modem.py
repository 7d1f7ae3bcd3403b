"""A text message to the centre's own modem takes an alarm, and the answer goes out the same way."""

from __future__ import annotations

import asyncio
from datetime import timedelta

from central.answering import Answering
from central.ending import end
from central.listening import Listening
from central.notifier.channels.gsm import Gsm, GsmConfig
from central.store import replies
from tests.harness.modem import PtyModem, came
from tests.harness.town import batch, event, open_town, send
from tests.harness.wait import eventually
from wire.messages import Condition, EventKind

PHONE, STRANGER = "+8613800000000", "+8615500000000"


async def test_a_clock_that_is_set_back_delays_no_answer_that_is_tried_again(database: str) -> None:
    town = await open_town(database)
    hold = timedelta(seconds=30)
    async with town.store.transaction() as tx:
        await replies.answer(tx, "gsm", PHONE, "zh", "已接警")
        (one,) = await replies.claim(tx, ["gsm"], 10, hold)
        await replies.end(tx, one, "pending", why="no network", due_at=tx.now + timedelta(minutes=1))
    async with town.store.transaction() as tx:
        assert await replies.claim(tx, ["gsm"], 10, hold) == [], "its time has not come"
    town.time.forward(hours=-1)
    async with town.store.transaction() as tx:
        assert [again.attempts for again in await replies.claim(tx, ["gsm"], 10, hold)] == [2]
    await town.store.close()


async def test_a_reply_to_the_modem_takes_the_alarm_and_is_answered(database: str) -> None:
    """It is deleted when it was acted upon; what is no message, and a stranger's, are deleted too."""
    town = await open_town(database)
    await town.do("UPDATE contact SET channel = 'gsm', address = '13800000000' WHERE worker = 'primary'")
    await send(town, batch([event(1, EventKind.ASSERT, Condition.SMOKE)]))
    modem = PtyModem()
    modem.inbox = {1: came(PHONE, "收到"), 2: came(STRANGER, "1", wide=False), 5: "00FF"}
    gsm = Gsm(GsmConfig(modem.path, replies=True))
    loops = [
        asyncio.create_task(Listening(town.store, "gsm", gsm, lambda _: None).run()),
        asyncio.create_task(Answering(town.store, {"gsm": gsm}, lambda _: None).run()),
    ]
    await eventually(lambda: not modem.inbox and modem.sent, 20)
    await end(loops)
    modem.close()
    (alarm,) = await town.rows("SELECT acknowledged_by FROM alarm")
    assert alarm["acknowledged_by"] == "primary"
    assert [(one.number, one.text) for one in modem.sent] == [
        (PHONE.removeprefix("+"), "3栋 2单元 5层 501室 已由您接警")
    ]
    outcomes = await town.rows("SELECT outcome FROM receipt ORDER BY id")
    assert [row["outcome"] for row in outcomes] == ["taken", "stranger"]
    await town.store.close()
