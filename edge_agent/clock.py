"""The agent's clocks, and what is known of the centre's.

Law of this file: time comes from outside (`app` supplies the real clocks); what runs on is monotonic time,
and the centre's time is remembered against it, so that a step of the wall clock spoils nothing.
"""

from __future__ import annotations

from collections.abc import Callable

from edge_agent.observation import Stamp
from wire import messages

MAX_ROUND_TRIP_MS = 5_000
"""An answer that took longer says too little about the centre's clock."""


class Clock:
    """Wall and monotonic time of one boot.

    `wall_ms` is milliseconds since 1970, `mono_s` seconds of a clock that only runs forward (best one that
    also counts while the machine sleeps), `boot` 32 hex digits that name its start, `synchronised` whether
    the wall clock is known to be right.
    """

    def __init__(
        self,
        *,
        wall_ms: Callable[[], int],
        mono_s: Callable[[], float],
        boot: str,
        synchronised: Callable[[], bool] = lambda: False,
    ) -> None:
        self._wall_ms = wall_ms
        self._mono_s = mono_s
        self._synchronised = synchronised
        self._server_less_mono_ms: int | None = None
        self.boot = boot

    def wall_ms(self) -> int:
        """Milliseconds since 1970 by this machine; may be wrong by decades."""
        return self._wall_ms()

    def mono_s(self) -> float:
        """Seconds since some moment of this boot."""
        return self._mono_s()

    def mono_ms(self) -> int:
        """The same in milliseconds."""
        return int(self._mono_s() * 1000)

    @property
    def synchronised(self) -> bool:
        """Whether the wall clock is known to be right."""
        return self._synchronised()

    @property
    def offset_ms(self) -> int | None:
        """Centre's wall clock minus ours at this moment; None before the first good round trip."""
        if self._server_less_mono_ms is None:
            return None
        return self._server_less_mono_ms + self.mono_ms() - self.wall_ms()

    def heard_server(self, server_ms: int, echo_ms: int) -> bool:
        """Take the centre's time from an answer to what we sent at `echo_ms` (monotonic). False: too slow."""
        now = self.mono_ms()
        if not 0 <= now - echo_ms < MAX_ROUND_TRIP_MS:
            return False
        # The centre looked at its clock somewhere on the way; the middle is wrong by half the trip at most.
        self._server_less_mono_ms = server_ms - (echo_ms + now) // 2
        return True

    def server_ms(self) -> int | None:
        """The centre's time now, or None when neither it nor a synchronised clock is known."""
        if self._server_less_mono_ms is not None:
            return self._server_less_mono_ms + self.mono_ms()
        return self.wall_ms() if self.synchronised else None

    def stamp(self, config_version: int = 0) -> Stamp:
        """What goes on record with an observation made now."""
        return Stamp(
            at_ms=self.wall_ms(),
            mono_ms=self.mono_ms(),
            boot=self.boot,
            synchronised=self.synchronised,
            config_version=config_version,
        )

    def sending(self, mono_ms: int) -> messages.Clock:
        """The clocks as a batch carries them, for a message sent at `mono_ms`."""
        return messages.Clock(
            mono_ms=mono_ms,
            wall_ms=self.wall_ms() + mono_ms - self.mono_ms(),
            offset_ms=self.offset_ms,
            synchronised=self.synchronised,
        )
