"""The payload of a readings message, made of parts that are encoded once. Pure.

Law of this file: what `whole` puts together is what `wire.codec` makes of the same rows (a test holds it to
that). Only what differs from message to message is made anew: stream, numbers, clocks, times. Names and
values are bytes made before; a part of a message goes through the codec.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import NamedTuple

import msgspec

from simulator.fleet.dice import Dice
from wire.codec import encode
from wire.messages import Clock, ReadingBatch

BLOCKS = 8
"""So many different sets of values, taken in turn."""
_ENCODE = msgspec.json.Encoder().encode
_MIDDLE = b'"first_seq":%d,"oldest_seq":%d,"clock":{"mono_ms":%d,"wall_ms":%d,%b"synchronised":true},"t":'


def rows_of_a_message(detectors: int, most: int) -> int:
    """Readings in a message: whole laps of all detectors, as many as `most` allows; else `most`."""
    return most // detectors * detectors if detectors <= most else most


class Chunk(NamedTuple):
    """A message's worth of readings of one gateway; its rows were read one a millisecond from `at_ms` on."""

    number: int
    """Counted from 0 over the whole run."""
    block: int
    """Which set of values it has."""
    at_ms: int


class Bodies:
    """Messages of `rows` readings each; row r of a gateway is of detector r modulo their number."""

    def __init__(self, detectors: int, most_rows: int, seed: int) -> None:
        self.detectors = detectors
        self.rows = rows_of_a_message(detectors, most_rows)
        self.aligned = self.rows % detectors == 0
        """Whether every message names the same detectors in the same order."""
        self._values = [_values(self.rows, detectors, Dice(seed, "values", block)) for block in range(BLOCKS)]
        self._tails = [_tail(values) for values in self._values]

    def names(self, detectors: Sequence[str], chunk: int) -> bytes:
        """The column of names in message number `chunk` of a gateway."""
        return _ENCODE(self._names(detectors, chunk, 0, self.rows))

    def whole(self, head: bytes, clock: Clock, first: int, oldest: int, chunk: Chunk, names: bytes) -> bytes:
        """The message of a whole chunk; `head` is what `head` made, `names` what `names` made."""
        offset = b"" if clock.offset_ms is None else b'"offset_ms":%d,' % clock.offset_ms
        return b"".join(
            (
                head,
                _MIDDLE % (first, oldest, clock.mono_ms, clock.wall_ms, offset),
                _ENCODE(list(range(chunk.at_ms, chunk.at_ms + self.rows))),
                b',"detector":',
                names,
                self._tails[chunk.block % BLOCKS],
            )
        )

    def part(
        self,
        stream: str,
        boot: str,
        clock: Clock,
        first: int,
        oldest: int,
        chunk: Chunk,
        detectors: Sequence[str],
        begin: int,
        end: int,
    ) -> bytes:
        """Rows `begin` to below `end` of a chunk; the first of them has the number `first`."""
        values = self._values[chunk.block % BLOCKS]
        return encode(
            ReadingBatch(
                stream=stream,
                first_seq=first,
                oldest_seq=oldest,
                boot=boot,
                clock=clock,
                t=list(range(chunk.at_ms + begin, chunk.at_ms + end)),
                detector=self._names(detectors, chunk.number, begin, end),
                smoke=list(values[0][begin:end]),
                temperature=list(values[1][begin:end]),
                battery=list(values[2][begin:end]),
                contamination=list(values[3][begin:end]),
                status=[0] * (end - begin),
            )
        )

    def _names(self, detectors: Sequence[str], chunk: int, begin: int, end: int) -> list[str]:
        row, many = chunk * self.rows, self.detectors
        return [detectors[(row + i) % many] for i in range(begin, end)]


def head(stream: str, boot: str) -> bytes:
    """How every message of a stream begins."""
    return f'{{"stream":"{stream}","boot":"{boot}",'.encode()


Columns = tuple[Sequence[float], Sequence[float], Sequence[float], Sequence[float]]


def _values(rows: int, detectors: int, dice: Dice) -> Columns:
    """Clean air in warm rooms, each detector a little different: %/m, degrees Celsius, volts, per cent."""
    places = [i % detectors for i in range(rows)]
    return (
        [round(0.05 + place % 7 * 0.03 + dice.between(0.0, 0.05), 2) for place in places],
        [round(18.0 + place % 11 * 0.5 + dice.between(-0.3, 0.3), 1) for place in places],
        [round(3.0 - place % 5 * 0.02 + dice.between(-0.01, 0.01), 2) for place in places],
        [round(5.0 + place % 13 + dice.between(0.0, 0.2), 1) for place in places],
    )


def _tail(values: Columns) -> bytes:
    columns = (*zip(("smoke", "temperature", "battery", "contamination"), values, strict=True),)
    told = b"".join(b',"%s":%s' % (name.encode(), _ENCODE(column)) for name, column in columns)
    return told + b',"status":%s}' % _ENCODE([0] * len(values[0]))
