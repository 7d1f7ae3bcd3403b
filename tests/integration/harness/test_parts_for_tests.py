"""The database and the broker that all other tests stand on."""

from __future__ import annotations

import aiomqtt
import psycopg

from tests.harness.broker import Broker
from tests.harness.database import Server, edition
from tests.harness.wait import eventually


def test_every_test_gets_a_migrated_database(database: str) -> None:
    """The tables of the schema are there."""
    with psycopg.connect(database) as connection:
        assert connection.execute("SELECT count(*) FROM epoch").fetchone() == (1,)


def test_two_databases_do_not_share_rows(database: str, empty_database: str) -> None:
    """The empty one has no tables at all."""
    with psycopg.connect(empty_database) as connection:
        found = connection.execute("SELECT to_regclass('epoch')").fetchone()
    assert database != empty_database
    assert found == (None,)


def test_the_database_is_durable_and_of_the_named_edition(database: str) -> None:
    """Figures and promises are only worth something with fsync on."""
    with psycopg.connect(database) as connection:
        values = [
            connection.execute(f"SHOW {name}".encode()).fetchone()
            for name in ("fsync", "synchronous_commit", "full_page_writes")
        ]
        extension = connection.execute(
            "SELECT count(*) FROM pg_extension WHERE extname = 'timescaledb'"
        ).fetchone()
    assert values == [("on",)] * 3
    assert extension == (1 if edition() == "timescaledb" else 0,)


def test_a_killed_database_comes_back_with_what_it_confirmed(own_database_server: Server) -> None:
    """The same port, the same rows."""
    dsn = own_database_server.dsn()
    with psycopg.connect(dsn) as connection:
        connection.execute("CREATE TABLE kept (n int)")
        connection.execute("INSERT INTO kept VALUES (7)")
    for end in (own_database_server.kill9, own_database_server.stop):
        end()
        assert own_database_server.pid is None
        own_database_server.start()
        with psycopg.connect(dsn) as connection:
            assert connection.execute("SELECT n FROM kept").fetchone() == (7,)


async def test_a_wiped_broker_comes_back_empty_on_the_same_port(broker: Broker) -> None:
    """A retained message survives an orderly restart and not a wipe."""
    port = broker.port
    async with aiomqtt.Client(broker.host, port) as client:
        await client.publish("a/b", b"kept", qos=1, retain=True)
    broker.stop()
    broker.start()
    assert await _retained(broker) == [b"kept"]
    broker.wipe()
    broker.start()
    assert broker.port == port
    assert await _retained(broker) == [b"end"]


async def _retained(broker: Broker) -> list[bytes]:
    """What a new subscriber is given; a marker of its own when there is nothing."""
    got: list[bytes] = []
    async with aiomqtt.Client(broker.host, broker.port) as client:
        await client.subscribe("a/b", qos=1)

        async def read() -> bool:
            message = await anext(client.messages)
            got.append(bytes(message.payload))  # type: ignore[arg-type]
            return True

        await client.publish("a/b", b"end", qos=1)
        await eventually(read)
    return got
