"""Who gets a message by which way, and under which key."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from central.notifier.plan import Contact, Notice, Planned, Recipient, fall_back, plan

NOTICE = Notice(alarm=7, purpose="alarm", round=2, step=1, urgent=True)


def way(rank: int, channel: str = "voice", address: str | None = None) -> Contact:
    return Contact(rank, channel, address or f"{channel}-{rank}")


def test_each_person_is_told_once_by_their_first_contact() -> None:
    """The lowest rank counts, whatever the order; a person with two duties is one person."""
    zhang = Recipient("zhang", (way(3, "sms"), way(1, "voice")))
    planned = plan(NOTICE, [zhang, Recipient("li", (way(0, "webhook"),)), zhang])
    assert [(p.worker, p.channel, p.rank) for p in planned] == [("zhang", "voice", 1), ("li", "webhook", 0)]
    assert planned[0].key == "7:alarm:2:1:zhang:voice"
    assert planned[0].urgent


def test_a_person_without_a_contact_gets_nothing() -> None:
    """The caller sees it by the missing name."""
    assert plan(NOTICE, [Recipient("nobody", ())]) == ()


def test_the_next_contact_of_the_same_person_has_a_key_of_its_own() -> None:
    """Same alarm, step and person by another channel; after the last there is none."""
    contacts = (way(0), way(1, "sms"), way(2, "smtp"))
    (first,) = plan(NOTICE, [Recipient("zhang", contacts)])
    second = fall_back(first, contacts)
    assert second is not None
    assert (second.channel, second.address, second.key) == ("sms", "sms-1", "7:alarm:2:1:zhang:sms")
    third = fall_back(second, contacts)
    assert third is not None
    assert fall_back(third, contacts) is None


def test_a_second_number_on_the_same_channel_is_another_way() -> None:
    """Otherwise its key would be the first one's, and it would never be tried."""
    contacts = (way(0, "voice", "138"), way(1, "voice", "139"))
    (first,) = plan(NOTICE, [Recipient("zhang", contacts)])
    second = fall_back(first, contacts)
    assert second is not None
    assert second.address == "139"
    assert second.key != first.key


def test_the_same_door_twice_is_no_second_chance() -> None:
    """A contact entered twice is passed over."""
    contacts = (way(0, "voice", "138"), way(1, "voice", "138"), way(2, "sms", "138"))
    (first,) = plan(NOTICE, [Recipient("zhang", contacts)])
    second = fall_back(first, contacts)
    assert second is not None
    assert second.channel == "sms"


@given(
    st.lists(
        st.tuples(st.integers(0, 9), st.sampled_from("abc"), st.sampled_from("xyz")), unique_by=lambda c: c[0]
    )
)
def test_falling_back_ends_and_never_uses_a_key_twice(entries: list[tuple[int, str, str]]) -> None:
    """Whatever contacts a person has, each way is tried at most once, in the order of the ranks."""
    contacts = tuple(Contact(*entry) for entry in entries)
    tried: list[Planned] = list(plan(NOTICE, [Recipient("zhang", contacts)]))
    while tried and (another := fall_back(tried[-1], contacts)) is not None:
        tried.append(another)
        assert len(tried) <= len(contacts)
    assert len({p.key for p in tried}) == len(tried)
    assert [p.rank for p in tried] == sorted(p.rank for p in tried)
    assert {(p.channel, p.address) for p in tried} == {(c.channel, c.address) for c in contacts}


def test_in_parallel_a_person_is_told_by_all_their_contacts_at_once() -> None:
    """Under the same keys as one after the other, so that what fails is not told a second time."""
    contacts = (way(0, "voice", "138"), way(1, "voice", "139"), way(2, "smtp"), way(3, "voice", "138"))
    planned = plan(NOTICE, [Recipient("zhang", contacts), Recipient("li", (way(0),))], parallel=True)
    assert [(p.worker, p.rank) for p in planned] == [("zhang", 0), ("zhang", 1), ("zhang", 2), ("li", 0)]
    assert len({p.key for p in planned}) == 4
    assert fall_back(planned[0], contacts) == planned[1]
