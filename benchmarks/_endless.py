"""The agent's poller on a line that answers at once: what a million polls leave in memory.

The line is in this process: an answer is there in the next turn of the event loop, as Modbus TCP, and the
pause after a short lap is left out. Poller, rota, framing, decoder, tracker, recorder and outbox are the
agent's own. Values move, so that readings are made, and dropped as in an outage. `footprint` runs it in a
process of its own.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import tempfile
import time
from pathlib import Path

from device_profiles.load import load_profiles
from edge_agent import poller as poller_module
from edge_agent.clock import Clock
from edge_agent.line import KeptLine, Line
from edge_agent.observation import Sample
from edge_agent.outbox import Outbox
from edge_agent.outbox_file import StorageError
from edge_agent.poller import Poller
from edge_agent.readings import ReadingBuffer
from edge_agent.recorder import Recorder
from wire.messages import BusConfig, DetectorConfig, Transport

UNITS = 32


class Instant(Line):
    """Answers every read with registers that move a little."""

    def __init__(self) -> None:
        super().__init__()
        self.polls = 0
        self._open = False
        self._mark, self._reached = 0, asyncio.Event()

    async def reached(self, polls: int) -> None:
        """Wait until it was asked so often."""
        self._mark = polls
        self._reached.clear()
        await self._reached.wait()

    @property
    def is_open(self) -> bool:
        return self._open

    async def open(self) -> None:
        self._open = True
        self._begin()

    def close(self) -> None:
        self._open = False

    def doubt(self) -> str | None:
        return None

    def write(self, data: bytes) -> None:
        self.polls += 1
        if self.polls >= self._mark:
            self._reached.set()
        start, count = int.from_bytes(data[8:10], "big"), int.from_bytes(data[10:12], "big")
        moved = self.polls // 4000 % 20
        words = [0, 12 + moved, 215 + moved, 3000, 100] if start == 0 else [0, data[6]]
        body = b"".join((words[i] if i < len(words) else 0).to_bytes(2, "big") for i in range(count))
        answer = data[6:8] + bytes((len(body),)) + body
        frame = data[:4] + len(answer).to_bytes(2, "big") + answer
        asyncio.get_running_loop().call_soon(self._take_in, frame)


def rss_mb() -> float:
    """Resident memory of this process, in MB (10^6 bytes)."""
    status = Path("/proc/self/status").read_text()
    return int(status.split("VmRSS:")[1].split()[0]) * 1024 / 1e6


async def poll(many: int, first: int, folder: Path) -> dict[str, float]:
    """Poll `many` times; memory at `first` and at the end."""
    poller_module.MIN_LAP_S = 0.0
    clock = Clock(wall_ms=lambda: int(time.time() * 1000), mono_s=time.monotonic, boot="b" * 32)
    outbox = Outbox.open(folder / "outbox.db", "machine")
    recorder = Recorder(outbox, clock.stamp, lambda: None, StorageError)
    # Full from the start, as without a centre: filling a bounded buffer is no growth.
    readings = ReadingBuffer("f" * 32, clock.boot, capacity=1000)
    for unit in range(1000):
        readings.add(Sample(f"det-{unit % UNITS + 1}", 0.12, 21.5, 3.0, 10.0, 0), clock.wall_ms())
    bus = BusConfig(
        bus="bus-1",
        transport=Transport.TCP,
        address="127.0.0.1:502",
        detectors=[
            DetectorConfig(detector=f"det-{unit}", unit=unit, profile="smokewatch-reference")
            for unit in range(1, UNITS + 1)
        ],
    )
    line = Instant()
    watch = Poller(
        bus,
        load_profiles(),
        recorder.record,
        lambda sample: readings.add(sample, clock.wall_ms()),
        # A clock by which every poll takes 50 ms, as on a real line: reports and states come as often.
        lambda: line.polls * 0.05,
        line=KeptLine("bus-1", line),
    )
    tasks = [asyncio.create_task(recorder.run()), asyncio.create_task(watch.run())]
    began, found = time.monotonic(), {}
    for mark in (first, many):
        await line.reached(mark)
        found[f"rss_mb_at_{mark}"] = round(rss_mb(), 3)
    answering = watch.status().answering
    assert answering == UNITS, f"only {answering} of {UNITS} answer: this measures nothing"
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)
    outbox.close()
    return {
        "rss_growth_mb": round(found[f"rss_mb_at_{many}"] - found[f"rss_mb_at_{first}"], 3),
        "polls_per_s": round(line.polls / (time.monotonic() - began)),
        "readings_made": readings.highest_seq - 1000,
        **found,
    }


def main() -> None:
    """Print one JSON object."""
    parser = argparse.ArgumentParser(description=__doc__)
    parser.add_argument("--polls", type=int, default=1_000_000)
    parser.add_argument("--first", type=int, default=50_000)
    given = parser.parse_args()
    with tempfile.TemporaryDirectory() as folder:
        print(json.dumps(asyncio.run(poll(given.polls, given.first, Path(folder)))))


if __name__ == "__main__":
    main()
