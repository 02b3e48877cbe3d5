"""Signs of listening, as recognisers write them: the words and confidences are those that real ones gave for sounds."""

from __future__ import annotations

import pytest

from audio.hearing.backchannels import Backchannels
from languages.english import ENGLISH
from languages.known import language_of

LISTENS = Backchannels(ENGLISH)
SOUNDS = [
    ("Mm-homs.", (0.0,)),
    ("Damn, I'm Emmed.", (0.02, 0.27, 0.13)),
    ("MMM", (0.33,)),
    ("M.H.M", (0.18,)),
    ("Dye-her.", (0.0,)),
    ("I'm home.", (0.09, 0.19)),
    ("Oh, home.", (0.4, 0.07)),
    ("Amen, man.", (0.1, 0.23)),
    ("Lotta", (0.15,)),
    ("Hi", (0.78,)),
    ("ha ha ha", (0.13, 0.5, 0.75)),
    ("a a a", (0.09, 0.11, 0.63)),
    ("Hard hard hard", (0.37, 0.55, 0.63)),
    ("T-T-T-T-T", (0.0,)),
    ("Yeah, boo.", (0.49, 0.09)),
    ("Class 1.", (0.19, 0.05)),
    ("Yeah, who?", (0.25, 0.29)),
]
WORDS = [
    ("Wait...", (0.09,)),
    ("When...", (0.04,)),
    ("No fiver.", (0.87, 0.05)),
    ("Help.", (0.2,)),
    ("How many?", (0.78, 0.87)),
    ("Hang on.", (0.9, 0.41)),
    ("no not that", (0.1, 0.1, 0.1)),
    ("Anna", (0.34,)),
    ("12.", (0.48,)),
    ("him", (0.6,)),
    ("Okay, but", (0.25, 0.4)),
    ("Wait wait wait", (0.2, 0.1, 0.1)),
    ("we meant the other", (0.1, 0.1, 0.1, 0.1)),
]


@pytest.mark.parametrize(("text", "confidence"), SOUNDS)
def test_a_hum_a_laugh_or_a_cough_is_no_words_however_it_is_written(text: str, confidence: tuple[float, ...]) -> None:
    assert LISTENS.misheard(text, confidence)
    assert not LISTENS.glimpsed(text, confidence)


@pytest.mark.parametrize(("text", "confidence"), WORDS)
def test_words_that_want_the_turn_are_words_however_badly_they_are_heard(
    text: str, confidence: tuple[float, ...]
) -> None:
    assert not LISTENS.misheard(text, confidence)
    assert not LISTENS.heard(text)


@pytest.mark.parametrize(
    ("code", "asks", "heard"), [("de", "Wie viele?", "Ach so, ja."), ("es", "¿Cuántos?", "Ya veo, vale.")]
)
def test_each_language_has_words_that_want_the_turn(code: str, asks: str, heard: str) -> None:
    listens = Backchannels(language_of(code))
    assert not listens.misheard(asks, (0.04, 0.04))
    assert listens.misheard("Gladwell.", (0.05,))
    assert listens.heard(heard)


@pytest.mark.parametrize(
    ("code", "text"),
    [
        *(("de", text) for text in ("Mhm.", "Hm-hm.", "Ja, genau.", "Ja, ja.", "Jaja.", "Ach ja?", "Na klar!")),
        *(("de", text) for text in ("Ich verstehe.", "Aha, okay.", "Richtig, stimmt.", "Sehr gut, alles klar.")),
        *(("es", text) for text in ("Mhm.", "Mm, sí.", "Sí, sí.", "Ajá, vale.", "Claro que sí.", "Por supuesto.")),
        *(("es", text) for text in ("De acuerdo.", "Ya, ya.", "Eso es.", "Sí, exacto.", "Vale, vale, entiendo.")),
    ],
)
def test_signs_of_listening_of_other_languages(code: str, text: str) -> None:
    listens = Backchannels(language_of(code))
    assert listens.heard(text) or listens.misheard(text, (0.9,))


@pytest.mark.parametrize(
    ("code", "text"),
    [
        *(("de", text) for text in ("Ja, aber", "Ja bitte", "Gut, und wann?", "Genau sieben", "Nein.", "Moment mal")),
        *(("es", text) for text in ("Sí, pero", "Por favor", "Bueno, espera", "Eso no", "Ya basta", "¿Y cuándo?")),
    ],
)
def test_words_that_begin_like_them_want_the_turn(code: str, text: str) -> None:
    listens, sure = Backchannels(language_of(code)), (0.9,) * len(text.split())
    assert not listens.heard(text)
    assert not listens.misheard(text, sure)
    assert listens.glimpsed(text, sure)


@pytest.mark.parametrize("text", ["", "mhm", "Right. Right.", "I", "Hahaha"])
def test_what_does_not_want_the_turn_beyond_doubt_is_waited_for(text: str) -> None:
    assert not LISTENS.glimpsed(text, (1.0,) * len(text.split()))


def test_a_glimpse_of_words_is_believed_where_one_of_them_is_sure() -> None:
    assert LISTENS.glimpsed("as you know", (0.3, 0.9, 0.4))
    assert LISTENS.glimpsed("How old", (0.35, 0.1))
    assert not LISTENS.glimpsed("unless it's", (0.42, 0.28))


def test_a_users_own_signs_of_listening_stand_in_place_of_the_languages() -> None:
    own = Backchannels(ENGLISH, ("carry on",))
    assert own.heard("Carry on!")
    assert own.begun("carry")
    assert not own.heard("I see.")
    assert not own.misheard("Mhm.", (0.9,))
