"""A sensor that is dead without saying so."""

from __future__ import annotations

from dataclasses import replace

import pytest

from central.trends import Bucket, End, Finding, Metric, Peer, Rule, judge_detector
from tests.harness.trend_made import by_day, day, history, lived

STILL = Bucket(day(0), 0.12, 0.12, 0.12, 24)


def moving(first: int, last: int) -> list[Bucket]:
    return by_day({n: 0.2 + n % 5 / 100 for n in range(first, last)}, 0.06)


def still(first: int, last: int) -> list[Bucket]:
    return [STILL._replace(day=day(n)) for n in range(first, last)]


def stuck(
    buckets: list[Bucket], today: int, peers: list[Peer] | None = None, metric: Metric = Metric.SMOKE
) -> Finding | None:
    others = {metric: [Peer(10, 9)] * 6 if peers is None else peers}
    return judge_detector(history({metric: buckets}, peers=others), {}, day(today)).get(Rule.SENSOR_STUCK)


@pytest.mark.parametrize("metric", [Metric.SMOKE, Metric.TEMPERATURE])
def test_a_value_that_stopped_is_found_after_ten_days(metric: Metric) -> None:
    """It moved for weeks, others still do; the words say since when and at what."""
    buckets = moving(0, 30) + still(30, 60)
    assert stuck(buckets, 37, metric=metric) is None
    found = stuck(buckets, 41, metric=metric)
    assert found is not None
    assert (found.metric, found.began) == (metric, day(30))
    assert "0.12" in found.text.zh
    assert "0.12" in found.text.en


def test_when_the_others_stand_still_too_it_is_the_weather_or_the_gateway() -> None:
    """A common cause is no dead sensor."""
    assert stuck(moving(0, 30) + still(30, 60), 45, [Peer(10, 0)] * 6) is None


def test_a_coarse_value_in_clean_air_stands_still_by_nature() -> None:
    """Neither its own past nor its peers move."""
    assert stuck(still(0, 60), 60, [Peer(10, 1)] * 30) is None


def test_few_peers_or_peers_without_data_prove_nothing() -> None:
    """One neighbour is no comparison."""
    buckets = moving(0, 30) + still(30, 60)
    assert stuck(buckets, 45, [Peer(10, 10)] * 4) is None
    assert stuck(buckets, 45, [Peer(2, 2)] * 40) is None


def test_dead_from_the_first_day_needs_many_peers_who_all_move() -> None:
    """Without a past of its own the comparison must be strict."""
    assert stuck(still(0, 20), 20, [Peer(10, 10)] * 19) is None
    assert stuck(still(0, 20), 20, [*[Peer(10, 10)] * 24, Peer(10, 1)]) is None
    assert stuck(still(0, 20), 20, [Peer(10, 10)] * 20) is not None


def test_more_moving_peers_never_lose_it() -> None:
    """Evidence only adds."""
    buckets = moving(0, 30) + still(30, 60)
    assert all(stuck(buckets, 45, [Peer(10, 10)] * count) is not None for count in range(5, 60, 5))


def test_one_day_that_moved_or_another_value_is_enough_against_it() -> None:
    """A dead sensor does not twitch."""
    buckets = moving(0, 30) + still(30, 60)
    buckets[41] = buckets[41]._replace(high=0.14, mean=0.13)
    assert stuck(buckets, 45) is None
    jumped = moving(0, 30) + still(30, 40) + [b._replace(low=0.2, high=0.2, mean=0.2) for b in still(40, 60)]
    assert stuck(jumped, 45) is None


def test_a_gap_is_not_stillness() -> None:
    """Days without data are not days without movement."""
    assert stuck(moving(0, 30) + still(30, 36), 45) is None


def test_it_is_over_when_the_value_moves_again_but_not_for_one_twitch() -> None:
    """Two of three days."""
    buckets = moving(0, 30) + still(30, 60) + moving(60, 70)
    peers = {Metric.SMOKE: [Peer(10, 10)] * 6}

    def made(number: int):
        return history({Metric.SMOKE: [b for b in buckets if b.day < day(number)]}, peers=peers)

    findings = [found.get(Rule.SENSOR_STUCK) for found in lived(made, range(35, 70))]
    ended = next(one for one in findings if one is not None and not one.open)
    assert ended.ended is not None
    assert (ended.ended.why, ended.ended.on) == (End.VARIES_AGAIN, day(60))
    held = [one for one in findings[: findings.index(ended)] if one is not None]
    assert held[-1].last == day(59)
    assert len({one.since for one in held}) == 1
    assert findings[-1] is None


def test_another_detector_ends_it() -> None:
    """The dead one is gone."""
    buckets = moving(0, 30) + still(30, 60)
    found = stuck(buckets, 45)
    assert found is not None
    fresh = replace(history({Metric.SMOKE: buckets}), fitted_on=day(50))
    after = judge_detector(fresh, {Rule.SENSOR_STUCK: found}, day(51))[Rule.SENSOR_STUCK]
    assert after.ended is not None
    assert after.ended.why is End.DETECTOR_REPLACED
