"""Tells fire-brigade centres of alarms, by GB/T 26875.3 over TCP or UDP, for ever.

Law of this file: what is to be told stands in rows, and a row is done with only when the centre has confirmed
it. Of all processes one speaks to a centre at a time. Fire goes first; what a kill cuts off is sent again
under the same serial number, so that a centre can tell a repeat from a second fire.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Awaitable, Callable, Sequence
from datetime import datetime, timedelta
from typing import NamedTuple

import structlog

from central import metrics
from central.config import ForwardSettings
from central.ending import together
from central.forward_line import Line, open_line
from central.forwarding import Row, What, unit
from central.pipeline.fire_centres import call_roll, judge_centres
from central.store import forward
from central.store.errors import StoreConflict, StoreError
from central.store.forward import Centre, Standing
from central.store.pool import Store, Tx
from gb26875.data import (
    DataError,
    Done,
    Kind,
    Moment,
    Thing,
    Transmitter,
    TransmitterOperation,
    TransmitterState,
    TransmitterVersion,
    decode_data,
    encode_data,
)
from gb26875.exchange import FIRES_AT_ONCE, Exchange, Failed, Resend
from gb26875.frame import Broken, Command, Frame, TimeTag, encode

LOST_S = 60.0
"""Beyond the time in which something must have been confirmed: then the centre is lost, and that an alarm."""
_POLL_S = 1.0
ASK_S = 5.0
"""How often it is asked whether nobody else speaks to the centre."""
WATCH_S = 5.0
_FIRST_PAUSE_S, _LONGEST_PAUSE_S = 0.3, 3.0
"""Between two tries to reach a centre: a fire may wait for it."""
_CLOCK_WRONG = timedelta(seconds=5)
_VERSION = TransmitterVersion(1, 0)
_ANSWERS = (Command.CONFIRM, Command.ANSWER, Command.DENY)
_MOST_CAME = 100
_log = structlog.get_logger()


class Forwarder:
    """Speaks to all centres of the configuration."""

    def __init__(
        self,
        store: Store,
        centres: Sequence[ForwardSettings],
        beat: Callable[[str], None] = lambda _loop: None,
    ) -> None:
        """`beat` is called with a loop's name at each of its turns."""
        self._store = store
        self._centres = centres
        self._beat = beat
        self._wakes = {centre.id: asyncio.Event() for centre in centres}

    @property
    def loops(self) -> tuple[str, ...]:
        """The names of the loops that turn."""
        return ("forward watch", *(_name(centre.id) for centre in self._centres))

    async def run(self) -> None:
        """Until cancelled."""
        await self._register()
        serving = [self._serve(centre) for centre in self._centres]
        await together(*serving, self._watch(), self._store.listen("forward", self._wake))

    async def _register(self) -> None:
        """From here on whoever opens an alarm leaves news for these centres."""
        centres = [Centre(one.id, one.area, one.when != "at_once") for one in self._centres]
        told = False
        while True:
            for loop in self.loops:
                self._beat(loop)
            try:
                async with self._store.transaction() as tx:
                    await forward.register(tx, centres)
            except StoreError as error:
                if not told:
                    _log.warning("centres cannot be registered yet", error=str(error))
                told = True
            else:
                return
            await asyncio.sleep(_POLL_S)

    def _wake(self) -> None:
        for wake in self._wakes.values():
            wake.set()

    async def _serve(self, centre: ForwardSettings) -> None:
        def turn() -> None:
            self._beat(_name(centre.id))

        lost = ""
        while True:
            turn()
            try:
                async with self._store.hold(f"forward {centre.id}", turn) as still_held:
                    await self._while_held(centre, still_held, turn)
            except StoreError as error:
                if lost != str(error):
                    _log.warning("the database is away: centre not told", centre=centre.id, error=str(error))
                lost = str(error)
            except Exception:  # noqa: BLE001 -- whatever it was, the other centres are told, and this one again
                _log.exception("forwarding failed; it is begun again", centre=centre.id)
            await asyncio.sleep(_POLL_S)

    async def _while_held(
        self, centre: ForwardSettings, still_held: Callable[[], Awaitable[None]], turn: Callable[[], None]
    ) -> None:
        """Connect again for ever. Raises StoreError when the hold is lost."""
        connected = metrics.FORWARD_CONNECTED.labels(centre.id)
        pause, told = _FIRST_PAUSE_S, ""
        while True:
            turn()
            await still_held()
            try:
                line = await open_line(centre.transport, centre.host, centre.port)
            except OSError as error:
                why = _said(error)
            else:
                _log.info("fire-brigade centre reached", centre=centre.id)
                connected.set(1)
                talk = _Talk(self._store, centre, line, self._wakes[centre.id], turn)
                try:
                    why = await talk.run(still_held)
                finally:
                    connected.set(0)
                    line.close()
                if talk.proved:
                    pause, told = _FIRST_PAUSE_S, ""
            if why != told:  # the change, not each try
                _log.warning("fire-brigade centre lost", centre=centre.id, why=why)
            told = why
            await asyncio.sleep(pause)
            pause = min(pause * 2, _LONGEST_PAUSE_S)

    async def _watch(self) -> None:
        """How it stands with each centre, for people and figures; news that a centre has missed."""
        clock = asyncio.get_running_loop().time
        began, failing = clock(), False
        while True:
            self._beat("forward watch")
            try:
                async with self._store.transaction() as tx:
                    await forward.catch_up(tx)
                    standing = await forward.standing_of(tx, [centre.id for centre in self._centres])
                    lost = [one.id for one in standing if self._is_lost(one, tx.now, clock() - began)]
                    await judge_centres(tx, standing, lost)
                for one in standing:
                    metrics.FORWARD_WAITING.labels(one.id).set(one.waiting)
                    metrics.FORWARD_OLDEST_S.labels(one.id).set(one.oldest_s)
                failing = False
            except StoreError as error:
                if not failing:
                    _log.warning("centres cannot be watched", error=str(error))
                failing = True
            except Exception:  # noqa: BLE001 -- a mistake here must not keep a fire back
                if not failing:
                    _log.exception("centres cannot be watched")
                failing = True
            await asyncio.sleep(WATCH_S)

    def _is_lost(self, one: Standing, now: datetime, running_s: float) -> bool:
        (centre,) = (each for each in self._centres if each.id == one.id)
        allowed_s = centre.state_every_s + LOST_S
        if running_s > LOST_S and one.oldest_fire_s > LOST_S:
            return True
        if running_s < allowed_s:  # it may have been us who were away
            return False
        return (now - (one.proved_at or one.since)).total_seconds() > allowed_s


class _Sent(NamedTuple):
    """What is under way."""

    row: int | None
    """None: of our own, not from a row."""
    urgent: bool
    own: Kind | None = None
    """Which one of our own."""


_Packet = tuple[bytes, int | None, _Sent | None]
"""Bytes, and for a packet that is to be confirmed its serial and what it is."""


class _Talk:
    """One connection: what is under way on it, and what came."""

    def __init__(
        self,
        store: Store,
        centre: ForwardSettings,
        line: Line,
        wake: asyncio.Event,
        turn: Callable[[], None],
    ) -> None:
        self._store = store
        self._centre = centre
        self._line = line
        self._wake = wake
        self._turn = turn
        self._exchange = Exchange(centre.ack_s)
        self._under_way: dict[int, _Sent] = {}
        """By serial number."""
        self._ended: list[tuple[_Sent, bool]] = []
        """With whether it was confirmed; to be written down."""
        self._came: asyncio.Queue[Frame | Broken] = asyncio.Queue(_MOST_CAME)
        self._asked: list[Frame | Broken] = []
        """What wants an answer."""
        self._clock = asyncio.get_running_loop().time
        self._state_due = self._clock()
        self._ask_due = self._clock() + ASK_S
        self._owes_roll_call = False
        self._over = ""
        self._troubled = False
        self.proved = False
        """Whether the centre has confirmed anything here."""

    async def run(self, still_held: Callable[[], Awaitable[None]]) -> str:
        """Until the line is lost or the centre falls silent; says why. Raises StoreError without the hold."""
        reading = asyncio.create_task(self._read())
        try:
            while True:
                self._turn()
                self._wake.clear()
                await self._turn_once()
                if self._over:
                    return self._over
                if self._clock() >= self._ask_due or (self._troubled and not self._under_way):
                    self._ask_due = self._clock() + ASK_S
                    await still_held()
                due = self._exchange.next_due()
                pause = _POLL_S if due is None else max(0.0, min(_POLL_S, due - self._clock()))
                if self._came.empty():
                    with contextlib.suppress(TimeoutError):
                        async with asyncio.timeout(pause):
                            await self._wake.wait()
        except OSError as error:
            return _said(error)
        finally:
            reading.cancel()
            await asyncio.gather(reading, return_exceptions=True)

    async def _read(self) -> None:
        try:
            while True:
                for one in await self._line.read():
                    await self._came.put(one)  # whoever talks much waits until it is heard
                    self._wake.set()
        except OSError as error:
            self._over = _said(error)
            self._wake.set()

    async def _turn_once(self) -> None:
        """Hear, send again what must be, write down how it went, send more. Outages of the database wait."""
        self._hear()
        for step in self._exchange.tick(self._clock()):
            self._do(step)
        try:
            async with self._store.transaction() as tx:
                await self._write_down(tx)
                packets = [await self._answer(tx, one) for one in self._asked]
                if not self._over:
                    packets += await self._more(tx)
        except StoreConflict:
            self._wake.set()
            return
        except StoreError as error:
            self._asked.clear()  # the centre asks again
            if not self._troubled:
                _log.warning("the database is away", centre=self._centre.id, error=str(error))
            self._troubled = True
            return
        self._troubled = False
        self._ended.clear()
        self._asked.clear()
        for packet, serial, sent in packets:
            if serial is not None and sent is not None:
                self._begin(serial, packet, sent)
            self._line.write(packet)

    def _begin(self, serial: int, packet: bytes, sent: _Sent) -> None:
        """Only now is it under way: before the commit it might have had to be made again."""
        self._exchange.begin(serial, packet, self._clock(), urgent=sent.urgent)
        self._under_way[serial] = sent
        if sent.own is Kind.TRANSMITTER_STATE:
            self._state_due = self._clock() + self._centre.state_every_s
        elif sent.own is Kind.TRANSMITTER_OPERATION:
            self._owes_roll_call = False

    def _hear(self) -> None:
        """Take in what came."""
        while not self._came.empty():
            one = self._came.get_nowait()
            frame = one.frame if isinstance(one, Broken) else one
            if frame is None:
                continue
            if isinstance(one, Broken):
                if frame.command not in _ANSWERS:  # an answer is not answered
                    self._asked.append(one)
            elif frame.command == Command.CONFIRM:
                if self._exchange.confirm(frame.serial):
                    self._end(frame.serial, "confirmed")
            elif frame.command == Command.DENY:
                step = self._exchange.deny(frame.serial, self._clock())
                if step is not None:
                    self._do(step)
            elif frame.command in (Command.CONTROL, Command.REQUEST, Command.SEND):
                self._asked.append(one)

    def _do(self, step: Resend | Failed) -> None:
        if isinstance(step, Resend):
            self._line.write(step.packet)
            return
        if step.denied:
            _log.warning("fire-brigade centre denies a packet", centre=self._centre.id, serial=step.serial)
        else:
            self._over = "the centre does not answer"
        self._end(step.serial, "denied" if step.denied else "silent")

    def _end(self, serial: int, outcome: str) -> None:
        confirmed = outcome == "confirmed"
        self.proved = self.proved or confirmed
        self._ended.append((self._under_way.pop(serial), confirmed))
        metrics.FORWARDED.labels(self._centre.id, outcome).inc()

    async def _write_down(self, tx: Tx) -> None:
        if any(confirmed for _, confirmed in self._ended):
            ids = [sent.row for sent, confirmed in self._ended if confirmed and sent.row is not None]
            await forward.confirmed(tx, self._centre.id, ids)
        for sent, confirmed in self._ended:
            if sent.row is not None and not confirmed:
                await forward.failed(tx, sent.row)

    async def _more(self, tx: Tx) -> list[_Packet]:
        """As many new packets as there is room for: fires, or one of anything else."""
        room = FIRES_AT_ONCE - sum(sent.urgent for sent in self._under_way.values())
        if room > 0:
            fires = await self._waiting(tx, urgent=True, limit=room)
            if fires:
                return [packet for row in fires if (packet := await self._row(tx, row))]
        if not self._exchange.has_room(urgent=False):
            return []
        if self._clock() >= self._state_due:
            return [await self._new(tx, Kind.TRANSMITTER_STATE, await self._state(tx))]
        if self._owes_roll_call:
            answer = TransmitterOperation(Done.ROLL_CALL_ANSWER, 0, TimeTag.of(tx.now))
            return [await self._new(tx, Kind.TRANSMITTER_OPERATION, answer)]
        for row in await self._waiting(tx, urgent=False, limit=1):
            self._wake.set()  # there may be more
            if row.what is What.ANALOGUE and row.temperature is None:
                await forward.nothing_to_say(tx, row.id)
            elif packet := await self._row(tx, row):
                return [packet]
        return []

    async def _waiting(self, tx: Tx, *, urgent: bool, limit: int) -> list[Row]:
        under_way = [sent.row for sent in self._under_way.values() if sent.row is not None]
        return await forward.waiting(tx, self._centre.id, urgent=urgent, under_way=under_way, limit=limit)

    async def _row(self, tx: Tx, row: Row) -> _Packet | None:
        serial = row.serial
        if serial is None or serial in self._under_way:
            serial = await forward.take_serial(tx, self._centre.id)
        try:
            packet = self._packet(tx, *unit(row, self._centre.fire_state), serial)
        except ValueError:  # it must not hold up the others
            _log.exception("news cannot be worded", centre=self._centre.id, alarm=row.alarm, what=row.what)
            await forward.failed(tx, row.id)
            return None
        await forward.sending(tx, row.id, serial)
        return packet, serial, _Sent(row.id, row.urgent)

    async def _new(self, tx: Tx, kind: Kind, thing: Thing) -> _Packet:
        serial = await forward.take_serial(tx, self._centre.id)
        return self._packet(tx, kind, thing, serial), serial, _Sent(None, urgent=False, own=kind)

    def _packet(self, tx: Tx, kind: Kind, thing: Thing, serial: int) -> bytes:
        ours, theirs = self._centre.source_address, self._centre.destination_address
        data = encode_data(kind, [thing])
        return encode(Frame(serial, TimeTag.of(tx.now), ours, theirs, Command.SEND, data))

    async def _state(self, tx: Tx) -> TransmitterState:
        state = Transmitter.NORMAL
        if await forward.fire_stands(tx, self._centre.id):
            state |= Transmitter.FIRE
        return TransmitterState(state, TimeTag.of(tx.now))

    async def _answer(self, tx: Tx, asked: Frame | Broken) -> _Packet:
        """To an order or a question; what was broken on the way or cannot be done is denied."""
        if isinstance(asked, Broken):
            assert asked.frame is not None, "what has no head is not asked"
            return encode(asked.frame.reply(Command.DENY, tx.now)), None, None
        command, data = await self._meant(tx, asked)
        return encode(asked.reply(command, tx.now, data)), None, None

    async def _meant(self, tx: Tx, asked: Frame) -> tuple[Command, bytes]:
        if asked.command == Command.SEND and not asked.data:  # how some ask whether anybody is there
            return Command.CONFIRM, b""
        try:
            kind, things = decode_data(asked.data)
        except DataError as error:
            _log.warning(
                "fire-brigade centre says what we do not know", centre=self._centre.id, why=str(error)
            )
            return Command.DENY, b""
        match asked.command, kind:
            case Command.CONTROL, Kind.ROLL_CALL:
                await self._call_roll(tx)
                return Command.CONFIRM, b""
            case Command.CONTROL, Kind.SYNCHRONISE_CLOCK:
                return self._clock_said(things[0], tx.now), b""
            case Command.REQUEST, Kind.READ_TRANSMITTER_STATE:
                return Command.ANSWER, encode_data(Kind.TRANSMITTER_STATE, [await self._state(tx)])
            case Command.REQUEST, Kind.READ_TRANSMITTER_VERSION:
                return Command.ANSWER, encode_data(Kind.TRANSMITTER_VERSION, [_VERSION])
            case Command.REQUEST, Kind.READ_TRANSMITTER_TIME:
                return Command.ANSWER, encode_data(Kind.TRANSMITTER_TIME, [Moment(TimeTag.of(tx.now))])
        return Command.DENY, b""

    async def _call_roll(self, tx: Tx) -> None:
        if self._centre.roll_call == "automatic":
            self._owes_roll_call = True
        else:
            await call_roll(tx, self._centre.id, self._centre.area)

    def _clock_said(self, thing: Thing, now: datetime) -> Command:
        """Our clock is the database's, which NTP keeps: a centre's word is compared, never taken."""
        theirs = thing.at.moment() if isinstance(thing, Moment) else None
        if theirs is None:
            return Command.DENY
        if abs(theirs - now) > _CLOCK_WRONG:
            _log.warning(
                "a fire-brigade centre's clock differs from ours",
                centre=self._centre.id,
                theirs=theirs.isoformat(),
                ours=now.isoformat(),
            )
        return Command.CONFIRM


def _name(centre: str) -> str:
    return f"forward {centre}"


def _said(error: OSError) -> str:
    return f"{type(error).__name__}: {error}"
