"""What an auditor concludes from what it has looked at, and when it shouts; pure.

Law of this file: `now` is an argument. Nothing is proved that was not seen to be well; what has been told as
wrong is told again until it is mended, and then that it is over.
"""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field

UNANSWERED_S = 10.0
"""The database is restarted now and then: so long it may not answer, and then until the finding is ripe."""
DEAF_S = 60.0
"""Ingest beats every 5 s; twice the time after which it counts as deaf."""
RIPE_S = 10.0
"""What is wrong in one look only is not told: whoever has just come back gets this time."""
START_S = 30.0
"""Nor what is found so soon after the auditor's start: the others may be starting too."""
WELL_S = 60.0
"""All has been well for so long: it is over."""


@dataclass(frozen=True, slots=True)
class Seen:
    """What one look showed. Ages in seconds."""

    unanswered_s: float = 0.0
    """Since the database answered last; while this is not 0 the rest is not known."""
    deliveries: int = 0
    """Messages overdue by 30 s with nobody at them."""
    steps: int = 0
    """Steps of alarms overdue by 30 s."""
    oldest_s: float = 0.0
    """Of these messages and steps."""
    late: Mapping[str, float] = field(default_factory=dict)
    """Processes and periodic jobs that do not succeed any more, since when."""
    deaf: Mapping[str, float] = field(default_factory=dict)
    """Areas whose gateways nobody hears, since when."""


@dataclass(frozen=True, slots=True)
class Finding:
    """One thing that is wrong, in both languages."""

    zh: str
    en: str

    def of(self, language: str) -> str:
        """The words in `language`; Chinese unless it is `en`."""
        return self.en if language == "en" else self.zh


@dataclass(frozen=True, slots=True)
class Shout:
    """What is to be told now."""

    episode: int
    """Which trouble of this auditor's life, from 1."""
    number: int
    """Which shout about it, from 1."""
    findings: tuple[Finding, ...]
    """Empty: it is over."""


@dataclass(frozen=True, slots=True)
class Standing:
    """What was found and told so far."""

    since: Mapping[str, float] = field(default_factory=dict)
    """By the finding's name."""
    told: frozenset[str] = frozenset()
    told_at: float = 0.0
    well_since: float | None = None
    episode: int = 0
    number: int = 0
    """Of shouts in this episode; 0 outside of one."""
    began: float | None = None
    """When it looked first."""


def find(seen: Seen) -> dict[str, Finding]:
    """What is wrong, by name: the same trouble has the same name in every look."""
    if seen.unanswered_s > 0:
        if seen.unanswered_s < UNANSWERED_S:
            return {}
        age = _age(seen.unanswered_s)
        return {"database": Finding(f"数据库无应答（{age[0]}）", f"the database does not answer ({age[1]})")}
    found: dict[str, Finding] = {}
    oldest = _age(seen.oldest_s)
    if seen.deliveries:
        found["deliveries"] = Finding(
            f"{seen.deliveries} 条通知逾期未发出（最久 {oldest[0]}）：发送进程是否在运行",
            f"{seen.deliveries} messages are overdue (the oldest {oldest[1]}): is the worker running",
        )
    if seen.steps:
        found["steps"] = Finding(
            f"{seen.steps} 个升级步骤逾期未执行（最久 {oldest[0]}）：任务进程是否在运行",
            f"{seen.steps} steps are overdue (the oldest {oldest[1]}): is the jobs process running",
        )
    for name, since_s in sorted(seen.late.items()):
        age = _age(since_s)
        found[f"late:{name}"] = Finding(
            f"{name} 已停止工作（{age[0]}）", f"{name} has done nothing for {age[1]}"
        )
    for area, since_s in sorted(seen.deaf.items()):
        age = _age(since_s)
        found[f"deaf:{area}"] = Finding(
            f"收不到街道 {area} 的任何网关（{age[0]}）：接收进程或消息服务器已停",
            f"no gateway of area {area} can be heard for {age[1]}: ingest or the broker is down",
        )
    return found


def conclude(
    before: Standing, found: Mapping[str, Finding], *, looked: bool, now: float, again_s: float
) -> tuple[Standing, Shout | None]:
    """What is told now, and how it stands then. `looked`: the look was whole; only then can all be well."""
    since = {name: before.since.get(name, now) for name in found}
    well_since = None if found or not looked else now if before.well_since is None else before.well_since
    began = now if before.began is None else before.began
    ripe = {name for name, at in since.items() if now - at >= RIPE_S and now - began >= START_S}
    again = before.number > 0 and bool(found) and now - before.told_at >= again_s
    if ripe - before.told or again:
        first = before.number == 0
        episode, number = before.episode + first, before.number + 1
        said = tuple(found[name] for name in sorted(ripe or found))
        told = Standing(since, before.told | ripe, now, well_since, episode, number, began)
        return told, Shout(episode, number, said)
    if before.number > 0 and well_since is not None and now - well_since >= WELL_S:
        over = Standing(since, frozenset(), now, well_since, before.episode, began=began)
        return over, Shout(before.episode, before.number + 1, ())
    standing = Standing(since, before.told, before.told_at, well_since, before.episode, before.number, began)
    return standing, None


def words(shout: Shout, language: str) -> tuple[str, list[str]]:
    """The title and the lines of a shout."""
    english = language == "en"
    if not shout.findings:
        title = "[Smokewatch] works again" if english else "【火警系统】已恢复"
        return title, ["Messages get out again." if english else "通知已能正常发出。"]
    title = "[Smokewatch] IS FAILING" if english else "【火警系统】系统自身故障"
    lines = [finding.of(language) for finding in shout.findings]
    lines.append(
        "Fires may reach nobody: look at the server now, and have homes watched by people until it works."
        if english
        else "火警可能无法通知到人：请立即检查服务器，恢复前安排人工值守。"
    )
    return title, lines


def _age(seconds: float) -> tuple[str, str]:
    if seconds < 120:
        return f"{seconds:.0f} 秒", f"{seconds:.0f} s"
    return f"{seconds / 60:.0f} 分钟", f"{seconds / 60:.0f} min"
