"""A policy as it is written down: what is wrong is told with its place and its mend; what passes is safe."""

from __future__ import annotations

import json
from datetime import time, timedelta
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.engine.book import BUILT_IN, Book
from central.engine.model import Condition, Severity
from central.engine.policy import CARE, LIFE, UNWATCHED, Quiet, Target, family_channels, policy_for
from central.engine.policy_body import LIFE_GAP_S, MAX_BYTES, MAX_STEPS, PolicyError, read, write

LIFE_BODY: dict[str, Any] = {
    "steps": [
        {"after_s": 0, "tell": ["grid_primary", "worker:w-li"], "parallel": True},
        {"after_s": 60, "tell": ["dispatcher"]},
    ],
    "repeat_s": 120,
}
CARE_BODY: dict[str, Any] = {
    "steps": [{"after_s": 0, "tell": ["community_lead"]}],
    "quiet": {"from": "22:00", "to": "07:30"},
}


def places(body: Any, severity: Severity = Severity.LIFE) -> list[str]:
    with pytest.raises(PolicyError) as refused:
        read(body, severity)
    assert all(one.zh and one.mend and one.what for one in refused.value.faults)
    return [one.place for one in refused.value.faults]


@pytest.mark.parametrize("policy", [LIFE, UNWATCHED, CARE])
def test_the_built_in_policies_obey_the_rules_and_are_read_as_they_are_written(policy: Any) -> None:
    """What `policy show` prints can be saved again as it is."""
    severity = {LIFE: Severity.LIFE, UNWATCHED: Severity.UNWATCHED, CARE: Severity.CARE}[policy]
    assert read(json.dumps(write(policy)).encode(), severity) == policy


def test_what_a_life_policy_leaves_out_after_the_acknowledgement_is_as_built_in() -> None:
    """The deadline for the disposition and the second look cannot be forgotten."""
    policy = read(LIFE_BODY, Severity.LIFE)
    assert (policy.disposition_after, policy.still_active_after) == (
        timedelta(minutes=30),
        timedelta(minutes=20),
    )
    assert policy.disposition_targets == (Target.DISPATCHER,)
    assert policy.at(0).parallel
    assert read(write(policy), Severity.LIFE) == policy


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"repeat_s": None}, "repeat_s"),
        ({"repeat_s": 5}, "repeat_s"),
        ({"repeat_s": LIFE_GAP_S + 1}, "repeat_s"),
        ({"quiet": {"from": "22:00", "to": "07:00"}}, "quiet"),
        ({"steps": []}, "steps"),
        ({"steps": [{"after_s": n, "tell": ["dispatcher"]} for n in range(MAX_STEPS + 1)]}, "steps"),
        ({"steps": [{"after_s": 30, "tell": ["dispatcher"]}]}, "steps[0].after_s"),
        ({"steps": [{"after_s": 0, "tell": ["dispatcher"]}] * 2}, "steps[1].after_s"),
        (
            {"steps": [{"after_s": 0, "tell": ["installer"]}, {"after_s": 601, "tell": ["dispatcher"]}]},
            "steps[1].after_s",
        ),
        ({"steps": [{"after_s": 0, "tell": ["worker:w-li"]}]}, "steps[0].tell"),
        ({"steps": [{"after_s": 0, "tell": []}]}, "steps[0].tell"),
        ({"steps": [{"after_s": 0, "tell": ["dispatcher", "mayor"]}]}, "steps[0].tell[1]"),
        ({"steps": [{"after_s": 0, "tell": ["dispatcher", "dispatcher"]}]}, "steps[0].tell[1]"),
        ({"steps": [{"after_s": 0, "tell": ["dispatcher"], "channel": "sms"}]}, "steps[0]"),
        ({"steps": [{"after_s": "0", "tell": ["dispatcher"]}]}, "steps[0].after_s"),
        ({"still_active_after_s": 7200}, "still_active_after_s"),
        ({"disposition_after_s": 1}, "disposition_after_s"),
        ({"disposition_tell": ["number:119"]}, "disposition_tell[0]"),
        ({"name": "mine"}, ""),
    ],
)
def test_a_wrong_life_policy_is_refused_at_its_place(change: dict[str, Any], place: str) -> None:
    """No end of the climb, no way back, nobody at the end, no quiet, nothing unknown."""
    assert place in places({**LIFE_BODY, **change})


@pytest.mark.parametrize(
    ("change", "place"),
    [
        ({"quiet": {"from": "22:00", "to": "22:00"}}, "quiet"),
        ({"quiet": {"from": "06:00", "to": "22:00"}}, "quiet"),
        ({"quiet": {"from": "24:00", "to": "7:00"}}, "quiet.to"),
        ({"quiet": {"from": "22:00"}}, "quiet"),
        ({"still_active_after_s": 600}, "still_active_after_s"),
        ({"disposition_after_s": 600}, "disposition_tell"),
        ({"disposition_tell": ["dispatcher"]}, "disposition_after_s"),
        ({"repeat_s": 30}, "repeat_s"),
    ],
)
def test_a_wrong_policy_for_care_is_refused_at_its_place(change: dict[str, Any], place: str) -> None:
    """What does not matter for life may rest, but must be written soundly."""
    assert place in places({**CARE_BODY, **change}, Severity.CARE)
    assert read(CARE_BODY, Severity.CARE).quiet == Quiet(time(22), time(7, 30))


def test_a_note_calls_nobody_and_text_beyond_the_limit_is_not_read() -> None:
    """Bad input of the coarse kinds."""
    assert places(CARE_BODY, Severity.NOTE) == ["severity"]
    assert places(b" " * (MAX_BYTES + 1)) == [""]
    assert places(b"\xff{") == [""]
    assert places(b"[" * (MAX_BYTES - 1)) == [""]
    assert places(b'{"steps": [{"after_s": ' + b"9" * 5000 + b"}]}") == ["[...][0][...]"]
    assert places(None) == [""]


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=8),
    lambda inner: st.lists(inner, max_size=3) | st.dictionaries(st.text(max_size=8), inner, max_size=3),
    max_leaves=8,
)
STEP = st.fixed_dictionaries(
    {
        "after_s": st.integers(0, 900),
        "tell": st.lists(st.sampled_from([*Target, "worker:a", "x"]), max_size=3),
    }
)
BODY = st.fixed_dictionaries(
    {"steps": st.lists(STEP, max_size=4)},
    optional={
        "repeat_s": st.none() | st.integers(0, 900),
        "disposition_after_s": st.integers(0, 9000),
        "disposition_tell": st.lists(st.sampled_from(list(Target)), max_size=2),
        "quiet": st.just({"from": "22:00", "to": "06:00"}),
    },
)


@given(JSON | BODY | BODY.map(lambda body: {**LIFE_BODY, **body}), st.sampled_from(list(Severity)))
def test_whatever_is_read_climbs_to_its_end_and_repeats_for_life(body: Any, severity: Severity) -> None:
    """Garbage raises PolicyError and nothing else; what passes keeps the rules."""
    try:
        policy = read(body, severity)
    except PolicyError:
        return
    assert read(write(policy), severity) == policy
    delays = [step.delay for step in policy.steps]
    assert delays[0] == timedelta(0)
    assert delays == sorted(set(delays))
    assert set(policy.steps[-1].targets) & set(Target)
    if severity is Severity.LIFE:
        assert policy.repeat is not None
        assert policy.quiet is None
        assert all(policy.gap_after(n) <= timedelta(seconds=LIFE_GAP_S) for n in range(len(delays) + 1))  # type: ignore[operator]
        assert policy.disposition_after
        assert policy.still_active_after
        assert policy.disposition_targets


def test_the_most_specific_policy_holds_and_one_that_cannot_be_read_holds_nowhere() -> None:
    """Grid, area, everywhere, built in; what is wrong with the rest is kept."""
    other = {**LIFE_BODY, "repeat_s": 60}
    everywhere = {**LIFE_BODY, "repeat_s": 90}
    book = Book(
        {
            ("grid:g1", Severity.LIFE): LIFE_BODY,
            ("grid:g2", Severity.LIFE): {"steps": "none"},
            ("area:a", Severity.LIFE): other,
            ("everywhere", Severity.LIFE): everywhere,
            ("everywhere", Severity.UNWATCHED): 7,
        }
    )
    repeats = [
        book.policy_for(Condition.SMOKE, area, grid).repeat
        for area, grid in (("a", "g1"), ("a", "g2"), ("a", None), ("b", "g1x"))
    ]
    assert [span.total_seconds() for span in repeats if span] == [120, 60, 60, 90]
    assert set(book.unreadable) == {("grid:g2", Severity.LIFE), ("everywhere", Severity.UNWATCHED)}
    assert book.policy_for(Condition.GATEWAY_SILENT, "a", "g1") is policy_for(Condition.GATEWAY_SILENT)
    assert book.named("a", "g1") == {"w-li"}
    assert BUILT_IN.policy_for(Condition.HEAT, "a", None) is LIFE
    assert BUILT_IN.named("a", None) == set()


def test_a_family_is_named_by_the_channels_for_its_number() -> None:
    """And is no duty: a last step needs one besides."""
    body = {
        **LIFE_BODY,
        "steps": [
            {"after_s": 0, "tell": ["grid_primary", "family:aliyun_voice,aliyun_sms"]},
            {"after_s": 60, "tell": ["dispatcher", "family:gsm"]},
        ],
    }
    policy = read(body, Severity.LIFE)
    assert family_channels(policy.at(0).targets[1]) == ("aliyun_voice", "aliyun_sms")
    assert family_channels("worker:w-li") == family_channels(Target.DISPATCHER) == ()
    assert read(write(policy), Severity.LIFE) == policy
    for word in ("family", "family:", "family:Ä", "family:a,,b", "family:a,b,c,d,e"):
        wrong = {**LIFE_BODY, "steps": [{"after_s": 0, "tell": ["dispatcher", word]}]}
        assert places(wrong) == ["steps[0].tell[1]"]
    alone = {**LIFE_BODY, "steps": [{"after_s": 0, "tell": ["family:gsm"]}]}
    assert places(alone) == ["steps[0].tell"]
