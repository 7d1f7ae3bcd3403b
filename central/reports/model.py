"""What reports are made from, and what they say. Law of this file: data only. Spans are seconds."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass
from datetime import datetime
from typing import Literal, get_args

Level = Literal["area", "community", "grid"]
Form = Literal["html", "csv", "pdf", "json"]
FORMS: tuple[Form, ...] = get_args(Form)
"""What a report is written as."""


@dataclass(frozen=True, slots=True)
class Fire:
    """One smoke or heat alarm. A moment is None when that never happened."""

    area: str
    community: str | None
    grid: str | None
    part: str
    """The detector."""
    opened_at: datetime
    rounds: int
    notified_at: datetime | None = None
    """When the first message about it was taken by a provider."""
    acknowledged_at: datetime | None = None
    """When the first person took it, or closed it without that."""
    set_out_at: datetime | None = None
    arrived_at: datetime | None = None
    closed_at: datetime | None = None
    disposition: str | None = None
    cause: str | None = None


@dataclass(frozen=True, slots=True)
class Call:
    """An alarm of any severity that calls people began, or came back."""

    at: datetime
    source: str
    """Who told of what: gateway, part and condition."""


@dataclass(frozen=True, slots=True)
class Spread:
    """How spans are distributed, by nearest rank (as SQL's percentile_disc); None without any."""

    n: int
    median_s: float | None
    p90_s: float | None


@dataclass(frozen=True, slots=True)
class PlaceTimes:
    """From the opening of the fires of one place to each step. A step that never came does not count."""

    level: Level
    id: str | None
    """None: fires whose place is not known."""
    name: str
    fires: int
    notified: Spread
    acknowledged: Spread
    set_out: Spread
    arrived: Spread
    closed: Spread


@dataclass(frozen=True, slots=True)
class DetectorNoise:
    """How often a detector called, and how much of what people judged was no fire."""

    detector: str
    grid: str | None
    fires: int
    rounds: int
    """Fires and their returns."""
    judged: int
    """Closed with a disposition."""
    false: int
    false_ratio: float | None
    """Of those judged; None: none was."""
    causes: Mapping[str, int]
    """Of the false ones; `unsaid` where nobody said it."""


@dataclass(frozen=True, slots=True)
class Flood:
    """More alarms than a person can take in: from more than 10 in ten minutes to fewer than 5."""

    begin: datetime
    end: datetime
    alarms: int


@dataclass(frozen=True, slots=True)
class Chatter:
    """A source that began three times within a minute, and how often it called in all."""

    source: str
    calls: int


@dataclass(frozen=True, slots=True)
class Load:
    """Measures after ISA-18.2 / IEC 62682 of all alarms that call somebody."""

    hours: float
    calls: int
    per_hour: float | None
    busiest_hour: int
    busiest_ten_minutes: int
    hours_over_30: int
    flood_ratio: float | None
    """Share of the time."""
    floods: tuple[Flood, ...]
    top_ten_ratio: float | None
    """Share of all calls by the ten sources that called most."""
    chattering: tuple[Chatter, ...]
    standing: int
    """Open at the end for longer than 24 h."""


@dataclass(frozen=True, slots=True)
class Unreached:
    """Somebody on duty whom no message of some alarms reached."""

    worker: str
    name: str
    role: str
    alarms: int
    """For which they were to be told."""
    unreached: int


@dataclass(frozen=True, slots=True)
class Watched:
    """How much of the time the detectors of a grid were there."""

    grid: str | None
    name: str
    detectors: int
    expected_s: float
    down_s: float
    ratio: float | None


@dataclass(frozen=True, slots=True)
class Gathered:
    """All that a report is made from."""

    area: str | None
    """None: every street."""
    begin: datetime
    end: datetime
    """Of what has been: not beyond the moment of asking."""
    names: Mapping[tuple[Level, str], str]
    fires: tuple[Fire, ...]
    calls: tuple[Call, ...]
    standing: int
    nobody_reachable: int
    """Fires of which, for a moment, nobody could be told."""
    unreached: tuple[Unreached, ...]
    watched: tuple[Watched, ...]
    cut: bool = False
    """There was more than is looked at."""


@dataclass(frozen=True, slots=True)
class Month:
    """A report."""

    area: str | None
    begin: datetime
    end: datetime
    fires: int
    open: int
    """Not closed when it was made."""
    dispositions: Mapping[str, int]
    false_ratio: float | None
    """Of those judged."""
    causes: Mapping[str, int]
    nobody_reachable: int
    times: tuple[PlaceTimes, ...]
    noisiest: tuple[DetectorNoise, ...]
    load: Load
    unreached: tuple[Unreached, ...]
    watched: tuple[Watched, ...]
    cut: bool
