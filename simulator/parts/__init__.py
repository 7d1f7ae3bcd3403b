"""The broker and the database that a machine without either can run from Python wheels.

Each part is a child process of the caller on a folder of its own: `start()`, `stop()`, `kill9()`, `pid`,
`port`. It ends when the caller ends, however that happens.
"""

from simulator.parts.broker import Nats
from simulator.parts.child import PartError
from simulator.parts.ports import PortBusyError, free_port
from simulator.parts.postgres import Postgres

__all__ = ["Nats", "PartError", "PortBusyError", "Postgres", "free_port"]
