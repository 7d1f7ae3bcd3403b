"""From an observation to events that any batch can carry.

Law of this file: pure; an alarm is not lost because a remark is too long or a number is none. What is beside
the point is cut to fit, a snapshot is cut in two; only what makes no sense at all is refused.
"""

from __future__ import annotations

import math

from edge_agent.observation import Observation, Stamp
from wire.codec import encode_event
from wire.errors import LocalError
from wire.messages import Event


def to_events(observation: Observation, stamp: Stamp, seq: int) -> list[tuple[Event, bytes]]:
    """The observation as one event, or a snapshot as several when one would be too big."""
    states = None
    if observation.states is not None:
        states = {name: None if each is None else list(each) for name, each in observation.states.items()}
    event = Event(
        seq=seq,
        kind=observation.kind,
        at_ms=stamp.at_ms,
        mono_ms=stamp.mono_ms,
        synchronised=stamp.synchronised,
        condition=observation.condition,
        detector=observation.detector,
        bus=observation.bus,
        config_version=stamp.config_version,
        value=_number(observation.value),
        states=states,
        text=_words(observation.text),
        window=observation.window,
    )
    try:
        return [(event, encode_event(event))]
    except LocalError:
        if states is None or len(states) < 2:
            raise
    names = list(states)
    halves = (names[: len(names) // 2], names[len(names) // 2 :])
    parts: list[tuple[Event, bytes]] = []
    for half in halves:
        part = Observation(
            kind=observation.kind,
            states={name: observation.states[name] for name in half} if observation.states else None,
            text=observation.text,
        )
        parts.extend(to_events(part, stamp, seq + len(parts)))
    return parts


def _number(value: float | None) -> float | None:
    # An alarm is not lost because the number that tripped it is none.
    return None if value is None or not math.isfinite(value) else float(value)


def _words(text: str | None) -> str | None:
    if text is None:
        return None
    return text.replace("\x00", " ").encode("utf-8", "replace").decode("utf-8")[:500]
