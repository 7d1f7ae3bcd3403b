"""A modem on a pseudo-terminal that speaks AT commands as real ones do, their bad manners included."""

from __future__ import annotations

import asyncio
import os
import re
import shutil
import tempfile
import tty
from dataclasses import dataclass
from pathlib import Path


@dataclass(frozen=True)
class Sms:
    """What the network got, taken apart from the PDU by its own reading of TS 23.040."""

    number: str
    text: str
    international: bool


@dataclass
class Manners:
    """How this modem behaves; a test changes it at any time."""

    echo: bool = True
    answers: bool = True
    pin: str | None = None
    """The SIM is locked until this is given."""
    registered: int = 1
    """The second number of +CREG."""
    lte_only: bool = False
    prompt_after_s: float = 0.0
    refuse: bytes | None = None
    """What it says instead of taking a message, such as `+CMS ERROR: 500`."""
    silent_after_text: bool = False
    chatter: bool = False
    """It tells things nobody asked for, also in the middle of an answer."""


def came(number: str, text: str, *, wide: bool = True, stamp: str = "62301030000023") -> str:
    """An SMS-DELIVER from a number (digits, `+` in front or not) as a network hands it to a modem."""
    digits = number.removeprefix("+")
    padded = digits + "F" * (len(digits) % 2)
    swapped = "".join(padded[n + 1] + padded[n] for n in range(0, len(padded), 2))
    if wide:
        body = text.encode("utf-16-be")
        coded = f"08{stamp}{len(body):02X}{body.hex()}"
    else:  # seven bits a character, of letters and digits that are the same in ASCII
        bits = sum(ord(sign) << 7 * place for place, sign in enumerate(text))
        coded = f"00{stamp}{len(text):02X}{bits.to_bytes((len(text) * 7 + 7) // 8, 'little').hex()}"
    kind = "91" if number.startswith("+") else "81"
    return f"07916881082005F004{len(digits):02X}{kind}{swapped}00{coded}".upper()


def read_pdu(text: str) -> Sms:
    """Take an SMS-SUBMIT apart."""
    octets = bytes.fromhex(text)
    octets = octets[1 + octets[0] :]
    assert octets[0] & 0b11 == 0b01, "no SMS-SUBMIT"
    assert octets[0] & 0b0100_0000 == 0, "it has a header"
    digits, kind = octets[2], octets[3]
    packed = octets[4 : 4 + (digits + 1) // 2]
    number = "".join(f"{byte & 15:x}{byte >> 4:x}" for byte in packed)[:digits]
    rest = octets[4 + len(packed) :]
    validity = 1 if octets[0] & 0b0001_1000 else 0
    assert rest[1] == 0x08, "not UCS-2"
    length, words = rest[2 + validity], rest[3 + validity :]
    assert length == len(words) <= 140
    return Sms(number, words.decode("utf-16-be"), kind == 0x91)


class Modem:
    """The sans-I/O half: bytes in, bytes out; `sent` is what the network took."""

    def __init__(self, manners: Manners | None = None) -> None:
        self.manners = manners or Manners()
        self.sent: list[Sms] = []
        self.inbox: dict[int, str] = {}
        """What has come, by its place: PDUs as `came` makes them."""
        self.commands: list[str] = []
        self.pin_tries = 0
        self._input = b""
        self._length: int | None = None

    def take(self, data: bytes) -> list[tuple[float, bytes]]:
        """What it says to these bytes: pauses and bytes."""
        said: list[tuple[float, bytes]] = []
        self._input += data
        while True:
            if self._length is not None:
                found = re.search(rb"[\x1a\x1b]", self._input)
                if found is None:
                    return said
                body, end = self._input[: found.start()], found.group()
                self._input = self._input[found.end() :]
                said += self._text(body, end)
                continue
            self._input = self._input.replace(b"\x1b", b"")
            line, end, rest = self._input.partition(b"\r")
            if not end:
                return said
            self._input = rest
            command = line.decode("ascii").strip()
            self.commands.append(command)
            if self.manners.answers:
                said += self._answer(command)

    def _answer(self, command: str) -> list[tuple[float, bytes]]:
        manners = self.manners
        out: list[tuple[float, bytes]] = [(0, command.encode() + b"\r")] if manners.echo else []
        if manners.chatter:
            out.append((0, b'\r\n+CMTI: "SM",3\r\n\r\n+CREG: 2\r\n\r\n^RSSI:17\r\n'))
        match command:
            case "ATE0":
                manners.echo = False
                out.append((0, b"\r\nOK\r\n"))
            case "AT+CPIN?":
                state = b"SIM PIN" if manners.pin else b"READY"
                out.append((0, b"\r\n+CPIN: " + state + b"\r\n\r\nOK\r\n"))
            case "AT+CREG?" | "AT+CEREG?":
                is_lte = command == "AT+CEREG?"
                number = manners.registered if is_lte == manners.lte_only else 0
                name = "+CEREG" if is_lte else "+CREG"
                middle = b"RING\r\n" if manners.chatter else b""
                out.append((0, f"\r\n{name}: 0,{number}\r\n".encode() + middle + b"\r\nOK\r\n"))
            case _ if command.startswith("AT+CPIN="):
                self.pin_tries += 1
                if command == f'AT+CPIN="{manners.pin}"':
                    manners.pin = None
                    out.append((0, b"\r\nOK\r\n"))
                else:
                    out.append((0, b"\r\n+CME ERROR: 16\r\n"))
            case _ if command.startswith("AT+CMGS="):
                self._length = int(command.removeprefix("AT+CMGS="))
                out.append((manners.prompt_after_s, b"\r\n> "))
            case "AT+CMGL=4":
                middle = b'+CMTI: "SM",9\r\n' if manners.chatter else b""
                for place, pdu in self.inbox.items():
                    length = len(pdu) // 2 - 1 - int(pdu[:2], 16)
                    out.append((0, f"\r\n+CMGL: {place},1,,{length}\r\n{pdu}\r\n".encode() + middle))
                out.append((0, b"\r\nOK\r\n"))
            case _ if command.startswith("AT+CMGD="):
                self.inbox.pop(int(command.removeprefix("AT+CMGD=")), None)
                out.append((0, b"\r\nOK\r\n"))
            case _ if command == "AT" or command.startswith(("AT+CMEE=", "AT+CMGF=0")):
                out.append((0, b"\r\nOK\r\n"))
            case _:
                out.append((0, b"\r\nERROR\r\n"))
        return out

    def _text(self, body: bytes, end: bytes) -> list[tuple[float, bytes]]:
        length, self._length = self._length, None
        if end == b"\x1b":
            return [(0, b"\r\nOK\r\n")]
        pdu = body.decode("ascii")
        assert length == len(pdu) // 2 - 1 - int(pdu[:2], 16), "AT+CMGS named another length"
        if self.manners.silent_after_text:
            return []
        if self.manners.refuse is not None:
            return [(0, b"\r\n" + self.manners.refuse + b"\r\n")]
        self.sent.append(read_pdu(pdu))
        return [(0, b"\r\n+CMGS: %d\r\n\r\nOK\r\n" % len(self.sent))]


class PtyModem(Modem):
    """The same on a pseudo-terminal; `path` is its port."""

    def __init__(self, manners: Manners | None = None) -> None:
        super().__init__(manners)
        self.master, self._slave = os.openpty()
        tty.setraw(self._slave)
        self._folder = Path(tempfile.mkdtemp(prefix="smokewatch-test-modem-"))
        link = self._folder / "modem"
        link.symlink_to(os.ttyname(self._slave))
        self.path = str(link)
        os.set_blocking(self.master, False)
        self._jobs: set[asyncio.Task[None]] = set()
        self._loop = asyncio.get_running_loop()
        self._loop.add_reader(self.master, self._readable)

    def close(self) -> None:
        """Unplug it."""
        self._loop.remove_reader(self.master)
        for job in self._jobs:
            job.cancel()
        shutil.rmtree(self._folder)
        os.close(self.master)
        os.close(self._slave)

    def _readable(self) -> None:
        said = self.take(os.read(self.master, 4096))
        job = self._loop.create_task(self._play(said))
        self._jobs.add(job)
        job.add_done_callback(self._jobs.discard)

    async def _play(self, said: list[tuple[float, bytes]]) -> None:
        for wait, data in said:
            if wait:
                await asyncio.sleep(wait)
            os.write(self.master, data)
