"""The control socket with real clients, polite and rude."""

from __future__ import annotations

import asyncio
import json
import socket
import stat
from collections.abc import AsyncIterator
from pathlib import Path
from typing import Any

import pytest

from edge_agent import control
from edge_agent.control import LINE_LIMIT, MOST_CLIENTS, ControlServer, Probe, Request, SetAddress, Tell, ask
from tests.harness.wait import eventually


class RefusedError(Exception):
    """What the handler will not do."""


class Bench:
    """A server whose handler does what the test wants."""

    def __init__(self, path: Path) -> None:
        self.path = path
        self.cancelled = 0
        self.began = 0
        self.server = ControlServer(path, self.handle, RefusedError)
        self.task = asyncio.create_task(self.server.run())

    async def handle(self, request: Request, tell: Tell) -> Any:
        self.began += 1
        if isinstance(request, SetAddress):
            raise RefusedError("not this one: take another")
        if request.bus == "bug":
            raise ZeroDivisionError
        tell({"done": 1})
        if request.bus == "slow":
            try:
                await asyncio.Event().wait()
            finally:
                self.cancelled += 1
        return {"units": request.units}

    async def raw(self, data: bytes) -> dict[str, Any]:
        reader, writer = await asyncio.open_unix_connection(self.path)
        writer.write(data)
        line = await reader.readline()
        writer.close()
        answer: dict[str, Any] = json.loads(line)
        return answer


@pytest.fixture
async def bench(tmp_path: Path) -> AsyncIterator[Bench]:
    one = Bench(tmp_path / "c.sock")
    await eventually(one.path.is_socket, 3)
    yield one
    one.task.cancel()
    await asyncio.gather(one.task, return_exceptions=True)


def _all(path: Path, request: Request) -> list[dict[str, Any]]:
    return list(ask(path, request, 5))


async def test_a_request_is_answered_with_progress_and_a_result(bench: Bench) -> None:
    """The socket is for the agent's user and group alone."""
    said = await asyncio.to_thread(_all, bench.path, Probe([1, 2]))
    assert said == [{"progress": {"done": 1}}, {"done": {"units": [1, 2]}}]
    assert stat.S_IMODE(bench.path.stat().st_mode) == 0o660


async def test_a_refusal_and_a_bug_are_told_and_the_next_request_is_served(bench: Bench) -> None:
    """A refusal comes with its mend, a bug without its inside."""
    with pytest.raises(control.ControlError, match="take another"):
        await asyncio.to_thread(_all, bench.path, SetAddress(1, 2, "p"))
    with pytest.raises(control.ControlError, match="see its log"):
        await asyncio.to_thread(_all, bench.path, Probe([1], "bug"))
    assert len(await asyncio.to_thread(_all, bench.path, Probe([1]))) == 2


@pytest.mark.parametrize(
    ("line", "why"),
    [
        (b'{"do":"dance"}\n', "known are probe, set_address"),
        (b'{"do":"probe","units":[0]}\n', "unknown request"),
        (b'{"do":"probe","units":[1],"extra":1}\n', "unknown request"),
        (b"[]\n", "unknown request"),
        (b"\xff\xfe\n", "unknown request"),
        (b"x" * (LINE_LIMIT + 1), "at most"),
    ],
)
async def test_what_is_no_request_gets_a_clear_error_and_nothing_is_done(
    bench: Bench, line: bytes, why: str
) -> None:
    """Garbage, too much, too old or too new: words, and the connection ends."""
    assert why in (await bench.raw(line))["error"]
    assert bench.began == 0


async def test_a_client_that_says_nothing_is_let_go(bench: Bench, monkeypatch: pytest.MonkeyPatch) -> None:
    """A forgotten terminal must not hold a place for ever."""
    monkeypatch.setattr(control, "READ_TIMEOUT_S", 0.1)
    assert "no request within" in (await bench.raw(b'{"do":'))["error"]


async def test_a_client_that_hangs_up_ends_its_scan(bench: Bench) -> None:
    """Ctrl-C in the stairwell: the bus is free for the next one."""
    reader, writer = await asyncio.open_unix_connection(bench.path)
    writer.write(b'{"do":"probe","units":[1],"bus":"slow"}\n')
    assert b"progress" in await reader.readline()
    writer.close()
    await eventually(lambda: bench.cancelled == 1, 3)


async def test_too_many_clients_are_refused_and_the_others_served(bench: Bench) -> None:
    """Memory and line are bounded whoever knocks."""
    held = [await asyncio.open_unix_connection(bench.path) for _ in range(MOST_CLIENTS)]
    for _, writer in held:
        writer.write(b'{"do":"probe","units":[1],"bus":"slow"}\n')
    await eventually(lambda: bench.began == MOST_CLIENTS, 3)
    assert "try again" in (await bench.raw(b'{"do":"probe","units":[1]}\n'))["error"]
    for _, writer in held:
        writer.close()
    await eventually(lambda: bench.cancelled == MOST_CLIENTS, 3)
    assert "progress" in await bench.raw(b'{"do":"probe","units":[1]}\n')


async def test_what_a_killed_agent_left_is_replaced_and_a_living_one_is_not(tmp_path: Path) -> None:
    """Kill -9 leaves the file; another agent's socket is never taken."""
    path = tmp_path / "c.sock"
    with socket.socket(socket.AF_UNIX) as dead:
        dead.bind(str(path))
    one = Bench(path)
    await eventually(lambda: _answers(path), 3)
    two = Bench(path)
    await asyncio.sleep(0)
    assert len(await asyncio.to_thread(_all, path, Probe([1]))) == 2
    assert (one.began, two.began) == (1, 0)
    for bench in (two, one):
        bench.task.cancel()
        await asyncio.gather(bench.task, return_exceptions=True)
    assert not path.exists()


def _answers(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX) as knock:
        return knock.connect_ex(str(path)) == 0


async def test_nobody_there_is_told_with_the_mend(tmp_path: Path) -> None:
    """The path, why, and what to look at."""
    with pytest.raises(control.ControlError, match="whether the agent runs"):
        await asyncio.to_thread(_all, tmp_path / "none.sock", Probe([1]))
