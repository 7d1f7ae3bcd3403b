"""JBF-193K, the serial card of 青鸟 (Jade Bird) panels: one line, many controllers, loops and points.

Law of this file: the card tells what begins and what ends; a point is unknown until it was told of, or until
its controller has said "reset" or "normal" on this line ("normal" of one point speaks for that one). A fire
ends by the panel's reset alone. Any right frame proves that the card lives; when it has been silent for
LIFE_S, what it did not say is unknown again.

A read's function is the command that begins something, its address is loop * 256 + point (0: the controller
itself); the word read is 1 while it stands, 0 when it does not, UNKNOWN otherwise. Document: 北大青鸟JBF-193K
通信接口卡协议 v2.3 (georgewzy/KS_old_gateway, doc/门磁).
"""

from __future__ import annotations

from collections.abc import Sequence
from enum import Enum

from edge_agent.exchange import Kind
from edge_agent.plan import ReadRequest
from edge_agent.protocols.dialogue import Dialogue

START, END, OFFSET = 0x82, 0x83, 0x30
SIZE = 12
"""Bytes of a message: command, controller, loop, point, type, six of time, checksum."""
UNKNOWN = 0xFFFF
LIFE_S = 10.0
"""Asked every second, the card may leave out as many answers."""

HEARTBEAT, RESET, NORMAL, SILENCE = 0x00, 0x01, 0x09, 0x0B
FIRE, FAULT, PRE_ALARM, SUPERVISORY, ISOLATED = 0x80, 0x81, 0x8B, 0x8C, 0x98
MAINS, BATTERY, CONTROLLER = 0x71, 0x72, 0xEF
POWER_BACK = 0x90
"""The loop that ends a mains or battery fault; any other begins one."""
OF_POINT = (FIRE, FAULT, PRE_ALARM, SUPERVISORY, ISOLATED)
BEGINS = {0x0A: FIRE} | {command: command for command in OF_POINT}
ENDS = {0x82: FAULT, 0x8D: SUPERVISORY, 0x97: ISOLATED}
OF_CONTROLLER = frozenset({MAINS, BATTERY, CONTROLLER, SILENCE})
OUTLIVES_RESET = frozenset({ISOLATED, MAINS, BATTERY})
"""A reset at the panel neither switches a point on again nor brings the mains back."""
MOST_TOLD = 65_536
"""Beyond this, what was told is forgotten: points are unknown again."""


class Form(Enum):
    """What the checksum is the sum of: the document says the first, its example does the second."""

    ALL = "D1 to D11"
    PLACE = "D1 to D5"
    EITHER = "either"


def encode(body: bytes) -> bytes:
    """The frame of D1 to D11 with the document's checksum."""
    message = body + bytes((sum(body) & 0xFF,))
    nibbles = (nibble for byte in message for nibble in (byte >> 4, byte & 0x0F))
    return bytes((START, *(OFFSET + nibble for nibble in nibbles), END))


POLL_BODY = bytes(SIZE - 1)
POLL = encode(POLL_BODY)
"""A heartbeat of ours; the document gives no other request."""


class Decoder:
    """Bytes to messages, however they are cut. A frame without an end is forgotten when the next begins."""

    def __init__(self) -> None:
        self._text: bytearray | None = None
        self.skipped = 0
        """Bytes that belonged to no right frame."""

    def feed(self, data: bytes) -> list[tuple[bytes, Form]]:
        """D1 to D11 of each message that is whole and right by these bytes."""
        found: list[tuple[bytes, Form]] = []
        for byte in data:
            if byte == START:
                self._drop()
                self._text = bytearray()
            elif self._text is None:
                self.skipped += 1
            elif byte == END:
                message = _open(self._text)
                if message is None:
                    self._drop()
                else:
                    found.append(message)
                self._text = None
            elif OFFSET <= byte < OFFSET + 16 and len(self._text) < 2 * SIZE:
                self._text.append(byte - OFFSET)
            else:
                self._drop()
                self.skipped += 1
        return found

    def _drop(self) -> None:
        self.skipped += 0 if self._text is None else len(self._text) + 1
        self._text = None


def _open(nibbles: bytearray) -> tuple[bytes, Form] | None:
    if len(nibbles) != 2 * SIZE:
        return None
    message = bytes(nibbles[at] << 4 | nibbles[at + 1] for at in range(0, len(nibbles), 2))
    body, checksum = message[:-1], message[-1]
    whole, place = sum(body) & 0xFF == checksum, sum(body[:5]) & 0xFF == checksum
    idle = body[0] == HEARTBEAT and checksum == 0  # as the card sends it, whatever the rest
    if not (whole or place or idle):
        return None
    return body, Form.ALL if whole and not place else Form.PLACE if place and not whole else Form.EITHER


class Jbf(Dialogue):
    """All that the card of one line has told."""

    def __init__(self, character_s: float = 0.0) -> None:
        super().__init__()
        self._echo_s = 2 * len(POLL) * character_s
        """A card cannot have answered sooner than this: request and answer must cross the wire."""
        self._watched: set[tuple[int, int]] = set()
        self._units: set[int] = set()
        self._begin()

    def _begin(self) -> None:
        self._decoder = Decoder()
        self._out.clear()
        self._asked_at = self._heard_at = float("-inf")
        self._forget()

    def _forget(self) -> None:
        self._settled: set[int] = set()
        """Controllers that have said reset or normal: what they did not tell does not stand."""
        self._told: dict[tuple[int, int, int], bool] = {}
        """Controller, command, place -> whether it stands."""

    def reopened(self) -> None:
        """All is unknown: nobody listened."""
        self._begin()

    def hear(self, data: bytes, now: float) -> None:
        """Take bytes in; what they tell stands at once."""
        for body, form in self._decoder.feed(data):
            if body == POLL_BODY and now - self._asked_at < self._echo_s:
                continue
            if now - self._heard_at >= LIFE_S:
                self._forget()
            self._heard_at = now
            if form is not Form.EITHER:
                self._remark(f"the card's checksum is the sum of {form.value}")
            self._take(*body[:4])

    def _take(self, command: int, controller: int, loop: int, point: int) -> None:
        place = loop << 8 | point
        if command == HEARTBEAT:
            return
        if command == NORMAL and place:
            for what in OF_POINT:
                self._told.setdefault((controller, what, place), False)
        elif command in (NORMAL, RESET):
            for unit in self._meant(controller):
                self._settle(unit, reset=command == RESET)
        elif command in BEGINS:
            self._tell(controller, BEGINS[command], place, stands=True)
            if BEGINS[command] == FIRE and (controller, place) not in self._watched:
                self._remark(f"FIRE at controller {controller} loop {loop} point {point}, not watched")
        elif command in ENDS:
            self._tell(controller, ENDS[command], place, stands=False)
        elif command in OF_CONTROLLER:
            back = command in (MAINS, BATTERY) and loop == POWER_BACK
            self._tell(controller, command, 0, stands=not back)
        else:
            self._remark(f"command {command:02X} is not known: left aside")
        if command != NORMAL:
            self._asked_at = float("-inf")  # more may be waiting: ask at once
            self._fresh.add(controller)

    def _meant(self, controller: int) -> set[int]:
        """A frame without a controller's number speaks for the only one there is."""
        if controller or len(self._units) == 1:
            return {controller} if controller else self._units
        self._remark("a reset or normal without a controller's number on a line of several: left aside")
        return set()

    def _settle(self, unit: int, *, reset: bool) -> None:
        self._settled.add(unit)
        if reset:
            ended = [key for key in self._told if key[0] == unit and key[1] not in OUTLIVES_RESET]
            for key in ended:
                del self._told[key]

    def _tell(self, unit: int, what: int, place: int, *, stands: bool) -> None:
        if len(self._told) >= MOST_TOLD:
            self._remark("the card has told of more points than a panel has: all is unknown again")
            self._forget()
        self._told[unit, what, place] = stands

    def expect(self, requests: Sequence[ReadRequest]) -> None:
        """Which controllers and points are watched."""
        self._units = {request.unit for request in requests}
        self._watched = {(r.unit, r.address + at) for r in requests for at in range(r.count)}

    def ask(self, request: ReadRequest, now: float, every_s: float) -> None:  # noqa: ARG002 -- one poll for all
        """Poll the card when it is due; it may speak at any time."""
        if now - self._asked_at >= every_s:
            self._asked_at = now
            self._decoder.skipped = 0
            self._out += POLL

    def answer(self, request: ReadRequest, now: float) -> tuple[int, ...] | None:
        """What stands, as long as the card lives."""
        if now - self._heard_at >= LIFE_S:
            return None
        places = range(request.address, request.address + request.count)
        return tuple(self._word(request.unit, request.function, place) for place in places)

    def _word(self, unit: int, what: int, place: int) -> int:
        if what == FIRE and place == 0 and self._stray_fire(unit):
            return 1
        stands = self._told.get((unit, what, place))
        if stands is None:
            return 0 if unit in self._settled else UNKNOWN
        return int(stands)

    def _stray_fire(self, unit: int) -> bool:
        """A fire at a point that nobody watches is the controller's own."""
        return any(
            stands and (of, what) == (unit, FIRE) and (of, place) not in self._watched
            for (of, what, place), stands in self._told.items()
        )

    def why(self) -> tuple[Kind, str]:
        """Why there is no answer."""
        if self._decoder.skipped:
            return Kind.GARBAGE, f"{self._decoder.skipped} bytes without a frame of right checksum"
        return Kind.TIMEOUT, "no answer"
