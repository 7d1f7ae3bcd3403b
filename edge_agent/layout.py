"""Who hangs on a bus, which reads serve them, and what may be written to them; pure."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

from device_profiles.schema import Action, Profile, Role, Write
from edge_agent.decode import Decoder
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
    identity: dict[int, list[ReadRequest]] = field(default_factory=dict)
    """The slow reads that say which device it is."""
    decoders: dict[str, Decoder] = field(default_factory=dict)
    """By detector; those of one model share theirs."""

    @classmethod
    def of(cls, bus: BusConfig, profiles: Mapping[str, Profile]) -> Layout:
        """The layout of a bus that `rules` has found right. Raises PlanError when it cannot be polled."""
        pairs = configured(bus, profiles)
        layout = cls({config.detector: (config, profile) for config, profile in pairs}, plan(pairs))
        for request in layout.plan.fast:
            layout.fast.setdefault(request.unit, []).append(request)
        names = {
            (config.detector, register.name)
            for config, profile in pairs
            for register in profile.registers
            if register.role is Role.IDENTITY
        }
        for request in layout.plan.slow:
            if any((target.detector, target.register) in names for target in request.targets):
                layout.identity.setdefault(request.unit, []).append(request)
        models = {profile.id: Decoder(profile) for _, profile in pairs}
        for config, profile in pairs:
            layout.of_unit.setdefault(config.unit, []).append(config.detector)
            layout.decoders[config.detector] = models[profile.id]
        return layout

    def reads(self, unit: int, slow: Sequence[ReadRequest], *, identify: bool) -> list[ReadRequest]:
        """What to read of a unit in one visit, the fast first; `identify`: also which device it is."""
        fast, due = self.fast.get(unit, []), [request for request in slow if request.unit == unit]
        if not (due or identify):
            return fast
        who = self.identity.get(unit, []) if identify else []
        return fast + due + [request for request in who if request not in due]


def writable(config: DetectorConfig, profile: Profile, action: Action) -> Write | str:
    """What to write for an action, or why it may not be."""
    if not config.allow_writes:
        return "未允许写入 / allow_writes is not set for this detector"
    for write in profile.writes:
        if write.action is action:
            return write
    return f"型号不支持 / profile {profile.id} has no {action.value}"
