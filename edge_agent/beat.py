"""Which heartbeats say all, and which only that all is as before; pure.

Law of this file: whatever the centre judges (a bus, the disk, the clock, the configuration) is told whole as
soon as it is another than it was last told whole; a brief heartbeat hides nothing but counters and times.
"""

from __future__ import annotations

import msgspec

from wire.messages import BusStatus, Clock, Status

WHOLE_EVERY_S = 1800.0
"""At least so often everything is told anew."""
LAP_AGE_S = 30.0
"""A lap older than this is told with every heartbeat: the centre judges it from 60 s on."""
OFFSET_STEP_MS = 10_000
"""A clock that moved by less against the centre's is not worth telling."""


class Beat:
    """Remembers what was last told whole."""

    def __init__(self) -> None:
        self._told: Status | None = None
        self._at = 0.0

    def whole(self) -> None:
        """The next heartbeat says all: whoever listens now may not know what was said before."""
        self._told = None

    def of(self, status: Status, now: float) -> Status:
        """The heartbeat to send: `status` itself, or its brief form. `now` is monotonic seconds."""
        judged = _judged(status)
        late = any((bus.lap_age_s or 0.0) > LAP_AGE_S for bus in status.buses)
        if late or self._told != judged or now - self._at >= WHOLE_EVERY_S:
            self._told, self._at = (None if late else judged), now
            return status
        return Status(
            online=True,
            boot=status.boot,
            outbox_depth=status.outbox_depth,
            oldest_unacked_event_s=status.oldest_unacked_event_s,
            brief=True,
        )


def _judged(status: Status) -> Status:
    return msgspec.structs.replace(
        status,
        uptime_s=0.0,
        clock=None if status.clock is None else _coarse(status.clock),
        outbox_depth=0,
        oldest_unacked_event_s=None,
        buses=[_standing(bus) for bus in status.buses],
    )


def _coarse(clock: Clock) -> Clock:
    offset_ms = None if clock.offset_ms is None else round(clock.offset_ms / OFFSET_STEP_MS)
    return Clock(mono_ms=0, wall_ms=0, offset_ms=offset_ms, synchronised=clock.synchronised)


def _standing(bus: BusStatus) -> BusStatus:
    """The part that does not move while all is well; a late lap is never as before."""
    return msgspec.structs.replace(bus, lap_age_s=None, last_lap_s=None, errors=0)
