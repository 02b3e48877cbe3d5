"""A stream of reply text in, clauses for the voice out, as soon as each is complete. No sound, no clock.

The clauses, put together, are the text that came in, to the letter, so that the ledger can tell how much of the
reply was heard. How the text was cut into pieces on its way in makes no difference. Where a full stop
ends a sentence is the language's.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from languages.english import ENGLISH

if TYPE_CHECKING:
    from audio.options import VoiceOptions
    from languages.language import Language

_CLOSING: Final = r"[\"'”’)\]*_]*"
_BOUNDARY: Final = re.compile(rf"(?:(?P<strong>[.!?…]+){_CLOSING}|(?P<weak>[,;:—–]){_CLOSING})\s|(?P<line>\n)")
_TOO_LONG: Final = re.compile(r"(?:\s*\S+\s){30}|[\s\S]{400}")
"""Text that goes on for 30 words or 400 characters is cut anyway: a voice has to breathe."""

_LIST_NUMBER: Final = re.compile(r"\s*(?:\d{1,2}|[a-zA-Z])\Z")


class Clauses:
    """Feed text with `receive`, then call `finish` once."""

    def __init__(self, options: VoiceOptions, language: Language = ENGLISH) -> None:
        self._language = language
        self._enough = options.first_clause_words
        self._enough_later = options.clause_words
        self._held = ""

    def receive(self, text: str) -> list[str]:
        """Take the next piece of text. Return the clauses that are complete now."""
        self._held += text
        clauses = []
        while cut := self._cut():
            clauses.append(self._held[:cut])
            self._held = self._held[cut:]
            if any(sign.isalnum() for sign in clauses[-1]):
                self._enough = self._enough_later
        return clauses

    def finish(self) -> list[str]:
        """Return what is left, as the last clause."""
        clauses = [self._held] if self._held else []
        self._held = ""
        return clauses

    def _cut(self) -> int:
        """Length of the first clause, or 0 if none is complete."""
        breath = _TOO_LONG.match(self._held)
        limit = breath.end() if breath else len(self._held)
        for found in _BOUNDARY.finditer(self._held):
            if found.end() > limit:
                break
            before = self._held[: found.start()]
            if not any(sign.isalnum() for sign in before):
                continue
            if found["weak"] and len(before.split()) < self._enough:
                continue
            if found["strong"] == ".":
                ends = _ends_sentence(before, self._held[found.end() - 1 :].lstrip(), self._language)
                if ends is None and not breath:
                    return 0
                if not ends:
                    continue
            return found.end()
        return limit if breath else 0


def _ends_sentence(before: str, after: str, language: Language) -> bool | None:
    """Whether a full stop between these ends a sentence. None as long as the next word is not there to tell."""
    if _LIST_NUMBER.match(before):
        return False
    word = before.rsplit(maxsplit=1)[-1].lstrip("\"'“‘„«¿¡([*_").casefold()
    rules = language.sentences
    if word in rules.never_last or (len(word) == 1 and word.isalpha() and word not in rules.letters):
        return False
    if rules.dotted is not None and word.isdigit() and len(word) <= 2:
        # "am 1. Mai": what follows tells, once it is whole.
        following = re.match(r"(\w+)\W", after)
        return None if following is None else following[1].casefold() not in rules.dotted
    if word not in rules.maybe_last:
        return True
    return after[0].isupper() if after else None
