"""All buses of this gateway: which configuration holds, who watches, what is known.

Law of this file: a configuration is judged whole before anything is touched, the last good one holds, one
under which a bus falls silent is given up again, and a change takes from the watch only what it must: a bus
whose line stays the same is never closed.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections.abc import Callable, Coroutine, Mapping, Sequence
from typing import Any, Protocol

import msgspec
import structlog

from device_profiles.schema import Profile
from edge_agent.masters import protocol_of
from edge_agent.observation import Observation, Sample
from edge_agent.poller import BUS_KEY, Poller, states_of
from edge_agent.probation import (
    PROBATION_S,
    Probation,
    Refused,
    Standing,
    Verdict,
    decode_standing,
    encode_standing,
    trial_of,
)
from edge_agent.recorder import Recorder
from edge_agent.rules import problems, takes_all
from edge_agent.tracker import (
    BusState,
    DetectorState,
    TrackPolicy,
    decode_bus,
    decode_state,
    dropped,
    snapshot,
)
from edge_agent.turning import Turning
from wire.codec import config_hash
from wire.messages import BusConfig, Contact, EventKind, GatewayConfig

FIRST_LAP_WAIT_S = 10.0
"""A snapshot waits so long for every bus's first lap; what is not read by then is unknown."""
SNAPSHOT_EVERY_S = 6 * 3600.0
LOOK_S = 1.0
"""How often a configuration on probation is looked at."""

Spawn = Callable[[Coroutine[Any, Any, None]], "asyncio.Task[None]"]


class Kept(Protocol):
    """What the site keeps over a restart; `edge_agent.outbox.Outbox` does it."""

    def tracked(self) -> dict[str, bytes]:
        """The trackers' states."""
        ...

    def forget_tracked(self, names: Sequence[str]) -> None:
        """Drop states of what is no longer configured."""
        ...

    @property
    def config_standing(self) -> bytes | None:
        """How the configuration that holds stands."""
        ...

    def save_config(self, config: GatewayConfig | None, standing: bytes) -> None:
        """Keep the configuration that holds (None: the local file's) and how it stands."""
        ...


class Site:
    """The pollers of all buses, and the configuration they follow."""

    def __init__(
        self,
        profiles: Mapping[str, Profile],
        recorder: Recorder,
        on_sample: Callable[[Sample], None],
        now: Callable[[], float],
        kept: Kept,
        spawn: Spawn,
        changed: Callable[[], None],
    ) -> None:
        self._profiles = profiles
        self._recorder = recorder
        self._on_sample = on_sample
        self._now = now
        self._kept = kept
        self._spawn = spawn
        self._changed = changed
        self._pollers: dict[str, Poller] = {}
        self._tasks: dict[str, asyncio.Task[None]] = {}
        self._wanted: GatewayConfig | None = None
        self._local: tuple[Sequence[BusConfig], float] = ((), 0.0)
        self._probation: Probation | None = None
        self._refused: Refused | None = None
        self._some = asyncio.Event()
        self._snapshot_wanted = asyncio.Event()
        self._log = structlog.get_logger()
        self.turning = {"configuration": Turning(now), "snapshots": Turning(now)}
        self.applied: GatewayConfig | None = None
        """The pushed configuration that holds; None while the local file's does."""
        self.error: str | None = None
        """Why the last pushed configuration was refused."""

    @property
    def pollers(self) -> tuple[Poller, ...]:
        """One for each bus."""
        return tuple(self._pollers.values())

    @property
    def config_version(self) -> int:
        """The version under which events are recorded; 0 for the local file."""
        return 0 if self.applied is None else self.applied.version

    def poller_of(self, detector: str | None, bus: str | None) -> Poller | None:
        """Who watches this detector, or else this bus."""
        for poller in self._pollers.values():
            if detector in poller.states or (detector is None and poller.bus.bus == bus):
                return poller
        return None

    @property
    def contacts(self) -> Sequence[Contact]:
        """Whom the centre wants called while it is silent itself; empty under the local file."""
        return () if self.applied is None else self.applied.contacts

    def place_of(self, detector: str) -> str:
        """Where a detector hangs, in words; '' when nobody said."""
        found = (
            one.place for poller in self.pollers for one in poller.bus.detectors if one.detector == detector
        )
        return next(found, "")

    # -- start and change

    async def start(self, local: Sequence[BusConfig], report_s: float, pushed: GatewayConfig | None) -> None:
        """Begin to watch: by the last good pushed configuration, else by the local file."""
        self._local = (local, report_s)
        standing = decode_standing(await asyncio.to_thread(lambda: self._kept.config_standing))
        self._refused = standing.refused
        if standing.refused is not None:
            self.error = standing.refused.why
        if pushed is not None:
            found = self._judge(pushed)
            if found:
                self._refuse(pushed, found)
                pushed = None
        if pushed is not None and standing.trial is not None:
            self._probation = Probation(standing.trial, self._now())
        self.applied = pushed
        buses, every_s = (local, report_s) if pushed is None else (pushed.buses, pushed.report_s)
        tracked = await asyncio.to_thread(self._kept.tracked)
        kept = {name: decode_state(raw) for name, raw in tracked.items() if "/" not in name}
        kept_buses = {
            name.removeprefix(BUS_KEY): decode_bus(raw)
            for name, raw in tracked.items()
            if name.startswith(BUS_KEY)
        }
        for bus in buses:
            self._begin(bus, kept, kept_buses.get(bus.bus), TrackPolicy(report_s=every_s))
        watched = {d.detector for bus in buses for d in bus.detectors}
        names = {bus.bus for bus in buses}
        gone: list[DetectorState | BusState | None] = []
        gone += [state for name, state in kept.items() if name not in watched]
        gone += [state for name, state in kept_buses.items() if name not in names]
        await self._drop([state for state in gone if state is not None])
        self.want_snapshot()

    def push(self, config: GatewayConfig) -> None:
        """The centre wants this configuration; the newest wanted one is applied by `run`."""
        self._wanted = config
        self._some.set()

    def want_snapshot(self) -> None:
        """Record a snapshot as soon as every bus has been read once."""
        self._snapshot_wanted.set()

    async def run(self) -> None:
        """Apply what is pushed, for ever."""
        while True:
            timeout_s = None if self._probation is None else LOOK_S
            await self.turning["configuration"].wait(self._some, timeout_s)
            self._some.clear()
            config, self._wanted = self._wanted, None
            try:
                if config is not None:
                    await self._take(config)
                    self._changed()
                if self._probation is not None:
                    await self._look_at(self._probation)
            except Exception as error:  # noqa: BLE001 -- a configuration must not end the watch
                self._log.exception("a configuration could not be applied")
                version = self.config_version if config is None else config.version
                self.error = f"version {version} could not be applied: {error}"[:500]
                self._changed()

    async def snapshots(self) -> None:
        """Record a snapshot when one is wanted, and every six hours."""
        while True:
            await self.turning["snapshots"].wait(self._snapshot_wanted, SNAPSHOT_EVERY_S)
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(FIRST_LAP_WAIT_S):
                    for poller in self.pollers:
                        await poller.first_lap.wait()
            self._snapshot_wanted.clear()
            await self._recorder.record([snapshot(states_of(self.pollers))], {})

    async def stop(self) -> None:
        """Stop watching and close all lines."""
        for name in list(self._pollers):
            await self._end(name)

    # -- inside

    def _judge(self, config: GatewayConfig) -> tuple[str, ...]:
        if config_hash(config) != config.hash:
            return ("its hash does not fit its content: publish it again",)
        return problems(config.buses, self._profiles)

    def _found(self, config: GatewayConfig) -> tuple[str, ...]:
        current = self.applied
        if current is not None and current.epoch == config.epoch and config.version < current.version:
            return (f"it is older than version {current.version}, which holds",)
        return self._judge(config) or takes_all([poller.bus for poller in self.pollers], config)

    async def _take(self, config: GatewayConfig) -> None:
        current = self.applied
        if current == config:
            self.error = None
            return
        if self._refused is not None and self._refused.is_(config):
            self.error = self._refused.why
            return
        found = self._found(config)
        if found:
            await self._tell_refusal(config, found)
            return
        self.error = self._refused = None
        same = current is not None and current.hash == config.hash
        if not same:
            self._put_on_probation(config)
        self.applied = config
        await self._keep()
        if same:
            return
        self._log.info("configuration applied", version=config.version, buses=len(config.buses))
        await self._apply(config.buses, TrackPolicy(report_s=config.report_s))
        if self._probation is not None:  # what was read until now was read under the one before
            self._probation = Probation(self._probation.trial, self._now())
        self.want_snapshot()

    def _put_on_probation(self, config: GatewayConfig) -> None:
        before = None if self._probation is None else self._probation.trial
        answering = [poller.bus.bus for poller in self.pollers if poller.status().answering]
        watched = [bus.bus for bus in config.buses if bus.detectors]
        trial = trial_of(before, self.applied, answering, watched)
        self._probation = None if trial is None else Probation(trial, self._now())

    async def _look_at(self, probation: Probation) -> None:
        answered = {
            poller.bus.bus: max(
                (state.last_answer for state in poller.states.values() if state and state.last_answer),
                default=None,
            )
            for poller in self.pollers
        }
        match probation.look(answered, self._now()):
            case Verdict.KEEP:
                self._probation = None
                await self._keep()
            case Verdict.REVERT:
                await self._revert(probation)
            case Verdict.WAIT:
                pass

    async def _revert(self, probation: Probation) -> None:
        """Back to the last good configuration: on disk first, then told, then watched by."""
        tried, good = self.applied, probation.trial.last_good
        self._probation = None
        assert tried is not None, "only a pushed configuration is on probation"
        names = ", ".join(probation.trial.buses)
        holds = "the local file" if good is None else f"version {good.version}"
        self.error = (
            f"version {tried.version}: bus {names} answered before it and not within {PROBATION_S:.0f} s "
            f"under it: {holds} holds again; correct that bus and publish a new version"
        )[:500]
        self._refused = Refused(tried.epoch, tried.version, tried.hash, self.error)
        self.applied = good
        self._log.error("configuration reverted", version=tried.version, buses=names, holds=holds)
        await self._keep()
        text = f"配置已退回 / configuration reverted: {self.error}"[:500]
        await self._recorder.record([Observation(EventKind.NOTE, text=text)], {})
        buses, report_s = self._local if good is None else (good.buses, good.report_s)
        await self._apply(buses, TrackPolicy(report_s=report_s))
        self.want_snapshot()
        self._changed()

    async def _keep(self) -> None:
        trial = None if self._probation is None else self._probation.trial
        standing = encode_standing(Standing(trial, self._refused))
        try:
            await asyncio.to_thread(self._kept.save_config, self.applied, standing)
        except Exception as error:  # noqa: BLE001 -- watching by it matters more than keeping it
            self._log.error("the configuration cannot be kept over a restart", why=str(error))

    async def _tell_refusal(self, config: GatewayConfig, found: Sequence[str]) -> None:
        before = self.error
        self._refuse(config, found)
        if self.error != before:
            text = f"配置被拒绝 / configuration refused: {self.error}"[:500]
            await self._recorder.record([Observation(EventKind.NOTE, text=text)], {})

    def _refuse(self, config: GatewayConfig, found: Sequence[str]) -> None:
        self.error = f"version {config.version}: {'; '.join(found)}"[:500]
        self._log.error("configuration refused", version=config.version, problems=list(found))

    async def _apply(self, buses: Sequence[BusConfig], policy: TrackPolicy) -> None:
        wanted = {bus.bus: bus for bus in buses}
        states = states_of(self.pollers)
        before, bus_states = set(states), {p.bus.bus: p.bus_state for p in self.pollers}
        for name, poller in list(self._pollers.items()):
            if name not in wanted or self._line(wanted[name]) != self._line(poller.bus):
                await self._end(name)
                states.update(poller.states)
        for name, poller in self._pollers.items():
            states.update(await poller.swap(wanted[name], states, policy))
        for name, bus in wanted.items():
            if name not in self._pollers:
                self._begin(bus, states, None, policy)
        gone: list[DetectorState | BusState | None] = []
        gone += [states[name] for name in sorted(before - states_of(self.pollers).keys())]
        # A bus on another line, or gone: what was told of the old line is not known any more.
        gone += [state for name, state in bus_states.items() if name not in wanted or self._new(name, state)]
        await self._drop([state for state in gone if state is not None])

    def _new(self, name: str, before: BusState | None) -> bool:
        return before is not None and self._pollers[name].bus_state is None

    def _begin(
        self,
        bus: BusConfig,
        states: Mapping[str, DetectorState | None],
        bus_state: BusState | None,
        policy: TrackPolicy,
    ) -> None:
        poller = Poller(
            bus,
            self._profiles,
            self._recorder.record,
            self._on_sample,
            self._now,
            policy=policy,
            states=states,
            bus_state=bus_state,
        )
        self._pollers[bus.bus] = poller
        self._tasks[bus.bus] = self._spawn(poller.run())

    async def _end(self, name: str) -> None:
        del self._pollers[name]
        task = self._tasks.pop(name)
        task.cancel()
        await asyncio.wait({task})

    async def _drop(self, gone: Sequence[DetectorState | BusState]) -> None:
        """What leaves the configuration: its conditions are unknown from now on, and its memory goes."""
        told = [observation for state in gone for observation in dropped(state)]
        if told:
            await self._recorder.record(told, {})
        keys = [BUS_KEY + s.bus if isinstance(s, BusState) else s.detector for s in gone]
        if keys:
            try:
                await asyncio.to_thread(self._kept.forget_tracked, keys)
            except Exception as error:  # noqa: BLE001 -- kept too long is harmless
                self._log.warning("old states cannot be dropped", why=str(error))

    def _line(self, bus: BusConfig) -> tuple[BusConfig, str]:
        """What must stay for the bus to stay open."""
        return msgspec.structs.replace(bus, detectors=[]), protocol_of(bus, self._profiles)
