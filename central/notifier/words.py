"""The words of messages in Chinese and English, the names of conditions also for pages.

Law of this file: data; the Chinese comes first.
"""

from __future__ import annotations

from collections.abc import Mapping
from typing import NamedTuple

from central.engine.model import Condition, Disposition, Ground


class Words(NamedTuple):
    """The same in both languages."""

    zh: str
    en: str

    def of(self, language: str) -> str:
        """The words in `language`; Chinese unless it is `en`."""
        return self.en if language == "en" else self.zh


CONDITION: Mapping[Condition, Words] = {
    Condition.SMOKE: Words("烟雾报警", "Smoke"),
    Condition.HEAT: Words("高温报警", "Heat"),
    Condition.PRE_ALARM: Words("烟雾预警", "Smoke rising"),
    Condition.TEST: Words("测试报警", "Test alarm"),
    Condition.FAULT: Words("探测器故障", "Detector fault"),
    Condition.CONTAMINATED: Words("探测器积尘", "Detector dirty"),
    Condition.LOW_BATTERY: Words("电池电量低", "Battery low"),
    Condition.MAINS_LOST: Words("主电断开", "Mains lost"),
    Condition.REMOVED: Words("探测器被拆下", "Detector taken down"),
    Condition.MUTED: Words("探测器已静音", "Detector muted"),
    Condition.ISOLATED: Words("探测器已屏蔽", "Detector isolated"),
    Condition.NO_RESPONSE: Words("探测器失联", "Detector silent"),
    Condition.BUS_DOWN: Words("总线中断", "Line down"),
    Condition.BUS_STUCK: Words("总线停滞", "Line stuck"),
    Condition.GATEWAY_SILENT: Words("网关失联", "Gateway silent"),
    Condition.EVENTS_STUCK: Words("事件滞留", "Events stuck"),
    Condition.UNSTABLE: Words("信号不稳", "Signal unstable"),
    Condition.DATA_GAP: Words("数据缺失", "Data missing"),
    Condition.STORAGE: Words("存储故障", "Storage fault"),
    Condition.CLOCK_WRONG: Words("时钟错误", "Clock wrong"),
    Condition.CLONE_SUSPECTED: Words("疑似克隆设备", "Cloned device suspected"),
    Condition.TREND: Words("趋势异常", "Unusual trend"),
    Condition.SYSTEM: Words("系统异常", "System trouble"),
}

DISPOSITION: Mapping[Disposition, Words] = {
    Disposition.REAL_FIRE: Words("真实火警", "Real fire"),
    Disposition.FALSE_ALARM: Words("误报", "False alarm"),
    Disposition.TEST: Words("测试", "Test"),
    Disposition.MAINTENANCE: Words("检修", "Maintenance"),
    Disposition.DEVICE_FAULT: Words("设备故障", "Device fault"),
    Disposition.RETURNED_TO_NORMAL: Words("已恢复正常", "Returned to normal"),
}

CAUSE: Mapping[str, Words] = {
    "cooking": Words("做饭油烟", "Cooking"),
    "steam": Words("水蒸气", "Steam"),
    "dust": Words("灰尘", "Dust"),
    "insects": Words("昆虫", "Insects"),
    "construction": Words("装修施工", "Building work"),
    "smoking": Words("吸烟", "Smoking"),
    "other": Words("其他", "Other"),
}
"""What set off a false alarm, by the values of `central.engine.model.Cause`."""

PLACE = Words("地点：", "Where: ")
DEVICE = Words("设备：", "Device: ")
RESIDENT = Words("住户：", "Who: ")
TIME = Words("时间：", "When: ")
STATE = Words("状态：", "Now: ")
UNWATCHED = Words("无人值守：{n} 户", "Homes without a watch: {n}")
AND_MORE = Words("等", " and more")
ADDRESS_UNKNOWN = Words("地址不明，请向街道指挥中心核实", "address unknown: ask the command centre")
ADDRESS_UNKNOWN_SHORT = Words("地址不明", "address unknown")
NOT_KNOWN = Words("不详", "not known")
ALARM = Words("报警", "Alarm")
AGE = Words("{n} 岁", "about {n} years old")
ALONE = Words("独居", "lives alone")
PHONE = Words("电话 {n}", "phone {n}")
BRING = Words("注意：", "Mind: ")
FAMILY = Words("家属：", "Family: ")
STILL = Words("仍在报警", "still there")
CLEARED = Words("{t} 已自行消除，仍须到场核实", "cleared by itself at {t}; somebody must still look")
CLEARED_SOFT = Words("{t} 已恢复", "cleared at {t}")
UNKNOWN = Words(
    "设备已无应答，现场情况不明，请按仍在报警处理", "the device no longer answers: take it as still there"
)
LATE_MARK = Words("{t} 发生", "at {t}")
CLEARED_MARK = Words("已自行消除", "cleared by itself")
LATE = Words("迟到：发生于 {n} 前，刚刚收到", "LATE: it happened {n} ago and came in only now")
AGAIN = Words(
    "第 {n} 轮：复燃或仍未消除，需要重新接警", "Round {n}: it is back or was never gone; take it again"
)
NOBODY_YET = Words("尚无人接警，这是第 {n} 次通知", "Nobody has taken it yet: call number {n}")
TAKEN_BY = Words("接警人：{n}", "Taken by: {n}")
TAKE_IT = Words("接警请点：", "Take it here: ")
TICK_THEM = Words("逐户勾选接警请点：", "Tick the homes you take: ")
AND_OTHERS = Words("等{n}处", " and {others} more")
PLACES = Words("{n} 处", "{n} places")
SEE_IT = Words("查看：", "See: ")
REPORT_IT = Words("填写处置结果：", "Say what it was: ")
CALL_119 = Words("确认起火请立即拨打 119", "If it burns call 119 at once")
NO_DISPOSITION = Words(
    "接警后一直没有处置结果，请跟进", "Taken, but nobody has said what it was: follow it up"
)
DISPOSITION_TITLE = Words("待填处置结果", "No disposition yet")
CLEARED_TITLE = Words("已消除", "Cleared")
CLOSED_TITLE = Words("已结案", "Closed")
GROUND: Mapping[Ground, Words] = {
    Ground.NEIGHBOUR: Words("同楼另有探测器报警", "another detector of the building alarms too"),
    Ground.HEAT_TOO: Words("烟雾与高温同时报警", "smoke and heat at once"),
    Ground.RISING_HEAT: Words("室温上升", "the temperature is rising"),
    Ground.SILENT: Words("报警中探测器失联", "the detector fell silent in alarm"),
    Ground.BEDRIDDEN: Words("住户卧床", "a resident is bedridden"),
    Ground.OXYGEN: Words("有人吸氧", "oxygen is in use"),
    Ground.GAS: Words("有燃气", "there is gas"),
}
RAISED = Words("警情升级：{n}", "GRAVER: {n}")
RAISED_TITLE = Words("警情升级", "Graver")
WINDOW: Mapping[str, Words] = {
    "maintenance": Words("该探测器正在检修：{why}", "This detector is being worked on: {why}"),
    "walk_test": Words("该探测器正在步行测试：{why}", "This detector is being tried out: {why}"),
    "out_of_service": Words("该探测器已停用：{why}", "This detector is out of service: {why}"),
}
OFFER_TITLE = Words("请您接手", "Please take over")
OWNER_TITLE = Words("接手情况", "Who has it")
OFFERED = Words(
    "{n} 请您接手处理；您接手之前仍由原处理人负责",
    "{n} asks you to take it over; until you do nothing changes",
)
HANDED = Words("现由 {n} 处理", "{n} has it now")
STILL_YOURS = Words("对方未接手，仍由您处理", "it was not taken over: you still have it")
NOBODY_HAS_IT = Words("未接手，仍无人接警", "it was not taken over, and nobody has it")
ANSWER_IT = Words("接手请点：", "Take it over here: ")
RESULT = Words("结果：", "Result: ")
MINUTES = Words("{n} 分钟", "{n} min")
HOURS = Words("{n} 小时", "{n} h")
