"""Which messages nobody needs any more."""

import pytest

from central.notifier.plan import Planned, PurposeWord
from central.store.deliveries import Standing
from central.worker import why_needless


def message(purpose: PurposeWord = "alarm", step: int = 0) -> Planned:
    return Planned("k", 1, purpose, 1, step, "li", 0, "sms", "1", urgent=True)


def standing(*, round_: int = 1, taken: bool = False, disposed: bool = False, state: str = "x") -> Standing:
    return Standing(state, round_, taken, disposed)


def test_smoke_that_comes_back_does_not_call_off_those_who_are_still_to_be_told() -> None:
    """A new round tells the first again; the message to the backup has no other in its place."""
    assert why_needless(message(step=1), standing(round_=2)) is None
    assert why_needless(message(step=0), standing(round_=2)) is not None


@pytest.mark.parametrize("step", [0, 1])
def test_whoever_was_to_be_called_need_not_be_when_somebody_has_it(step: int) -> None:
    """Taken, or closed."""
    assert why_needless(message(step=step), standing(taken=True)) is not None
    assert why_needless(message(step=step), standing(state="closed")) is not None
    assert why_needless(message(step=step), standing()) is None


def test_nobody_is_asked_what_a_former_round_was() -> None:
    """Nor what somebody has said already."""
    assert why_needless(message("disposition", 1), standing(taken=True)) is None
    assert why_needless(message("disposition", 1), standing(round_=2, taken=True)) is not None
    assert why_needless(message("disposition", 1), standing(taken=True, disposed=True)) is not None


OPEN = Standing("active_unacknowledged", 1, acknowledged=False, disposed=False)
TAKEN = Standing("active_acknowledged", 1, acknowledged=True, disposed=False, offered_to="li")
SECOND = Standing("active_unacknowledged", 2, acknowledged=False, disposed=False, offered_to="li")
CLOSED = Standing("closed", 1, acknowledged=True, disposed=True)


@pytest.mark.parametrize(
    ("purpose", "standing", "needed"),
    [
        ("alarm", OPEN, True),
        ("alarm", TAKEN, False),
        ("alarm", SECOND, False),
        ("disposition", TAKEN, True),
        ("offer", TAKEN, True),
        ("offer", OPEN, False),
        ("offer", SECOND, True),
        ("owner", SECOND, True),
        ("raised", TAKEN, True),
        ("raised", SECOND, False),
        ("closed", CLOSED, True),
        *((purpose, CLOSED, False) for purpose in ("alarm", "offer", "owner", "raised", "cleared")),
    ],
)
def test_a_message_is_sent_as_long_as_somebody_needs_it(
    purpose: PurposeWord, standing: Standing, needed: bool
) -> None:
    """An offer as long as it is offered to this person; who has it now as long as it is open."""
    planned = Planned("k", 1, purpose, 1, 0, "li", 0, "webhook", "tel", urgent=True)
    assert (why_needless(planned, standing) is None) is needed
