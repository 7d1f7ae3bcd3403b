"""The outside dead-man's switch: a web address that is asked for while all is proved well.

Law of this file: whoever watches that address notices our end by our silence; so nothing here tries again.
The address, which is a secret, is in nothing that is said.
"""

from __future__ import annotations

from central.notifier.channel import TryLater
from central.notifier.posting import Poster

TIMEOUT_S = 10.0


class DeadMan:
    """One switch."""

    def __init__(self, url: str, timeout_s: float = TIMEOUT_S) -> None:
        self._url = url
        self._poster = Poster(timeout_s)

    async def ping(self) -> str | None:
        """Say that all is well. Returns why it did not arrive, None when it did. Never raises."""
        reply = await self._poster.ask(self._url, method="GET")
        if isinstance(reply, TryLater):
            return reply.why
        return None if 200 <= reply.status < 300 else f"the switch answered {reply.status}"

    async def close(self) -> None:
        """Close the connection. Safe to repeat."""
        await self._poster.close()
