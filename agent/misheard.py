"""Whether the name of a place was misheard: what the ears are unsure of, or what only sounds like a place. Pure.

Whoever drives somewhere on a guess does wrong; whoever asks "Do you mean the hall?" loses a second. Three things are
doubtful: a known name that the ears heard with little confidence, a word that sounds like a known name and stands where
a place stands ("go to the hole"), and "there" where no place was named. English.
"""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from audio.agreement import edits, key

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence

UNSURE: Final = 0.5
"""Confidence (0..1) under which the name of a place is asked about; names that were said have 0.9 as a rule."""
_BEFORE: Final = frozenset(
    {
        *("to", "at", "in", "into", "from", "the", "via", "past", "towards", "toward", "near", "by"),
        *("go", "drive", "come", "head", "get", "return", "back", "over"),
    }
)
"""Words behind which a place is named; so does a clause begin."""
_AFTER: Final = frozenset(
    {"and", "then", "please", "now", "first", "next", "second", "last", "again", "before", "after", "afterwards", "for"}
)
"""Words before which the name of a place has come to its end; so does a clause end."""
_CALLS: Final = frozenset({"hello", "hallo", "hey", "hi", "well", "oh", "ah", "so", "or", "do", "you", "right"})
"""Words that open or close a clause and sound like a place, or nearly."""
_CLAUSE: Final = re.compile(r"[.,;:!?]$")
_THERE: Final = "there"
_THERE_IS: Final = frozenset({"is", "are", "was", "were", "will"})
_SPELLED: Final = (
    *((r"^kn", "n"), (r"^wh(?=o)", "h"), (r"^wr", "r"), ("ph", "f"), ("gh", ""), ("tch|ch", "C"), ("sh", "S")),
    *(("th", "T"), ("ck|q", "k"), ("c(?=[eiy])", "s"), ("c", "k"), ("x", "ks"), ("z", "s"), (r"(?<=.)e$", "")),
    *(("[eiy]+[aeiouy]*", "E"), ("[aou]+[aeiouwy]*", "O"), (r"(.)\1+", r"\1")),
)
"""Spellings and what they sound like, roughly: vowels are bright or dark."""


@dataclass(frozen=True, slots=True)
class Doubt:
    """A place that was perhaps not heard right."""

    heard: str
    """All that was heard."""
    start: int
    stop: int
    """The words of it that stand for the place."""
    name: str
    """The place that is probably meant; nothing where no place was named at all."""
    certain: bool
    """Whether the words as they were heard name no place: then a no leaves a request that can be carried out."""

    def question(self, names: Iterable[str]) -> str:
        """Ask for the place."""
        if self.name:
            return f"Do you mean the {self.name}?"
        *most, last = sorted(names)
        return f"Where do you mean: the {', the '.join(most)}{' or the ' if most else ''}{last}?"

    def mended(self, name: str) -> str:
        """Give what was heard with this place in it."""
        words = self.heard.split()
        end = re.search(r"[.,;:!?]*$", words[self.stop - 1])
        place = (name if self.name else f"in the {name}") + (end.group() if end else "")
        return " ".join((*words[: self.start], place, *words[self.stop :]))


def doubt(
    heard: str,
    names: Iterable[str],
    confidence: Sequence[float] = (),
    *,
    others: Iterable[str] = (),
    known: bool = False,
) -> Doubt | None:
    """Find the first place that was perhaps misheard.

    names: the places there are, in lower case.
    confidence: that of the last words; words without one are believed.
    others: words that are no misheard place, such as the names of what can be done.
    known: whether "there" may be a place that was named before.
    """
    places = {name: tuple(map(key, name.split())) for name in sorted(names)}
    words = heard.split()
    keys = [key(word) for word in words]
    sure = [1.0] * (len(words) - len(confidence)) + list(confidence)[-len(words) :]
    named = [
        (range(start, start + len(parts)), name)
        for start in range(len(keys))
        for name, parts in places.items()
        if tuple(keys[start : start + len(parts)]) == parts
    ]
    for span, name in named:
        if min(sure[at] for at in span) < UNSURE:
            return Doubt(heard, span.start, span.stop, name, certain=False)
    taken = {at for span, _ in named for at in span}
    ordinary = _CALLS | set(others)
    for start in range(len(keys)):
        near = []
        for name, parts in places.items():
            span = range(start, start + len(parts))
            said = " ".join(keys[start : span.stop])
            if span.stop <= len(keys) and not taken & set(span) and _place_stands(words, keys, span):
                far = _far(said, name)
                near += [(far, span, name)] if said not in ordinary and far <= max(1, len(name) // 5) else []
        if near:
            _, span, name = min(near, key=lambda found: found[0])
            return Doubt(heard, span.start, span.stop, name, certain=True)
    there = None if named or known else _there(keys)
    return None if there is None else Doubt(heard, there, there + 1, "", certain=False)


def _place_stands(words: Sequence[str], keys: Sequence[str], span: range) -> bool:
    """Say whether words stand where a place is named: behind "to the", before the end of the clause."""
    opens = span.start == 0 or keys[span.start - 1] in _BEFORE or _CLAUSE.search(words[span.start - 1]) is not None
    ends = span.stop == len(words) or keys[span.stop] in _AFTER or _CLAUSE.search(words[span.stop - 1]) is not None
    return opens and ends


def _there(keys: Sequence[str]) -> int | None:
    """Give the place of "there" where it means a place."""
    pairs = enumerate(zip(keys, [*keys[1:], ""], strict=False))
    return next((at for at, (word, behind) in pairs if word == _THERE and behind not in _THERE_IS), None)


def _far(said: str, name: str) -> int:
    """Count the sounds in which two texts differ."""
    return edits(list(_sound(said)), list(_sound(name)))


def _sound(text: str) -> str:
    """Give roughly how English words sound."""
    for spelled, sounds in _SPELLED:
        text = re.sub(spelled, sounds, text)
    return text
