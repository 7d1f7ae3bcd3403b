"""The simulated plain serial devices without a line: the documents' frames, repeats, who speaks when."""

from __future__ import annotations

from device_profiles.load import load_profiles
from device_profiles.schema import Protocol
from simulator.gira import ACK, AGAIN_S, NAK, GiraDetector
from simulator.gira import framed as gira_framed
from simulator.jbf import BY_ITSELF_AFTER_S, JbfCard
from simulator.jbf import framed as jbf_framed
from simulator.orders import Do, Order
from simulator.said import Said
from simulator.scenario import BusSpec, DetectorSpec
from simulator.site import Site

SERIAL = 0x111633CA
POLL = jbf_framed(0)


def _site(protocol: Protocol, *detectors: DetectorSpec) -> Site:
    spec = BusSpec(id="b", protocol=protocol, link="x", detector=detectors)
    return Site((spec,), load_profiles(), lambda: 1_412_871_840.0)


def _gira() -> tuple[Site, GiraDetector]:
    site = _site(Protocol.GIRA, DetectorSpec(id="d", unit=1, profile="gira-dual-vds", serial_number=SERIAL))
    device = GiraDetector(site, "b")
    device.tick(0.0)
    return site, device


def _card() -> tuple[Site, JbfCard]:
    site = _site(Protocol.JBF, DetectorSpec(id="d", unit=1, profile="jbf-193k-point", point=0x0102))
    card = JbfCard(site, "b")
    card.tick(0.0)
    return site, card


def _frames(said: list[Said]) -> list[bytes]:
    return [one.frame for one in said]


def test_a_request_is_acknowledged_and_answered_as_the_document_shows() -> None:
    """Byte by byte as well; the serial number is the document's."""
    _, device = _gira()
    said = [frame for byte in b"\x020464\x03" for frame in _frames(device.hear(bytes((byte,)), 0.0))]
    assert said == [ACK + b"\0", b"\x02C4111633CA2A\x03"]


def test_a_damaged_request_is_refused() -> None:
    """As is one that is no hexadecimal."""
    _, device = _gira()
    assert _frames(device.hear(b"\x020465\x03\x02xx\x03", 0.0)) == [NAK, NAK]


def test_smoke_is_told_unasked_four_times_at_most_and_until_acknowledged() -> None:
    """Once, and three repeats."""
    site, device = _gira()
    site.do(Order(do=Do.FLIP, detector="d"))
    smoke = gira_framed("8220040000")
    told = [_frames(device.tick(1.0 + step * AGAIN_S)) for step in range(6)]
    assert told == [[smoke]] * 4 + [[]] * 2
    site.do(Order(do=Do.FLIP, detector="d", on=False))
    assert _frames(device.tick(9.0)) == [gira_framed("8220000000")]
    device.hear(ACK, 9.1)
    assert device.tick(9.0 + AGAIN_S) == []


def test_a_card_tells_a_fire_as_the_document_shows() -> None:
    """Its bytes, but for the time of day; then it only beats, since the fire stands."""
    site, card = _card()
    site.do(Order(do=Do.FLIP, detector="d"))
    assert card.tick(0.5) == []
    (fire,) = _frames(card.hear(POLL, 1.0))
    assert fire[:11] == bytes.fromhex("8238303031303130323033")
    assert fire[-3:] == bytes.fromhex("383783")
    assert _frames(card.hear(POLL, 2.0)) == [POLL]


def test_a_card_holds_a_fire_until_it_is_reset() -> None:
    """Then it says so, and that it is at rest."""
    site, card = _card()
    site.do(Order(do=Do.FLIP, detector="d"))
    card.tick(0.5)
    card.hear(POLL, 1.0)
    site.do(Order(do=Do.FLIP, detector="d", on=False))
    card.tick(1.5)
    assert _frames(card.hear(POLL, 2.0)) == [POLL]
    site.do(Order(do=Do.RESET, detector="d"))
    card.tick(2.5)
    said = _frames(card.hear(POLL, 3.0) + card.hear(POLL, 4.0))
    assert [frame[1:5] for frame in said] == [b"0101", b"0901"]


def test_a_card_that_nobody_polls_speaks_by_itself() -> None:
    """After three seconds."""
    site, card = _card()
    site.do(Order(do=Do.FLIP, detector="d"))
    assert card.tick(BY_ITSELF_AFTER_S - 0.1) == []
    assert [frame[1:3] for frame in _frames(card.tick(BY_ITSELF_AFTER_S))] == [b"80"]
