from __future__ import annotations

from hypothesis import given
from hypothesis import strategies as st

from audio.messages import Kind
from audio.speaking.ledger import Ledger


def test_counts_whole_words_in_proportion() -> None:
    ledger = Ledger()
    ledger.add(1, "one two four. ", 1300, "content")
    ledger.add(2, "five six", 800, "content")
    for played, heard in [
        (0, ""),
        (299, ""),
        (300, "one"),
        (700, "one two"),
        (1299, "one two"),
        (1300, "one two four. "),
    ]:
        ledger.played(played)
        assert ledger.heard() == heard
    assert ledger.unplayed_samples == 800
    ledger.played(99_999)
    assert ledger.heard() == "one two four. five six"
    assert ledger.unplayed_samples == 0


def test_fillers_take_time_and_are_no_reply() -> None:
    ledger = Ledger()
    ledger.add(1, "Let me think. ", 1000, "filler")
    ledger.add(2, "Twelve.", 500, "content")
    ledger.played(1000)
    assert ledger.heard() == ""
    ledger.played(1500)
    assert ledger.heard() == "Twelve."


def test_cut_tells_heard_from_unheard() -> None:
    ledger = Ledger()
    ledger.add(1, "one two ", 700, "content")
    ledger.add(2, "three", 500, "content")
    ledger.played(400)
    assert ledger.cut() == ("one", " two three")
    assert ledger.unplayed_samples == 0
    assert ledger.heard() == "one"
    assert ledger.cut() == ("one", "")


def test_what_has_no_sound_is_heard_with_what_follows() -> None:
    ledger = Ledger()
    ledger.add(1, "Look: ", 100, "content")
    ledger.add(2, "```code``` ", 0, "content")
    ledger.add(3, "done", 100, "content")
    ledger.played(100)
    assert ledger.heard() == "Look: "
    ledger.played(101)
    assert ledger.heard() == "Look: ```code``` "


def test_what_is_dropped_is_forgotten_but_for_what_was_heard_of_it() -> None:
    ledger = Ledger()
    for number, text in enumerate(("one ", "two three ", "four "), start=1):
        ledger.add(number, text, 100 * len(text.split()), "content")
    ledger.played(210)
    assert ledger.drop({2}) == "two"
    assert ledger.heard() == "one two — "
    ledger.played(310)
    assert ledger.heard() == "one two — four "
    assert ledger.drop({3}) == "four "
    assert ledger.drop({9}) == ""
    assert ledger.heard() == "one two — four "


ENTRIES = st.lists(
    st.tuples(
        st.lists(st.text("ab.", min_size=1, max_size=6), max_size=5).map(lambda words: " ".join(words) + " "),
        st.integers(0, 5000),
        st.sampled_from(["content", "content", "filler"]),
    ),
    max_size=6,
)


@given(ENTRIES, st.lists(st.integers(0, 20_000), max_size=8))
def test_never_more_is_heard_than_was_played(entries: list[tuple[str, int, Kind]], positions: list[int]) -> None:
    ledger = Ledger()
    for number, (text, samples, kind) in enumerate(entries):
        ledger.add(number, text, samples, kind)
    reply = "".join(text for text, _, kind in entries if kind == "content")
    before = ""
    furthest = 0
    for position in positions:
        ledger.played(position)
        furthest = max(furthest, position)
        heard = ledger.heard()
        assert reply.startswith(heard)
        assert heard.startswith(before)
        before = heard
        rest, left = len(heard), furthest
        for text, samples, kind in entries:
            if kind == "content" and rest > 0:
                part = min(rest, len(text))
                rest -= part
                if samples:
                    assert min(part, len(text.rstrip())) * samples <= min(left, samples) * len(text.rstrip())
            left = max(0, left - samples)
        assert rest == 0
    heard, unheard = ledger.cut()
    assert heard + unheard == reply
    assert heard == before or not positions
