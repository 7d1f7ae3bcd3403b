"""The codec: golden files both ways, every truncation, any bytes."""

from __future__ import annotations

import math
from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from tests.vectors.wire import MESSAGES
from wire.codec import (
    MAX_BYTES,
    MAX_EVENT_BYTES,
    config_hash,
    decode,
    decode_alive,
    decode_event,
    encode,
    encode_event,
    event_digest,
    seal_config,
)
from wire.errors import LocalError, RemoteError
from wire.messages import (
    Ack,
    Alive,
    BusConfig,
    BusStatus,
    Clock,
    Condition,
    Contact,
    DetectorConfig,
    Event,
    EventBatch,
    EventKind,
    GatewayConfig,
    Lane,
    ReadingBatch,
    Status,
    Transport,
)
from wire.topics import Channel

VECTORS = Path(__file__).parents[2] / "vectors" / "wire" / "v1"
S, E = "a" * 32, "b" * 32
CLOCK = Clock(1, 1)


def read(name, payload):
    kind = type(MESSAGES[name])
    return decode_alive(payload) if kind is Alive else decode(CHANNELS[kind], payload)


CHANNELS = {
    EventBatch: Channel.EVENTS,
    ReadingBatch: Channel.READINGS,
    Status: Channel.STATUS,
    Ack: Channel.ACK,
    GatewayConfig: Channel.CONFIG,
    type(MESSAGES["command"]): Channel.COMMAND,
}


@pytest.mark.parametrize("name", MESSAGES)
def test_a_golden_message_encodes_to_exactly_its_file(name):
    """A changed byte is a changed contract: it needs a new version, not a new file."""
    assert encode(MESSAGES[name]) == (VECTORS / f"{name}.json").read_bytes()


@pytest.mark.parametrize("name", MESSAGES)
def test_a_golden_file_decodes_to_its_message(name):
    """The other way round."""
    assert read(name, (VECTORS / f"{name}.json").read_bytes()) == MESSAGES[name]


def test_every_golden_file_has_its_message_and_every_channel_a_file():
    """No orphan on either side."""
    assert {path.stem for path in VECTORS.glob("*.json")} == set(MESSAGES)
    assert {*CHANNELS, Alive} == {type(message) for message in MESSAGES.values()}


@pytest.mark.parametrize("name", MESSAGES)
def test_every_truncation_is_refused(name):
    """Half a message is none."""
    payload = (VECTORS / f"{name}.json").read_bytes()
    for length in range(len(payload)):
        with pytest.raises(RemoteError):
            read(name, payload[:length])


def test_a_field_of_the_future_is_skipped():
    """A newer peer may add some; the meaning of the rest stays."""
    for name, message in MESSAGES.items():
        payload = encode(message)
        assert read(name, payload[:-1] + b',"of_the_future":{"x":[1,null]}}') == message


HOSTILE = [
    b"",
    b"null",
    b"[]",
    b'"text"',
    b"\xff\xfe\x00",
    b"[" * 3000,
    b'{"x":' * 3000,
    b"[" * 900 + b"]" * 900,
    b'{"stream":' + b"9" * 900 + b"}",
    b'{"through_seq":1e999}',
    b'{"t":[NaN]}',
    b'{"stream":"\\ud800"}',
    b'{"a":1,"a":2}',
]


@pytest.mark.parametrize("channel", Channel)
@pytest.mark.parametrize("payload", HOSTILE, ids=range(len(HOSTILE)))
def test_hostile_bytes_are_refused_by_name(channel, payload):
    """Nothing but RemoteError comes out, also of nesting that would exhaust the stack."""
    with pytest.raises(RemoteError):
        decode(channel, payload)
    with pytest.raises(RemoteError):
        decode_alive(payload)


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: st.lists(inner, max_size=4) | st.dictionaries(st.text(), inner, max_size=4),
    max_leaves=8,
)


@settings(max_examples=300, deadline=None)
@given(data=st.data(), channel=st.sampled_from(list(Channel)))
def test_any_bytes_give_a_message_or_a_remote_error(data, channel):
    """Random bytes, random JSON, and golden messages with one field or one byte changed."""
    import json

    golden = {kind: encode(message) for kind, message in ((type(m), m) for m in MESSAGES.values())}
    whole = next(payload for kind, payload in golden.items() if CHANNELS.get(kind) is channel)
    fields = json.loads(whole)
    payload = data.draw(
        st.one_of(
            st.binary(max_size=200),
            JSON.map(lambda value: json.dumps(value).encode("utf-8", "surrogatepass")),
            st.tuples(st.sampled_from(sorted(fields)), JSON).map(
                lambda change: json.dumps({**fields, change[0]: change[1]}).encode("utf-8", "surrogatepass")
            ),
            st.tuples(st.integers(0, len(whole) - 1), st.integers(0, 255)).map(
                lambda change: whole[: change[0]] + bytes([change[1]]) + whole[change[0] + 1 :]
            ),
        )
    )
    try:
        message = decode(channel, payload)
    except RemoteError:
        return
    assert decode(channel, encode(message)) == message


# Shapes


def events(*given, first=1, oldest=1):
    return EventBatch(S, first, oldest, E, E, CLOCK, list(given))


def event(seq=1, kind=EventKind.CANARY, **more):
    return Event(seq, kind, 1, 1, **more)


def columns(rows=2, **more):
    return ReadingBatch(S, 1, 1, E, CLOCK, [1] * rows, ["d"] * rows, **more)


def config(**more):
    return GatewayConfig(E, 1, "0" * 64, **more)


def bus(name="b", *detectors):
    return BusConfig(name, Transport.TCP, "h:1", detectors=[DetectorConfig(d, 1, "p") for d in detectors])


WRONG = {
    "hole in the numbers": events(event(1), event(3)),
    "numbers not from first_seq": events(event(2)),
    "oldest above first": events(event(1), oldest=2),
    "no event": events(),
    "too many events": events(*(event(n) for n in range(1, 1002))),
    "snapshot without states": events(event(kind=EventKind.SNAPSHOT)),
    "states without snapshot": events(event(states={})),
    "snapshot with a condition": events(event(kind=EventKind.SNAPSHOT, states={}, condition=Condition.SMOKE)),
    "assert without condition": events(event(kind=EventKind.ASSERT, detector="d")),
    "clear without condition": events(event(kind=EventKind.CLEAR, detector="d")),
    "unknown without condition": events(event(kind=EventKind.UNKNOWN, detector="d")),
    "value is none": events(event(value=math.nan)),
    "NUL in a text": events(event(text="a\x00b")),
    "NUL in a line's hint": Status(True, E, buses=[BusStatus("b", up=True, hint="a\x00b")]),
    "NUL in a hash": Status(True, E, config_hash="a\x00b"),
    "lone surrogate": events(event(text="\ud800")),
    "capital in an id": events(event(detector="D-1")),
    "stream is no uuid": EventBatch("x", 1, 1, E, E, CLOCK, [event()]),
    "seq beyond 2^53": events(event(2**53 + 1), first=2**53 + 1),
    "columns differ": columns(smoke=[0.1]),
    "detectors differ": ReadingBatch(S, 1, 1, E, CLOCK, [1, 2], ["d"]),
    "infinite reading": columns(smoke=[math.inf, 0.0]),
    "huge status word": columns(status=[2**60, 0]),
    "no reading": columns(0),
    "uptime is none": Status(True, E, uptime_s=math.nan),
    "bus named twice": config(buses=[bus("b"), bus("b")]),
    "detector named twice": config(buses=[bus("b", "d"), bus("c", "d")]),
    "negative cursor": Ack(S, Lane.EVENTS, -1, E, 0),
}


@pytest.mark.parametrize("message", WRONG.values(), ids=WRONG)
def test_a_message_that_breaks_the_contract_is_not_sent(message):
    """Our own mistake is named before it leaves."""
    with pytest.raises(LocalError):
        encode(message)


@pytest.mark.parametrize(
    ("message", "channel"),
    [
        (events(event(text="x" * 60)), Channel.EVENTS),
        (columns(), Channel.READINGS),
        (Ack(S, Lane.EVENTS, 1, E, 0), Channel.ACK),
    ],
    ids=["events", "readings", "ack"],
)
def test_too_big_is_refused_at_both_ends(message, channel):
    """One byte above the bound, made of harmless blanks, is refused by the receiver."""
    payload = encode(message)
    limit = MAX_BYTES[channel]
    assert decode(channel, payload + b" " * (limit - len(payload))) == message
    with pytest.raises(RemoteError, match="bytes; at most"):
        decode(channel, payload + b" " * (limit - len(payload) + 1))
    with pytest.raises(LocalError, match="bytes; at most"):
        encode(events(*(event(n, text="y" * 400) for n in range(1, 300))))


def test_the_largest_single_event_fits_a_batch():
    """What the outbox takes can always be sent."""
    states = {f"{n:032}": [Condition.SMOKE] for n in range(1300)}
    one = event(kind=EventKind.SNAPSHOT, states=states, seq=2**53)
    assert 55_000 < len(encode_event(one)) <= MAX_EVENT_BYTES
    batch = EventBatch(S, 2**53, 2**53, E, E, Clock(2**53, 2**53, 2**53, True), [one])
    assert len(encode(batch)) <= MAX_BYTES[Channel.EVENTS]
    assert decode_event(encode_event(one)) == one
    states |= {f"x{n:031}": None for n in range(1300)}
    with pytest.raises(LocalError, match="split it"):
        encode_event(event(kind=EventKind.SNAPSHOT, states=states))


# Digests


def test_a_digest_names_the_whole_content_and_only_that():
    """Order of a snapshot's detectors is no content; every field is."""
    one = event(kind=EventKind.SNAPSHOT, states={"a": [Condition.SMOKE], "b": None})
    same = event(kind=EventKind.SNAPSHOT, states={"b": None, "a": [Condition.SMOKE]})
    assert event_digest(one) == event_digest(same) == event_digest(decode_event(encode_event(same)))
    assert len(event_digest(one)) == 16
    changes = {
        "seq": 2,
        "kind": EventKind.NOTE,
        "at_ms": 2,
        "mono_ms": 2,
        "synchronised": True,
        "condition": Condition.SMOKE,
        "detector": "d",
        "bus": "b",
        "config_version": 1,
        "value": 0.5,
        "states": {},
        "text": "t",
        "window": "7",
    }
    assert set(changes) == set(Event.__struct_fields__)
    base = {"seq": 1, "kind": EventKind.CANARY, "at_ms": 1, "mono_ms": 1}
    digests = {event_digest(Event(**{**base, name: value})) for name, value in changes.items()}
    assert len(digests | {event_digest(event())}) == len(changes) + 1


def test_a_configuration_hash_is_blind_to_order_and_sees_everything_else():
    """The gateway compares hashes, so that an equal configuration is never applied twice."""
    one, two = bus("b", "d", "e"), bus("c", "f")
    turned = BusConfig("b", Transport.TCP, "h:1", detectors=list(reversed(one.detectors)))
    placed = BusConfig("c", Transport.TCP, "h:1", detectors=[DetectorConfig("f", 1, "p", place="3-501")])
    sealed = seal_config(E, 3, [one, two], 60)
    assert seal_config("e" * 32, 4, [two, turned], 60.0).hash == sealed.hash == config_hash(sealed)
    others = [
        seal_config(E, 3, [one, two], 61),
        seal_config(E, 3, [one], 60),
        seal_config(E, 3, [one, placed], 60),
        seal_config(E, 3, [one, two], 60, contacts=[Contact("110")]),
        seal_config(E, 3, [one, two], 60, may_watch_nothing=True),
    ]
    assert len({other.hash for other in others} | {sealed.hash}) == 6
    assert sealed.version == 3
    assert decode(Channel.CONFIG, encode(sealed)) == sealed
