"""When the centre is silent: which fire is called out by the agent itself, to whom, and when that ends; pure.

Law of this file: no I/O and no clock; `now` is seconds of a clock that only runs forward. A fire *has a
centre* while the centre has answered for that very event and has said within `alive_within_s` that it
works. From `ack_within_s` after it was recorded until `watch_s` later, a fire without a centre is begun:
whoever is meant to be told is told, each by each way once, until all have been or the fire has a centre
again. The tracker tells an assert once until its clear, so each assert is an episode of its own; what is
told again meanwhile is the same.
"""

from __future__ import annotations

from collections.abc import Callable, Collection, Iterable, Sequence
from dataclasses import dataclass, field
from enum import StrEnum
from typing import NamedTuple

import msgspec
from msgspec import Struct

from wire.messages import Condition, Contact

FIRE = frozenset({Condition.SMOKE, Condition.HEAT})
FIRST_PAUSE_S = 5.0
"""After a failed attempt; doubles with each further one."""
LONGEST_PAUSE_S = 300.0
MOST_ATTEMPTS = 20
"""Of one message to one person by one way: about an hour and a quarter."""


class Way(StrEnum):
    """How somebody is told."""

    SOUND = "sound"
    WEBHOOK = "webhook"
    SMS = "sms"


class Why(StrEnum):
    """Why the agent calls by itself."""

    NO_ANSWER = "no_answer"
    """The centre did not acknowledge the event in time."""
    SILENT = "silent"
    """It did, and then fell silent: whether anybody was told is unknown."""


class Fire(Struct, frozen=True):
    """One smoke or heat assert, named by what every record of it carries, whatever stream that is in."""

    detector: str
    condition: Condition
    boot: str
    mono_ms: int
    at_ms: int
    """Wall clock of then."""
    synchronised: bool = False


class Route(NamedTuple):
    """One address by one way: a telephone number, or a sounder's detector id."""

    way: Way
    to: str


class Mark(Struct, frozen=True):
    """What must be known of a begun fire after a restart."""

    fire: Fire
    why: Why
    stored: bool
    ended: bool
    told: list[Route]


@dataclass(frozen=True, slots=True)
class Policy:
    """When the centre counts as silent. Seconds."""

    ack_within_s: float = 20.0
    alive_within_s: float = 45.0
    watch_s: float = 60.0


@dataclass(frozen=True, slots=True)
class Begun:
    """From now on the agent calls for this fire."""

    fire: Fire
    why: Why


@dataclass(frozen=True, slots=True)
class Ended:
    """No more calls for this fire: all are told or given up, or the centre is back."""

    fire: Fire
    told: tuple[Route, ...]
    failed: tuple[Route, ...]
    centre_back: bool


@dataclass(frozen=True, slots=True)
class Call:
    """Tell this address of these fires, in one message where that is possible."""

    route: Route
    fires: tuple[Fire, ...]


@dataclass(slots=True)
class _Episode:
    fire: Fire
    since: float
    stored: bool = False
    why: Why | None = None
    over: bool = False
    ended: bool = False
    told: list[Route] = field(default_factory=list)
    attempts: dict[Route, int] = field(default_factory=dict)

    @property
    def failed(self) -> tuple[Route, ...]:
        return tuple(route for route in self.attempts if route not in self.told)

    def wants(self, route: Route) -> bool:
        return route not in self.told and self.attempts.get(route, 0) < MOST_ATTEMPTS


@dataclass(slots=True)
class _Line:
    failures: int = 0
    until: float = 0.0
    busy: bool = False


Routes = Callable[[Fire], Sequence[Route]]
"""Who is to be told of a fire, in the order in which they are called."""


class Fallback:
    """All fires that the centre may not know of. `now` is when the agent started."""

    def __init__(self, policy: Policy, now: float) -> None:
        self._policy = policy
        self._alive_at = now  # the benefit of the doubt, once
        self._episodes: dict[Fire, _Episode] = {}
        self._lines: dict[Route, _Line] = {}

    # -- what is heard

    def asserted(self, fire: Fire, now: float) -> None:
        """A smoke or heat assert, as it is recorded."""
        before = self._of(fire.detector, fire.condition)
        if fire in self._episodes or any(not (one.over or one.stored) for one in before):
            return
        for one in before:
            if one.ended:  # after a restart the newest speaks for those before it
                del self._episodes[one.fire]
        self._episodes[fire] = _Episode(fire, now)

    def over(self, detector: str, condition: Condition) -> None:
        """Its clear, or its source can say no more: the next assert is a new fire. Calls go on."""
        for one in self._of(detector, condition):
            one.over = True

    def stored(self, fire: Fire) -> None:
        """The centre has answered for this very event."""
        one = self._episodes.get(fire)
        if one is None:
            return
        one.stored = True
        if one.ended:
            del self._episodes[fire]

    def alive(self, at: float) -> None:
        """The centre said at this moment that it works."""
        self._alive_at = max(self._alive_at, at)

    def restore(self, marks: Iterable[Mark], held: Sequence[Fire], now: float) -> None:
        """After a restart: what was begun goes on; what has neither an answer nor a call is watched anew.

        `held` are the asserts that still wait for the centre's answer, oldest first.
        """
        known = frozenset(held)
        for mark in marks:
            stored = mark.stored or mark.fire not in known
            if not (stored and mark.ended):
                self._episodes[mark.fire] = _Episode(
                    mark.fire, now, stored, mark.why, ended=mark.ended, told=list(mark.told)
                )
        for one in self._episodes.values():
            one.over = True  # whether it still burns is not known: the next assert counts
        # The newest fire of a detector speaks for those before it.
        for fire in {(each.detector, each.condition): each for each in held}.values():
            self.asserted(fire, now)
            if fire in self._episodes:
                self._episodes[fire].over = True

    # -- what is decided

    @property
    def unanswered(self) -> list[Fire]:
        """Fires for which the centre has not answered yet."""
        return [one.fire for one in self._episodes.values() if not one.stored]

    @property
    def marks(self) -> list[Mark]:
        """What must survive a restart."""
        return [
            Mark(one.fire, one.why, one.stored, one.ended, list(one.told))
            for one in self._episodes.values()
            if one.why is not None
        ]

    def begin(self, now: float) -> list[Begun]:
        """The fires for which calling begins at this moment."""
        found = []
        for one in list(self._episodes.values()):
            age = now - one.since
            if one.why is not None or age < self._policy.ack_within_s:
                continue
            if not self._has_centre(one, now):
                one.why = Why.SILENT if one.stored else Why.NO_ANSWER
                found.append(Begun(one.fire, one.why))
            elif self._watched(one, now):
                del self._episodes[one.fire]
        return found

    def next(self, way: Way, now: float, routes: Routes) -> Call | None:
        """Whom to call next by this way; report it by `done`. None: nobody, for now."""
        wanted: dict[Route, list[Fire]] = {}
        for one in self._calling():
            if not self._has_centre(one, now):
                for route in routes(one.fire):
                    if route.way is way and one.wants(route):
                        wanted.setdefault(route, []).append(one.fire)
        free = [route for route in wanted if self._free(route, now)]
        if not free:
            return None
        # Whoever failed least comes first, or a dead number would keep the others waiting.
        route = min(free, key=lambda each: self._line(each).failures)
        self._line(route).busy = True
        return Call(route, tuple(wanted[route]))

    def done(self, call: Call, told: Collection[Fire], now: float) -> None:
        """How a call went: the fires that were told in it; none: it failed."""
        line = self._line(call.route)
        line.busy = False
        line.failures = 0 if told else line.failures + 1
        pause = min(FIRST_PAUSE_S * 2.0 ** (line.failures - 1), LONGEST_PAUSE_S)
        line.until = now if told else now + pause
        for fire in call.fires:
            one = self._episodes.get(fire)
            if one is None:
                continue
            if fire in told:
                one.told.append(call.route)
            elif not told:
                one.attempts[call.route] = one.attempts.get(call.route, 0) + 1

    def end(self, now: float, routes: Routes) -> list[Ended]:
        """The fires for which calling ends at this moment."""
        found = []
        for one in self._calling():
            busy = any(self._line(route).busy for route in routes(one.fire))
            all_told = not any(one.wants(route) for route in routes(one.fire))
            back = self._has_centre(one, now) and self._watched(one, now)
            if busy or not (all_told or back):
                continue
            one.ended = True
            found.append(Ended(one.fire, tuple(one.told), one.failed, back and not all_told))
            if one.stored:
                del self._episodes[one.fire]
        if not self._episodes:
            self._lines.clear()
        return found

    # -- inside

    def _of(self, detector: str, condition: Condition) -> list[_Episode]:
        wanted = (detector, condition)
        return [one for one in self._episodes.values() if (one.fire.detector, one.fire.condition) == wanted]

    def _calling(self) -> list[_Episode]:
        return [one for one in self._episodes.values() if one.why is not None and not one.ended]

    def _has_centre(self, one: _Episode, now: float) -> bool:
        return one.stored and now - self._alive_at <= self._policy.alive_within_s

    def _watched(self, one: _Episode, now: float) -> bool:
        return now - one.since > self._policy.ack_within_s + self._policy.watch_s

    def _line(self, route: Route) -> _Line:
        return self._lines.setdefault(route, _Line())

    def _free(self, route: Route, now: float) -> bool:
        line = self._line(route)
        return not line.busy and now >= line.until


def whom(detector: str, contacts: Sequence[Contact], local: Sequence[str]) -> list[str]:
    """Telephone numbers to call for a detector, in order, each once.

    Those who are named for it or for all; where there are none, everybody the centre named for the gateway:
    rather one too many than nobody. `local` is what the box itself knows, used where the centre named nobody.
    """
    own = [one.phone for one in contacts if not one.detectors or detector in one.detectors]
    return list(dict.fromkeys(own or [one.phone for one in contacts] or local))


_marks = msgspec.json.Decoder(list[Mark])


def encode_marks(marks: Sequence[Mark]) -> bytes:
    """Marks as they are kept."""
    return msgspec.json.encode(marks)


def decode_marks(kept: bytes | None) -> list[Mark]:
    """Marks after a restart; none when the bytes are not such: a call may be made twice, none is lost."""
    try:
        return [] if kept is None else _marks.decode(kept)
    except (msgspec.DecodeError, UnicodeDecodeError, RecursionError):
        return []
