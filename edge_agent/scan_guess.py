"""Which detector model a device is, told from what it answers to the registers of every model; pure.

Law of this file: a guess says what it rests on, and says that it is unsure when two models fit, when only one
register speaks for the model, or when the device answers whatever it is asked. Nothing here decides what is
watched: a person writes the configuration.
"""

from __future__ import annotations

from collections.abc import Iterable, Mapping

from msgspec import Struct

from device_profiles.schema import Profile
from edge_agent.decode import decode
from edge_agent.plan import Plan, ReadRequest, plan
from wire.messages import DetectorConfig

MANY_CONDITIONS = 3
"""A device at rest shows none; one that shows so many at once is more likely another model."""

Question = tuple[int, int, int]
"""Function, wire address, count."""
Answers = Mapping[Question, tuple[int, ...] | int | None]
"""The words; the exception code with which it refused; None: silence. What was not asked is not in it."""


class Candidate(Struct, frozen=True):
    """One model and how well the answers fit it."""

    profile: str
    score: float
    """0 to 1; 1: every read was answered and every value can be believed."""
    why: str


class Guess(Struct, frozen=True):
    """What a device may be. `profile` is None when no model fits."""

    profile: str | None
    sure: bool
    why: str
    candidates: list[Candidate]
    """Best first; only those that fit at all."""


def reads_of(profile: Profile, unit: int) -> Plan:
    """All reads of one such device, of a panel's first point."""
    point = None if profile.points is None else max(1, profile.points.first)
    within = min(max(unit, profile.unit_min), profile.unit_max)
    return plan([(DetectorConfig(detector="x", unit=within, profile=profile.id, point=point), profile)])


def question(request: ReadRequest) -> Question:
    """What is asked, whoever is asked."""
    return request.function, request.address, request.count


def questions(profiles: Iterable[Profile], unit: int) -> dict[Question, ReadRequest]:
    """Every read of every model that can stand at this unit, each once."""
    asked: dict[Question, ReadRequest] = {}
    for profile in sorted(profiles, key=lambda one: one.id):
        if profile.unit_min <= unit <= profile.unit_max:
            reads = reads_of(profile, unit)
            for request in (*reads.fast, *reads.slow):
                asked.setdefault(question(request), request)
    return asked


def guess(profiles: Iterable[Profile], unit: int, answers: Answers) -> Guess:
    """The model that explains the answers best."""
    judged = [_judge(profile, unit, answers) for profile in profiles]
    found = [one for one in judged if one[0].score > 0]
    found.sort(key=lambda one: (-one[0].score, -len(one[1]), one[0].profile))
    candidates = [candidate for candidate, _ in found]
    if not found:
        heard = any(isinstance(answer, tuple) for answer in answers.values())
        why = (
            "it answers, but to no model's registers" if heard else "it refuses every register that is known"
        )
        return Guess(
            None, sure=False, why=f"{why}: look at its label, and write a profile for it", candidates=[]
        )
    best, covered = found[0]
    rivals = [
        other.profile for other, words in found[1:] if other.score == best.score or not words <= covered
    ]
    if best.score < 1:
        return Guess(best.profile, sure=False, why=f"the nearest: {best.why}", candidates=candidates)
    if rivals:
        why = f"fits: {best.why}; but so does {', '.join(rivals)}: look at its label"
        return Guess(best.profile, sure=False, why=why, candidates=candidates)
    if len(answers) > len(covered) and all(isinstance(answer, tuple) for answer in answers.values()):
        why = f"fits: {best.why}; but it answers whatever it is asked: look at its label"
        return Guess(best.profile, sure=False, why=why, candidates=candidates)
    if len(covered) < 2:
        why = f"fits: {best.why}; but one register is little to tell a model by: look at its label"
        return Guess(best.profile, sure=False, why=why, candidates=candidates)
    return Guess(best.profile, sure=True, why=best.why, candidates=candidates)


def _judge(profile: Profile, unit: int, answers: Answers) -> tuple[Candidate, frozenset[tuple[int, int]]]:
    """The model as a candidate, and the (function, address) that speak for it."""
    if not profile.unit_min <= unit <= profile.unit_max:
        return Candidate(profile.id, 0.0, f"it never has unit {unit}"), frozenset()
    reads = reads_of(profile, unit)
    raw: dict[str, tuple[int, ...] | None] = {}
    covered: set[tuple[int, int]] = set()
    every = (*reads.fast, *reads.slow)
    for request in every:
        answer = answers.get(question(request))
        words = answer if isinstance(answer, tuple) else None
        if words is None and request in reads.fast:
            what = "is silent at" if answer is None else f"refuses (code {answer})"
            return Candidate(profile.id, 0.0, f"it {what} {_place(request)}"), frozenset()
        for target in request.targets:
            part = None if words is None else words[target.offset : target.offset + target.count]
            raw[target.register] = part
        if words is not None:
            covered |= {(request.function, request.address + at) for at in range(request.count)}
    answered = sum(isinstance(answers.get(question(request)), tuple) for request in every)
    score, why = answered / len(every), [f"{answered} of its {len(every)} reads are answered"]
    seen = decode(profile, raw)
    doubtful = sorted(role.value for role, value in seen.values.items() if value is None)
    if doubtful or seen.blind:
        score /= 2
        why.append(f"no believable {', '.join(doubtful) or 'smoke or heat'}")
    if len(seen.conditions) >= MANY_CONDITIONS:
        score /= 2
        why.append(f"{len(seen.conditions)} conditions at once")
    return Candidate(profile.id, round(score, 3), ", ".join(why)), frozenset(covered)


def _place(request: ReadRequest) -> str:
    return f"function {request.function:02} address {request.address:#06x}"
