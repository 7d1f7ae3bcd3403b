"""The overview: true numbers, nothing personal."""

from __future__ import annotations

from central.registry.kinds import Placement
from central.registry.register import place
from central.store.overview import overview
from central.store.pool import Store
from tests.harness.street import PROFILES, fill, opened, silent, smoke
from tests.harness.web import client


async def test_a_grid_is_green_only_when_every_detector_is_proved_watched(database: str):
    """Heard, configured, answering: what is not proved is unwatched; a new one takes none of the old away."""
    async with opened(database) as store:
        await fill(store)

        async def watched() -> dict[str, tuple[int, int]]:
            async with store.transaction() as tx:
                return {grid.id: (grid.watched, grid.detectors) for grid in (await overview(tx)).grids}

        assert await watched() == {"xinhe-01": (0, 3), "xinhe-02": (0, 1), "jiangan-01": (0, 1)}
        async with store.transaction() as tx:
            await tx.conn.execute("UPDATE lease SET status = '{\"online\": true}'")
        assert sum(one for one, _ in (await watched()).values()) == 0
        await _all_answer(store)
        assert await watched() == {"xinhe-01": (3, 3), "xinhe-02": (1, 1), "jiangan-01": (1, 1)}
        async with store.transaction() as tx:
            for part, condition in (
                ("d-0001", "no_response"),
                ("bus:line-2", "bus_down"),
                ("d-0002", "smoke"),
            ):
                await tx.conn.execute(
                    "INSERT INTO source VALUES ('gw-xh-1', %s, %s, 'present', %s, 1, now())"
                    " ON CONFLICT (gateway, part, condition) DO UPDATE SET state = 'present'",
                    (part, condition, "0" * 32),
                )
            await tx.conn.execute("UPDATE lease SET silent_since = now() WHERE gateway = 'gw-ja-1'")
        assert await watched() == {"xinhe-01": (2, 3), "xinhe-02": (0, 1), "jiangan-01": (0, 1)}
        new = Placement(household="ja-b3-201", gateway="gw-xh-1", bus="line-1", unit=30)
        async with store.transaction() as tx:
            await place(tx, "d-0006", new, by="wu", profiles=PROFILES)
        assert await watched() == {"xinhe-01": (2, 3), "xinhe-02": (0, 1), "jiangan-01": (0, 2)}
        await _all_answer(store)
        assert (await watched())["jiangan-01"] == (1, 2)


async def _all_answer(store: Store) -> None:
    """Every detector is known to answer by a good read of the gateway it hangs on now."""
    async with store.transaction() as tx:
        await tx.conn.execute(
            "INSERT INTO source SELECT gateway, detector, 'no_response', 'absent', %s, 1, now()"
            " FROM placement WHERE to_at IS NULL ON CONFLICT (gateway, part, condition) DO NOTHING",
            ("0" * 32,),
        )


async def test_the_page_shows_alarms_and_silent_gateways_and_nothing_personal(database: str):
    """Grid, building, condition, since when; neither a name nor a door. HTML in names is escaped."""
    async with opened(database) as store:
        await fill(store)
        async with store.transaction() as tx:
            await smoke(tx)
            await silent(tx)
            await tx.conn.execute("UPDATE lease SET silent_since = now() WHERE gateway = 'gw-xh-1'")
            await tx.conn.execute("UPDATE grid SET name = '<script>x</script>' WHERE id = 'xinhe-02'")
        async with client(store) as http:
            page = await http.get("/")
            fragment = await http.get("/fragment/overview")
            english = await http.get("/?lang=en")
        assert page.status_code == 200
        assert fragment.text in page.text or "未结警情" in fragment.text
        for words in (
            "烟雾报警",
            "新河小区1栋",
            "新河第1网格",
            "未接警",
            "网关失联",
            "4 只探测器失守",
            "火警 1",
        ):
            assert words in page.text, words
        for words in ("王桂兰", "8234", "1380000", "301", "1单元", "<script>x"):
            assert words not in page.text, words
        assert "Open alarms" in english.text
        assert "Nobody has it" in english.text
        assert len(page.content) < 50_000


async def test_fifty_looks_change_nothing(database: str):
    """A wall screen asks all day long."""
    async with opened(database) as store:
        await fill(store)
        async with client(store) as http:
            for _ in range(25):
                assert (await http.get("/")).status_code == 200
                assert (await http.get("/fragment/overview")).status_code == 200
        async with store.transaction() as tx:
            rows = await (await tx.conn.execute("SELECT action FROM audit")).fetchall()
            log = await (await tx.conn.execute("SELECT count(*) AS n FROM alarm_log")).fetchone()
        assert [row["action"] for row in rows] == ["import"]
        assert log["n"] == 0


async def test_a_centre_that_hears_nothing_says_so_in_large(database: str):
    """A calm picture that is not true is the worst of all."""
    async with opened(database) as store:
        await fill(store)
        async with client(store) as http:
            assert "中心尚未收到任何网关的消息" in (await http.get("/")).text
            async with store.transaction() as tx:
                await tx.conn.execute("INSERT INTO ear VALUES ('', now() - interval '5 minutes')")
            assert "中心收不到任何网关的消息" in (await http.get("/")).text
            async with store.transaction() as tx:
                await tx.conn.execute("UPDATE ear SET heard_at = now()")
            assert "deaf" not in (await http.get("/")).text


async def test_an_empty_registry_says_what_to_do(database: str):
    """The first minute of a new street."""
    async with opened(database) as store, client(store) as http:
        page = await http.get("/")
        assert "请先导入登记资料" in page.text
        assert "当前没有未结警情" in page.text


async def test_static_files_are_kept_and_unknown_addresses_are_a_page(database: str):
    """The style may be kept for a year: its address changes with it."""
    async with opened(database) as store, client(store) as http:
        style = await http.get("/static/wall.css")
        assert "immutable" in style.headers["cache-control"]
        assert (await http.get("/nothing")).status_code == 404
        assert "text/html" in (await http.get("/nothing")).headers["content-type"]
        assert (await http.get("/static/../render.py")).status_code == 404


async def test_an_installer_sees_the_test_button_arrive_on_the_overview(database: str):
    """The detector's number with its building, for half an hour; a test is no open alarm."""
    async with opened(database) as store:
        await fill(store)
        async with store.transaction() as tx:
            await tx.conn.execute(
                "INSERT INTO alarm"
                " (condition, severity, area, grid, part, gateway, state, opened_at, event_at)"
                " SELECT 'test', 'note', 'danshuichi', 'xinhe-01', part, 'gw-xh-1',"
                " 'active_unacknowledged', at, at"
                " FROM (VALUES ('d-0001', now()), ('d-0002', now() - interval '31 minutes')) AS v (part, at)"
            )
        async with client(store) as http:
            page = (await http.get("/")).text
    assert "近半小时测试" in page
    assert "d-0001" in page
    assert "d-0002" not in page
    assert "当前没有未结警情" in page
