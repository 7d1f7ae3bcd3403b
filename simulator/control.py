"""Orders over a local socket: one JSON object a line in, one a line out.

Law of this file: whatever comes in, a plain answer goes out and the simulation goes on. The socket is for the
user who started the simulator alone (mode 0600).
"""

from __future__ import annotations

import asyncio
import contextlib
import json
import socket
import stat
from pathlib import Path
from types import TracebackType
from typing import Any, Self

import msgspec
import structlog

from simulator.bus import BusError
from simulator.orders import Do, Order, OrderError
from simulator.runner import Runner

MAX_LINE = 4096
"""Bytes of one order."""
MAX_ANSWER = 8_000_000
MAX_CLIENTS = 64
_PATH_LIMIT = 107
"""Bytes of a Unix socket's path on Linux."""

_log = structlog.get_logger()
_decoder = msgspec.json.Decoder(Order, strict=True)


class ControlError(Exception):
    """An order that was refused, or a simulator that cannot be reached; the text says which and the mend."""


class ControlServer:
    """Takes orders for a runner while inside `async with`. Raises ControlError when it cannot listen."""

    def __init__(self, runner: Runner, path: Path) -> None:
        self._runner, self._path = runner, path
        self._server: asyncio.Server | None = None
        self._clients: set[asyncio.StreamWriter] = set()

    async def __aenter__(self) -> Self:
        _clear(self._path)
        try:
            self._server = await asyncio.start_unix_server(self._serve, self._path, limit=MAX_LINE)
            self._path.chmod(0o600)
        except OSError as error:
            why = error.strerror or str(error)
            raise ControlError(
                f"control socket {self._path}: {why}; name a path in a folder that exists and may be written"
            ) from error
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        assert self._server is not None
        self._server.close()
        for writer in list(self._clients):
            writer.close()
        with contextlib.suppress(FileNotFoundError):
            self._path.unlink()
        await asyncio.sleep(0)

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        self._clients.add(writer)
        try:
            if len(self._clients) > MAX_CLIENTS:
                writer.write(_refused(f"{MAX_CLIENTS} clients are connected already; close one"))
                return
            while True:
                try:
                    line = await reader.readuntil(b"\n")
                except asyncio.LimitOverrunError:
                    writer.write(
                        _refused(f"an order is longer than {MAX_LINE} bytes; send one short line each")
                    )
                    return
                except asyncio.IncompleteReadError:
                    return
                if line.strip():
                    writer.write(await self._answer(line))
                    await writer.drain()
        except (ConnectionError, asyncio.CancelledError):
            pass
        finally:
            self._clients.discard(writer)
            writer.close()

    async def _answer(self, line: bytes) -> bytes:
        try:
            order = _decoder.decode(line)
            told = await self._runner.do(order)
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            return _refused(_plain(error))
        except (OrderError, BusError) as error:
            return _refused(str(error))
        except Exception as error:  # noqa: BLE001 -- a bug in one order must not end the detectors
            _log.exception("order_failed", line=line[:200])
            return _refused(f"the simulator failed: {error}; see its log")
        return json.dumps({"ok": True} | told, ensure_ascii=False).encode() + b"\n"


class ControlClient:
    """Gives orders to a running simulator. Use it with `async with`, or `connect` and `close`."""

    def __init__(self, path: Path | str) -> None:
        self._path = Path(path)
        self._reader: asyncio.StreamReader | None = None
        self._writer: asyncio.StreamWriter | None = None
        self._turn = asyncio.Lock()

    async def connect(self) -> None:
        """Raises ControlError when nobody listens there."""
        try:
            self._reader, self._writer = await asyncio.open_unix_connection(self._path, limit=MAX_ANSWER)
        except OSError as error:
            raise ControlError(_nobody(self._path, error)) from error

    async def close(self) -> None:
        """Hang up."""
        if self._writer is not None:
            self._writer.close()
            with contextlib.suppress(OSError):
                await self._writer.wait_closed()
            self._writer = None

    async def __aenter__(self) -> Self:
        await self.connect()
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.close()

    async def ask(self, do: str, detector: str | None = None, **fields: Any) -> dict[str, Any]:
        """One order and its answer, such as `ask("flip", "d-001", on=True)`. Raises ControlError."""
        if self._reader is None or self._writer is None:
            raise ControlError("not connected; use `async with ControlClient(path)`")
        async with self._turn:
            try:
                self._writer.write(_order(do, detector, fields))
                await self._writer.drain()
                line = await self._reader.readline()
            except (OSError, ValueError) as error:
                raise ControlError(f"the simulator at {self._path} has gone: {error}") from error
        return _told(line, self._path)


def ask(path: Path | str, do: str, detector: str | None = None, **fields: Any) -> dict[str, Any]:
    """One order and its answer without an event loop. Raises ControlError."""
    path = Path(path)
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as connection:
        connection.settimeout(10)
        try:
            connection.connect(str(path))
            connection.sendall(_order(do, detector, fields))
            with connection.makefile("rb") as file:
                line = file.readline(MAX_ANSWER)
        except OSError as error:
            raise ControlError(_nobody(path, error)) from error
    return _told(line, path)


def _order(do: str, detector: str | None, fields: dict[str, Any]) -> bytes:
    said = {"do": do, "detector": detector} | fields
    return json.dumps({key: value for key, value in said.items() if value is not None}).encode() + b"\n"


def _told(line: bytes, path: Path) -> dict[str, Any]:
    if not line.endswith(b"\n"):
        raise ControlError(f"the simulator at {path} hung up without an answer; see its log")
    told: dict[str, Any] = json.loads(line)
    if not told.pop("ok", False):
        raise ControlError(str(told.get("error", "refused without a reason")))
    return told


def _refused(why: str) -> bytes:
    return json.dumps({"ok": False, "error": why}, ensure_ascii=False).encode() + b"\n"


def _plain(error: Exception) -> str:
    text = str(error)
    if "enum value" in text and "$.do" in text:
        return f"unknown order; use one of: {', '.join(Do)}"
    return f'{text}; an order looks like {{"do": "ignite", "detector": "d-001"}}'


def _nobody(path: Path, error: OSError) -> str:
    why = error.strerror or str(error)
    return f"no simulator listens at {path}: {why}; start one with: smokewatch-sim bus ... --control {path}"


def _clear(path: Path) -> None:
    """Take away what a killed simulator left. Raises ControlError when a living one is there."""
    if len(str(path).encode()) > _PATH_LIMIT:
        raise ControlError(f"control socket {path}: longer than {_PATH_LIMIT} bytes; use a shorter path")
    try:
        mode = path.stat().st_mode
    except OSError:
        return
    if not stat.S_ISSOCK(mode):
        raise ControlError(f"control socket {path}: exists and is no socket; remove it, or name another path")
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as probe:
        try:
            probe.connect(str(path))
        except OSError:
            path.unlink(missing_ok=True)
            return
    raise ControlError(
        f"control socket {path}: another simulator listens there; stop it, or name another path"
    )
