from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from audio.hearing.agreement import Agreement, Word, key


def words(text: str) -> list[Word]:
    return [Word(word, 0.9) for word in text.split()]


def text(heard: list[Word]) -> str:
    return " ".join(word.text for word in heard)


def test_commits_what_two_hypotheses_share_but_the_newest_word() -> None:
    agreement = Agreement()
    agreement.receive(words("each chicken"))
    assert (text(agreement.committed), text(agreement.tentative)) == ("", "each chicken")
    agreement.receive(words("each chicken lace"))
    assert (text(agreement.committed), text(agreement.tentative)) == ("each chicken", "lace")
    agreement.receive(words("each chicken lays two"))
    assert (text(agreement.committed), text(agreement.tentative)) == ("each chicken", "lays two")


def test_holds_the_newest_word_back() -> None:
    agreement = Agreement()
    agreement.receive(words("stop the car"))
    agreement.receive(words("stop the car"))
    assert (text(agreement.committed), text(agreement.tentative)) == ("stop the", "car")


def test_case_and_punctuation_make_no_difference() -> None:
    agreement = Agreement()
    agreement.receive(words("Hello, how are"))
    agreement.receive(words("hello How are you?"))
    assert text(agreement.committed) == "hello How are"
    assert key("Days?") == key("days")
    assert key("50%") != key("50")
    assert key("?!") == "?!"


def test_one_dissenting_hypothesis_takes_nothing_back_and_two_do() -> None:
    agreement = Agreement()
    for heard in ("I see two ships at", "I see two ships at sea"):
        assert not agreement.receive(words(heard))
    assert not agreement.receive(words("I see too chips at sea"))
    assert text(agreement.committed) == "I see two ships at"
    assert agreement.receive(words("I see too chips at sea now"))
    assert text(agreement.committed) == "I see too chips at sea"


def test_settling_commits_all_and_tells_of_revisions() -> None:
    agreement = Agreement()
    agreement.receive(words("how many eggs does"))
    agreement.receive(words("how many eggs does he"))
    assert not agreement.settle(words("How many eggs does he collect?"))
    assert text(agreement.committed) == "how many eggs does he collect?"
    assert agreement.settle(words("How many legs"))
    assert text(agreement.committed) == "how many legs"
    assert agreement.tentative == []


def test_reopening_gives_the_last_word_up() -> None:
    agreement = Agreement()
    agreement.settle(words("three for two dollars each."))
    agreement.reopen()
    assert (text(agreement.committed), text(agreement.tentative)) == ("three for two dollars", "each.")
    assert not agreement.receive(words("three for two dollars each and a cake"))
    assert text(agreement.committed) == "three for two dollars each"


HYPOTHESES = st.lists(st.lists(st.sampled_from("abc"), max_size=6).map(" ".join), max_size=8)


@given(HYPOTHESES)
def test_committed_words_change_only_when_that_is_told(hypotheses: list[str]) -> None:
    agreement = Agreement()
    for heard in hypotheses:
        before = text(agreement.committed)
        revised = agreement.receive(words(heard))
        after = text(agreement.committed)
        assert revised != after.startswith(before) or (revised and after.startswith(before))
        if not revised:
            assert after.startswith(before)
        assert len(agreement.committed) + len(agreement.tentative) >= len(heard.split())


@given(HYPOTHESES, st.lists(st.sampled_from("abc"), max_size=6).map(" ".join))
def test_a_settled_hypothesis_is_the_transcript(hypotheses: list[str], last: str) -> None:
    agreement = Agreement()
    for heard in hypotheses:
        agreement.receive(words(heard))
    before = text(agreement.committed)
    revised = agreement.settle(words(last))
    assert text(agreement.committed) == last
    assert revised != last.startswith(before)
