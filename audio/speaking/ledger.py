"""The heard ledger: which words of a reply the user has really heard. Counts samples; has no clock and plays nothing.

    text  ->  samples queued (`add`)  ->  samples played (`played`)  ->  words heard (`heard`)

A word counts as heard when the part of its clip that was played covers all of its letters. So what `heard` returns
is never more than was played.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from collections.abc import Collection

    from audio.messages import Kind

_WORD_END: Final = re.compile(r"\S(?=\s|\Z)")


@dataclass(frozen=True, slots=True)
class LedgerEntry:
    """One clip of a reply."""

    clip: int
    """Its number."""

    text: str
    """The text as it was written, with the space after it."""

    samples: int
    """Its length in samples."""

    kind: Kind


class Ledger:
    """The clips of one reply, in the order in which they are played."""

    def __init__(self) -> None:
        self._entries: list[LedgerEntry] = []
        self._played = 0

    def add(self, clip: int, text: str, samples: int, kind: Kind) -> None:
        """Enter a clip that was queued for the listener."""
        self._entries.append(LedgerEntry(clip, text, samples, kind))

    def played(self, samples: int) -> None:
        """Tell how many samples of all clips together were played. Nothing can be unheard: less is ignored."""
        self._played = max(self._played, min(samples, self.queued_samples))

    @property
    def queued_samples(self) -> int:
        """Length of all clips."""
        return sum(entry.samples for entry in self._entries)

    @property
    def unplayed_samples(self) -> int:
        """Samples that wait to be played."""
        return self.queued_samples - self._played

    def heard(self) -> str:
        """Text of the reply that was heard, to the last whole word. Fillers are no part of the reply."""
        return "".join(text[:length] for text, length in self._heard_lengths())

    def cut(self) -> tuple[str, str]:
        """End the reply here: return its text that was heard and that was not, and forget the clips that were not."""
        parts = self._heard_lengths()
        heard = "".join(text[:length] for text, length in parts)
        unheard = "".join(text[length:] for text, length in parts)
        self._entries = [LedgerEntry(0, heard, self._played, "content")] if heard else []
        self._played = self.queued_samples
        return heard, unheard

    def drop(self, clips: Collection[int]) -> str:
        """Forget what was not heard of these clips, and mark where they break off; return what was heard of them."""
        heard, left, kept = [], self._played, list[LedgerEntry]()
        for entry in self._entries:
            part = min(left, entry.samples)
            left -= part
            if entry.clip not in clips:
                kept.append(entry)
            elif part:
                text = entry.text[: _heard_length(entry.text, part, entry.samples)]
                mark = " — " if text and part < entry.samples else ""
                kept.append(replace(entry, text=text + mark, samples=part))
                heard.append(text)
        self._entries = kept
        return "".join(heard)

    def _heard_lengths(self) -> list[tuple[str, int]]:
        """For each clip of the reply its text, and how many characters of that were heard."""
        lengths = []
        left = self._played
        for entry in self._entries:
            part = min(left, entry.samples)
            left -= part
            if entry.kind == "content":
                # What has no sound (a picture, a code block) counts once something after it was played.
                silent = len(entry.text) if left else 0
                length = _heard_length(entry.text, part, entry.samples) if entry.samples else silent
                lengths.append((entry.text, length))
        return lengths


def _heard_length(text: str, part: int, whole: int) -> int:
    if part == whole:
        return len(text)
    spoken = len(text.rstrip())
    ends = (found.end() for found in _WORD_END.finditer(text))
    return max((end for end in ends if end * whole <= part * spoken), default=0)
