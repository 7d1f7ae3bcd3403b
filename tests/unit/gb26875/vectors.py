"""Packets as others have sent them: a vendor's examples of the standard, and one captured in the field.

Checksums were recomputed. The time tag of each head is 2012-09-26 09:58:32 (or :35), that of what happened
09:58:02.
"""

from __future__ import annotations

from datetime import datetime

from gb26875.data import (
    Analogue,
    Bare,
    ComponentState,
    Done,
    Kind,
    Moment,
    Thing,
    Transmitter,
    TransmitterOperation,
    TransmitterState,
    TransmitterVersion,
)
from gb26875.frame import SHANGHAI, Command, Frame, TimeTag

US, CENTRE = 889, 88888
SENT = TimeTag(0x20, 0x3A, 9, 0x1A, 9, 0x0C)
ANSWERED = TimeTag(0x23, 0x3A, 9, 0x1A, 9, 0x0C)
HAPPENED = TimeTag(0x02, 0x3A, 9, 0x1A, 9, 0x0C)
HAPPENED_AT = datetime(2012, 9, 26, 9, 58, 2, tzinfo=SHANGHAI)
UP_HEAD = "40 40 01 00 01 01 20 3A 09 1A 09 0C 79 03 00 00 00 00 38 5B 01 00 00 00"
DOWN_HEAD = "40 40 01 00 01 01 20 3A 09 1A 09 0C 38 5B 01 00 00 00 79 03 00 00 00 00"
FIRE = ComponentState(1, 1, 40, 10, 2, 0x0002, b" " * 30 + b"\0", HAPPENED)
MAINS = TransmitterState(Transmitter.MAINS_FAULT, HAPPENED)


def up(command: Command, kind: Kind, thing: Thing, words: str) -> tuple[str, Frame, Kind, Thing]:
    return (f"{UP_HEAD} {words}", Frame(1, SENT, US, CENTRE, command, b""), kind, thing)


def down(command: Command, kind: Kind, thing: Thing, words: str) -> tuple[str, Frame, Kind, Thing]:
    return (f"{DOWN_HEAD} {words}", Frame(1, SENT, CENTRE, US, command, b""), kind, thing)


CARRYING = {
    "smoke fire": up(
        Command.SEND,
        Kind.COMPONENT_STATE,
        FIRE,
        "30 00 02 02 01 01 01 28 0A 00 02 00 02 00" + " 20" * 30 + " 00 02 3A 09 1A 09 0C 46 23 23",
    ),
    "mains fault": up(
        Command.SEND, Kind.TRANSMITTER_STATE, MAINS, "09 00 02 15 01 08 02 3A 09 1A 09 0C 42 23 23"
    ),
    "roll call answered": up(
        Command.SEND,
        Kind.TRANSMITTER_OPERATION,
        TransmitterOperation(Done.ROLL_CALL_ANSWER, 1, HAPPENED),
        "0A 00 02 18 01 20 01 02 3A 09 1A 09 0C 5F 23 23",
    ),
    "version": up(
        Command.SEND, Kind.TRANSMITTER_VERSION, TransmitterVersion(1, 1), "04 00 02 19 01 01 01 C7 23 23"
    ),
    "time": up(
        Command.SEND, Kind.TRANSMITTER_TIME, Moment(HAPPENED), "08 00 02 1C 01 02 3A 09 1A 09 0C 40 23 23"
    ),
    "state asked for": up(
        Command.ANSWER, Kind.TRANSMITTER_STATE, MAINS, "09 00 05 15 01 08 02 3A 09 1A 09 0C 45 23 23"
    ),
    "version asked for": up(
        Command.ANSWER, Kind.TRANSMITTER_VERSION, TransmitterVersion(1, 1), "04 00 05 19 01 01 01 CA 23 23"
    ),
    "time asked for": up(
        Command.ANSWER, Kind.TRANSMITTER_TIME, Moment(HAPPENED), "08 00 05 1C 01 02 3A 09 1A 09 0C 43 23 23"
    ),
    "read state": down(Command.REQUEST, Kind.READ_TRANSMITTER_STATE, Bare(), "03 00 04 51 01 00 FE 23 23"),
    "read version": down(
        Command.REQUEST, Kind.READ_TRANSMITTER_VERSION, Bare(), "03 00 04 55 01 00 02 23 23"
    ),
    "read time": down(Command.REQUEST, Kind.READ_TRANSMITTER_TIME, Bare(), "03 00 04 58 01 00 05 23 23"),
    "initialise": down(Command.CONTROL, Kind.INITIALISE, Bare(), "03 00 01 59 01 00 03 23 23"),
    "clock": down(
        Command.CONTROL, Kind.SYNCHRONISE_CLOCK, Moment(HAPPENED), "08 00 01 5A 01 02 3A 09 1A 09 0C 7D 23 23"
    ),
    "roll call": down(Command.CONTROL, Kind.ROLL_CALL, Bare(10), "03 00 01 5B 01 0A 0F 23 23"),
}
EMPTY = {
    "centre confirms": (
        "40 40 01 00 01 01 23 3A 09 1A 09 0C 38 5B 01 00 00 00 79 03 00 00 00 00 00 00 03 AB 23 23",
        Frame(1, ANSWERED, CENTRE, US, Command.CONFIRM),
    ),
    "centre denies": (
        "40 40 01 00 01 01 23 3A 09 1A 09 0C 38 5B 01 00 00 00 79 03 00 00 00 00 00 00 06 AE 23 23",
        Frame(1, ANSWERED, CENTRE, US, Command.DENY),
    ),
    "transmitter confirms": (
        "40 40 01 00 01 01 23 3A 09 1A 09 0C 79 03 00 00 00 00 38 5B 01 00 00 00 00 00 03 AB 23 23",
        Frame(1, ANSWERED, US, CENTRE, Command.CONFIRM),
    ),
    "transmitter denies": (
        "40 40 01 00 01 01 23 3A 09 1A 09 0C 79 03 00 00 00 00 38 5B 01 00 00 00 00 00 06 AE 23 23",
        Frame(1, ANSWERED, US, CENTRE, Command.DENY),
    ),
}
CAPTURED = bytes.fromhex(
    "02 01 01 03 00 D9 00 06 00 02 00 A3C1 C7F8 A3B1 B2E3 DFC8 B2B8 D7DF C0C8"
    + "00" * 15
    + "30 12 13 01 08 14"
)
CAPTURED_THING = ComponentState(
    1, 3, 0, 217, 6, 0x0002, CAPTURED[11:42], TimeTag(0x30, 0x12, 0x13, 1, 8, 0x14)
)
ANALOGUE = Analogue(1, 1, 42, 10, 2, 3, -5, HAPPENED)
