"""Whether this process turns, and whether it can work. Law of this file: it is told, it never looks itself.

`live` is for a watchdog (restart me), `ready` for whoever sends work (not yet). A loop that must turn says so
with `beat`; a part that others depend on is asked by a check. An outage of the database or the broker makes
the process unready, never dead: a restart would mend nothing.
"""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable
from dataclasses import dataclass, field

Check = Callable[[], Awaitable[str | None]]
"""None when all is well, else the reason in plain words."""


@dataclass(frozen=True, slots=True)
class Report:
    """`ok`, and for each part `ok` or what is wrong."""

    ok: bool
    parts: dict[str, str]


@dataclass(slots=True)
class _Loop:
    allowed_s: float
    last: float


@dataclass(slots=True)
class Health:
    """The state of one process. `clock` is monotonic seconds."""

    clock: Callable[[], float]
    check_timeout_s: float = 3.0
    _loops: dict[str, _Loop] = field(default_factory=dict)
    _checks: dict[str, Check] = field(default_factory=dict)

    def expect(self, loop: str, allowed_s: float) -> None:
        """From now on `loop` must say `beat` at least every `allowed_s` seconds."""
        self._loops[loop] = _Loop(allowed_s, self.clock())

    def beat(self, loop: str) -> None:
        """The loop has turned. One that nobody expects is ignored."""
        known = self._loops.get(loop)
        if known is not None:
            known.last = self.clock()

    def add_check(self, part: str, check: Check) -> None:
        """Ask `check` whenever somebody wants to know whether we are ready."""
        self._checks[part] = check

    def ages(self) -> dict[str, float]:
        """Seconds since each expected loop last turned."""
        now = self.clock()
        return {name: now - loop.last for name, loop in self._loops.items()}

    def live(self) -> Report:
        """Whether every expected loop turns."""
        now = self.clock()
        parts = {
            name: "ok" if now - loop.last <= loop.allowed_s else f"has not turned for {now - loop.last:.0f} s"
            for name, loop in self._loops.items()
        }
        return Report(all(said == "ok" for said in parts.values()), parts)

    async def ready(self) -> Report:
        """Whether every loop turns and every check is content; a check that hangs or raises is not."""
        live = self.live()
        answers = await asyncio.gather(*(self._ask(check) for check in self._checks.values()))
        parts = {**live.parts, **dict(zip(self._checks, answers, strict=True))}
        return Report(all(said == "ok" for said in parts.values()), parts)

    async def _ask(self, check: Check) -> str:
        try:
            async with asyncio.timeout(self.check_timeout_s):
                return await check() or "ok"
        except TimeoutError:
            return f"no answer within {self.check_timeout_s:g} s"
        except Exception as error:  # noqa: BLE001 -- a broken check is a reason, not a crash of the asker
            return f"{type(error).__name__}: {error}"
