"""The words and numbers of the rules fit together."""

from __future__ import annotations

from enum import StrEnum

import pytest

from central.trends import End, Metric, Thresholds, Urgency
from central.trends.words import END, METRIC, URGENCY

DEFAULTS = Thresholds()


@pytest.mark.parametrize(("kinds", "words"), [(End, END), (Metric, METRIC), (Urgency, URGENCY)])
def test_everything_has_words_in_both_languages(kinds: type[StrEnum], words: dict) -> None:
    """Nobody reads an identifier."""
    assert set(words) == set(kinds)
    for said in words.values():
        assert said.zh
        assert not said.zh.isascii()
        assert said.en
        assert said.en.isascii()


@pytest.mark.parametrize("rule", [DEFAULTS.contamination, DEFAULTS.battery, DEFAULTS.clock])
def test_a_finding_cannot_be_raised_and_calm_on_the_same_day(rule) -> None:
    """Otherwise it would flap."""
    assert rule.calm_ratio > 1
    assert rule.soon_days < rule.horizon_days
    assert max(rule.windows) <= DEFAULTS.history_days
    assert all(days * rule.per_day * rule.coverage >= 2 for days in rule.windows)


def test_noise_that_ends_is_far_from_noise_that_begins() -> None:
    """Otherwise it would flap."""
    noise = DEFAULTS.noise
    assert noise.quiet_most < noise.at_least
    assert noise.quiet_days > noise.days
    assert noise.quiet_known > noise.quiet_most
