"""Words that promise more: a clause that is to follow, or a word."""

from __future__ import annotations

from typing import Final

from audio.hearing.turn_end import OpenWords

ENGLISH: Final = OpenWords(
    leading=frozenset(
        {
            *("and", "so", "but", "or", "because", "well", "then", "also"),
            *("if", "when", "while", "whenever", "unless", "although", "though", "since", "as", "after", "before"),
            *("until", "once", "whether", "whereas", "given", "suppose"),
        }
    ),
    dangling=frozenset(
        {
            *("and", "or", "but", "so", "because", "if", "when", "that", "which", "than", "as", "not"),
            *("the", "a", "an", "my", "your", "his", "their", "our", "this", "these", "some", "any", "every"),
            *("of", "to", "with", "in", "on", "at", "for", "from", "by", "into", "about", "between", "without"),
            *("i", "we", "he", "she", "they", "is", "are", "was", "were", "am", "be", "will", "would", "can", "could"),
            *("um", "uh", "er", "erm", "hmm", "like"),
        }
    ),
    numbers=frozenset(
        {
            *("two", "three", "four", "five", "six", "seven", "eight", "nine", "ten", "eleven", "twelve", "thirteen"),
            *("fourteen", "fifteen", "sixteen", "seventeen", "eighteen", "nineteen", "twenty", "thirty", "forty"),
            *("fifty", "sixty", "seventy", "eighty", "ninety", "hundred", "thousand", "million", "dozen", "half"),
        }
    ),
)
