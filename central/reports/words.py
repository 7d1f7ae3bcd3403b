"""The words of reports, Chinese first. Law of this file: data."""

from __future__ import annotations

from collections.abc import Mapping

from central.notifier.words import CAUSE, DISPOSITION, Words
from central.reports.model import Level

TITLE = Words("火警月报", "Monthly fire alarm report")
EVERYWHERE = Words("全部街道", "All streets")
UNKNOWN_PLACE = Words("地点不明", "Place unknown")
MADE_AT = Words("制表时间", "Made at")
NOTHING = Words("无", "None")
CUT = Words(
    "警情过多，本报告只含其中一部分。请按街道分别制作。",
    "There were more alarms than one report holds; this is only a part. Make one for each street.",
)
NOTE = Words(
    "时间按北京时间；时长为中位数与 90 分位数（最近秩法），未发生的步骤不计入。报告不含居民姓名。",
    "Times are China's. Spans are median and 90th percentile by nearest rank; a step that never came does not"
    " count. No resident is named.",
)
LEVEL: Mapping[Level, Words] = {
    "area": Words("街道", "Street"),
    "community": Words("社区", "Community"),
    "grid": Words("网格", "Grid"),
}
CAUSES: Mapping[str, Words] = {**CAUSE, "unsaid": Words("未填写", "Not said")}
ROLE: Mapping[str, Words] = {
    "grid_worker": Words("网格员", "Grid worker"),
    "community_lead": Words("社区负责人", "Community lead"),
    "dispatcher": Words("指挥中心值班员", "Dispatcher"),
    "installer": Words("安装人员", "Installer"),
    "administrator": Words("管理员", "Administrator"),
    "volunteer": Words("志愿者", "Volunteer"),
    "auditor": Words("审计员", "Auditor"),
}


def disposition(word: str) -> Words:
    """What an alarm was; a word that is new here is shown as it is."""
    return next((words for one, words in DISPOSITION.items() if one == word), Words(word, word))


def known(of: Mapping[str, Words], word: str) -> Words:
    """The same for the other lists."""
    return of.get(word, Words(word, word))
