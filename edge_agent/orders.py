"""What the centre wants of the agent, carried out one after the other, beside the uplink.

Law of this file: whatever an order does, the uplink goes on. A command is done at most once, never after its
time, and never when nobody knows what time it is; each refusal is on record.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable

import structlog

from edge_agent.clock import Clock
from edge_agent.observation import Observation
from edge_agent.outbox import Outbox
from edge_agent.turning import LOOK_S, Turning
from wire.messages import Command, EventKind, GatewayConfig

SNAPSHOT_EVERY_S = 5.0
_MOST_WAITING = 64


class _SnapshotWanted:
    """The centre asks for the state of every detector."""


class Orders:
    """A queue with one worker."""

    def __init__(
        self,
        outbox: Outbox,
        clock: Clock,
        on_config: Callable[[GatewayConfig], Awaitable[object]],
        on_command: Callable[[Command], Awaitable[object]],
        on_snapshot_wanted: Callable[[], Awaitable[object]],
    ) -> None:
        self._outbox = outbox
        self._clock = clock
        self._on_config = on_config
        self._on_command = on_command
        self._on_snapshot_wanted = on_snapshot_wanted
        self._waiting: asyncio.Queue[GatewayConfig | Command | _SnapshotWanted] = asyncio.Queue(_MOST_WAITING)
        self._snapshot_waits = False
        self._snapshot_at: float | None = None
        self._log = structlog.get_logger()
        self.turning = Turning(clock.mono_s)

    def take(self, order: GatewayConfig | Command) -> None:
        """Queue an order; when too many wait it is dropped (the centre asks again)."""
        try:
            self._waiting.put_nowait(order)
        except asyncio.QueueFull:
            self._log.error("order_dropped", order=type(order).__name__, waiting=_MOST_WAITING)

    def want_snapshot(self) -> None:
        """Queue a snapshot; one that waits is enough for all who ask."""
        if self._snapshot_waits:
            return
        try:
            self._waiting.put_nowait(_SnapshotWanted())
        except asyncio.QueueFull:
            return
        self._snapshot_waits = True

    async def run(self) -> None:
        """Carry out orders for ever."""
        while True:
            self.turning.turned()
            try:
                async with asyncio.timeout(LOOK_S):
                    order = await self._waiting.get()
            except TimeoutError:
                continue
            try:
                match order:
                    case GatewayConfig():
                        await self._on_config(order)
                    case Command():
                        await self._command(order)
                    case _:
                        await self._snapshot()
            except Exception:  # noqa: BLE001 -- one bad order must not stop the next
                self._log.exception("order_failed", order=type(order).__name__)

    async def _snapshot(self) -> None:
        if self._snapshot_at is not None:
            await asyncio.sleep(max(0.0, self._snapshot_at + SNAPSHOT_EVERY_S - self._clock.mono_s()))
        self._snapshot_waits = False
        self._snapshot_at = self._clock.mono_s()
        await self._on_snapshot_wanted()

    async def _command(self, command: Command) -> None:
        if await asyncio.to_thread(self._outbox.was_done, command.id):
            return
        # Remembered before it is done: a crash in between leaves it undone, never done twice.
        await asyncio.to_thread(self._outbox.command_done, command.id)
        why = self._refusal(command)
        if why is None:
            await self._on_command(command)
            return
        self._log.warning("command_refused", id=command.id, action=command.action.value, why=why)
        note = Observation(
            EventKind.NOTE,
            detector=command.detector,
            bus=command.bus,
            text=f"指令已拒绝 command refused: {command.action.value} {command.id}: {why}",
        )
        await asyncio.to_thread(self._outbox.append, [note], self._clock.stamp(), None)

    def _refusal(self, command: Command) -> str | None:
        now = self._clock.server_ms()
        if now is None:
            return "时钟未同步 the clock is not synchronised"
        if now >= command.expires_ms:
            return f"已过期 expired {(now - command.expires_ms) / 1000:.0f} s ago"
        return None
