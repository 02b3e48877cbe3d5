"""Written text to text that can be spoken: no markup, no signs, only words and punctuation. Pure.

Takes away what is only for the eye (markdown, emoji, code fences, LaTeX); a language says what an eye reads at a glance
(numbers, units, addresses). Text of plain words comes out as it went in. Does not know voices or sound.
"""

from __future__ import annotations

import re
import unicodedata
from typing import TYPE_CHECKING, Final

from languages import english

if TYPE_CHECKING:
    from languages.language import Language

_CODE: Final = re.compile(r"```[^\n`]*\n.*?(?:```|\Z)", re.DOTALL)
_LINK: Final = re.compile(r"!?\[([^\]\n]*)\]\([^)\s]*\)")
_FRACTION: Final = re.compile(r"\\[dt]?frac\s*\{([^{}]*)\}\s*\{([^{}]*)\}")
_ROOT: Final = re.compile(r"\\sqrt\s*\{([^{}]*)\}")
_WRAPPED: Final = re.compile(r"\\(?:boxed|text|textbf|mathrm|mathbf|left|right)\s*\{([^{}]*)\}")
_COMMANDS: Final = {
    "times": " × ", "cdot": " × ", "div": " ÷ ", "pm": " ± ", "approx": " ≈ ", "neq": " ≠ ", "ne": " ≠ ",
    "leq": " ≤ ", "le": " ≤ ", "geq": " ≥ ", "ge": " ≥ ", "pi": " π ", "infty": " ∞ ", "circ": "°",
    "rightarrow": ", ", "to": ", ", "implies": ", ", "quad": " ", "degree": "°",
}  # fmt: skip
_MARKS: Final[tuple[tuple[re.Pattern[str], str], ...]] = tuple(
    (re.compile(pattern, re.MULTILINE), with_)
    for pattern, with_ in (
        (r"^[ \t]*(?:#{1,6}|>+)[ \t]+", ""),
        (r"^[ \t]*(?:[-*+•]|\d{1,2}\))[ \t]+(?=\S)", ""),
        (r"^[ \t]*[-*_=][-*_= \t]+$", ""),
        (r"^[ \t]*[|:-][|: \t-]*$", ""),
        (r"\*\*\*(\S(?:.*?\S)?)\*\*\*", r"\1"),
        (r"\*\*(\S(?:.*?\S)?)\*\*", r"\1"),
        (r"__(\S(?:.*?\S)?)__", r"\1"),
        (r"(?<![\w*])\*(\S(?:[^*\n]*?\S)?)\*(?![\w*])", r"\1"),
        (r"(?<!\w)_(\S(?:[^_\n]*?\S)?)_(?!\w)", r"\1"),
        (r"~~(\S(?:.*?\S)?)~~", r"\1"),
        (r"</?[a-zA-Z][^<>\n]*>", ""),
        (r"[ \t]*\|[ \t]*", ", "),
    )
)
_NUMBERED: Final = re.compile(r"^[ \t]*\d{1,2}\.[ \t]+(?=(\S+))", re.MULTILINE)
_LEFT_OVER: Final = re.compile(r"[*_`~^\\{}\[\]#|<>$€£₹¥=⁄√∞→]+")
_EMPTY_BRACKETS: Final = re.compile(r"\(\s*\)")
_SPACE: Final = re.compile(r"[^\S\n]+")
_BREAKS: Final = re.compile(r"([.!?:;,]?) *\n\s*")
_LEADING: Final = re.compile(r"^[^\w\"'“‘(]+")
_BEFORE_STOP: Final = re.compile(r" +(?=[,.;:!?](?:\s|$))")


def speakable(text: str, language: Language = english.LANGUAGE) -> str:
    """Return `text` as a reader of its language would say it; empty if there is nothing to say."""
    text = unicodedata.normalize("NFC", text)
    text = _CODE.sub(" ", text)
    text = _LINK.sub(r"\1", text)
    text = _latex(text)
    # In German, "1. Mai" heads a line and no list.
    dotted = language.sentences.dotted or frozenset()
    text = _NUMBERED.sub(lambda found: found.group() if found[1].lower().rstrip(".,") in dotted else "", text)
    for pattern, with_ in _MARKS:
        text = pattern.sub(with_, text)
    text = language.read_aloud(text.replace("`", ""))
    text = _LEFT_OVER.sub(" ", "".join(sign for sign in text if not _is_picture(sign)))
    text = _EMPTY_BRACKETS.sub(" ", text)
    text = _BREAKS.sub(lambda found: f"{found[1] or '.'} ", text.strip())
    text = _LEADING.sub("", _BEFORE_STOP.sub("", _SPACE.sub(" ", text))).strip()
    return text if any(sign.isalnum() for sign in text) else ""


def _latex(text: str) -> str:
    previous = ""
    while previous != text:
        previous = text
        text = _FRACTION.sub(r"\1 ∕ \2", text)
        text = _ROOT.sub(r"√ \1", text)
        text = _WRAPPED.sub(r"\1", text)
    text = re.sub(r"\\([a-zA-Z]+)", lambda found: _COMMANDS.get(found[1], " "), text)
    text = re.sub(r"\\%", "%", text)
    text = re.sub(r"\$\$?([^$\n]*[=×÷≈+^][^$\n]*)\$\$?", r"\1", text)
    return re.sub(r"\\[()\[\],;!: ]", " ", text)


def _is_picture(sign: str) -> bool:
    """Emoji, symbols, and the invisible signs that join and colour them."""
    return (
        unicodedata.category(sign) in {"So", "Sk", "Cf", "Cs", "Co", "Cn", "Cc"} and sign != "\n"
    ) or sign == "\ufe0f"
