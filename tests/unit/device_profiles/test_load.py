"""Loading: every wrong file is refused with file, key and mend; every packaged one is taken."""

from __future__ import annotations

from pathlib import Path

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from device_profiles.load import MAX_BYTES, ProfileError, load_profiles, parse

WRONG = sorted((Path(__file__).parents[2] / "cases" / "_wrong_profiles").iterdir())
GOOD = (Path(__file__).parents[3] / "device_profiles" / "profiles" / "smokewatch-reference.toml").read_bytes()


@pytest.mark.parametrize("folder", WRONG, ids=lambda folder: folder.name)
def test_a_wrong_profile_is_refused_with_file_key_and_mend(folder: Path) -> None:
    """Its problems are those of error.txt, no more: each line begins as the file says."""
    with pytest.raises(ProfileError) as refused:
        parse((folder / "profile.toml").read_bytes(), "profile.toml")
    expected = (folder / "error.txt").read_text(encoding="utf-8").splitlines()
    lines = str(refused.value).splitlines()
    assert len(lines) == len(expected)
    for line, begin in zip(lines, expected, strict=True):
        assert line.startswith(f"profile.toml: {begin}")
    assert refused.value.file == "profile.toml"
    assert refused.value.mend


def test_all_problems_of_a_file_are_told_at_once() -> None:
    """Nobody likes to mend one line a run."""
    with pytest.raises(ProfileError) as refused:
        parse(GOOD.replace(b"scale = 0.01", b"scale = 0.0").replace(b"bit = 1\n", b"bit = 77\n", 1), "x.toml")
    assert "bit" in str(refused.value)
    with pytest.raises(ProfileError) as refused:
        parse(GOOD.replace(b"scale = 0.01", b"scale = 0.0").replace(b"bit = 1\n", b"bit = 17\n", 1), "x.toml")
    assert [p.key for p in refused.value.problems] == ["registers[1].scale", "conditions[1].bit", "id"]


def test_a_folder_of_one_s_own_is_loaded(tmp_path: Path) -> None:
    """Only *.toml is a profile."""
    (tmp_path / "smokewatch-reference.toml").write_bytes(GOOD)
    (tmp_path / "README.md").write_text("not a profile")
    assert list(load_profiles(tmp_path)) == ["smokewatch-reference"]


def test_a_folder_that_is_not_there_is_named(tmp_path: Path) -> None:
    """The path stands in the message."""
    with pytest.raises(ProfileError, match="no-such-folder: there is no such folder"):
        load_profiles(tmp_path / "no-such-folder")


def test_a_file_that_cannot_be_read_is_named(tmp_path: Path) -> None:
    """A directory that is called like a profile."""
    (tmp_path / "x.toml").mkdir()
    with pytest.raises(ProfileError, match=r"x\.toml: cannot be read"):
        load_profiles(tmp_path)


def test_a_huge_file_is_not_parsed() -> None:
    """A profile is a few kilobytes."""
    with pytest.raises(ProfileError, match="larger than 1 MB"):
        parse(b"#" * (MAX_BYTES + 1), "x.toml")


def test_a_number_too_large_for_any_field_is_refused() -> None:
    """Not a crash."""
    with pytest.raises(ProfileError):
        parse(GOOD.replace(b"address = 16", b"address = " + b"9" * 400), "smokewatch-reference.toml")


def outcome(content: bytes) -> str:
    """What loading says: the profile's id, or "refused"; any other exception is the test's failure."""
    try:
        return parse(content, "smokewatch-reference.toml").id
    except ProfileError:
        return "refused"


@given(cut=st.integers(0, len(GOOD)), junk=st.binary(max_size=8))
@settings(max_examples=200, deadline=None)
def test_a_damaged_file_is_a_profile_or_a_profile_error(cut: int, junk: bytes) -> None:
    """Cut anywhere with junk behind it: no other exception."""
    assert outcome(GOOD[:cut] + junk) in ("smokewatch-reference", "refused")


@given(start=st.integers(0, len(GOOD)), junk=st.text(max_size=6))
@settings(max_examples=200, deadline=None)
def test_a_slip_of_the_keyboard_is_a_profile_or_a_profile_error(start: int, junk: str) -> None:
    """Text typed anywhere in a good file."""
    typed = junk.encode("utf-8", "replace")
    assert outcome(GOOD[:start] + typed + GOOD[start:]) in ("smokewatch-reference", "refused")
