"""No sequence of observations, people's acts, failures and time ends a smoke alarm without a person."""

import os

import pytest
from hypothesis import HealthCheck, settings
from hypothesis.stateful import run_state_machine_as_test

from tests.harness.engine_machine import EngineMachine

SHORT = 400
SOAK = int(os.environ.get("SMOKEWATCH_SOAK_LOOPS", "200")) * 250
AT_A_TIME = 1000
STEPS = 40


def test_whatever_comes_a_smoke_alarm_calls_until_a_person_ends_it() -> None:
    """The same sequences in each run."""
    _run(SHORT, derandomize=True)


@pytest.mark.soak
def test_whatever_comes_by_the_ten_thousand_a_smoke_alarm_calls_until_a_person_ends_it() -> None:
    """The same with the full count, other sequences in each run; a thousand at a time, for their memory."""
    for _ in range(0, SOAK, AT_A_TIME):
        _run(AT_A_TIME, derandomize=False)


def _run(examples: int, *, derandomize: bool) -> None:
    run_state_machine_as_test(
        EngineMachine,
        settings=settings(
            max_examples=examples,
            stateful_step_count=STEPS,
            derandomize=derandomize,
            database=None,
            deadline=None,
            suppress_health_check=list(HealthCheck),
        ),
    )
