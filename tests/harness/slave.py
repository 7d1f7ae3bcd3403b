"""A small Modbus slave of our own on a pseudo-terminal, for what a well-behaved one never does.

It shares no code with the agent: own CRC, own frames. A test gives `answer`: request frame in, pieces
out, each with the seconds to wait before it is sent.
"""

from __future__ import annotations

import asyncio
import os
import shutil
import tempfile
import tty
from collections.abc import Callable
from pathlib import Path

Pieces = list[tuple[float, bytes]]
Answer = Callable[[bytes], Pieces]


def crc(data: bytes) -> bytes:
    """CRC-16/MODBUS, low byte first."""
    value = 0xFFFF
    for byte in data:
        value ^= byte
        for _ in range(8):
            value = value >> 1 ^ (0xA001 if value & 1 else 0)
    return value.to_bytes(2, "little")


def framed(body: bytes) -> bytes:
    """Unit, function and data with their CRC."""
    return body + crc(body)


def registers(request: bytes, *values: int) -> bytes:
    """The right answer to a register read."""
    data = b"".join(value.to_bytes(2, "big") for value in values)
    return framed(request[:2] + bytes((len(data),)) + data)


class PtySlave:
    """The far end of a pseudo-terminal. Requests are 8 bytes, as all reads and single writes are.

    `path` is a link of its own, as an adapter has one by its serial number: the system gives the number of
    an ended pseudo-terminal to whatever program asks next, and a master would find that one's devices there.
    """

    def __init__(self, answer: Answer) -> None:
        self.answer = answer
        self.requests: list[bytes] = []
        self._input = b""
        self._jobs: set[asyncio.Task[None]] = set()
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self._folder = Path(tempfile.mkdtemp(prefix="smokewatch-test-pty-"))
        link = self._folder / "adapter"
        link.symlink_to(os.ttyname(self._slave))
        self.path = str(link)
        os.set_blocking(self.master, False)
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.master, self._readable)

    def close(self) -> None:
        """Unplug it."""
        if self.master >= 0:
            if not self._loop.is_closed():  # after a failed test it may be
                self._loop.remove_reader(self.master)
            for job in self._jobs:
                job.cancel()
            shutil.rmtree(self._folder)
            os.close(self.master)
            os.close(self._slave)
            self.master = -1

    def send(self, data: bytes) -> None:
        """Put bytes on the line unasked."""
        os.write(self.master, data)

    def _readable(self) -> None:
        self._input += os.read(self.master, 4096)
        while len(self._input) >= 8:
            request, self._input = self._input[:8], self._input[8:]
            self.requests.append(request)
            job = asyncio.get_running_loop().create_task(self._play(self.answer(request)))
            self._jobs.add(job)
            job.add_done_callback(self._jobs.discard)

    async def _play(self, pieces: Pieces) -> None:
        for wait, data in pieces:
            if wait:
                await asyncio.sleep(wait)
            self.send(data)
