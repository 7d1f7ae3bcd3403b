"""Which detectors call most, and how much of it is false. Law of this file: pure.

The rate is of alarms that a person has judged: an open one is neither. A test or a maintenance is no false
alarm, and counts as judged.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence

from central.engine.model import Disposition
from central.reports.model import DetectorNoise, Fire

UNSAID = "unsaid"


def judged(fires: Iterable[Fire]) -> list[Fire]:
    """Those that are closed."""
    return [fire for fire in fires if fire.closed_at is not None and fire.disposition is not None]


def false_of(fires: Iterable[Fire]) -> list[Fire]:
    """Those of the judged that were false alarms."""
    return [fire for fire in judged(fires) if fire.disposition == Disposition.FALSE_ALARM]


def causes_of(fires: Iterable[Fire]) -> Mapping[str, int]:
    """False alarms by cause, the most frequent first."""
    counted = Counter(fire.cause or UNSAID for fire in false_of(fires))
    return dict(sorted(counted.items(), key=lambda one: (-one[1], one[0])))


def ratio(part: float, whole: float) -> float | None:
    """None of nothing."""
    return part / whole if whole else None


def by_detector(fires: Iterable[Fire]) -> tuple[DetectorNoise, ...]:
    """The noisiest first: by fires and their returns, then by false ones, then by id."""
    groups: dict[str, list[Fire]] = {}
    for fire in fires:
        groups.setdefault(fire.part, []).append(fire)
    found = [_noise(detector, of) for detector, of in groups.items()]
    return tuple(sorted(found, key=lambda one: (-one.rounds, -one.false, one.detector)))


def _noise(detector: str, fires: Sequence[Fire]) -> DetectorNoise:
    told, false = len(judged(fires)), len(false_of(fires))
    return DetectorNoise(
        detector=detector,
        grid=fires[-1].grid,
        fires=len(fires),
        rounds=sum(fire.rounds for fire in fires),
        judged=told,
        false=false,
        false_ratio=ratio(false, told),
        causes=causes_of(fires),
    )
