"""WeCom's app message: the token, and members who may not be told."""

from __future__ import annotations

import asyncio
from collections.abc import AsyncIterator
from dataclasses import dataclass
from datetime import datetime, timedelta

import pytest

from central.notifier.channel import Outcome, Rejected, Sent, TryLater
from central.notifier.channels.wecom_app import WecomApp, WecomAppConfig
from tests.harness.channel_kit import message
from tests.harness.provider_cases import KEY, NOW
from tests.harness.providers.wecom import WecomApps
from tests.harness.sinks import Received, Say, Sink, sink


@dataclass
class Scene:
    """One channel, its provider, and a clock that both read."""

    receiver: Sink
    fake: WecomApps
    channel: WecomApp

    @staticmethod
    def tick(scene_clock: list[datetime], fake: WecomApps, by: timedelta) -> None:
        scene_clock[0] += by
        fake.now = scene_clock[0]


@pytest.fixture
def time() -> list[datetime]:
    return [NOW]


@pytest.fixture
async def scene(time: list[datetime]) -> AsyncIterator[Scene]:
    async with sink() as receiver:
        fake = WecomApps("ww-corp", KEY, 1000002, NOW)
        receiver.answer = fake
        config = WecomAppConfig("ww-corp", 1000002, KEY, receiver.url.removesuffix("/messages"), 5.0)
        channel = WecomApp(config, lambda: time[0])
        yield Scene(receiver, fake, channel)
        await channel.close()


async def send(scene: Scene, address: str = "wang") -> Outcome:
    return await scene.channel.send(message(), address)


async def test_one_token_serves_many_messages_even_at_once(scene: Scene) -> None:
    """WeCom limits how often it is asked for one."""
    outcomes = await asyncio.gather(*(send(scene) for _ in range(20)))
    assert all(isinstance(one, Sent) for one in outcomes)
    assert outcomes[0] == Sent("msg-1") or len({str(one) for one in outcomes}) == 20
    assert scene.fake.tokens_given == 1


async def test_a_token_is_fetched_anew_before_it_ends(scene: Scene, time: list[datetime]) -> None:
    """Not after: a message would have to go twice."""
    await send(scene)
    Scene.tick(time, scene.fake, timedelta(seconds=7000))
    assert isinstance(await send(scene), Sent)
    assert scene.fake.tokens_given == 2


async def test_a_token_that_wecom_has_forgotten_is_fetched_again_at_once(scene: Scene) -> None:
    """40014: somebody else has fetched one for the same app."""
    await send(scene)
    scene.fake.token = "somebody-elses"
    assert isinstance(await send(scene), Sent)
    assert scene.fake.tokens_given == 2


async def test_a_token_that_has_ended_early_is_fetched_again_at_once(scene: Scene) -> None:
    """42001: by WeCom's clock it is over."""
    await send(scene)
    scene.fake.ends_at = NOW
    assert isinstance(await send(scene), Sent)


async def test_tokens_that_never_hold_do_not_make_a_loop(scene: Scene) -> None:
    """Two programs that take each other's token away: one more try, then later."""
    scene.fake.alters_token = True
    outcome = await send(scene)
    assert isinstance(outcome, TryLater)
    assert "40014" in outcome.why
    assert scene.fake.tokens_given == 2


async def test_a_yes_that_leaves_the_member_out_is_a_no(scene: Scene) -> None:
    """`errcode` 0 with the member among the invalid or the unlicensed, whose ids come in lower case."""
    scene.fake.members.add("Li")
    scene.fake.unlicensed.add("Li")
    outcome = await send(scene, "Li")
    assert isinstance(outcome, Rejected)
    assert "unlicenseduser" in outcome.why
    assert isinstance(await send(scene, "nobody"), Rejected)


@pytest.mark.parametrize("address", ["", "@all", "wang|li"])
async def test_an_address_that_means_others_too_is_refused(scene: Scene, address: str) -> None:
    """A message is one person's: it holds their link."""
    assert isinstance(await send(scene, address), Rejected)
    assert not scene.receiver.received


async def test_a_provider_that_stalls_at_the_second_step_is_left_in_time(scene: Scene) -> None:
    """The token came, the answer to the message does not."""
    never = asyncio.Event()

    def answer(got: Received) -> Say:
        return scene.fake(got) if got.path.endswith("gettoken") else Say(wait=never)

    scene.receiver.answer = answer
    channel = WecomApp(
        WecomAppConfig("ww-corp", 1000002, KEY, scene.receiver.url.removesuffix("/messages"), 0.2),
        lambda: NOW,
    )
    outcome = await channel.send(message(), "wang")
    never.set()
    await channel.close()
    assert isinstance(outcome, TryLater)
    assert KEY not in outcome.why


async def test_an_answer_that_drips_is_left_in_time(scene: Scene) -> None:
    """Each byte comes in time, the whole never does."""
    scene.receiver.answer = lambda _: Say(drip_s=0.02)
    config = WecomAppConfig("ww-corp", 1000002, KEY, scene.receiver.url.removesuffix("/messages"), 0.2)
    channel = WecomApp(config, lambda: NOW)
    outcome = await channel.send(message(), "wang")
    await channel.close()
    assert isinstance(outcome, TryLater)
    assert "0.2 s" in outcome.why
