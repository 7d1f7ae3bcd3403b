"""Connections and transactions.

Law of this room: only `central.store` knows psycopg; `now` comes from the database, once per transaction.
"""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator, Awaitable, Callable, Iterator, Mapping
from contextlib import AsyncExitStack, asynccontextmanager, contextmanager
from dataclasses import dataclass, field
from datetime import UTC, datetime, timedelta
from typing import Any, LiteralString

import psycopg
import structlog
from psycopg.pq import PipelineStatus
from psycopg.rows import DictRow, dict_row
from psycopg_pool import AsyncConnectionPool, PoolClosed, PoolTimeout, TooManyRequests

from central.ending import cancellation_kept
from central.store.errors import StoreConflict, StoreDown, StoreError, StoreRefused, StoreUnfit

Connection = psycopg.AsyncConnection[DictRow]
_log = structlog.get_logger()
_IN_DOUBT = (
    asyncio.CancelledError,
    psycopg.InterfaceError,
    psycopg.InternalError,
    psycopg.NotSupportedError,
)
"""After these, or still in pipeline mode, nobody can say what a connection is in the middle of."""


@dataclass(frozen=True, slots=True)
class Tx:
    """One open transaction and its moment."""

    conn: Connection
    now: datetime
    """The database's clock at the start of the transaction (UTC): the only `now` of what is done in it."""
    kept: dict[str, Any] = field(default_factory=dict)
    """What the transactions of one store leave to the next: rows that are read often and change seldom."""


class Store:
    """A pool of connections to one database."""

    def __init__(
        self,
        dsn: str,
        *,
        name: str = "central",
        max_connections: int = 8,
        clock_shift: Callable[[], timedelta] = timedelta,
    ) -> None:
        """`clock_shift` is added to the database's clock; only rehearsals and tests give one."""
        self._dsn = dsn
        self._shift = clock_shift
        self._kept: dict[str, Any] = {}
        self._pool: AsyncConnectionPool[Connection] = AsyncConnectionPool(
            dsn,
            connection_class=psycopg.AsyncConnection[DictRow],
            kwargs={
                "autocommit": True,  # `_begin` says BEGIN itself
                "row_factory": dict_row,
                "application_name": f"smokewatch-{name}",
                "connect_timeout": 5,
                # A dead peer is noticed in half a minute, a stuck statement ends.
                "keepalives_idle": 10,
                "keepalives_interval": 5,
                "keepalives_count": 3,
                # Compiling takes longer than any of our statements: a second and more when a fire waits.
                "options": "-c statement_timeout=30000 -c lock_timeout=10000 -c timezone=UTC -c jit=off",
            },
            min_size=1,
            max_size=max_connections,
            max_waiting=200,
            timeout=10,
            reconnect_timeout=5,
            open=False,
        )

    async def open(self) -> None:
        """Start filling the pool; returns at once, also when the database is down."""
        await self._pool.open(wait=False)

    async def close(self) -> None:
        """Give every connection back."""
        await self._pool.close(timeout=5)

    @asynccontextmanager
    async def transaction(self) -> AsyncIterator[Tx]:
        """One transaction: commits at the end of the block, rolls back on any exception.

        Raises StoreDown, StoreConflict, StoreRefused or StoreUnfit; the commit itself may raise StoreDown,
        and then the outcome is unknown: the caller's work must bear repetition.
        """
        with translated():
            async with AsyncExitStack() as held:
                conn, now = await self._begin(held)
                yield Tx(conn, now.astimezone(UTC) + self._shift(), self._kept)

    async def _begin(self, held: AsyncExitStack) -> tuple[Connection, datetime]:
        """Begin on a connection of the pool, in one round trip; those that died meanwhile are dropped."""
        for left in range(self._pool.max_size, -1, -1):
            try:
                async with AsyncExitStack() as ours:
                    with cancellation_kept():
                        conn = await ours.enter_async_context(self._pool.connection())
                    await ours.enter_async_context(_closed_in_doubt(conn))
                    cursor = await conn.execute("BEGIN; SELECT now() AS now", prepare=False)
                    cursor.nextset()
                    now: datetime = one(await cursor.fetchone())["now"]
                    held.push_async_exit(ours.pop_all())
                    return conn, now
            except (PoolTimeout, PoolClosed, TooManyRequests):
                raise
            except (psycopg.OperationalError, psycopg.InterfaceError):
                if left == 0:
                    raise
        raise AssertionError("the last try returns or raises")

    @asynccontextmanager
    async def hold(
        self, name: str, turn: Callable[[], None] = lambda: None
    ) -> AsyncIterator[Callable[[], Awaitable[None]]]:
        """Be the only one of all processes that holds `name`; calls `turn` once a second while it waits.

        Yields a question that raises StoreDown when the hold is lost. It ends with the process, or when the
        database has not heard of this machine for half a minute. Raises StoreDown.
        """
        with translated():
            conn = await psycopg.AsyncConnection.connect(
                self._dsn,
                autocommit=True,
                connect_timeout=5,
                application_name=f"smokewatch-hold-{name}",
                keepalives_idle=10,
                keepalives_interval=5,
                keepalives_count=3,
                options="-c tcp_keepalives_idle=10 -c tcp_keepalives_interval=5 -c tcp_keepalives_count=3",
            )
            async with conn:
                while True:
                    asked = "SELECT pg_try_advisory_lock(hashtextextended(%s, 0))"
                    row = await (await conn.execute(asked, (f"smokewatch {name}",))).fetchone()
                    if row is not None and row[0]:
                        break
                    turn()
                    await asyncio.sleep(1.0)

                async def still_held() -> None:
                    with translated():
                        await conn.execute("SELECT 1")

                yield still_held

    async def listen(self, channel: str, wake: Callable[[], None]) -> None:
        """Call `wake` at each NOTIFY on `channel`, for ever; after a lost connection once more.

        A notification may be lost: whoever listens must look at the rows from time to time as well.
        """
        pause, lost = 0.2, False
        while True:
            try:
                conn = await psycopg.AsyncConnection.connect(
                    self._dsn,
                    autocommit=True,
                    connect_timeout=5,
                    application_name=f"smokewatch-listen-{channel}",
                )
                async with conn:
                    await conn.execute(psycopg.sql.SQL("LISTEN {}").format(psycopg.sql.Identifier(channel)))
                    if lost:
                        _log.info("listening again", channel=channel)
                    pause, lost = 0.2, False
                    wake()
                    async for _ in conn.notifies():
                        wake()
            except (psycopg.Error, OSError) as error:
                if not lost:
                    _log.warning("listen lost", channel=channel, error=type(error).__name__)
                lost = True
            await asyncio.sleep(pause)
            pause = min(pause * 2, 5.0)


@asynccontextmanager
async def _closed_in_doubt(conn: Connection) -> AsyncIterator[None]:
    """Close a connection that may have been left in the middle of something; the pool makes another.

    psycopg 3.3.9 stays in pipeline mode, where COPY cannot be, when a cancellation meets it as it goes there.
    """
    try:
        yield
    except BaseException as error:
        if isinstance(error, _IN_DOUBT) or conn.pgconn.pipeline_status != PipelineStatus.OFF:
            await conn.close()
        raise


@contextmanager
def translated() -> Iterator[None]:
    """Turn psycopg's errors into this room's."""
    try:
        yield
    except (PoolTimeout, PoolClosed, TooManyRequests) as error:
        raise StoreDown(f"no database connection to be had: {type(error).__name__}") from error
    except (
        psycopg.errors.SerializationFailure,
        psycopg.errors.DeadlockDetected,
        psycopg.errors.LockNotAvailable,
    ) as error:
        raise StoreConflict(str(error)) from error
    except psycopg.IntegrityError as error:
        raise StoreRefused(error.diag.message_primary or str(error)) from error
    except psycopg.DataError as error:
        raise StoreUnfit(error.diag.message_primary or str(error)) from error
    except UnicodeEncodeError as error:  # half of a surrogate pair, which JSON can spell
        raise StoreUnfit(f"{error.object[error.start]!r} is no character") from error
    except (psycopg.OperationalError, psycopg.InterfaceError) as error:
        raise StoreDown(f"{type(error).__name__}: {error}") from error
    except psycopg.Error as error:
        raise StoreError(f"{type(error).__name__}: {error}") from error


async def ask(tx: Tx, statement: LiteralString, values: Mapping[str, Any]) -> list[DictRow]:
    """The rows of an answer. Others that ask at once have asked too before this one waits for its own."""
    cursor = await tx.conn.execute(statement, values)
    await asyncio.sleep(0)
    return await cursor.fetchall()


async def notify(tx: Tx, channel: str, payload: str = "") -> None:
    """Wake whoever listens on `channel` when this transaction commits."""
    await tx.conn.execute("SELECT pg_notify(%s, %s)", (channel, payload))


def one(row: DictRow | None) -> dict[str, Any]:
    """The row that must be there."""
    assert row is not None, "a statement that always returns a row returned none"
    return row
