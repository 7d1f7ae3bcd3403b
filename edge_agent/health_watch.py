"""All loops of the agent under one eye: systemd is fed while they turn, and the health pages say how it goes.

Law of this file: it looks and tells; it changes nothing of what it looks at.
"""

from __future__ import annotations

import asyncio
import os
import time
from collections.abc import Callable, Mapping, Sequence
from http import HTTPStatus
from pathlib import Path

import structlog

from edge_agent.clock import Clock
from edge_agent.health import LoopAge, stuck, unready
from edge_agent.health_http import Page
from edge_agent.health_metrics import BusFigures, Figures, page
from edge_agent.publisher import Publisher
from edge_agent.recorder import Recorder
from edge_agent.site import Site
from edge_agent.systemd import notify, watchdog_s
from edge_agent.turning import Turning
from wire.messages import Status

STALLED_S = 45.0
"""A bus's loop or the recorder's that has not come round for so long is stuck."""
CONNECTING_S = 180.0
"""The same for all others: between two rounds of the uplink lie a name look-up, a handshake and a pause."""
UNREAD_S = 60.0
"""A bus without a finished lap for so long is not watched (P3)."""
FEED_EVERY_S = 10.0


class Health:
    """How this agent does. `status` gives the heartbeat's content."""

    def __init__(
        self,
        site: Site,
        recorder: Recorder,
        publisher: Publisher,
        clock: Clock,
        status: Callable[[], Status],
        others: Mapping[str, Turning] | None = None,
    ) -> None:
        self._site = site
        self._recorder = recorder
        self._publisher = publisher
        self._clock = clock
        self._status = status
        self._others = others or {}
        self._feeds = 0
        self.started = False
        """Set when every part runs."""
        self._log = structlog.get_logger()

    async def feed(self, environment: Mapping[str, str]) -> None:
        """Feed systemd's watchdog while every loop turns, whether what it tries succeeds or not."""
        within_s = watchdog_s(environment)
        every_s = FEED_EVERY_S if within_s is None else min(FEED_EVERY_S, within_s / 3)
        while True:
            hung = stuck(self.loops())
            if hung:
                self._log.error("a loop does not turn", loops=hung)
            else:
                self._feeds += 1
                notify(environment, "WATCHDOG=1")
            await asyncio.sleep(every_s)

    def loops(self) -> list[LoopAge]:
        """Every loop that has work; the canary sleeps for an hour and leaves its work to the recorder."""
        now = self._clock.mono_s()
        loops = [LoopAge(f"bus {p.bus.bus}", now - p.progress_at, STALLED_S) for p in self._site.pollers]
        for name, one in (("recorder", self._recorder.turning), ("outbox", self._recorder.tending)):
            loops.append(LoopAge(name, one.age_s(), STALLED_S))
        slow = {**self._site.turning, **self._publisher.turning, **self._others}
        return loops + [LoopAge(name, one.age_s(), CONNECTING_S) for name, one in slow.items()]

    def pages(self) -> dict[str, Callable[[], Page]]:
        """Path to page."""
        return {"/metrics": self._metrics, "/healthz": self._healthz, "/readyz": self._readyz}

    def _healthz(self) -> Page:
        return _verdict([f"loop {name} does not turn" for name in stuck(self.loops())])

    def _readyz(self) -> Page:
        seen = [poller.status() for poller in self._site.pollers]
        why_not = unready(
            started=self.started,
            stuck_loops=stuck(self.loops()),
            storage_error=self._recorder.error,
            unwatched=[bus.bus for bus in seen if bus.lap_age_s is None or bus.lap_age_s >= UNREAD_S],
        )
        return _verdict(why_not)

    def _metrics(self) -> Page:
        loops, alive_at = self.loops(), self._publisher.alive_at
        figures = Figures(
            status=self._status(),
            buses={
                p.bus.bus: BusFigures(p.laps, p.reads, {kind.value: n for kind, n in p.errors.items()})
                for p in self._site.pollers
            },
            connected=self._publisher.connected,
            alive_age_s=None if alive_at is None else self._clock.mono_s() - alive_at,
            acks=self._publisher.acks,
            given_up=self._recorder.given_up,
            waiting=self._recorder.waiting,
            watchdog_feeds=self._feeds,
            stuck=stuck(loops),
            loops={loop.name: loop.age_s for loop in loops},
            rss_bytes=_rss_bytes(),
            cpu_s=time.process_time(),
        )
        return Page(HTTPStatus.OK, page(figures))


def _verdict(why_not: Sequence[str]) -> Page:
    if why_not:
        return Page(HTTPStatus.SERVICE_UNAVAILABLE, "".join(f"{line}\n" for line in why_not))
    return Page(HTTPStatus.OK, "ok\n")


def _rss_bytes() -> int:
    pages = Path("/proc/self/statm").read_text("ascii").split()[1]
    return int(pages) * os.sysconf("SC_PAGE_SIZE")
