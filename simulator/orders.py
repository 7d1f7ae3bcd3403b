"""The words of the control socket and of a scenario's story.

Law of this file: what may be said and what goes with it; nothing is done here.
"""

from __future__ import annotations

import difflib
from collections.abc import Iterable
from enum import StrEnum
from typing import Annotated

from msgspec import Meta, Struct

from simulator.faults import Fault, Kind


class Do(StrEnum):
    """What may be asked for."""

    IGNITE = "ignite"
    COOK = "cook"
    EXTINGUISH = "extinguish"
    FLIP = "flip"
    PRESS_TEST = "press_test"
    MUTE = "mute"
    RESET = "reset"
    REMOVE = "remove"
    REFIT = "refit"
    BREAK = "break"
    REPAIR = "repair"
    SET = "set"
    FAULT = "fault"
    CLEAR_FAULT = "clear_fault"
    UNPLUG = "unplug"
    PLUG = "plug"
    STATE = "state"
    LIST = "list"
    POLLS = "polls"


ABOUT_BUS = frozenset({Do.UNPLUG, Do.PLUG})
ABOUT_EITHER = frozenset({Do.FAULT, Do.CLEAR_FAULT})
ABOUT_ALL = frozenset({Do.LIST, Do.POLLS})
_OWN_FIELDS = {
    "on": {Do.FLIP},
    "fault": {Do.FAULT},
    "ms": {Do.FAULT},
    "code": {Do.FAULT},
    "times": {Do.FAULT},
    "seconds": {Do.PRESS_TEST},
    "battery": {Do.SET},
    "contamination": {Do.SET},
    "temperature": {Do.SET},
    "serial_number": {Do.SET},
}

Name = Annotated[str, Meta(min_length=1, max_length=64)]


class OrderError(Exception):
    """An order that cannot be carried out; `key` says which part, the text what is wrong and the mend."""

    def __init__(self, key: str, message: str) -> None:
        super().__init__(message)
        self.key = key


class Order(Struct, frozen=True, forbid_unknown_fields=True, kw_only=True, omit_defaults=True):
    """One order. `detector` may be "*" for all."""

    do: Do
    detector: Name | None = None
    bus: Name | None = None
    on: bool = True
    """flip: to smoke (true) or to clear air."""
    fault: Kind | None = None
    ms: Annotated[float, Meta(ge=0, le=600_000)] | None = None
    code: Annotated[int, Meta(ge=1, le=255)] | None = None
    times: Annotated[int, Meta(ge=1, le=1_000_000)] | None = None
    seconds: Annotated[float, Meta(gt=0, le=86_400)] | None = None
    """press_test: how long the button is held."""
    battery: Annotated[float, Meta(ge=0, le=60)] | None = None
    """set: volt."""
    contamination: Annotated[float, Meta(ge=0, le=150)] | None = None
    """set: percent."""
    temperature: Annotated[float, Meta(ge=-40, le=150)] | None = None
    """set: degrees C."""
    serial_number: Annotated[int, Meta(ge=0, le=0xFFFFFFFF)] | None = None
    """set: as if another device had been put in its place."""

    def the_fault(self) -> Fault:
        """The fault it speaks of. Raises OrderError when none is named."""
        if self.fault is None:
            raise OrderError("fault", f"say which fault: {', '.join(Kind)}")
        return Fault(self.fault, self.ms, self.code, self.times)


def check(order: Order, detectors: Iterable[str], buses: Iterable[str]) -> None:
    """Whether its parts fit together and name what is there. Raises OrderError."""
    if order.do in ABOUT_BUS and order.bus is None:
        raise OrderError("bus", f"{order.do} needs a bus")
    if order.do in ABOUT_EITHER and (order.bus is None) == (order.detector is None):
        raise OrderError("detector", f"{order.do} needs a detector or a bus, one of them")
    about_detector = order.do not in ABOUT_BUS | ABOUT_EITHER | ABOUT_ALL
    if about_detector and order.detector is None:
        raise OrderError("detector", f"{order.do} needs a detector")
    if order.bus is not None and about_detector:
        raise OrderError("bus", f"{order.do} is about a detector, not a bus; remove bus")
    if order.detector is not None and order.detector != "*":
        _known("detector", order.detector, detectors)
    if order.bus is not None:
        _known("bus", order.bus, buses)
    for field, words in _OWN_FIELDS.items():
        if getattr(order, field) is not None and order.do not in words and not (field == "on" and order.on):
            raise OrderError(field, f"{field} does not go with {order.do}; remove it")
    if order.do is Do.FAULT:
        order.the_fault()
    settable = [field for field, words in _OWN_FIELDS.items() if Do.SET in words]
    if order.do is Do.SET and all(getattr(order, field) is None for field in settable):
        raise OrderError("do", f"set needs one of {', '.join(settable)}")


def _known(kind: str, name: str, names: Iterable[str]) -> None:
    known = list(names)
    if name not in known:
        close = difflib.get_close_matches(name, known, 1)
        mend = (
            f"did you mean {close[0]!r}?"
            if close
            else f"known: {', '.join(known[:8])}" + (" ..." if len(known) > 8 else "")
        )
        raise OrderError(kind, f"there is no {kind} {name!r}; {mend}")
