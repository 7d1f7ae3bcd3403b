"""Who is watched: the rule that looks at everything at once says what the one for each detector said."""

from __future__ import annotations

import random
from importlib import resources

import psycopg

from tests.harness.town import found

CONDITIONS = (
    *("no_response", "removed", "isolated", "muted", "fault", "smoke"),
    *("bus_down", "bus_stuck", "events_stuck"),
)


def test_who_is_watched_is_judged_as_before_in_any_state_of_things(database: str) -> None:
    """Random sources, leases, alarms and readings; the former function beside the present one."""
    chance = random.Random(1)
    found(database)
    former = (resources.files("central.store") / "migrations" / "0009_series.sql").read_text("utf-8")
    former = former[former.index("CREATE OR REPLACE FUNCTION watch") :].replace("watch(", "former_watch(")
    seen: set[str] = set()
    with psycopg.connect(database, autocommit=True) as db:
        db.execute(former.encode())
        db.execute("INSERT INTO series (gateway, detector) VALUES ('gw-1', 'det-1'), ('gw-1', 'det-2')")
        for _ in range(300):
            _shuffle(db, chance)
            answers = [
                db.execute(f"SELECT * FROM {name}(now()) ORDER BY detector".encode()).fetchall()
                for name in ("watch", "former_watch")
            ]
            assert answers[0] == answers[1]
            seen |= {row[-1] for row in answers[0]}
    assert seen == {"watched", "unwatched", "alarm"}


def _shuffle(db: psycopg.Connection, chance: random.Random) -> None:
    db.execute("TRUNCATE source, readings")
    db.execute("DELETE FROM alarm")
    for gateway in ("gw-1", "gw-2"):
        for part in ("", "bus:bus-1", "det-1", "det-2"):
            for condition in chance.sample(CONDITIONS, chance.randrange(5)):
                state = chance.choice(("absent", "absent", "present", "unknown"))
                db.execute(
                    "INSERT INTO source VALUES (%s, %s, %s, %s, 's', 1, now() - make_interval(days => %s))",
                    (gateway, part, condition, state, chance.choice((1, 500))),
                )
    db.execute(
        "UPDATE lease SET heard_at = now() - make_interval(secs => %s), silent_since = %s, status = %s",
        (chance.choice((1, 1, 100)), None if chance.random() < 0.9 else "2026-01-01", '{"online": true}'),
    )
    for series in (1, 2):
        if chance.random() < 0.4:
            db.execute(
                "INSERT INTO readings (at, received_at, series, smoke)"
                " VALUES (now() - make_interval(mins => %s), now(), %s, %s)",
                (chance.choice((1, 20)), series, chance.choice((None, 0.5))),
            )
    if chance.random() < 0.3:
        db.execute(
            "INSERT INTO alarm (condition, severity, area, gateway, part, state, opened_at, event_at)"
            " VALUES ('smoke', %s, 'street', 'gw-1', 'det-1', 'active_unacknowledged', now(), now())",
            (chance.choice(("life", "care")),),
        )
