"""Sending until it is confirmed (GB/T 26875.3-2011, 6.5), as one small machine without a clock or a socket.

Law of this file: a packet that is not confirmed in time, or denied, is sent again as it was, with its serial,
three times; then the exchange has failed. A fire never waits for anything else, nor for one slow fire.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import NamedTuple

ACK_S = 10.0
"""6.5.4: should not be longer."""
RETRANSMISSIONS = 3
"""6.5.5."""
FIRES_AT_ONCE = 4


class Resend(NamedTuple):
    """Write these bytes now."""

    packet: bytes


class Failed(NamedTuple):
    """An exchange is over without a confirmation."""

    serial: int
    denied: bool
    """The last word was a denial, so somebody is there; otherwise silence."""


@dataclass(slots=True)
class _UnderWay:
    packet: bytes
    urgent: bool
    due: float
    left: int


class Exchange:
    """Packets of ours that one peer owes an answer. Times are seconds of any clock that only goes on."""

    def __init__(self, ack_s: float = ACK_S, retransmissions: int = RETRANSMISSIONS) -> None:
        self._ack_s = ack_s
        self._retransmissions = retransmissions
        self._under_way: dict[int, _UnderWay] = {}

    def has_room(self, *, urgent: bool) -> bool:
        """Whether another packet may be sent: a few fires at once, anything else alone."""
        if not urgent:
            return not self._under_way
        return sum(one.urgent for one in self._under_way.values()) < FIRES_AT_ONCE

    def begin(self, serial: int, packet: bytes, now: float, *, urgent: bool) -> None:
        """The caller writes the packet now. Raises ValueError without room or with a serial in use."""
        if serial in self._under_way or not self.has_room(urgent=urgent):
            raise ValueError(f"packet {serial} cannot be sent now")
        self._under_way[serial] = _UnderWay(packet, urgent, now + self._ack_s, self._retransmissions)

    def confirm(self, serial: int) -> bool:
        """The peer confirms. False: nothing with this serial was waiting (any more)."""
        return self._under_way.pop(serial, None) is not None

    def deny(self, serial: int, now: float) -> Resend | Failed | None:
        """The peer denies. None: nothing with this serial was waiting (any more)."""
        one = self._under_way.get(serial)
        return None if one is None else self._again(serial, one, now, denied=True)

    def tick(self, now: float) -> list[Resend | Failed]:
        """What is to be done because time has passed, fires first."""
        late = [(serial, one) for serial, one in self._waiting() if one.due <= now]
        return [self._again(serial, one, now, denied=False) for serial, one in late]

    def next_due(self) -> float | None:
        """When `tick` has something to do; None while nothing is under way."""
        return min((one.due for _, one in self._waiting()), default=None)

    def _waiting(self) -> list[tuple[int, _UnderWay]]:
        """Those whose time counts: while a fire is under way nothing else is sent again."""
        fires = [(serial, one) for serial, one in self._under_way.items() if one.urgent]
        return fires or list(self._under_way.items())

    def _again(self, serial: int, one: _UnderWay, now: float, *, denied: bool) -> Resend | Failed:
        if one.left == 0:
            del self._under_way[serial]
            return Failed(serial, denied)
        one.left -= 1
        one.due = now + self._ack_s
        return Resend(one.packet)
