"""What a fire-brigade centre is told, and in which words; nothing but smoke and heat is fire."""

from __future__ import annotations

from datetime import UTC, datetime
from typing import Any

import pytest
from hypothesis import given
from hypothesis import strategies as st
from msgspec.structs import replace

from central.engine.model import Alarm, AlarmState, Condition, Disposition, Severity
from central.engine.policy import SEVERITY
from central.forwarding import BITS, Row, What, describe, news, raised, standing, state_word, unit
from gb26875.data import ComponentState, Kind, State, encode_data, read_text

NOW = datetime(2026, 3, 1, tzinfo=UTC)
EARLIER = datetime(2026, 2, 28, tzinfo=UTC)
_S = AlarmState


def alarm(condition: Condition = Condition.SMOKE, **more: Any) -> Alarm:
    more = {"part": "det-1", "state": _S.ACTIVE_UNACKNOWLEDGED, **more}
    severity = SEVERITY[condition]
    return Alarm(7, condition, severity, "street", opened_at=NOW, event_at=EARLIER, **more)


def row(**more: Any) -> Row:
    known = {
        "what": What.FIRE,
        "condition": Condition.SMOKE,
        "building_name": "3栋",
        "door": "2单元501",
        "spot": "厨房",
        "standing": [],
        "happened_at": EARLIER,
        "temperature": None,
        **more,
    }
    return Row(
        id=1,
        alarm=7,
        component="det-1",
        area="street",
        building="b1",
        serial=None,
        system=1,
        zone=2,
        point=3,
        **known,
    )


def whats(*args: Any) -> list[str]:
    return [str(one.what) for one in news(*args)]


@pytest.mark.parametrize("condition", Condition)
def test_only_smoke_and_heat_are_fire(condition: Condition) -> None:
    """A test never is, nor an early warning, nor dirt."""
    born = alarm(condition)
    told = whats(None, born, "opened", NOW)
    if condition in (Condition.SMOKE, Condition.HEAT):
        assert told == ["fire", "analogue"]
    else:
        assert told == (["state"] if condition in BITS else [])
        assert raised(born) == []
        assert not BITS.get(condition, State(0)) & State.FIRE
    if condition in (Condition.TEST, Condition.PRE_ALARM, Condition.CONTAMINATED, Condition.GATEWAY_SILENT):
        assert told == []


def test_a_fire_begins_when_it_happened_and_again_when_it_returns() -> None:
    """Its clear is not told; its end is when a person closes it."""
    born = alarm()
    assert news(None, born, "opened", NOW)[0].at == EARLIER
    again = replace(born, round=2)
    assert next((one.what, one.round, one.at) for one in news(born, again, "re_asserted", NOW)) == (
        "fire",
        2,
        NOW,
    )
    assert news(born, replace(born, state=_S.CLEARED_UNACKNOWLEDGED), "cleared", NOW) == []
    assert news(born, replace(born, state=_S.ACTIVE_UNKNOWN), "source_unknown", NOW) == []
    assert news(born, born, None, NOW) == []
    closed = replace(born, state=_S.CLOSED, disposition=Disposition.FALSE_ALARM)
    assert whats(born, closed, "closed", NOW) == ["over"]


def test_a_person_s_word_that_it_burns_makes_it_firm_before_its_end() -> None:
    """While it burns and at the close."""
    burning = replace(alarm(), disposition=Disposition.REAL_FIRE)
    said = news(alarm(), burning, "disposed", NOW)
    assert [(one.what, one.firm, one.once) for one in said] == [("fire", True, True)]
    assert whats(alarm(), replace(burning, state=_S.CLOSED), "closed", NOW) == ["fire", "over"]


def test_who_takes_it_is_told_once() -> None:
    """The second act of the same round is no news."""
    taken = replace(alarm(), state=_S.ACTIVE_ACKNOWLEDGED, acknowledged_at=NOW, acknowledged_by="w")
    assert whats(alarm(), taken, "acknowledged", NOW) == ["confirm"]
    assert whats(alarm(), taken, "on_way", NOW) == ["confirm"]
    assert whats(taken, replace(taken, on_way_at=NOW), "on_way", NOW) == []


def test_the_line_and_the_gateway_are_no_components_but_smoke_without_a_detector_is_told() -> None:
    """Whoever smelled it."""
    assert news(None, alarm(Condition.NO_RESPONSE, part="bus:1"), "opened", NOW) == []
    assert news(None, alarm(Condition.FAULT, part=""), "opened", NOW) == []
    assert whats(None, alarm(part=""), "opened", NOW) == ["fire", "analogue"]


def test_what_stands_is_told_to_a_centre_that_is_new() -> None:
    """Firm when it has climbed; what is closed not at all."""
    told = standing(alarm(), climbed=True, now=NOW)
    assert [(one.what, one.firm) for one in told if one.what == "fire"] == [("fire", False), ("fire", True)]
    assert standing(replace(alarm(), state=_S.CLOSED), climbed=True, now=NOW) == []


def test_a_roll_call_is_answered_by_who_takes_its_alarm() -> None:
    """Only to the centre that called."""
    called = alarm(Condition.SYSTEM, part="roll_call:fire-119:street")
    assert news(None, called, "opened", NOW) == []
    taken = replace(called, acknowledged_at=NOW)
    assert [(one.what, one.centre) for one in news(called, taken, "acknowledged", NOW)] == [
        ("roll_call", "fire-119")
    ]


@given(
    st.sampled_from([What.FIRE, What.STATE, What.OVER]),
    st.sampled_from(sorted(BITS)),
    st.lists(st.sampled_from(list(Condition))),
    st.sampled_from([2, 3]),
)
def test_a_state_holds_all_that_stands(
    what: What, condition: Condition, still: list[Condition], fire_state: int
) -> None:
    """Fire is there exactly when something burns; bit 0 is set but for a fire to who wants it so."""
    word = state_word(what, condition, still, fire_state)
    about = [*still, condition] if what is not What.OVER else still
    burns = any(SEVERITY[one] is Severity.LIFE for one in about)
    assert bool(word & State.FIRE) == burns
    assert bool(word & State.NORMAL) == (not burns or fire_state == 3)
    for one in about:
        assert word & BITS.get(one, 0) == BITS.get(one, 0)


@given(st.text(max_size=40), st.text(max_size=12), st.text(max_size=30))
def test_the_word_and_the_door_are_never_cut_off(building: str, door: str, spot: str) -> None:
    """Whatever a building is called."""
    doors = door if len(door.encode("gb18030", "replace")) <= 20 else "501"
    said = describe(row(building_name=building, door=doors, spot=spot))
    assert len(said.encode("gb18030", "replace")) <= 31
    assert said.endswith("感烟火警")
    assert building == "" or doors in said


def test_what_a_packet_carries_can_always_be_written() -> None:
    """Also when a clock was far off or a temperature absurd."""
    kind, fire = unit(row(happened_at=datetime(1970, 1, 1, tzinfo=UTC)), 3)
    assert kind is Kind.COMPONENT_STATE
    assert isinstance(fire, ComponentState)
    assert (fire.zone, fire.point, fire.state) == (2, 3, 3)
    assert read_text(fire.text) == "3栋2单元501 厨房 感烟火警"
    nowhere = unit(row(building_name=None, door="", spot=""), 3)[1]
    assert isinstance(nowhere, ComponentState)
    assert read_text(nowhere.text) == "det-1 感烟火警"
    for what in What:
        for degrees in (None, 21.35, 1e9, -1e9):
            said = row(what=what, temperature=degrees, happened_at=datetime(9998, 1, 1, tzinfo=UTC))
            kind, thing = unit(said, 2)
            assert encode_data(kind, [thing])
