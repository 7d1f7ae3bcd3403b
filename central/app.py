"""The composition root: settings in, running roles out.

Law of this file: the one place that sees everything and
reads the clock; it decides nothing.

Every loop is supervised: one that ends or raises is logged, counted and started again, and takes no other
with it. An outage of the database or the broker ends no process.
"""

from __future__ import annotations

import asyncio
import contextlib
import signal
import socket
import time
from collections.abc import Awaitable, Callable, Coroutine, Iterator, Mapping, Sequence
from datetime import UTC, datetime, timedelta
from typing import Any

import structlog
import uvicorn

from central import answering, metrics, receipt_watch, systemd, transmitters
from central.answering import Answering
from central.api.main import create_app
from central.auditor import LOOPS, Auditor
from central.config import Settings
from central.dead_man import DeadMan
from central.emergency import build_emergency, read_auditor
from central.ending import end, together
from central.forwarder import Forwarder
from central.health import Health
from central.ingest import Ingest
from central.job_watch import NAME, JobWatch
from central.jobs import Jobs
from central.listening import Listening
from central.notifier.callbacks import read_callbacks, waits
from central.notifier.channels import build_channels
from central.notifier.channels.gsm import Gsm
from central.presence import NAME as PRESENCE
from central.presence import Presence
from central.proof import WorkerProof
from central.receipt_watch import ReceiptWatch
from central.store.errors import StoreConflict, StoreDown, StoreError, StoreNewer
from central.store.jobs import AUDITOR, INGEST, WORKER
from central.store.migrate import migrate, pending
from central.store.pool import Store
from central.transmitters import Transmitters
from central.worker import Worker
from device_profiles.load import load_profiles

ROLES = frozenset({"api", "ingest", "worker", "jobs"})
_TURN_S = 60.0
"""A loop that has not turned for so long hangs: the watchdog may end this process."""
_STOP_S = 4.5
_PATIENCE_S = 3.4
"""What is under way when we are told to stop gets so long."""
_FIRST_PAUSE_S = 0.5
_LONGEST_PAUSE_S = 10.0
_log = structlog.get_logger()


class StartError(Exception):
    """The roles cannot start as things are; the text says what to do."""


async def run(
    settings: Settings,
    roles: frozenset[str],
    environment: Mapping[str, str],
    *,
    stop: asyncio.Event,
    migrate_first: bool = False,
    clock_shift: Callable[[], timedelta] = timedelta,
    started: Callable[[Health], None] = lambda _health: None,
) -> None:
    """Run these roles until `stop` is set, then end within 5 s.

    Raises StartError (migrations are missing, the port is taken) and ConfigError (channels). `started` is
    called when every loop has been started; what the roles depend on may still be away.
    """
    assert roles <= ROLES, roles - ROLES
    listener = _listen(settings) if "api" in roles else None
    try:
        if not await _up_to_date(settings, stop, migrate_first=migrate_first):
            return
        health = Health(time.monotonic)
        store = Store(settings.dsn, name="-".join(sorted(roles)), max_connections=20, clock_shift=clock_shift)
        channels = build_channels(settings, environment, _wall) if "worker" in roles else {}
        callbacks = read_callbacks(settings)
        loops: dict[str, Callable[[], Coroutine[Any, Any, None]]] = {}
        health.add_check("database", lambda: _database(store))
        if "ingest" in roles:
            proof = WorkerProof(store, time.monotonic, health.beat, audited=bool(settings.auditor))
            health.expect("proof", _TURN_S)
            loops["proof"] = proof.run
            ingest = Ingest(
                store, settings.broker, area=settings.ingest.area, others_alive=lambda: proof.good
            )
            health.add_check("broker", lambda: _broker(ingest))
            loops["ingest"] = ingest.run
            if settings.transmitters is not None:
                health.expect(transmitters.NAME, _TURN_S)
                loops[transmitters.NAME] = Transmitters(store, settings.transmitters, health.beat).run
        if "worker" in roles:
            worker = Worker(
                store,
                channels,
                settings.worker,
                settings.http.public_url,
                health.beat,
                waits=waits(callbacks),
            )
            for lane in worker.lanes:
                health.expect(lane, _TURN_S)
            loops["worker"] = worker.run
            health.expect(receipt_watch.NAME, _TURN_S)
            loops[receipt_watch.NAME] = ReceiptWatch(store, health.beat).run
            health.expect(answering.NAME, max(_TURN_S, *(one.timeout_s + 30 for one in channels.values())))
            loops[answering.NAME] = Answering(store, channels, health.beat).run
            for name, channel in channels.items():
                if isinstance(channel, Gsm) and channel.hears:
                    listening = Listening(store, name, channel, health.beat)
                    health.expect(listening.loop, channel.timeout_s + 2 * _TURN_S)
                    loops[listening.loop] = listening.run
            if settings.forward:
                forwarder = Forwarder(store, settings.forward, health.beat)
                for loop in forwarder.loops:
                    health.expect(loop, _TURN_S)
                loops["forwarder"] = forwarder.run
        if "jobs" in roles:
            health_of_ticks = {"due": _TURN_S, "sweep": _TURN_S, "figures": _TURN_S}
            for tick, allowed_s in health_of_ticks.items():
                health.expect(f"jobs {tick}", allowed_s)
            parts = [WORKER, INGEST, *([AUDITOR] if settings.auditor else [])]
            loops["jobs"] = lambda: Jobs(
                store, settings.jobs, _wall, health.beat, load_profiles(), parts
            ).run()
        if roles & {"worker", "jobs"}:  # the worker's process too: it is there when that of the jobs is not
            health.expect(NAME, _TURN_S)
            loops[NAME] = JobWatch(store, health.beat).run
        if roles & {WORKER, INGEST}:
            health.expect(PRESENCE, _TURN_S)
            loops[PRESENCE] = Presence(store, roles, lambda: health.live().ok, health.beat).run
        if listener is not None:
            api = _Api(store, settings, health, listener)
            loops["api"] = api.run
        await store.open()
        closing = [*(channel.close for channel in channels.values()), store.close]
        await _until(stop, loops, health, environment, closing, lambda: started(health), sorted(roles))
    finally:
        if listener is not None:
            listener.close()


async def run_auditor(
    settings: Settings,
    environment: Mapping[str, str],
    *,
    stop: asyncio.Event,
    started: Callable[[], None] = lambda: None,
) -> None:
    """Run the auditor until `stop` is set. It waits for nothing: what is away is what it is there to tell.

    Raises StartError when the file has no table `[auditor]`, and ConfigError.
    """
    wanted = read_auditor(settings, environment)
    if wanted is None:
        raise StartError(
            f"{settings.path}: auditor: there is no such table: add [auditor] with whom to call when the rest"
            " fails (docs/howto/watch-the-watch.md)"
        )
    health = Health(time.monotonic)
    store = Store(wanted.dsn, name="auditor", max_connections=2)
    emergency = build_emergency(settings, wanted, environment, _wall)
    dead_man = None if wanted.dead_man_url is None else DeadMan(wanted.dead_man_url)
    if dead_man is None:
        _log.warning("no dead-man's switch: nobody notices when this whole machine is gone")
    for loop in LOOPS:
        health.expect(loop, _TURN_S)
    auditor = Auditor(store, emergency, dead_man, wanted.again_s, time.monotonic, health.beat)
    health.add_check("proof", auditor.trouble)
    await store.open()
    closing = [emergency.close, *([] if dead_man is None else [dead_man.close]), store.close]
    await _until(stop, {"auditor": auditor.run}, health, environment, closing, started, ["auditor"])


async def _until(
    stop: asyncio.Event,
    loops: Mapping[str, Callable[[], Coroutine[Any, Any, None]]],
    health: Health,
    environment: Mapping[str, str],
    closing: Sequence[Callable[[], Awaitable[None]]],
    started: Callable[[], None],
    roles: list[str],
) -> None:
    """Supervise the loops until `stop` is set, then end them within 5 s and close what they used."""
    tasks = [asyncio.create_task(_supervise(name, loop), name=name) for name, loop in loops.items()]
    tasks.append(asyncio.create_task(_report(health, environment), name="report"))
    _log.info("started", roles=roles)
    started()
    await stop.wait()
    _log.info("stopping")
    systemd.notify(environment, "STOPPING=1")
    with contextlib.suppress(TimeoutError):
        async with asyncio.timeout(_STOP_S):
            for task in await end(tasks, patience_s=_PATIENCE_S, within_s=_STOP_S - 0.5):
                stack = [f"{frame.f_code.co_qualname}:{frame.f_lineno}" for frame in task.get_stack()]
                _log.error("a loop does not end", loop=task.get_name(), stack=stack)
            for close in closing:
                await close()
    _log.info("stopped")


def stop_on_signals(stop: asyncio.Event) -> None:
    """SIGTERM and SIGINT set `stop`; to be called inside the running loop."""
    loop = asyncio.get_running_loop()
    for number in (signal.SIGTERM, signal.SIGINT):
        loop.add_signal_handler(number, stop.set)


class _Api:
    """The HTTP server as one more loop; signals are not its business."""

    def __init__(self, store: Store, settings: Settings, health: Health, listener: socket.socket) -> None:
        self._store = store
        self._settings = settings
        self._health = health
        self._listener = listener

    async def run(self) -> None:
        app = create_app(self._store, self._settings, self._health)
        config = uvicorn.Config(
            app,
            log_config=None,
            access_log=False,
            server_header=False,
            ws="none",
            lifespan="on",
            timeout_graceful_shutdown=2,
        )
        server = _Server(config)
        # uvicorn closes what it is given, and we may be started again on the same address.
        serving = asyncio.create_task(server.serve(sockets=[self._listener.dup()]), name="uvicorn")
        try:
            await asyncio.shield(serving)
        except asyncio.CancelledError:
            app.state.feed.close()
            server.should_exit = True
            await asyncio.wait([serving], timeout=3)
            raise


class _Server(uvicorn.Server):
    @contextlib.contextmanager
    def capture_signals(self) -> Iterator[None]:
        """Leave the signals to the program."""
        yield


async def _supervise(name: str, loop: Callable[[], Coroutine[Any, Any, None]]) -> None:
    pause = _FIRST_PAUSE_S
    while True:
        began = time.monotonic()
        try:
            await together(loop(), patience_s=_STOP_S)  # in one task of its own, whoever cancels in it
            _log.error("a loop ended; it is started again", loop=name)
        except Exception:  # noqa: BLE001 -- whatever it was, the loop is started again
            _log.exception("a loop failed; it is started again", loop=name)
        metrics.LOOP_FAILURES.labels(name).inc()
        if time.monotonic() - began > 60:
            pause = _FIRST_PAUSE_S
        await asyncio.sleep(pause)
        pause = min(pause * 2, _LONGEST_PAUSE_S)


async def _report(health: Health, environment: Mapping[str, str]) -> None:
    """Tell systemd and the figures how it stands."""
    systemd.notify(environment, "READY=1")
    period = systemd.watchdog_s(environment)
    every_s = min(period / 3, 5.0) if period else 5.0
    was = ""
    while True:
        for loop, age in health.ages().items():
            metrics.LOOP_AGE_S.labels(loop).set(age)
        live, ready = health.live(), await health.ready()
        if live.ok:
            systemd.notify(environment, "WATCHDOG=1")
        trouble = "; ".join(f"{part}: {said}" for part, said in ready.parts.items() if said != "ok")
        if trouble.partition(" for ")[0] != was.partition(" for ")[0]:
            _log.warning("not ready", trouble=trouble) if trouble else _log.info("ready")
        was = trouble
        systemd.notify(environment, f"STATUS={trouble or 'all is well'}")
        await asyncio.sleep(every_s)


async def _up_to_date(settings: Settings, stop: asyncio.Event, *, migrate_first: bool) -> bool:
    """Whether the database has this program's schema; waits for a database that is away.

    False: told to stop.
    """
    told = False
    while not stop.is_set():
        try:
            if migrate_first:
                applied = await asyncio.to_thread(migrate, settings.dsn)
                _log.info("migrated", applied=applied)
                return True
            missing = await asyncio.to_thread(pending, settings.dsn)
        except StoreNewer as error:  # while an upgrade goes round, what has the old version must still run
            _log.warning("running on a newer database", error=str(error))
            return True
        except (StoreDown, StoreConflict) as error:
            if not told:
                _log.warning("waiting for the database", error=str(error))
            told = True
            with contextlib.suppress(TimeoutError):
                async with asyncio.timeout(1.0):
                    await stop.wait()
            continue
        if missing:
            raise StartError(
                f"the database lacks {len(missing)} migration(s) ({', '.join(missing)}): run"
                f" `smokewatch-central migrate {settings.path}`, or start with --migrate"
            )
        return True
    return False


def _listen(settings: Settings) -> socket.socket:
    http = settings.http
    try:
        family, _, _, _, address = socket.getaddrinfo(http.host, http.port, type=socket.SOCK_STREAM)[0]
        listener = socket.create_server(address[:2], family=family, backlog=1024)
    except OSError as error:
        raise StartError(
            f"{settings.path}: http.port: cannot listen on {http.host}:{http.port}"
            f" ({error.strerror or error}): end what uses it, or set another http.port"
        ) from None
    listener.setblocking(False)
    return listener


async def _database(store: Store) -> str | None:
    try:
        async with store.transaction():
            return None
    except StoreError:
        return "does not answer"


async def _broker(ingest: Ingest) -> str | None:
    return None if ingest.connected else "not connected"


def _wall() -> datetime:
    return datetime.now(UTC)
