"""SMS through a serial GSM modem at the centre, for when no provider can be reached. Only user of pyserial.

Law of this file: one message at a time; the port is open only while a message is sent; sent means that the
modem has the network's number for it. One SMS holds 70 characters: the title and, where it fits, the link.
With `replies` the modem is asked for what people wrote back, between messages.
"""

from __future__ import annotations

import asyncio
import contextlib
import os
import termios
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from datetime import timedelta
from pathlib import Path
from typing import Annotated, Any, Self, TypeVar

import serial
from msgspec import Meta, Struct

from central.config import fail, secret
from central.notifier.channel import Limits, Message, Outcome, Pace, Rejected, Sent, TryLater
from central.notifier.fitting import e164
from central.notifier.reading import Name, table_of
from central.notifier.words import Words
from gsm import dialogue
from gsm.dialogue import Read
from gsm.pdu import SMS_LIMIT, submit, units

_T = TypeVar("_T", dialogue.Sent, Read)
PIN_VARIABLE = "SMOKEWATCH_GSM_PIN"
_WAIT_S = 30.0
"""How long a message waits for those before it: a modem sends one in about 5 s."""
_SHORTEST_TITLE = 20
_HINT = Words(" 回复1接警", " Reply 1 to take it")
_IN_VAIN = 20
"""A port that says so often in a row that there is something to read, and has nothing, was unplugged."""


@dataclass(frozen=True, slots=True)
class GsmConfig:
    """The modem's port, and the SIM's PIN where it has one."""

    port: str
    baud: int = 115200
    pin: str | None = field(default=None, repr=False)
    replies: bool = False
    """What has come is read, acted upon and deleted from the SIM."""


class _Table(Struct, frozen=True):
    port: Name
    baud: Annotated[int, Meta(ge=1200, le=921600)] = 115200
    pin_file: str | None = None
    replies: bool = False


def read(path: Path, table: Mapping[str, Any], environment: Mapping[str, str]) -> GsmConfig:
    """The settings of `[channels.gsm]`. Raises ConfigError."""
    place = "channels.gsm."
    given = table_of(path, place, table, _Table)
    pin = secret(path, f"{place}pin", None, given.pin_file, environment.get(PIN_VARIABLE))
    if pin is not None and not (pin.isascii() and pin.isdecimal() and 4 <= len(pin) <= 8):
        fail(path, f"{place}pin_file: holds no PIN: a PIN has 4 to 8 digits")
    return GsmConfig(given.port, given.baud, pin, given.replies)


class Gsm:
    """One modem with a SIM."""

    # One at a time, about 5 s each, and people's telephones besides.
    limits = Limits(urgent=Pace(2, timedelta(seconds=10)))
    timeout_s = _WAIT_S + dialogue.LONGEST_S + 5.0

    def __init__(self, config: GsmConfig) -> None:
        self._config = config
        self._pin = config.pin
        self._turn = asyncio.Lock()

    async def send(self, message: Message, address: str) -> Outcome:
        """Send one SMS."""
        number = e164(address)
        if number is None:
            return Rejected("the address is no telephone number with its country")
        try:
            async with asyncio.timeout(_WAIT_S):
                await self._turn.acquire()
        except TimeoutError:
            return TryLater(timedelta(seconds=10), "the modem has messages before this one")
        try:
            return await self._talk(number, _text(message, reply=self._config.replies))
        except (serial.SerialException, OSError, ValueError, termios.error) as error:
            return TryLater(None, f"the modem's port fails ({type(error).__name__})")
        except Exception as error:  # noqa: BLE001 -- the contract: whatever happens becomes an outcome
            return TryLater(None, f"sending failed ({type(error).__name__})")
        finally:
            self._turn.release()

    @property
    def hears(self) -> bool:
        """Replies are to be read."""
        return self._config.replies

    async def inbox(self, done: Sequence[int]) -> Read | TryLater:
        """Delete what is `done` and read what else has come. Never raises; waits for no message."""
        if self._turn.locked():
            return TryLater(timedelta(seconds=5), "the modem is sending")
        async with self._turn:
            try:
                outcome = await self._converse(dialogue.Inbox(done, self._pin))
            except (serial.SerialException, OSError, ValueError, termios.error) as error:
                return TryLater(None, f"the modem's port fails ({type(error).__name__})")
        return outcome if isinstance(outcome, Read) else TryLater(None, outcome.why)

    async def close(self) -> None:
        """Nothing is held open."""

    async def _talk(self, number: str, text: str) -> Outcome:
        outcome = await self._converse(dialogue.Dialogue(submit(number, text), self._pin))
        if isinstance(outcome, dialogue.Sent):
            return Sent(outcome.reference)
        return TryLater(None, outcome.why[:200])

    async def _converse(self, talk: dialogue.Conversation[_T]) -> _T | dialogue.Failed:
        clock = asyncio.get_running_loop().time
        with _Port(self._config.port, self._config.baud) as port:
            port.write(talk.begin(clock()))
            while talk.outcome is None:
                data = await port.read(max(0.0, talk.deadline - clock()))
                port.write(talk.feed(data, clock()) if data else talk.tick(clock()))
        if isinstance(talk.outcome, dialogue.Failed) and talk.outcome.pin_refused:
            self._pin = None  # never offered again before the next start: a third refusal locks the SIM
        return talk.outcome


class _Port:
    """The open port. Raises what pyserial and the system raise."""

    def __init__(self, path: str, baud: int) -> None:
        self._port = serial.Serial(path, baud, timeout=0, write_timeout=0, exclusive=True)
        self._fd = self._port.fileno()
        os.set_blocking(self._fd, False)
        self._input = asyncio.Event()
        self._in_vain = 0

    def __enter__(self) -> Self:
        asyncio.get_running_loop().add_reader(self._fd, self._input.set)
        return self

    def __exit__(self, *_: object) -> None:
        asyncio.get_running_loop().remove_reader(self._fd)
        for give_back in (self._port.reset_output_buffer, self._port.close):
            with contextlib.suppress(serial.SerialException, OSError, termios.error):
                give_back()

    async def read(self, within_s: float) -> bytes:
        """Bytes as soon as there are any; none when the time is over."""
        with contextlib.suppress(TimeoutError):
            async with asyncio.timeout(within_s):
                await self._input.wait()
        if not self._input.is_set():
            return b""
        self._input.clear()
        try:
            data = os.read(self._fd, 4096)
        except BlockingIOError:
            data = b""
        self._in_vain = 0 if data else self._in_vain + 1
        if self._in_vain > _IN_VAIN:
            raise OSError("the port is gone")
        return data

    def write(self, data: bytes) -> None:
        """All of it at once: a driver has room for far more than one message."""
        if data and os.write(self._fd, data) != len(data):
            raise OSError("the port takes no more bytes")


def _text(message: Message, *, reply: bool = False) -> str:
    """What fits into one SMS: the title and the link, or as much of the text as there is room for.

    With `reply` it says that a 1 takes the alarm, where there is room.
    """
    link = f" {message.link}" if message.link else ""
    words = message.title
    hint = _HINT.of(message.language) + link
    if reply and message.takes and message.purpose == "alarm" and units(words + hint) <= SMS_LIMIT:
        link = hint
    if SMS_LIMIT - units(link) < _SHORTEST_TITLE or not link:
        words, link = f"{message.title} {message.text}", ""
    plain = " ".join("".join(sign if sign.isprintable() else " " for sign in words).split())
    while units(plain + link) > SMS_LIMIT:
        plain = plain[:-1]
    return plain + link or str(message.alarm)
