from __future__ import annotations

from pathlib import Path

import numpy as np
import platformdirs
import pytest

from audio.clock import RATE
from audio.errors import EarsUnavailable
from audio.hearing.agreement import Word
from audio.hearing.whisper import Hypothesis, WhisperDecoder, better_heard, plausible, unloop, window_of
from audio.options import EarsOptions


def words(text: str, confidence: float = 0.9) -> tuple[Word, ...]:
    return tuple(Word(word, confidence) for word in text.split())


def text(heard: tuple[Word, ...] | list[Word]) -> str:
    return " ".join(word.text for word in heard)


@pytest.mark.parametrize(
    ("heard", "kept"),
    [
        ("stop stop stop", "stop stop stop"),
        ("no no no no no no no", "no no no"),
        ("go on and on and on and on and on and on", "go on and on and on and"),
        ("Hello, how are you today? Hello, how are", "Hello, how are you today?"),
        ("one two three. One two three.", "one two three."),
        ("what is it that is it", "what is it that is it"),
        ("a rose is a rose", "a rose is a rose"),
        ("", ""),
    ],
)
def test_loops_are_cut_and_emphasis_is_not(heard: str, kept: str) -> None:
    assert text(unloop(words(heard))) == kept


@pytest.mark.parametrize(
    ("heard", "log_prob", "no_speech", "kept"),
    [
        ("Stop.", -0.9, 0.5, "Stop."),
        ("Thank you.", -0.2, 0.5, "Thank you."),
        ("Thank you.", -0.9, 0.1, "Thank you."),
        ("Thank you.", -0.9, 0.5, ""),
        ("Thank you.", -0.64, 0.9, ""),
        ("Stop.", -0.64, 0.9, "Stop."),
        ("Stop.", -1.2, 0.9, ""),
        ("Anything at all", -1.2, 0.3, "Anything at all"),
        ("[BLANK_AUDIO]", -0.1, 0.0, ""),
        ("(upbeat music) Hello ♪ there [door closes]", -0.1, 0.0, "Hello there"),
    ],
)
def test_only_weak_evidence_drops_words(heard: str, log_prob: float, no_speech: float, kept: str) -> None:
    assert text(plausible(Hypothesis(words(heard), log_prob, no_speech)).words) == kept


@pytest.mark.parametrize(
    ("heard", "again", "log_prob", "kept"),
    [
        ("Drive to the hole and rest.", "Drive to the hall and rest.", -0.1, "Drive to the hall and rest."),
        ("Wait.", "Wave.", -0.4, "Wave."),
        ("Drive to the hole and rest.", "Drive to the hall and rest.", -0.9, "Drive to the hole and rest."),
        ("It is cold.", "Go to the hall.", -0.1, "It is cold."),
        ("", "Go.", -0.1, ""),
    ],
)
def test_expected_words_mend_a_transcript_and_make_none(heard: str, again: str, log_prob: float, kept: str) -> None:
    first, second = Hypothesis(words(heard), -0.5, 0.0), Hypothesis(words(again), log_prob, 0.0)
    heard_as = better_heard(first, second)
    assert text(heard_as.words) == kept
    assert text(heard_as.other) == ("" if kept in {again, ""} else again), "what was not taken is kept beside it"


def test_a_doubtful_transcript_mends_nothing() -> None:
    first, second = Hypothesis(words("Wait."), -0.5, 0.0), Hypothesis(words("Wave."), -0.1, 0.0, doubtful=True)
    assert better_heard(first, second) is first


@pytest.mark.parametrize(
    ("seconds", "shortest", "window"),
    [(1, 12, 12), (11.1, 12, 12), (11.3, 12, 15), (29, 12, 30), (40, 12, 30), (1, 8, 8), (7.3, 8, 12), (13, 8, 15)],
)
def test_a_window_holds_the_sound_and_its_tail(seconds: float, shortest: int, window: int) -> None:
    assert window_of(np.zeros(int(seconds * RATE), np.float32), shortest) == window


@pytest.mark.e2e
@pytest.mark.parametrize("text", ["{}", '{"model": 7}', "["])
def test_a_vocabulary_that_its_library_refuses_is_told_in_a_line(tmp_path: Path, text: str) -> None:
    known = platformdirs.user_cache_path("descant") / "models" / "whisper-tiny.en"
    for name in ("model.bin", "config.json", "vocabulary.txt"):
        (tmp_path / name).symlink_to(known / name)
    (tmp_path / "tokenizer.json").write_text(text)
    with pytest.raises(EarsUnavailable, match=r"the model cannot be loaded \(.*\); check it") as caught:
        WhisperDecoder(tmp_path, EarsOptions())
    assert "\n" not in str(caught.value)
