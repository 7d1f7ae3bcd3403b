"""Which of the messages that wait for a person go out as one.

Law of this file: pure; it merges, it never withholds.

Somebody who is called about eighty homes in a minute reads one list, not eighty messages; and a provider that
takes twenty messages a minute takes twenty lists.
"""

from __future__ import annotations

import hashlib
from collections.abc import Callable, Sequence
from typing import TypeVar

from central.notifier.plan import Planned

T = TypeVar("T")


def bundles(waiting: Sequence[T], planned: Callable[[T], Planned], most: int) -> list[list[T]]:
    """What goes to one person at one address for one purpose, at most `most` in one; alarms before news.

    In the order in which it waits; nothing is left out.
    """
    alike: dict[tuple[str, str, str], list[T]] = {}
    for one in waiting:
        of = planned(one)
        alike.setdefault((of.worker, of.address, of.purpose), []).append(one)
    cut = [group[at : at + most] for group in alike.values() for at in range(0, len(group), most)]
    return sorted(cut, key=lambda group: planned(group[0]).purpose != "alarm")


def key_of(planned: Sequence[Planned]) -> str:
    """What makes a message of these once in effect: of one its own key, of more one made of all of theirs."""
    if len(planned) == 1:
        return planned[0].key
    whole = hashlib.sha256("\n".join(sorted(one.key for one in planned)).encode()).hexdigest()
    return f"{planned[0].key}+{len(planned) - 1}:{whole[:16]}"
