"""A policy as it is written down: JSON, read strictly, with the rules that keep it safe.

Law of this file: pure; whatever is wrong is told with its place and its mend, in both languages. What passes
here calls somebody, climbs to its end, and for smoke and heat goes on until a person takes the alarm.
Whether anybody has the duties that it names is asked of the registry: `central.registry.policies`.

    {"steps": [{"after_s": 0, "tell": ["grid_primary"]},
               {"after_s": 90, "tell": ["grid_backup", "worker:w-li"], "parallel": true}],
     "repeat_s": 180, "disposition_after_s": 1800, "disposition_tell": ["dispatcher"],
     "still_active_after_s": 1200, "quiet": {"from": "22:00", "to": "07:00"}}
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Sequence
from datetime import time, timedelta
from typing import Any, NamedTuple

import msgspec
from msgspec import Struct

from central.engine.model import Severity
from central.engine.policy import FAMILY, LIFE, WORKER, Policy, Quiet, Step, Target

MAX_STEPS = 12
MAX_TARGETS = 12
MAX_BYTES = 16_000
LIFE_GAP_S = 600
"""Between two steps of a life alarm, and between its repeats."""
REPEAT_S = {
    Severity.LIFE: (30, LIFE_GAP_S),
    Severity.UNWATCHED: (300, 604_800),
    Severity.CARE: (300, 604_800),
}
DISPOSITION_S = {
    Severity.LIFE: (60, 14_400),
    Severity.UNWATCHED: (300, 604_800),
    Severity.CARE: (300, 604_800),
}
STILL_ACTIVE_S = (60, 3600)
LAST_S = 604_800
QUIET_AT_MOST = timedelta(hours=14)
_WORKER = re.compile(r"worker:[a-z0-9-]{1,32}")
_FAMILY = re.compile(r"family:[a-z0-9_-]{1,32}(?:,[a-z0-9_-]{1,32}){0,3}")
_CLOCK = re.compile(r"([01][0-9]|2[0-3]):[0-5][0-9]")
_DUTIES = frozenset(Target)


class Fault(NamedTuple):
    """One thing that is wrong."""

    place: str
    what: str
    zh: str
    mend: str


class PolicyError(Exception):
    """It is no policy. `faults` is never empty."""

    def __init__(self, faults: Sequence[Fault]) -> None:
        super().__init__("; ".join(f"{one.place}: {one.what}" for one in faults))
        self.faults = tuple(faults)


class _Step(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    after_s: int
    tell: list[str]
    parallel: bool = False


class _Quiet(Struct, frozen=True, forbid_unknown_fields=True, rename={"begins": "from", "ends": "to"}):
    begins: str
    ends: str


class _Body(Struct, frozen=True, forbid_unknown_fields=True, omit_defaults=True):
    steps: list[_Step]
    repeat_s: int | None = None
    disposition_after_s: int | None = None
    disposition_tell: list[str] = []
    still_active_after_s: int | None = None
    quiet: _Quiet | None = None


def read(body: Any, severity: Severity) -> Policy:
    """The policy of a JSON object (or of its text as bytes). Raises PolicyError with all that is wrong.

    What a life policy does not say of the time after the acknowledgement is as built in.
    """
    try:
        if isinstance(body, bytes):
            if len(body) > MAX_BYTES:
                raise PolicyError([Fault("", f"{len(body)} bytes", "内容太长", f"At most {MAX_BYTES}.")])
            body = msgspec.json.decode(body)
        told = msgspec.convert(body, _Body)
    except (msgspec.MsgspecError, RecursionError) as error:
        raise PolicyError([_unreadable(str(error))]) from None
    if faults := [*_faults(told, severity)]:
        raise PolicyError(faults)
    return _policy(told, severity)


def write(policy: Policy) -> dict[str, Any]:
    """The policy as a JSON object: `read` gives the same back."""
    quiet = policy.quiet
    body = _Body(
        steps=[
            _Step(_s(one.delay), [str(word) for word in one.targets], one.parallel) for one in policy.steps
        ],
        repeat_s=None if policy.repeat is None else _s(policy.repeat),
        disposition_after_s=None if policy.disposition_after is None else _s(policy.disposition_after),
        disposition_tell=[str(word) for word in policy.disposition_targets],
        still_active_after_s=None if policy.still_active_after is None else _s(policy.still_active_after),
        quiet=None if quiet is None else _Quiet(f"{quiet.begins:%H:%M}", f"{quiet.ends:%H:%M}"),
    )
    written: dict[str, Any] = msgspec.to_builtins(body)
    return written


def _faults(body: _Body, severity: Severity) -> Iterator[Fault]:
    if severity is Severity.NOTE:
        yield Fault(
            "severity", "nobody is called for a note", "记录类事件不通知", "Use life, unwatched or care."
        )
        return
    life = severity is Severity.LIFE
    yield from _steps(body.steps, life=life)
    yield from _span("repeat_s", body.repeat_s, *REPEAT_S[severity])
    yield from _span("disposition_after_s", body.disposition_after_s, *DISPOSITION_S[severity])
    yield from _span("still_active_after_s", body.still_active_after_s, *STILL_ACTIVE_S)
    yield from _targets("disposition_tell", body.disposition_tell)
    if body.disposition_tell and body.disposition_after_s is None and not life:
        yield Fault(
            "disposition_after_s",
            "is missing",
            "缺少处置时限",
            "Say after how many seconds, or take out disposition_tell.",
        )
    if body.disposition_after_s is not None and not body.disposition_tell and not life:
        yield Fault(
            "disposition_tell", "is missing", "缺少催办对象", 'Say who is told, such as ["dispatcher"].'
        )
    if life and body.repeat_s is None:
        yield Fault(
            "repeat_s",
            "is missing",
            "火警策略必须重复",
            "Only a person ends this climb: say after how many seconds the last step is repeated: 180.",
        )
    if not life and body.still_active_after_s is not None:
        yield Fault("still_active_after_s", "is for smoke and heat only", "仅适用于火警", "Take it out.")
    if body.quiet is not None:
        yield from _quiet(body.quiet, life=life)


def _steps(steps: Sequence[_Step], *, life: bool) -> Iterator[Fault]:
    if not 1 <= len(steps) <= MAX_STEPS:
        yield Fault("steps", f"{len(steps)} steps", "步骤数不对", f"1 to {MAX_STEPS} steps.")
        return
    before = 0
    for number, step in enumerate(steps):
        place = f"steps[{number}]"
        yield from _targets(f"{place}.tell", step.tell)
        if not step.tell:
            yield Fault(
                f"{place}.tell", "is empty", "该步骤没有通知对象", "Say who is told, or take the step out."
            )
        if number == 0 and step.after_s != 0:
            yield Fault(
                f"{place}.after_s",
                f"{step.after_s}",
                "第一步必须立即执行",
                "The first step is done at once: 0.",
            )
        elif number and step.after_s <= before:
            yield Fault(
                f"{place}.after_s",
                f"{step.after_s} after {before}: the climb would go back, a loop",
                "时间必须递增，否则成为循环",
                "Give each step a later time than the one before it; repeat_s repeats the last.",
            )
        elif life and step.after_s - before > LIFE_GAP_S:
            yield Fault(
                f"{place}.after_s",
                f"{step.after_s - before} s after the step before it",
                "火警步骤间隔太长",
                f"At most {LIFE_GAP_S} s may pass between two steps for smoke and heat.",
            )
        elif step.after_s > LAST_S:
            yield Fault(f"{place}.after_s", f"{step.after_s}", "时间太长", f"At most {LAST_S} s.")
        before = step.after_s
    last = steps[-1].tell
    if last and not _DUTIES.intersection(last):
        yield Fault(
            f"steps[{len(steps) - 1}].tell",
            "names no duty",
            "最后一步必须包含岗位",
            "People change: add a duty that somebody always has, such as dispatcher.",
        )


def _targets(place: str, words: Sequence[str]) -> Iterator[Fault]:
    if len(words) > MAX_TARGETS:
        yield Fault(place, f"{len(words)} targets", "通知对象太多", f"At most {MAX_TARGETS}.")
        return
    for number, word in enumerate(words):
        if word not in _DUTIES and not _WORKER.fullmatch(word) and not _FAMILY.fullmatch(word):
            duties = ", ".join(Target)
            yield Fault(
                f"{place}[{number}]",
                f"{word[:60]!r} is nobody",
                "未知的通知对象",
                f"One of {duties}, {WORKER}<id of a worker>, or {FAMILY}<channel>[,<channel>].",
            )
        elif word in words[:number]:
            yield Fault(f"{place}[{number}]", f"{word!r} is named twice", "通知对象重复", "Name each once.")


def _span(place: str, value: int | None, least: int, most: int) -> Iterator[Fault]:
    if value is not None and not least <= value <= most:
        yield Fault(place, f"{value} s", "时间超出范围", f"{least} to {most} seconds.")


def _quiet(quiet: _Quiet, *, life: bool) -> Iterator[Fault]:
    if life:
        yield Fault("quiet", "smoke and heat know no quiet hours", "火警没有免打扰时段", "Take it out.")
        return
    wrong = [
        name for name, text in (("from", quiet.begins), ("to", quiet.ends)) if not _CLOCK.fullmatch(text)
    ]
    for name in wrong:
        yield Fault(f"quiet.{name}", "is no time of day", "时间格式不对", "Write HH:MM, such as 22:00.")
    if wrong:
        return
    begins, ends = _time(quiet.begins), _time(quiet.ends)
    minutes = (ends.hour - begins.hour) * 60 + ends.minute - begins.minute
    span = timedelta(minutes=minutes % 1440)
    if not timedelta(0) < span <= QUIET_AT_MOST:
        hours = QUIET_AT_MOST // timedelta(hours=1)
        yield Fault(
            "quiet",
            f"from {quiet.begins} to {quiet.ends}",
            "免打扰时段不对",
            f"More than nothing and at most {hours} hours.",
        )


def _policy(body: _Body, severity: Severity) -> Policy:
    built_in = LIFE if severity is Severity.LIFE else Policy(())
    quiet = body.quiet
    return Policy(
        steps=tuple(
            Step(timedelta(seconds=one.after_s), _words(one.tell), one.parallel) for one in body.steps
        ),
        repeat=_span_of(body.repeat_s, None),
        disposition_after=_span_of(body.disposition_after_s, built_in.disposition_after),
        disposition_targets=_words(body.disposition_tell) or built_in.disposition_targets,
        still_active_after=_span_of(body.still_active_after_s, built_in.still_active_after),
        quiet=None if quiet is None else Quiet(_time(quiet.begins), _time(quiet.ends)),
    )


def _words(told: Sequence[str]) -> tuple[str, ...]:
    return tuple(word if word not in _DUTIES else Target(word) for word in told)


def _span_of(seconds: int | None, otherwise: timedelta | None) -> timedelta | None:
    return otherwise if seconds is None else timedelta(seconds=seconds)


def _time(text: str) -> time:
    return time.fromisoformat(text)


def _s(span: timedelta) -> int:
    return round(span.total_seconds())


def _unreadable(text: str) -> Fault:
    what, _, path = text.partition(" - at `")
    place = path.rstrip("`").removeprefix("$").removeprefix(".")
    return Fault(place, what, "内容格式不对", "See docs/reference/policies.md for the form.")
