"""What a message may say of an alarm. Law of this file: types only; whoever reads the rows has such a value.

Names are '' or None where the registry has none. `central.store.alarms.AlarmFacts` is one.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import datetime
from typing import Any, Protocol

from central.engine.model import AlarmState, Condition, Disposition, Grade


class ResidentFacts(Protocol):
    """Who lives there."""

    @property
    def name(self) -> str:
        """Name."""
        ...

    @property
    def age(self) -> int | None:
        """Years, give or take one."""
        ...

    @property
    def phone(self) -> str:
        """Phone."""
        ...

    @property
    def lives_alone(self) -> bool:
        """Lives alone."""
        ...

    @property
    def needs(self) -> str:
        """What to bring or to mind."""
        ...

    @property
    def family_name(self) -> str:
        """Family name."""
        ...

    @property
    def family_phone(self) -> str:
        """Family phone."""
        ...


class Facts(Protocol):
    """What a message may say; `central.store.alarms.AlarmFacts` is one."""

    @property
    def id(self) -> int:
        """Id."""
        ...

    @property
    def condition(self) -> Condition:
        """Condition."""
        ...

    @property
    def state(self) -> AlarmState:
        """State."""
        ...

    @property
    def round(self) -> int:
        """How often it had to be taken."""
        ...

    @property
    def late(self) -> bool:
        """Told long after it happened."""
        ...

    @property
    def address_known(self) -> bool:
        """False: a home that the registry cannot name."""
        ...

    @property
    def area(self) -> str:
        """Area."""
        ...

    @property
    def area_name(self) -> str | None:
        """Area name."""
        ...

    @property
    def community_name(self) -> str | None:
        """Community name."""
        ...

    @property
    def grid_name(self) -> str | None:
        """Grid name."""
        ...

    @property
    def building_name(self) -> str | None:
        """Building name."""
        ...

    @property
    def address(self) -> str | None:
        """Address."""
        ...

    @property
    def unit(self) -> str | None:
        """Unit."""
        ...

    @property
    def floor(self) -> int | None:
        """Floor."""
        ...

    @property
    def room(self) -> str | None:
        """Room."""
        ...

    @property
    def spot(self) -> str | None:
        """Where in the home the detector hangs."""
        ...

    @property
    def gateway(self) -> str | None:
        """Its id; None for what no gateway told."""
        ...

    @property
    def gateway_name(self) -> str | None:
        """Gateway name."""
        ...

    @property
    def part(self) -> str:
        """Detector id, `bus:<bus>`, or '' for the gateway itself or the centre."""
        ...

    @property
    def event_at(self) -> datetime:
        """Event at."""
        ...

    @property
    def opened_at(self) -> datetime:
        """Opened at."""
        ...

    @property
    def cleared_at(self) -> datetime | None:
        """Cleared at."""
        ...

    @property
    def acknowledged_by(self) -> str | None:
        """The id of who has it."""
        ...

    @property
    def acknowledged_name(self) -> str | None:
        """Who has taken the present round."""
        ...

    @property
    def offered_by_name(self) -> str | None:
        """Who asks another to take it over."""
        ...

    @property
    def disposition(self) -> Disposition | None:
        """Disposition."""
        ...

    @property
    def grade(self) -> Grade:
        """How much more speaks for a fire than the detector that called."""
        ...

    @property
    def detail(self) -> Mapping[str, Any]:
        """`grounds` of the grade; `homes` (labels) and `count` left unwatched; `text` for people."""
        ...

    @property
    def residents(self) -> Sequence[ResidentFacts]:
        """Residents."""
        ...
