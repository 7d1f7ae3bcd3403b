"""The words of trends: what goes in (roll-ups) and what comes out (findings). Data only.

Units: smoke as the model tells it (%/m or ppm), temperature degrees C, battery volt, contamination per cent
of the compensation range, clock seconds. Days are days of the area's clock.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import date, datetime
from enum import StrEnum
from typing import Any, NamedTuple

from central.engine.model import Severity


class Rule(StrEnum):
    """Which rule found it."""

    CONTAMINATION = "contamination"
    """Dust in the chamber grows towards the level at which the model asks to be cleaned."""
    BATTERY = "battery"
    """The voltage falls towards the level at which the model says that its battery is low."""
    UNUSUAL_NOISE = "unusual_noise"
    """Smoke comes near the alarm threshold at the same hours on most days."""
    SENSOR_STUCK = "sensor_stuck"
    """A value has stopped moving although those of others of the same model move."""
    CLOCK_DRIFT = "clock_drift"
    """A gateway's clock runs away from the centre's."""


class Metric(StrEnum):
    """What is measured."""

    SMOKE = "smoke"
    TEMPERATURE = "temperature"
    BATTERY = "battery"
    CONTAMINATION = "contamination"
    CLOCK = "clock"


class Urgency(StrEnum):
    """How soon somebody should go."""

    PLAN = "plan"
    """With the next round: weeks are left."""
    SOON = "soon"
    """This week or the next."""
    NOW = "now"
    """The limit is reached."""


class End(StrEnum):
    """Why a finding is over."""

    CLEANED = "cleaned"
    BATTERY_REPLACED = "battery_replaced"
    CLOCK_SET = "clock_set"
    DETECTOR_REPLACED = "detector_replaced"
    RECEDED = "receded"
    """It went back by itself, bit by bit."""
    SLOWED = "slowed"
    """It still stands where it stood, but has not moved on for weeks."""
    QUIETED = "quieted"
    VARIES_AGAIN = "varies_again"
    NO_DATA = "no_data"
    """Nothing was heard for so long that nobody can say."""


class Said(NamedTuple):
    """The same in both languages."""

    zh: str
    en: str


class Bucket(NamedTuple):
    """A metric over one complete day."""

    day: date
    low: float
    high: float
    mean: float
    readings: int
    """Readings in it."""


class Hour(NamedTuple):
    """A metric over one hour, 0 to 23, of one day."""

    day: date
    hour: int
    low: float
    high: float
    mean: float
    readings: int


class Peer(NamedTuple):
    """Another detector of the same model over the days in which this one is looked at for being stuck."""

    days: int
    """Days with enough readings."""
    varied: int
    """Of these: days on which the value moved."""


class ClockSample(NamedTuple):
    """One measured offset of a gateway's clock."""

    at: datetime
    """By the centre's clock, with its zone."""
    offset_s: float
    """The centre's clock minus the gateway's: positive when the gateway is slow."""


@dataclass(frozen=True, slots=True)
class Limits:
    """At which values a model calls for help; None is unknown."""

    smoke_alarm: float | None = None
    contaminated: float | None = None
    low_battery: float | None = None


@dataclass(frozen=True, slots=True)
class DetectorHistory:
    """What is known of one detector. The package's docstring says what the caller owes."""

    detector: str
    days: Mapping[Metric, Sequence[Bucket]] = field(default_factory=dict)
    smoke_hours: Sequence[Hour] = ()
    limits: Limits = Limits()
    resolution: Mapping[Metric, float] = field(default_factory=dict)
    peers: Mapping[Metric, Sequence[Peer]] = field(default_factory=dict)
    fitted_on: date | None = None


@dataclass(frozen=True, slots=True)
class Reach:
    """When the limit is reached if it goes on like this."""

    expected: date
    earliest: date
    latest: date | None
    """None: it may as well take more than a year."""


@dataclass(frozen=True, slots=True)
class Picture:
    """What to draw. At most `picture.MOST_POINTS` points; times are ISO 8601."""

    metric: Metric
    unit: str
    points: tuple[tuple[str, float, float, float], ...]
    """Time, low, middle, high. Where days are missing there is no point: the drawing shows a hole."""
    line: tuple[tuple[str, float], ...] = ()
    """The fitted line over its window, and on to the limit on the expected day."""
    limit: float | None = None
    near: float | None = None
    """For noise: what counts as near the threshold."""
    hours: tuple[int, int] | None = None
    """For noise: from this hour to that (excluded) on each day."""

    def as_json(self) -> dict[str, Any]:
        """The same as lists, strings and numbers."""
        return {
            "metric": self.metric.value,
            "unit": self.unit,
            "points": [list(point) for point in self.points],
            "line": [list(end) for end in self.line],
            "limit": self.limit,
            "near": self.near,
            "hours": None if self.hours is None else list(self.hours),
        }


@dataclass(frozen=True, slots=True)
class Ended:
    """That it is over."""

    on: date
    """The first day of what ended it, as far as the data tell."""
    why: End
    text: Said


@dataclass(frozen=True, slots=True)
class Finding:
    """One trend of one part. Also the memory of the rule: pass it in as `before` the next time."""

    rule: Rule
    part: str
    """Detector id, '' for the gateway itself."""
    metric: Metric
    since: date
    """The day of the judgement that opened it."""
    began: date
    """The first day of the data that show it."""
    last: date
    """The last day of data it rests on."""
    urgency: Urgency
    raised_at: float
    """The value when it was opened."""
    level: float
    limit: float | None
    per_day: float | None
    reach: Reach | None
    text: Said
    picture: Picture
    severity: Severity = Severity.CARE
    calm_since: date | None = None
    """Since when the data no longer show it; it stays open until that has lasted."""
    ended: Ended | None = None

    @property
    def open(self) -> bool:
        """Whether it still holds."""
        return self.ended is None
