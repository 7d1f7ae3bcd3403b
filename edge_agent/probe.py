"""What a person at the line asks of the running agent, and the centre's scan: carried out between the laps.

Law of this file: one scan a bus at a time; the watch comes first, for the poller puts at most one question in
vain a lap; whatever was written to a device is on record.
"""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator, Mapping, Sequence

import structlog

from device_profiles.schema import Profile
from edge_agent.observation import Observation
from edge_agent.poller import Poller
from edge_agent.recorder import Recorder
from edge_agent.scan import Found, Progress, Scan, ScanError, readdress, scan
from edge_agent.site import Site
from wire.messages import EventKind

EVERY_UNIT = range(1, 248)


class Prober:
    """Scans and moves devices on the buses that are watched."""

    def __init__(self, site: Site, profiles: Mapping[str, Profile], recorder: Recorder) -> None:
        self._site = site
        self._profiles = profiles
        self._recorder = recorder
        self._busy: set[str] = set()
        self._log = structlog.get_logger()

    async def scan(
        self,
        bus: str | None,
        units: Sequence[int] = EVERY_UNIT,
        like: str | None = None,
        progress: Callable[[Progress], None] = lambda _: None,
    ) -> Scan:
        """Ask these units at the bus's own settings. Raises ScanError."""
        poller = self._poller(bus)
        with self._alone_on(poller.bus.bus):
            return await scan(poller.ask, poller.bus, self._profiles, units, progress, like)

    async def set_address(
        self, bus: str | None, old: int, new: int, profile: str, *, may_be_configured: bool
    ) -> str:
        """Give the device at `old` the unit `new`; what came of it, also on record. Raises ScanError."""
        poller = self._poller(bus)
        with self._alone_on(poller.bus.bus):
            try:
                outcome = await readdress(
                    poller.ask,
                    poller.bus,
                    self._profiles,
                    old=old,
                    new=new,
                    profile=profile,
                    may_be_configured=may_be_configured,
                )
            except ScanError as error:
                await self._note(poller, f"改地址未完成 unit {old} to {new} not done: {error}")
                raise
            await self._note(poller, outcome)
            return outcome

    def _poller(self, bus: str | None) -> Poller:
        known = {poller.bus.bus: poller for poller in self._site.pollers}
        if bus is None and len(known) == 1:
            return next(iter(known.values()))
        if bus is None or bus not in known:
            names = ", ".join(sorted(known)) or "none"
            asked = "say which bus" if bus is None else f"there is no bus {bus!r}"
            raise ScanError(f"{asked}: the agent watches {names}")
        return known[bus]

    @contextlib.contextmanager
    def _alone_on(self, bus: str) -> Iterator[None]:
        if bus in self._busy:
            raise ScanError(f"bus {bus} is being scanned already: wait until that is done")
        self._busy.add(bus)
        try:
            yield
        finally:
            self._busy.discard(bus)

    async def _note(self, poller: Poller, text: str) -> None:
        self._log.warning("unit change", bus=poller.bus.bus, outcome=text)
        note = Observation(EventKind.NOTE, bus=poller.bus.bus, text=text[:500])
        await self._recorder.record([note], {})


def in_short(found: Scan) -> list[str]:
    """A scan as texts that a NOTE can carry: each at most 450 characters, at most ten of them."""
    words = [f"{one.unit}={'/'.join(one.detectors) or _unknown(one)}" for one in found.found]
    words += [f"{one.detector}@{one.unit} 无应答 no answer" for one in found.missing]
    head = f"总线 bus {found.bus}: {found.asked} 个地址 units asked, {len(found.found)} 个应答 answer"
    texts = [head]
    for word in words:
        if len(texts[-1]) + len(word) > 440:
            texts.append(f"总线 bus {found.bus}")
        texts[-1] += f"; {word}"
    if len(texts) > 10:
        texts = [*texts[:9], f"总线 bus {found.bus}: 其余略 the rest is left out: use smokewatch-edge probe"]
    return texts


def _unknown(one: Found) -> str:
    if one.guess is None or one.guess.profile is None:
        return "未知 unknown"
    return f"未知 unknown ({one.guess.profile}{'' if one.guess.sure else '?'})"
