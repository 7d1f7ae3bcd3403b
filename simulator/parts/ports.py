"""Which loopback port a part gets.

A chosen port lies outside the range the kernel hands to outgoing connections: a part that is stopped and
started again finds its port free, and a client that keeps calling while it is down cannot reach itself.
"""

from __future__ import annotations

import random
import socket
from pathlib import Path

from simulator.parts.child import PartError, process_numbers

HOST = "127.0.0.1"
_KERNEL_RANGE = Path("/proc/sys/net/ipv4/ip_local_port_range")
_LOWEST = 10_000


class PortBusyError(PartError):
    """Somebody else listens on the wanted port; the message names the mend."""


def is_free(port: int, host: str = HOST) -> bool:
    """Whether a server could listen on this port now."""
    with socket.socket(socket.AF_INET, socket.SOCK_STREAM) as probe:
        probe.setsockopt(socket.SOL_SOCKET, socket.SO_REUSEADDR, 1)
        try:
            probe.bind((host, port))
        except OSError:
            return False
    return True


def require_free(port: int, what: str, host: str = HOST) -> None:
    """Raise PortBusyError when the port is taken; `what` is the part that wants it."""
    if not is_free(port, host):
        raise PortBusyError(
            f"port {port} on {host}, wanted for {what}, is already in use{_by_whom(port)}: "
            f"stop that program or choose another port"
        )


def free_port() -> int:
    """A port nobody listens on, below the range of outgoing connections."""
    try:
        ceiling = int(_KERNEL_RANGE.read_text().split()[0])
    except (OSError, ValueError, IndexError):
        ceiling = 32_768
    for _ in range(200):
        port = random.randrange(_LOWEST, max(ceiling, _LOWEST + 1_000))
        if is_free(port):
            return port
    raise PartError("no free loopback port found: close some of the programs that listen")


def _by_whom(port: int) -> str:
    """`` by NAME (process N)`` when this user may see it, else nothing."""
    inodes = set()
    for table in ("/proc/net/tcp", "/proc/net/tcp6"):
        try:
            rows = Path(table).read_text().splitlines()[1:]
        except OSError:
            continue
        for row in rows:
            column = row.split()
            if column[3] == "0A" and int(column[1].rsplit(":", 1)[1], 16) == port:
                inodes.add(f"socket:[{column[9]}]")
    if not inodes:
        return ""
    for number in process_numbers():
        process = Path(f"/proc/{number}")
        try:
            if any(str(link.readlink()) in inodes for link in (process / "fd").iterdir()):
                return f" by {(process / 'comm').read_text().strip()} (process {process.name})"
        except OSError:
            continue
    return ""
