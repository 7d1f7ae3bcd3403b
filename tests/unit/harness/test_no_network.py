"""The rule of the unit tests holds: no network, and an event loop all the same."""

from __future__ import annotations

import asyncio
import socket

import pytest


def test_a_unit_test_cannot_open_a_network_socket() -> None:
    """A rule that needs the network is not a rule but a shell."""
    with pytest.raises(UserWarning, match="A test tried to use socket"):  # a warning, and warnings are errors
        socket.socket(socket.AF_INET, socket.SOCK_STREAM)


async def test_an_event_loop_still_runs() -> None:
    """Its own socket pair is allowed."""
    near, far = socket.socketpair()
    with near, far:
        near.setblocking(False)
        far.sendall(b"x")
        assert await asyncio.get_running_loop().sock_recv(near, 1) == b"x"
