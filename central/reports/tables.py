"""A report as tables, the same for every form of it.

Law of this file: pure; a cell is a value, and its column says what kind of value it is.
"""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from datetime import datetime
from typing import Literal

from msgspec import Struct

from central.engine.policy import CHINA
from central.notifier.words import Words
from central.reports import words as w
from central.reports.model import Load, Month, PlaceTimes, Spread
from central.reports.noise import ratio

Kind = Literal["text", "count", "seconds", "spread", "ratio"]
Cell = str | int | float | Words | Spread | None


class Column(Struct, frozen=True):
    """What stands in it: `ratio` is a share of 1, `spread` a median and a 90th percentile in seconds."""

    title: Words
    kind: Kind = "text"


class Table(Struct, frozen=True):
    """One part of a report; without rows there was nothing."""

    title: Words
    columns: tuple[Column, ...]
    rows: tuple[tuple[Cell, ...], ...]
    note: Words | None = None


def tables(month: Month) -> tuple[Table, ...]:
    """All parts in their order."""
    return (
        _summary(month),
        _counted(Words("处置结果", "What it was"), month.dispositions, w.disposition),
        _counted(
            Words("误报原因", "Causes of false alarms"), month.causes, lambda one: w.known(w.CAUSES, one)
        ),
        _times(month.times),
        _noisiest(month),
        _load(month.load),
        _floods(month.load),
        _chattering(month.load),
        _unreached(month),
        _watched(month),
    )


def _column(zh: str, en: str, kind: Kind = "text") -> Column:
    return Column(Words(zh, en), kind)


_WHAT, _COUNT = _column("项目", "Measure"), _column("次数", "Count", "count")


def _summary(month: Month) -> Table:
    whole = next((one for one in month.times if one.level == "area"), None)
    one_street = sum(one.level == "area" for one in month.times) == 1
    rows: list[tuple[Cell, ...]] = [
        (Words("火警（烟雾、高温）", "Fire alarms (smoke, heat)"), str(month.fires)),
        (Words("尚未结束", "Still open"), str(month.open)),
        (Words("误报率（占已处置）", "False, of those judged"), percent(month.false_ratio)),
        (Words("曾无人可通知", "Nobody could be told for a while"), str(month.nobody_reachable)),
    ]
    if whole is not None and one_street:
        for title, of in (
            (Words("通知用时（中位 / 90%）", "To notify (median / p90)"), whole.notified),
            (Words("接警用时（中位 / 90%）", "To acknowledge (median / p90)"), whole.acknowledged),
            (Words("结束用时（中位 / 90%）", "To close (median / p90)"), whole.closed),
        ):
            rows.append((title, _both(of)))
    return Table(Words("概况", "Summary"), (_WHAT, _column("数值", "Figure")), tuple(rows))


def _counted(title: Words, of: Mapping[str, int], word: Callable[[str], Words]) -> Table:
    return Table(title, (_WHAT, _COUNT), tuple((word(one), count) for one, count in of.items()))


def _times(of: Sequence[PlaceTimes]) -> Table:
    steps = (
        ("通知", "Notify"),
        ("接警", "Acknowledge"),
        ("出发", "Set out"),
        ("到场", "Arrive"),
        ("结束", "Close"),
    )
    columns = [_column("级别", "Level"), _column("地点", "Place"), _column("火警", "Fires", "count")]
    columns += [_column(zh, en, "spread") for zh, en in steps]
    rows: list[tuple[Cell, ...]] = []
    for one in of:
        name: Cell = w.UNKNOWN_PLACE if one.id is None else one.name
        spans = (one.notified, one.acknowledged, one.set_out, one.arrived, one.closed)
        rows.append((w.LEVEL[one.level], name, one.fires, *spans))
    note = Words("中位数 / 90 分位数。", "Median / 90th percentile.")
    return Table(Words("从报警起的用时", "Time from the alarm"), tuple(columns), tuple(rows), note)


def _noisiest(month: Month) -> Table:
    columns = (
        _column("探测器", "Detector"),
        _column("网格", "Grid"),
        _column("火警", "Fires", "count"),
        _column("含复报", "With returns", "count"),
        _column("已处置", "Judged", "count"),
        _column("误报", "False", "count"),
        _column("误报率", "False rate", "ratio"),
        _column("主要原因", "Main cause"),
    )
    names = {one.id: one.name for one in month.times if one.level == "grid"}
    rows: list[tuple[Cell, ...]] = [
        (
            one.detector,
            names.get(one.grid, "") if one.grid else w.UNKNOWN_PLACE,
            one.fires,
            one.rounds,
            one.judged,
            one.false,
            one.false_ratio,
            next((w.known(w.CAUSES, cause) for cause in one.causes), None),
        )
        for one in month.noisiest
    ]
    return Table(Words("报警最多的探测器", "Noisiest detectors"), columns, tuple(rows))


def _load(load: Load) -> Table:
    busy = ratio(load.hours_over_30, load.hours)
    rows: tuple[tuple[Cell, ...], ...] = (
        (Words("报警次数（含复报）", "Alarms that called somebody, with returns"), str(load.calls), ""),
        (Words("平均每小时", "Per hour, on average"), _number(load.per_hour), "≤ 6"),
        (Words("最忙一小时", "Busiest hour"), str(load.busiest_hour), ""),
        (Words("超过 30 次的小时占比", "Hours with more than 30"), percent(busy), "< 1 %"),
        (Words("最忙十分钟", "Busiest ten minutes"), str(load.busiest_ten_minutes), "≤ 10"),
        (Words("报警泛滥时间占比", "Time in flood"), percent(load.flood_ratio), "< 1 %"),
        (Words("前十来源占比", "Share of the ten busiest sources"), percent(load.top_ten_ratio), "< 5 %"),
        (Words("抖动来源", "Chattering sources"), str(len(load.chattering)), "0"),
        (Words("持续超过 24 小时", "Standing for more than 24 h"), str(load.standing), "< 5"),
    )
    note = Words(
        "按 ISA-18.2 / IEC 62682，目标值为每个值班岗位的推荐上限。",
        "After ISA-18.2 / IEC 62682; the targets are those recommended for one operating position.",
    )
    columns = (_WHAT, _column("数值", "Figure"), _column("目标", "Target"))
    return Table(Words("报警负荷（ISA-18.2）", "Alarm load (ISA-18.2)"), columns, rows, note)


def _floods(load: Load) -> Table:
    columns = (_column("开始", "Begin"), _column("结束", "End"), _column("报警", "Alarms", "count"))
    rows = tuple((moment(one.begin), moment(one.end), one.alarms) for one in load.floods)
    return Table(Words("报警泛滥", "Floods"), columns, rows)


def _chattering(load: Load) -> Table:
    columns = (_column("来源", "Source"), _column("次数", "Calls", "count"))
    rows = tuple((one.source, one.calls) for one in load.chattering)
    return Table(Words("抖动来源", "Chattering sources"), columns, rows)


def _unreached(month: Month) -> Table:
    columns = (
        _column("人员", "Person"),
        _column("编号", "Id"),
        _column("岗位", "Role"),
        _column("应通知警情", "Alarms to be told of", "count"),
        _column("未送达", "Not reached", "count"),
    )
    rows = tuple(
        (one.name, one.worker, w.known(w.ROLE, one.role), one.alarms, one.unreached)
        for one in month.unreached
    )
    return Table(Words("未能通知到的人员", "People who were not reached"), columns, rows)


def _watched(month: Month) -> Table:
    columns = (
        _column("网格", "Grid"),
        _column("探测器", "Detectors", "count"),
        _column("在线率", "Uptime", "ratio"),
        _column("离线时长", "Away", "seconds"),
    )
    rows: tuple[tuple[Cell, ...], ...] = tuple(
        (one.name if one.grid else w.UNKNOWN_PLACE, one.detectors, one.ratio, one.down_s)
        for one in month.watched
    )
    return Table(Words("在线情况", "Uptime"), columns, rows)


def shown(cell: Cell, kind: Kind) -> str | Words:
    """A cell as people read it."""
    if cell is None or cell == "":
        return "–"
    if isinstance(cell, (Words, str)):
        return cell
    if isinstance(cell, Spread):
        return _both(cell)
    if kind == "seconds":
        return span(cell)
    return percent(cell) if kind == "ratio" else str(cell)


def span(seconds: float | None) -> str:
    """45 s, 1:30 (minutes and seconds), 2:05:00 (hours); 3 d 04 h beyond two days."""
    if seconds is None:
        return "–"
    whole = round(seconds)
    hours, rest = divmod(whole, 3600)
    if hours >= 48:
        return f"{hours // 24} d {hours % 24:02} h"
    if hours:
        return f"{hours}:{rest // 60:02}:{rest % 60:02}"
    return f"{rest // 60}:{rest % 60:02}" if rest >= 60 else f"{rest} s"


def percent(share: float | None) -> str:
    """Of 1, with one decimal; never rounded to a whole that it is not."""
    if share is None:
        return "–"
    text = f"{share * 100:.1f}"
    if text == "100.0" and share < 1:
        text = "99.9"
    if text == "0.0" and share > 0:
        text = "<0.1"
    return f"{text} %"


def moment(at: datetime) -> str:
    """By China's clock."""
    return f"{at.astimezone(CHINA):%Y-%m-%d %H:%M}"


def _both(of: Spread) -> str:
    return f"{span(of.median_s)} / {span(of.p90_s)}" if of.n else "–"


def _number(value: float | None) -> str:
    return "–" if value is None else f"{value:.1f}"
