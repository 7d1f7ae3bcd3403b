"""How long it took, by place. Law of this file: pure; a step that never came is no span."""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Mapping, Sequence
from datetime import datetime

from central.reports.model import Fire, Level, PlaceTimes, Spread

LEVELS: tuple[Level, ...] = ("area", "community", "grid")


def percentile(values: Sequence[float], share: float) -> float | None:
    """The least value that at least `share` (0 to 1) of them do not exceed; None without any."""
    if not values:
        return None
    ranked = sorted(values)
    return ranked[max(math.ceil(share * len(ranked)) - 1, 0)]


def spread(values: Sequence[float]) -> Spread:
    """Median and 90th percentile."""
    return Spread(len(values), percentile(values, 0.5), percentile(values, 0.9))


def by_place(fires: Iterable[Fire], names: Mapping[tuple[Level, str], str]) -> tuple[PlaceTimes, ...]:
    """Streets, then communities, then grids, each in the order of their ids; what has no place comes last."""
    groups: dict[tuple[Level, str | None], list[Fire]] = {}
    for fire in fires:
        for level, of in zip(LEVELS, (fire.area, fire.community, fire.grid), strict=True):
            groups.setdefault((level, of), []).append(fire)
    ranked = sorted(groups, key=lambda key: (LEVELS.index(key[0]), key[1] is None, key[1] or ""))
    return tuple(_times(level, of, names, groups[level, of]) for level, of in ranked)


def _times(
    level: Level, of: str | None, names: Mapping[tuple[Level, str], str], fires: Sequence[Fire]
) -> PlaceTimes:
    def until(step: Callable[[Fire], datetime | None]) -> Spread:
        # A clock that was set back must not make a span negative.
        return spread(
            [
                max((at - fire.opened_at).total_seconds(), 0.0)
                for fire in fires
                if (at := step(fire)) is not None
            ]
        )

    return PlaceTimes(
        level=level,
        id=of,
        name=names.get((level, of), of) if of is not None else "",
        fires=len(fires),
        notified=until(lambda fire: fire.notified_at),
        acknowledged=until(lambda fire: fire.acknowledged_at),
        set_out=until(lambda fire: fire.set_out_at),
        arrived=until(lambda fire: fire.arrived_at),
        closed=until(lambda fire: fire.closed_at),
    )
