"""The same simulated line read by the ThingsBoard IoT gateway (Apache-2.0), for comparison.

It gets an environment of its own under .cache/ with pinned versions, Mosquitto beside it (it speaks MQTT 5
only), one grouped read a device (the five registers that the agent reads), the timeout of the agent's profile
and no retries: the best settings found for it. A flip is timed from the simulator's register to the message
at the broker. `bus_outage` runs it too, with a store on disk and by exception instead of every read.
"""

from __future__ import annotations

import asyncio
import json
import os
import random
import signal
import statistics
import subprocess
import sys
import tempfile
import time
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import aiomqtt

from benchmarks.simulated import BAUD, formula_s, p99, simulated, spread_evenly
from simulator.control import ControlClient
from simulator.parts.child import PartError
from tests.harness.broker import Mosquitto

ROOT = Path(__file__).parents[1]
ENVIRONMENT = ROOT / ".cache" / "thingsboard-3.8.5"
PINNED = ("thingsboard-gateway==3.8.5", "pymodbus==3.9.2", "pyserial==3.5", "pyserial-asyncio==0.6")
SCENARIOS = ((100, 0), (100, 10))
TIMEOUT_S = 0.3
START_WAIT_S = 120.0
_LIMITS = {"messages": "", "telemetryMessages": "", "telemetryDataPoints": ""}
_NO_LIMITS = {
    "maxPayloadSize": 65536,
    "maxInflightMessages": 100,
    "rateLimits": _LIMITS,
    "gatewayRateLimits": _LIMITS,
}
LAPS = 5


class PeerError(Exception):
    """The peer cannot be measured here; the text says why."""


def install() -> Path:
    """Its python, in an environment made once. Raises PeerError."""
    python = ENVIRONMENT / "bin" / "python"
    done = ENVIRONMENT / "installed"
    if not done.exists():
        print("installing the peer (about a minute)", file=sys.stderr, flush=True)
        for command in (
            [sys.executable, "-m", "venv", str(ENVIRONMENT)],
            [str(python), "-m", "pip", "install", "--quiet", "--disable-pip-version-check", *PINNED],
        ):
            made = subprocess.run(command, check=False, capture_output=True, text=True, timeout=900)
            if made.returncode:
                raise PeerError(f"it cannot be installed: {made.stderr.strip()[-300:]}")
        done.touch()
    return python


IN_MEMORY = {"type": "memory", "read_records_count": 100, "max_records_count": 100_000}
COMMAND = ("-c", "from thingsboard_gateway.tb_gateway import main; main()")


def configure(
    folder: Path,
    port: int,
    address: str,
    devices: int,
    storage: Mapping[str, Any] = IN_MEMORY,
    report: str = "ON_RECEIVED",
) -> None:
    """Its configuration files; `storage` and `report` as its documentation names them."""
    period_ms = int(900 * formula_s(devices))  # less than the wire allows: it polls as fast as it can
    slaves = [
        {
            "type": "serial",
            "method": "rtu",
            "port": address,
            "baudrate": BAUD,
            "stopbits": 1,
            "bytesize": 8,
            "parity": "N",
            "strict": True,
            "unitId": unit,
            "deviceName": f"d-{unit:03}",
            "deviceType": "default",
            "timeout": TIMEOUT_S,
            "retries": False,
            "byteOrder": "BIG",
            "wordOrder": "BIG",
            "pollPeriod": period_ms,
            "timeseries": [
                {"tag": "regs", "type": "bytes", "functionCode": 4, "address": 0, "objectsCount": 5}
            ],
            "attributes": [],
            "attributeUpdates": [],
            "rpc": [],
        }
        for unit in range(1, devices + 1)
    ]
    gateway = {
        "thingsboard": {
            "host": Mosquitto.host,
            "port": port,
            "remoteShell": False,
            "remoteConfiguration": False,
            "statistics": {"enable": False},
            "minPackSendDelayMS": 50,
            "checkConnectorsConfigurationInSeconds": 3600,
            "security": {"type": "accessToken", "accessToken": "peer"},
            "qos": 1,
            "reportStrategy": {"type": report},
            "rateLimits": "0:0,",
            "dpRateLimits": "0:0,",
            "messagesRateLimits": "0:0,",
            "deviceMessagesRateLimits": "0:0,",
            "deviceRateLimits": "0:0,",
            "deviceDpRateLimits": "0:0,",
        },
        "storage": dict(storage),
        "grpc": {"enabled": False},
        "connectors": [{"type": "modbus", "name": "line", "configuration": "modbus.json"}],
    }
    handler = {"class": "logging.FileHandler", "filename": str(folder / "peer.log"), "level": "WARNING"}
    names = ("database", "service", "connector", "converter", "tb_connection", "storage", "extension")
    logs = {
        "version": 1,
        "disable_existing_loggers": False,
        "handlers": {"file": handler},
        "loggers": {n: {"handlers": ["file"], "level": "WARNING", "propagate": False} for n in names},
        "root": {"level": "ERROR", "handlers": ["file"]},
    }
    files = {"tb_gateway.json": gateway, "modbus.json": {"master": {"slaves": slaves}}, "logs.json": logs}
    for name, content in files.items():
        (folder / name).write_text(json.dumps(content))


def surroundings(folder: Path) -> dict[str, str]:
    """The environment variables that it starts with."""
    return os.environ | {"TB_GW_CONFIG_DIR": str(folder)}


class Heard:
    """What comes in at the broker: when each device was last heard, and who burns."""

    def __init__(self) -> None:
        self.times: dict[str, list[float]] = {}
        self.told: dict[str, list[tuple[int, bool]]] = {}
        """Of each device: its own time of a read, in ms, and whether it burned."""
        self.burning: dict[str, asyncio.Future[float]] = {}

    async def listen(self, port: int) -> None:
        """Take all telemetry in, for ever."""
        async with aiomqtt.Client(Mosquitto.host, port) as client:
            await client.subscribe("v1/gateway/telemetry", qos=1)
            await client.subscribe("v1/devices/me/rpc/request/+", qos=1)
            async for message in client.messages:
                now = time.time()
                assert isinstance(message.payload, bytes)
                if "/rpc/request/" in (topic := str(message.topic)):
                    # It sends nothing before its platform has said that there are no limits.
                    await client.publish(topic.replace("request", "response"), json.dumps(_NO_LIMITS), qos=1)
                    continue
                for device, rows in json.loads(message.payload).items():
                    self.times.setdefault(device, []).extend([now] * len(rows))
                    self.told.setdefault(device, []).extend((int(row["ts"]), _smoke(row)) for row in rows)
                    waiting = self.burning.get(device)
                    if waiting is not None and any(_smoke(row) for row in rows) and not waiting.done():
                        waiting.set_result(now)


def _smoke(row: dict[str, Any]) -> bool:
    return int(str(row["values"]["regs"])[:4], 16) & 1 == 1


async def scenario(devices: int, dead: int, flips: int, seed: int) -> dict[str, Any]:
    """One run; times in seconds."""
    python = install()
    chance = random.Random(seed)
    with tempfile.TemporaryDirectory() as name:
        folder = Path(name)
        broker = Mosquitto(folder / "broker")
        broker.start()
        try:
            async with simulated(folder, devices) as (address, control):
                configure(folder, broker.port, address, devices)
                heard = Heard()
                listening = asyncio.create_task(heard.listen(broker.port))
                peer = await asyncio.create_subprocess_exec(
                    *(python, *COMMAND),
                    cwd=folder,
                    env=surroundings(folder),
                    stdout=subprocess.DEVNULL,
                    stderr=subprocess.DEVNULL,
                )
                try:
                    return await _watch(heard, control, peer.pid, devices, dead, flips, chance)
                finally:
                    peer.send_signal(signal.SIGKILL)
                    await peer.wait()
                    listening.cancel()
        finally:
            broker.stop()


async def _watch(
    heard: Heard,
    control: ControlClient,
    pid: int,
    devices: int,
    dead: int,
    flips: int,
    chance: random.Random,
) -> dict[str, Any]:
    gone = spread_evenly(devices, dead)
    deadline = time.monotonic() + START_WAIT_S
    while len(heard.times) < devices:
        if time.monotonic() > deadline:
            raise PeerError(f"only {len(heard.times)} of {devices} devices were heard in {START_WAIT_S:g} s")
        await asyncio.sleep(0.2)
    for detector in gone:
        await control.ask("fault", detector, fault="silent")
    living = [f"d-{unit:03}" for unit in range(1, devices + 1) if f"d-{unit:03}" not in gone]
    await asyncio.sleep(2 * formula_s(devices) + 2 * dead * TIMEOUT_S)
    heard.times.clear()
    cpu, polls, start = cpu_s(pid), await _polls(control), time.monotonic()
    taken: list[float] = []
    idle = list(living)

    async def one(detector: str) -> None:
        heard.burning[detector] = asyncio.get_running_loop().create_future()
        told = await control.ask("flip", detector, on=True)
        at = await asyncio.wait_for(heard.burning[detector], 120)
        del heard.burning[detector]
        taken.append(at - float(told["at"]))
        await control.ask("flip", detector, on=False)

    tasks = []
    for _ in range(min(flips, len(living))):
        tasks.append(asyncio.create_task(one(idle.pop(chance.randrange(len(idle))))))
        await asyncio.sleep(chance.uniform(0.1, 0.7))
    await asyncio.gather(*tasks)
    until = start + LAPS * (formula_s(devices) + dead * TIMEOUT_S)
    await asyncio.sleep(max(0.0, until - time.monotonic()))
    gaps = [
        after - before
        for device in living
        for before, after in zip(heard.times.get(device, []), heard.times.get(device, [])[1:], strict=False)
    ]
    return {
        "lap": statistics.median(gaps),
        "taken": taken,
        "cpu_ms_per_poll": 1000 * (cpu_s(pid) - cpu) / (await _polls(control) - polls),
        "rss_mb": rss_mb(pid),
    }


async def _polls(control: ControlClient) -> int:
    told = await control.ask("polls")
    return sum(int(count) for count in told["polls"].values())


def cpu_s(pid: int) -> float:
    """Processor time of a process so far, all threads, also those that have ended."""
    fields = Path(f"/proc/{pid}/stat").read_text().rsplit(")", 1)[1].split()
    return (int(fields[11]) + int(fields[12])) / os.sysconf("SC_CLK_TCK")


def rss_mb(pid: int) -> float:
    """Resident memory in MB (10^6 bytes). Raises PeerError when the process has ended."""
    for line in Path(f"/proc/{pid}/status").read_text().splitlines():
        if line.startswith("VmRSS"):
            return int(line.split()[1]) * 1024 / 1e6
    raise PeerError("the program has ended")


def measure(repeats: int, flips: int) -> dict[str, Any]:
    """`peer`: a row for each scenario, or null with `peer_why`."""
    rows = []
    try:
        for devices, dead in SCENARIOS:
            runs = [asyncio.run(scenario(devices, dead, flips, seed)) for seed in range(repeats)]
            rows.append(_summed_up(devices, dead, runs))
            print(f"peer: {rows[-1]}", file=sys.stderr, flush=True)
    except (PeerError, PartError, TimeoutError, subprocess.TimeoutExpired) as error:
        return {"peer": None, "peer_why": str(error) or repr(error)}
    return {"peer": rows, "peer_versions": list(PINNED)}


def _summed_up(devices: int, dead: int, runs: Sequence[dict[str, Any]]) -> dict[str, Any]:
    taken = [each for run in runs for each in run["taken"]]
    lap = statistics.median(run["lap"] for run in runs)
    return {
        "devices": devices,
        "dead": dead,
        "lap_s": round(lap, 4),
        "lap_ratio": round(lap / formula_s(devices - dead), 4),
        "timeout_s": TIMEOUT_S,
        "alive_p50_s": round(statistics.median(taken), 4),
        "alive_p99_s": round(p99(taken), 4),
        "flips": len(taken),
        "cpu_ms_per_poll": round(statistics.median(run["cpu_ms_per_poll"] for run in runs), 3),
        "rss_mb": round(statistics.median(run["rss_mb"] for run in runs), 1),
    }
