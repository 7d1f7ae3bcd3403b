"""A database that is being made or restored is not there yet; nobody falls over it."""

import pytest

from central.store.epoch import epoch
from central.store.errors import StoreDown
from tests.harness.street import opened


async def test_a_database_without_an_epoch_is_waited_for(database: str) -> None:
    """As one that does not answer: what came is kept and stored when it is whole."""
    async with opened(database) as store:
        async with store.transaction() as tx:
            await tx.conn.execute("DELETE FROM epoch")
        with pytest.raises(StoreDown, match="no epoch yet"):
            async with store.transaction() as tx:
                await epoch(tx)
