"""How sure a model is of what nobody has told it: numbers and names of a reply without thoughts.

What it knows of the world it says with some probability, which costs nothing to look at. Where a number or a name was
hardly likelier than another one, it is said with the doubt that it has. Sans-I/O.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reasoning.policies.grounding import ungrounded

if TYPE_CHECKING:
    from collections.abc import Sequence

    from languages.language import Language

UNSURE: Final = -0.4
"""Log-probability below which a token of a number or name is doubtful: docs/bench.md has what that catches."""


def least_sure(pieces: Sequence[tuple[str, float]], known: str, language: Language) -> float:
    """Give the log-probability of the least likely token in a number or name that is not known; 0 without any.

    pieces: the text of each token of a sentence, with its log-probability. How a sentence begins is a matter of
    wording, so its first word does not count.
    """
    text, spans = "", list[tuple[int, float]]()
    for piece, log_prob in pieces:
        text += piece
        spans.append((len(text), log_prob))
    strange = set(ungrounded(text, known, language=language))
    least = 0.0
    for word in [*language.numbers.token.finditer(text)][1:] if strange else []:
        told = {f"{value:g}" for value in language.numbers.values_in(word[0])} or {word[0].lower()}
        if told & strange:
            inside = (
                log_prob
                for (begins, _), (ends, log_prob) in zip([(0, 0.0), *spans], spans, strict=False)
                if begins < word.end() and ends > word.start()
            )
            least = min(least, *inside)
    return least
