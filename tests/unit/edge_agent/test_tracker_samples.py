"""Readings by exception: what moves is reported soon, what does not is reported every report_s."""

from __future__ import annotations

from device_profiles.schema import Role
from edge_agent.decode import Snapshot
from edge_agent.observation import Sample
from edge_agent.tracker import DetectorState, Missed, TrackPolicy, track
from wire.messages import Condition

POLICY = TrackPolicy(report_s=300.0, report_min_s=5.0)


def reports(*looks: tuple[float, Snapshot | Missed]) -> list[tuple[float, Sample]]:
    """The times at which a reading was due, with it."""
    state: DetectorState | None = None
    found = []
    for now, seen in looks:
        state, _, sample = track(state, seen, now, POLICY, detector="d")
        if sample is not None:
            found.append((now, sample))
    return found


def seen(status: int | None = None, **values: float | None) -> Snapshot:
    """A quiet look with these values."""
    return Snapshot(
        frozenset(),
        frozenset(),
        frozenset({Condition.SMOKE}),
        {Role(r): v for r, v in values.items()},
        status,
    )


def test_a_value_that_does_not_move_is_reported_every_five_minutes() -> None:
    """The first at once; noise inside the deadband is not news."""
    looks = [(float(t), seen(0, temperature=20.0 + 0.1 * (t % 3))) for t in range(0, 900, 10)]
    assert [now for now, _ in reports(*looks)] == [0.0, 300.0, 600.0]


def test_a_rising_value_is_reported_as_it_rises_but_not_more_often_than_report_min_s() -> None:
    """Smoke rising by 1 %/m a second."""
    looks = [(float(t), seen(smoke=float(t))) for t in range(21)]
    assert [now for now, _ in reports(*looks)] == [0.0, 5.0, 10.0, 15.0, 20.0]


def test_a_status_that_changes_is_reported_but_not_more_often_than_report_min_s() -> None:
    """However small the change; a bit that flickers does not flood the line."""
    found = reports((0.0, seen(0)), (1.0, seen(1)), (5.0, seen(1)), (6.0, seen(0)))
    assert found == [(0.0, Sample("d", status=0)), (5.0, Sample("d", status=1))]


def test_a_value_that_goes_missing_is_reported_as_none_once() -> None:
    """Unknown is news; staying unknown is not, and never becomes the last value."""
    looks = [(0.0, seen(smoke=1.0)), *[(float(t), seen(smoke=None)) for t in range(10, 1000, 10)]]
    assert reports(*looks) == [(0.0, Sample("d", smoke=1.0)), (10.0, Sample("d"))]


def test_slow_registers_do_not_disturb_the_fast_ones() -> None:
    """A battery read every tenth lap is reported with its own look and is null in the others."""
    looks = [
        (float(t), seen(temperature=20.0, **({"battery": 3.0} if t % 10 == 0 else {}))) for t in range(301)
    ]
    assert reports(*looks) == [
        (0.0, Sample("d", temperature=20.0, battery=3.0)),
        (300.0, Sample("d", temperature=20.0, battery=3.0)),
    ]


def test_a_large_value_has_a_deadband_in_proportion() -> None:
    """Two per cent of 1000 ppm."""
    looks = [(0.0, seen(smoke=1000.0)), (10.0, seen(smoke=1019.0)), (20.0, seen(smoke=1020.0))]
    assert [now for now, _ in reports(*looks)] == [0.0, 20.0]


def test_a_missed_read_gives_no_reading() -> None:
    """A failed read is never a value."""
    assert reports((0.0, Missed("timeout")), (400.0, Missed("timeout"))) == []


def test_a_detector_without_values_gives_no_empty_readings() -> None:
    """Nothing measured, nothing reported."""
    assert reports((0.0, seen()), (400.0, seen())) == []
