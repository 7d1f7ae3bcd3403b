"""The broker out of reach for a minute, the program on the box killed meanwhile: which fires never come out.

The agent and its peer live through the same: the same simulated line, the same detectors that burn at the
same moments, the same kills (SIGKILL, started again at once). The way to the broker is cut, so that
connections are reset and refused; the broker and who listens there go on, so that nothing sent is missed.
"""

from __future__ import annotations

import asyncio
import math
import subprocess
import sys
import tempfile
import time
from collections.abc import AsyncIterator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from benchmarks import bus_peer
from benchmarks.flips import Count, Flip, by_thirds, count, kill_moments, plan
from benchmarks.simulated import BAUD, formula_s, simulated
from central.ending import end
from simulator.control import ControlClient
from simulator.parts.child import Child, PartError
from tests.harness.broker import Mosquitto
from tests.harness.centre import centre
from tests.harness.chaos import ChaosProxy, chaos_proxy
from wire.messages import Condition, EventKind

DEVICES = 32
HOLD_S = 2 * formula_s(DEVICES) + 1.0
"""Two laps and a little, so that whoever reads all sees each fire."""
RESTART_S = 8.0
KILLS = (0, 1, 2)
QUIET_S = 20.0
START_WAIT_S = 120.0
CALM_S, SETTLE_S = 30.0, 240.0
ROOT = Path(__file__).parents[1]
AREA, GATEWAY = "danshuichi", "gw-0001"
PEERS_STORE = "file"
ON_DISK: dict[str, Mapping[str, Any]] = {
    "file": {
        "type": "file",
        "data_folder_path": "./data/",
        "max_file_count": 100,
        "max_records_per_file": 10_000,
        "max_records_between_fsync": 1,
        "max_read_records_count": 1000,
    },
    "sqlite": {
        "type": "sqlite",
        "data_file_path": "./data/",
        "max_read_records_count": 1000,
        "writing_batch_size": 1000,
    },
}
"""The peer's two stores that outlive it, each with its surest writes and with room to spare; it loses the
same with either, and the file is the cheaper one."""

Told = Callable[[], Mapping[str, Sequence[bool]]]


@dataclass(frozen=True, slots=True)
class Program:
    """Who watches the line: how it is started, and what comes of it at the broker."""

    who: str
    command: tuple[str, ...]
    configure: Callable[[Path, int, str], None]
    """Given its folder, the port by which it reaches the broker, and the line's address."""
    environment: Callable[[Path], dict[str, str] | None]
    listen: Callable[[str, int], AbstractAsyncContextManager[Told]]


@dataclass
class Lived:
    """One outage, as it was."""

    counted: Count
    lost_by_third: list[int]
    unread: int
    """Flips during which the detector was not asked even once."""
    back_s: list[float] = field(default_factory=list)
    """From each start after a kill until every detector had been asked again."""
    told_s: float | None = None
    """From the broker's return until the last fire that came out had come out."""
    cpu_ms_per_poll: float = 0.0
    rss_mb: float = 0.0


def agent() -> Program:
    """Our own, as it is installed: its outbox on disk."""
    return Program(
        "smokewatch-edge",
        (sys.executable, "-m", "edge_agent", "run", "edge.toml"),
        _agent_files,
        lambda _: None,
        _agents_centre,
    )


def peer(storage: str) -> Program:
    """The peer with one of its stores on disk, on change instead of every read. Raises PeerError."""
    return Program(
        f"thingsboard-gateway ({storage} store)",
        (str(bus_peer.install()), *bus_peer.COMMAND),
        lambda folder, port, address: bus_peer.configure(
            folder, port, address, DEVICES, ON_DISK[storage], "ON_CHANGE"
        ),
        bus_peer.surroundings,
        _peers_platform,
    )


def _agent_files(folder: Path, port: int, address: str) -> None:
    (folder / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
    text = (
        f'area = "{AREA}"\ngateway = "{GATEWAY}"\nstate_dir = "state"\nmachine_id_file = "machine-id"\n'
        f'clock = "trusted"\n[mqtt]\nhost = "{Mosquitto.host}"\nport = {port}\n'
        f'[[bus]]\nbus = "bus-1"\ntransport = "serial"\nbaud = {BAUD}\naddress = "{address}"\n'
    )
    for unit in range(1, DEVICES + 1):
        text += f'[[bus.detectors]]\ndetector = "d-{unit:03}"\nunit = {unit}\n'
        text += 'profile = "smokewatch-reference"\n'
    (folder / "edge.toml").write_text(text)


@asynccontextmanager
async def _agents_centre(host: str, port: int) -> AsyncIterator[Told]:
    async with centre(host, port, AREA, GATEWAY) as far:
        alive = asyncio.create_task(far.live())

        def told() -> dict[str, list[bool]]:
            found: dict[str, list[bool]] = {}
            for event in far.events:
                if event.condition is Condition.SMOKE and event.detector is not None:
                    found.setdefault(event.detector, []).append(event.kind is EventKind.ASSERT)
            return found

        try:
            yield told
        finally:
            await end([alive])


@asynccontextmanager
async def _peers_platform(_host: str, port: int) -> AsyncIterator[Told]:
    heard = bus_peer.Heard()
    listening = asyncio.create_task(heard.listen(port))

    def told() -> dict[str, list[bool]]:
        return {device: [burns for _, burns in sorted(words)] for device, words in heard.told.items()}

    try:
        yield told
    finally:
        await end([listening])


async def live_through(program: Program, flips: Sequence[Flip], outage_s: float, kills: int) -> Lived:
    """One outage. Raises PartError, PeerError or TimeoutError when the program cannot be run."""
    with tempfile.TemporaryDirectory(ignore_cleanup_errors=True) as name:
        folder = Path(name)
        broker, child = Mosquitto(folder / "broker"), Child(program.who, folder / "program.log")
        broker.start()
        try:
            async with (
                simulated(folder, DEVICES) as (address, control),
                chaos_proxy(broker.host, broker.port) as way,
                program.listen(broker.host, broker.port) as told,
            ):
                program.configure(folder, way.port, address)

                def start() -> None:
                    child.start(program.command, lambda _: True, cwd=folder, env=program.environment(folder))

                start()
                try:
                    return await _outage(child, start, control, way, told, flips, outage_s, kills)
                finally:
                    child.kill9()
        finally:
            broker.stop()


async def _outage(
    child: Child,
    start: Callable[[], None],
    control: ControlClient,
    way: ChaosProxy,
    told: Told,
    flips: Sequence[Flip],
    outage_s: float,
    kills: int,
) -> Lived:
    async with asyncio.timeout(START_WAIT_S):
        await _asked(child, control, 3)
        while not way.carried["up"]:  # noqa: ASYNC110 -- seen from outside
            await asyncio.sleep(0.1)
    cpu_ms_per_poll, rss_mb = await _costs(child, control)
    lived = Lived(Count(0, 0, 0), [], 0, cpu_ms_per_poll=cpu_ms_per_poll, rss_mb=rss_mb)
    began = time.monotonic()
    await way.stop()

    async def until(moment_s: float) -> None:
        await asyncio.sleep(max(0.0, began + moment_s - time.monotonic()))

    async def burn(flip: Flip) -> None:
        await until(flip.begins_s)
        before = await _polls(control)
        await control.ask("flip", flip.detector, on=True)
        await until(flip.ends_s)
        lived.unread += (await _polls(control))[flip.detector] == before[flip.detector]
        await control.ask("flip", flip.detector, on=False)

    async def kill(moment_s: float) -> None:
        await until(moment_s)
        child.kill9()
        start()
        started = time.monotonic()
        async with asyncio.timeout(START_WAIT_S):
            await _asked(child, control, 1)
        lived.back_s.append(time.monotonic() - started)

    try:
        async with asyncio.TaskGroup() as group:
            for flip in flips:
                group.create_task(burn(flip))
            for moment_s in kill_moments(outage_s, kills):
                group.create_task(kill(moment_s))
            group.create_task(until(outage_s))
    except ExceptionGroup as several:
        raise several.exceptions[0] from None
    lived.told_s = await _settled(way, told, flips)
    lived.counted = count(flips, told())
    lived.lost_by_third = [count(third, told()).lost for third in by_thirds(flips, outage_s)]
    return lived


async def _settled(way: ChaosProxy, told: Told, flips: Sequence[Flip]) -> float | None:
    """Let it reach the broker again, and wait until all is told or nothing of the flips has come for long.

    Returns the seconds until the last fire came out.
    """
    carried = way.carried["up"]
    await way.start()
    opened = time.monotonic()
    last_news, told_s, best = math.inf, None, count(flips, told())
    while (now := time.monotonic()) < min(opened + SETTLE_S, last_news + CALM_S):
        state = count(flips, told())
        if state.lost < best.lost:
            told_s = now - opened
        if state != best or (way.carried["up"] > carried and last_news == math.inf):
            best, last_news = state, now
        if not (state.lost or state.ends_lost):
            break
        await asyncio.sleep(0.05)
    return told_s


async def _costs(child: Child, control: ControlClient) -> tuple[float, float]:
    """Processor time for each request on the line, in ms, and resident memory in MB (10^6 bytes)."""
    assert child.pid is not None
    cpu, polls = bus_peer.cpu_s(child.pid), sum((await _polls(control)).values())
    await asyncio.sleep(QUIET_S)
    polls = sum((await _polls(control)).values()) - polls
    return 1000 * (bus_peer.cpu_s(child.pid) - cpu) / polls, bus_peer.rss_mb(child.pid)


async def _polls(control: ControlClient) -> dict[str, int]:
    return {name: int(n) for name, n in (await control.ask("polls"))["polls"].items()}


async def _asked(child: Child, control: ControlClient, times: int) -> None:
    """Until it has asked every detector so often from now on. Raises PartError when it ends."""
    before = await _polls(control)
    least = 0
    while least < times:
        if child.pid is None:
            raise PartError(f"{child.name} has ended; its log was {child.log}")
        await asyncio.sleep(0.1)
        least = min(polls - before[name] for name, polls in (await _polls(control)).items())


def flips_of(outage_s: float) -> list[Flip]:
    """The same for everybody. Raises ValueError when the outage is too short for them."""
    return plan([f"d-{unit:03}" for unit in range(1, DEVICES + 1)], outage_s, RESTART_S, HOLD_S, seed=0)


def measure(outage_s: float, *, with_peer: bool) -> dict[str, Any]:
    """`outage`: a row for each program and number of kills; `outage_peer_why` when the peer has none.

    Raises ValueError as `flips_of` does, PartError or TimeoutError when our own agent cannot be run.
    """
    flips = flips_of(outage_s)
    rows: list[dict[str, Any]] = []

    def add(program: Program, kills: int) -> None:
        rows.append(_row(program, kills, asyncio.run(live_through(program, flips, outage_s, kills))))
        print(f"outage: {rows[-1]}", file=sys.stderr, flush=True)

    why = None if with_peer else "not asked for"
    for kills in KILLS:
        add(agent(), kills)
        if why is None:
            try:
                add(peer(PEERS_STORE), kills)
            except (bus_peer.PeerError, PartError, TimeoutError, subprocess.TimeoutExpired) as error:
                why = str(error) or repr(error)
    return {"outage": rows} | ({} if why is None else {"outage_peer_why": why})


def _row(program: Program, kills: int, lived: Lived) -> dict[str, Any]:
    return {
        "who": program.who,
        "kills": kills,
        "flips": lived.counted.flips,
        "lost": lived.counted.lost,
        "lost_by_third": lived.lost_by_third,
        "ends_lost": lived.counted.ends_lost,
        "unread": lived.unread,
        "back_s": [round(each, 2) for each in lived.back_s],
        "told_s": None if lived.told_s is None else round(lived.told_s, 2),
        "cpu_ms_per_poll": round(lived.cpu_ms_per_poll, 3),
        "rss_mb": round(lived.rss_mb, 1),
    }
