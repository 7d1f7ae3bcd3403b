"""Which model a device is: told from answers, honest about doubt."""

from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from device_profiles.load import load_profiles
from edge_agent.scan_guess import Answers, Question, guess, question, questions, reads_of

PROFILES = load_profiles()
MODELS = list(PROFILES.values())
ILLEGAL_ADDRESS = 2


def _answers_of(
    model: str, words: dict[Question, tuple[int, ...]]
) -> dict[Question, tuple[int, ...] | int | None]:
    """A device of this model: its own reads answered, all others refused."""
    reads = reads_of(PROFILES[model], 1)
    own = {question(request) for request in (*reads.fast, *reads.slow)}
    return {
        key: words.get(key, (0,) * key[2]) if key in own else ILLEGAL_ADDRESS for key in questions(MODELS, 1)
    }


REFERENCE = {(4, 0, 5): (0, 12, 215, 3000, 100), (4, 16, 2): (0, 4711)}


def test_a_device_that_answers_as_one_model_and_refuses_the_rest_is_that_model() -> None:
    """The installer gets a name to write into the configuration, and what it rests on."""
    told = guess(MODELS, 1, _answers_of("smokewatch-reference", REFERENCE))
    assert (told.profile, told.sure) == ("smokewatch-reference", True)
    assert "2 of its 2 reads" in told.why


def test_one_register_is_not_enough_to_be_sure() -> None:
    """Holding register 0 is the commonest register of all: the label decides."""
    told = guess(MODELS, 1, _answers_of("sonbest-sm7571b", {(3, 0, 1): (121,)}))
    assert (told.profile, told.sure) == ("sonbest-sm7571b", False)
    assert "one register" in told.why


def test_a_device_that_answers_whatever_it_is_asked_is_never_sure() -> None:
    """A converter or a PLC with a wide open register space fits everything and is nothing."""
    told = guess(MODELS, 1, {key: (0,) * key[2] for key in questions(MODELS, 1)})
    assert not told.sure
    assert "look at its label" in told.why


def test_a_device_that_refuses_everything_is_no_model() -> None:
    """It is there, and nobody knows it: that is the answer."""
    told = guess(MODELS, 1, dict.fromkeys(questions(MODELS, 1), ILLEGAL_ADDRESS))
    assert told.profile is None
    assert "profile for it" in told.why


def test_values_that_cannot_be_believed_make_it_unsure() -> None:
    """150 degrees below zero and no smoke value: the registers answer, but they are another model's."""
    words = {(4, 0, 5): (0, 0xFFFF, 0x8AD0, 0xFFFF, 0xFFFF), (4, 16, 2): (0, 1)}
    told = guess(MODELS, 1, _answers_of("smokewatch-reference", words))
    assert not told.sure
    assert "no believable" in next(c.why for c in told.candidates if c.profile == "smokewatch-reference")


def test_a_silent_fast_register_rules_a_model_out() -> None:
    """Cheap devices keep quiet where others refuse; both mean that it is not this model."""
    answers = _answers_of("smokewatch-reference", REFERENCE)
    answers[(4, 0, 5)] = None
    assert all(one.profile != "smokewatch-reference" for one in guess(MODELS, 1, answers).candidates)


_VALUES = st.one_of(st.none(), st.integers(1, 11), st.integers(0, 0xFFFF))


@given(
    st.lists(_VALUES, min_size=len(questions(MODELS, 1)), max_size=len(questions(MODELS, 1))),
    st.integers(1, 247),
)
def test_whatever_a_device_answers_a_guess_is_made_and_every_candidate_has_a_score(
    said: list[int | None], unit: int
) -> None:
    """Garbage never raises, and the best is never worse than the next."""
    answers: Answers = {
        key: value if value is None or value < 12 else (value,) * key[2]
        for key, value in zip(questions(MODELS, unit), said, strict=False)
    }
    told = guess(MODELS, unit, answers)
    scores = [one.score for one in told.candidates]
    assert scores == sorted(scores, reverse=True)
    assert all(0 < score <= 1 for score in scores)
    assert (told.profile is None) == (not scores)
