"""Characters that no text can hold, in every text of every body: refused in words."""

from __future__ import annotations

import json
from collections.abc import Iterator
from datetime import timedelta
from typing import Any

import httpx
import pytest

from tests.harness.street import fill, opened, smoke
from tests.harness.web import client, token_for

SOON = timedelta(hours=1)
STRANGE = {"U+0000": "\x00", "half a surrogate pair": "\ud800"}
POLICY = {
    "steps": [
        {"after_s": 0, "tell": ["grid_primary"]},
        {"after_s": 60, "tell": ["dispatcher", "worker:w-he"]},
    ],
    "repeat_s": 120,
    "disposition_after_s": 1200,
}
WORKER = {
    "id": "w-new",
    "area": "danshuichi",
    "name": "新人",
    "role": "grid_worker",
    "phone": "13800000199",
    "community": "xinhe",
    "language": "zh",
    "primary_grids": ["xinhe-01"],
    "backup_grids": ["xinhe-02"],
    "contacts": [{"channel": "webhook", "address": "13800000199"}],
}
PLACEMENT = {"household": "xh-b1-301", "gateway": "gw-xh-1", "bus": "line-1", "unit": 9, "spot": "厨房"}
RESIDENT = {
    "id": "r-new",
    "household": "xh-b1-301",
    "name": "老人",
    "phone": "82340009",
    "needs": "听力",
    "family_name": "女儿",
    "family_phone": "13900000000",
}
WINDOW = {"kind": "maintenance", "detectors": ["d-0001"], "why": "换电池", "person": "w-zhang"}
GOOD: dict[str, Any] = {
    "POST /api/areas": {"id": "new", "name": "新街道"},
    "POST /api/communities": {"id": "new", "area": "danshuichi", "name": "新社区"},
    "POST /api/grids": {"id": "new", "community": "xinhe", "name": "新网格"},
    "POST /api/buildings": {"id": "new", "grid": "xinhe-01", "name": "9栋", "address": "新河路9号"},
    "POST /api/households": {"id": "new", "building": "xh-b1", "room": "901", "unit": "1单元"},
    "POST /api/residents": RESIDENT,
    "POST /api/workers": WORKER,
    "POST /api/gateways": {"id": "gw-new", "area": "danshuichi", "name": "新网关", "building": "xh-b1"},
    "POST /api/buses": {"gateway": "gw-xh-1", "id": "line-9", "address": "/dev/ttyUSB9", "parity": "N"},
    "POST /api/detectors": {"id": "d-new", "profile": "smokewatch-reference", "serial_number": "SW-9"},
    "POST /api/detectors/d-0006/placements": {"placement": PLACEMENT},
    "PUT /api/v1/policies": {"severity": "life", "policy": POLICY, "area": "danshuichi"},
    "POST /api/v1/policies/simulate": {"condition": "smoke", "policy": POLICY, "grid": "xinhe-01"},
    "POST /api/v1/leaves": {
        "worker": "w-zhang",
        "begins": "2030-01-01T00:00+08:00",
        "ends": "2030-01-02T00:00+08:00",
        "substitute": "w-li",
    },
    "POST /api/v1/shifts": {
        "worker": "w-zhang",
        "duty": "grid_primary",
        "grid": "xinhe-01",
        "from_day": "2030-01-01",
        "begins": "08:00",
        "ends": "20:00",
    },
    "POST /api/v1/windows": {**WINDOW, "begins": None, "ends": "{soon}"},
    "POST /api/alarms/{alarm}/acknowledge": {},
    "POST /api/alarms/{alarm}/offer": {"to": "w-li", "remark": "请代我去"},
    "POST /api/alarms/{alarm}/close": {"disposition": "false_alarm", "cause": "cooking", "remark": "炒菜"},
}


def spoilt(body: Any, character: str) -> Iterator[Any]:
    """The body again and again, each time with another of its texts holding the character."""
    match body:
        case str():
            yield body[:1] + character + body[1:]
        case dict():
            for key, value in body.items():
                yield from ({**body, key: other} for other in spoilt(value, character))
        case list():
            for number, value in enumerate(body):
                yield from (
                    [*body[:number], other, *body[number + 1 :]] for other in spoilt(value, character)
                )


@pytest.mark.parametrize("character", STRANGE.values(), ids=STRANGE)
async def test_a_character_that_no_text_can_hold_is_refused_in_words(database: str, character: str) -> None:
    """Each body is taken as it is, so that what refuses the spoilt ones is the character."""
    async with opened(database) as store:
        await fill(store)
        async with store.transaction() as tx:
            soon = (tx.now.replace(microsecond=0) + SOON).isoformat()
            alarm = await smoke(tx)
        async with client(store, await token_for(store, "administrator", worker="w-he")) as http:
            for where, body in GOOD.items():
                method, path = where.replace("{alarm}", str(alarm)).split()
                body = json.loads(json.dumps(body).replace("{soon}", soon))
                for wrong in spoilt(body, character):
                    answer = await _send(http, method, path, wrong)
                    assert answer.status_code in (400, 404, 409, 422), (where, wrong, answer.text)
                    assert {"error", "zh", "mend"} <= set(answer.json()), (where, wrong)
                answer = await _send(http, method, path, body)
                assert answer.status_code == 200, (where, answer.text)


async def _send(http: httpx.AsyncClient, method: str, path: str, body: Any) -> httpx.Response:
    headers = {"Content-Type": "application/json"}
    return await http.request(method, path, content=json.dumps(body), headers=headers)
