"""One bus, one owner: read, decode, track, record, lap after lap.

Law of this file: the loop never ends by itself. A detector that is silent, garbled or breaks our code costs
the others at most what `rota` allows; a failed read is never a value; what is urgent is on record before
the next read. Times are monotonic seconds.
"""

from __future__ import annotations

import asyncio
from collections import Counter, deque
from collections.abc import Awaitable, Callable, Iterable, Mapping, Sequence
from dataclasses import dataclass

import structlog

from device_profiles.schema import Action, Profile
from edge_agent.decode import Snapshot
from edge_agent.diagnosis import Diagnosis
from edge_agent.exchange import Kind, ReadError
from edge_agent.layout import Layout, writable
from edge_agent.line import KeptLine, line_of
from edge_agent.masters import master_of
from edge_agent.observation import Observation, Sample
from edge_agent.plan import ReadRequest, WriteRequest
from edge_agent.rota import Rota
from edge_agent.tracker import (
    BusState,
    DetectorState,
    Missed,
    TrackPolicy,
    doubt,
    encode_state,
    track,
    track_bus,
)
from wire.messages import URGENT, BusConfig, BusStatus, EventKind

MIN_LAP_S = 0.2
DOWN_LOOK_S = 1.0
"""How often a closed line's detectors are counted as missed."""
SKIPPED_COUNTS_AFTER = 2
"""A unit passed over for lack of time counts as missed once it has been tried in vain so often."""

Record = Callable[[Sequence[Observation], Mapping[str, bytes]], Awaitable[None]]

BUS_KEY = "bus/"
"""What the tracker remembers of a bus is kept under this and the bus's id; a detector's under its id."""


class LineLostError(Exception):
    """The line under the bus is gone."""


@dataclass(slots=True)
class _Order:
    detector: str
    action: Action
    done: asyncio.Future[str | None]


@dataclass(slots=True)
class _Question:
    request: ReadRequest | WriteRequest
    done: asyncio.Future[tuple[int, ...] | ReadError]


@dataclass(slots=True)
class _Swap:
    bus: BusConfig
    adopted: Mapping[str, DetectorState | None]
    policy: TrackPolicy
    done: asyncio.Future[dict[str, DetectorState | None]]


class Poller:
    """Watches one bus. `states` is what it knows of its detectors; the composition reads it at any time."""

    def __init__(
        self,
        bus: BusConfig,
        profiles: Mapping[str, Profile],
        record: Record,
        on_sample: Callable[[Sample], None],
        now: Callable[[], float],
        *,
        policy: TrackPolicy | None = None,
        states: Mapping[str, DetectorState | None] | None = None,
        bus_state: BusState | None = None,
        line: KeptLine | None = None,
    ) -> None:
        self.bus = bus
        self._profiles = profiles
        self._record = record
        self._on_sample = on_sample
        self._now = now
        self._policy = policy or TrackPolicy()
        self._line = line or KeptLine(bus.bus, line_of(bus))
        self._master = master_of(bus, profiles, self._line.line)
        self._layout = Layout.of(bus, profiles)
        self._master.expect(self._layout.plan.fast + self._layout.plan.slow)
        self._rota = Rota(self._layout.of_unit)
        self._diagnosis = Diagnosis()
        self._hint: str | None = None
        self._line_proved = False
        """Whether anything was read since the line was opened."""
        known = states or {}
        self.states: dict[str, DetectorState | None] = {
            name: _doubted(known.get(name)) for name in self._layout.members
        }
        self.bus_state = bus_state
        self._next: _Swap | None = None
        self._orders: deque[_Order] = deque()
        self._questions: deque[_Question] = deque()
        self._asked_in_vain = False
        self._broken: set[str] = set()
        self._lap = 0
        self._errors = 0
        self.reads = 0
        """Reads of the watch since the start, successful or not."""
        self.errors: Counter[Kind] = Counter()
        """Those that failed, by what was wrong."""
        self._last_lap_s: float | None = None
        self._lap_ended: float | None = None
        self.progress_at = now()
        """When the loop last did anything, successful or not; the watchdog's proof of life."""
        self.first_lap = asyncio.Event()
        """Set once a whole lap is over."""
        self._log = structlog.get_logger().bind(bus=bus.bus)

    # -- what the composition asks and orders

    def status(self) -> BusStatus:
        """How the line does, for the heartbeat."""
        now = self._now()
        states = [state for state in self.states.values() if state is not None]
        return BusStatus(
            bus=self.bus.bus,
            up=self._line.line.is_open and not (self.bus_state is not None and self.bus_state.down),
            lap_age_s=None if self._lap_ended is None else round(now - self._lap_ended, 3),
            last_lap_s=None if self._last_lap_s is None else round(self._last_lap_s, 3),
            answering=sum(state.answering for state in states),
            silent=sum(not state.answering for state in states),
            errors=self._errors,
            hint=self._hint,
        )

    async def swap(
        self, bus: BusConfig, adopted: Mapping[str, DetectorState | None], policy: TrackPolicy
    ) -> dict[str, DetectorState | None]:
        """Other detectors on the same line from the next lap on; returns the states of those that left."""
        done: asyncio.Future[dict[str, DetectorState | None]] = asyncio.get_running_loop().create_future()
        self._next = _Swap(bus, adopted, policy, done)
        return await done

    def poll_now(self, detector: str | None) -> bool:
        """Read this one (None: all) first in the next lap; False when it is not on this bus."""
        names = [detector] if detector is not None else list(self._layout.members)
        known = [self._layout.members[name][0].unit for name in names if name in self._layout.members]
        for unit in known:
            self._rota.ask_first(unit)
        return bool(known)

    async def write(self, detector: str, action: Action) -> str | None:
        """Have an action written between two reads; None when confirmed, else why not."""
        done: asyncio.Future[str | None] = asyncio.get_running_loop().create_future()
        self._orders.append(_Order(detector, action, done))
        return await done

    @property
    def laps(self) -> int:
        """Laps begun since the start."""
        return self._lap

    async def ask(self, request: ReadRequest | WriteRequest) -> tuple[int, ...] | ReadError:
        """Read anything of any unit between two reads of the watch; the words, or why there are none.

        A write that the device confirms gives no words. Nothing is asked twice.

        Of questions that nobody answers one is put in a lap: a scan costs the living one timeout a lap.
        """
        if not 1 <= request.unit <= 247:
            why = "设备地址须为 1 至 247 / only units 1 to 247 answer"
            return ReadError(Kind.WRONG_UNIT, request.unit, why)
        done: asyncio.Future[tuple[int, ...] | ReadError] = asyncio.get_running_loop().create_future()
        self._questions.append(_Question(request, done))
        return await done

    async def run(self) -> None:
        """Lap after lap, for ever; closes the line when cancelled."""
        try:
            while True:
                started = self._now()
                try:
                    self._adopt()
                    if self._line.line.is_open or await self._bring_up():
                        await self._one_lap(started)
                except LineLostError as lost:
                    self._line.lose(str(lost))
                    await self._line_gone()
                except Exception:  # noqa: BLE001 -- a bug of ours must not end the watch
                    self._log.exception("a lap failed")
                self.progress_at = self._now()
                await self._rest(max(started + MIN_LAP_S - self._now(), 0.0))
        finally:
            self._line.close()
            self._refuse_orders("停止监视 / this bus is not watched any more")

    # -- one lap

    async def _rest(self, seconds: float) -> None:
        """Until the next lap; whoever speaks by itself meanwhile is read first, and at once."""
        try:
            for unit in await self._master.attend(seconds):
                self._rota.ask_first(unit)
        except Exception:  # noqa: BLE001 -- as above
            self._log.exception("the line cannot be minded")
            await asyncio.sleep(seconds)

    async def _one_lap(self, started: float) -> None:
        slow = self._layout.plan.slow_part(self._lap)
        self._lap += 1
        self._asked_in_vain = False
        for unit in self._rota.begin_lap():
            await self._visit(unit, slow)
        spent = await self._probe(slow, spent=False)
        self._rota.once_more()  # the one that missed last before the line came back
        await self._probe(slow, spent)
        await self._obey()
        await self._judge_bus(port_up=True)
        self._lap_ended = self._now()
        self._last_lap_s = self._lap_ended - started
        self.first_lap.set()

    async def _probe(self, slow: Sequence[ReadRequest], spent: bool) -> bool:
        """Try those that missed before; whether one has missed again in this lap."""
        while (unit := self._rota.next_probe(self._now(), spent)) is not None:
            if self._master.may_ask(unit):
                spent = not await self._visit(unit, slow)
            else:
                self._rota.passed_over(unit)
        return spent

    async def _visit(self, unit: int, slow: Sequence[ReadRequest]) -> bool:
        """All reads of one unit, and what they mean; False when it did not answer."""
        if self._line_proved and (
            self._orders or self._questions
        ):  # before the first answer an order could not be told from its echo
            await self._obey()
        raw: dict[str, dict[str, tuple[int, ...] | None]] = {}
        heard, reason, now = False, "", self._now()
        detectors = self._layout.of_unit.get(unit, ())
        states = [self.states[detector] for detector in detectors]
        identify = any(state is None or state.doubted for state in states)
        for request in self._layout.reads(unit, slow, identify=identify):
            self.progress_at = now
            words: tuple[int, ...] | None = None
            if not reason:
                self.reads += 1
                try:
                    words = await self._master.read(request)
                    now = self._now()
                    heard = True
                    self._line_proved = True
                    self._diagnosis.good(unit, now)
                except ReadError as error:
                    now = self._now()
                    self._errors += 1
                    self.errors[error.kind] += 1
                    if error.kind is Kind.LINE_LOST:
                        raise LineLostError(str(error)) from None
                    if error.kind is Kind.FOREIGN:
                        self._diagnosis.foreign(now)
                    elif error.kind not in (Kind.TIMEOUT, Kind.EXCEPTION):
                        self._diagnosis.spoilt(unit, now)
                    # A refusal is an answer: it costs no timeout, and the next read may fare better.
                    heard = heard or error.kind is Kind.EXCEPTION
                    reason = "" if error.kind is Kind.EXCEPTION else error.kind.value
            for target in request.targets:
                part = None if words is None else words[target.offset : target.offset + target.count]
                raw.setdefault(target.detector, {})[target.register] = part
        if reason:
            self._rota.missed(unit, now)
        else:
            self._rota.answered(unit)
            self._line.proved()
        for detector in detectors:
            await self._judge(detector, raw.get(detector, {}) if heard else Missed(reason), now)
        self._rota.hurry(unit, urgent=any(_urgent(self.states[detector]) for detector in detectors))
        return not reason

    async def _judge(
        self, detector: str, seen: Mapping[str, tuple[int, ...] | None] | Missed, now: float
    ) -> None:
        """What a look at one detector means; nothing that goes wrong here reaches the loop."""
        before = self.states[detector]
        try:
            config, profile = self._layout.members[detector]
            look = seen if isinstance(seen, Missed) else self._layout.decoders[detector].decode(seen)
            if isinstance(look, Snapshot) and look.identity is not None and profile.points is None:
                self._diagnosis.identity(config.unit, look.identity, now)
            down = self.bus_state is not None and self.bus_state.down
            state, told, sample = track(before, look, now, self._policy, detector=detector, bus_down=down)
            self.states[detector] = state
            if told or _worth_keeping(before) != _worth_keeping(state):
                await self._record(told, {detector: encode_state(state)})
            if sample is not None:
                self._on_sample(sample)
            self._broken.discard(detector)
        except Exception:  # noqa: BLE001 -- one detector's trouble stays its own
            self.states[detector] = before  # what could not be told is told with the next look
            if detector not in self._broken:
                self._broken.add(detector)
                self._log.exception("a detector cannot be judged", detector=detector)

    async def _judge_bus(self, *, port_up: bool) -> None:
        down_before = self.bus_state is not None and self.bus_state.down
        for unit, detectors in self._layout.of_unit.items():
            passed_over = self._rota.tries(unit) >= SKIPPED_COUNTS_AFTER and not self._rota.was_tried(unit)
            if passed_over or (not port_up and down_before):
                for detector in detectors:
                    await self._judge(detector, Missed("no answer" if port_up else "line lost"), self._now())
        now = self._now()
        states = [state or DetectorState(name) for name, state in self.states.items()]
        self.bus_state, told = track_bus(self.bus_state, states, port_up, now, self._policy, bus=self.bus.bus)
        if told:
            for each in told:
                self._log.warning("bus", change=each.kind.value, condition=each.condition, why=each.text)
            await self._record(told, {BUS_KEY + self.bus.bus: encode_state(self.bus_state)})
        before, self._hint = self._hint, self._diagnosis.hint(now)
        if self._hint is not None and self._hint != before:
            self._log.warning("bus", hint=self._hint)
            await self._record([Observation(EventKind.NOTE, bus=self.bus.bus, text=self._hint)], {})

    # -- the line

    async def _bring_up(self) -> bool:
        """Try to open the line, looking at the bus every second meanwhile."""
        attempt = asyncio.ensure_future(self._line.bring_up())
        try:
            while True:
                done, _ = await asyncio.wait({attempt}, timeout=DOWN_LOOK_S)
                self.progress_at = self._now()
                if done:
                    break
                await self._line_gone()
        finally:
            attempt.cancel()
        if not attempt.result():
            await self._line_gone()
            return False
        self._master.reopened()
        self._diagnosis.reopened()
        self._line_proved = False
        self.states = {name: _doubted(state) for name, state in self.states.items()}
        return True

    async def _line_gone(self) -> None:
        self._refuse_orders("线路断开 / the line is lost")
        await self._judge_bus(port_up=False)

    # -- configuration and orders

    def _adopt(self) -> None:
        swap, self._next = self._next, None
        if swap is None:
            return
        try:
            layout = Layout.of(swap.bus, self._profiles)
        except ValueError as error:
            swap.done.set_exception(error)
            return
        before, places = self.states, self._layout.members
        known = {name: before.get(name) or swap.adopted.get(name) for name in layout.members}
        self.states = {
            name: state if places.get(name) == layout.members[name] else _doubted(state)
            for name, state in known.items()
        }
        self.bus, self._layout, self._policy = swap.bus, layout, swap.policy
        self._master.expect(layout.plan.fast + layout.plan.slow)
        self._rota.keep(layout.of_unit)
        self._broken.clear()
        self.first_lap.clear()
        if not swap.done.done():
            swap.done.set_result({name: state for name, state in before.items() if name not in self.states})

    async def _obey(self) -> None:
        while self._orders:
            order = self._orders.popleft()
            why = await self._carry_out(order)
            if not order.done.done():
                order.done.set_result(why)
        if self._questions and not self._asked_in_vain:
            await self._put(self._questions.popleft())

    async def _put(self, question: _Question) -> None:
        """Ask what somebody wants to know; the watch's own counters and standings stay out of it."""
        if question.done.done():  # whoever asked has gone
            return
        answer: tuple[int, ...] | ReadError
        try:
            answer = await self._master.ask(question.request)
        except ReadError as error:
            if error.kind is Kind.LINE_LOST:
                self._questions.appendleft(question)  # refused with the others
                raise LineLostError(str(error)) from None
            self._asked_in_vain = error.kind is not Kind.EXCEPTION
            answer = error
        if not question.done.done():
            question.done.set_result(answer)

    async def _carry_out(self, order: _Order) -> str | None:
        member = self._layout.members.get(order.detector)
        if member is None:
            return "探测器不在此总线 / the detector is not on this bus"
        config, profile = member
        write = writable(config, profile, order.action)
        if isinstance(write, str):
            return write
        try:
            await self._master.write(config.unit, write, write.address - profile.address_base)
        except ReadError as error:
            self._errors += 1
            if error.kind is Kind.LINE_LOST:
                order.done.set_result("线路断开 / the line is lost")
                raise LineLostError(str(error)) from None
            return f"设备未确认 / the device did not confirm: {error}"
        self._rota.ask_first(config.unit)
        return None

    def _refuse_orders(self, why: str) -> None:
        while self._questions:
            question = self._questions.popleft()
            if not question.done.done():
                question.done.set_result(ReadError(Kind.LINE_LOST, question.request.unit, why))
        while self._orders:
            order = self._orders.popleft()
            if not order.done.done():
                order.done.set_result(why)


def _worth_keeping(state: DetectorState | None) -> tuple[object, ...] | None:
    return None if state is None else (state.asserted, state.known, state.identity)


def _urgent(state: DetectorState | None) -> bool:
    """Whether it burns there, or something has changed and is not yet proved."""
    return state is not None and bool(state.asserted & URGENT or state.pending)


def _doubted(state: DetectorState | None) -> DetectorState | None:
    return None if state is None else doubt(state)


def states_of(pollers: Iterable[Poller]) -> dict[str, DetectorState | None]:
    """Every configured detector with what is known of it."""
    return {name: state for poller in pollers for name, state in poller.states.items()}
