"""News beyond what a person bears in an hour waits and comes as one list; smoke is never kept back."""

from __future__ import annotations

from datetime import timedelta

from central.notifier.channel import CALL, Limits, Pace
from central.store import pace
from tests.harness.town import open_town

LIMITS = Limits(throttle=Pace(3, timedelta(minutes=20)))


async def test_news_is_throttled_and_smoke_is_not(database: str) -> None:
    """Three, one a minute, then one in twenty minutes; another person has room of their own."""
    town = await open_town(database)

    async def may(address: str, *, urgent: bool) -> tuple[int, float]:
        """How many of five messages may go now, and after how many seconds the next."""
        async with town.store.transaction() as tx:
            paces = LIMITS.paces(urgent=urgent)
            one = (await pace.take_under(tx, "text", paces, {address: 5}, urgent=urgent))[address]
            return one.messages, round((one.next_at - tx.now).total_seconds())

    for _ in range(3):
        assert (await may("li", urgent=False))[0] == 1
        town.time.forward(seconds=60)
    going, again_s = await may("li", urgent=False)
    assert going == 0
    assert 0 < again_s <= 20 * 60
    assert await may("zhang", urgent=False) == (1, 60)
    for _ in range(10):
        assert (await may("li", urgent=True))[0] >= 1
        town.time.forward(seconds=3.4)
    town.time.forward(seconds=again_s)
    assert (await may("li", urgent=False))[0] == 1
    assert (await may("li", urgent=False))[0] == 0
    await town.store.close()


def test_what_cannot_be_merged_is_not_throttled_beyond_its_pace() -> None:
    """It would come one by one for days; a call has its ten minutes."""
    assert Limits(homes=1).paces(urgent=False) == (Limits().other,)
    assert CALL.paces(urgent=False) == (CALL.other,)
    assert len(Limits().paces(urgent=False)) == 2
    assert len(Limits().paces(urgent=True)) == 1
