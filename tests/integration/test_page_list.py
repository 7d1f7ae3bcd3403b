"""The page behind a link to several alarms: each home by itself, and only what was ticked is taken."""

from __future__ import annotations

from central.store.pool import Store
from tests.harness.street import fill, opened, smoke
from tests.harness.web import client, link_for


async def burning(store: Store) -> tuple[list[int], str, int]:
    """Two alarms of one link, the link, and a third that is not in it."""
    await fill(store)
    async with store.transaction() as tx:
        first, second, other = [await smoke(tx, f"d-000{n}") for n in (1, 2, 3)]
    return [first, second], await link_for(store, first, also=[second]), other


async def taken(store: Store) -> list[int]:
    async with store.transaction() as tx:
        rows = await tx.conn.execute("SELECT id FROM alarm WHERE acknowledged_by = 'w-zhang' ORDER BY id")
        return [row["id"] for row in await rows.fetchall()]


async def test_it_lists_every_home_with_its_residents_and_each_look_is_on_record(database: str):
    """Small enough for a poor phone, no script; the language can be changed."""
    async with opened(database) as store:
        (first, second), token, _ = await burning(store)
        async with client(store) as http:
            answer = await http.get(f"/a/{token}")
            english = await http.get(f"/a/{token}?lang=en")
        assert answer.status_code == 200
        assert answer.text.count('type="checkbox"') == 2
        assert "checked" not in answer.text, "a person says which homes they go to"
        assert "王桂兰" in answer.text
        assert "2 处报警" in answer.text
        assert "2 alarms" in english.text
        assert "<script" not in answer.text
        assert len(answer.content) < 50_000
        async with store.transaction() as tx:
            looks = await tx.conn.execute("SELECT DISTINCT subject FROM audit WHERE action = 'look_at_alarm'")
            assert {row["subject"] for row in await looks.fetchall()} == {f"alarm:{first}", f"alarm:{second}"}


async def test_taking_takes_the_ticked_homes_and_no_other(database: str):
    """Nothing ticked: nothing taken, and it says what to do. The other one keeps climbing."""
    async with opened(database) as store:
        (first, second), token, _ = await burning(store)
        async with client(store) as http:
            nothing = await http.post(f"/a/{token}/acknowledge")
            assert nothing.status_code == 409
            assert "请先勾选" in nothing.text
            assert await taken(store) == []
            done = await http.post(f"/a/{token}/acknowledge", data={"ticked": [str(second)]})
            assert (done.status_code, await taken(store)) == (303, [second])
            page = await http.get(done.headers["location"])
            assert page.text.count('type="checkbox"') == 1
            assert (await http.post(f"/a/{token}/on-way")).status_code == 409
            both = await http.post(f"/a/{token}/acknowledge", data={"ticked": [str(first), str(second)]})
            assert both.status_code == 303
        assert await taken(store) == [first, second]


async def test_one_home_of_the_list_has_its_own_page_and_a_foreign_one_has_none(database: str):
    """On my way and the outcome are said there; an alarm that the link does not name is not found."""
    async with opened(database) as store:
        (first, second), token, other = await burning(store)
        async with client(store) as http:
            page = await http.get(f"/a/{token}?alarm={second}")
            assert page.status_code == 200
            assert f"alarm={second}" in page.text
            done = await http.post(f"/a/{token}/on-way?alarm={second}")
            assert done.headers["location"].endswith(f"alarm={second}")
            assert await taken(store) == [second]
            assert (await http.get(f"/a/{token}?alarm={other}")).status_code == 404
            for sent in ({"params": {"alarm": other}}, {"data": {"ticked": [str(other), str(first)]}}):
                assert (await http.post(f"/a/{token}/acknowledge", **sent)).status_code == 404
        assert await taken(store) == [second]
