"""The agent calls by itself while the centre is silent: what `fallback` decides, done and put on record.

Law of this file: it decides nothing. Every call ends within a limit with an outcome; nothing that goes
wrong with one way stops the others or the watch; what was begun, told and ended is an event, with what a
restart must know in the same transaction. Telephone numbers are on record by their last four digits only.
"""

from __future__ import annotations

import asyncio
import hashlib
from collections import deque
from collections.abc import Awaitable, Callable, Mapping, Sequence
from datetime import UTC, datetime, timedelta

import structlog

from edge_agent.clock import Clock
from edge_agent.fallback import (
    FIRE,
    Begun,
    Call,
    Ended,
    Fallback,
    Fire,
    Policy,
    Route,
    Way,
    Why,
    decode_marks,
    encode_marks,
    whom,
)
from edge_agent.fallback_settings import FallbackSettings
from edge_agent.fallback_text import Line, pack, title
from edge_agent.observation import Observation, Stamp
from edge_agent.outbox import Outbox
from edge_agent.outbox_file import StorageError
from edge_agent.sms import Modem
from edge_agent.turning import Turning
from edge_agent.webhook import Webhook
from gsm.pdu import SMS_LIMIT
from wire.messages import Contact, EventKind
from wire.sender import Range

LOOK_EVERY_S = 1.0
"""How often is looked whether a fire has a centre."""
CALL_WITHIN_S = 180.0
"""The longest any call may take; each way has a shorter limit of its own."""
SOUND_WITHIN_S = 30.0
"""A sounder's order waits for its bus's turn, and for a lost line."""
MARKS = "fallback/marks"
"""The marks' name beside the trackers' states, which never holds a slash but after `bus`."""
_CHINA = timedelta(hours=8)
_WAYS = {Way.SOUND: "声响 sounder", Way.WEBHOOK: "网络通知 webhook", Way.SMS: "短信 SMS"}
_BATCH_BYTES = 64_000
_MOST_HELD = 100_000

Record = Callable[[Sequence[Observation], Mapping[str, bytes]], Awaitable[None]]


class Calling:
    """Watches every fire until it has a centre, and calls for those that have none. Run it with `run`."""

    def __init__(
        self,
        settings: FallbackSettings,
        gateway: str,
        outbox: Outbox,
        record: Record,
        clock: Clock,
        alive_at: Callable[[], float | None],
        contacts: Callable[[], Sequence[Contact]],
        place: Callable[[str], str],
        sound: Callable[[str], Awaitable[str | None]],
    ) -> None:
        self._settings = settings
        self._gateway = gateway
        self._outbox = outbox
        self._record = record
        self._clock = clock
        self._alive_at = alive_at
        self._contacts = contacts
        self._place = place
        self._sound = sound
        policy = Policy(settings.ack_within_s, settings.alive_within_s, settings.watch_s)
        self._core = Fallback(policy, clock.mono_s())
        self._modem = None if settings.modem is None else Modem(settings.modem, clock.mono_s)
        web = settings.webhook
        self._webhook = None if web is None else Webhook(web, gateway, clock.wall_ms)
        self._written: dict[Fire, int] = {}  # how many answers had been heard when it was on disk
        self._answers = 0
        self._answered: deque[tuple[str, Range]] = deque(maxlen=256)
        self._seqs: dict[int, Fire | None] = {}
        self._stream = ""
        self._look = asyncio.Event()
        self.turning = Turning(clock.mono_s)
        self._log = structlog.get_logger()

    # -- what is heard; called from the event loop

    def seen(self, observations: Sequence[Observation], stamp: Stamp) -> None:
        """Something is about to be recorded."""
        for one in observations:
            if one.condition not in FIRE or one.detector is None:
                continue
            if one.kind is EventKind.ASSERT:
                self._core.asserted(_fire(one, stamp), self._clock.mono_s())
            elif one.kind in (EventKind.CLEAR, EventKind.UNKNOWN):
                self._core.over(one.detector, one.condition)

    def written(self, observations: Sequence[Observation], stamp: Stamp) -> None:
        """It is on disk now."""
        for one in observations:
            if one.kind is EventKind.ASSERT and one.condition in FIRE and one.detector is not None:
                self._written[_fire(one, stamp)] = self._answers
                self._look.set()

    def stored(self, stream: str, rows: Range) -> None:
        """The centre has answered for these events."""
        self._answers += 1
        self._answered.append((stream, rows))
        self._look.set()

    # -- the work

    async def run(self) -> None:
        """Watch and call until cancelled."""
        await self._restore()
        async with asyncio.TaskGroup() as group:
            group.create_task(self._watch())
            for way in self._ways():
                group.create_task(self._call_by(way))

    async def _restore(self) -> None:
        before = self._answers
        try:
            kept = await asyncio.to_thread(self._outbox.tracked)
            while not await self._learn():
                pass  # a stream changes at most every few seconds
        except StorageError as error:
            # The fires of this start are watched all the same.
            self._log.error("what burned before the start cannot be read", why=str(error))
            return
        held = [fire for _, fire in sorted(self._seqs.items()) if fire is not None]
        # An answer that came while the file was being read may be the one for what was read.
        self._written = dict.fromkeys(held, before) | self._written
        self._look.set()
        self._core.restore(decode_marks(kept.get(MARKS)), held, self._clock.mono_s())

    async def _watch(self) -> None:
        while True:
            self.turning.turned()
            try:
                await self._one_look()
            except StorageError as error:
                self._look.set()
                self._log.error("fires on record cannot be read", why=str(error))
            except Exception:  # noqa: BLE001 -- a bug here must not end the watch over homes
                self._log.exception("fallback failed")
            await asyncio.sleep(LOOK_EVERY_S)

    async def _one_look(self) -> None:
        if (heard := self._alive_at()) is not None:
            self._core.alive(heard)
        try:
            if self._look.is_set() or self._outbox.stream != self._stream:
                self._look.clear()
                await self._settle()
        finally:
            for begun in self._core.begin(self._clock.mono_s()):
                await self._tell_begun(begun)
            for ended in self._core.end(self._clock.mono_s(), self._routes):
                await self._tell_ended(ended)

    async def _settle(self) -> None:
        """Which fires the centre has answered for: forgotten by the outbox, or in an answered batch."""
        unanswered = self._core.unanswered
        if not unanswered:
            self._seqs.clear()
            self._written.clear()
            return
        written = dict(self._written)  # what is written while we read proves nothing by not being read
        if not await self._learn():
            self._look.set()
            return
        held = {fire: seq for seq, fire in self._seqs.items() if fire is not None}
        for fire in unanswered:
            seq = held.get(fire)
            if seq is None:
                # Gone without any answer since it was written: lost by the disk, not taken by the centre.
                answered = self._answers > written.get(fire, self._answers)
            else:
                answered = any(
                    stream == self._stream and rows.first <= seq <= rows.last
                    for stream, rows in self._answered
                )
            if answered:
                self._core.stored(fire)
                self._written.pop(fire, None)

    async def _learn(self) -> bool:
        """Which fires the outbox holds, by their present numbers; False when these changed meanwhile."""
        stream = self._outbox.stream
        known = self._seqs if stream == self._stream else {}
        seqs = await asyncio.to_thread(self._outbox.urgent, 0, _MOST_HELD)
        fresh = [seq for seq in seqs if seq not in known]
        found = await asyncio.to_thread(_fires, self._outbox, fresh) if fresh else {}
        if self._outbox.stream != stream:
            return False
        self._stream = stream
        self._seqs = {seq: known[seq] if seq in known else found.get(seq) for seq in seqs}
        return True

    # -- calling

    def _ways(self) -> list[Way]:
        ways = [Way.SOUND] if self._settings.sounders else []
        ways += [Way.WEBHOOK] if self._webhook is not None else []
        return ways + ([Way.SMS] if self._modem is not None else [])

    def _routes(self, fire: Fire) -> list[Route]:
        phones = whom(fire.detector, self._contacts(), self._settings.phones)
        to = {Way.SOUND: self._settings.sounders, Way.WEBHOOK: phones, Way.SMS: phones}
        return [Route(way, each) for way in self._ways() for each in to[way]]

    async def _call_by(self, way: Way) -> None:
        while True:
            call = self._core.next(way, self._clock.mono_s(), self._routes)
            if call is None:
                await asyncio.sleep(LOOK_EVERY_S)
                continue
            told, why = await self._attempt(call)
            self._core.done(call, told, self._clock.mono_s())
            place = {"way": way.value, "to": _masked(call.route), "fires": len(call.fires)}
            if told:
                self._log.warning("fallback_told", **place)
                text = f"已自行通知 / told: {_WAYS[way]} {_masked(call.route)}"
                await self._put(told, text)
            else:
                self._log.error("fallback_failed", **place, why=why)

    async def _attempt(self, call: Call) -> tuple[Sequence[Fire], str | None]:
        """The fires that were told, or none and why."""
        lines = [self._line(fire) for fire in call.fires]
        why: str | None = "超时 took too long"
        count = len(lines)
        try:
            async with asyncio.timeout(CALL_WITHIN_S):
                if call.route.way is Way.SOUND:
                    async with asyncio.timeout(SOUND_WITHIN_S):
                        why = await self._sound(call.route.to)
                elif call.route.way is Way.SMS and self._modem is not None:
                    text, count = pack(lines, SMS_LIMIT)
                    why = await self._modem.send(call.route.to, text)
                elif self._webhook is not None:
                    text, _ = pack(lines)
                    why = await self._webhook.send(call.route.to, title(lines), text, self._key(call))
        except TimeoutError:
            pass
        except Exception as error:  # noqa: BLE001 -- a way that breaks must not stop the others
            self._log.exception("fallback_broke", way=call.route.way.value)
            why = f"{type(error).__name__}"
        return ([], why) if why is not None else (call.fires[:count], None)

    def _line(self, fire: Fire) -> Line:
        place = self._place(fire.detector) or f"探测器 {fire.detector}"
        return Line(fire.condition, place, self._when(fire))

    def _when(self, fire: Fire) -> str:
        """`HH:MM` in China, or '' when no clock that may be believed tells it."""
        now = self._clock.server_ms()
        if fire.boot == self._clock.boot and now is not None:
            at_ms = now - (self._clock.mono_ms() - fire.mono_ms)
        elif fire.synchronised:
            at_ms = fire.at_ms
        else:
            return ""
        return f"{datetime.fromtimestamp(at_ms / 1000, UTC) + _CHINA:%H:%M}"

    def _key(self, call: Call) -> str:
        """The same for the same message, also after a restart."""
        names = "|".join(f"{f.boot}/{f.mono_ms}/{f.detector}/{f.condition}" for f in call.fires)
        digest = hashlib.sha256(f"{names}|{call.route.to}".encode()).hexdigest()
        return f"fallback-{self._gateway}-{digest[:32]}"

    # -- on record

    async def _tell_begun(self, begun: Begun) -> None:
        self._log.warning("fallback_begun", detector=begun.fire.detector, why=begun.why.value)
        if begun.why is Why.NO_ANSWER:
            limit = f"{self._settings.ack_within_s:g}"
            text = f"中心 {limit} 秒未确认，网关开始自行呼叫 / no answer in {limit} s: calling by itself"
        else:
            limit = f"{self._settings.alive_within_s:g}"
            text = f"中心静默超过 {limit} 秒，网关开始自行呼叫 / silent for {limit} s: calling by itself"
        await self._put([begun.fire], text)

    async def _tell_ended(self, ended: Ended) -> None:
        names = "、".join(f"{_WAYS[r.way]} {_masked(r)}" for r in ended.failed)
        failed = f"；未能通知 / not told: {names}" if names else ""
        if ended.centre_back:
            text = f"中心已恢复，停止自行呼叫 / the centre is back: calling ends{failed}"
        elif not ended.told and not ended.failed:
            text = "没有可呼叫的联系人 / nobody to call: no contact is known here"
        else:
            text = f"自行呼叫结束，已通知 {len(ended.told)} 处 / calling ends, {len(ended.told)} told{failed}"
        self._log.warning("fallback_ended", detector=ended.fire.detector, told=len(ended.told))
        await self._put([ended.fire], text)

    async def _put(self, fires: Sequence[Fire], text: str) -> None:
        said = [Observation(EventKind.FALLBACK, f.condition, f.detector, text=text) for f in fires]
        await self._record(said, {MARKS: encode_marks(self._core.marks)})


def _fires(outbox: Outbox, seqs: Sequence[int]) -> dict[int, Fire]:
    """The smoke and heat asserts among these events on record."""
    found = {}
    for seq in seqs:
        rows = outbox.batch(seq, seq, _BATCH_BYTES)
        for one in rows.events:
            if one.kind is EventKind.ASSERT and one.condition in FIRE and one.detector is not None:
                assert one.condition is not None
                found[seq] = Fire(
                    one.detector, one.condition, rows.boot, one.mono_ms, one.at_ms, one.synchronised
                )
    return found


def _fire(one: Observation, stamp: Stamp) -> Fire:
    assert one.detector is not None
    assert one.condition is not None
    return Fire(one.detector, one.condition, stamp.boot, stamp.mono_ms, stamp.at_ms, stamp.synchronised)


def _masked(route: Route) -> str:
    return route.to if route.way is Way.SOUND else f"…{route.to[-4:]}"
