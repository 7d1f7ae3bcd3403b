"""Which messages nobody needs any more."""

import pytest

from central.notifier.plan import Planned, PurposeWord
from central.store.deliveries import Standing
from central.worker import why_needless

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
    planned = Planned("k", 1, purpose, 1, 1, "li", 0, "webhook", "tel", urgent=True)
    assert (why_needless(planned, standing) is None) is needed
