"""The registry over HTTP: an installer's work, who may see whom, imports, limits; on a real database."""

from __future__ import annotations

from collections.abc import AsyncIterator

import httpx
import pytest

from central.api import create_app
from central.registry.watching import read_config
from central.store import audit
from central.store import registry as rows
from central.store.pool import Store
from central.store.tokens import revoke_token
from tests.harness.street import EXAMPLES, fill, opened
from tests.harness.web import client, token_for


async def test_an_installer_registers_a_gateway_and_its_detectors(database: str):
    """Gateway, line, home, detector, placement; the configuration is wanted at once."""
    async with opened(database) as store:
        await fill(store)
        async with client(store, await token_for(store, "installer", worker="w-tech")) as http:
            steps = [
                ("gateways", {"id": "gw-new", "area": "danshuichi", "name": "新网关"}),
                ("buses", {"gateway": "gw-new", "id": "l-1", "address": "/dev/ttyUSB0"}),
                ("households", {"id": "h-new", "building": "xh-b2", "room": "502", "floor": 5}),
                ("detectors", {"id": "d-new", "profile": "smokewatch-reference"}),
            ]
            for path, body in steps:
                answer = await http.post(f"/api/{path}", json=body)
                assert answer.status_code == 200, answer.text
            place = {"household": "h-new", "gateway": "gw-new", "bus": "l-1", "unit": 7, "spot": "厨房"}
            answer = await http.post("/api/detectors/d-new/placements", json={"placement": place})
            assert answer.json() == {"id": "d-new", "reconfigured": ["gw-new"]}
            listed = (await http.get("/api/gateways", params={"after": "gw-m"})).json()["rows"]
            assert [(row["id"], row["detectors"], row["config_version"]) for row in listed] == [
                ("gw-new", 1, 3), ("gw-xh-1", 4, 1),
            ]  # fmt: skip
            places = (await http.get("/api/detectors/d-new/placements")).json()["rows"]
            assert (places[0]["unit"], places[0]["to_at"]) == (7, None)
            gone = await http.post("/api/detectors/d-new/placements", json={"placement": None})
            assert gone.json()["reconfigured"] == ["gw-new"]
        async with store.transaction() as tx:
            config = read_config((await rows.latest_config(tx, "gw-new"))["body"])
            noted = await audit.about(tx, "gateway:gw-new")
        assert config.buses[0].detectors == []
        assert (noted[0]["who"], noted[0]["from_where"][:11]) == ("w-tech", "203.0.113.9")


async def test_an_installer_cannot_read_or_write_residents(database: str):
    """Personal data is for the desk; the refusal says which roles may."""
    async with opened(database) as store:
        await fill(store)
        async with client(store, await token_for(store, "installer")) as http:
            for answer in (
                await http.get("/api/residents"),
                await http.get("/api/workers"),
                await http.post("/api/residents", json={"id": "r", "household": "xh-b1-301", "name": "x"}),
                await http.post("/api/imports", files=[("files", ("areas.csv", b"id,name\n"))]),
            ):
                assert answer.status_code == 403
                assert "may not do this" in answer.json()["error"]
            everything = [
                (await http.get(f"/api/{path}")).text
                for path in (
                    "gateways",
                    "detectors",
                    "households",
                    "areas",
                    "communities",
                    "grids",
                    "buildings",
                )
            ]
            assert not any("王桂兰" in text or "82340001" in text for text in everything)


async def test_every_resident_that_is_shown_is_a_row_of_the_audit_log(database: str):
    """Who looked, at whom, from where."""
    async with opened(database) as store:
        await fill(store)
        async with client(store, await token_for(store, "dispatcher", name="desk-1")) as http:
            seen = (await http.get("/api/residents", params={"household": "xh-b1-301"})).json()["rows"]
            assert [person["name"] for person in seen] == ["王桂兰"]
            await http.get("/api/residents", params={"limit": 2})
        async with store.transaction() as tx:
            first = await audit.about(tx, "resident:r-1001")
            second = await audit.about(tx, "resident:r-1002")
            third = await audit.about(tx, "resident:r-1003")
        assert [(row["who"], row["action"]) for row in first] == [("desk-1", "look_at_resident")] * 2
        assert (len(second), len(third)) == (1, 0)


async def test_without_a_valid_token_nothing_is_told(database: str):
    """None, nonsense, revoked: 401 with the same words."""
    async with opened(database) as store:
        token = await token_for(store, "administrator", name="old")
        async with store.transaction() as tx:
            await revoke_token(tx, "old")
        for given in (None, "nonsense", "swt_" + "x" * 43, token):
            async with client(store, given) as http:
                answer = await http.get("/api/gateways")
                assert answer.status_code == 401
                assert set(answer.json()) == {"error", "zh", "mend"}
                assert answer.headers["www-authenticate"] == "Bearer"


async def test_what_is_wrong_is_said_with_the_mend(database: str):
    """Bad fields, wrong types, missing parents, held addresses, unknown ids, unreadable bodies."""
    async with opened(database) as store:
        await fill(store)
        async with client(store, await token_for(store, "administrator")) as http:
            held = {"household": "xh-b1-301", "gateway": "gw-xh-1", "bus": "line-1", "unit": 2}
            cases = [
                ("areas", {"id": "A B", "name": "x"}, 422, "id: 'A B' is not an id"),
                ("areas", {"id": "a"}, 422, "name: Field required"),
                ("grids", {"id": "g", "community": "none", "name": "x"}, 404, "there is no community 'none'"),
                ("detectors", {"id": "d", "profile": "none"}, 422, "no device profile 'none'"),
                ("detectors/d-0006/placements", {"placement": held}, 409, "held by detector d-0002"),
                ("detectors/none/placements", {"placement": held}, 404, "there is no detector 'none'"),
                ("detectors/d-0006/placements", {"placement": None}, 404, "hangs nowhere"),
                ("workers", {"id": "w", "area": "danshuichi", "name": "x", "role": "boss"}, 422, "role"),
            ]
            for path, body, status, words in cases:
                answer = await http.post(f"/api/{path}", json=body)
                assert answer.status_code == status, (path, answer.text)
                assert words in answer.json()["error"]
                assert answer.json()["zh"]
                assert answer.json()["mend"]
            broken = await http.post("/api/areas", content=b"{", headers={"content-type": "application/json"})
            assert (broken.status_code, set(broken.json()) >= {"error", "zh", "mend"}) == (422, True)
            missing = await http.get("/api/nothing")
            assert (missing.status_code, missing.json()["zh"]) == (404, "没有找到")


async def test_hostile_addresses_are_refused_before_the_database_is_asked(database: str):
    """NUL bytes, numbers past the end, statements, foreign letters: 422, never a fault."""
    async with opened(database) as store, client(store, await token_for(store, "administrator")) as http:
        for path in (
            "/api/detectors?after=%00",
            "/api/residents?household=%00",
            "/api/residents?resident=x'%20OR%201=1",
            "/api/detectors/%00/placements",
            "/api/alarms?before=99999999999999999999",
            "/api/alarms/99999999999999999999",
            "/api/events?after=99999999999999999999",
            "/api/households?limit=100000",
        ):
            answer = await http.get(path)
            assert answer.status_code in {404, 422}, path
            assert answer.json()["mend"]
        body = {"id": "a", "name": "x\u0000"}
        assert (await http.post("/api/areas", json=body)).status_code == 422


async def test_a_fault_of_our_own_is_answered_in_the_same_shape(database: str):
    """No traceback for the asker."""
    async with opened(database) as store:
        app = create_app(store)

        @app.get("/api/fault")
        async def fault() -> None:
            raise RuntimeError("secret")

        transport = httpx.ASGITransport(app, raise_app_exceptions=False)
        async with httpx.AsyncClient(transport=transport, base_url="http://centre") as http:
            answer = await http.get("/api/fault")
        assert (answer.status_code, set(answer.json())) == (500, {"error", "zh", "mend"})
        assert "secret" not in answer.text


async def test_files_are_imported_all_or_nothing(database: str):
    """A rehearsal, a bad row with its line, the real thing."""
    files = [("files", (path.name, path.read_bytes())) for path in sorted(EXAMPLES.glob("*.csv"))]
    async with opened(database) as store, client(store, await token_for(store, "administrator")) as http:
        dry = await http.post("/api/imports", files=files, params={"dry_run": True})
        assert dry.json()["saved"]["detectors.csv"] == 6
        assert (await http.get("/api/areas")).json()["rows"] == []
        bad = [one for one in files if one[1][0] != "grids.csv"]
        bad.append(("files", ("grids.csv", b"id,community,name\ng-1,none,x\n")))
        refused = await http.post("/api/imports", files=bad)
        assert refused.status_code == 422
        assert refused.json()["problems"][0]["place"] == "grids.csv:2, community"
        twice = await http.post("/api/imports", files=[*files, files[0]])
        assert (twice.status_code, twice.json()["problems"][0]["what"]) == (422, "was given twice")
        done = await http.post("/api/imports", files=files)
        assert done.json()["reconfigured"] == ["gw-ja-1", "gw-xh-1"]
        assert len((await http.get("/api/detectors")).json()["rows"]) == 6


async def test_a_request_that_is_too_large_is_refused_early(database: str):
    """1 MB, announced or streamed; an import may be larger."""

    async def endless() -> AsyncIterator[bytes]:
        for _ in range(30):
            yield b"x" * 50_000

    async with opened(database) as store:
        token = await token_for(store, "administrator")
        async with client(store, token) as http:
            kind = {"content-type": "application/json"}
            for content in (b"x" * 1_000_001, endless()):
                answer = await http.post("/api/areas", content=content, headers=kind)
                assert answer.status_code == 413
            large = b"id,name\n" + b"a,x\n" * 400_000
            answer = await http.post("/api/imports", files=[("files", ("areas.csv", large))])
            assert answer.status_code == 422
            assert "more problems" in answer.text


async def test_pages_of_a_list_join_without_a_hole(database: str):
    """`next_after` leads through all rows."""
    async with opened(database) as store:
        await fill(store)
        async with client(store, await token_for(store, "viewer")) as http:
            found, after = [], ""
            while after is not None:
                answer = (await http.get("/api/households", params={"after": after, "limit": 2})).json()
                found += [row["id"] for row in answer["rows"]]
                after = answer["next_after"]
        assert found == sorted(found)
        assert len(found) == 5


@pytest.mark.parametrize("path", ["/healthz", "/readyz", "/metrics"])
async def test_machines_can_ask_how_it_is(database: str, path: str):
    """Health and figures need no token."""
    async with opened(database) as store, client(store) as http:
        answer = await http.get(path)
        assert answer.status_code == 200
        assert ("smokewatch_events_stored" in answer.text) is (path == "/metrics")


async def test_a_database_that_is_gone_is_said_plainly():
    """503 for machines, a page for people, and healthz stays 200: a restart would mend nothing."""
    store = Store("host=127.0.0.1 port=1 connect_timeout=1")
    async with client(store, "swt_x") as http:
        answer = await http.get("/api/gateways")
        assert (answer.status_code, answer.json()["zh"]) == (503, "服务暂时不可用")
        page = await http.get("/")
        assert page.status_code == 503
        assert "119" in page.text
        assert (await http.get("/readyz")).json()["parts"]["database"] == "does not answer"
        assert (await http.get("/healthz")).status_code == 200
