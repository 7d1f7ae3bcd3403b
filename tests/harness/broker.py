"""An MQTT broker of its own for each test, of the kind that SMOKEWATCH_TEST_BROKER names.

`nats` (default) comes from the wheel, `mosquitto` from the system with the limits of `deploy/mosquitto`. Both
listen on loopback without passwords, keep their port, and can be stopped, killed, wiped and started again.
"""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator
from pathlib import Path

import pytest

from simulator.parts import Nats
from simulator.parts.broker import accepts_mqtt
from simulator.parts.child import Child, PartError
from simulator.parts.ports import HOST, free_port, require_free

_VARIABLE = "SMOKEWATCH_TEST_BROKER"
_LIMITS = Path(__file__).parents[2] / "deploy" / "mosquitto" / "limits.conf"


class Mosquitto:
    """The same face as `simulator.parts.Nats`."""

    host = HOST

    def __init__(self, folder: Path, port: int | None = None, extra: str = "") -> None:
        self.folder = folder
        self.port = free_port() if port is None else port
        self._extra = extra
        self._child = Child("Mosquitto", folder / "mosquitto.log")

    @property
    def pid(self) -> int | None:
        return self._child.pid

    def start(self) -> None:
        if self.pid is not None:
            return
        self.folder.mkdir(parents=True, exist_ok=True)
        require_free(self.port, "Mosquitto")
        store = self.folder / "store"
        store.mkdir(exist_ok=True)
        config = self.folder / "mosquitto.conf"
        user = "user root\n" if os.geteuid() == 0 else ""
        config.write_text(
            f"{_LIMITS.read_text()}\n{user}listener {self.port} {self.host}\nallow_anonymous true\n"
            f"persistence_location {store}/\nlog_dest stderr\n{self._extra}"
        )
        self._child.start(
            [mosquitto_binary(), "-c", str(config)], lambda _pid: accepts_mqtt(self.host, self.port)
        )

    def stop(self) -> None:
        self._child.stop()

    def kill9(self) -> None:
        self._child.kill9()

    def wipe(self) -> None:
        """Stop and forget everything: sessions, queues, retained messages."""
        self.kill9()
        shutil.rmtree(self.folder / "store", ignore_errors=True)


Broker = Nats | Mosquitto


def mosquitto_binary() -> str:
    """Where Mosquitto is. Raises PartError: a missing broker fails the test, it never skips."""
    found = shutil.which("mosquitto", path=f"{os.environ.get('PATH', '')}:/usr/sbin:/usr/local/sbin")
    if found is None:
        raise PartError("mosquitto is missing: apt-get install mosquitto")
    return found


def kind() -> str:
    """`nats` or `mosquitto`; anything else stops the run."""
    name = os.environ.get(_VARIABLE, "nats")
    if name not in {"nats", "mosquitto"}:
        pytest.exit(f"{_VARIABLE}={name!r}: must be `nats` or `mosquitto`", returncode=4)
    return name


def new_broker(folder: Path) -> Broker:
    """A broker of the chosen kind, not started."""
    return Mosquitto(folder) if kind() == "mosquitto" else Nats(folder)


@pytest.fixture
def broker() -> Iterator[Broker]:
    """A running broker: `host`, `port`, `start()`, `stop()`, `kill9()`, `wipe()`."""
    folder = Path(tempfile.mkdtemp(prefix="smokewatch-test-mqtt-"))
    made = new_broker(folder)
    made.start()
    yield made
    made.kill9()
    shutil.rmtree(folder, ignore_errors=True)
