"""What each protocol lets a profile say: its queries, the length of their answers, what may be written.

Law of this file: data only; `register_rules` and `rules` judge by it. For Modbus a register's `function` is
the function code and `address` the register; for a plain serial protocol they are the query and the place of
a word in its answer, as the protocol's own file in `edge_agent/protocols/` says.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass

from device_profiles.schema import Protocol

EVERYWHERE = 0x10000


@dataclass(frozen=True, slots=True)
class Form:
    """What can be read and written."""

    reads: Mapping[int, int]
    """Function -> how many addresses it has, from 0."""
    writes: frozenset[int] = frozenset()
    bits: frozenset[int] = frozenset()
    """Functions that read bits and not words."""
    largest: int = 0xFFFF
    """Of a write's address and value."""
    last_unit: int = 247


FORMS: Mapping[Protocol, Form] = {
    Protocol.MODBUS: Form(
        reads=dict.fromkeys((1, 2, 3, 4), EVERYWHERE), writes=frozenset({5, 6}), bits=frozenset({1, 2})
    ),
    Protocol.GIRA: Form(
        reads={0x02: 4, 0x04: 2, 0x09: 2, 0x0B: 3, 0x0C: 3, 0x0D: 4, 0x0E: 2},
        writes=frozenset({0x03, 0x07}),
        largest=0xFF,
        last_unit=1,
    ),
    Protocol.JBF: Form(
        reads=dict.fromkeys((0x80, 0x81, 0x8B, 0x8C, 0x98), EVERYWHERE)
        | dict.fromkeys((0x0B, 0x71, 0x72, 0xEF), 1)
    ),
}
