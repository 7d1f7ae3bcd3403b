"""What a fleet has done, counted. Pure: numbers in, numbers out.

Delays are kept in steps of 2 %, so that a run of any length takes the same room.
"""

from __future__ import annotations

import math
from dataclasses import dataclass, field

_STEP = math.log(1.02)
_FINEST_MS = 0.1


class Delays:
    """How long something took, many times."""

    __slots__ = ("_counts", "_most")

    def __init__(self) -> None:
        self._counts: dict[int, int] = {}
        self._most = 0.0

    def add(self, ms: float) -> None:
        """One more, milliseconds."""
        self._most = max(self._most, ms)
        step = int(math.log(max(ms, _FINEST_MS) / _FINEST_MS) / _STEP)
        self._counts[step] = self._counts.get(step, 0) + 1

    def at(self, share: float) -> float | None:
        """Milliseconds that this share of all did not exceed, within 2 %; None when there is none."""
        wanted = share * sum(self._counts.values())
        passed = 0
        for step in sorted(self._counts):
            passed += self._counts[step]
            if passed >= wanted:
                return round(min(self._most, _FINEST_MS * math.exp((step + 1) * _STEP)), 2)
        return None

    def told(self) -> dict[str, float | None]:
        """For the summary."""
        return {
            "p50_ms": self.at(0.5),
            "p99_ms": self.at(0.99),
            "max_ms": round(self._most, 2) if self._counts else None,
        }


@dataclass(slots=True)
class LaneTally:
    """One lane of all gateways together; rows are readings or events."""

    recorded: int = 0
    """Rows that gateways have on record."""
    messages: int = 0
    sent: int = 0
    """Different rows sent, each counted once however often it went."""
    repeated: int = 0
    """Rows sent once more."""
    acked: int = 0
    """Rows that the centre has acknowledged."""
    gaps: int = 0
    """Rows given up before they were acknowledged, because a gateway held too many."""
    delays: Delays = field(default_factory=Delays)
    """From sending a batch to its answer."""

    @property
    def waiting(self) -> int:
        """Rows on record and neither acknowledged nor given up."""
        return self.recorded - self.acked - self.gaps

    def told(self) -> dict[str, object]:
        """For the summary."""
        return {
            "recorded": self.recorded,
            "messages": self.messages,
            "sent": self.sent,
            "repeated": self.repeated,
            "acked": self.acked,
            "waiting": self.waiting,
            "gaps": self.gaps,
            "ack": self.delays.told(),
        }


@dataclass(slots=True)
class Tally:
    """All that a fleet has done."""

    readings: LaneTally = field(default_factory=LaneTally)
    events: LaneTally = field(default_factory=LaneTally)
    heartbeats: int = 0
    alarms: int = 0
    """Smoke asserts recorded, the storm's among them."""
    snapshots: int = 0
    asks: dict[str, int] = field(default_factory=dict)
    """What answers asked for, by name."""
    refused: int = 0
    """Answers that a message could not be read, and answers of the centre that we cannot read."""
    new_streams: int = 0
    epochs: int = 0
    """How often the centre's database was another one."""
    configs: int = 0
    commands: int = 0
    """Orders that came; a fleet carries out none."""
    strangers: int = 0
    """Messages to gateways that are not of this fleet."""
    lost_up: int = 0
    lost_down: int = 0
    """Messages that --lose took away, by direction."""
    away: int = 0
    """Gateways that are cut off now."""
    storm_from_ms: int | None = None
    """Wall clock at which the storm's first alarm was recorded."""
    storm_to_ms: int | None = None

    @property
    def waiting(self) -> int:
        """Rows of both lanes that the centre has not acknowledged."""
        return self.readings.waiting + self.events.waiting

    def told(self) -> dict[str, object]:
        """For the summary."""
        return {
            "readings": self.readings.told(),
            "events": self.events.told(),
            "heartbeats": self.heartbeats,
            "alarms": self.alarms,
            "snapshots": self.snapshots,
            "asks": dict(sorted(self.asks.items())),
            "refused": self.refused,
            "new_streams": self.new_streams,
            "epochs": self.epochs,
            "configs": self.configs,
            "commands": self.commands,
            "strangers": self.strangers,
            "lost": {"up": self.lost_up, "down": self.lost_down},
            "storm": {"from_ms": self.storm_from_ms, "to_ms": self.storm_to_ms},
        }
