"""A bus asked directly, by an installer while no agent runs.

Law of this file: it opens the line, asks, and closes it again; nothing is recorded and nothing is retried.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from contextlib import asynccontextmanager

from edge_agent.exchange import Kind, ReadError
from edge_agent.line import LineError, character_s, line_of
from edge_agent.modbus import Modbus
from edge_agent.plan import ReadRequest, WriteRequest
from edge_agent.scan import Ask
from wire.messages import BusConfig


@asynccontextmanager
async def opened(bus: BusConfig) -> AsyncIterator[Ask]:
    """The bus as something that can be asked. Raises LineError when the line cannot be opened."""
    line = line_of(bus)
    await line.open()
    gap_s = None if bus.gap_ms is None else bus.gap_ms / 1000
    modbus = Modbus(line, bus.transport, character_s=character_s(bus), gap_s=gap_s)
    modbus.expect(())  # nobody is missed here: silence is an answer

    async def ask(request: ReadRequest | WriteRequest) -> tuple[int, ...] | ReadError:
        try:
            return await modbus.ask(request)
        except ReadError as error:
            return error
        except LineError as error:
            return ReadError(Kind.LINE_LOST, request.unit, str(error))

    try:
        yield ask
    finally:
        line.close()
