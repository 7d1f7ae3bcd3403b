"""Claim a message, hand it to its channel, write down how it went.

Law of this file: a try is on record before
it is made; only the provider's yes makes it sent.

What waits for one person goes out as one message when there is much of it (`notifier.bundle`, `store.pace`);
nothing is kept back for longer than the channel's pace, and a call that cannot be made is told in writing.

A worker that dies between the provider's yes and the commit lets the message go out again under the same
key: twice is better than never. Each channel has slots of its own, and urgent messages have theirs, so
neither a slow provider nor a pile of small news delays a fire.
"""

from __future__ import annotations

import asyncio
import contextlib
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timedelta

import structlog

from central import metrics
from central.config import WorkerSettings
from central.ending import end, together
from central.engine.policy import ONLOOKERS, SEES_RESIDENTS
from central.notifier.bundle import bundles
from central.notifier.channel import Channel, Limits, Message, Outcome, Pace, Rejected, Sent, TryLater
from central.notifier.plan import Planned, fall_back
from central.notifier.render import To, bare, render, render_many
from central.notifier.retry import next_try
from central.store import alarms, audit, deliveries, links, pace
from central.store.alarms import AlarmFacts
from central.store.deliveries import Claimed, OutcomeWord, Standing
from central.store.errors import StoreConflict, StoreDown, StoreError
from central.store.pool import Store, Tx
from central.store.savepoint import in_one_go, mark, undo

_POLL_S = 1.0
_MARK = "facts"
_GRACE_S = 3.0
_HOLD_BEYOND = timedelta(seconds=10)
"""How long after the channel's timeout a claim still holds: time to write down how it went."""
_MOST_CLAIMED = 2000
_BEING_CALLED = "the person is being called about another home: told in writing"
_log = structlog.get_logger()


@dataclass(frozen=True, slots=True)
class _Work:
    """One message, ready to go, and all that it says."""

    claimed: tuple[Claimed, ...]
    message: Message


class Worker:
    """Sends what is due on the given channels, for ever."""

    def __init__(
        self,
        store: Store,
        channels: Mapping[str, Channel],
        settings: WorkerSettings,
        public_url: str,
        beat: Callable[[str], None] = lambda _lane: None,
        *,
        waits: Mapping[str, timedelta] | None = None,
    ) -> None:
        """`beat` is called with the lane's name at each of its turns.

        A message of a channel in `waits` must have its receipt after so long, else the next channel is tried.
        """
        self._store = store
        self._channels = dict(channels)
        self._settings = settings
        self._url = public_url
        self._beat = beat
        self._waits = dict(waits or {})
        self._wakes: list[asyncio.Event] = []

    @property
    def lanes(self) -> tuple[str, ...]:
        """The names of the loops that turn."""
        return tuple(_lane_name(name, urgent) for name in (*self._channels, None) for urgent in (True, False))

    async def run(self) -> None:
        """Work until cancelled; what is under way then gets 3 s. Outages of the database are waited out."""
        ways: list[tuple[str | None, Channel]] = [*self._channels.items(), (None, _NoChannel())]
        urgent = [self._lane(name, channel, urgent=True) for name, channel in ways]
        other = [self._lane(name, channel, urgent=False) for name, channel in ways]
        listening = self._store.listen("delivery", self._wake)
        await together(*urgent, *other, listening, patience_s=_GRACE_S + 0.2)

    def _wake(self) -> None:
        for wake in self._wakes:
            wake.set()

    async def _lane(self, name: str | None, channel: Channel, *, urgent: bool) -> None:
        """One channel's messages of one urgency, at most `slots` under way at once.

        What is not urgent keeps a pace: a backlog of it takes neither the provider's patience nor the
        processor's time from a fire.
        """
        slots = self._settings.urgent_slots if urgent else self._settings.other_slots
        wake = asyncio.Event()
        if name is not None:  # channels that this server has not may be looked for once a second
            self._wakes.append(wake)
        under_way: set[asyncio.Task[None]] = set()

        def done(task: asyncio.Task[None]) -> None:
            under_way.discard(task)
            if len(under_way) <= slots // 2:  # refill in handfuls: one question for many messages
                wake.set()

        try:
            while True:
                self._beat(_lane_name(name, urgent))
                wake.clear()
                free = slots - len(under_way)
                if not urgent:  # no more than a second's worth: the rest below must not outlast a turn
                    free = min(free, max(1, round(self._settings.other_per_s)))
                pause_s = _POLL_S
                if free > 0:
                    works, again_s = await self._claim(name, channel, urgent=urgent, limit=free)
                    for work in works:
                        task = asyncio.create_task(self._deliver(channel, work))
                        under_way.add(task)
                        task.add_done_callback(done)
                    if not urgent:
                        await asyncio.sleep(len(works) / self._settings.other_per_s)
                    pause_s = min(pause_s, again_s)
                with contextlib.suppress(TimeoutError):
                    async with asyncio.timeout(pause_s):
                        await wake.wait()
        finally:
            if wake in self._wakes:
                self._wakes.remove(wake)
            if under_way:
                _, unfinished = await asyncio.wait(under_way, timeout=_GRACE_S)
                await end(unfinished)

    async def _claim(
        self, name: str | None, channel: Channel, *, urgent: bool, limit: int
    ) -> tuple[list[_Work], float]:
        """What goes out now, and after how many seconds more may."""
        hold = timedelta(seconds=channel.timeout_s) + _HOLD_BEYOND
        limits = channel.limits
        try:
            async with self._store.transaction() as tx:
                claimed = await deliveries.claim(
                    tx,
                    name,
                    known=list(self._channels),
                    urgent=urgent,
                    people=_MOST_CLAIMED if limits.call else limit,
                    limit=_MOST_CLAIMED if limits.call else min(limit * limits.homes, _MOST_CLAIMED),
                    hold=hold,
                    pace=limits.pace(urgent=urgent),
                    longest=max(one.every for one in limits.paces(urgent=urgent)),
                    merges=not limits.call,
                )
                wanted = await self._wanted(tx, claimed)
                groups = bundles(wanted, lambda one: one.planned, limits.homes)
                going, again_s = await self._paced(tx, name or "", limits, groups, urgent=urgent, most=limit)
                return await self._prepare(tx, going), again_s
        except StoreError as error:
            _log.warning("deliveries cannot be claimed", channel=name, error=str(error))
            return [], _POLL_S

    async def _wanted(self, tx: Tx, claimed: Sequence[Claimed]) -> list[Claimed]:
        """Those that somebody still needs; the others are called off."""
        wanted: list[Claimed] = []
        needless: dict[str, list[Claimed]] = {}
        for one in claimed:
            why = why_needless(one.planned, one.standing)
            if why is None and not one.worker_active:
                why = "the person is not on duty any more"
            (wanted if why is None else needless.setdefault(why, [])).append(one)
        for why, ones in needless.items():
            await deliveries.give_up(tx, ones, why)
        return wanted

    async def _paced(
        self,
        tx: Tx,
        name: str,
        limits: Limits,
        groups: Sequence[Sequence[Claimed]],
        *,
        urgent: bool,
        most: int,
    ) -> tuple[list[Sequence[Claimed]], float]:
        """The messages that may go now, at most `most`. Others wait, or go another way if this one rings."""
        asked = Counter(group[0].planned.address for group in (groups if limits.call else groups[:most]))
        granted = await pace.take_under(tx, name, limits.paces(urgent=urgent), asked, urgent=urgent)
        left = {address: one.messages for address, one in granted.items()}
        going: list[Sequence[Claimed]] = []
        waiting: list[Claimed] = []
        beyond: list[Claimed] = []
        for group in groups:
            address = group[0].planned.address
            if left.get(address, 0) > 0 and len(going) < most:
                left[address] -= 1
                going.append(group)
            else:
                (waiting if address in granted else beyond).extend(group)
        if limits.call:  # one that was tried and not taken is told in writing already: it is called again
            fresh = [one for one in waiting if one.number == 1]
            waiting = [one for one in waiting if one.number > 1] + await self._instead(tx, fresh)
        again = await pace.next_at(tx, name, limits.pace(urgent=urgent), urgent=urgent)
        again_s = _POLL_S if again is None else (again - tx.now).total_seconds()
        by_time: dict[datetime, list[Claimed]] = {}
        for one in waiting:
            by_time.setdefault(granted[one.planned.address].next_at, []).append(one)
        for next_at, ones in by_time.items():
            await deliveries.put_back(tx, ones, next_at)
            again_s = min(again_s, (next_at - tx.now).total_seconds())
        if beyond:
            await deliveries.put_back(tx, beyond, tx.now)
        return going, again_s

    async def _instead(self, tx: Tx, waiting: Sequence[Claimed]) -> list[Claimed]:
        """Tell by the next channel what cannot be called now; those that have no other wait for the call."""
        ways = await deliveries.contacts(tx, {one.planned.worker for one in waiting})
        written = {one.id: fall_back(one.planned, ways.get(one.planned.worker, ())) for one in waiting}
        told = [one for one in waiting if written[one.id] is not None]
        if told:
            await deliveries.give_up(tx, told, _BEING_CALLED)
            await deliveries.enqueue(tx, [other for other in written.values() if other is not None])
        return [one for one in waiting if written[one.id] is None]

    async def _prepare(self, tx: Tx, groups: Sequence[Sequence[Claimed]]) -> list[_Work]:
        """Each message with a link of its own."""
        facts = await self._facts(tx, {one.planned.alarm for group in groups for one in group})
        valid = timedelta(hours=self._settings.link_valid_h)
        ready: list[_Work] = []
        async with in_one_go(tx):
            for group in groups:
                first = group[0]
                planned = [one.planned for one in group]
                alarms_of = list(dict.fromkeys(one.alarm for one in planned))
                token = await links.make_link(tx, alarms_of, first.planned.worker, first.id, valid)
                known = [facts[alarm] for alarm in alarms_of if alarm in facts]
                if first.role not in SEES_RESIDENTS:
                    known = [one.without_residents() for one in known]
                message = word(
                    planned, known, To(first.language, f"{self._url}/a/{token}", first.role not in ONLOOKERS)
                )
                ready.append(_Work(tuple(group), message))
                await audit.note_all(
                    tx,
                    [(f"household:{one.household}", {"alarm": one.id}) for one in known if one.residents],
                    who=first.planned.worker,
                    action="told",
                    from_where=first.planned.channel,
                    detail={"delivery": first.id},
                )
        return ready

    async def _facts(self, tx: Tx, wanted: set[int]) -> dict[int, AlarmFacts]:
        """What is known of each alarm; one that cannot be read is left out, and its message goes out bare."""
        known: dict[int, AlarmFacts] = {}
        if not wanted:
            return known
        for ids in (wanted, *([one] for one in wanted)):
            try:
                async with in_one_go(tx):
                    await mark(tx, _MARK)
                    known |= await alarms.describe_all(tx, ids)
            except StoreDown:
                raise
            except Exception:  # noqa: BLE001 -- whatever is wrong with the facts, the person is told
                await undo(tx, _MARK)
                _log.exception("alarms cannot be described", alarms=sorted(ids))
            else:
                if ids is wanted:
                    break  # else one after the other, to find the one that cannot
        return known

    async def _deliver(self, channel: Channel, work: _Work) -> None:
        first = work.claimed[0].planned
        try:
            # A channel promises never to raise and to keep its time; lives do not hang on promises.
            async with asyncio.timeout(channel.timeout_s + 2.0):
                outcome = await channel.send(work.message, first.address)
        except TimeoutError:
            outcome = TryLater(None, f"the channel did not return within {channel.timeout_s + 2.0:g} s")
        except Exception as error:  # noqa: BLE001 -- see above
            _log.exception("a channel raised", channel=first.channel)
            outcome = TryLater(None, f"the channel raised {type(error).__name__}")
        while True:
            try:
                async with self._store.transaction() as tx:
                    await self._record(tx, work.claimed, outcome)
                break
            except StoreConflict:
                continue
            except StoreError as error:
                _log.warning("an outcome cannot be stored yet", delivery=work.claimed[0].id, error=str(error))
                await asyncio.sleep(_POLL_S)

    async def _record(self, tx: Tx, claimed: Sequence[Claimed], outcome: Outcome) -> None:
        """In one transaction: how the try went, what becomes of the messages, the person's next channel."""
        if not isinstance(outcome, Sent):
            for one in claimed:
                await self._not_taken(tx, one, outcome)
            return
        within = self._waits.get(claimed[0].planned.channel)
        named = outcome.provider_id is not None  # without a name no receipt could be told from another
        due_at = tx.now + within if within is not None and named else None
        await deliveries.sent(tx, claimed, outcome.provider_id, due_at)
        for one in claimed:
            name = self._known(one.planned.channel)
            metrics.DELIVERIES.labels(name, "sent").inc()
            metrics.DELIVERY_S.labels(name).observe((tx.now - one.made_at).total_seconds())

    def _known(self, channel: str) -> str:
        return channel if channel in self._channels else "unknown"

    async def _not_taken(self, tx: Tx, claimed: Claimed, outcome: TryLater | Rejected) -> None:
        planned = claimed.planned
        name = self._known(planned.channel)
        how = _outcome_word(outcome)
        metrics.DELIVERIES.labels(name, how).inc()
        ours, standing = await deliveries.standing(tx, claimed)
        await deliveries.end_attempt(tx, claimed, how, outcome.why)
        if not ours:
            return  # the claim ran out and somebody else has the message now
        needless = why_needless(planned, standing)
        if needless is not None:
            await deliveries.mark(tx, claimed, "cancelled", reason=needless)
            return
        again = next_try(claimed.number, outcome, tx.now, urgent=planned.urgent)
        if again is None:
            await deliveries.mark(tx, claimed, "failed", reason=outcome.why)
        else:
            await deliveries.mark(tx, claimed, "pending", reason=outcome.why, due_at=again)
        ways = await deliveries.contacts(tx, [planned.worker])
        instead = fall_back(planned, ways.get(planned.worker, ()))
        if instead is not None:
            await deliveries.enqueue(tx, [instead])
        elif again is None:
            metrics.UNREACHABLE.labels(planned.purpose).inc()
        _log.warning(
            "a message was not taken",
            delivery=claimed.id,
            alarm=planned.alarm,
            channel=planned.channel,
            attempt=claimed.number,
            outcome=how,
            why=outcome.why,
            again_at=again.isoformat() if again else None,
            instead=instead.channel if instead else None,
        )


class _NoChannel:
    """Stands for channels that people have and this server has not: the next one is tried at once."""

    timeout_s = 1.0
    limits = Limits(urgent=Pace(1000, timedelta(seconds=1)), homes=1)

    async def send(self, message: Message, address: str) -> Outcome:  # noqa: ARG002
        return Rejected("this channel is not set up on the server: add its table below [channels]")

    async def close(self) -> None:
        return


def why_needless(planned: Planned, standing: Standing) -> str | None:
    """Why nobody needs this message any more; None while somebody does."""
    if planned.purpose == "closed":
        return None
    if standing.alarm_state == "closed":
        return deliveries.CLOSED
    if planned.purpose in ("cleared", "owner"):
        return None
    if planned.purpose == "offer":
        return None if standing.offered_to == planned.worker else "it is not offered to this person any more"
    if standing.alarm_round != planned.round and (planned.step == 0 or planned.purpose != "alarm"):
        return "a newer round of the alarm has begun"  # it tells the first again, and only them
    if planned.purpose == "raised":
        return None
    if planned.purpose == "disposition":
        return "somebody has said what it was" if standing.disposed else None
    return "somebody has taken the alarm" if standing.acknowledged else None


def _lane_name(channel: str | None, urgent: bool) -> str:
    return f"worker {channel or 'unknown channels'} {'urgent' if urgent else 'other'}"


def word(planned: Sequence[Planned], facts: Sequence[AlarmFacts], to: To) -> Message:
    """The message; bare when nothing is known, or when the words for it cannot be found."""
    if not facts:
        return bare(planned, to)
    try:
        if len({one.alarm for one in planned}) > 1:
            return render_many(planned, facts, to)
        return render(planned[0], facts[0], to)
    except Exception:  # noqa: BLE001 -- a mistake in the words must not keep a message back
        _log.exception("a message cannot be worded; sent bare", alarms=[one.alarm for one in planned])
        return bare(planned, to)


def _outcome_word(outcome: TryLater | Rejected) -> OutcomeWord:
    match outcome:
        case Rejected():
            return "permanent"
        case TryLater(after=after):
            return "temporary" if after is None else "rate_limited"
