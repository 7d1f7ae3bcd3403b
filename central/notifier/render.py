"""From what is known of an alarm to what a person reads. Law of this file: pure; words are in `words`.

A message is complete without its link: which home, who lives there and what to bring, when, and whether it
still holds. Times are China's (UTC+8, no summer time).
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta, timezone

from central.engine.model import PERSONAL, AlarmState, Condition, Ground
from central.notifier import words as w
from central.notifier.bundle import key_of
from central.notifier.channel import Message
from central.notifier.facts import Facts, ResidentFacts
from central.notifier.fitting import LINK_WORD, WORDS
from central.notifier.plan import Planned

CHINA = timezone(timedelta(hours=8))
_HOMES_SHOWN = 10
_LIFE = frozenset({Condition.SMOKE, Condition.HEAT})
_ABOUT = {
    "disposition": w.DISPOSITION_TITLE,
    "cleared": w.CLEARED_TITLE,
    "closed": w.CLOSED_TITLE,
    "offer": w.OFFER_TITLE,
    "owner": w.OWNER_TITLE,
    "raised": w.RAISED_TITLE,
}


@dataclass(frozen=True, slots=True)
class To:
    """For whom a message is written."""

    language: str
    link: str
    takes: bool = True
    """May take an alarm; others are shown how it stands."""


def render(planned: Planned, facts: Facts, to: To) -> Message:
    """The message for one person in their language."""
    mark = _mark(planned, facts, to.language)
    title = mark + _short_place(facts, facts.residents, to.language)
    anybody = To(to.language, "")
    return _message(
        [planned],
        to,
        title,
        _lines(planned, facts, facts.residents, to),
        [mark + _short_place(facts, (), to.language), *_lines(planned, facts, (), anybody)],
        _words(facts, to.language),
    )


def render_many(planned: Sequence[Planned], facts: Sequence[Facts], to: To) -> Message:
    """One message about several alarms, each by its home; one of which no `facts` are given by its number."""
    language = to.language
    known = {one.id: one for one in facts}
    alarms = list(dict.fromkeys(one.alarm for one in planned))
    first = facts[0]
    name = _condition(first, language)
    count = w.PLACES.of(language).format(n=len(alarms))
    lines = _listed(alarms, known, first, language, private=True)
    lead = w.TICK_THEM if to.takes else w.SEE_IT
    link = [lead.of(language) + to.link] if to.link else []
    fire = any(one.condition in _LIFE for one in facts) and planned[0].purpose == "alarm"
    call = [w.CALL_119.of(language)] if fire else []
    head = f"[{name}] " if language == "en" else f"【{name}】"
    about = _ABOUT.get(planned[0].purpose)
    title = f"{head}{count}" if about is None else f"{head}{count} {about.of(language)}"
    words = _words(first, language)
    others = w.AND_OTHERS.of(language).format(n=len(alarms), others=len(alarms) - 1)
    for name_ in ("home", "place"):
        words[name_] += others
    return _message(
        planned,
        to,
        title,
        [*lines, *link, *call],
        [title, *_listed(alarms, known, first, language, private=False), *call],
        words,
    )


def _listed(
    alarms: Sequence[int], known: Mapping[int, Facts], first: Facts, language: str, *, private: bool
) -> list[str]:
    """One line a home."""
    said = (
        _in_short(known[alarm], first, language, private=private) if alarm in known else f"#{alarm}"
        for alarm in alarms
    )
    return [f"{number}. {home}" for number, home in enumerate(said, 1)]


def _in_short(facts: Facts, first: Facts, language: str, *, private: bool) -> str:
    residents = facts.residents if private else ()
    comma = ", " if language == "en" else "，"
    parts = [
        "" if facts.condition is first.condition else _condition(facts, language),
        _short_place(facts, residents, language),
        *(w.BRING.of(language) + one.needs for one in residents if one.needs),
        _clock(facts.event_at),
        w.CLEARED_MARK.of(language) if facts.cleared_at is not None else "",
    ]
    return comma.join(part for part in parts if part)


def _condition(facts: Facts, language: str) -> str:
    name = w.CONDITION[facts.condition].of(language)
    return name.upper() if language == "en" and facts.condition in _LIFE else name


def bare(planned: Sequence[Planned], to: To) -> Message:
    """What is sent when nothing is known of the alarms but that they are there: better than silence."""
    numbers = ", ".join(dict.fromkeys(str(one.alarm) for one in planned))
    title = w.Words(f"【报警】编号 {numbers}", f"[ALARM] number {numbers}").of(to.language)
    lines = [_link_line(planned[0], to)] if to.link else [title]
    words = dict.fromkeys(WORDS, "") | {"kind": w.ALARM.of(to.language)}
    return _message(planned, to, title, lines, [title], words)


def _message(
    planned: Sequence[Planned],
    to: To,
    title: str,
    lines: list[str],
    open_lines: list[str],
    words: dict[str, str],
) -> Message:
    return Message(
        key=key_of(planned),
        alarm=planned[0].alarm,
        purpose=planned[0].purpose,
        urgent=planned[0].urgent,
        language=to.language,
        title=title,
        text="\n".join(line for line in lines if line),
        link=to.link,
        alarms=tuple(dict.fromkeys(one.alarm for one in planned)),
        open_text="\n".join(line for line in open_lines if line),
        takes=to.takes,
        words={
            **dict.fromkeys(WORDS, w.NOT_KNOWN.of(to.language)),
            **{name: word or w.NOT_KNOWN.of(to.language) for name, word in words.items()},
            "call": str(planned[0].step + 1),
            "number": str(planned[0].alarm),
            LINK_WORD: to.link.rpartition("/")[2] or w.NOT_KNOWN.of(to.language),
        },
    )


def _words(facts: Facts, language: str) -> dict[str, str]:
    """What fits into the gaps of an approved template; an empty one is not known."""
    known = facts.address_known or facts.building_name
    unknown = w.ADDRESS_UNKNOWN_SHORT.of(language)
    rooms = [facts.building_name, home(facts.unit, facts.floor, facts.room, language)]
    street = facts.address if facts.address != facts.building_name else None
    within = " ".join(part for part in rooms if part) or facts.gateway_name or facts.gateway or facts.part
    comma = ", " if language == "en" else "，"
    between = "; " if language == "en" else "；"
    people = [
        comma.join(
            part
            for part in (one.name, "" if one.age is None else w.AGE.of(language).format(n=one.age))
            if part
        )
        for one in facts.residents
    ]
    when = facts.event_at.astimezone(CHINA)
    return {
        "kind": w.CONDITION[facts.condition].of(language),
        "home": within if known else unknown,
        "place": " ".join(part for part in (street, within, facts.spot) if part) if known else unknown,
        "building": facts.building_name or unknown,
        "unit": _staircase(facts.unit, language) if facts.unit else "",
        "room": facts.room or "",
        "who": between.join(one for one in people if one),
        "name": between.join(one.name for one in facts.residents if one.name),
        "bring": between.join(one.needs for one in facts.residents if one.needs),
        "time": when.strftime("%H:%M"),
        "day": when.strftime("%m-%d"),
    }


def _mark(planned: Planned, facts: Facts, language: str) -> str:
    name = _condition(facts, language)
    if facts.late and planned.purpose == "alarm":
        name = _told_late(name, facts, language)
    about = _ABOUT.get(planned.purpose)
    if about is not None:
        name = f"{about.of(language)}·{name}" if language != "en" else f"{about.of(language)}: {name}"
    return f"[{name}] " if language == "en" else f"【{name}】"


def _told_late(name: str, facts: Facts, language: str) -> str:
    """The first words of what comes from a backlog: it was then, and is over where it is."""
    parts = [
        name,
        w.LATE_MARK.of(language).format(t=facts.event_at.astimezone(CHINA).strftime("%m-%d %H:%M")),
    ]
    if facts.cleared_at is not None:
        parts.append(w.CLEARED_MARK.of(language))
    return (", " if language == "en" else "·").join(parts)


def _lines(planned: Planned, facts: Facts, residents: Sequence[ResidentFacts], to: To) -> list[str]:
    language = to.language
    lines = [w.PLACE.of(language) + _place(facts, language)]
    if not facts.address_known or not facts.room:
        lines.append(w.DEVICE.of(language) + _device(facts))
    lines += [_resident(resident, language) for resident in residents]
    lines += [_homes(facts, language), str(facts.detail.get("text") or ""), _window(facts, language)]
    lines.append(w.TIME.of(language) + _moment(facts.event_at))
    match planned.purpose:
        case "closed":
            if facts.disposition is not None:
                lines.append(w.RESULT.of(language) + w.DISPOSITION[facts.disposition].of(language))
        case "owner":
            lines.append(_handed(planned, facts, language))
        case "disposition":
            lines += [_state(facts, language), _taken(facts, language), w.NO_DISPOSITION.of(language)]
        case _:
            lines += [_state(facts, language), _raised(facts, residents, language)]
            if facts.late:
                ago = _span(facts.opened_at - facts.event_at, language)
                lines.append(w.LATE.of(language).format(n=ago))
            if planned.purpose == "offer":
                by = facts.offered_by_name or w.NOT_KNOWN.of(language)
                lines.append(w.OFFERED.of(language).format(n=by))
            if planned.round > 1:
                lines.append(w.AGAIN.of(language).format(n=planned.round))
            if planned.purpose == "alarm" and planned.step > 0 and facts.condition in _LIFE:
                lines.append(w.NOBODY_YET.of(language).format(n=planned.step + 1))
            lines.append(_taken(facts, language))
    if to.link:
        lines.append(_link_line(planned, to))
    if facts.condition in _LIFE and planned.purpose in ("alarm", "offer", "raised"):
        lines.append(w.CALL_119.of(language))
    return lines


def _window(facts: Facts, language: str) -> str:
    """That somebody works there, and why; on record since the alarm opened."""
    window = facts.detail.get("window") or {}
    words = w.WINDOW.get(str(window.get("kind")))
    return "" if words is None else words.of(language).format(why=window.get("why"))


def _raised(facts: Facts, residents: Sequence[ResidentFacts], language: str) -> str:
    """What speaks for a fire besides; of the people there only to those who may read who they are."""
    found = [Ground(word) for word in facts.detail.get("grounds", ())]
    shown = [ground for ground in found if residents or ground not in PERSONAL]
    comma = ", " if language == "en" else "、"
    said = comma.join(w.GROUND[ground].of(language) for ground in shown)
    return w.RAISED.of(language).format(n=said) if said else ""


def _handed(planned: Planned, facts: Facts, language: str) -> str:
    if facts.acknowledged_name is None:
        return w.NOBODY_HAS_IT.of(language)
    if facts.acknowledged_by == planned.worker:
        return w.STILL_YOURS.of(language)
    return w.HANDED.of(language).format(n=facts.acknowledged_name)


def home(unit: str | None, floor: int | None, room: str | None, language: str) -> str:
    """Staircase, floor and room as people say them; '' when the room is not known."""
    if not room:
        return ""
    if language == "en":
        parts = (
            _staircase(unit, language) if unit else "",
            "" if floor is None else f"floor {floor}",
            f"room {room}",
        )
    else:
        staircase = _staircase(unit, language) if unit else ""
        level = "" if floor is None else f"{floor}层"
        parts = (staircase, level, room if room.endswith("室") else f"{room}室")
    return " ".join(part for part in parts if part)


def _staircase(unit: str, language: str) -> str:
    if language == "en":
        return f"unit {unit}"
    return f"{unit}单元" if unit.isdigit() else unit


def _link_line(planned: Planned, to: To) -> str:
    leads = {"alarm": w.TAKE_IT, "disposition": w.REPORT_IT, "offer": w.ANSWER_IT}
    lead = leads.get(planned.purpose, w.SEE_IT) if to.takes else w.SEE_IT
    return lead.of(to.language) + to.link


def _place(facts: Facts, language: str) -> str:
    if not facts.address_known and not facts.building_name:
        return w.ADDRESS_UNKNOWN.of(language)
    wide = [facts.area_name or facts.area, facts.community_name, facts.grid_name]
    address = facts.address if facts.address != facts.building_name else None
    parts = [
        *wide,
        address,
        facts.building_name,
        home(facts.unit, facts.floor, facts.room, language),
        facts.spot,
    ]
    return " ".join(part for part in parts if part)


def _short_place(facts: Facts, residents: Sequence[ResidentFacts], language: str) -> str:
    if not facts.address_known and not facts.building_name:
        return w.ADDRESS_UNKNOWN.of(language)
    names = " ".join(resident.name for resident in residents if resident.name)
    parts = [facts.building_name or "", home(facts.unit, facts.floor, facts.room, language), names]
    return " ".join(part for part in parts if part) or facts.gateway_name or facts.gateway or facts.part


def _device(facts: Facts) -> str:
    return " / ".join(part for part in (facts.gateway_name, facts.gateway, facts.part) if part) or "-"


def _resident(resident: ResidentFacts, language: str) -> str:
    comma = ", " if language == "en" else "，"
    about = [
        resident.name,
        w.AGE.of(language).format(n=resident.age) if resident.age is not None else "",
        w.ALONE.of(language) if resident.lives_alone else "",
        w.PHONE.of(language).format(n=resident.phone) if resident.phone else "",
    ]
    lines = [w.RESIDENT.of(language) + comma.join(part for part in about if part)]
    if resident.needs:
        lines.append(w.BRING.of(language) + resident.needs)
    if resident.family_name or resident.family_phone:
        family = [
            resident.family_name,
            w.PHONE.of(language).format(n=resident.family_phone) if resident.family_phone else "",
        ]
        lines.append(w.FAMILY.of(language) + comma.join(part for part in family if part))
    return "\n".join(lines)


def _homes(facts: Facts, language: str) -> str:
    homes = facts.detail.get("homes")
    known = [str(home) for home in homes] if isinstance(homes, list | tuple) else []
    count = facts.detail.get("count", len(known))
    if not count:
        return ""
    more = w.AND_MORE.of(language) if isinstance(count, int) and count > min(len(known), _HOMES_SHOWN) else ""
    comma = ", " if language == "en" else "、"
    named = comma.join(known[:_HOMES_SHOWN]) + more if known else ""
    head = w.UNWATCHED.of(language).format(n=count)
    return f"{head}{': ' if language == 'en' else '：'}{named}" if named else head


def _state(facts: Facts, language: str) -> str:
    match facts.state:
        case AlarmState.CLEARED_UNACKNOWLEDGED | AlarmState.CLEARED_ACKNOWLEDGED | AlarmState.CLOSED:
            said = w.CLEARED if facts.condition in _LIFE else w.CLEARED_SOFT
            when = _clock(facts.cleared_at) if facts.cleared_at is not None else ""
            text = said.of(language).format(t=when).strip()
        case AlarmState.ACTIVE_UNKNOWN:
            text = w.UNKNOWN.of(language)
        case _:
            text = w.STILL.of(language)
    return w.STATE.of(language) + text


def _taken(facts: Facts, language: str) -> str:
    return w.TAKEN_BY.of(language).format(n=facts.acknowledged_name) if facts.acknowledged_name else ""


def _moment(at: datetime) -> str:
    return at.astimezone(CHINA).strftime("%Y-%m-%d %H:%M:%S")


def _clock(at: datetime) -> str:
    return at.astimezone(CHINA).strftime("%H:%M")


def _span(span: timedelta, language: str) -> str:
    minutes = max(1, round(span.total_seconds() / 60))
    if minutes < 120:
        return w.MINUTES.of(language).format(n=minutes)
    return w.HOURS.of(language).format(n=round(minutes / 60))
