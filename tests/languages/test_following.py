from __future__ import annotations

from collections.abc import Sequence

import numpy as np
import pytest

from agent.config.settings import load
from agent.errors import ConfigError
from audio.clock import RATE, Sound
from audio.errors import EarsUnavailable
from audio.hearing.agreement import Word
from audio.hearing.following import FollowingRecogniser, following, hearing
from audio.hearing.whisper import DetectedLanguage, Hypothesis
from languages.following import LIKELY, LONG_S, SURE, LanguageFollower
from languages.spoken import spoken, written_in

EN, DE, ES = spoken("auto", ("en", "de", "es"))
LONG, SHORT = LONG_S + 0.1, LONG_S - 0.1
CLEAR, UNCLEAR = SURE + 0.01, SURE - 0.1


def test_the_first_turn_is_believed() -> None:
    follower = LanguageFollower(["en", "de", "es"])
    assert follower.spoken == "en"
    assert follower.heard("de", UNCLEAR, SHORT) == "de"
    assert follower.spoken == "de"


def test_a_first_turn_that_tells_nothing_changes_nothing() -> None:
    assert LanguageFollower(["en", "de", "es"]).heard("de", LIKELY - 0.1, LONG) == "en"


def test_a_long_and_clear_turn_switches() -> None:
    follower = LanguageFollower(["en", "de"])
    follower.heard("en", 1.0, LONG)
    assert follower.heard("de", CLEAR, LONG) == "de"
    assert follower.heard("en", CLEAR, LONG) == "en"


@pytest.mark.parametrize(("probability", "seconds"), [(CLEAR, SHORT), (UNCLEAR, LONG)])
def test_any_other_turn_switches_when_the_next_one_agrees(probability: float, seconds: float) -> None:
    follower = LanguageFollower(["en", "de", "es"])
    follower.heard("en", 1.0, LONG)
    assert follower.heard("de", probability, seconds) == "en"
    assert follower.heard("es", probability, seconds) == "en"
    assert follower.heard("de", probability, seconds) == "en"
    assert follower.heard("en", 1.0, SHORT) == "en"
    assert follower.heard("de", probability, seconds) == "en"
    assert follower.heard("de", probability, seconds) == "de"


def test_others_than_those_that_may_be_spoken_are_not_followed() -> None:
    follower = LanguageFollower(["en", "de"])
    assert follower.heard("fr", 1.0, LONG) == "en"


def test_leaning_takes_no_note() -> None:
    follower = LanguageFollower(["en", "de"])
    follower.heard("en", 1.0, LONG)
    assert follower.leaning("de", CLEAR, LONG) == "de"
    assert [follower.leaning("de", UNCLEAR, LONG) for _ in range(3)] == ["en", "en", "en"]
    assert follower.spoken == "en"


class Whispering:
    """Hears a word in the likeliest of the languages that it is asked for."""

    def __init__(self, likely: dict[str, float], asked: tuple[str, ...] = (), text: str = "word-{}") -> None:
        self.likely, self.asked, self.text = likely, asked or tuple(likely), text

    def hearing(self, languages: Sequence[str]) -> Whispering:
        return Whispering(self.likely, tuple(languages), self.text)

    def decode(self, sound: Sound, *, final: bool, expected: str = "") -> Hypothesis:  # noqa: ARG002 - as it hears
        code = max(self.asked, key=self.likely.__getitem__)
        total = sum(self.likely[one] for one in self.asked)
        language = DetectedLanguage(code, self.likely[code] / total)
        return Hypothesis((Word(self.text.format(code), 0.9),), language=language)

    def spot(self, sound: Sound) -> Hypothesis:
        return self.decode(sound, final=False)


def sound(seconds: float) -> Sound:
    return np.zeros(int(seconds * RATE), np.float32)


def test_what_is_not_believed_is_heard_again_in_what_is_spoken() -> None:
    model = Whispering({"en": 0.9, "de": 0.1})
    ears = following(model, [EN, DE])
    assert isinstance(ears, FollowingRecogniser)
    assert ears.decode(sound(3), final=True).language.code == "en"
    model.likely |= {"en": 0.4, "de": 0.6}
    heard = ears.decode(sound(3), final=True)
    assert (heard.language.code, heard.words[0].text) == ("en", "word-en")
    assert ears.spot(sound(1)).words[0].text == "word-en"
    assert ears.decode(sound(3), final=True).words[0].text == "word-de"
    assert ears.spot(sound(1)).words[0].text == "word-de"


def test_partials_do_not_switch() -> None:
    model = Whispering({"en": 0.9, "de": 0.1})
    ears = following(model, [EN, DE])
    ears.decode(sound(3), final=True)
    model.likely |= {"en": 0.3, "de": 0.7}
    for _ in range(3):
        assert ears.decode(sound(3), final=False).language.code == "en"


def test_one_language_needs_no_following() -> None:
    model = Whispering({"de": 1.0})
    assert following(model, [DE]) is model


class English:
    """Hears English alone, and cannot be asked for more."""

    def decode(self, sound: Sound, *, final: bool, expected: str = "") -> Hypothesis:  # noqa: ARG002 - as it hears
        return Hypothesis(())

    def spot(self, sound: Sound) -> Hypothesis:
        return self.decode(sound, final=False)


def test_a_recogniser_of_english_is_refused_where_more_is_spoken() -> None:
    recogniser = English()
    assert hearing(recogniser, [EN]) is recogniser
    with pytest.raises(EarsUnavailable, match=r"hear en, de; set ears\.language to en"):
        hearing(recogniser, [EN, DE])


def test_what_is_spoken_is_named_by_settings() -> None:
    assert [language.code for language in spoken("es")] == ["es"]
    assert [language.code for language in spoken("auto", ("de", "en"))] == ["de", "en"]
    assert spoken("auto")[0].code == "en"
    assert len(spoken("auto")) > 2


@pytest.mark.parametrize(
    ("text", "language"),
    [
        ("What is the capital of France?", EN),
        ("Was ist die Hauptstadt von Frankreich?", DE),
        ("¿Cuál es la capital de Francia?", ES),
        ("Danke, das war sehr hilfreich.", DE),
        ("Gracias, me ha ayudado mucho.", ES),
        ("Ich habe 20 Euro und kaufe drei Brote zu je 4 Euro.", DE),
        ("How many are left of it?", EN),
    ],
)
def test_a_written_text_tells_its_language_by_its_small_words(text: str, language: object) -> None:
    for now in (EN, DE, ES):
        assert written_in(text, [EN, DE, ES], now) is language


def test_a_text_that_tells_nothing_is_in_what_is_spoken() -> None:
    for now in (EN, DE, ES):
        assert written_in("Berlin 42", [EN, DE, ES], now) is now
        assert written_in("Was ist das?", [now], now) is now


@pytest.mark.parametrize(
    "options", [{"ears.language": "tlh"}, {"ears.language": "auto", "ears.languages": ["en", "tlh"]}]
)
def test_a_setting_that_names_no_language_is_told_with_those_there_are(options: dict[str, object]) -> None:
    with pytest.raises(ConfigError, match=r"there is no language 'tlh' here; there are de \(German\), en"):
        load(overrides=options)


@pytest.mark.parametrize(("text", "spoken_then"), [("Mhm.", "en"), ("Ja.", "de")])
def test_hums_are_of_no_language(text: str, spoken_then: str) -> None:
    ears = FollowingRecogniser(Whispering({"en": 0.3, "de": 0.7}, text=text), ["en", "de"])
    ears.decode(np.zeros(RATE, np.float32), final=True)
    assert ears._follower.spoken == spoken_then
