"""How long does a pause last before the turn is over? Words, melody and earlier pauses in, milliseconds out. Pure.

A pause is waited out for `shortest + (longest - shortest) * openness`, where the openness of the turn (0..1) is a
logistic function of eight things that are known when the words of the pause are. Its weights were fitted to the pauses
of people, of people who are cut off, and of a synthetic voice: least waiting at true ends, and a price on every turn
that is cut (`descant bench turns`, docs/bench.md). Which words promise more, the language says.
"""

from __future__ import annotations

import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

from audio.clock import RATE
from audio.hearing.agreement import key
from audio.hearing.vad import RESUME

if TYPE_CHECKING:
    from audio.messages import Words
    from audio.options import EarsOptions
    from languages.language import Language

Ending = Literal["question", "statement", "unfinished"]
"""How a transcript ends: a question mark, another end of a sentence, or neither."""

_SENTENCE_END: Final = re.compile(r"(?<=[.?!])\s+")


@dataclass(frozen=True, slots=True)
class TurnSoFar:
    """What is known of a turn that pauses, beside how its words end."""

    complete: float
    """Probability (0..1) that it sounds finished, by its melody."""

    leads: bool = False
    """Its last sentence begins with a word that promises another clause ("and so", "if")."""

    dangles: bool = False
    """It ends with a word that wants another one behind it ("the", "with")."""

    reckons: bool = False
    """Its last sentence gives two numbers or more: what is to be done with them may come."""

    doubt: float = 0.0
    """Mean of -log of the confidences of its words, nats: half a sentence is heard less surely than a whole one."""

    paused_s: float = 0.0
    """Longest pause in it before this one, s: whoever paused long will do so again."""


class TurnPauses:
    """Keeps what a turn's pauses tell, on the input clock."""

    def __init__(self, language: Language) -> None:
        self.language = language
        """What is spoken."""
        self._began = 0
        self._longest = 0

    def turn_began(self) -> None:
        """Forget the turn before."""
        self._longest = 0

    def paused(self, last_sample: int) -> None:
        """Take note that speech paused behind that sample."""
        self._began = last_sample

    def went_on(self, at: int) -> None:
        """Take note that speech was heard again by that sample."""
        self._longest = max(self._longest, at - RESUME - self._began)

    def heard(self, words: Words, text: str) -> TurnSoFar | None:
        """Say what is known of the turn; `text` is what is to be answered. None where nobody judged its melody."""
        if words.complete is None:
            return None
        last = [key(word) for word in _SENTENCE_END.split(text.strip())[-1].split()] or [""]
        sentences, numbers = self.language.sentences, self.language.numbers.spelled
        sure = words.confidence
        return TurnSoFar(
            words.complete,
            leads=last[0] in sentences.leading,
            dangles=last[-1] in sentences.unfinished,
            reckons=sum(word in numbers or any(map(str.isdigit, word)) for word in last) >= _SOME_NUMBERS,
            doubt=-sum(math.log(max(one, _LEAST)) for one in sure) / len(sure) if sure else 0.0,
            paused_s=self._longest / RATE,
        )


def ending(text: str) -> Ending:
    """Say how a transcript ends; Whisper hears that from words and melody."""
    bare = text.rstrip("\"')")
    if bare.endswith("?"):
        return "question"
    return "statement" if bare.endswith((".", "!")) and not bare.endswith("...") else "unfinished"


NAMES: Final = ("bias", "melody", "question", "unfinished", "leads", "dangles", "reckons", "doubt", "paused")
"""What the weights belong to, in the order of `features`."""

WEIGHTS: Final = (-3.1, 2.64, -0.98, 4.13, 2.1, 0.97, 0.72, 2.77, 7.06)
"""Logits of openness for each unit of a feature; `descant bench turns` prints them."""

_SHORT_S: Final = 0.3
"""A pause up to this is a breath, and tells nothing about the next one."""

_LONG_S: Final = 0.9
"""One that is longer than this tells no more than one of this length."""

_OF_QUESTIONS: Final = 0.4
"""So much of it counts of an open melody where the words ask: many a question rises, and sounds open to the judge."""

_DOUBT_MOST: Final = 1.0

_SOME_NUMBERS: Final = 2

_LEAST: Final = 1e-3
"""Confidence of a word that counts, at least: one of nothing at all is no worse than a word that is wrong."""


def features(ending: Ending, heard: TurnSoFar) -> tuple[float, ...]:
    """Give what the weights are multiplied with."""
    return (
        1.0,
        (1.0 - heard.complete) * (_OF_QUESTIONS if ending == "question" else 1.0),
        float(ending == "question"),
        float(ending == "unfinished"),
        float(heard.leads and ending == "statement"),
        float(heard.dangles and ending == "statement"),
        float(heard.reckons and ending == "statement"),
        min(heard.doubt, _DOUBT_MOST),
        min(max(heard.paused_s, _SHORT_S), _LONG_S) - _SHORT_S,
    )


def openness(ending: Ending, heard: TurnSoFar, weights: tuple[float, ...] = WEIGHTS) -> float:
    """Say how open the turn is, from 0 (over) to 1 (in the middle)."""
    logit = sum(weight * value for weight, value in zip(weights, features(ending, heard), strict=True))
    return 1 / (1 + math.exp(-logit))


def wait_ms(ending: Ending, heard: TurnSoFar | None, options: EarsOptions) -> int:
    """Give the silence that ends a turn, in ms; where nobody judged its melody, its words alone decide."""
    if heard is None:
        return options.end_ms(ending)
    shortest, longest = options.end_ms("question"), options.end_ms("unfinished")
    return round(shortest + (longest - shortest) * openness(ending, heard))
