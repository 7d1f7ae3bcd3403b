"""Questions over HTTP: answers, pages, limits, who may; exports as files."""

from __future__ import annotations

import asyncio
import csv
import io
from collections.abc import AsyncIterator
from datetime import datetime, timedelta

import httpx
import pytest
from pyarrow import parquet

from central.store import audit
from central.store.pool import Store
from tests.harness.rolled import BEGAN, then
from tests.harness.web import client, token_for
from tests.integration.test_questions import fill, town

RANGE = {"from": (BEGAN - timedelta(days=1)).isoformat(), "to": (BEGAN + timedelta(days=5)).isoformat()}


@pytest.fixture
async def store(database: str) -> AsyncIterator[Store]:
    await asyncio.to_thread(town, database)
    made = Store(database, max_connections=4, clock_shift=then)
    await made.open()
    await fill(made, 9)
    yield made
    await made.close()


async def test_every_question_is_answered_to_whoever_may_look(store: Store) -> None:
    """A viewer sees measurements, states, figures; nothing personal is in any answer."""
    async with client(store, await token_for(store, "viewer")) as http:
        series = await get(http, "detectors/det-1/series", points=50, **RANGE)
        assert (series["source"], series["width_s"]) == ("hour", 10_800)
        assert {"at", "n", "smoke", "temperature", "battery", "contamination", "status_bits"} == set(
            series["points"][0]
        )
        assert series["gaps"]
        assert series["lost"] == [{"gateway": "gw-1", "noted_at": iso(BEGAN), "rows": 5}]
        trend = await get(http, "detectors/det-1/trend", **RANGE)
        assert [day["day"][11:19] for day in trend["days"]][:1] == ["16:00:00"]
        first = await get(http, "state", grid="g1", limit=1)
        second = await get(http, "state", grid="g1", limit=1, after=first["next_after"])
        assert [page["detectors"][0]["detector"] for page in (first, second)] == ["det-1", "det-2"]
        fleet = await get(http, "fleet")
        assert (fleet["fleet"]["detectors"], fleet["fleet"]["gateways"], len(fleet["gateways"])) == (2, 2, 2)
        uptime = await get(http, "uptime", **RANGE)
        assert [part["id"] for part in uptime["parts"]] == ["det-1", "det-2"]
        assert 0 < uptime["parts"][0]["ratio"] < 1
        gateways = await get(http, "uptime", of="gateways", **RANGE)
        assert [part["outages"] for part in gateways["parts"]] == [1, 0]
        everything = str([series, trend, first, second, fleet, uptime])
        assert "王奶奶" not in everything
        assert "138000" not in everything


async def test_what_cannot_be_asked_is_refused_with_words(store: Store) -> None:
    """No zone, the wrong way round, too long, nobody's detector, too many points, no token, another role."""
    async with client(store, await token_for(store, "viewer")) as http:
        for path, more, status in (
            ("detectors/det-1/series", {"from": "2026-03-01T00:00:00", "to": RANGE["to"]}, 400),
            ("detectors/det-1/series", {"from": RANGE["to"], "to": RANGE["from"]}, 400),
            ("detectors/det-1/series", {"from": "1995-01-01T00:00:00Z", "to": RANGE["to"]}, 400),
            ("detectors/det-1/series", {**RANGE, "points": 5000}, 422),
            ("detectors/nobody/series", RANGE, 404),
            ("detectors/nobody/trend", RANGE, 404),
            ("uptime", {"from": "2020-01-01T00:00:00Z", "to": RANGE["to"]}, 400),
            ("state", {"limit": 5000}, 422),
            ("export", {**RANGE, "grid": "g1"}, 403),
        ):
            answer = await http.get(f"/api/v1/{path}", params=more)
            assert answer.status_code == status, (path, more, answer.text)
            assert {"error", "zh", "mend"} <= set(answer.json())
    async with client(store, None) as http:
        assert (await http.get("/api/v1/fleet")).status_code == 401


async def test_an_export_is_every_reading_of_the_range_and_on_record(store: Store) -> None:
    """As CSV that a spreadsheet opens; each export is a row of the audit log."""
    async with client(store, await token_for(store, "dispatcher", name="desk-1")) as http:
        answer = await http.get("/api/v1/export", params={**RANGE, "grid": "g1"})
        assert answer.status_code == 200
        assert answer.headers["content-type"] == "text/csv; charset=utf-8"
        assert answer.headers["content-disposition"] == 'attachment; filename="readings-g1.csv"'
        rows = list(csv.DictReader(io.StringIO(answer.text)))
        one = await http.get("/api/v1/export", params={**RANGE, "detector": "det-2"})
        for more in ({}, {"grid": "g1", "detector": "det-1"}):
            assert (await http.get("/api/v1/export", params={**RANGE, **more})).status_code == 400
    async with store.transaction() as tx:
        stored = await tx.conn.execute(
            "SELECT detector, at, smoke FROM readings JOIN series ON id = series ORDER BY detector, at, smoke"
        )
        expected = await stored.fetchall()
        noted = await audit.about(tx, "grid:g1")
    told = sorted((row["detector"], datetime.fromisoformat(row["at"]), row["smoke"]) for row in rows)
    assert [(row[0], row[1]) for row in told] == [(row["detector"], row["at"]) for row in expected]
    assert sorted(float(row[2]) for row in told if row[2]) == sorted(
        row["smoke"] for row in expected if row["smoke"] is not None
    )
    assert {row["detector"] for row in csv.DictReader(io.StringIO(one.text))} == {"det-2"}
    assert [(row["who"], row["action"]) for row in noted] == [("desk-1", "export_readings")]


async def test_an_export_as_parquet_holds_the_same_rows_as_the_csv(store: Store) -> None:
    """A row group a piece, one file; times in UTC, nulls stay null."""
    async with client(store, await token_for(store, "administrator")) as http:
        as_csv = await http.get("/api/v1/export", params={**RANGE, "gateway": "gw-1"})
        answer = await http.get("/api/v1/export", params={**RANGE, "gateway": "gw-1", "as": "parquet"})
    assert answer.headers["content-type"] == "application/vnd.apache.parquet"
    table = parquet.read_table(io.BytesIO(answer.content)).to_pylist()
    rows = list(csv.DictReader(io.StringIO(as_csv.text)))
    assert [(row["detector"], row["at"], row["smoke"], row["status"]) for row in table] == [
        (
            row["detector"],
            datetime.fromisoformat(row["at"]),
            float(row["smoke"]) if row["smoke"] else None,
            int(row["status"]) if row["status"] else None,
        )
        for row in rows
    ]
    assert len({row["at"].date() for row in table}) > 2


async def get(http: httpx.AsyncClient, path: str, **params: object) -> dict:
    answer = await http.get(f"/api/v1/{path}", params=params)
    assert answer.status_code == 200, answer.text
    return answer.json()


def iso(at: datetime) -> str:
    return at.isoformat().replace("+00:00", "Z")
