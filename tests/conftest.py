"""Fixtures for every test; what they do lives in `tests/harness`."""

import faulthandler

import pytest
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
from tests.harness.town import town

__all__ = [
    "broker",
    "database",
    "database_server",
    "database_template",
    "empty_database",
    "nats_cluster",
    "own_database_server",
    "town",
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

_LONG = ("/promises/", "/scenarios/", "test_fleet_whole.py", "test_made_up_years.py")


def pytest_collection_modifyitems(config: pytest.Config, items: list[pytest.Item]) -> None:
    """Long tests first, dealt out evenly: each worker begins with one stretch of the list."""
    workers = getattr(config, "workerinput", {}).get("workercount", 1)
    long = [item for item in items if any(word in str(item.path) for word in _LONG)]
    chosen = set(long)
    short = [item for item in items if item not in chosen]
    size = -(-len(short) // workers)
    items[:] = [
        item
        for worker in range(workers)
        for item in (*long[worker::workers], *short[worker * size : (worker + 1) * size])
    ]


def pytest_runtest_setup(item: pytest.Item) -> None:
    """The guard against tests that hang is not for those that are meant to run for long."""
    if item.get_closest_marker("soak"):
        faulthandler.cancel_dump_traceback_later()
