"""A fleet on a real broker, with the real ingest and a real database: each row is stored, once."""

from __future__ import annotations

import asyncio
import json
import os
import signal
import socket
import subprocess
import sys
from collections.abc import AsyncIterator
from contextlib import asynccontextmanager
from pathlib import Path
from typing import Any

import pytest

from central.config import BrokerSettings
from central.ending import end
from central.ingest import Ingest
from central.registry.csv_files import read_folder
from central.registry.csv_import import run_import
from central.store.pool import Store
from mqtt_line.line import Broker as Address
from simulator.fleet.names import Names
from simulator.fleet.plan import Outage, Plan
from simulator.fleet.run import Ending, play
from simulator.parts import free_port
from tests.harness.broker import Broker, Mosquitto
from tests.harness.chaos import chaos_proxy
from tests.harness.nats_cluster import NatsCluster
from tests.harness.programs import require_program
from tests.harness.street import PROFILES, opened
from tests.harness.wait import eventually

NAMES = Names("fleet", 20, 10)


def sim(*arguments: str) -> subprocess.CompletedProcess[str]:
    return subprocess.run(
        [sys.executable, "-m", "simulator", "fleet", *arguments],
        capture_output=True,
        text=True,
        timeout=60,
        check=False,
    )


@asynccontextmanager
async def centre(dsn: str, broker: Broker | NatsCluster, folder: Path) -> AsyncIterator[Store]:
    """The real ingest, with the fleet registered from the files that the fleet itself wrote."""
    written = await asyncio.to_thread(
        sim, "--gateways", "20", "--detectors", "10", "--write-registry", str(folder)
    )
    assert written.returncode == 0, written.stderr
    async with opened(dsn) as store:
        done = await run_import(store, read_folder(folder), by="test", profiles=PROFILES)
        assert len(done.reconfigured) == 20
        ingest = Ingest(store, BrokerSettings(broker.host, broker.port, also=_further(broker)))
        task = asyncio.create_task(ingest.run())
        try:
            await eventually(lambda: ingest.connected and ingest.readings.connected, 15)
            yield store
        finally:
            await end([task])


async def one(store: Store, query: str) -> Any:
    async with store.transaction() as tx:
        row = await (await tx.conn.execute(query.encode())).fetchone()
        return next(iter(row.values()))


def _further(broker: Broker | NatsCluster) -> tuple[tuple[str, int], ...]:
    return broker.also if isinstance(broker, NatsCluster) else ()


async def played(broker: Broker | NatsCluster, plan: Plan, *disturb: asyncio.Task[None]) -> dict[str, Any]:
    said: list[str] = []
    try:
        return await play(
            plan,
            Address(broker.host, broker.port, also=_further(broker)),
            salt=os.urandom(8).hex(),
            drain_s=60,
            ending=Ending(),
            say=said.append,
        )
    finally:
        for task in disturb:
            await task


async def assert_stored_is_sent(store: Store, told: dict[str, Any]) -> None:
    for lane in ("readings", "events"):
        assert told[lane]["recorded"] == told[lane]["sent"] == told[lane]["acked"] > 0, told
        assert told[lane]["gaps"] == 0
    assert told["refused"] == 0
    # Each gateway has as many rows as its cursor says, each detector as many as its neighbours.
    uneven = (
        "(SELECT gateway FROM (SELECT gateway, detector, count(*) AS n FROM readings"
        " JOIN series ON id = series GROUP BY 1, 2) AS of"
        " JOIN lane USING (gateway) WHERE lane = 'readings' GROUP BY gateway, cursor"
        " HAVING min(n) <> max(n) OR sum(n) <> cursor OR count(*) <> 10) AS each"
    )
    assert await one(store, "SELECT count(*) FROM readings") == told["readings"]["recorded"]
    assert await one(store, f"SELECT count(*) FROM {uneven}") == 0
    assert await one(store, "SELECT count(*) FROM lane WHERE lane = 'readings'") == 20
    assert await one(store, "SELECT count(*) FROM event") == told["events"]["recorded"]
    assert await one(store, "SELECT count(*) FROM event WHERE failed IS NOT NULL") == 0
    assert await one(store, "SELECT count(*) FROM quarantine") == 0
    assert await one(store, "SELECT count(*) FROM alarm WHERE condition = 'smoke'") == told["alarms"]


async def test_a_small_fleet_with_an_outage_and_its_replay_is_stored_each_row_once(
    database: str, broker: Broker, tmp_path: Path
) -> None:
    """Twenty gateways with ten detectors, a fifth of them cut off for a while, many messages lost."""
    plan = Plan(
        names=NAMES,
        connections=2,
        seconds=6.0,
        rate=2000.0,
        rows=100,
        heartbeat_s=2.0,
        alarms=4.0,
        clear_after_s=0.0,
        storm=40,
        storm_at=2.0,
        outages=(Outage(0.2, 1.5, 2.5),),
        lose=0.06,
    )
    async with centre(database, broker, tmp_path / "registry") as store:
        told = await played(broker, plan)
        await assert_stored_is_sent(store, told)
        assert told["readings"]["recorded"] == pytest.approx(12_000, rel=0.05)
        assert told["alarms"] == pytest.approx(64, abs=2)
        assert told["lost"]["up"] > 0
        assert told["readings"]["repeated"] > 0
        assert told["configs"] == 20
        assert told["readings"]["ack"]["p99_ms"] > 0
        assert told["cpu_ms"] > 0
        heard = "SELECT count(*) FROM lease WHERE status ->> 'version' = 'fleet'"
        assert await one(store, heard) == 20
        applied = (
            "SELECT count(*) FROM lease JOIN gateway_config USING (gateway)"
            " WHERE status ->> 'config_hash' = gateway_config.hash"
        )
        assert await one(store, applied) == 20


async def test_a_broker_that_is_killed_and_wiped_costs_a_fleet_nothing(
    database: str, broker: Broker, tmp_path: Path
) -> None:
    """The connection is made again, what was under way goes again."""

    async def kill() -> None:
        await asyncio.sleep(2)
        await asyncio.to_thread(broker.wipe)
        await asyncio.to_thread(broker.start)

    plan = Plan(names=NAMES, seconds=6.0, rate=500.0, heartbeat_s=2.0, alarms=2.0, clear_after_s=0.0)
    async with centre(database, broker, tmp_path / "registry") as store:
        told = await played(broker, plan, asyncio.create_task(kill()))
        assert told["connections_lost"] >= 1
        await assert_stored_is_sent(store, told)


@pytest.mark.parametrize("node", [0, 1], ids=["that of ingest", "another"])
async def test_a_node_of_a_broker_cluster_killed_under_load_costs_nothing(
    database: str, nats_cluster: NatsCluster, tmp_path: Path, node: int
) -> None:
    """Three nodes, gateways on each: who was on the dead one goes on over another, all is stored once."""

    async def kill() -> None:
        await asyncio.sleep(3)
        await asyncio.to_thread(nats_cluster.kill9, node)

    plan = Plan(
        names=NAMES,
        connections=3,
        seconds=9.0,
        rate=1000.0,
        readings_qos=0,
        heartbeat_s=2.0,
        alarms=10.0,
        clear_after_s=0.0,
    )
    async with centre(database, nats_cluster, tmp_path / "registry") as store:
        told = await played(nats_cluster, plan, asyncio.create_task(kill()))
        assert told["connections_lost"] >= 1
        await assert_stored_is_sent(store, told)
        assert told["alarms"] == pytest.approx(90, abs=2)


async def test_a_burst_that_overflows_the_brokers_queue_loses_nothing_because_the_edge_resends(
    database: str, tmp_path: Path
) -> None:
    """A queue of ten, and an ingest that confirms nothing for a while: dropped there, stored here."""
    broker = _mosquitto(tmp_path, "max_inflight_messages 10\nmax_queued_messages 10\n")
    try:
        told = await _burst_while_ingest_is_slow(database, broker, tmp_path)
    finally:
        broker.kill9()
    assert "messages are being dropped" in _log(broker)
    assert told["readings"]["repeated"] + told["events"]["repeated"] > 0


async def test_the_same_burst_stays_within_the_limits_that_are_deployed(
    database: str, tmp_path: Path
) -> None:
    """Nothing is dropped: the deployed limits leave room for a busy moment."""
    broker = _mosquitto(tmp_path, "")
    try:
        await _burst_while_ingest_is_slow(database, broker, tmp_path)
    finally:
        broker.kill9()
    assert "messages are being dropped" not in _log(broker)


def _mosquitto(folder: Path, extra: str) -> Mosquitto:
    require_program("mosquitto", "mosquitto")
    broker = Mosquitto(folder / "broker", extra=extra)
    broker.start()
    return broker


def _log(broker: Mosquitto) -> str:
    return (broker.folder / "mosquitto.log").read_text(errors="replace")


async def _burst_while_ingest_is_slow(database: str, broker: Mosquitto, folder: Path) -> dict[str, Any]:
    plan = Plan(
        names=NAMES, seconds=6.0, rate=2000.0, heartbeat_s=2.0, storm=200, storm_at=2.5, clear_after_s=0.0
    )

    async with chaos_proxy(broker.host, broker.port) as between:

        async def slow() -> None:
            await asyncio.sleep(2)
            between.delay_s = 2.0
            await asyncio.sleep(3)
            between.delay_s = 0.0

        near = Mosquitto(folder, between.port)  # not started: an address
        async with centre(database, near, folder / "registry") as store:
            told = await played(broker, plan, asyncio.create_task(slow()))
            await assert_stored_is_sent(store, told)
    return told


async def test_as_fast_as_acked_fills_the_window_and_loses_nothing(
    database: str, broker: Broker, tmp_path: Path
) -> None:
    """Whatever the centre can take."""
    plan = Plan(names=NAMES, seconds=3.0, rate=None, rows=120, storm=20, storm_at=1.0, clear_after_s=0.0)
    async with centre(database, broker, tmp_path / "registry") as store:
        told = await played(broker, plan)
        await assert_stored_is_sent(store, told)
        assert told["readings_per_s"] > 0
        assert told["cpu_us_per_reading"] > 0


def test_the_command_says_what_is_wrong_with_a_broker(broker: Broker) -> None:
    """Nobody there, somebody else there, and a plan that cannot be."""
    nobody = sim("--port", str(free_port()), "--seconds", "1")
    assert (nobody.returncode, nobody.stdout) == (1, "")
    assert "cannot reach the broker" in nobody.stderr
    with socket.create_server(("127.0.0.1", 0)) as other:
        port = other.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-m", "simulator", "fleet", "--port", str(port), "--seconds", "1"],
            stderr=subprocess.PIPE,
            text=True,
        )
        accepted, _ = other.accept()
        accepted.sendall(b"HTTP/1.1 400 Bad Request\r\n\r\n")
        assert "no MQTT broker" in process.communicate(timeout=30)[1]
        accepted.close()
    assert process.returncode == 1
    refused = sim("--port", str(broker.port), "--area", "No Such", "--rate", "fast")
    assert refused.returncode == 2
    assert "--rate" in refused.stderr
    refused = sim("--port", str(broker.port), "--area", "No Such", "--storm", "900")
    assert refused.returncode == 2
    assert "a-z" in refused.stderr
    assert "--storm" in refused.stderr


@pytest.mark.parametrize(
    ("answers", "word"),
    [
        ([b"\x20\x02\x00\x05"], "does not let us in"),
        ([b"\x20\x02\x00\x00", b"\x90\x04\x00\x01\x00\x80"], "smokewatch/v1/fleet/+/down/+"),
        ([b""], "closed the connection"),
    ],
    ids=["no login", "a refused area", "hangs up"],
)
def test_a_broker_that_refuses_is_quoted(answers: list[bytes], word: str) -> None:
    """Byte by byte as the standard has a refusal; the run ends at once."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        port = server.getsockname()[1]
        process = subprocess.Popen(
            [sys.executable, "-m", "simulator", "fleet", "--port", str(port), "--seconds", "1"],
            stderr=subprocess.PIPE,
            text=True,
        )
        accepted, _ = server.accept()
        with accepted:
            for answer in answers:
                assert accepted.recv(4096)
                if answer:
                    accepted.sendall(answer)
            if answers == [b""]:
                accepted.shutdown(socket.SHUT_RDWR)
            stderr = process.communicate(timeout=30)[1]
    assert process.returncode == 1
    assert word in stderr


async def test_streets_and_connections_may_be_several(database: str, broker: Broker, tmp_path: Path) -> None:
    """Three streets over two connections: every answer finds its gateway."""
    names = Names("town", 6, 5, areas=3)
    plan = Plan(
        names=names, connections=2, seconds=2.0, rate=300.0, storm=30, storm_at=1.0, clear_after_s=0.0
    )
    async with centre(database, broker, tmp_path / "registry"):
        told = await played(broker, plan)
    for lane in ("readings", "events"):
        assert told[lane]["recorded"] == told[lane]["acked"] > 0, told
    assert (told["strangers"], told["refused"]) == (0, 0)


async def test_each_area_may_have_an_ingest_of_its_own(database: str, broker: Broker) -> None:
    """Two streets, two ears, neither hears the other's: all is stored once."""
    names = Names("town", 6, 5, areas=2)
    plan = Plan(names=names, connections=2, seconds=3.0, rate=300.0, alarms=5.0, clear_after_s=0.0)
    async with opened(database) as store:
        async with store.transaction() as tx:
            known = [name for gateway in range(6) for name in names.detectors_of(gateway)]
            await tx.conn.execute("INSERT INTO detector SELECT unnest(%s::text[]), 'reference'", (known,))
        ears = [
            Ingest(store, BrokerSettings(broker.host, broker.port), area=names.area(area))
            for area in range(2)
        ]
        tasks = [asyncio.create_task(ear.run()) for ear in ears]
        try:
            await eventually(lambda: all(ear.connected and ear.readings.connected for ear in ears), 15)
            told = await played(broker, plan)
        finally:
            await end(tasks)
        for lane, table in (("readings", "readings"), ("events", "event")):
            assert told[lane]["recorded"] == told[lane]["acked"] > 0, told
            assert await one(store, f"SELECT count(*) FROM {table}") == told[lane]["recorded"]
        heard = await one(store, "SELECT array_agg(DISTINCT area ORDER BY area) FROM ear")
        assert heard == [names.area(0), names.area(1)]
        assert await one(store, "SELECT count(DISTINCT area) FROM event") == 2


def test_a_fleet_that_nobody_answers_says_so_and_fails(broker: Broker) -> None:
    """No ingest behind the broker."""
    done = sim("--port", str(broker.port), "--seconds", "1", "--drain", "1", "--rate", "100", "--json")
    assert done.returncode == 1
    assert "never acknowledged" in done.stderr
    told = json.loads(done.stdout)
    assert told["readings"]["acked"] == 0
    assert told["readings"]["waiting"] == told["readings"]["recorded"] > 0


def test_ctrl_c_ends_a_fleet_cleanly_with_its_summary(broker: Broker) -> None:
    """Once, and it waits for answers; twice, and it ends."""
    process = subprocess.Popen(
        [sys.executable, "-m", "simulator", "fleet", "--port", str(broker.port), "--rate", "100", "--json"],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
    )
    assert process.stderr is not None
    assert "sent" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    assert "waiting for" in process.stderr.readline()
    process.send_signal(signal.SIGINT)
    stdout, stderr = process.communicate(timeout=20)
    assert (process.returncode, stderr) == (0, "")
    assert json.loads(stdout)["readings"]["sent"] > 0
