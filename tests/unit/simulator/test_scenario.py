"""Site files: those that come with the simulator, and everything that can be wrong with one."""

from __future__ import annotations

from pathlib import Path

import pytest

from device_profiles.load import load_profiles
from simulator.scenario import SiteError, load_site, parse

PROFILES = load_profiles()
EXAMPLES = sorted((Path(__file__).parents[3] / "simulator" / "scenarios").glob("*.toml"))
BUS = '[[bus]]\nid = "b"\nlink = "l"\n'
ONE = BUS + '[[bus.detector]]\nid = "d-1"\nunit = 1\n'


@pytest.mark.parametrize("path", EXAMPLES, ids=lambda p: p.stem)
def test_the_examples_can_be_played(path: Path) -> None:
    """Each has detectors and a story."""
    site = load_site(path, PROFILES)
    assert sum(len(bus.detector) for bus in site.bus) >= 2
    assert site.story


def test_there_are_examples() -> None:
    """So that the test above is not empty."""
    assert len(EXAMPLES) >= 3


def test_links_are_taken_from_the_files_folder(tmp_path: Path) -> None:
    """Wherever the simulator is started."""
    (tmp_path / "s.toml").write_text(ONE)
    assert load_site(tmp_path / "s.toml", PROFILES).bus[0].link == str(tmp_path / "l")


@pytest.mark.parametrize(
    ("text", "key", "says"),
    [
        ("", "", "bus"),
        ("bus = 3", "bus", "array"),
        ("[[bus", "", "not TOML"),
        ('[[bus]]\nid = "B"', "bus[0].id", "regex"),
        ('[[bus]]\nid = "b"', "bus[0].link", "is missing"),
        ('[[bus]]\nid = "b"\ntransport = "tcp"', "bus[0].port", "is missing"),
        ('[[bus]]\nid = "b"\ntransport = "tcp"\nport = 1\nlink = "x"', "bus[0].link", "remove it"),
        (BUS + "port = 5", "bus[0].port", "remove it"),
        (BUS + "baut = 9600", "bus[0]", "unknown field `baut`"),
        (BUS + "baud = 1", "bus[0].baud", ">= 300"),
        (BUS + BUS, "bus[1].id", "twice"),
        (BUS + '[[bus]]\nid = "c"\nlink = "l"', "bus[1].link", "belongs to bus 'b'"),
        (ONE + '[[bus.detector]]\nid = "d-1"\nunit = 2\n', "bus[0].detector[1].id", "twice"),
        (ONE + '[[bus.detector]]\nid = "d-2"\nunit = 1\n', "bus[0].detector[1].unit", "taken by 'd-1'"),
        (ONE + 'profile = "smokewatch-referense"', "bus[0].detector[0].profile", "did you mean"),
        (ONE + "point = 1", "bus[0].detector[0].point", "no panel"),
        (ONE + 'profile = "gst200-point"', "bus[0].detector[0].point", "is missing"),
        (ONE + 'profile = "gst200-point"\npoint = 243', "bus[0].detector[0].point", "1 to 242"),
        (
            ONE.replace("unit = 1", 'unit = 65\nprofile = "calectro-ug-3-o-mb-r"'),
            "bus[0].detector[0].unit",
            "1 to 64",
        ),
        (
            ONE + '[[story]]\nat = 1\ndo = "ignite"\ndetector = "d-2"',
            "story[0].detector",
            "did you mean 'd-1'",
        ),
        (
            ONE.replace("unit = 1", 'unit = 1\nprofile = "gira-dual-vds"'),
            "bus[0].protocol",
            'write protocol = "gira-dual-vds"',
        ),
        (ONE + '[[story]]\nat = 1\ndo = "burn"\ndetector = "d-1"', "story[0].do", "Invalid enum value"),
        (ONE + '[[story]]\nat = -1\ndo = "ignite"\ndetector = "d-1"', "story[0].at", ">= 0"),
    ],
)
def test_a_wrong_file_is_refused_with_its_key(text: str, key: str, says: str) -> None:
    """File, key, mend."""
    with pytest.raises(SiteError) as caught:
        parse(text.encode(), "site.toml", PROFILES)
    assert caught.value.problems[0][0] == key
    assert says in caught.value.problems[0][1]
    assert str(caught.value).startswith("site.toml: ")


def test_everything_wrong_is_said_at_once() -> None:
    """One look at the file, one round of mending."""
    text = ONE.replace("unit = 1", 'unit = 1\nprofile = "x"') + BUS
    with pytest.raises(SiteError) as caught:
        parse(text.encode(), "site.toml", PROFILES)
    assert [key for key, _ in caught.value.problems] == [
        "bus[0].detector[0].profile",
        "bus[1].id",
    ]


def test_a_file_that_is_no_text_or_not_there_is_refused(tmp_path: Path) -> None:
    """With the place."""
    with pytest.raises(SiteError, match="not UTF-8 at byte 0"):
        parse(b"\xff\xfe", "site.toml", PROFILES)
    with pytest.raises(SiteError, match="cannot be read"):
        load_site(tmp_path / "none.toml", PROFILES)
