"""Everybody's telephones: a webhook receiver in a process of its own that notes what arrives, and when."""

from __future__ import annotations

import json
import multiprocessing
import selectors
import socket
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from multiprocessing.connection import Connection
from typing import Any

_ANSWER = b'HTTP/1.1 200 OK\r\ncontent-length: 12\r\n\r\n{"ok": true}'


@dataclass(frozen=True)
class Arrived:
    """One message: when it came (seconds since 1970), and what it said."""

    at: float
    body: dict[str, Any]


class Phones:
    """Listens at `url` while the context lasts."""

    def __init__(self, url: str, pipe: Connection) -> None:
        self.url = url
        self._pipe = pipe

    def arrived(self) -> list[Arrived]:
        """All that has come, in order."""
        self._pipe.send("tell")
        return [Arrived(at, json.loads(raw)) for at, raw in self._pipe.recv()]


@contextmanager
def phones() -> Iterator[Phones]:
    """A receiver that says yes to everything."""
    listening = socket.create_server(("127.0.0.1", 0), backlog=256)
    ours, theirs = multiprocessing.Pipe()
    process = multiprocessing.get_context("fork").Process(
        target=_serve, args=(listening, theirs), daemon=True
    )
    process.start()
    port = listening.getsockname()[1]
    listening.close()
    try:
        yield Phones(f"http://127.0.0.1:{port}/", ours)
    finally:
        process.terminate()
        process.join()


def _serve(listening: socket.socket, pipe: Connection) -> None:
    came: list[tuple[float, bytes]] = []
    held: dict[socket.socket, bytes] = {}
    waiting = selectors.DefaultSelector()
    waiting.register(listening, selectors.EVENT_READ)
    waiting.register(pipe, selectors.EVENT_READ)
    while True:
        for key, _ in waiting.select():
            if key.fileobj is pipe:
                pipe.recv()
                pipe.send(came)
            elif key.fileobj is listening:
                line, _ = listening.accept()
                held[line] = b""
                waiting.register(line, selectors.EVENT_READ)
            else:
                line = key.fileobj
                assert isinstance(line, socket.socket)
                _read(line, held, came, waiting)


def _read(
    line: socket.socket,
    held: dict[socket.socket, bytes],
    came: list[tuple[float, bytes]],
    waiting: selectors.BaseSelector,
) -> None:
    try:
        data = line.recv(1 << 20)
    except OSError:
        data = b""
    if not data:
        waiting.unregister(line)
        del held[line]
        line.close()
        return
    data = held[line] + data
    while b"\r\n\r\n" in data:
        head, _, rest = data.partition(b"\r\n\r\n")
        length = int(next(h for h in head.lower().split(b"\r\n") if h.startswith(b"content-length:"))[15:])
        if len(rest) < length:
            break
        came.append((time.time(), rest[:length]))
        data = rest[length:]
        line.sendall(_ANSWER)
    held[line] = data
