"""Alive, ready, and what is said when not."""

from __future__ import annotations

import asyncio
from pathlib import Path
from socket import AF_UNIX, SOCK_DGRAM, socket

from central import systemd
from central.health import Health


class _Clock:
    now = 100.0

    def __call__(self) -> float:
        return self.now


def test_a_loop_that_stops_turning_is_named() -> None:
    """Alive while it turns in time, dead after, alive again when it goes on."""
    clock = _Clock()
    health = Health(clock)
    health.expect("lane", 60)
    health.beat("nobody expects this")
    clock.now += 59
    assert health.live().ok
    clock.now += 2
    assert health.live().parts == {"lane": "has not turned for 61 s"}
    assert not health.live().ok
    health.beat("lane")
    assert health.live().ok
    assert health.ages() == {"lane": 0.0}


async def test_ready_asks_every_part_and_bears_checks_that_hang_or_raise() -> None:
    """Each gets its own words; a bad check never harms the one who asks."""
    health = Health(_Clock(), check_timeout_s=0.05)

    async def good() -> str | None:
        return None

    async def bad() -> str | None:
        return "not connected"

    async def hangs() -> str | None:
        await asyncio.Event().wait()
        return None

    async def raises() -> str | None:
        raise KeyError("x")

    health.add_check("good", good)
    assert (await health.ready()).ok
    for name, check in (("bad", bad), ("hangs", hangs), ("raises", raises)):
        health.add_check(name, check)
    report = await health.ready()
    assert not report.ok
    assert report.parts == {
        "good": "ok",
        "bad": "not connected",
        "hangs": "no answer within 0.05 s",
        "raises": "KeyError: 'x'",
    }
    assert health.live().ok


def test_systemd_hears_what_is_said_and_its_absence_is_no_error(tmp_path: Path) -> None:
    """By a socket in the file system or an abstract one; nobody there is fine."""
    assert not systemd.notify({}, "READY=1")
    assert not systemd.notify({"NOTIFY_SOCKET": str(tmp_path / "none")}, "READY=1")
    for address in (str(tmp_path / "notify"), f"@{tmp_path}/abstract"):
        with socket(AF_UNIX, SOCK_DGRAM) as line:
            line.bind(address.replace("@", "\0", 1))
            assert systemd.notify({"NOTIFY_SOCKET": address}, "READY=1", "STATUS=well")
            assert line.recv(100) == b"READY=1\nSTATUS=well"


def test_the_watchdog_period_is_ours_only_when_it_is_meant_for_us() -> None:
    """Another process's period and nonsense count for nothing."""
    assert systemd.watchdog_s({"WATCHDOG_USEC": "60000000"}) == 60.0
    assert systemd.watchdog_s({"WATCHDOG_USEC": "60000000", "WATCHDOG_PID": "1"}) is None
    assert systemd.watchdog_s({"WATCHDOG_USEC": "soon"}) is None
    assert systemd.watchdog_s({"WATCHDOG_USEC": "0"}) is None
    assert systemd.watchdog_s({}) is None
