"""What is spoken in a conversation: the languages that settings name, and what a typed text is in. Pure."""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from languages.known import known_languages, language_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from languages.language import Language

AUTO: Final = "auto"
"""Stands for a code where the speaker is followed."""
_WORD: Final = re.compile(r"[^\W\d_]+")


def spoken(language: str, languages: Sequence[str] = ()) -> tuple[Language, ...]:
    """Give the languages that may be spoken, that of the beginning first.

    language: a code, or `auto`. languages: codes that `auto` chooses from; none: all there are, English first.

    Raises:
        UnknownLanguage: nobody has described one of them.

    """
    if language != AUTO:
        return (language_of(language),)
    return tuple(map(language_of, languages or sorted(known_languages(), key=lambda code: (code != "en", code))))


def written_in(text: str, among: Sequence[Language], now: Language) -> Language:
    """Give the language of a text by its small words; `now`, which is spoken, where they tell nothing."""
    words = {word.casefold() for word in _WORD.findall(text)}

    def hits(language: Language) -> int:
        return len(words & (language.sentences.unfinished | language.corrections.says_nothing))

    best = max(among, key=lambda language: (hits(language), language is now))
    return best if hits(best) > hits(now) else now
