"""What is shown before a policy is saved is what the engine would do, whoever can be reached."""

from __future__ import annotations

from datetime import UTC, datetime, time, timedelta

from hypothesis import given
from hypothesis import strategies as st

from central.engine.model import Condition
from central.engine.policy import LIFE, Policy, Quiet, Step, Target
from central.engine.rehearse import rehearse

T0 = datetime(2026, 3, 1, 19, tzinfo=UTC)
"""Three at night in China."""


def seconds(
    policy: Policy, reach: set[str], condition: Condition = Condition.SMOKE
) -> list[tuple[int, int, str]]:
    """When, which step, whom."""
    told = rehearse(policy, condition, T0, lambda target, _: [f"w-{target}"] if target in reach else [])
    return [(round((one.at - T0).total_seconds()), one.step, " ".join(one.workers)) for one in told]


def test_the_built_in_climb_is_told_to_the_first_repeat_of_its_last_step() -> None:
    """0, 90, 180, 360 s, and again at 540."""
    told = seconds(LIFE, set(Target))
    assert [(at, step) for at, step, _ in told] == [(0, 0), (90, 1), (180, 2), (360, 3), (540, 4)]
    assert told[0][2] == "w-grid_primary"


def test_a_step_that_reaches_nobody_is_passed_over_at_once_and_said_so() -> None:
    """Only the command centre: two steps are skipped within the first second."""
    assert seconds(LIFE, {Target.DISPATCHER}) == [
        (0, 0, ""),
        (0, 1, ""),
        (0, 2, "w-dispatcher"),
        (180, 3, "w-dispatcher"),
        (360, 4, "w-dispatcher"),
    ]
    assert all(not workers for _, _, workers in seconds(LIFE, set()))


def test_quiet_hours_move_the_table_and_not_smoke() -> None:
    """Told at seven, four hours later."""
    quiet = Quiet(time(22), time(7))
    care = Policy(
        (Step(timedelta(0), (Target.COMMUNITY_LEAD,)), Step(timedelta(hours=1), (Target.DISPATCHER,))),
        quiet=quiet,
    )
    told = seconds(care, set(Target), Condition.LOW_BATTERY)
    assert [(at, step) for at, step, _ in told] == [(4 * 3600, 0), (5 * 3600, 1)]


STEPS = st.lists(
    st.tuples(st.integers(1, 600), st.sets(st.sampled_from(list(Target)), min_size=1)), min_size=1, max_size=5
)


@given(STEPS, st.integers(30, 600), st.sets(st.sampled_from(list(Target))))
def test_every_step_is_shown_once_in_order_and_never_later_than_planned(
    gaps: list[tuple[int, set[Target]]], repeat: int, reach: set[Target]
) -> None:
    """For any life policy and anybody who can be reached; it ends."""
    delays = [sum(gap for gap, _ in gaps[1 : n + 1]) for n in range(len(gaps))]
    steps = tuple(Step(timedelta(seconds=d), tuple(t)) for d, (_, t) in zip(delays, gaps, strict=True))
    told = seconds(Policy(steps, timedelta(seconds=repeat)), set(reach))
    assert [step for _, step, _ in told][: len(steps)] == list(range(len(steps)))
    assert [at for at, _, _ in told] == sorted(at for at, _, _ in told)
    assert all(at <= delays[step] for at, step, _ in told if step < len(steps))
    reached = set(reach)
    for _, step, workers in told:
        last = step + 1 >= len(steps)
        wanted = set(steps[min(step, len(steps) - 1)].targets) & reached
        if last and not wanted:  # people have left since it was saved: everybody else is called
            wanted = reached - {Target.INSTALLER}
        assert set(workers.split()) == {f"w-{one}" for one in wanted}
