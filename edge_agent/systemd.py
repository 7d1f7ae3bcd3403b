"""What systemd wants to hear: ready, still turning, stopping, and how bad a log line is. Else silent."""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


def notify(environment: Mapping[str, str], state: str) -> bool:
    """Send one state (`READY=1`, `WATCHDOG=1`, `STOPPING=1`); False when nobody listens. Never raises."""
    place = environment.get("NOTIFY_SOCKET", "")
    if not place:
        return False
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as ear:
            ear.setblocking(False)  # a systemd that does not listen must not hold up the watch
            ear.connect("\0" + place[1:] if place.startswith("@") else place)
            ear.sendall(state.encode())
    except OSError:
        return False
    return True


PRIORITIES = {"debug": 7, "info": 6, "warning": 4, "error": 3, "critical": 2}
"""syslog(3)'s levels for ours; `journalctl -p warning` looks for them."""


def is_journal(environment: Mapping[str, str], handle: int) -> bool:
    """Whether this file is the journal's end, which takes `<3>` before a line as that line's level."""
    try:
        stream = os.fstat(handle)
    except OSError:
        return False
    return environment.get("JOURNAL_STREAM") == f"{stream.st_dev}:{stream.st_ino}"


def watchdog_s(environment: Mapping[str, str]) -> float | None:
    """How often systemd must be fed at least, in seconds; None when it does not watch."""
    given = environment.get("WATCHDOG_USEC", "")
    return int(given) / 1_000_000 if given.isascii() and given.isdecimal() and int(given) > 0 else None
