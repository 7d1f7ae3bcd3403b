"""Errors of the wire, named by what the caller must do.

`LocalError`: we tried to send something the contract forbids; our bug, fix the code.
`RemoteError`: the peer sent something we cannot take; quarantine it with the reason and go on.
"""

from __future__ import annotations


class WireError(Exception):
    """Anything that breaks the wire contract."""


class LocalError(WireError):
    """Our own message breaks the contract."""


class RemoteError(WireError):
    """The peer's message breaks the contract; the text names the place and the reason."""
