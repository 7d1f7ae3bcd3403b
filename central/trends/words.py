"""What a finding says to people. Law of this file: words and numbers, no judgement; Chinese comes first."""

from __future__ import annotations

from datetime import date

from central.trends.model import End, Metric, Reach, Said, Urgency

METRIC = {
    Metric.SMOKE: Said("烟雾值", "smoke value"),
    Metric.TEMPERATURE: Said("温度值", "temperature"),
    Metric.BATTERY: Said("电池电压", "battery voltage"),
    Metric.CONTAMINATION: Said("积尘度", "contamination"),
    Metric.CLOCK: Said("时钟偏差", "clock offset"),
}
URGENCY = {
    Urgency.PLAN: Said("列入计划", "plan it"),
    Urgency.SOON: Said("尽快处理", "soon"),
    Urgency.NOW: Said("立即处理", "now"),
}
END = {
    End.CLEANED: Said("积尘度骤降，探测器已清洁", "contamination fell at once: the detector was cleaned"),
    End.BATTERY_REPLACED: Said("电压骤升，电池已更换", "the voltage rose at once: the battery was replaced"),
    End.CLOCK_SET: Said("时钟已重新校准", "the clock was set"),
    End.DETECTOR_REPLACED: Said("探测器已更换", "the detector was replaced"),
    End.RECEDED: Said("数值已逐渐回落", "the value went back bit by bit"),
    End.SLOWED: Said("数值数周未再变化", "the value has not moved on for weeks"),
    End.QUIETED: Said("近期已很少接近报警阈值", "it hardly comes near the threshold any more"),
    End.VARIES_AGAIN: Said("数值恢复变化", "the value moves again"),
    End.NO_DATA: Said("长期没有数据，无法判断", "no data for so long that nobody can say"),
}


def contamination(
    days: int, was: float, level: float, per_day: float, limit: float, when: Reach | None
) -> Said:
    """Dust."""
    zh = f"积尘度 {days} 天内从 {was:.0f}% 升至 {level:.0f}%，平均每天 +{per_day:.2f}%。"
    en = f"Contamination rose from {was:.0f} % to {level:.0f} % in {days} days, {per_day:.2f} % a day. "
    if when is None:
        return Said(
            f"{zh}已达到 {limit:.0f}% 的上限，请清洁或更换探测器。",
            f"{en}The limit of {limit:.0f} % is reached: clean or replace the detector.",
        )
    return Said(
        f"{zh}照此趋势，{_when_zh(when)}达到 {limit:.0f}% 的上限。请在此之前清洁或更换探测器。",
        f"{en}If it goes on, the limit of {limit:.0f} % is reached {_when_en(when)}. "
        "Clean or replace the detector before.",
    )


def battery(days: int, was: float, level: float, per_day: float, limit: float, when: Reach | None) -> Said:
    """A battery that is nearly empty."""
    zh = (
        f"电池电压 {days} 天内从 {was:.2f} V 降至 {level:.2f} V（已扣除温度影响），"
        f"平均每天 -{1000 * per_day:.1f} mV。"
    )
    en = (
        f"The battery fell from {was:.2f} V to {level:.2f} V in {days} days (temperature allowed for), "
        f"{1000 * per_day:.1f} mV a day. "
    )
    if when is None:
        return Said(
            f"{zh}已降至 {limit:.2f} V 的低电量限值，请更换电池。",
            f"{en}The low-battery limit of {limit:.2f} V is reached: replace the battery.",
        )
    return Said(
        f"{zh}照此趋势，{_when_zh(when)}降至 {limit:.2f} V 的低电量限值。请在此之前更换电池。",
        f"{en}If it goes on, the low-battery limit of {limit:.2f} V is reached {_when_en(when)}. "
        "Replace the battery before.",
    )


def clock(offset: float, per_day: float, limit: float, when: Reach | None, *, faulty: bool) -> Said:
    """A gateway's clock; `per_day` and `offset` as centre minus gateway."""
    slow = per_day > 0
    zh = (
        f"网关时钟每天{'慢' if slow else '快'} {abs(per_day):.1f} 秒，"
        f"目前已{'慢' if offset > 0 else '快'} {abs(offset):.0f} 秒。"
    )
    en = (
        f"The gateway's clock {'loses' if slow else 'gains'} {abs(per_day):.1f} s a day "
        f"and is now {abs(offset):.0f} s {'slow' if offset > 0 else 'fast'}. "
    )
    ahead_zh = "已超过" if when is None else f"照此趋势，{_when_zh(when)}超过"
    ahead_en = (
        "It is off by more than"
        if when is None
        else f"If it goes on, {_when_en(when)} it is off by more than"
    )
    mend_zh = (
        "误差超出普通石英时钟的范围，时钟本身可能损坏，请检修网关。"
        if faulty
        else "看来没有与时间服务器同步，请检查网关的网络和对时设置。"
    )
    mend_en = (
        "That is more than a free quartz errs: the clock may be broken, have the gateway looked at."
        if faulty
        else "It seems to reach no time server: check the gateway's network and its time settings."
    )
    return Said(f"{zh}{ahead_zh} {limit:.0f} 秒。{mend_zh}", f"{en}{ahead_en} {limit:.0f} s. {mend_en}")


def noise(days: int, of: int, hours: tuple[int, int], share: float, near: float) -> Said:
    """Smoke near the threshold at the same hours. Shares of the alarm threshold, in hundredths."""
    start, end = (f"{hour:02}:00" for hour in hours)
    return Said(
        f"最近 {of} 天中有 {days} 天在 {start}–{end} 之间烟雾值达到报警阈值的 {near:.0f}% 以上，"
        f"中位峰值为 {share:.0f}%，多半与做饭有关。请上门查看：开窗、使用油烟机，或移动探测器位置。",
        f"On {days} of the last {of} days smoke came above {near:.0f} % of the alarm threshold between "
        f"{start} and {end}; the median peak was {share:.0f} %. "
        "Cooking is likely: visit, see to the ventilation, or hang the detector elsewhere.",
    )


def stuck(metric: Metric, since: date, days: int, value: str, peers: int) -> Said:
    """A value that does not move."""
    name = METRIC[metric]
    return Said(
        f"自 {_day_zh(since)} 起 {days} 天有读数，{name.zh}一直停在 {value}，"
        f"而同型号的另外 {peers} 个探测器有变化。"
        "传感器可能已失效，请按测试键并更换探测器。",
        f"Since {since.isoformat()} the {name.en} has stood at {value} on {days} days with readings, "
        f"while {peers} others of the model vary. "
        "The sensor may be dead: press its test button and replace it.",
    )


def _when_zh(when: Reach) -> str:
    span = (
        f"{_day_zh(when.earliest)} 以后"
        if when.latest is None
        else f"{_day_zh(when.earliest)} 至 {_day_zh(when.latest)} 之间"
    )
    return f"约 {when.expected.isoformat()}（{span}）"


def _when_en(when: Reach) -> str:
    until = "or later" if when.latest is None else f"to {when.latest.isoformat()}"
    return f"about {when.expected.isoformat()} ({when.earliest.isoformat()} {until})"


def _day_zh(day: date) -> str:
    return f"{day.month} 月 {day.day} 日"
