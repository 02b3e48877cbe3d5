"""Whether the name of a place was misheard: what the ears are unsure of, or what only sounds like a place. Pure.

Whoever drives somewhere on a guess does wrong; whoever asks "Do you mean the hall?" loses a second. Four things are
doubtful: a known name that was heard only with the names in mind, in a transcript that was not taken; one that the ears
heard with little confidence; a word that sounds like a known name and stands where a place stands ("go to the hole");
and "there" where no place was named. The words around a place are those of a language.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from itertools import combinations
from typing import TYPE_CHECKING, Final

from audio.hearing.agreement import edits, key
from languages.english import ENGLISH
from robots.site import spoken

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from languages.language import Language, PlaceWords

UNSURE: Final = 0.4
"""Confidence (0..1) under which the name of a place is asked about; names that were said have 0.9 as a rule."""
_CLAUSE: Final = re.compile(r"[.,;:!?]$")
_VOWEL: Final = re.compile(r"[EOaeiouyäöü]")
"""Vowels, as `_sound` leaves them."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A place that was perhaps not heard right."""

    request: str
    """What was asked for, if the place is meant."""
    start: int
    stop: int
    """The words of it that stand for the place."""
    name: str
    """The place that is probably meant; nothing where no place was named at all."""
    otherwise: str = ""
    """What was asked for, if it is not; nothing where that would be no better."""
    also: tuple[str, ...] = ()
    """Further places that are doubtful in the same way."""
    language: Language = ENGLISH
    """What is spoken."""

    def question(self, names: Iterable[str]) -> str:
        """Ask for the place."""
        words = self.language.places
        if self.name:
            return words.meant.format(words.both.join(words.one.format(name) for name in (self.name, *self.also)))
        *most, last = (words.one.format(name) for name in sorted(names))
        return words.where.format(f"{', '.join(most)}{words.either if most else ''}{last}")

    def mended(self, name: str) -> str:
        """Give the request with this place in it."""
        words = self.request.split()
        end = re.search(r"[.,;:!?]*$", words[self.stop - 1])
        place = (name if self.name else self.language.places.inside.format(name)) + (end.group() if end else "")
        return " ".join((*words[: self.start], place, *words[self.stop :]))


def doubt(
    heard: str,
    names: Iterable[str],
    confidence: Sequence[float] = (),
    *,
    other: str = "",
    ordinary: Iterable[str] = (),
    known: bool = False,
    language: Language = ENGLISH,
) -> Doubt | None:
    """Find a place that was perhaps misheard.

    names: the places there are, in lower case.
    confidence: that of the last words; words without one are believed.
    other: what else may have been said.
    ordinary: words that are no misheard place, such as the names of what can be done.
    known: whether "there" may be a place that was named before, or no place to go to.
    """
    near_by = language.places
    places = {name: tuple(map(key, spoken(name).split())) for name in sorted(names)}
    words = heard.split()
    named = _named(words, places)
    heard_names = {name for _, name in named}
    new = [(span, name) for span, name in _named(other.split(), places) if name not in heard_names]
    if new:
        (span, name), *also = new
        return Doubt(other, span.start, span.stop, name, heard, tuple(name for _, name in also), language)
    sure = [1.0] * (len(words) - len(confidence)) + list(confidence)[-len(words) :]
    for span, name in named:
        if min(sure[at] for at in span) < UNSURE:
            return Doubt(heard, span.start, span.stop, name, language=language)
    near = _near(words, places, {at for span, _ in named for at in span}, near_by.calls | set(ordinary), near_by)
    if near is not None:
        return Doubt(heard, near[0].start, near[0].stop, near[1], otherwise=heard, language=language)
    there = None if named or known else _there([key(word) for word in words], near_by)
    return None if there is None else Doubt(heard, there, there + 1, "", language=language)


def alike(names: Iterable[str], language: Language = ENGLISH) -> list[tuple[str, str]]:
    """Return pairs of names that sound alike but for their vowels: a request for one is perhaps heard as the other."""
    numbers = language.numbers.values
    words = {name: [f"{numbers.get(word, word)}" for word in spoken(name).split()] for name in sorted(names)}
    sounds = {name: _VOWEL.sub("", _sound(" ".join(said), language.places)) for name, said in words.items()}
    return [(one, other) for one, other in combinations(sounds, 2) if sounds[one] and sounds[one] == sounds[other]]


def _named(words: Sequence[str], places: Mapping[str, tuple[str, ...]]) -> list[tuple[range, str]]:
    """Give the places that words name, and where."""
    keys = [key(word) for word in words]
    return [
        (range(start, start + len(parts)), name)
        for start in range(len(keys))
        for name, parts in places.items()
        if tuple(keys[start : start + len(parts)]) == parts
    ]


def _near(
    words: Sequence[str],
    places: Mapping[str, tuple[str, ...]],
    taken: set[int],
    ordinary: frozenset[str],
    around: PlaceWords,
) -> tuple[range, str] | None:
    """Give the first words that sound like a place and stand where a place stands, and the place."""
    keys = [key(word) for word in words]
    for start in range(len(keys)):
        found = []
        for name, parts in places.items():
            span = range(start, start + len(parts))
            said = " ".join(keys[start : span.stop])
            far = _far(said, spoken(name), around)
            free = span.stop <= len(keys) and not taken & set(span) and said not in ordinary
            if free and far <= max(1, len(name) // 5) and _place_stands(words, keys, span, around):
                found.append((far, name, span))
        if found:
            _, name, span = min(found, key=lambda one: one[:2])
            return span, name
    return None


def _place_stands(words: Sequence[str], keys: Sequence[str], span: range, around: PlaceWords) -> bool:
    """Say whether words stand where a place is named: behind "to the", before the end of the clause."""
    opens = (
        span.start == 0 or keys[span.start - 1] in around.before or _CLAUSE.search(words[span.start - 1]) is not None
    )
    ends = (
        span.stop == len(words) or keys[span.stop] in around.after or _CLAUSE.search(words[span.stop - 1]) is not None
    )
    return opens and ends


def _there(keys: Sequence[str], words: PlaceWords) -> int | None:
    """Give the place of "there" where it means a place."""
    triples = enumerate(zip(["", *keys], keys, [*keys[1:], ""], strict=False))
    return next(
        (
            at
            for at, (before, word, behind) in triples
            if word in words.there and before not in words.over_there and behind not in words.there_is
        ),
        None,
    )


def _far(said: str, name: str, words: PlaceWords) -> int:
    """Count the sounds in which two texts differ."""
    return edits(list(_sound(said, words)), list(_sound(name, words)))


def _sound(text: str, words: PlaceWords) -> str:
    """Give roughly how words sound."""
    for spelled, sounds in words.sounds:
        text = re.sub(spelled, sounds, text)
    return text
