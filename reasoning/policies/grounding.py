"""Which numbers and names a sentence states, and whether others have stated them before.

Speech may state only what the user or the thoughts contain (the disclosure rule). What a number and what a name is,
is the language's: spelled numbers count as their value, and German writes every noun large. Thoughts are asked again
with each step that they grow by, so what a line holds is remembered. Sans-I/O.
"""

from __future__ import annotations

from functools import lru_cache
from typing import TYPE_CHECKING, Final

from languages.english import ENGLISH

if TYPE_CHECKING:
    from collections.abc import Iterator

    from languages.language import Language

_SENTENCE_START: Final = frozenset('.!?:;\n"“„«¿¡(-*')
# Said of nothing in particular: "one of them", "for a second".
_FREE_NUMBERS: Final = frozenset({0.0, 1.0})
_LINES: Final = 4096
"""Lines that are remembered: some conversations' thoughts."""
_LINE_CHARACTERS: Final = 400
"""Of a line that is remembered: few steps are longer."""


def numbers(text: str, language: Language = ENGLISH) -> set[float]:
    """Give the values of all numbers in the text, in figures or spelled."""
    return {value for line in text.split("\n") for value in _read(line, language)[0]}


def pieces(text: str, language: Language = ENGLISH) -> list[float | str]:
    """Give the text in reading order, each number as its value and every other word in lower case; no signs."""
    return language.numbers.pieces(text)


def names(text: str, language: Language = ENGLISH) -> set[str]:
    """Give the names in the text, by the rule of the language; days and months anywhere."""
    rules, found, begins, titled = language.names, set[str](), True, False
    ordinary = rules.free | language.numbers.spelled
    for token in language.numbers.tokens(text.replace("\n", " . ")):
        word = _plain(token, language)
        large = token[0].isupper() and word not in ordinary
        if word in rules.calendar or (large and ((rules.capitals and not begins) or titled)):
            found.add(word)
        begins, titled = token in _SENTENCE_START, word in rules.titles
    return found


def ungrounded(sentence: str, *sources: str, language: Language = ENGLISH) -> list[str]:
    """Give the numbers and names of the sentence that no source contains, in reading order of kind."""
    known = "\n".join(sources)
    known_numbers = numbers(known, language) | _FREE_NUMBERS
    known_words = {word for line in known.split("\n") for word in _read(line, language)[1]}
    strange: list[str] = [f"{value:g}" for value in sorted(numbers(sentence, language) - known_numbers)]
    return strange + sorted(names(sentence, language) - known_words)


def last_number(text: str, language: Language = ENGLISH) -> float | None:
    """Give the last number that the text states, the usual place of a result."""
    return next(_backwards(text, language), None)


def _backwards(text: str, language: Language) -> Iterator[float]:
    for line in reversed(text.split("\n")):
        yield from reversed(_read(line, language)[0])


def _read(line: str, language: Language) -> tuple[tuple[float, ...], frozenset[str]]:
    """Give the numbers of a line in their order, and its words."""
    return (remembered if len(line) <= _LINE_CHARACTERS else _parsed)(line, language)


def _parsed(line: str, language: Language) -> tuple[tuple[float, ...], frozenset[str]]:
    words = frozenset(_plain(token, language) for token in language.numbers.tokens(line))
    return tuple(language.numbers.values_in(line)), words


remembered = lru_cache(_LINES)(_parsed)
"""The same of a line that was read before."""


def _plain(word: str, language: Language) -> str:
    return word.lower().replace("’", "'").removesuffix(language.names.possessive)
