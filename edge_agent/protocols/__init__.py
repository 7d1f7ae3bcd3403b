"""Every plain serial protocol there is, in an explicit list."""

from __future__ import annotations

from collections.abc import Callable

from device_profiles.schema import Protocol
from edge_agent.protocols.dialogue import Dialogue
from edge_agent.protocols.gira import Gira
from edge_agent.protocols.jbf import Jbf

PROTOCOLS: dict[Protocol, Callable[[float], Dialogue]] = {
    Protocol.GIRA: Gira,
    Protocol.JBF: Jbf,
}
"""What a line of each protocol speaks; called with the seconds a character takes on it."""
