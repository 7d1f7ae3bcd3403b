"""P4: a smoke alarm that nobody takes climbs, through restarts and clears, until a person acts.

Real database, real worker, a real telephone; time is moved.
"""

from __future__ import annotations

from collections.abc import AsyncIterator
from typing import Any

import pytest

from tests.harness.acting import Centre, acting_centre, tell
from tests.harness.town import Town
from tests.harness.web import client
from wire.messages import EventKind

ON, OFF = EventKind.ASSERT, EventKind.CLEAR
ALL = ("primary", "backup", "lead", "desk")


@pytest.fixture
async def centre(database: str) -> AsyncIterator[Centre]:
    async with acting_centre(database) as made:
        yield made


async def climb(centre: Centre) -> None:
    """An alarm opens and nobody answers, up to the command centre at 180 s."""
    await centre.smoke(ON)
    await centre.heard(*tell(0, "primary"))
    await centre.after(seconds=89)
    await centre.heard()
    await centre.after(seconds=2)
    await centre.heard(*tell(1, "backup", "lead"))
    await centre.after(seconds=88)
    await centre.heard()
    await centre.after(seconds=2)
    await centre.heard(*tell(2, "desk"))


async def test_smoke_that_nobody_takes_calls_more_people_and_does_not_stop(centre: Centre) -> None:
    """Grid worker; backup and lead at 90 s; command centre at 180 s; all of them every 180 s after."""
    await climb(centre)
    for step in range(3, 13):
        await centre.after(seconds=178)
        await centre.heard()
        await centre.after(seconds=2)
        await centre.heard(*tell(step, *ALL))


async def test_smoke_that_ended_by_itself_climbs_all_the_same(centre: Centre) -> None:
    """A clear is no answer of a person."""
    await centre.smoke(ON)
    await centre.smoke(OFF)
    await centre.heard(*tell(0, "primary"))
    for seconds, told in ((91, tell(1, "backup", "lead")), (90, tell(2, "desk")), (180, tell(3, *ALL))):
        await centre.after(seconds=seconds)
        await centre.heard(*told)
    assert await centre.alarm() == ("cleared_unacknowledged", 1)


async def test_a_restart_between_all_steps_loses_none_and_repeats_none(centre: Centre) -> None:
    """Store, worker and ticks are torn down before each step; the step is due while nothing runs."""
    await centre.smoke(ON)
    await centre.heard(*tell(0, "primary"))
    steps = (
        (91, tell(1, "backup", "lead")),
        (90, tell(2, "desk")),
        (180, tell(3, *ALL)),
        (180, tell(4, *ALL)),
    )
    for seconds, told in steps:
        await centre.tear_down()
        centre.town.time.forward(seconds=seconds)
        await centre.open_store()
        await centre.build(ticking=True)
        await centre.heard(*told)
    assert await centre.alarm() == ("active_unacknowledged", 1)


async def test_a_long_outage_of_the_centre_is_made_up_for_at_once(centre: Centre) -> None:
    """Whoever should have been called meanwhile is called when it is back, each once; then it goes on."""
    await centre.smoke(ON)
    await centre.heard(*tell(0, "primary"))
    await centre.tear_down()
    await centre.open_store()
    await centre.build()
    await centre.after(hours=2)
    await centre.heard(*tell(1, "backup", "lead"), *tell(2, "desk"))
    await centre.after(seconds=179)
    await centre.heard()
    await centre.after(seconds=2)
    await centre.heard(*tell(3, *ALL))


async def test_looking_at_the_link_is_no_answer_and_pressing_its_button_is(centre: Centre) -> None:
    """GET and HEAD twenty times each change no row of the alarm; one POST ends the climb."""
    await climb(centre)
    before = await rows_of_the_alarm(centre.town)
    async with client(centre.town.store) as http:
        for _ in range(20):
            assert (await http.get(centre.link)).status_code == 200
            assert (await http.head(centre.link)).status_code == 200
        assert await rows_of_the_alarm(centre.town) == before
        await centre.after(seconds=180)
        await centre.heard(*tell(3, *ALL))
        assert (await http.post(f"{centre.link}/acknowledge")).status_code == 303
    assert await centre.alarm() == ("active_acknowledged", 1)
    for _ in range(6):
        await centre.after(seconds=180)
        await centre.heard()


async def rows_of_the_alarm(town: Town) -> list[Any]:
    tables = ("alarm", "alarm_log", "due", "delivery", "attempt")
    return [await town.rows(f"SELECT * FROM {table} ORDER BY 1, 2") for table in tables]
