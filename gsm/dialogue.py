"""How SMS are sent and read through a modem that speaks AT commands (3GPP TS 27.007 and 27.005); pure.

Law of this file: no I/O and no clock. Bytes that came go in, bytes to send come out, until there is an
outcome; whatever the modem says or does not say, there is one within `LONGEST_S`. What it tells unasked is
passed over. The text and the SIM's PIN appear in no outcome.
"""

from __future__ import annotations

import re
from collections.abc import Generator, Iterator, Sequence
from dataclasses import dataclass
from typing import Generic, TypeVar

from gsm.pdu import Pdu

LONGEST_S = 150.0
SEND_S = 60.0
"""TS 27.005 sets no limit; networks take seconds, and a modem gives up by itself within a minute."""
REGISTER_S = 30.0
"""A modem that has just got power looks for its network so long."""
LOOK_AGAIN_S = 2.0
QUIET_S = 0.3
MOST_BYTES = 8192
"""Unread bytes kept: no answer is so long."""
_ESCAPE, _CTRL_Z = b"\x1b", b"\x1a"
_FINAL = re.compile(r"OK|ERROR|\+CM[ES] ERROR:.*")
_REGISTERED = re.compile(r"\+CE?REG: ?[0-9]+, ?(1|5|6|7)(,.*)?")
"""The answer to a question has two numbers; what is told unasked has one, or a quoted cell behind it."""
_LISTED = re.compile(r"\+CMGL: ?([0-9]{1,4}),([0-4]),")
_HEX = re.compile(r"(?:[0-9A-Fa-f]{2})+")
_CMS = {
    "38": "网络故障 network out of order",
    "310": "未插SIM卡 no SIM card",
    "311": "需要PIN码 the SIM wants a PIN",
    "331": "无网络 no network",
    "332": "网络超时 network timeout",
    "500": "未知错误 unknown error",
}
_CME = {"10": "未插SIM卡 no SIM card", "11": "需要PIN码 the SIM wants a PIN", "16": "PIN码错误 wrong PIN"}


@dataclass(frozen=True, slots=True)
class Sent:
    """The network has taken it; `reference` is its number for this message."""

    reference: str


@dataclass(frozen=True, slots=True)
class Failed:
    """It was not sent, or nobody knows whether it was. Words for people."""

    why: str
    pin_refused: bool = False
    """Never offer this PIN again: after three tries the SIM is locked."""


@dataclass(frozen=True, slots=True)
class _Ask:
    send: bytes
    within_s: float = 3.0
    prompt: bool = False
    """Wait for `>` as well."""


@dataclass(frozen=True, slots=True)
class _Answer:
    lines: tuple[str, ...] = ()
    final: str = ""
    """OK, ERROR, +CMS ERROR: n ..., `>`; '' when nothing of that came in time."""

    @property
    def ok(self) -> bool:
        return self.final == "OK"

    def line(self, start: str) -> str | None:
        """The last line that begins so."""
        return next((line for line in reversed(self.lines) if line.startswith(start)), None)


@dataclass(frozen=True, slots=True)
class Read:
    """What lies in the modem's store: its place there, and the PDU in hexadecimal."""

    messages: tuple[tuple[int, str], ...]


_T = TypeVar("_T", Sent, Read)
_Talk = Generator[_Ask, _Answer, _T | Failed]


class Conversation(Generic[_T]):
    """One thing done with one modem. Call `begin` once, then `feed` or, at `deadline`, `tick`."""

    def __init__(self, talk: _Talk[_T]) -> None:
        self._talk: _Talk[_T] = talk
        self._ask = _Ask(b"")
        self._lines: list[str] = []
        self._input = bytearray()
        self._until = 0.0
        self.deadline = 0.0
        """When `tick` is due."""
        self.outcome: _T | Failed | None = None

    def begin(self, now: float) -> bytes:
        """The first bytes to send."""
        self._until = now + LONGEST_S
        return self._next(None, now)

    def feed(self, data: bytes, now: float) -> bytes:
        """Bytes that came; returns bytes to send, or none."""
        if self.outcome is not None:
            return b""
        self._input += data
        del self._input[:-MOST_BYTES]
        out = b""
        while self.outcome is None and (line := self._line()) is not None:
            if line == self._echoed or not line:
                continue
            if _FINAL.fullmatch(line) or line == ">":
                out += self._next(_Answer(tuple(self._lines), line), now)
            else:
                self._lines.append(line[:500])
                del self._lines[:-50]
        return out

    def tick(self, now: float) -> bytes:
        """The time for an answer may be over; returns bytes to send, or none."""
        if self.outcome is not None or now < self.deadline:
            return b""
        if now >= self._until:
            self.outcome = Failed("调制解调器无应答 the modem took too long")
            return _ESCAPE
        return self._next(_Answer(tuple(self._lines)), now)

    @property
    def _echoed(self) -> str:
        """What a modem that echoes says back of our last question."""
        return self._ask.send.lstrip(_ESCAPE).rstrip(b"\r" + _CTRL_Z).decode("ascii")

    def _line(self) -> str | None:
        """The next whole line, or the prompt, which has no end of line."""
        for place, byte in enumerate(self._input):
            if byte in b"\r\n":
                line = bytes(self._input[:place])
                del self._input[: place + 1]
                return line.decode("ascii", "replace").strip()
        if self._ask.prompt and self._input.lstrip().startswith(b">"):
            self._input.clear()
            return ">"
        return None

    def _next(self, answer: _Answer | None, now: float) -> bytes:
        self._lines.clear()
        try:
            self._ask = next(self._talk) if answer is None else self._talk.send(answer)
        except StopIteration as end:
            self.outcome = end.value
            return b""
        if self._ask.send:
            self._input.clear()  # what came before a question is no answer to it
        self.deadline = min(now + self._ask.within_s, self._until)
        return self._ask.send


class Dialogue(Conversation[Sent]):
    """One message that is sent."""

    def __init__(self, pdu: Pdu, pin: str | None = None) -> None:
        super().__init__(_send(pdu, pin))


class Inbox(Conversation[Read]):
    """What has come is read, after messages that are `done` (their places in the store) were deleted."""

    def __init__(self, done: Sequence[int] = (), pin: str | None = None) -> None:
        super().__init__(_read(tuple(done), pin))


def _read(done: Sequence[int], pin: str | None) -> _Talk[Read]:
    refused = yield from _open(pin)
    if refused is not None:
        return refused
    mode = yield _Ask(b"AT+CMGF=0\r")
    if not mode.ok:
        return _failed("AT+CMGF=0", mode)
    for place in done:
        gone = yield _Ask(b"AT+CMGD=%d\r" % place, 5.0)
        if not gone.ok:
            return _failed("AT+CMGD", gone)
    listed = yield _Ask(b"AT+CMGL=4\r", 20.0)
    if not listed.ok:
        return _failed("AT+CMGL", listed)
    return Read(tuple(_listed(listed.lines)))


def _listed(lines: Sequence[str]) -> Iterator[tuple[int, str]]:
    """Each line of a message that was received, with the PDU that follows it."""
    place: int | None = None
    for line in lines:
        head = _LISTED.match(line)
        if head is not None:
            place = int(head[1]) if head[2] in "01" else None
        elif place is not None and _HEX.fullmatch(line):
            yield place, line
            place = None


def _send(pdu: Pdu, pin: str | None) -> _Talk[Sent]:
    """The conversation in order; each `yield` is a question, and gives its answer."""
    refused = yield from _open(pin)
    if refused is not None:
        return refused
    refused = yield from _register()
    if refused is not None:
        return refused
    mode = yield _Ask(b"AT+CMGF=0\r")
    if not mode.ok:
        return _failed("AT+CMGF=0", mode)
    prompt = yield _Ask(b"AT+CMGS=%d\r" % pdu.length, 10.0, prompt=True)
    if prompt.final != ">":
        yield _Ask(_ESCAPE, 0.5)
        return _failed("AT+CMGS", prompt)
    said = yield _Ask(pdu.hex.encode("ascii") + _CTRL_Z, SEND_S)
    if not said.ok:
        if not said.final:
            yield _Ask(_ESCAPE, 0.5)
        return _failed("AT+CMGS", said)
    reference = said.line("+CMGS:")
    if reference is None:
        return Failed("调制解调器未确认发送 the modem said OK, but gave no number for the message")
    return Sent(reference.removeprefix("+CMGS:").strip()[:20])


def _open(pin: str | None) -> Generator[_Ask, _Answer, Failed | None]:
    for _ in range(3):
        # Escape first: it may still wait for a text that another program never ended.
        if (yield _Ask(_ESCAPE + b"AT\r", 1.5)).ok:
            break
    else:
        return Failed("调制解调器无应答 the modem does not answer")
    while (yield _Ask(b"", QUIET_S)).final:
        pass  # late answers to the first questions: taken for those to the next ones they would mislead
    yield _Ask(b"ATE0\r")
    yield _Ask(b"AT+CMEE=1\r")
    return (yield from _unlock(pin))


def _unlock(pin: str | None) -> Generator[_Ask, _Answer, Failed | None]:
    for _ in range(2):
        asked = yield _Ask(b"AT+CPIN?\r", 5.0)
        state = asked.line("+CPIN:")
        if state is None:
            return _failed("AT+CPIN?", asked)
        if "READY" in state:
            return None
        if state.removeprefix("+CPIN:").strip() != "SIM PIN":
            return Failed(f"SIM卡被锁 the SIM is locked: {state[:40]}")
        if pin is None:
            return Failed("需要PIN码 the SIM wants a PIN: give pin_file")
        answer = yield _Ask(b'AT+CPIN="%s"\r' % pin.encode("ascii"), 10.0)
        if not answer.ok:
            return Failed("PIN码被拒绝 the SIM refused the PIN", pin_refused=bool(answer.final))
        yield _Ask(b"", LOOK_AGAIN_S)
    return Failed("PIN码输入后SIM卡仍未就绪 the SIM is not ready after its PIN")


def _register() -> Generator[_Ask, _Answer, Failed | None]:
    """Wait for a network: GSM and UMTS, or LTE, which some modems tell apart."""
    for _ in range(int(REGISTER_S / LOOK_AGAIN_S)):
        for question in (b"AT+CREG?\r", b"AT+CEREG?\r"):
            answer = yield _Ask(question)
            if any(_REGISTERED.fullmatch(line) for line in answer.lines):
                return None
        yield _Ask(b"", LOOK_AGAIN_S)
    return Failed("未注册到网络 not registered in any network")


def _failed(command: str, answer: _Answer) -> Failed:
    if not answer.final:
        return Failed(f"{command} 无应答 no answer")
    kind, _, code = answer.final.partition(":")
    known = _CMS if kind == "+CMS ERROR" else _CME if kind == "+CME ERROR" else {}
    return Failed(f"{command}: {answer.final[:60]} {known.get(code.strip(), '')}".rstrip())
