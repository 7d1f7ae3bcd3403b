"""A gateway box: detectors on a real pseudo-terminal and the agent as a process of its own."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import ClassVar

from edge_agent.outbox_file import StorageError, look
from tests.harness.slave import Pieces, PtySlave, registers
from wire.messages import BusConfig, DetectorConfig, Transport

AREA, GATEWAY = "danshuichi", "gw-1"
SMOKE = 1
ROOT = Path(__file__).parents[2]


class Box:
    """A gateway: its folder, its detectors and its agent process. `mqtt` are the keys of that table."""

    made: ClassVar[list[Box]] = []
    """Boxes of the running test; `tests/integration/conftest.py` closes what a failed test leaves."""

    def __init__(self, folder: Path, mqtt: Mapping[str, str | int | bool], units: Sequence[int]) -> None:
        self.made.append(self)
        self.folder = folder
        self.state = dict.fromkeys(units, 0)
        self.slave = PtySlave(self._answer)
        self.process: subprocess.Popen[bytes] | None = None
        (folder / "machine-id").write_text("0123456789abcdef0123456789abcdef\n")
        self.config = folder / "edge.toml"
        self.config.write_text(
            f'area = "{AREA}"\ngateway = "{GATEWAY}"\nstate_dir = "state"\nmachine_id_file = "machine-id"\n'
            'clock = "trusted"\n[mqtt]\n'
            + "".join(f"{key} = {json.dumps(value)}\n" for key, value in mqtt.items())
            + "".join(self._bus_lines(self.bus(units)))
        )

    def bus(self, units: Sequence[int], allow_writes: bool = False) -> BusConfig:
        return BusConfig(
            bus="bus-1",
            transport=Transport.SERIAL,
            address=self.slave.path,
            baud=19200,
            detectors=[
                DetectorConfig(
                    detector=f"det-{unit}",
                    unit=unit,
                    profile="smokewatch-reference",
                    allow_writes=allow_writes,
                )
                for unit in units
            ],
        )

    @staticmethod
    def _bus_lines(bus: BusConfig) -> list[str]:
        head = f'[[bus]]\nbus = "{bus.bus}"\ntransport = "serial"\naddress = "{bus.address}"\n'
        lines = [f"{head}baud = {bus.baud}\n"]
        for one in bus.detectors:
            lines.append(
                f'[[bus.detectors]]\ndetector = "{one.detector}"\nunit = {one.unit}\n'
                f'profile = "{one.profile}"\n'
            )
        return lines

    def _answer(self, request: bytes) -> Pieces:
        unit = request[0]
        if unit not in self.state:
            return []
        if request[1] == 6:
            return [(0, request)]
        if request[2:4] != b"\0\0":
            return [(0, registers(request, 0, unit))]
        return [(0, registers(request, self.state[unit], 12, 215, 3000, 10))]

    def start(self) -> None:
        with (self.folder / "agent.log").open("ab") as log:
            self.process = subprocess.Popen(
                # One left behind by a killed run would open whatever line later gets its line's number.
                [
                    "setpriv",
                    "--pdeathsig",
                    "KILL",
                    sys.executable,
                    "-m",
                    "edge_agent",
                    "run",
                    str(self.config),
                ],
                stdout=log,
                stderr=log,
                cwd=ROOT,
            )

    def kill9(self) -> None:
        assert self.process is not None
        self.process.kill()
        self.process.wait(10)

    def stop(self) -> int:
        assert self.process is not None
        self.process.send_signal(signal.SIGTERM)
        return self.process.wait(10)

    def log(self) -> str:
        return (self.folder / "agent.log").read_text()

    @property
    def outbox(self) -> Path:
        return self.folder / "state" / "outbox.db"

    def depth(self) -> int:
        """Events held; 0 while the agent is still making its file."""
        try:
            return look(self.outbox).depth
        except StorageError:
            return 0

    def close(self) -> None:
        if self.process is not None and self.process.poll() is None:
            self.kill9()
        self.slave.close()
