"""Whatever a provider's address answers, only its own word for yes is taken for one."""

from __future__ import annotations

import json
import random
from typing import Any

import pytest

from central.notifier.channel import Sent
from tests.harness.channel_kit import message
from tests.harness.provider_cases import KEY, PROVIDED
from tests.harness.providers.wecom import WecomApps
from tests.harness.sinks import Received, Say, sink

KEYS = (
    "errcode",
    "code",
    "Code",
    "StatusCode",
    "Response",
    "Error",
    "SendStatusSet",
    "SendStatus",
    "ok",
    "success",
)
NO_YES = (
    False,
    True,
    None,
    "",
    "ok",
    "OK ",
    "Success",
    1,
    -1,
    0.5,
    [],
    {},
    [{}],
    {"Code": "ok"},
    [{"Code": 0}],
)


def nonsense(dice: random.Random, depth: int = 2) -> Any:
    if depth == 0 or dice.random() < 0.3:
        return dice.choice(NO_YES)
    return {dice.choice(KEYS): nonsense(dice, depth - 1) for _ in range(dice.randrange(4))}


@pytest.mark.parametrize("name", sorted(PROVIDED))
async def test_nothing_but_the_word_is_a_yes(name: str) -> None:
    """Sixty answers that are none: objects of the right keys, bytes, halves of a yes."""
    dice = random.Random(name)
    yes = PROVIDED[name].fake()
    answers: list[bytes] = []

    def answer(got: Received) -> Say:
        if isinstance(yes, WecomApps) and got.path.endswith("gettoken"):
            return yes(got)
        body = json.dumps(nonsense(dice)).encode()
        if dice.random() < 0.3:
            real = yes(got).body
            body = dice.choice((real[: dice.randrange(len(real))], dice.randbytes(40)))
        answers.append(body)
        return Say(dice.choice((200, 200, 201, 400, 500)), body)

    async with sink() as receiver:
        receiver.answer = answer
        url = receiver.url.removesuffix("/messages")
        for _ in range(3):
            channel = PROVIDED[name].channel(url, KEY, 5.0)  # anew: a bot takes only 20 a minute
            for _ in range(20):
                outcome = await channel.send(message(), PROVIDED[name].address)
                assert not isinstance(outcome, Sent), answers[-1]
            await channel.close()
    assert len(answers) >= 60
