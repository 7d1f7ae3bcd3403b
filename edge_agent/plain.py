"""The master of a line with a plain serial protocol: lends the line and the clock to a dialogue.

Law of this file: it moves bytes and waits; what they mean is the dialogue's. Devices that speak unasked are
heard between two reads too. A timeout closes only a connection on which nothing has come for long.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Sequence
from typing import TypeVar

import structlog

from device_profiles.schema import Write
from edge_agent.exchange import Kind, ReadError
from edge_agent.line import Line, LineError
from edge_agent.plan import ReadRequest, WriteRequest
from edge_agent.protocols.dialogue import Dialogue

WRITE_TIMEOUT_S = 2.0
DEAD_AFTER = 5
"""On TCP: so many timeouts in a row without a byte mean a dead connection."""
LEAST_WAIT_S = 0.001

T = TypeVar("T")


class PlainMaster:
    """The master of one bus. One call at a time: the poller owns it."""

    def __init__(
        self, line: Line, dialogue: Dialogue, *, bus: str, connected: bool, gap_s: float | None = None
    ) -> None:
        self._line = line
        self._dialogue = dialogue
        self._connected = connected
        self._gap_s = gap_s
        self._deaf = 0
        self._log = structlog.get_logger().bind(bus=bus)

    async def read(self, request: ReadRequest) -> tuple[int, ...]:
        """The words; asked of the device again only `gap_s` after the last time. Raises ReadError."""
        every_s = request.gap_s if self._gap_s is None else self._gap_s
        words = await self._exchange(
            request.unit,
            request.timeout_s,
            lambda now: self._dialogue.ask(request, now, every_s),
            lambda now: self._dialogue.answer(request, now),
        )
        if len(words) != request.count:
            raise ReadError(Kind.WRONG_LENGTH, request.unit, f"{len(words)} values of {request.count}")
        return words

    async def write(self, unit: int, write: Write, address: int) -> None:
        """Give an order. Raises ReadError when it is not confirmed."""
        await self._exchange(
            unit,
            WRITE_TIMEOUT_S,
            lambda now: self._dialogue.order(write, address, now),
            lambda _: self._dialogue.confirmed() or None,
        )

    async def ask(self, request: ReadRequest | WriteRequest) -> tuple[int, ...]:
        """Nobody else can be asked here. Raises ReadError."""
        raise ReadError(Kind.EXCEPTION, request.unit, "this line has no units to be asked one by one")

    async def attend(self, seconds: float) -> frozenset[int]:
        """Hear and answer what comes unasked; earlier than `seconds` when it is news."""
        loop = asyncio.get_running_loop()
        by = loop.time() + seconds
        await asyncio.sleep(0)  # a lap may have been served from memory alone: others must run too
        while True:
            try:
                self._say()
                fresh = self._dialogue.fresh()
                if fresh or loop.time() >= by:
                    return fresh
                await self._hear(by)
            except LineError:  # the next read tells it
                await asyncio.sleep(max(by - loop.time(), 0.0))
                return frozenset()

    def expect(self, requests: Sequence[ReadRequest]) -> None:
        """These are all the reads there will be, until told otherwise."""
        self._dialogue.expect(requests)

    def reopened(self) -> None:
        """The line is a new one."""
        self._deaf = 0
        self._dialogue.reopened()

    def may_ask(self, unit: int) -> bool:  # noqa: ARG002 -- no answer can be taken for another's here
        """Always."""
        return True

    async def _exchange(
        self,
        unit: int,
        timeout_s: float,
        begin: Callable[[float], None],
        result: Callable[[float], T | None],
    ) -> T:
        loop = asyncio.get_running_loop()
        by = loop.time() + timeout_s
        try:
            self._take(self._line.take())
            begin(loop.time())
            while True:
                self._say()
                found = result(loop.time())
                if found is not None:
                    return found
                if loop.time() >= by:
                    raise self._failed(unit)
                await self._hear(by)
        except LineError as error:
            raise ReadError(Kind.LINE_LOST, unit, str(error)) from None

    def _say(self) -> None:
        data = self._dialogue.say(asyncio.get_running_loop().time())
        if data:
            self._line.write(data)

    async def _hear(self, by: float) -> None:
        """Wait for bytes, or until the dialogue wants to speak again."""
        wait_s = min(by, self._dialogue.wake_at()) - asyncio.get_running_loop().time()
        self._take(await self._line.read(max(wait_s, LEAST_WAIT_S)))

    def _take(self, data: bytes) -> None:
        if data:
            self._deaf = 0
            self._dialogue.hear(data, asyncio.get_running_loop().time())
        for remark in self._dialogue.remarks():
            self._log.warning("plain serial", remark=remark)

    def _failed(self, unit: int) -> ReadError:
        kind, why = self._dialogue.why()
        self._deaf = self._deaf + 1 if kind is Kind.TIMEOUT else 0
        if self._connected and self._deaf >= DEAD_AFTER:
            why = f"nothing has come {self._deaf} times in a row: the connection is taken for dead"
            return ReadError(Kind.LINE_LOST, unit, why)
        return ReadError(kind, unit, why)
