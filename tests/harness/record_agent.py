"""Records what a real agent says, for centres to come: `python -m tests.harness.record_agent`.

Run once for each release, with the agent of that release; writes `tests/vectors/wire/v1/agents/VERSION/`. The
agent is a process of its own on a pseudo-terminal and a real broker; what it says is kept byte for byte.
"""

from __future__ import annotations

import asyncio
import sys
import tempfile
import time
import uuid
from importlib.metadata import version
from pathlib import Path

import aiomqtt

from simulator.parts import Nats
from tests.harness.box import AREA, GATEWAY, ROOT, SMOKE, Box
from tests.harness.centre import Centre, centre
from tests.harness.wait import eventually
from wire.codec import seal_config
from wire.messages import Action, Command, Condition, EventKind
from wire.topics import parse, up_filter

AGENTS = ROOT / "tests" / "vectors" / "wire" / "v1" / "agents"
_LONG_S = 60.0


async def record(host: str, port: int, folder: Path) -> list[tuple[str, bytes]]:
    """Play a short life before an agent; (channel, payload) of each message in order."""
    heard: list[tuple[str, bytes]] = []
    box = Box(folder, {"host": host, "port": port}, [1, 2])
    async with aiomqtt.Client(host, port) as ear, centre(host, port, AREA, GATEWAY) as far:
        await ear.subscribe(up_filter(AREA), qos=1)
        listening = asyncio.create_task(_keep(ear, heard))
        box.start()
        await _live(box, far)
        box.stop()
        await eventually(lambda: far.status is not None and not far.status.online)
        await eventually(lambda: b'"online":false' in heard[-1][1])
        listening.cancel()
    box.close()
    return heard


async def _keep(ear: aiomqtt.Client, heard: list[tuple[str, bytes]]) -> None:
    async for message in ear.messages:
        assert isinstance(message.payload, bytes)
        if not message.retain:
            heard.append((parse(str(message.topic)).channel.name.lower(), message.payload))


async def _live(box: Box, far: Centre) -> None:
    """Smoke and its end, orders, settings good and bad, a detector that dies, readings, a second start."""

    def seen(kind: EventKind, condition: Condition | None = None) -> bool:
        return any(event.condition is condition for event in far.of_kind(kind))

    await eventually(lambda: seen(EventKind.SNAPSHOT), _LONG_S)
    good = seal_config(far.epoch, 2, [box.bus([1, 2], allow_writes=True)], 5.0)
    await far.push(good)
    await eventually(lambda: far.status is not None and far.status.config_hash == good.hash)
    await far.push(seal_config(far.epoch, 1, [box.bus([1])], 5.0))
    await eventually(lambda: seen(EventKind.NOTE))
    box.state[2] = SMOKE
    await eventually(lambda: seen(EventKind.ASSERT, Condition.SMOKE))
    expires_ms = int(time.time() * 1000) + 60_000
    await far.order(Command(uuid.uuid4().hex, Action.MUTE, expires_ms, detector="det-2"))
    box.state[2] = 0
    await eventually(lambda: seen(EventKind.CLEAR, Condition.SMOKE), _LONG_S)
    del box.state[2]
    await eventually(lambda: seen(EventKind.ASSERT, Condition.NO_RESPONSE), _LONG_S)
    await eventually(lambda: far.readings >= 4, _LONG_S)
    box.kill9()
    box.state[2] = 0
    box.start()
    await eventually(lambda: seen(EventKind.CLEAR, Condition.NO_RESPONSE), _LONG_S)


def main() -> int:
    """Record into the folder of the installed version; one that exists is history and stays."""
    goal = AGENTS / version("smokewatch")
    if goal.exists():
        print(f"{goal} exists: what a released agent said is never recorded again", file=sys.stderr)
        return 1
    with tempfile.TemporaryDirectory() as place:
        folder = Path(place)
        broker = Nats(folder / "broker")
        broker.start()
        try:
            heard = asyncio.run(record(broker.host, broker.port, folder))
        finally:
            broker.stop()
    goal.mkdir(parents=True)
    for number, (channel, payload) in enumerate(heard, 1):
        (goal / f"{number:03}-{channel}.json").write_bytes(payload)
    print(f"{goal}: {len(heard)} messages")
    return 0


if __name__ == "__main__":
    sys.exit(main())
