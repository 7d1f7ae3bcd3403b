"""Once a day for each part: the rules over its roll-ups, and one `trend` alarm for what they find.

Law of this file: it decides nothing. A part has one alarm at most; it opens when something new is found or
more urgent, its detail follows the findings, and it ends with the last of them. One that a person has closed
stays closed while nothing new is found.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from datetime import date, timedelta
from functools import partial

import msgspec
from msgspec.structs import replace

from central.engine.model import Condition, Reason
from central.pipeline.own import end_own, raise_own
from central.pipeline.work import Work, together
from central.store import trends
from central.store.pool import Tx
from central.store.rollups import CHINA
from central.store.trends import Hung, Part
from central.trends import (
    Bucket,
    DetectorHistory,
    Finding,
    Limits,
    Metric,
    Peer,
    Rule,
    Thresholds,
    Urgency,
    judge_detector,
    judge_gateway,
    peer,
)
from device_profiles.schema import Profile

BEGINS = timedelta(hours=1)
"""After midnight: by then the day before is rolled up."""
PIECE = 25
_PEERS = 40
_STILL = (Metric.SMOKE, Metric.TEMPERATURE)
_THRESHOLDS = Thresholds()
_ORDER = (Urgency.PLAN, Urgency.SOON, Urgency.NOW)


async def judge_trends(tx: Tx, profiles: Mapping[str, Profile]) -> int:
    """Judge up to PIECE detectors and gateways that were not judged today; how many."""
    today = (tx.now - BEGINS).astimezone(CHINA).date()
    hung = await trends.detectors_to_judge(tx, today, PIECE)
    gateways = await trends.gateways_to_judge(tx, today, PIECE)
    areas = {one.of: one.area for one in hung} | dict(gateways)
    gone = dict(await trends.homeless(tx, PIECE))
    before = await trends.findings(tx, [*areas, *gone])
    found = await _detectors(tx, hung, before, profiles, today)
    samples = await trends.clock_samples(tx, [of.gateway for of, _ in gateways])
    for of, _ in gateways:
        finding = judge_gateway(samples[of.gateway], before[of].get(Rule.CLOCK_DRIFT), today)
        found[of] = {} if finding is None else {finding.rule: finding}
    found |= {of: {} for of in gone}
    for of, area in {**areas, **gone}.items():
        await together(tx, partial(_tell, of=of, area=area, before=before[of], found=found[of]))
    held = {of: [one for one in each.values() if one.open] for of, each in found.items()}
    await trends.keep_findings(tx, held)
    await trends.note_judged(tx, areas, today)
    return len(areas) + len(gone)


async def _detectors(
    tx: Tx,
    hung: Sequence[Hung],
    before: Mapping[Part, Mapping[Rule, Finding]],
    profiles: Mapping[str, Profile],
    today: date,
) -> dict[Part, dict[Rule, Finding]]:
    parts = [one.of for one in hung]
    first = today - timedelta(days=_THRESHOLDS.history_days)
    days = await trends.days(tx, parts, first)
    hours = await trends.smoke_hours(tx, parts, today - timedelta(days=_THRESHOLDS.noise.quiet_days + 1))
    others: dict[tuple[str, str], dict[Part, dict[Metric, list[Bucket]]]] = {}
    found: dict[Part, dict[Rule, Finding]] = {}
    for one in hung:
        kind = one.area, one.profile
        if kind not in others:
            near = await trends.peers(tx, *kind, _PEERS)
            others[kind] = await trends.days(tx, near, today - timedelta(days=_THRESHOLDS.stuck.days + 1))
        profile = profiles.get(one.profile)
        steps = _steps(profile)
        history = DetectorHistory(
            detector=one.of.part,
            days={
                metric: [b for b in buckets if b.day >= one.fitted_on]
                for metric, buckets in days[one.of].items()
            },
            smoke_hours=[hour for hour in hours[one.of] if hour.day >= one.fitted_on],
            limits=_limits(profile),
            resolution=steps,
            peers={metric: _peers(others[kind], one.of, metric, today, steps) for metric in _STILL},
            fitted_on=one.fitted_on,
        )
        found[one.of] = judge_detector(history, before[one.of], today, _THRESHOLDS)
    return found


def _peers(
    others: Mapping[Part, Mapping[Metric, Sequence[Bucket]]],
    of: Part,
    metric: Metric,
    today: date,
    steps: Mapping[Metric, float],
) -> list[Peer]:
    return [
        peer(buckets.get(metric, ()), metric, today, _THRESHOLDS, steps.get(metric))
        for other, buckets in others.items()
        if other != of
    ]


def _limits(profile: Profile | None) -> Limits:
    if profile is None:
        return Limits()
    says = profile.limits
    return Limits(says.smoke_alarm, says.contaminated, says.low_battery)


def _steps(profile: Profile | None) -> dict[Metric, float]:
    """The steps in which a model tells its values: the scale of the register that holds them."""
    known = {metric.value: metric for metric in Metric}
    return {
        known[register.role.value]: abs(register.scale)
        for register in (profile.registers if profile else ())
        if register.role is not None and register.role.value in known
    }


async def _tell(
    work: Work, of: Part, area: str, before: Mapping[Rule, Finding], found: Mapping[Rule, Finding]
) -> None:
    held = [finding for finding in found.values() if finding.open]
    if not held:
        await end_own(
            work, condition=Condition.TREND, gateway=of.gateway, part=of.part, reason=Reason.TREND_OVER
        )
        return
    detail = {
        "text": "\n".join(f"{one.text.zh} {one.text.en}" for one in held),
        "findings": [msgspec.to_builtins(one) for one in held],
    }
    alarm = await work.open_alarm(of.gateway, of.part, Condition.TREND)
    if alarm is not None:
        if alarm.detail.get("findings") != detail["findings"]:
            work.save(replace(alarm, detail={**alarm.detail, **detail}))
        return
    if any(_is_news(one, before.get(one.rule)) for one in held):
        place = await work.home(of.part, work.now, area) if of.part else None
        await raise_own(
            work,
            condition=Condition.TREND,
            gateway=of.gateway,
            part=of.part,
            area=area,
            reason=Reason.TREND_FOUND,
            detail=detail,
            place=place,
        )


def _is_news(finding: Finding, before: Finding | None) -> bool:
    return before is None or _ORDER.index(finding.urgency) > _ORDER.index(before.urgency)
