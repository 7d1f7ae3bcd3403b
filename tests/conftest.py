"""Fixtures for every test; what they do lives in `tests/harness`."""

import structlog
from hypothesis import settings

from tests.harness.broker import broker
from tests.harness.database import (
    database,
    database_server,
    database_template,
    empty_database,
    own_database_server,
)
from tests.harness.nats_cluster import nats_cluster

__all__ = [
    "broker",
    "database",
    "database_server",
    "database_template",
    "empty_database",
    "nats_cluster",
    "own_database_server",
]

# As the programs do. The default draws a traceback with all locals, which holds the loop for a second.
structlog.configure(
    processors=[
        *structlog.get_config()["processors"][:-1],
        structlog.dev.ConsoleRenderer(colors=False, exception_formatter=structlog.dev.plain_traceback),
    ]
)

# A machine that is busy is no fault of what is tested.
settings.register_profile("unhurried", settings.default, deadline=None)
settings.load_profile("unhurried")
