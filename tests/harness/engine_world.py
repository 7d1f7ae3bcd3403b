"""What the engine may meet: a home with two detectors and two gateways, its people, policies good and bad."""

from __future__ import annotations

from datetime import timedelta
from typing import Any

from hypothesis import strategies as st

from central.engine.model import Condition, Severity
from central.engine.policy import Target
from central.engine.policy_body import LIFE_GAP_S
from central.notifier.channel import Outcome, Rejected, Sent, TryLater
from central.notifier.plan import Contact, Recipient
from central.store.sources import Place

AREA, GRID = "a-1", "g-1"
HOME = Place(AREA, GRID, "b-1", "h-1", 1, known=True)
GATEWAYS = ("gw-1", "gw-2")
DETECTORS = ("d-1", "d-2", "d-unknown")
CONDITIONS = (
    Condition.SMOKE,
    Condition.SMOKE,
    Condition.HEAT,
    Condition.NO_RESPONSE,
    Condition.FAULT,
    Condition.TEST,
)
"""Smoke twice: it is what matters."""
PERSONS = ("wang", "li", "zhao", "sun")
"""Who takes and closes alarms."""
SCOPES = ("everywhere", f"area:{AREA}", f"grid:{GRID}")
_NAMED = "worker:wang"

_DUTIES = st.lists(st.sampled_from([*Target, _NAMED]), min_size=1, max_size=3, unique=True)
_GAPS = st.lists(st.integers(1, LIFE_GAP_S), max_size=3)
_MAYBE = st.booleans()


@st.composite
def _body(draw: st.DrawFn, severity: Severity) -> dict[str, Any]:
    """A policy that `read` takes."""
    life = severity is Severity.LIFE
    after, steps = 0, []
    for gap in [0, *draw(_GAPS)]:
        after += gap
        steps.append({"after_s": after, "tell": draw(_DUTIES), "parallel": draw(_MAYBE)})
    if steps[-1]["tell"] == [_NAMED]:
        steps[-1]["tell"] = [_NAMED, Target.DISPATCHER]
    body: dict[str, Any] = {"steps": steps}
    if life:
        body["repeat_s"] = draw(st.integers(30, LIFE_GAP_S))
        if draw(_MAYBE):
            body["still_active_after_s"] = draw(st.integers(60, 3600))
    elif draw(_MAYBE):
        body["repeat_s"] = draw(st.integers(300, 3600))
    if draw(_MAYBE):
        body["disposition_after_s"] = draw(st.integers(300, 7200))
        body["disposition_tell"] = draw(_DUTIES)
    if not life and draw(_MAYBE):
        body["quiet"] = {"from": "22:00", "to": draw(st.sampled_from(["07:00", "23:30"]))}
    return body


UNREADABLE: tuple[Any, ...] = (
    None,
    "x",
    {},
    {"steps": []},
    {"steps": [{"after_s": 0, "tell": ["nobody"]}], "repeat_s": 180},
    {"steps": [{"after_s": 0, "tell": ["dispatcher"]}], "repeat_s": 86_400},
    {
        "steps": [{"after_s": 0, "tell": ["dispatcher"]}],
        "repeat_s": 180,
        "quiet": {"from": "22:00", "to": "07:00"},
    },
)
"""For life, all of these: quiet hours and a repeat of a day among them."""


@st.composite
def policies(draw: st.DrawFn) -> tuple[tuple[str, Severity], Any]:
    """A key of the book and what is saved below it; None takes it away."""
    severity = draw(st.sampled_from([Severity.LIFE, Severity.LIFE, Severity.UNWATCHED, Severity.CARE]))
    bodies = st.one_of(_body(severity), _body(severity), st.sampled_from(UNREADABLE))
    return (draw(st.sampled_from(SCOPES)), severity), draw(bodies)


def recipient(worker: str, doors: int) -> Recipient:
    """Somebody with so many ways to be reached."""
    ways = (Contact(0, "wecom", worker), Contact(1, "sms", f"1-{worker}"), Contact(2, "voice", f"1-{worker}"))
    return Recipient(worker, ways[:doors])


EVERYBODY: dict[str, list[Recipient]] = {
    Target.GRID_PRIMARY: [recipient("wang", 3)],
    Target.GRID_BACKUP: [recipient("li", 2)],
    Target.COMMUNITY_LEAD: [recipient("zhao", 2)],
    Target.DISPATCHER: [recipient("sun", 1)],
    Target.INSTALLER: [recipient("qian", 1)],
    _NAMED: [recipient("wang", 3)],
}

DUTIES = st.dictionaries(
    st.sampled_from([*Target, _NAMED]),
    st.lists(st.builds(recipient, st.sampled_from(PERSONS), st.integers(1, 3)), max_size=2),
)
"""Who has which duty; what is missing nobody has."""

OUTCOMES: st.SearchStrategy[Outcome] = st.sampled_from(
    [
        Sent("id"),
        TryLater(None, "down"),
        TryLater(timedelta(seconds=90), "limit"),
        TryLater(timedelta(days=2), "limit"),
        Rejected("no such user"),
    ]
)
