"""Bytes to message and back: JSON, bounded, checked.

Law of this file: whatever bytes come in, what comes out is a message that obeys the contract or a
`RemoteError`; whatever message comes in, what comes out is bytes the peer will accept or a `LocalError`.
Encoding therefore ends by decoding what it made. Unknown fields are skipped: a newer peer may add some.
"""

from __future__ import annotations

import hashlib
import math
from collections.abc import Iterable, Mapping, Sequence
from types import MappingProxyType
from typing import Any, Literal

import msgspec

from wire.errors import LocalError, RemoteError
from wire.messages import (
    Ack,
    Alive,
    BusConfig,
    Command,
    Contact,
    Event,
    EventBatch,
    EventKind,
    GatewayConfig,
    ReadingBatch,
    Status,
)
from wire.topics import Channel

Message = EventBatch | ReadingBatch | Status | Ack | GatewayConfig | Command | Alive
ALIVE: Literal["alive"] = "alive"

MAX_BYTES: Mapping[Channel | Literal["alive"], int] = MappingProxyType(
    {
        Channel.EVENTS: 64_000,
        Channel.READINGS: 256_000,
        Channel.STATUS: 16_000,
        Channel.ACK: 4_000,
        Channel.CONFIG: 256_000,
        Channel.COMMAND: 4_000,
        ALIVE: 1_000,
    }
)
"""Largest payload of each channel, in bytes. 256 kB of configuration is about 2,000 detectors."""

MAX_EVENT_BYTES = 60_000
"""Largest single event, so that a batch of one always fits its channel."""

_ENCODER = msgspec.json.Encoder(order="deterministic")
_TYPES: Mapping[Channel | Literal["alive"], type[Any]] = {
    Channel.EVENTS: EventBatch,
    Channel.READINGS: ReadingBatch,
    Channel.STATUS: Status,
    Channel.ACK: Ack,
    Channel.CONFIG: GatewayConfig,
    Channel.COMMAND: Command,
    ALIVE: Alive,
}
_PLACES: Mapping[type[Any], Channel | Literal["alive"]] = {kind: place for place, kind in _TYPES.items()}
_DECODERS = {place: msgspec.json.Decoder(kind) for place, kind in _TYPES.items()}
_EVENT_DECODER = msgspec.json.Decoder(Event)


class _ShapeError(ValueError):
    """The fields are well typed but do not go together."""


def encode(message: Message) -> bytes:
    """The payload of a message. Raises LocalError when it is too big or breaks the contract."""
    place = _PLACES.get(type(message))
    if place is None:
        raise LocalError(f"{type(message).__name__} is not a message of this contract")
    payload = _encoded(message)
    try:
        _take(place, payload)
    except RemoteError as error:
        raise LocalError(f"our own {place} message breaks the contract: {error}") from None
    return payload


def decode(
    channel: Channel, payload: bytes
) -> EventBatch | ReadingBatch | Status | Ack | GatewayConfig | Command:
    """The message of a payload that came on `channel`. Raises RemoteError, and nothing else."""
    message: EventBatch | ReadingBatch | Status | Ack | GatewayConfig | Command = _take(channel, payload)
    return message


def decode_alive(payload: bytes) -> Alive:
    """The centre's broadcast. Raises RemoteError, and nothing else."""
    message: Alive = _take(ALIVE, payload)
    return message


def encode_event(event: Event) -> bytes:
    """One event as the outbox keeps it. Raises LocalError when no batch could carry it."""
    payload = _encoded(event)
    if len(payload) > MAX_EVENT_BYTES:
        raise LocalError(f"event {event.seq} has {len(payload)} bytes; at most {MAX_EVENT_BYTES}: split it")
    try:
        decode_event(payload)
    except RemoteError as error:
        raise LocalError(f"our own event {event.seq} breaks the contract: {error}") from None
    return payload


def decode_event(payload: bytes) -> Event:
    """What `encode_event` made. Raises RemoteError, and nothing else."""
    try:
        event = _EVENT_DECODER.decode(payload)
        _check_event(event)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
        raise RemoteError(f"event: {_reason(error)}") from None
    return event


def event_digest(event: Event) -> bytes:
    """16 bytes that name an event's whole content; equal content gives equal bytes on every machine."""
    return hashlib.blake2b(_ENCODER.encode(event), digest_size=16).digest()


def config_hash(config: GatewayConfig) -> str:
    """64 hex digits over what a configuration says; the order of lines and detectors does not matter."""
    ordered = [
        msgspec.structs.replace(
            bus, detectors=sorted(bus.detectors, key=lambda each: (each.unit, each.point or 0, each.detector))
        )
        for bus in sorted(config.buses, key=lambda bus: bus.bus)
    ]
    said = msgspec.structs.replace(config, epoch="", version=0, hash="", buses=ordered)
    return hashlib.sha256(_ENCODER.encode(said)).hexdigest()


def seal_config(
    epoch: str,
    version: int,
    buses: Sequence[BusConfig],
    report_s: float = 300.0,
    *,
    contacts: Sequence[Contact] = (),
    may_watch_nothing: bool = False,
) -> GatewayConfig:
    """A configuration with its hash."""
    config = GatewayConfig(
        epoch=epoch,
        version=version,
        hash="",
        buses=list(buses),
        report_s=float(report_s),
        contacts=list(contacts),
        may_watch_nothing=may_watch_nothing,
    )
    return msgspec.structs.replace(config, hash=config_hash(config))


def _encoded(message: msgspec.Struct) -> bytes:
    if not _finite(message):
        raise LocalError(f"{type(message).__name__}: a number is NaN or infinite; send null instead")
    try:
        return _ENCODER.encode(message)
    except (msgspec.MsgspecError, ValueError, TypeError, OverflowError, RecursionError) as error:
        raise LocalError(f"{type(message).__name__}: {_reason(error)}") from None


def _take(place: Channel | Literal["alive"], payload: bytes) -> Any:
    limit = MAX_BYTES[place]
    if len(payload) > limit:
        raise RemoteError(f"{place}: {len(payload)} bytes; at most {limit}")
    try:
        message = _DECODERS[place].decode(payload)
        _check(message)
    except (msgspec.MsgspecError, ValueError, OverflowError, RecursionError) as error:
        raise RemoteError(f"{place}: {_reason(error)}") from None
    return message


def _reason(error: Exception) -> str:
    return f"{type(error).__name__}: {error}"[:300]


def _check(message: Any) -> None:
    # That numbers are finite is seen to by JSON, which has no other.
    match message:
        case EventBatch():
            _check_events(message)
        case ReadingBatch():
            _check_readings(message)
        case Status():
            _check_text(message.version, message.config_hash, message.config_error, message.storage_error)
            _check_text(*(bus.hint for bus in message.buses))
            _distinct("bus", (bus.bus for bus in message.buses))
        case GatewayConfig():
            _check_config(message)
        case _:
            pass


def _check_events(batch: EventBatch) -> None:
    if batch.oldest_seq > batch.first_seq:
        raise _ShapeError(f"oldest_seq {batch.oldest_seq} is above first_seq {batch.first_seq}")
    for index, event in enumerate(batch.events):
        if event.seq != batch.first_seq + index:
            raise _ShapeError(
                f"events[{index}].seq is {event.seq}; counted from first_seq it is {batch.first_seq + index}"
            )
        _check_event(event)


_ABOUT_CONDITION = (EventKind.ASSERT, EventKind.CLEAR, EventKind.UNKNOWN, EventKind.FALLBACK)


def _check_event(event: Event) -> None:
    _check_text(event.text)
    snapshot = event.kind is EventKind.SNAPSHOT
    if snapshot != (event.states is not None):
        raise _ShapeError(f"event {event.seq}: states belong to a snapshot, and to nothing else")
    about_condition = event.kind in _ABOUT_CONDITION
    if about_condition and event.condition is None:
        raise _ShapeError(f"event {event.seq}: {event.kind} without a condition")
    if snapshot and (event.condition is not None or event.detector is not None):
        raise _ShapeError(f"event {event.seq}: a snapshot names its detectors in states only")


_ID_OCTETS = b"abcdefghijklmnopqrstuvwxyz0123456789-"


def _check_readings(batch: ReadingBatch) -> None:
    if batch.oldest_seq > batch.first_seq:
        raise _ShapeError(f"oldest_seq {batch.oldest_seq} is above first_seq {batch.first_seq}")
    rows = len(batch.t)
    if len(batch.detector) != rows:
        raise _ShapeError(f"detector has {len(batch.detector)} rows, t has {rows}")
    if _strange("".join(batch.detector)):  # their lengths were looked at when they were decoded
        wrong = next(name for name in batch.detector if _strange(name))
        raise _ShapeError(f"detector {wrong!r} is no id")
    for name in ("smoke", "temperature", "battery", "contamination", "status"):
        column: list[object] = getattr(batch, name)
        if len(column) not in (0, rows):
            raise _ShapeError(f"{name} has {len(column)} rows, t has {rows}")


def _strange(name: str) -> bool:
    """Whether it holds what no id does."""
    return bool(name.encode("ascii", "replace").translate(None, _ID_OCTETS))


def _check_config(config: GatewayConfig) -> None:
    _distinct("bus", (bus.bus for bus in config.buses))
    _distinct("detector", (each.detector for bus in config.buses for each in bus.detectors))
    _check_text(*(bus.address for bus in config.buses))
    _check_text(*(each.place for bus in config.buses for each in bus.detectors))


def _check_text(*texts: str | None) -> None:
    # PostgreSQL cannot keep U+0000 in a text; better refused here than at the bottom of a transaction.
    if any(text is not None and "\x00" in text for text in texts):
        raise _ShapeError("a text holds the character U+0000")


def _distinct(what: str, ids: Iterable[str]) -> None:
    seen: set[str] = set()
    for each in ids:
        if each in seen:
            raise _ShapeError(f"{what} {each!r} is named twice")
        seen.add(each)


def _finite_column(column: list[float | None]) -> bool:
    numbers = [number for number in column if number is not None]
    # One that is not finite makes the sum so; a sum may also overflow, and then each is looked at.
    return math.isfinite(sum(numbers)) or all(map(math.isfinite, numbers))


def _finite(message: Any) -> bool:
    """Whether no number is NaN or infinite, which JSON cannot carry."""
    numbers: Iterable[float | None]
    match message:
        case EventBatch():
            numbers = (event.value for event in message.events)
        case Event():
            numbers = (message.value,)
        case ReadingBatch():
            columns = (message.smoke, message.temperature, message.battery, message.contamination)
            return all(_finite_column(column) for column in columns)
        case Status():
            numbers = (
                message.uptime_s,
                message.oldest_unacked_event_s,
                *(bus.lap_age_s for bus in message.buses),
                *(bus.last_lap_s for bus in message.buses),
            )
        case GatewayConfig():
            numbers = (message.report_s, *(bus.gap_ms for bus in message.buses))
        case _:
            numbers = ()
    return all(number is None or math.isfinite(number) for number in numbers)
