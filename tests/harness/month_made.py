"""A made-up October for reports: a street, a flood, a chattering detector, names that look like formulas."""

from __future__ import annotations

from datetime import datetime, timedelta

from central.engine.policy import CHINA
from central.reports.model import Call, Fire, Gathered, Unreached, Watched

BEGIN, END = datetime(2026, 10, 1, tzinfo=CHINA), datetime(2026, 11, 1, tzinfo=CHINA)
_PLACES = (
    ("danshuichi", "xinhua", "xh-1"),
    ("danshuichi", "xinhua", "xh-2"),
    ("danshuichi", "tangjiadun", "tj-1"),
    ("danshuichi", None, None),
)
_CAUSES = ("cooking", "steam", "cooking", None)


def s(seconds: float) -> timedelta:
    """A span."""
    return timedelta(seconds=seconds)


def fire(number: int) -> Fire:
    """Every ninth is open, every fourth is real, the others are false."""
    area, community, grid = _PLACES[number % len(_PLACES)]
    at = BEGIN + timedelta(hours=9 * number, minutes=number)
    closed = number % 9 != 0
    return Fire(
        area=area,
        community=community,
        grid=grid,
        part=f"d-{number % 7:04}",
        opened_at=at,
        rounds=1 + number % 3,
        notified_at=at + s(1 + number % 4),
        acknowledged_at=at + s(20 + 7 * number),
        set_out_at=at + s(45 + 9 * number) if number % 2 else None,
        arrived_at=at + s(300 + 11 * number) if number % 3 else None,
        closed_at=at + s(1800 + 97 * number) if closed else None,
        disposition=(("real_fire" if number % 4 == 1 else "false_alarm") if closed else None),
        cause=_CAUSES[number % 4] if closed and number % 4 != 1 else None,
    )


def gathered(fires: int = 60) -> Gathered:
    """All of it."""
    told = tuple(fire(number) for number in range(fires))
    flood = tuple(Call(BEGIN + timedelta(days=3) + s(20 * n), f"gw-1 d-{n:04} smoke") for n in range(40))
    chatter = tuple(Call(BEGIN + timedelta(days=9) + s(15 * n), "gw-2 d-0007 fault") for n in range(4))
    calls = tuple(Call(one.opened_at, f"gw-1 {one.part} smoke") for one in told)
    return Gathered(
        area="danshuichi",
        begin=BEGIN,
        end=END,
        names={
            ("area", "danshuichi"): "丹水池街道",
            ("community", "xinhua"): "新华社区",
            ("community", "tangjiadun"): "唐家墩社区",
            ("grid", "xh-1"): "新华一网格",
            ("grid", "xh-2"): '=HYPERLINK("http://evil.example";"网格")',
            ("grid", "tj-1"): "<b>唐家墩一网格</b>",
        },
        fires=told,
        calls=(*calls, *flood, *chatter),
        standing=2,
        nobody_reachable=1,
        unreached=(Unreached("w-zhou", "周网格", "grid_worker", 9, 4),),
        watched=(
            Watched("tj-1", "<b>唐家墩一网格</b>", 12, 12 * 31 * 86400.0, 1234.0, 0.99996),
            Watched("xh-1", "新华一网格", 40, 40 * 31 * 86400.0, 40 * 86400.0, 1 - 1 / 31),
        ),
    )
