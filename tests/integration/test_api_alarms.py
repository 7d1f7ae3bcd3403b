"""Alarms over HTTP: lists, acts, the log as events and as a stream that misses nothing."""

from __future__ import annotations

import asyncio
import json
from collections.abc import AsyncIterator
from contextlib import aclosing, asynccontextmanager

import httpx

from central.store import audit
from central.store.overview import log_after
from tests.harness.street import fill, opened, silent, smoke
from tests.harness.wait import eventually
from tests.harness.web import client, served, token_for


async def test_lists_hold_nothing_personal_and_the_detail_shows_residents_to_the_desk_only(database: str):
    """An installer sees the alarm arrive, not who lives there; every look of the desk is noted."""
    async with opened(database) as store:
        await fill(store)
        async with store.transaction() as tx:
            alarm = await smoke(tx)
        async with client(store, await token_for(store, "installer")) as http:
            listed = await http.get("/api/alarms")
            assert [line["id"] for line in listed.json()["alarms"]] == [alarm]
            detail = await http.get(f"/api/alarms/{alarm}")
            assert detail.json()["residents_hidden"] is True
            assert "王桂兰" not in listed.text + detail.text
            assert (await http.post(f"/api/alarms/{alarm}/acknowledge")).status_code == 403
        async with client(store, await token_for(store, "dispatcher", name="desk")) as http:
            detail = (await http.get(f"/api/alarms/{alarm}")).json()
            assert detail["alarm"]["residents"][0]["name"] == "王桂兰"
            assert [line["what"] for line in detail["timeline"]] == ["opened"]
            assert (await http.get("/api/alarms/999")).status_code == 404
        async with store.transaction() as tx:
            looks = await audit.about(tx, f"alarm:{alarm}")
        assert [(row["who"], row["detail"]["residents"]) for row in looks] == [("desk", ["r-1001"])]


async def test_the_first_takes_it_the_second_is_told_who_and_it_closes_with_a_disposition(database: str):
    """The closed loop over HTTP."""
    async with opened(database) as store:
        await fill(store)
        async with store.transaction() as tx:
            alarm = await smoke(tx)
        first = client(store, await token_for(store, "dispatcher", name="a", worker="w-duty"))
        second = client(store, await token_for(store, "dispatcher", name="b"))
        async with first as one, second as two:
            taken = await one.post(f"/api/alarms/{alarm}/acknowledge")
            assert taken.json()["alarm"]["acknowledged_name"] == "街道值班室"
            refused = await two.post(f"/api/alarms/{alarm}/acknowledge")
            assert (refused.status_code, refused.json()["by"]) == (409, "w-duty")
            assert "街道值班室" in refused.json()["zh"]
            assert (await one.post(f"/api/alarms/{alarm}/on-way")).status_code == 200
            for body in (
                {"disposition": "nothing"},
                {"disposition": "false_alarm"},
                {"disposition": "returned_to_normal"},
            ):
                answer = await one.post(f"/api/alarms/{alarm}/close", json=body)
                assert answer.status_code == 409
                assert answer.json()["zh"]
            async with store.transaction() as tx:
                await tx.conn.execute("UPDATE alarm SET state = 'cleared_acknowledged', cleared_at = now()")
            body = {"disposition": "false_alarm", "cause": "cooking", "remark": "炒菜"}
            closed = (await one.post(f"/api/alarms/{alarm}/close", json=body)).json()
            assert (closed["alarm"]["state"], closed["alarm"]["cause"]) == ("closed", "cooking")
            assert [line["what"] for line in closed["timeline"]] == [
                "opened",
                "acknowledged",
                "on_way",
                "closed",
            ]
            assert (await one.get("/api/alarms")).json()["alarms"] == []
            assert len((await one.get("/api/alarms", params={"closed": True})).json()["alarms"]) == 1


async def test_events_are_paged_without_a_hole(database: str):
    """`last` leads on; a rolled-back line is no hole for ever."""
    async with opened(database) as store:
        await fill(store)
        async with store.transaction() as tx:
            for detector in ("d-0001", "d-0002", "d-0003"):
                await smoke(tx, detector)
        async with client(store, await token_for(store, "viewer")) as http:
            first = (await http.get("/api/events", params={"limit": 2})).json()
            rest = (await http.get("/api/events", params={"after": first["last"]})).json()
        ids = [line["id"] for line in first["events"] + rest["events"]]
        assert (len(ids), ids) == (3, sorted(ids))
        assert {line["condition"] for line in first["events"]} == {"smoke"}


async def test_a_line_that_commits_late_is_never_passed_over(database: str):
    """Ids are taken before the commit: what comes after an unfinished one waits for it."""
    async with opened(database) as store:
        await fill(store)
        late = asyncio.Event()
        begun = asyncio.Event()

        async def slow() -> None:
            async with store.transaction() as tx:
                await smoke(tx, "d-0001")
                begun.set()
                await late.wait()

        writer = asyncio.create_task(slow())
        await begun.wait()
        async with store.transaction() as tx:
            await smoke(tx, "d-0002")
        async with store.transaction() as tx:
            assert await log_after(tx, 0) == []
        late.set()
        await writer
        async with store.transaction() as tx:
            assert [line.id for line in await log_after(tx, 0)] == [1, 2]
        try:
            async with store.transaction() as tx:
                await smoke(tx, "d-0003")
                raise RuntimeError("rolled back")
        except RuntimeError:
            pass
        async with store.transaction() as tx:
            await smoke(tx, "d-0004")
        async with store.transaction() as tx:
            assert [line.id for line in await log_after(tx, 2)] == [4]


@asynccontextmanager
async def _stream(
    url: str, token: str, **headers: str
) -> AsyncIterator[AsyncIterator[tuple[str, str, dict]]]:
    async def events(answer: httpx.Response) -> AsyncIterator[tuple[str, str, dict]]:
        found: dict[str, str] = {}
        async for line in answer.aiter_lines():
            if line:
                key, _, value = line.partition(": ")
                found[key] = value
            elif found:
                yield found.get("event", ""), found.get("id", ""), json.loads(found.get("data", "{}"))
                found = {}

    given = {"Authorization": f"Bearer {token}", **headers}
    async with (
        httpx.AsyncClient(timeout=20) as http,
        http.stream("GET", f"{url}/api/stream", headers=given) as answer,
    ):
        assert answer.status_code == 200
        assert answer.headers["content-type"].startswith("text/event-stream")
        async with aclosing(events(answer)) as lines:
            yield lines


async def test_a_stream_that_comes_back_is_told_all_that_it_missed(database: str):
    """A real server: live, cut, three alarms meanwhile, Last-Event-ID, live again; in order, none twice."""
    async with opened(database, max_connections=6) as store:
        await fill(store)
        token = await token_for(store, "viewer")
        async with served(store) as url:
            async with _stream(url, token) as lines:
                assert (await anext(lines))[0] == "heartbeat"
                async with store.transaction() as tx:
                    await smoke(tx, "d-0001")
                event, last, data = await asyncio.wait_for(anext(lines), 10)
                assert (event, data["what"], data["grid"]) == ("alarm", "opened", "xinhe-01")
            for detector in ("d-0002", "d-0003", "d-0004"):
                async with store.transaction() as tx:
                    await smoke(tx, detector)
            async with _stream(url, token, **{"Last-Event-ID": last}) as lines:
                missed = [await asyncio.wait_for(anext(lines), 10) for _ in range(3)]
                assert [int(one[1]) for one in missed] == [int(last) + n for n in (1, 2, 3)]
                assert (await anext(lines))[0] == "heartbeat"
                async with store.transaction() as tx:
                    await silent(tx)
                assert (await asyncio.wait_for(anext(lines), 10))[2]["condition"] == "gateway_silent"


async def test_a_stream_needs_a_token_and_ends_with_the_server(database: str):
    """401 without; a stop does not wait for those who follow."""
    async with opened(database, max_connections=6) as store:
        await fill(store)
        token = await token_for(store, "viewer")
        async with served(store) as url:
            async with httpx.AsyncClient() as http:
                assert (await http.get(f"{url}/api/stream")).status_code == 401
            held = _stream(url, token)
            lines = await held.__aenter__()
            await eventually(lambda: lines is not None)
            assert (await anext(lines))[0] == "heartbeat"
        try:
            rest = [one async for one in lines]
        except httpx.HTTPError:
            rest = []
        assert all(one[0] == "heartbeat" for one in rest)
        await held.__aexit__(None, None, None)
