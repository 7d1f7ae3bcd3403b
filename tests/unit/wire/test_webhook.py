"""What a receiver's answer means: docs/reference/webhook.md, line by line."""

from __future__ import annotations

import pytest
from hypothesis import given
from hypothesis import strategies as st

from wire.webhook import Answer, Verdict, judge

TAKEN, LATER, REFUSED = Verdict.TAKEN, Verdict.LATER, Verdict.REFUSED


@pytest.mark.parametrize(
    ("status", "body", "verdict"),
    [
        (200, b"", TAKEN),
        (204, b" \n", TAKEN),
        (200, b'{"ok": true, "id": 7}', TAKEN),
        (200, b'{"errcode": 0}', TAKEN),
        (200, b'{"ok": false, "error": "no"}', REFUSED),
        (200, b'{"ok": false, "retry": true}', LATER),
        (200, b'{"errcode": 310000, "errmsg": "sign"}', REFUSED),
        (200, b'{"code": "19001"}', REFUSED),
        (200, b"<html>", LATER),
        (200, b"[1]", LATER),
        (200, b"[" * 5000, LATER),
        (200, b"{}", LATER),
        (200, None, LATER),
        (302, b"", REFUSED),
        (404, b"", REFUSED),
        (429, b"", LATER),
        (503, b"", LATER),
        (500, b"", LATER),
    ],
)
def test_only_an_answer_that_says_so_is_a_success(status: int, body: bytes | None, verdict: Verdict) -> None:
    """Row by row of the table."""
    assert judge(status, body).verdict is verdict


@given(st.integers(100, 599), st.binary(max_size=200))
def test_any_answer_is_judged(status: int, body: bytes) -> None:
    """Nothing raises, and what was not taken says why."""
    answer = judge(status, body)
    assert isinstance(answer, Answer)
    assert bool(answer.why) is (answer.verdict is not TAKEN)
