"""The table is the life of an alarm: nothing besides it, and the drawing is made from it."""

from datetime import UTC, datetime
from itertools import product
from pathlib import Path

import pytest

from central.engine.model import Alarm, AlarmState, Condition, Disposition, Severity
from central.engine.policy import SEVERITY, policy_for
from central.engine.transitions import TABLE, Trigger, diagram, find
from wire.messages import Condition as WireCondition

NOW = datetime(2026, 3, 1, 3, 0, tzinfo=UTC)
DOC = Path(__file__).parents[4] / "docs" / "reference" / "alarm-lifecycle.md"


def alarm(
    state: AlarmState, severity: Severity = Severity.LIFE, *, taken: bool = False, disposed: bool = False
) -> Alarm:
    return Alarm(
        id=1,
        condition=Condition.SMOKE,
        severity=severity,
        area="a",
        part="d",
        state=state,
        opened_at=NOW,
        event_at=NOW,
        acknowledged_at=NOW if taken else None,
        acknowledged_by="w" if taken else None,
        disposition=Disposition.REAL_FIRE if disposed else None,
    )


@pytest.mark.parametrize("severity", list(Severity))
def test_no_case_has_two_answers(severity: Severity) -> None:
    """Each state, trigger and circumstance has one row or none."""
    answers = [
        find(alarm(state, severity, taken=taken, disposed=disposed), trigger)
        for state, trigger, taken, disposed in product(AlarmState, Trigger, (False, True), (False, True))
    ]
    assert any(answers)


def test_nothing_leaves_closed() -> None:
    """A closed alarm stays closed whatever comes; a new one is opened instead."""
    assert not [row for row in TABLE if row.start is AlarmState.CLOSED]


def test_only_a_close_or_a_disposition_ends_a_life_alarm() -> None:
    """In the table itself: smoke and heat reach closed by a person's word only."""
    for state, trigger, taken in product(AlarmState, Trigger, (False, True)):
        row = find(alarm(state, taken=taken), trigger)
        if row is not None and row.end is AlarmState.CLOSED:
            assert trigger is Trigger.CLOSE


def test_a_new_round_is_never_taken_by_anybody() -> None:
    """Rows with a new round lead to states in which somebody is called again."""
    for row in TABLE:
        if row.new_round:
            assert row.end in (AlarmState.ACTIVE_UNACKNOWLEDGED, AlarmState.ACTIVE_UNKNOWN)


def test_the_engine_and_the_wire_use_the_same_words() -> None:
    """Condition is written down twice, so that neither room imports the other."""
    assert {c.value for c in Condition} == {c.value for c in WireCondition}


def test_every_condition_has_a_severity_and_a_policy() -> None:
    """Nothing falls through."""
    assert set(SEVERITY) == set(Condition)
    assert policy_for(Condition.SMOKE).repeat is not None
    assert not policy_for(Condition.TEST).steps


def test_the_drawing_in_the_documents_is_made_from_the_table() -> None:
    """docs/reference/alarm-lifecycle.md holds the present diagram."""
    text = DOC.read_text("utf-8")
    assert text.split("```mermaid\n")[1].split("\n```")[0] == diagram()
