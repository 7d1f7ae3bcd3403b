"""From where on something is a trend. Law of this file: numbers and where they come from, nothing else.

Three kinds of origin are named: *published* (a document says it), *ours* (another part of this system
judges by it), *chosen* (a compromise that the simulated years in docs/reference/trends.md were measured
with). Nothing here is known from a field trial.
"""

from __future__ import annotations

from dataclasses import dataclass, field


@dataclass(frozen=True, slots=True)
class Approaching:
    """When a value that climbs (or falls) towards a limit is a finding. *Chosen*, unless said otherwise."""

    step: float
    """A jump of this size from one day to the next, that stays, is no trend: somebody did something."""
    fast_per_day: float
    """What may pass per day in a gap before a jump across it is taken for such a step."""
    min_rise: float
    """Less than this within the window is never a trend."""
    recede: float
    """An open finding whose value went back by so much is over."""
    windows: tuple[float, ...] = (10, 14, 21, 28, 42, 60, 90)
    """Days looked at; several, because nobody knows when it began."""
    per_day: int = 1
    """Points a full day gives."""
    min_points: int = 8
    coverage: float = 0.7
    """Share of a window's points that must be there."""
    fresh_days: float = 3
    """Without a point as young as this nothing new is said."""
    over_scatter: float = 4.0
    """The rise must be so many times the scatter around the line."""
    over_resolution: float = 2.0
    """And so many steps of the value's resolution."""
    share_of_third: float = 0.2
    """At least this share of the rise from the first to the middle third of the window, and again from there
    to the last: what stands still or has jumped is no trend."""
    horizon_days: float = 45
    """Limits farther away than this are not worth a visit yet."""
    reach_ratio: float = 1.6
    """A line is not believed farther ahead than this many times the window it was fitted to."""
    bends: bool = False
    """Whether a line that clearly bends towards the limit is followed along its bend."""
    soon_days: float = 14
    """From here on it is urgent."""
    calm_ratio: float = 3.0
    """An open finding is calm when the limit is farther away than this many horizons ..."""
    calm_days: int = 14
    """... and is over when it has been calm for so long."""
    forget_days: int = 90
    """An open finding is given up after so many days without data."""


@dataclass(frozen=True, slots=True)
class Noise:
    """When smoke near the threshold is a habit. *Chosen*, but for `near`."""

    near: float = 0.6
    """Share of the alarm threshold that counts as near; *ours*: above the 0.5 at which our reference detector
    tells a pre-alarm, and where its smoke alarm ends again."""
    days: int = 14
    at_least: int = 10
    """Days with a peak among the last `days`; missing days count as without."""
    span_hours: int = 3
    """The peaks must fall into the same so many hours."""
    quiet_days: int = 21
    quiet_most: int = 4
    """It is over when at most so many of the last `quiet_days` have a peak ..."""
    quiet_known: int = 15
    """... and at least so many of them are known."""


@dataclass(frozen=True, slots=True)
class Stuck:
    """When a value that does not move is a defect. All *chosen*."""

    days: int = 10
    covered: int = 8
    """Days with enough readings among the last `days`, all of them still."""
    past_days: int = 14
    past_share: float = 0.9
    """Before it stood still the detector's own value moved on this share of at least `past_days` days."""
    peers: int = 5
    peer_share: float = 0.9
    """So many others of the model, and this share of them, move on at least half of their days."""
    peers_without_past: int = 20
    """A detector that never moved is compared with at least so many, all of which must move."""
    again: int = 2
    """It is over when it has moved on so many of the last `again_of` days with readings."""
    again_of: int = 3


@dataclass(frozen=True, slots=True)
class Thresholds:
    """All of them, in the metric's unit; those of `battery` are shares of the model's low-battery limit."""

    history_days: int = 100
    """How many days of buckets the rules use at most."""
    min_count: int = 4
    """Readings that make a day count. Ours: an agent tells a value that does not move at least every hour."""
    forget_days: int = 90
    """An open finding of noise or a stuck sensor is given up after so many days without data. *Chosen*."""
    contamination_limit: float = 80.0
    """Where the model's own limit is unknown. *Published*: panels of one maker call 6 to 80 % of the
    compensation of photoelectric heads the recommended range and ask for maintenance from 92 % on (Notifier
    AFP-2800/2802 manual, P/N 11249, appendix on drift compensation)."""
    contamination: Approaching = Approaching(step=8.0, fast_per_day=3.0, min_rise=4.0, recede=6.0)
    """`step`: cleaning takes away more than a few per cent at once, weather does not."""
    battery: Approaching = Approaching(
        step=0.04,
        fast_per_day=0.02,
        min_rise=0.012,
        recede=0.03,
        reach_ratio=2.0,
        over_resolution=1.5,
        bends=True,
        horizon_days=45,
        soon_days=10,
    )
    """A worn battery bends downwards, so the line runs late rather than early: it is believed farther ahead.
    `horizon_days`: *published* is that a device warns for at least 30 days before it fails (EN 14604 and
    UL 217, as makers tell them); the visit should come before the device begins to chirp."""
    battery_warmth: float = 0.004
    """What one degree may change at most, as a share of the limit; beyond that a fit of voltage against
    temperature is not believed. *Chosen*."""
    clock_limit_s: float = 60.0
    """*Ours*: from here on the centre raises `clock_wrong`."""
    clock: Approaching = Approaching(
        step=5.0,
        fast_per_day=10.0,
        min_rise=3.0,
        recede=5.0,
        windows=(1, 1.5, 2, 4, 7, 14, 30),
        per_day=4,
        min_points=4,
        fresh_days=1.5,
        horizon_days=14,
        reach_ratio=3.0,
        soon_days=3,
        calm_days=3,
        forget_days=30,
    )
    clock_free_ppm: float = 100.0
    """What a quartz without any correction may err; more is called a defect of the clock in the words, not
    only a missing time server. *Published*: a survey of about 20,000 hosts found a median error of 78 ppm,
    some above 500 (doi 10.1201/9781420006155-16). That 100 divides the two is *chosen*."""
    noise: Noise = field(default_factory=Noise)
    stuck: Stuck = field(default_factory=Stuck)
