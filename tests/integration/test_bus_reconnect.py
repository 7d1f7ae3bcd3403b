"""A TCP line that dies in ways a socket does not tell, under the poller."""

from __future__ import annotations

import asyncio
import contextlib
import time
from collections.abc import Mapping, Sequence

from device_profiles.load import load_profiles
from edge_agent.observation import Observation
from edge_agent.poller import Poller
from edge_agent.tracker import TrackPolicy
from tests.harness.wait import eventually
from wire.messages import BusConfig, Condition, DetectorConfig, EventKind, Transport


class Server:
    """Reference detectors behind Modbus TCP; `deaf` swallows requests on the connections of that time."""

    def __init__(self) -> None:
        self.deaf: set[int] = set()
        self.dead_units: set[int] = set()
        self.connections = 0
        self.busy: set[asyncio.Task[None]] = set()

    async def serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self.busy.add(task)
        self.connections += 1
        mine = self.connections
        with contextlib.suppress(ConnectionError):
            while request := await reader.read(12):
                if mine in self.deaf or request[6] in self.dead_units:
                    continue
                data = bytes(2 * request[11])
                body = request[6:8] + bytes((len(data),)) + data
                writer.write(request[:4] + len(body).to_bytes(2, "big") + body)
                await writer.drain()
        writer.close()
        with contextlib.suppress(ConnectionError):
            await writer.wait_closed()
        self.busy.discard(task)


async def test_a_half_open_connection_is_replaced_and_dead_units_do_not_break_a_good_one() -> None:
    """Four dead units first in the lap cost no reconnect; a connection on which nobody answers is renewed."""
    server = Server()
    listening = await asyncio.start_server(server.serve, "127.0.0.1", 0)
    told: list[Observation] = []

    async def record(seen: Sequence[Observation], _: Mapping[str, bytes]) -> None:
        told.extend(seen)

    bus = BusConfig(
        bus="bus-1",
        transport=Transport.TCP,
        address=f"127.0.0.1:{listening.sockets[0].getsockname()[1]}",
        detectors=[
            DetectorConfig(detector=f"det-{unit}", unit=unit, profile="smokewatch-reference")
            for unit in range(1, 9)
        ],
    )
    server.dead_units = {1, 2, 3, 4}
    policy = TrackPolicy(lost_s=0.5)
    poller = Poller(bus, load_profiles(), record, lambda _: None, time.monotonic, policy=policy)
    watch = asyncio.create_task(poller.run())
    await eventually(lambda: poller.status().answering == 4, 10)
    assert server.connections == 1

    server.dead_units = set()
    await eventually(lambda: poller.status().answering == 8, 10)
    server.deaf = {1}
    await eventually(lambda: server.connections >= 2, 15)
    await eventually(lambda: poller.status().answering == 8, 10)
    assert not any(o.condition is Condition.BUS_DOWN and o.kind is EventKind.ASSERT for o in told)

    watch.cancel()
    await asyncio.gather(watch, return_exceptions=True)
    listening.close()
    await listening.wait_closed()
    await eventually(lambda: not server.busy, 5)
