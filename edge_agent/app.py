"""The agent put together: settings in, a running watch out. Supplies the clocks.

Law of this file: composition only. What is built here runs in one task group: when any part dies the whole
agent ends, loudly, and systemd starts it again; nothing goes on half alive.
"""

from __future__ import annotations

import asyncio
import contextlib
import ctypes
import gc
import os
import signal
import time
import uuid
from collections.abc import Callable, Mapping
from importlib import metadata
from pathlib import Path
from typing import Any

import structlog

from device_profiles.schema import Profile
from edge_agent.calling import Calling
from edge_agent.clock import Clock
from edge_agent.commands import Commands
from edge_agent.config import ConfigError, Settings
from edge_agent.control import ControlServer, Probe, Request
from edge_agent.health_http import HealthServer
from edge_agent.health_watch import Health
from edge_agent.lock import AgentError, only_one
from edge_agent.observation import Observation, Sample
from edge_agent.outbox import Outbox
from edge_agent.outbox_file import StorageError
from edge_agent.probe import Prober
from edge_agent.proof import Proof
from edge_agent.publisher import Publisher
from edge_agent.readings import ReadingBuffer, Readings
from edge_agent.recorder import Recorder
from edge_agent.scan import ScanError
from edge_agent.site import Site
from edge_agent.spool import Spool
from edge_agent.systemd import notify
from wire.messages import EventKind, GatewayConfig, Status

CANARY_EVERY_S = 3600.0
MARGIN_BYTES = 2_000_000
"""Kept between what readings take and what all together may: the events' own growth until the next look."""
SANE_FROM_MS = 1_704_067_200_000
"""2024-01-01: a clock that shows less was never set."""
_TIME_ERROR = 5


def kernel_synchronised() -> bool:
    """Whether the kernel says that something keeps its clock right (adjtimex without setting anything)."""
    room = (ctypes.c_long * 64)()  # larger than any struct timex; zeroed means: only read
    state = int(ctypes.CDLL(None).adjtimex(ctypes.byref(room)))
    return 0 <= state < _TIME_ERROR or (state < 0 and Path("/run/systemd/timesync/synchronized").exists())


def real_clock(settings: Settings) -> Clock:
    """The machine's clocks; `mono` counts through suspend and is shared by all processes of one boot."""

    def wall_ms() -> int:
        return int(time.time() * 1000)

    def synchronised() -> bool:
        return wall_ms() >= SANE_FROM_MS and (settings.clock == "trusted" or kernel_synchronised())

    return Clock(
        wall_ms=wall_ms,
        mono_s=lambda: time.clock_gettime(time.CLOCK_BOOTTIME),
        boot=Path("/proc/sys/kernel/random/boot_id").read_text("ascii").strip().replace("-", ""),
        synchronised=synchronised,
    )


def machine_id(settings: Settings) -> str:
    """What tells this box from a copy of its disk. Raises ConfigError."""
    path = settings.machine_id_file
    try:
        found = path.read_text("ascii").strip()
    except (OSError, UnicodeDecodeError):
        found = ""
    if not found:
        mend = "run systemd-machine-id-setup, or name another file by machine_id_file"
        raise ConfigError(f"{path}: no machine id there: {mend}")
    return found


class Agent:
    """All parts of one running agent."""

    def __init__(
        self,
        settings: Settings,
        profiles: Mapping[str, Profile],
        outbox: Outbox,
        spool: Spool,
        clock: Clock,
    ) -> None:
        self._settings = settings
        self._profiles = profiles
        self._outbox = outbox
        self._clock = clock
        self._started = clock.mono_s()
        self._version = _version()
        self._proof = Proof(os.environ, outbox.stream, outbox.highest_seq)
        # After an end without a goodbye some readings may be gone: number 1 stands for them and never comes.
        first = 2 if settings.running_mark.exists() else 1
        self._readings = Readings(
            ReadingBuffer(uuid.uuid4().hex, clock.boot, first=first),
            spool,
            lambda: settings.outbox.max_bytes - outbox.used_bytes - MARGIN_BYTES,
            clock.wall_ms,
        )
        self._recorder = Recorder(
            outbox,
            lambda: clock.stamp(self._site.config_version),
            lambda: self._publisher.wake(),
            StorageError,
            self._report,
        )
        self._tasks = asyncio.TaskGroup()
        self._site = Site(
            profiles,
            self._recorder,
            self._sample,
            clock.mono_s,
            outbox,
            self._tasks.create_task,
            self._report,
        )
        self._prober = Prober(self._site, profiles, self._recorder)
        self._commands = Commands(
            self._site, self._recorder, self._prober, self._tasks.create_task, clock.mono_ms
        )
        self._publisher = Publisher(
            settings.mqtt,
            settings.area,
            settings.gateway,
            outbox,
            self._readings,
            clock,
            self.status,
            self._on_config,
            self._commands.carry_out,
            self._on_snapshot_wanted,
            on_acknowledged=lambda stream, seq: self._proof.acknowledged(stream, seq, outbox.highest_seq),
        )
        self._calling = self._make_calling()
        others = {} if self._calling is None else {"fallback": self._calling.turning}
        self._health = Health(self._site, self._recorder, self._publisher, clock, self.status, others)
        self._control = ControlServer(settings.control_socket, self._asked, ScanError)
        self._log = structlog.get_logger()

    def _make_calling(self) -> Calling | None:
        """What calls while the centre is silent; None where no way to call is set up."""
        if self._settings.fallback is None:
            return None
        calling = Calling(
            self._settings.fallback,
            self._settings.gateway,
            self._outbox,
            self._recorder.record,
            self._clock,
            lambda: self._publisher.alive_at,
            lambda: self._site.contacts,
            self._site.place_of,
            self._commands.sound,
        )
        self._recorder.on_seen, self._recorder.on_written = calling.seen, calling.written
        self._publisher.on_stored = calling.stored
        return calling

    def status(self) -> Status:
        """The heartbeat's content."""
        clock, outbox, applied = self._clock, self._outbox, self._site.applied
        mono_ms = clock.mono_ms()
        error = self._recorder.error or outbox.trouble
        return Status(
            online=True,
            boot=clock.boot,
            version=self._version,
            uptime_s=round(clock.mono_s() - self._started, 1),
            clock=clock.sending(mono_ms),
            stream=outbox.stream,
            outbox_depth=outbox.depth + self._recorder.waiting,
            oldest_unacked_event_s=outbox.oldest_unacked_s(clock.boot, mono_ms, clock.wall_ms()),
            readings_dropped=self._readings.dropped,
            buses=[poller.status() for poller in self._site.pollers],
            config_epoch=None if applied is None else applied.epoch,
            config_version=self._site.config_version,
            config_hash=None if applied is None else applied.hash,
            config_error=self._site.error,
            storage_error=None if error is None else error[:500],
        )

    async def run(self) -> None:
        """Watch until cancelled."""
        try:
            async with self._tasks as tasks:
                _mark(self._settings.running_mark, there=True)
                tasks.create_task(self._recorder.run())
                tasks.create_task(self._readings.run())
                if self._outbox.report is not None:
                    self._log.warning("outbox", report=self._outbox.report)
                await self._tell_of_updates()
                pushed = await asyncio.to_thread(lambda: self._outbox.config)
                await self._site.start(self._settings.buses, self._settings.report_s, pushed)
                tasks.create_task(self._site.run())
                tasks.create_task(self._site.snapshots())
                if self._calling is not None:
                    tasks.create_task(self._calling.run())
                tasks.create_task(self._publisher.run())
                tasks.create_task(self._canary())
                tasks.create_task(self._health.feed(os.environ))
                tasks.create_task(self._control.run())
                if self._settings.http_listen is not None:
                    tasks.create_task(HealthServer(*self._settings.http_listen, self._health.pages()).run())
                self._health.started = True
                gc.freeze()  # what the start has made stays: the collector need not walk it again
                notify(os.environ, "READY=1")
                self._log.info(
                    "agent runs",
                    gateway=self._settings.gateway,
                    buses=len(self._site.pollers),
                    detectors=sum(len(poller.states) for poller in self._site.pollers),
                    config_version=self._site.config_version,
                    stream=self._outbox.stream,
                )
        finally:
            notify(os.environ, "STOPPING=1")
            await self._recorder.close()
            await self._readings.spool_all()
            _mark(self._settings.running_mark, there=False)

    async def _tell_of_updates(self) -> None:
        notes = self._proof.notes(self._version)
        for text in notes:
            await self._recorder.record([Observation(EventKind.NOTE, text=text)], {})
        await self._recorder.close()
        if notes and self._recorder.error is None:
            self._proof.noted()

    def _sample(self, sample: Sample) -> None:
        self._readings.add(sample, self._clock.wall_ms())
        self._publisher.wake()

    def _report(self) -> None:
        self._publisher.report()

    async def _on_config(self, config: GatewayConfig) -> None:
        self._site.push(config)

    async def _on_snapshot_wanted(self) -> None:
        self._site.want_snapshot()

    async def _canary(self) -> None:
        while True:
            await asyncio.sleep(CANARY_EVERY_S)
            await self._recorder.record([Observation(EventKind.CANARY)], {})

    async def _asked(self, request: Request, tell: Callable[[Any], None]) -> Any:
        """What a person at the line wants, through the control socket."""
        if isinstance(request, Probe):
            return await self._prober.scan(request.bus, request.units, request.profile, tell)
        return await self._prober.set_address(
            request.bus, request.old, request.new, request.profile, may_be_configured=request.configured
        )


def written_bytes() -> int | None:
    """Bytes this process has had written to disks since its start (also logs to files); None: not told.

    `write_bytes` of proc(5): counted when a page becomes dirty, so what is overwritten before it reached the
    card counts too. What `flash_mb_per_day` is made of.
    """
    try:
        lines = Path("/proc/self/io").read_text("ascii").splitlines()
    except OSError:
        return None
    return next((int(line.split()[1]) for line in lines if line.startswith("write_bytes:")), None)


def _mark(place: Path, *, there: bool) -> None:
    """Leave or take away the sign that an agent runs, so that the next one knows how this one ended."""
    try:
        if there:
            place.touch()
        else:
            place.unlink(missing_ok=True)
    except OSError as error:
        structlog.get_logger().warning("the mark of a running agent", place=str(place), why=str(error))


def _version() -> str:
    try:
        return metadata.version("smokewatch")
    except metadata.PackageNotFoundError:  # run from a source tree
        return "source"


def _in_a_library(_loop: asyncio.AbstractEventLoop, context: dict[str, Any]) -> None:
    """What fails in a callback of a library becomes one line of our log, not a page on stderr."""
    error = context.get("exception")
    structlog.get_logger().warning("callback failed", where=str(context.get("message")), error=repr(error))


async def run(settings: Settings, profiles: Mapping[str, Profile]) -> None:
    """Run the agent until SIGTERM or SIGINT. Raises ConfigError, AgentError or StorageError at the start."""
    with only_one(settings.state_dir):
        spool = Spool(settings.state_dir / "readings")
        outbox = Outbox.open(
            settings.outbox_path,
            machine_id(settings),
            limits=settings.outbox,
            make_room=lambda: spool.shrink(spool.bytes // 2),
        )
        try:
            clock = real_clock(settings)
            agent = asyncio.ensure_future(Agent(settings, profiles, outbox, spool, clock).run())
            loop = asyncio.get_running_loop()
            loop.set_exception_handler(_in_a_library)
            for number in (signal.SIGTERM, signal.SIGINT):
                loop.add_signal_handler(number, agent.cancel)
            try:
                with contextlib.suppress(asyncio.CancelledError):
                    await agent
            except BaseExceptionGroup as group:
                structlog.get_logger().exception("a part of the agent failed")
                first: BaseException = group
                while isinstance(first, BaseExceptionGroup):
                    first = first.exceptions[0]
                raise AgentError(f"a part of the agent failed: {type(first).__name__}: {first}") from group
        finally:
            outbox.close()
    structlog.get_logger().info("agent stopped")
