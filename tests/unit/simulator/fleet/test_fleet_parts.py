"""Names, registry, plan, metronome and tally of a fleet."""

from __future__ import annotations

import csv
import io
import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from central.registry.csv_files import KINDS, MAX_FILE_BYTES, MAX_ROWS, read_files
from simulator.fleet.dice import Dice, hex_of, number_of
from simulator.fleet.names import Names, wrong_names
from simulator.fleet.plan import Outage, Plan, rows_at_most, wrong_plan
from simulator.fleet.registry import parts, registry
from simulator.fleet.tally import Delays
from simulator.fleet.timetable import Metronome
from wire.topics import Channel, gateway_topic


@given(st.integers(1, 100_000), st.integers(1, 99), st.data())
def test_every_name_is_an_id_and_leads_back_to_its_gateway(gateways, areas, data):
    """The longest fleet too; and another fleet's gateway is nobody here."""
    names = Names("f" * 16, gateways, 1000, min(areas, gateways))
    number = data.draw(st.integers(0, gateways - 1))
    assert names.gateway_number(names.gateway(number)) == number
    assert gateway_topic(names.area(names.area_number(number)), names.gateway(number), Channel.EVENTS)
    assert len(names.detector(number, 999)) <= 32
    for stranger in ("gw-1", "other-00001", names.gateway(number) + "0", f"{'f' * 16}-1", ""):
        assert names.gateway_number(stranger) is None


@pytest.mark.parametrize(
    ("names", "word"),
    [
        (Names("Fleet", 1, 1), "a-z"),
        (Names("f" * 17, 1, 1), "a-z"),
        (Names("", 1, 1), "a-z"),
        (Names("fleet", 0, 1), "gateways"),
        (Names("fleet", 100_001, 1), "gateways"),
        (Names("fleet", 1, 1001), "detectors"),
        (Names("fleet", 3, 1, 4), "areas"),
    ],
)
def test_a_name_or_number_that_the_contract_cannot_carry_is_refused(names, word):
    """Before the first message."""
    assert word in " ".join(wrong_names(names))


def written(names: Names) -> list[dict[str, bytes]]:
    """The files of each part, as the command writes them."""
    found = []
    for gateways in parts(names):
        files = {}
        for kind, rows in registry(names, gateways, "console").items():
            text = io.StringIO(newline="")
            writer = csv.DictWriter(text, list(rows[0]))
            writer.writeheader()
            writer.writerows(rows)
            files[f"{kind}.csv"] = text.getvalue().encode()
        found.append(files)
    return found


@pytest.mark.parametrize(
    "names",
    [Names("fleet", 20, 10), Names("fleet", 3, 300), Names("fleet", 7, 2, 3), Names("fleet", 400, 0)],
)
def test_the_registry_is_what_the_centre_imports_without_a_word(names):
    """The same names as on the wire, one home for each detector, somebody for each grid."""
    (files,) = written(names)
    parsed = read_files(files)
    assert parsed.problems == ()
    assert set(files) <= set(KINDS)
    detectors = [line.record for line in parsed.lines if line.place.startswith("detectors.csv")]
    assert [each.id for each in detectors] == [
        d for g in range(names.gateways) for d in names.detectors_of(g)
    ]
    grids = {line.record.id for line in parsed.lines if line.place.startswith("grids.csv")}
    watched = {
        grid
        for line in parsed.lines
        if line.place.startswith("workers.csv")
        for grid in line.record.primary_grids
    }
    assert watched == grids


def test_a_large_registry_comes_in_parts_that_the_centre_takes():
    """100,000 rows and 10 MB are what it takes in one file."""
    names = Names("fleet", 700, 128)
    files = written(names)
    assert len(files) == 2
    for each in files:
        assert all(len(content) <= MAX_FILE_BYTES for content in each.values())
        assert all(content.count(b"\n") <= MAX_ROWS for content in each.values())


@pytest.mark.parametrize(
    ("plan", "word"),
    [
        (Plan(names=Names("fleet", 2, 0), rate=1.0), "no detectors"),
        (Plan(names=Names("fleet", 2, 0), storm=1), "no detectors"),
        (Plan(names=Names("fleet", 2, 5), rate=2001.0), "--rate"),
        (Plan(names=Names("fleet", 2, 5), rate=math.nan), "--rate"),
        (Plan(names=Names("fleet", 2, 5), connections=3), "--connections"),
        (Plan(names=Names("fleet", 2, 5), storm=11), "--storm"),
        (Plan(names=Names("fleet", 2, 5), alarms=1.0, clear_after_s=11.0), "at once"),
        (Plan(names=Names("fleet", 2, 5), alarms=1.0, clear_after_s=0.0), "at once"),
        (Plan(names=Names("fleet", 2, 5), lose=1.0), "--lose"),
        (Plan(names=Names("fleet", 2, 5), rows=1001), "--rows"),
        (Plan(names=Names("fleet", 2, 5), outages=(Outage(1.5, 0, 1),)), "--outage"),
    ],
)
def test_a_plan_that_cannot_be_is_refused_with_the_argument_to_change(plan, word):
    """Before anything is connected."""
    assert word in " ".join(wrong_plan(plan))


def test_a_plan_that_can_be_is_not_refused():
    """The benchmarks' own."""
    for plan in (
        Plan(names=Names("fleet", 500, 128), rate=None, connections=4),
        Plan(names=Names("fleet", 50, 100), storm=5000),
        Plan(names=Names("fleet", 100_000, 0)),
        Plan(names=Names("fleet", 2, 5), alarms=1.0, clear_after_s=0.0, seconds=10.0),
    ):
        assert wrong_plan(plan) == []


@given(st.floats(0.1, 5000), st.lists(st.floats(0, 3), max_size=20))
def test_a_metronome_skips_no_beat_however_late_it_is_asked(per_s, waits):
    """A machine that was busy makes up for it, each beat with its own moment."""
    metronome, now, got = Metronome(per_s, start=1.0), 0.0, []
    for wait in waits:
        now += wait
        got += metronome.due(now)
    assert [number for number, _ in got] == list(range(len(got)))
    assert all(at == 1.0 + number / per_s for number, at in got)
    assert 1.0 + len(got) / per_s > now


def test_a_metronome_ends():
    """By its count, by its rate, or when told."""
    assert [number for number, _ in Metronome(10, count=3).due(100)] == [0, 1, 2]
    assert list(Metronome(0).due(100)) == []
    stopped = Metronome(10)
    stopped.stop()
    assert list(stopped.due(100)) == []


@given(st.lists(st.floats(0.1, 100_000), min_size=1), st.floats(0.01, 1))
def test_delays_are_told_within_two_per_cent(delays, share):
    """However many there were."""
    kept = Delays()
    for each in delays:
        kept.add(each)
    true = sorted(delays)[max(0, math.ceil(share * len(delays)) - 1)]
    told = kept.at(share)
    assert told is not None
    assert true / 1.03 - 0.01 <= told <= true * 1.03 + 0.01
    assert Delays().at(0.5) is None


def test_dice_fall_the_same_for_the_same_names():
    """And spread over the whole range."""
    one, same, other = Dice(1, "a"), Dice(1, "a"), Dice(2, "a")
    first = [one.share() for _ in range(1000)]
    assert first == [same.share() for _ in range(1000)] != [other.share() for _ in range(1000)]
    assert 0.45 < sum(first) / 1000 < 0.55
    assert hex_of(1, 2) == hex_of(1, 2) != hex_of(12)
    assert 0 <= number_of("x") < 2**64


@pytest.mark.parametrize(
    ("gateways", "detectors", "rate", "rows"),
    [
        (500, 128, 50_000.0, 128),
        (500, 128, None, 128),
        (20, 10, 20 * 10 / 60, 10),
        (20, 10, 100.0, 50),
        (1, 500, 1.0, 128),
    ],
)
def test_a_gateway_with_few_readings_sends_small_messages_instead_of_waiting(gateways, detectors, rate, rows):
    """One lap of its detectors at least, as far as a message may hold it."""
    assert rows_at_most(Plan(names=Names("fleet", gateways, detectors), rate=rate)) == rows
