"""The auditor: a process of its own that proves, look by look, that alarms reach people.

Law of this file: it believes only rows that it has just read, and changes one: the moment of its last proof.
While that row is old `alive` is not said (central.proof), the dead-man's switch is not pinged, and people are
told by the emergency channel; so a dead auditor is noticed like whatever it would have found.
"""

from __future__ import annotations

import asyncio
from collections.abc import Callable

import structlog

from central.dead_man import DeadMan
from central.emergency import Emergency
from central.ending import together
from central.findings import DEAF_S, Seen, Standing, conclude, find
from central.store import deliveries, due, jobs, leases
from central.store.errors import StoreError
from central.store.pool import Store

LOOK, PING, SHOUT = "auditor look", "auditor ping", "auditor shout"
LOOPS = (LOOK, PING, SHOUT)
LOOK_S = 5.0
LOOK_WITHIN_S = 15.0
PING_S = 30.0
RETRY_S = 5.0
_log = structlog.get_logger()


class Auditor:
    """Looks, concludes, tells. `clock` is monotonic seconds."""

    def __init__(
        self,
        store: Store,
        emergency: Emergency,
        dead_man: DeadMan | None,
        again_s: float,
        clock: Callable[[], float],
        beat: Callable[[str], None] = lambda _loop: None,
    ) -> None:
        """`beat` is called with the loop's name (`LOOPS`) at each of its turns."""
        self._store = store
        self._emergency = emergency
        self._dead_man = dead_man
        self._again_s = again_s
        self._clock = clock
        self._beat = beat
        self._standing = Standing()
        self._answered_at = clock()
        self._proved_at: float | None = None
        self._shouted = asyncio.Event()
        self._found: tuple[str, ...] = ()
        self._looked = True
        self._unheard = False

    @property
    def proved(self) -> bool:
        """Whether a fresh look found all well."""
        return self._proved_at is not None and self._clock() - self._proved_at <= LOOK_S + LOOK_WITHIN_S

    async def trouble(self) -> str | None:
        """What keeps it from proving that all is well, in a few words; None when it does."""
        return None if self.proved else f"not proved: {', '.join(self._found) or 'no whole look yet'}"

    async def run(self) -> None:
        """Until cancelled."""
        await together(self._looks(), self._shouts(), self._pings())

    async def look(self) -> None:
        """Look once, and conclude."""
        try:
            async with asyncio.timeout(LOOK_WITHIN_S):
                seen = await self._seen()
            self._answered_at = self._clock()
        except (StoreError, TimeoutError) as error:
            if self._looked:
                _log.warning("the auditor cannot look", error=f"{type(error).__name__}: {error}")
            seen = Seen(unanswered_s=max(self._clock() - self._answered_at, 0.001))
        found, looked = find(seen), seen.unanswered_s == 0
        self._looked = looked
        if tuple(sorted(found)) != self._found:
            self._found = tuple(sorted(found))
            _log.error("the auditor found", found=self._found) if found else _log.info("all is well again")
        self._proved_at = self._clock() if looked and not found else None
        self._standing, shout = conclude(
            self._standing, found, looked=looked, now=self._clock(), again_s=self._again_s
        )
        if shout is not None:
            self._emergency.say(shout)
            self._shouted.set()

    async def ping(self) -> None:
        """Ping the switch, once, if all is proved well."""
        if self._dead_man is None or not self.proved:
            return
        why = await self._dead_man.ping()
        if why is not None and not self._unheard:
            _log.error("the dead-man's switch does not hear us", why=why)
        elif why is None and self._unheard:
            _log.info("the dead-man's switch hears us again")
        self._unheard = why is not None

    async def _seen(self) -> Seen:
        """One look; where all is well the proof goes on record with it. Raises StoreError."""
        async with self._store.transaction() as tx:
            backlog = await deliveries.backlog(tx)
            overdue = await due.overdue(tx)
            vital = [one for one in await jobs.on_record(tx) if one.name in jobs.VITAL]
            late = [one for one in vital if jobs.is_overdue(one, tx.now)]
            ears = {area: tx.now - at for area, at in (await leases.hearing(tx)).items()}
            seen = Seen(
                deliveries=backlog.overdue,
                steps=overdue.steps,
                oldest_s=max(backlog.oldest_s if backlog.overdue else 0.0, overdue.oldest_s),
                late={one.name: (tx.now - one.succeeded_at).total_seconds() for one in late},
                deaf={
                    area: age.total_seconds() for area, age in ears.items() if age.total_seconds() > DEAF_S
                },
            )
            if not find(seen):
                await jobs.succeeded(tx, jobs.AUDITOR)
        return seen

    async def _looks(self) -> None:
        while True:
            await self.look()
            self._beat(LOOK)
            await asyncio.sleep(LOOK_S)

    async def _shouts(self) -> None:
        while True:
            self._beat(SHOUT)
            self._shouted.clear()
            await self._emergency.deliver()
            try:
                async with asyncio.timeout(RETRY_S):
                    await self._shouted.wait()
            except TimeoutError:
                continue

    async def _pings(self) -> None:
        while True:
            await self.ping()
            self._beat(PING)
            await asyncio.sleep(PING_S)
