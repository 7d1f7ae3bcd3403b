"""The running agent's local socket: one request a connection, one JSON line in, lines out.

Law of this file: it moves requests and answers; what they do is `probe`. A client may be slow, silent, rude
or gone: nothing of it reaches the watch. Lines out are `{"progress": ...}`, then one `{"done": ...}` or
`{"error": "..."}`. A client that hangs up ends what it asked for.
"""

from __future__ import annotations

import asyncio
import contextlib
import socket
from collections.abc import Awaitable, Callable, Iterator
from pathlib import Path
from typing import Annotated, Any

import msgspec
import structlog
from msgspec import Meta, Struct

LINE_LIMIT = 4096
ANSWER_LIMIT = 1_000_000
READ_TIMEOUT_S = 5.0
WORK_TIMEOUT_S = 1800.0
"""A scan of 247 units on a slow and full bus takes about ten minutes."""
MOST_CLIENTS = 8
RETRY_S = 30.0
MODE = 0o660
_PATH_LIMIT = 107

Unit = Annotated[int, Meta(ge=1, le=247)]


class Probe(Struct, frozen=True, forbid_unknown_fields=True, tag_field="do", tag="probe"):
    """Scan a bus between the laps."""

    units: Annotated[list[Unit], Meta(min_length=1, max_length=247)]
    bus: str | None = None
    """None: the only one there is."""
    profile: str | None = None


class SetAddress(Struct, frozen=True, forbid_unknown_fields=True, tag_field="do", tag="set_address"):
    """Give a device another unit."""

    old: Unit
    new: Unit
    profile: str
    bus: str | None = None
    configured: bool = False
    """Also when `old` is a configured detector."""


Request = Probe | SetAddress
Tell = Callable[[Any], None]
"""Takes progress: anything that JSON can carry."""
Handle = Callable[[Request, Tell], Awaitable[Any]]

_decoder = msgspec.json.Decoder(Request)


class ControlError(Exception):
    """Refused, or nobody there; the text says why and the mend."""


class ControlServer:
    """Listens at a path until cancelled. `refused` is what `handle` raises for what it will not do."""

    def __init__(self, path: Path, handle: Handle, refused: type[Exception]) -> None:
        self._path = path
        self._handle = handle
        self._refused = refused
        self._clients: set[asyncio.Task[None]] = set()
        self._log = structlog.get_logger()

    async def run(self) -> None:
        """Listen, for ever; a path that cannot be listened at is said once and tried again."""
        told = False
        while True:
            try:
                server = await self._listen()
            except OSError as error:
                if not told:
                    mend = "give a short path in a folder that may be written by control.socket"
                    self._log.warning("no control socket", path=str(self._path), why=str(error), mend=mend)
                    told = True
                await asyncio.sleep(RETRY_S)
                continue
            try:
                await asyncio.Event().wait()
            finally:
                server.close()
                self._path.unlink(missing_ok=True)
                for task in self._clients:
                    task.cancel()

    async def _listen(self) -> asyncio.Server:
        if len(str(self._path).encode()) > _PATH_LIMIT:
            raise OSError(f"the path is longer than {_PATH_LIMIT} bytes")
        if self._path.is_socket():
            if _somebody_listens(self._path):
                raise OSError("another agent listens there")
            self._path.unlink()  # left by a killed agent
        ear = socket.socket(socket.AF_UNIX, socket.SOCK_STREAM | socket.SOCK_NONBLOCK)
        try:
            ear.bind(str(self._path))
            self._path.chmod(MODE)  # before anybody can connect
            return await asyncio.start_unix_server(self._serve, sock=ear, limit=LINE_LIMIT)
        except BaseException:
            ear.close()
            raise

    async def _serve(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        task = asyncio.current_task()
        assert task is not None
        self._clients.add(task)
        try:
            await self._converse(reader, writer)
        except (ConnectionError, TimeoutError):
            pass
        finally:
            self._clients.discard(task)
            with contextlib.suppress(OSError):
                writer.close()

    async def _converse(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        try:
            request = await self._request(reader)
        except ControlError as error:
            await _say(writer, {"error": str(error)})
            return

        def tell(progress: Any) -> None:
            if writer.transport.get_write_buffer_size() < ANSWER_LIMIT:
                writer.write(_line({"progress": progress}))

        work = asyncio.ensure_future(self._work(request, tell))
        gone = asyncio.ensure_future(reader.read(1))
        try:
            await asyncio.wait({work, gone}, return_when=asyncio.FIRST_COMPLETED)
            if work.done():
                await _say(writer, work.result())
        finally:
            for task in (work, gone):
                task.cancel()
            await asyncio.gather(work, gone, return_exceptions=True)

    async def _request(self, reader: asyncio.StreamReader) -> Request:
        if len(self._clients) > MOST_CLIENTS:
            raise ControlError(f"{MOST_CLIENTS} others are being served: try again in a while")
        try:
            async with asyncio.timeout(READ_TIMEOUT_S):
                line = await reader.readuntil(b"\n")
            request: Request = _decoder.decode(line)
        except TimeoutError:
            raise ControlError(f"no request within {READ_TIMEOUT_S:g} s: send one line of JSON") from None
        except (asyncio.IncompleteReadError, asyncio.LimitOverrunError):
            raise ControlError(f"send one line of JSON of at most {LINE_LIMIT} bytes") from None
        except (msgspec.DecodeError, UnicodeDecodeError) as error:
            raise ControlError(f"unknown request ({error}): known are probe, set_address") from None
        return request

    async def _work(self, request: Request, tell: Tell) -> dict[str, Any]:
        try:
            async with asyncio.timeout(WORK_TIMEOUT_S):
                return {"done": await self._handle(request, tell)}
        except TimeoutError:
            return {"error": f"it took longer than {WORK_TIMEOUT_S:g} s: ask for fewer units"}
        except self._refused as error:
            return {"error": str(error)}
        except Exception as error:  # noqa: BLE001 -- a bug in a request must not reach the watch
            self._log.exception("a local request failed", request=repr(request))
            return {"error": f"the agent failed ({type(error).__name__}): see its log"}


def ask(path: Path, request: Request, timeout_s: float = 300.0) -> Iterator[dict[str, Any]]:
    """Send a request and yield each `{"progress": ...}`, then `{"done": ...}`. Raises ControlError.

    `timeout_s` is how long the agent may be silent.
    """
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as link:
        link.settimeout(timeout_s)
        try:
            link.connect(str(path))
            link.sendall(_line(request))
            with link.makefile("rb") as lines:
                while line := lines.readline(ANSWER_LIMIT):
                    said = msgspec.json.decode(line)
                    if "error" in said:
                        raise ControlError(str(said["error"]))
                    yield said
                    if "done" in said:
                        return
        except (OSError, msgspec.DecodeError) as error:
            why = error.strerror if isinstance(error, OSError) and error.strerror else str(error)
            raise ControlError(
                f"{path}: {why}: look whether the agent runs, and ask as its user (or with sudo)"
            ) from None
    raise ControlError(f"{path}: the agent hung up without an answer: see its log")


def _somebody_listens(path: Path) -> bool:
    with socket.socket(socket.AF_UNIX, socket.SOCK_STREAM) as knock:
        knock.setblocking(False)
        try:
            knock.connect(str(path))
        except OSError as error:
            return isinstance(error, BlockingIOError)  # its queue is full: somebody has it
    return True


def _line(said: Any) -> bytes:
    return msgspec.json.encode(said) + b"\n"


async def _say(writer: asyncio.StreamWriter, said: Any) -> None:
    async with asyncio.timeout(READ_TIMEOUT_S):
        writer.write(_line(said))
        await writer.drain()
