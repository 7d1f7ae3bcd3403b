"""Three NATS servers from the wheel that are one MQTT broker, run with `deploy/nats/cluster.conf`."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.parts.broker import accepts_mqtt, nats_server
from simulator.parts.child import Child
from simulator.parts.ports import HOST, free_port, is_free
from tests.harness.wait import eventually_now

CONFIG = Path(__file__).parents[2] / "deploy" / "nats" / "cluster.conf"
NODES = 3


class NatsCluster:
    """`host` and `port` are the first node's, `also` the others'; `kill9(n)` ends one where it stands."""

    host = HOST

    def __init__(self, folder: Path) -> None:
        self.folder = folder
        self.ports = [free_port() for _ in range(NODES)]
        self._routes = [free_port() for _ in range(NODES)]
        self._children = [Child(f"node {n + 1}", folder / f"node-{n + 1}.log") for n in range(NODES)]

    @property
    def port(self) -> int:
        return self.ports[0]

    @property
    def also(self) -> tuple[tuple[str, int], ...]:
        return tuple((self.host, port) for port in self.ports[1:])

    def start(self) -> None:
        """Start all nodes; returns when each of them lets MQTT clients in."""
        for node in range(NODES):
            self.start_node(node)
        for node in range(NODES):
            eventually_now(lambda node=node: self.is_ready(node), 60, f"node {node + 1} is ready")  # type: ignore[misc]

    def start_node(self, node: int) -> None:
        port = self.ports[node]
        self._children[node].start(
            [nats_server(), "-c", str(CONFIG)],
            lambda _pid: not is_free(port, self.host),
            env={**os.environ, **self._environment(node)},
        )

    def is_ready(self, node: int) -> bool:
        return accepts_mqtt(self.host, self.ports[node])

    def kill9(self, node: int) -> None:
        self._children[node].kill9()

    def end(self) -> None:
        for child in self._children:
            child.kill9()

    def log(self, node: int) -> str:
        return (self.folder / f"node-{node + 1}.log").read_text(errors="replace")

    def _environment(self, node: int) -> dict[str, str]:
        routes = ",".join(f'"nats://{self.host}:{port}"' for port in self._routes)
        return {
            "NODE": f"node-{node + 1}",
            "STORE": f'"{self.folder}/store-{node + 1}"',
            "MQTT_HOST": f'"{self.host}"',
            "MQTT_PORT": str(self.ports[node]),
            "ROUTE_LISTEN": f'"{self.host}:{self._routes[node]}"',
            "ROUTES": f"[{routes}]",
        }


@pytest.fixture
def nats_cluster() -> Iterator[NatsCluster]:
    """A cluster of three that runs."""
    folder = Path(tempfile.mkdtemp(prefix="smokewatch-test-nats-"))
    cluster = NatsCluster(folder)
    try:
        cluster.start()
        yield cluster
    finally:
        cluster.end()
        for node in range(NODES):  # shown when the test failed; without the calls to a node that is dead
            told = [line for line in cluster.log(node).splitlines() if "connect to route" not in line]
            print(f"--- node {node + 1}", *told[-40:], sep="\n")
        shutil.rmtree(folder, ignore_errors=True)
