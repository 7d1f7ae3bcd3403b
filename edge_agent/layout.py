"""Who hangs on a bus, which reads serve them, and what may be written to them; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from device_profiles.schema import Action, Profile, Write
from edge_agent.plan import Configured, Plan, ReadRequest, plan
from edge_agent.rules import configured
from wire.messages import BusConfig, DetectorConfig


@dataclass(slots=True)
class Layout:
    """Who hangs on the bus, and which reads serve them."""

    members: dict[str, Configured]
    plan: Plan
    fast: dict[int, list[ReadRequest]] = field(default_factory=dict)
    of_unit: dict[int, list[str]] = field(default_factory=dict)

    @classmethod
    def of(cls, bus: BusConfig, profiles: Mapping[str, Profile]) -> Layout:
        """The layout of a bus that `rules` has found right. Raises PlanError when it cannot be polled."""
        pairs = configured(bus, profiles)
        layout = cls({config.detector: (config, profile) for config, profile in pairs}, plan(pairs))
        for request in layout.plan.fast:
            layout.fast.setdefault(request.unit, []).append(request)
        for config, _ in pairs:
            layout.of_unit.setdefault(config.unit, []).append(config.detector)
        return layout

    def reads(self, unit: int, slow: Sequence[ReadRequest]) -> list[ReadRequest]:
        """What to read of a unit in one visit."""
        return self.fast.get(unit, []) + [request for request in slow if request.unit == unit]


def writable(config: DetectorConfig, profile: Profile, action: Action) -> Write | str:
    """What to write for an action, or why it may not be."""
    if not config.allow_writes:
        return "未允许写入 / allow_writes is not set for this detector"
    for write in profile.writes:
        if write.action is action:
            return write
    return f"型号不支持 / profile {profile.id} has no {action.value}"
