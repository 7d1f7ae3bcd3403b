"""A fleet on real connections: clocks, signals, progress.

Law of this file: the fleet decides what is said; here it is said. A connection that breaks is made again for
ever, but the first time each must succeed.
"""

from __future__ import annotations

import asyncio
import secrets
import sys
import time
from collections.abc import Callable
from dataclasses import dataclass

from mqtt_line.line import Broker, Line, LineError, open_line
from simulator.fleet.fleet import Fleet
from simulator.fleet.plan import Plan

TICK_S = 0.005
PROGRESS_S = 5.0
UNHEARD_S = 15.0
"""When nothing was answered for so long from the start, it is said what may be wrong."""
SPEECH = 128
"""Messages over one connection before the others, and what comes in, have their turn."""
FIRST_PAUSE_S, LONGEST_PAUSE_S = 0.3, 10.0


@dataclass(slots=True)
class Ending:
    """How a run is told to stop: once, it records nothing more and waits for answers; twice, it ends."""

    asked: int = 0

    def ask(self) -> None:
        """Once more."""
        self.asked += 1


class Run:
    """A fleet that plays."""

    def __init__(
        self, plan: Plan, broker: Broker, *, salt: str, say: Callable[[str], None] | None = None
    ) -> None:
        """`say` takes lines for a person."""
        self.fleet = Fleet(plan, salt, time.time_ns() // 1_000_000)
        self._broker = broker
        self._salt = salt
        self._say = say or _to_stderr
        self._lines: list[Line | None] = [None] * plan.connections
        self._turns = list(range(plan.connections))
        """Which node of the broker each connection tries next: they are spread, and move on when refused."""
        self._zero = time.perf_counter()
        self._cpu_zero = time.process_time()
        self._cpu_s = 0.0
        self._lost = 0
        self._keepers: list[asyncio.Task[None]] = []

    @property
    def now(self) -> float:
        """Seconds since the start."""
        return time.perf_counter() - self._zero

    async def play(self, ending: Ending, drain_s: float) -> None:
        """Play until the plan's time is over or `ending` is asked; wait for answers. Raises LineError."""
        plan = self.fleet.plan
        try:
            for number in range(plan.connections):
                self._lines[number] = await self._open(number)
            self._zero, self._cpu_zero = time.perf_counter(), time.process_time()
            self.fleet.begin(time.time_ns() // 1_000_000)
            self._keepers = [asyncio.create_task(self._keep(number)) for number in range(plan.connections)]
            await self._record(ending, float("inf") if plan.seconds is None else plan.seconds)
            self.fleet.finish()
            await self._drain(ending, self.now + drain_s)
        finally:
            self._cpu_s = time.process_time() - self._cpu_zero
            for keeper in self._keepers:
                keeper.cancel()
            await asyncio.gather(*self._keepers, return_exceptions=True)
            await asyncio.gather(*(line.close() for line in self._lines if line is not None))

    def told(self) -> dict[str, object]:
        """The summary."""
        fleet, names = self.fleet, self.fleet.plan.names
        tally = fleet.tally
        told: dict[str, object] = {
            "gateways": names.gateways,
            "detectors": names.gateways * names.detectors,
            "connections": fleet.plan.connections,
            "seed": fleet.plan.seed,
            "run": self._salt,
            "seconds": round(self.now, 3),
            **tally.told(),
            "connections_lost": self._lost,
            "cpu_ms": round(self._cpu_s * 1000),
        }
        if tally.readings.sent:
            told["cpu_us_per_reading"] = round(self._cpu_s * 1e6 / tally.readings.sent, 3)
            told["readings_per_s"] = round(tally.readings.acked / max(self.now, 1e-9))
        return told

    # -- the loop

    async def _record(self, ending: Ending, until: float) -> None:
        shown_at, shown = 0.0, 0
        warned = False
        while (now := self.now) < until and not ending.asked:
            busy = self._turn(now)
            if now - shown_at >= PROGRESS_S:
                tally = self.fleet.tally
                self._show((tally.readings.acked - shown) / (now - shown_at))
                shown_at, shown = now, tally.readings.acked
            if not warned and now > UNHEARD_S and self._unheard():
                warned = True
                self._say(
                    "警告：没有任何应答 warning: nothing was answered so far: does the centre's ingest run "
                    f"on this broker, and may we speak in area {self.fleet.plan.names.area(0)!r}?"
                )
            await asyncio.sleep(0 if busy else TICK_S)

    async def _drain(self, ending: Ending, until: float) -> None:
        asked = ending.asked
        if self.fleet.waiting:
            self._say(f"等待确认 waiting for {self.fleet.waiting:,} rows to be acknowledged")
        while self.fleet.waiting and (now := self.now) < until and ending.asked == asked:
            busy = self._turn(now)
            await asyncio.sleep(0 if busy else TICK_S)

    def _turn(self, now: float) -> bool:
        """Let everybody speak. True when somebody may have more to say at once."""
        fleet = self.fleet
        for keeper in self._keepers:
            if keeper.done():
                keeper.result()
        fleet.tick(now)
        busy = False
        for number, line in enumerate(self._lines):
            if line is None:
                continue
            for _ in range(SPEECH):
                message = fleet.next(number, now) if line.has_room else None
                if message is None:
                    break
                line.say(message.topic, message.payload, message.qos, message.retain)
            else:
                busy = True
            line.flush()
        return busy

    def _heard(self, topic: bytes, payload: bytes, retained: bool) -> None:
        self.fleet.hear(topic, payload, retained, self.now)

    # -- connections

    async def _open(self, number: int) -> Line:
        name = f"smokewatch-fleet-{secrets.token_hex(6)}-{number}"
        turn, self._turns[number] = self._turns[number], self._turns[number] + 1
        line = await open_line(self._broker.node(turn), name, self.fleet.filters(number), self._heard)
        self._turns[number] = turn
        self.fleet.line_up(number)
        return line

    async def _keep(self, number: int) -> None:
        """Keep a connection alive; make it again whenever it is lost."""
        pause_s = FIRST_PAUSE_S
        while True:
            line = self._lines[number]
            if line is not None:
                await line.keep_alive()
                self._lines[number] = None
                self._lost += 1
                self._say(f"连接断开 connection {number + 1} is lost: {line.lost.result()}")
            await asyncio.sleep(pause_s)
            try:
                self._lines[number] = await self._open(number)
            except LineError as error:
                pause_s = min(pause_s * 2, LONGEST_PAUSE_S)
                self._say(str(error))
            else:
                pause_s = FIRST_PAUSE_S
                self._say(f"连接恢复 connection {number + 1} is back")

    # -- words

    def _unheard(self) -> bool:
        tally = self.fleet.tally
        return bool(tally.readings.sent + tally.events.sent) and not tally.readings.acked + tally.events.acked

    def _show(self, per_s: float) -> None:
        tally = self.fleet.tally
        away = f"，中断 cut off {tally.away:,}" if tally.away else ""
        self._say(
            f"[{self.now:6.1f} s] 读数 readings: 已发 sent {tally.readings.sent:,}，已确认 acked "
            f"{tally.readings.acked:,}（{per_s:,.0f}/s）；事件 events {tally.events.sent:,}/"
            f"{tally.events.acked:,}；心跳 heartbeats {tally.heartbeats:,}{away}"
        )


async def play(
    plan: Plan,
    broker: Broker,
    *,
    salt: str,
    drain_s: float,
    ending: Ending,
    say: Callable[[str], None] | None = None,
) -> dict[str, object]:
    """Play a fleet to its end; returns the summary. Raises LineError when we cannot begin."""
    run = Run(plan, broker, salt=salt, say=say)
    await run.play(ending, drain_s)
    return run.told()


def _to_stderr(words: str) -> None:
    print(words, file=sys.stderr, flush=True)
