"""The family and people outside are told, see how it stands, and take nothing."""

from __future__ import annotations

from datetime import timedelta

from central.registry import policies
from central.store import people
from central.store.links import make_link
from tests.harness.town import batch, event, open_town, send
from tests.harness.web import client
from wire.messages import Condition, EventKind

FAMILY = "family:aliyun_voice,aliyun_sms"
POLICY = {
    "steps": [
        {"after_s": 0, "tell": [FAMILY, "worker:office"]},
        {"after_s": 60, "tell": ["grid_primary"]},
        {"after_s": 120, "tell": [FAMILY, "dispatcher"], "parallel": True},
    ],
    "repeat_s": 120,
}


async def test_families_and_outside_numbers_are_told_and_do_not_count_as_reached(database: str) -> None:
    """The next step is done at once; their link shows the place and whether somebody goes, nothing else."""
    town = await open_town(database)
    await town.do("UPDATE resident SET family_name = '小王', family_phone = '139 0000 0000'")
    await town.do(
        "INSERT INTO resident (id, household, name, family_name, family_phone)"
        " VALUES ('r2', 'h1', '王爷爷', '小王', '13900000000'), ('r3', 'h1', '客人', '', '')"
    )
    await town.do("INSERT INTO worker (id, area, name, role) VALUES ('office', 'street', '物业', 'outside')")
    await town.do("INSERT INTO contact VALUES ('office', 0, 'aliyun_sms', '027-82340001')")
    async with town.store.transaction() as tx:
        await policies.save(tx, area=None, grid="g1", severity="life", body=POLICY, by="test")
        played = await policies.simulate(tx, area=None, grid="g1", condition="smoke")
    assert [(line.step, line.worker, line.when) for line in played.lines if not line.repeat] == [
        (1, None, "skipped"),
        (1, "office", "at_once"),
        (2, "primary", "at_once"),
        (3, "desk", "at_once"),
    ]
    await send(town, batch([event(1, EventKind.ASSERT, Condition.SMOKE)]))
    rows = await town.rows("SELECT * FROM delivery ORDER BY step, worker")
    family = rows[0]["worker"]
    assert [(row["step"], row["worker"], row["channel"], row["address"]) for row in rows] == [
        (0, family, "aliyun_voice", "139 0000 0000"),
        (0, "office", "aliyun_sms", "027-82340001"),
        (1, "primary", "console", "primary"),
    ]
    assert family.startswith("family-")
    said = await town.rows("SELECT what, detail FROM alarm_log WHERE what IN ('told', 'skipped') ORDER BY id")
    assert [(line["what"], line["detail"]["step"]) for line in said] == [
        ("told", 0),
        ("skipped", 0),
        ("told", 1),
    ]

    for worker in (family, "office"):
        async with town.store.transaction() as tx:
            (alarm,) = {row["alarm"] for row in rows}
            token = await make_link(tx, (alarm,), worker, None, timedelta(hours=1))
        async with client(town.store) as http:
            page = (await http.get(f"/a/{token}")).text
            assert "501" in page
            assert "王奶奶" not in page
            assert "听力差" not in page
            assert "<form" not in page
            assert (await http.post(f"/a/{token}/acknowledge")).status_code == 404
    (state,) = await town.rows("SELECT acknowledged_by FROM alarm")
    assert state["acknowledged_by"] is None

    await town.do("UPDATE resident SET family_phone = ''")
    async with town.store.transaction() as tx:
        await people.forget_families(tx)
    left = await town.one("SELECT name, active FROM worker WHERE role = 'family'")
    assert (left["name"], left["active"]) == ("-", False)
    assert await town.rows("SELECT FROM contact WHERE worker = %s", family) == []
    await town.store.close()
