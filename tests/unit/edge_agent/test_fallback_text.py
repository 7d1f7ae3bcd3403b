"""What is said when the agent calls by itself: complete without a limit, whole homes within one."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from edge_agent.fallback_text import Line, pack, title
from gsm.pdu import SMS_LIMIT, units
from wire.messages import Condition

SMOKE, HEAT = Condition.SMOKE, Condition.HEAT
HOME = Line(SMOKE, "3栋 2单元 5层 501室 厨房", "03:12")


def test_one_home_in_one_sms_says_where_when_and_what_to_do_in_two_languages() -> None:
    """Chinese first, English where it fits."""
    text, count = pack([HOME], SMS_LIMIT)
    assert text == (
        "【烟雾报警】3栋 2单元 5层 501室 厨房 03:12 中心无应答，请立即前往并拨打119 SMOKE! Go, call 119"
    )
    assert (units(text), count) == (67, 1)


def test_homes_that_do_not_fit_wait_for_the_next_message() -> None:
    """Never half an address."""
    homes = [Line(SMOKE, f"{n}栋 1单元 {n}01室", "03:12") for n in range(1, 7)]
    text, count = pack(homes, SMS_LIMIT)
    assert 1 <= count < 6
    assert f"{count}处：" in text
    assert all(home.place in text for home in homes[:count])
    assert homes[count].place not in text
    assert pack(homes) == (pack(homes)[0], 6)


def test_smoke_and_heat_of_one_home_are_one_place() -> None:
    """The word covers both; the address stands once."""
    text, count = pack([HOME, Line(HEAT, HOME.place, "03:14")], SMS_LIMIT)
    assert count == 2
    assert text.startswith("【烟雾高温报警】3栋")
    assert text.count("501室") == 1
    assert pack([Line(HEAT, "x")])[0].startswith("【高温报警】x 中心")


def test_the_title_names_the_first_home_and_how_many() -> None:
    """For receivers that show one line."""
    assert title([HOME]) == "【烟雾报警】3栋 2单元 5层 501室 厨房"
    assert title([HOME, Line(SMOKE, "4栋")]).endswith(" 等2处")


@given(
    st.lists(
        st.builds(
            Line,
            st.sampled_from([SMOKE, HEAT]),
            st.text(min_size=1, max_size=80),
            st.sampled_from(["", "03:12"]),
        ),
        min_size=1,
        max_size=12,
    )
)
def test_whatever_the_places_an_sms_fits_and_tells_of_at_least_one(lines: list[Line]) -> None:
    """Seventy units, also for a place too long and for characters of two units."""
    text, count = pack(lines, SMS_LIMIT)
    assert 0 < units(text) <= SMS_LIMIT
    assert 1 <= count <= len(lines)
    assert "119" in text
