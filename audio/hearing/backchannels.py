"""A sign that somebody listens, or words that want the turn? Pure: knows neither sound nor whose turn it is.

Recognisers write words, whatever they hear: of hums, laughs and coughs tiny.en made "Mm-homs.", "Tim", "PEM", "a a a",
"Oh, home." So a few words over a reply are held to be such a sound where they are spelt like one, or where no word that
asks for the turn ("wait", "what") is among them and the recogniser is sure of none. The asymmetry is meant: whoever was
not heard says it again, longer; a reply that was given up for a cough is lost. Commands to stop go another way
(`stop_phrases`), and are lost to nothing here.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from audio.hearing.agreement import key

if TYPE_CHECKING:
    from collections.abc import Sequence

    from languages.language import Language

_FEW: Final = 3
"""Words that a hum or a laugh is heard as, at most. More of them are a sentence."""

_SURE: Final = 0.3
"""Confidence (0..1) of a word that was said. As tiny.en hears them, 12 of 102 clips of 17 signs of listening want the
turn, and 15 of 174 of short interruptions ("Tom?", "nine") do not; by a confidence of 0.2 alone it was 33 and 18."""

_SURE_OF_A_HUM: Final = 0.5
"""That of a word whose only consonants are those of a hum: "home", "him", "I'm"."""

_SOUND: Final = re.compile(r"[hmn]+|(?:h+[aeiouäöü]+h*)+")
"""How hums and laughs are spelt: "Mmm", "Hmhm", "M.H.M.", "Haha"."""

_LIKE_A_HUM: Final = re.compile(r"[hmyaeiouäöüáéíóú]+")


def hummed(text: str) -> bool:
    """Say whether a text is spelt like hums or laughs, and so in no language."""
    return all(map(_SOUND.fullmatch, _keys(text)))


class Backchannels:
    """Those of a language, or of a user's own choice."""

    def __init__(self, language: Language, phrases: Sequence[str] | None = None) -> None:
        """`phrases` stand in place of the language's own."""
        chosen = language.listener.backchannels if phrases is None else phrases
        self._phrases = frozenset(tuple(map(key, phrase.split())) for phrase in chosen)
        self._asking = language.listener.asking
        self._chosen = phrases is not None
        """Whether a user says what a sign of listening is: then a hum is one only where it is among them."""

    def heard(self, text: str) -> bool:
        """Say whether a text is signs of listening, one after the other."""
        return self._made_of(_keys(text))

    def begun(self, text: str) -> bool:
        """Say whether words are the beginning of a longer sign of listening: "I" of "I see"."""
        words = tuple(_keys(text))
        return any(words == phrase[: len(words)] for phrase in self._phrases)

    def misheard(self, text: str, confidence: Sequence[float]) -> bool:
        """Say whether a text is no words, as far as the recogniser tells: a hum, a laugh, a cough."""
        said = _keys(text)
        asked = [sure_of for word, sure_of in zip(said, confidence, strict=False) if word in self._asking]
        if not said or (asked and not self._made_of(said[:1])):
            return False
        if asked:
            # The end of a sign of listening sounds like a word of its own: "Yeah, who?" is heard of "yeah".
            return len(said) <= _FEW and max(asked) < _SURE
        if hummed(text) or (len(said) >= _FEW and len(set(said)) == 1):
            return not self._chosen
        sure = self._words(said, confidence)
        return len(said) <= _FEW and bool(sure) and not any(sure_of >= _least(word) for word, sure_of in sure)

    def glimpsed(self, text: str, confidence: Sequence[float]) -> frozenset[str]:
        """Give the words that want the turn beyond doubt, of the beginning of what a short decode heard being said."""
        if self.heard(text) or self.begun(text) or self.misheard(text, confidence):
            return frozenset()
        words = self._words(_keys(text), confidence)
        return frozenset(word for word, sure in words if sure >= (_SURE if word in self._asking else _SURE_OF_A_HUM))

    def _words(self, said: Sequence[str], confidence: Sequence[float]) -> list[tuple[str, float]]:
        """Give the words that are no sign of listening by themselves, with their confidences."""
        return [(word, sure) for word, sure in zip(said, confidence, strict=False) if not self._made_of([word])]

    def _made_of(self, words: Sequence[str]) -> bool:
        heads = [length for length in range(1, min(len(words), 3) + 1) if tuple(words[:length]) in self._phrases]
        return not words or any(self._made_of(words[length:]) for length in heads)


def _least(word: str) -> float:
    return _SURE_OF_A_HUM if _LIKE_A_HUM.fullmatch(word) else _SURE


def _keys(text: str) -> list[str]:
    return [key(word) for word in text.split()]
