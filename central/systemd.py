"""A word to systemd (sd_notify): ready, still turning, what we do.

Law of this file: silent when nobody listens.
"""

from __future__ import annotations

import os
import socket
from collections.abc import Mapping


def notify(environment: Mapping[str, str], *words: str) -> bool:
    """Send `words` such as `READY=1`; whether somebody was there to hear them."""
    address = environment.get("NOTIFY_SOCKET")
    if not address:
        return False
    if address.startswith("@"):  # an abstract socket
        address = "\0" + address[1:]
    try:
        with socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM | socket.SOCK_CLOEXEC) as line:
            line.setblocking(False)
            line.sendto("\n".join(words).encode(), address)
    except OSError:
        return False
    return True


def watchdog_s(environment: Mapping[str, str]) -> float | None:
    """How often systemd wants to hear from this process, in seconds; None when it does not watch."""
    period = environment.get("WATCHDOG_USEC", "")
    asked_of = environment.get("WATCHDOG_PID")
    if not period.isdecimal() or (asked_of is not None and asked_of != str(os.getpid())):
        return None
    return int(period) / 1_000_000 or None
