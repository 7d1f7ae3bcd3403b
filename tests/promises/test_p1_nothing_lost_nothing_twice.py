"""P1: whatever is killed, every recorded event is stored once, and every smoke alarm is delivered."""

from __future__ import annotations

import os
import random
import time

import pytest

from tests.harness.wait import eventually_now
from tests.harness.whole import Whole, whole_system

SEED = int(os.environ.get("SMOKEWATCH_SEED", "20261124"))
SHORT_KILLS = 10
SOAK_KILLS = int(os.environ.get("SMOKEWATCH_SOAK_LOOPS", "200"))


def test_random_kills_lose_no_event_and_no_alarm() -> None:
    """Ten random kill -9 over agent, broker, ingest, worker, jobs and database while detectors flip."""
    _kill_loop(SHORT_KILLS, SEED)


@pytest.mark.soak
def test_two_hundred_random_kills_lose_no_event_and_no_alarm() -> None:
    """The same with the full count."""
    _kill_loop(SOAK_KILLS, SEED + 1)


def _kill_loop(kills: int, seed: int) -> None:
    rng = random.Random(seed)
    with whole_system(gateways=2) as whole:
        whole.watching()
        on = dict.fromkeys(whole.detectors, False)
        done: dict[str, int] = {}
        for victim in _victims(kills, rng):
            done[victim] = done.get(victim, 0) + 1
            _flip_some(whole, rng, on)
            _let_run(rng)
            _kill(whole, victim)
            _flip_some(whole, rng, on)
            _let_run(rng)
            _revive(whole, victim)
        _let_all_burn_and_end(whole, on)
        whole.settled()
        events = whole.all_stored_once()
        print(f"kills {done}, events {events}, messages {len(whole.phone.messages())}")
        assert events > kills
        _every_smoke_alarm_was_delivered(whole)


def _victims(kills: int, rng: random.Random) -> list[str]:
    """Everybody in turn, in an order that chance makes."""
    order: list[str] = []
    while len(order) < kills:
        round_ = ["gw-1", "gw-2", "broker", "ingest", "worker", "jobs", "database"]
        rng.shuffle(round_)
        order += round_
    return order[:kills]


def _flip_some(whole: Whole, rng: random.Random, on: dict[str, bool]) -> None:
    flipped, pressed, broken = rng.sample(sorted(on), 3)
    on[flipped] = not on[flipped]
    whole.sim("flip", flipped, on=on[flipped])
    whole.sim("press_test", pressed, seconds=2)
    whole.sim(rng.choice(["break", "repair"]), broken)


def _let_run(rng: random.Random) -> None:
    # Real processes at work between two kills; how far they get is what the seed cannot fix.
    time.sleep(rng.uniform(0.0, 0.8))


def _kill(whole: Whole, victim: str) -> None:
    if victim == "broker":
        whole.broker.kill9()
    elif victim == "database":
        whole.database.kill9()
    else:
        whole.system.kill9(victim)


def _revive(whole: Whole, victim: str) -> None:
    if victim == "broker":
        whole.broker.start()
    elif victim == "database":
        whole.database.start()
    else:
        whole.system.start(victim)


def _let_all_burn_and_end(whole: Whole, on: dict[str, bool]) -> None:
    """A last alarm of every detector, so that each one's way is shown to work at the end."""
    for detector in on:
        whole.sim("flip", detector, on=True)
    eventually_now(
        lambda: all(whole.smoke(detector) for detector in on), 60, "every detector's smoke is an alarm"
    )


def _every_smoke_alarm_was_delivered(whole: Whole) -> None:
    def undelivered() -> list[int]:
        told = {alarm for message in whole.phone.messages() for alarm in message.body.get("alarms", ())}
        alarms = whole.rows("SELECT id FROM alarm WHERE condition = 'smoke' ORDER BY id")
        return [row["id"] for row in alarms if row["id"] not in told]

    eventually_now(lambda: not undelivered(), 60, "every smoke alarm has reached the telephone")
    burning = whole.rows("SELECT part FROM alarm WHERE condition = 'smoke' AND state <> 'closed'")
    assert len(burning) == len({row["part"] for row in burning}), "two open alarms of one detector"
