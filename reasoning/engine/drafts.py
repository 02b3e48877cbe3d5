"""Draft tokens by lookup: what followed where the last words of a view stood before.

What a writer says stands in part in the thoughts, and thoughts repeat the question and themselves. A step that is bound
by reading weights computes a second row for little, so it computes a guess with the token that is certain; guesses
that turn out to be what the sampler chooses are tokens made without a step of their own.

Sans-I/O: tokens in, guesses out, and which of them are worth their rows. Knows no cache, no model and no clock; how
probable a guess is, it learns from all that came true or did not, whether they were computed or not.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

MOST_ROWS: Final = 8
"""Rows of a step with drafts: up to so many the C kernels give each row the same bits in any company."""
_AVX2: Final = (0.0, 1.0, 1.13, 1.4, 1.57, 2.05, 2.3, 2.55, 2.9)
ROW_COSTS: Final[Mapping[str, Sequence[float]]] = {
    "avx2": _AVX2,
    "avx-vnni": _AVX2,
    "avx512-vnni": (0.0, 1.0, 1.07, 1.18, 1.3, 1.43, 1.58, 1.73, 1.9),
}
"""What a step costs by its rows, against one row, by the instruction set of the kernels; of the default model on two
cores. For AVX-512 from the table of `descant bench engine`, with what lies between its numbers of streams. None for
sets whose rows were not measured: more rows may cost as much as more steps there."""
_LONGEST: Final = 8
"""Tokens that are compared: a longer match is no more certain."""
_PLACES: Final = 4
"""Of each token in each text that are compared, the newest: older ones rarely match better."""
_LOOK: Final = 512
"""Tokens of a text that are looked through in a step, so that long ones delay none."""
_GONE: Final = 256
"""Tokens that are kept of a text that was taken back: its beginning comes again, if anything does."""
_ALL_GONE: Final = 2048
"""Tokens that are kept of all such texts."""
_WEIGHT: Final = 1 / 24
"""Of the newest outcome in a running rate."""
_PRIOR: Final = (0.0, 0.35, 0.45, 0.5, 0.55, 0.55, 0.6, 0.7, 0.75)
"""Rates to begin with, by the length of the match: about those of the questions of `descant bench think`."""
_EVEN: Final = 1.02
"""By so much a step may get dearer for a stream that gains nothing by it."""
_MOST_AHEAD: Final = 4.0
"""Tokens that a stream may be ahead by; more would let it be slowed for long."""
_END: Final = -1
"""Lies between texts that were taken back."""


class Occurrences:
    """Where in a growing text each token stood last with something behind it."""

    __slots__ = ("_ends", "_looked")

    def __init__(self) -> None:
        self._ends: dict[int, tuple[int, ...]] = {}
        self._looked = 0

    def crop(self, length: int) -> None:
        """Note that the text is cut; places behind that are found to be wrong when they are looked up."""
        self._looked = min(self._looked, length)

    def look_through(self, text: Sequence[int]) -> None:
        """Take in what has been added, up to a bound."""
        stop = min(len(text), self._looked + _LOOK)
        for end in range(max(self._looked, 1), stop):
            token = text[end - 1]
            self._ends[token] = (end, *self._ends.get(token, ())[: _PLACES - 1])
        self._looked = stop

    def match(self, text: Sequence[int], tail: Sequence[int]) -> tuple[int, int]:
        """Give behind which place most tokens of a tail stand, the newest such place, and how many; 0, 0: none does."""
        best = (0, 0)
        for end in self._ends.get(tail[-1], ()):
            if end < len(text) and (length := _matching(text, end, tail)) > best[1]:
                best = end, length
        return best


def _matching(text: Sequence[int], end: int, tail: Sequence[int]) -> int:
    length, most = 0, min(end, len(tail))
    while length < most and text[end - 1 - length] == tail[-1 - length]:
        length += 1
    return length


@dataclass(frozen=True, slots=True)
class Draft:
    """What may follow."""

    tokens: Sequence[int] = ()
    match: int = 0
    """Tokens before it that stood before it elsewhere, too."""
    odds: Sequence[float] = ()
    """For each token, how probable it is that it and all before it come true; falling."""


NO_DRAFT: Final = Draft()


class Guesser:
    """What one session's streams go by: how often guesses came true, and what was taken back."""

    def __init__(self) -> None:
        self._rates = list(_PRIOR)
        self._gone: list[int] = []
        self._gone_at = Occurrences()

    def rate(self, match: int) -> float:
        """Give how often a guess lately came true behind a match of so many tokens."""
        return self._rates[min(match, _LONGEST)]

    def look_up(self, texts: Sequence[tuple[Sequence[int], Occurrences]], limit: int) -> Draft:
        """Give up to `limit` tokens that followed where most tokens of the view's end stood before.

        `texts` are the view's blocks from the last, which the tokens are for, to the first; of equal matches that of
        the earlier one of these counts, and what was taken back counts last.
        """
        tail: list[int] = []
        for text, _ in texts:
            tail[:0] = text[len(tail) - _LONGEST :]
            if len(tail) >= _LONGEST:
                break
        best, found = 0, list[int]()
        for text, occurrences in (*texts, (self._gone, self._gone_at)) if tail else ():
            occurrences.look_through(text)
            end, match = occurrences.match(text, tail)
            if match > best:
                best, found = match, list(text[end : end + limit])
        if _END in found:
            del found[found.index(_END) :]
        odds, probability = list[float](), 1.0
        for place in range(len(found)):
            probability *= self.rate(best + place)
            odds.append(probability)
        return Draft(found, best, odds)

    def note(self, draft: Draft, chosen: Sequence[int]) -> None:
        """Take in what was chosen where a draft was guessed."""
        for place, (guess, token) in enumerate(zip(draft.tokens, chosen, strict=False)):
            at = min(draft.match + place, _LONGEST)
            self._rates[at] += _WEIGHT * ((guess == token) - self._rates[at])
            if guess != token:
                break

    def note_gone(self, text: Sequence[int], length: int) -> None:
        """Take in that a text is cut to a length: what is cut off is often written again."""
        self._gone += [_END, *text[max(0, length - _LONGEST) : length + _GONE]]
        if len(self._gone) > _ALL_GONE:
            del self._gone[: -_ALL_GONE // 2]
            self._gone_at = Occurrences()


def allotted(drafts: Sequence[Draft], costs: Sequence[float], ahead: Sequence[float]) -> tuple[list[int], list[float]]:
    """Say how many tokens of each stream's draft a step is worth, and by how much each stream is ahead after it.

    `costs`: by its number of rows, what a step costs; rows that it does not tell of are not taken. The streams' own
    rows are one each. `ahead`: tokens that each may be expected to be ahead of where it would be without any drafts.
    A step is made larger only where none falls behind that: a stream that gains less than the step gets dearer pays
    with what drafts have gained it before.
    """
    own, most, counts, after = len(drafts), 1.0, [0] * len(drafts), list(ahead)
    for rows in range(own + 1, min(len(costs), MOST_ROWS + 1)):
        dearer = costs[rows] / costs[own]
        found = _shared(drafts, rows - own, [dearer / _EVEN - tokens for tokens in ahead])
        made = [1 + sum(draft.odds[:count]) for draft, count in zip(drafts, found, strict=True)]
        if sum(found) and sum(made) / own / dearer > most:
            most, counts = sum(made) / own / dearer, found
            after = [min(_MOST_AHEAD, was + new - dearer / _EVEN) for was, new in zip(ahead, made, strict=True)]
    return counts, after


def _shared(drafts: Sequence[Draft], rows: int, needed: Sequence[float]) -> list[int]:
    """Share rows out: to each stream what brings it the tokens that it needs, the rest where odds are best.

    None to anyone where not all streams can be given what they need.
    """
    counts = []
    for draft, wanted in zip(drafts, needed, strict=True):
        count, tokens = 0, 1.0
        while tokens < wanted and count < len(draft.odds):
            tokens += draft.odds[count]
            count += 1
        counts.append(count)
        rows -= count
        if tokens < wanted or rows < 0:
            return [0] * len(drafts)
    others = [(odds, number) for number, draft in enumerate(drafts) for odds in draft.odds[counts[number] :]]
    for _, number in sorted(others, reverse=True)[:rows]:
        counts[number] += 1
    return counts
