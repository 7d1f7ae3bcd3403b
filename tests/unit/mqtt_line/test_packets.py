"""MQTT 3.1.1 as the fleet speaks it, held against the standard's own examples and against itself."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mqtt_line import packets
from mqtt_line.packets import Kind, Packet, PacketError, Reader


def publishes(topic: bytes, payload: bytes, packet_id: int) -> bytes:
    return packets.publish(topic, payload, retain=False, packet_id=packet_id)


def test_connect_is_a_clean_session_with_the_name_and_the_password_it_was_given():
    """Byte by byte as section 3.1 of the standard has it."""
    said = packets.connect("me", 30, "u", "pw")
    assert said == b"\x10\x15\x00\x04MQTT\x04\xc2\x00\x1e\x00\x02me\x00\x01u\x00\x02pw"
    assert packets.connect("me", 30) == b"\x10\x0e\x00\x04MQTT\x04\x02\x00\x1e\x00\x02me"


def test_subscribe_names_each_filter_with_its_quality():
    """Section 3.8."""
    said = packets.subscribe(10, [("a/b", 1), ("c/d", 0)])
    assert said == b"\x82\x0e\x00\x0a\x00\x03a/b\x01\x00\x03c/d\x00"


@given(
    said=st.lists(
        st.tuples(
            st.binary(min_size=1, max_size=40),
            st.binary(max_size=20_000),
            st.integers(0, 65535),
            st.booleans(),
        ),
        max_size=6,
    ),
    data=st.data(),
)
def test_what_is_published_is_read_again_in_pieces_of_any_size(said, data):
    """A socket cuts where it likes."""
    stream = b"".join(packets.publish(t, p, retain=r, packet_id=n) for t, p, n, r in said)
    reader, got = Reader(), []
    while stream:
        cut = data.draw(st.integers(1, len(stream)))
        got += [packets.read_publication(packet) for packet in reader.feed(stream[:cut])]
        stream = stream[cut:]
    assert [(p.topic, p.payload, p.packet_id, p.retained) for p in got] == said


@given(st.binary(max_size=200))
def test_garbage_is_refused_or_waited_for_and_nothing_else(garbage):
    """Whatever stands on that port, it ends in words."""
    reader = Reader()
    try:
        for packet in reader.feed(garbage):
            if packet.kind is Kind.PUBLISH:
                packets.read_publication(packet)
    except PacketError:
        pass


@pytest.mark.parametrize(
    "said",
    [
        b"HTTP/1.1 400 Bad Request\r\n",
        b"SSH-2.0-OpenSSH_9.2\r\n",
        b"\x30\xff\xff\xff\x7f",
        b"\x30\xff\xff\xff\xff\x01",
    ],
)
def test_another_service_on_the_port_is_no_broker(said):
    """A wrong port is told, not waited for."""
    with pytest.raises(PacketError):
        [packets.read_connack(packet) for packet in Reader().feed(said)]


def test_a_refusal_is_told_in_words():
    """Each code of the standard, and an unknown one."""
    assert packets.read_connack(Packet(Kind.CONNACK, 0, b"\x00\x00")) is None
    for code in range(1, 6):
        assert packets.read_connack(Packet(Kind.CONNACK, 0, bytes([0, code])))
    assert "77" in (packets.read_connack(Packet(Kind.CONNACK, 0, b"\x00\x4d")) or "")
    with pytest.raises(PacketError):
        packets.read_connack(Packet(Kind.PINGRESP, 0, b""))
    assert packets.read_suback(Packet(Kind.SUBACK, 0, b"\x00\x01\x01\x80\x00")) == [True, False, True]


def test_a_message_too_large_for_the_contract_is_not_packed():
    """Rather an error here than a connection that the broker closes."""
    with pytest.raises(PacketError):
        publishes(b"t", bytes(3 << 20), 1)
