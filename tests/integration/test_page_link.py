"""The page behind a link: what it shows, what it never changes, whom it refuses."""

from __future__ import annotations

from datetime import timedelta

import httpx

from central.engine.model import Reason
from central.store import alarms, audit
from central.store.links import revoke_links
from central.store.pool import Store
from tests.harness.street import fill, opened, silent, smoke
from tests.harness.web import client, link_for

PERSONAL = ("王桂兰", "027-82340001", "13800000011", "听力不好")


async def smoking(store: Store, detector: str = "d-0001") -> int:
    await fill(store)
    async with store.transaction() as tx:
        return await smoke(tx, detector)


async def state_of(store: Store) -> list[dict]:
    """All that a look must leave as it is."""
    found = []
    async with store.transaction() as tx:
        for table in ("alarm", "alarm_log", "due", "delivery", "link", "source", "placement"):
            rows = await (await tx.conn.execute(f"SELECT * FROM {table} ORDER BY 1, 2")).fetchall()
            found.append({table: rows})
    return found


def private(answer: httpx.Response) -> bool:
    headers = answer.headers
    return (
        headers["referrer-policy"] == "no-referrer"
        and headers["cache-control"] == "no-store"
        and "noindex" in headers["x-robots-tag"]
        and "default-src 'none'" in headers["content-security-policy"]
    )


async def test_the_page_says_which_home_who_lives_there_what_to_mind_and_whom_to_call(database: str):
    """All that the one who goes needs, in under 50 kB, kept from search engines and caches."""
    async with opened(database) as store:
        token = await link_for(store, await smoking(store))
        async with client(store) as http:
            answer = await http.get(f"/a/{token}")
        assert answer.status_code == 200
        for words in ("烟雾报警", "新河小区1栋", "1单元", "301", "卧室", "独居", "还没有人接警", *PERSONAL):
            assert words in answer.text, words
        assert 'href="tel:027-82340001"' in answer.text
        assert 'href="tel:119"' in answer.text
        assert len(answer.content) < 50_000
        assert "<script" not in answer.text
        assert private(answer)


async def test_fetching_it_fifty_times_changes_nothing_but_the_audit_log(database: str):
    """Chat apps and scanners fetch links: GET shows (and is noted), HEAD tells nothing, neither acts."""
    async with opened(database) as store:
        alarm = await smoking(store)
        token = await link_for(store, alarm)
        before = await state_of(store)
        async with client(store) as http:
            for _ in range(25):
                assert (await http.get(f"/a/{token}")).status_code == 200
                head = await http.head(f"/a/{token}")
                assert (head.status_code, head.content) == (200, b"")
            for what in ("acknowledge", "on-way", "close"):
                assert (await http.get(f"/a/{token}/{what}")).status_code in {404, 405}
                assert (await http.head(f"/a/{token}/{what}")).status_code in {404, 405}
        assert await state_of(store) == before
        async with store.transaction() as tx:
            looks = await audit.about(tx, f"alarm:{alarm}")
        assert len(looks) == 25
        assert looks[0]["who"] == "w-zhang"
        assert looks[0]["detail"] == {"by": "link", "residents": ["r-1001"]}
        assert looks[0]["from_where"].startswith("203.0.113.9 ")


async def test_taking_going_and_closing_are_posts_that_lead_back(database: str):
    """303 to the page; the disposition is needed, and the cause of a false alarm; then details are hidden."""
    async with opened(database) as store:
        alarm = await smoking(store)
        token = await link_for(store, alarm)
        async with client(store) as http:
            early = await http.post(f"/a/{token}/close", data={"disposition": "real_fire"})
            assert (early.status_code, "请先接警" in early.text) == (409, True)
            for what in ("acknowledge", "on-way"):
                answer = await http.post(f"/a/{token}/{what}")
                assert answer.status_code == 303
                assert answer.headers["location"] == f"/a/{token}?lang=zh&done={what}"
                assert private(answer)
            page = await http.get(f"/a/{token}?done=on-way")
            assert "由您处理" in page.text
            assert "已出发" in page.text
            for data, words in (({}, "请选择处置结果"), ({"disposition": "false_alarm"}, "误报请选择原因")):
                refused = await http.post(f"/a/{token}/close", data=data)
                assert (refused.status_code, words in refused.text) == (409, True)
            async with store.transaction() as tx:
                await tx.conn.execute("UPDATE alarm SET state = 'cleared_acknowledged', cleared_at = now()")
            data = {"disposition": "false_alarm", "cause": "cooking", "remark": "<b>炒菜</b>"}
            assert (await http.post(f"/a/{token}/close", data=data)).status_code == 303
            closed = (await http.get(f"/a/{token}")).text
            assert "误报" in closed
            assert "&lt;b&gt;炒菜&lt;/b&gt;" in closed
            assert not any(words in closed for words in PERSONAL)
            again = await http.post(f"/a/{token}/acknowledge")
            assert (again.status_code, "该警情已结束" in again.text) == (409, True)


async def test_the_second_to_take_it_is_told_who_has_it(database: str):
    """The first keeps it; the other's page says so, and offers no button to take it."""
    async with opened(database) as store:
        alarm = await smoking(store)
        first, second = await link_for(store, alarm), await link_for(store, alarm, "w-li")
        async with client(store) as http:
            await http.post(f"/a/{first}/acknowledge")
            await http.post(f"/a/{first}/acknowledge")
            refused = await http.post(f"/a/{second}/acknowledge")
            assert refused.status_code == 409
            assert "张敏 已接警" in refused.text
            page = (await http.get(f"/a/{second}")).text
            assert "张敏 正在处理" in page
            assert "我来处理" not in page


async def test_it_is_handed_over_by_an_offer_and_a_yes_and_who_had_it_is_told(database: str):
    """Until the yes nothing changes; the offered person's page has the button; the arrival has its time."""
    async with opened(database) as store:
        alarm = await smoking(store)
        mine, other, desk = [await link_for(store, alarm, one) for one in ("w-zhang", "w-li", "w-duty")]
        async with client(store) as http:
            await http.post(f"/a/{mine}/acknowledge")
            refused = await http.post(f"/a/{other}/offer", data={"to": "w-he"})
            assert (refused.status_code, "不能转交" in refused.text) == (409, True)
            page = (await http.get(f"/a/{mine}")).text
            for words in ("转交他人", "李强", "何主任", "街道值班室", "我已到场"):
                assert words in page, words
            assert "孙芳" not in page
            assert "吴师傅" not in page
            stranger = await http.post(f"/a/{mine}/offer", data={"to": "w-sun"})
            assert (stranger.status_code, "此人不负责该地点" in stranger.text) == (409, True)
            asked = await http.post(f"/a/{mine}/offer", data={"to": "w-li", "remark": "我在医院"})
            assert (asked.status_code, asked.headers["location"]) == (303, f"/a/{mine}?lang=zh&done=offer")
            assert "由您处理" in (await http.get(f"/a/{mine}")).text
            page = (await http.get(f"/a/{other}")).text
            assert "张敏 请您接手处理" in page
            assert (await http.post(f"/a/{other}/accept")).status_code == 303
            assert (await http.post(f"/a/{other}/on-scene")).status_code == 303
            assert "李强 正在处理" in (await http.get(f"/a/{mine}")).text
            assert "由我接手（现由 李强 处理）" in (await http.get(f"/a/{desk}")).text
        async with store.transaction() as tx:
            told = await (
                await tx.conn.execute("SELECT purpose, worker, step FROM delivery ORDER BY id")
            ).fetchall()
            facts = await alarms.describe(tx, alarm)
            lines = await alarms.timeline(tx, alarm)
        assert [tuple(row.values()) for row in told] == [("offer", "w-li", 1), ("owner", "w-zhang", 1)]
        assert facts is not None
        assert (facts.acknowledged_name, facts.on_scene_at is not None) == ("李强", True)
        offered = next(line for line in lines if line.what == "offered")
        assert (offered.who, offered.reason, offered.from_where[:5]) == ("w-zhang", "offered", "link ")
        assert (offered.detail["to_name"], offered.detail["remark"]) == ("李强", "我在医院")


async def test_a_link_shows_only_the_home_of_its_own_alarm(database: str):
    """Two alarms, two homes: neither link shows the other's."""
    async with opened(database) as store:
        one = await link_for(store, await smoking(store))
        async with store.transaction() as tx:
            other_alarm = await smoke(tx, "d-0004")
        other = await link_for(store, other_alarm, "w-li")
        async with client(store) as http:
            page, other_page = (await http.get(f"/a/{one}")).text, (await http.get(f"/a/{other}")).text
        assert "王桂兰" in page
        assert "赵永福" not in page
        assert "赵永福" in other_page
        assert "王桂兰" not in other_page


async def test_an_installers_link_shows_the_door_and_never_who_lives_behind_it(database: str):
    """Nor does the audit log say that a resident was shown; the grid worker of the same alarm sees them."""
    async with opened(database) as store:
        alarm = await smoking(store)
        fitter, grid = await link_for(store, alarm, "w-tech"), await link_for(store, alarm, "w-zhang")
        async with client(store) as http:
            page, seen = (await http.get(f"/a/{fitter}")).text, (await http.get(f"/a/{grid}")).text
        assert [word for word in PERSONAL if word in page] == []
        assert "301" in page
        assert [word for word in PERSONAL if word in seen] == list(PERSONAL)
        async with store.transaction() as tx:
            rows = await audit.about(tx, f"alarm:{alarm}")
        shown = {row["who"]: bool(row["detail"]["residents"]) for row in rows}
        assert shown == {"w-tech": False, "w-zhang": True}


async def test_wrong_expired_and_revoked_links_say_what_to_do(database: str):
    """404 for what never was, 410 for what is over; nothing is shown or done."""
    async with opened(database) as store:
        alarm = await smoking(store)
        expired = await link_for(store, alarm, valid=timedelta(seconds=-1))
        revoked = await link_for(store, alarm, "w-he")
        async with store.transaction() as tx:
            await revoke_links(tx, "w-he")
        before = await state_of(store)
        async with client(store) as http:
            for token in ("A" * 16, "short", "x" * 500, "%00" * 16, "中文中文"):
                answer = await http.get(f"/a/{token}")
                assert (answer.status_code, "链接无效" in answer.text) == (404, True)
                assert (await http.post(f"/a/{token}/acknowledge")).status_code == 404
            for token in (expired, revoked):
                answer = await http.get(f"/a/{token}")
                assert (answer.status_code, "指挥中心" in answer.text) == (410, True)
                assert "王桂兰" not in answer.text
                assert (await http.post(f"/a/{token}/acknowledge")).status_code == 410
                assert (await http.head(f"/a/{token}")).status_code == 410
        assert await state_of(store) == before


async def test_guessing_is_slowed_down_and_a_real_link_never_is(database: str):
    """From one address: 404, then 429; the real link of that very address still opens."""
    async with opened(database) as store:
        token = await link_for(store, await smoking(store))
        async with client(store) as http:
            answers = [(await http.get(f"/a/guess{n:011}")).status_code for n in range(30)]
            assert answers[:20] == [404] * 20
            assert answers[-1] == 429
            assert (await http.get(f"/a/{token}")).status_code == 200


async def test_english_is_one_link_away_and_stays_through_the_forms(database: str):
    """`?lang=en` is carried by every form and link; a worker's own language is the default."""
    async with opened(database) as store:
        alarm = await smoking(store)
        token = await link_for(store, alarm)
        async with client(store) as http:
            page = await http.get(f"/a/{token}?lang=en")
            assert '<html lang="en">' in page.text
            assert "Nobody has taken it yet" in page.text
            assert f"/a/{token}/acknowledge?lang=en" in page.text
            taken = await http.post(f"/a/{token}/acknowledge?lang=en")
            assert taken.headers["location"].endswith("?lang=en&done=acknowledge")
            async with store.transaction() as tx:
                await tx.conn.execute("UPDATE worker SET language = 'en' WHERE id = 'w-zhang'")
            assert '<html lang="en">' in (await http.get(f"/a/{token}")).text
            assert '<html lang="zh-CN">' in (await http.get(f"/a/{token}?lang=zh")).text


async def test_a_detector_that_cannot_answer_any_more_is_said_to_be_unknown(database: str):
    """Unknown is never shown as gone, nor as a sure fire."""
    async with opened(database) as store:
        token = await link_for(store, await smoking(store))
        async with store.transaction() as tx:
            await tx.conn.execute("UPDATE alarm SET state = 'active_unknown'")
        async with client(store) as http:
            text = (await http.get(f"/a/{token}")).text
            assert "现场情况不明" in text
            assert "报警信号" not in text
            assert "状态未知" in (await http.get("/")).text


async def test_a_gateway_alarm_names_the_homes_left_unwatched(database: str):
    """What an installer or community lead gets."""
    async with opened(database) as store:
        await fill(store)
        async with store.transaction() as tx:
            alarm = await silent(tx)
            await tx.conn.execute(
                'UPDATE alarm SET detail = \'{"count": 2, "homes": ["新河小区1栋 301", "<x>"]}\''
            )
        token = await link_for(store, alarm, "w-he")
        async with client(store) as http:
            text = (await http.get(f"/a/{token}")).text
        assert "新河小区1栋弱电间" in text
        assert "失守住户 2 户" in text
        assert "&lt;x&gt;" in text


async def test_that_the_gateway_called_by_itself_stands_on_the_time_line(database: str):
    """In the gateway's words, so that whoever opens the page knows who has been told already."""
    async with opened(database) as store:
        alarm = await smoking(store)
        token = await link_for(store, alarm)
        async with store.transaction() as tx:
            said = {"text": "已自行通知 / told: 短信 SMS …0101"}
            await alarms.log(tx, [alarms.Line(alarm, "fallback", Reason.CENTRE_SILENT, detail=said)])
        async with client(store) as http:
            page = (await http.get(f"/a/{token}")).text
            assert "中心无应答，网关自行呼叫：已自行通知 / told: 短信 SMS …0101" in page
            assert "The gateway called by itself" in (await http.get(f"/a/{token}?lang=en")).text
