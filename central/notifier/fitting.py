"""How words are made to fit what a provider takes: so many bytes, or the gaps of an approved template.

Law of this file: pure; what saves lives is cut last: of a place its end, which is the room, and never a
link, a time or a number, which would be wrong when cut.
"""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass
from typing import Literal

from central.notifier.channel import Message, Rejected

LINK_WORD = "code"
"""The word that completes the address of a person's page: `https://domain/a/` and this."""

Cut = Literal["head", "tail", "never"]


@dataclass(frozen=True, slots=True)
class Word:
    """One word that a message brings for templates."""

    longest: int
    """Characters; a longer one is cut, or there is none longer."""
    keep: Cut
    """Which end of it stays when a template has less room."""
    what: str


WORDS: Mapping[str, Word] = {
    "kind": Word(8, "head", "what happened: 烟雾报警"),
    "home": Word(30, "tail", "building and room: 3栋 2单元 5层 501室"),
    "place": Word(45, "tail", "the same with the street in front and the spot behind"),
    "building": Word(15, "tail", "3栋"),
    "unit": Word(6, "tail", "the staircase: 2单元"),
    "room": Word(6, "tail", "501"),
    "who": Word(20, "head", "who lives there, with age, as far as the person may see it: 王奶奶，83 岁"),
    "name": Word(10, "head", "who lives there, by name alone: 王奶奶"),
    "bring": Word(20, "head", "what to bring or to mind: 行动不便"),
    "time": Word(5, "never", "when: 03:12"),
    "day": Word(5, "never", "the day of it: 03-01"),
    "call": Word(3, "never", "which call this is, from 1"),
    "number": Word(9, "never", "the alarm's number"),
    "answer": Word(35, "head", "of the purpose answer alone: what somebody who wrote back is told"),
    LINK_WORD: Word(16, "never", "the end of the address of the person's page"),
}

_MARKS = str.maketrans({"【": "（", "】": "）", "[": "（", "]": "）", "{": "（", "}": "）", "<": "", ">": ""})
_LINK = re.compile(r"https?://\S+|www\.\S+", re.IGNORECASE)


def within_bytes(text: str, most: int) -> str:
    """The text in at most `most` bytes of UTF-8: lines in the middle go first, so the link and 119 stay."""
    if len(text.encode("utf-8", "replace")) <= most:
        return text
    lines = text.split("\n")
    first, rest, last = lines[0], lines[1:-2], lines[max(1, len(lines) - 2) :]
    while rest and _size([first, *rest, "…", *last]) > most:
        rest.pop()
    kept = "\n".join([first, *rest, "…", *last])
    return kept.encode("utf-8", "replace")[:most].decode("utf-8", "ignore")


def gap(name: str, word: str, most: int) -> str:
    """The word for a template's gap of `most` characters: one line, without signs that providers refuse.

    Of a link none is left: providers refuse them in gaps.
    """
    plain = _LINK.sub("", word)
    clean = " ".join("".join(c if c.isprintable() else " " for c in plain.translate(_MARKS)).split())
    known = WORDS[name]
    room = min(most, known.longest)
    if known.keep == "never":
        return clean
    return (clean[-room:] if known.keep == "tail" else clean[:room]).strip() or "-"


@dataclass(frozen=True, slots=True)
class Template:
    """A text that the provider has approved, as the configuration names it."""

    code: str
    gaps: tuple[tuple[str, str], ...]
    """The gap's name at the provider's, and which word stands in it."""
    most: int
    """Characters that the provider takes in one gap."""

    def fill(self, message: Message) -> tuple[tuple[str, str], ...]:
        """Each gap's name with what stands in it for this message."""
        return tuple((gap_, gap(word, message.words.get(word, "-"), self.most)) for gap_, word in self.gaps)


def chosen(templates: Mapping[str, Template], message: Message) -> Template | None:
    """The template for this purpose in this language; in Chinese where there is none in English.

    Who cannot take an alarm gets the text of a `notice`, where there is one, instead of that of an `alarm`.
    Who is asked to take one over, or is told that it is graver, gets it as an alarm where no template says
    more.
    """
    wanted: tuple[str, ...] = (message.purpose,)
    if message.purpose == "alarm" and not message.takes:
        wanted = ("notice", "alarm")
    elif message.purpose in ("offer", "raised"):
        wanted = (message.purpose, "alarm")
    names = (name for purpose in wanted for name in (f"{purpose}_{message.language}", purpose))
    return next((templates[name] for name in names if name in templates), None)


def ready(
    templates: Mapping[str, Template], message: Message, address: str, channel: str, *, rings: bool = False
) -> tuple[str, Template] | Rejected:
    """The number and the template for a message, or why it cannot go out through `channel`, ever.

    With `rings` only what is urgent goes out: a telephone rings at night.
    """
    if rings and not message.urgent:
        return Rejected(f"calls are for smoke and heat: see not_urgent in [channels.{channel}]")
    number, template = e164(address), chosen(templates, message)
    if number is None:
        return Rejected("the address is no telephone number with its country")
    if template is None:
        return Rejected(f"there is no template for {message.purpose} in [channels.{channel}.templates]")
    return number, template


def many(templates: Mapping[str, Template]) -> int:
    """How many alarms one message can name: the text has one home, the page behind its link has all."""
    about = [one for purpose, one in templates.items() if not purpose.startswith("answer")]
    linked = all(any(word == LINK_WORD for _, word in one.gaps) for one in about)
    return 20 if linked else 1


def faults(template: Template, text: str | None, mark: str, longest: int) -> list[str]:
    """What is wrong with a template, each with the mend: `key: what`.

    `text` is the approved text when the owner gives it; `mark` shows how the provider writes a gap, such as
    `${?}`; `longest` is how many characters the provider takes in all.
    """
    found = []
    for _, word in template.gaps:
        if word not in WORDS:
            found.append(f"gaps: there is no word {word!r}: known are {', '.join(WORDS)}")
        elif WORDS[word].keep == "never" and WORDS[word].longest > template.most:
            found.append(
                f"gaps: {word!r} has {WORDS[word].longest} characters and cannot be cut, but most is"
                f" {template.most}: take it out, or agree on a longer gap with the provider and set most"
            )
    if found or text is None:
        return found
    left = text
    for name, word in template.gaps:
        sign = mark.replace("?", name)
        if left.count(sign) != 1:
            found.append(f"text: {sign} must stand in it once, for gaps name it")
        elif word == LINK_WORD and f"/a/{sign}" not in text:
            found.append(f"text: {sign} must stand behind the address of your pages: https://domain/a/{sign}")
        left = left.replace(sign, "")
    if re.search(re.escape(mark).replace(r"\?", r"\w+"), left):
        found.append("text: it has a gap that gaps does not name: add it there, in order")
    whole = len(left) + sum(min(template.most, WORDS[word].longest) for _, word in template.gaps)
    if whole > longest:
        found.append(f"text: it may become {whole} characters long, the provider takes {longest}: shorten it")
    return found


_NUMBER = re.compile(r"\+[1-9][0-9]{4,14}")
_MAINLAND_MOBILE = re.compile(r"1[0-9]{10}")
_MAINLAND_LANDLINE = re.compile(r"0[1-9][0-9]{8,10}")


def e164(address: str) -> str | None:
    """A telephone number with its country, `+8613800000000`; None when the address is none.

    Numbers of mainland China may come as they are dialled there; others need their country.
    """
    plain = address.replace(" ", "").replace("-", "")
    if _MAINLAND_MOBILE.fullmatch(plain):
        return f"+86{plain}"
    if _MAINLAND_LANDLINE.fullmatch(plain):
        return f"+86{plain[1:]}"
    return plain if _NUMBER.fullmatch(plain) else None


def national(number: str) -> str:
    """The same as it is dialled within mainland China; abroad its country and number, without `+`."""
    if not number.startswith("+86"):
        return number.removeprefix("+")
    rest = number.removeprefix("+86")
    return rest if _MAINLAND_MOBILE.fullmatch(rest) else f"0{rest}"


def _size(lines: list[str]) -> int:
    return len("\n".join(lines).encode("utf-8", "replace"))
