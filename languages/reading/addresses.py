"""Addresses of the web, of letters and of machines, whose names are the same in every language. Pure."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final
from urllib.parse import urlsplit

from languages.reading.grammar import Rule, rule

if TYPE_CHECKING:
    from collections.abc import Callable

_ENDS: Final = "com|org|net|edu|gov|info|io|ai|dev|app|co\\.uk|uk|de|ch|fr|es|eu|mx|nl|tv"
_FILES: Final = (
    "py|js|ts|txt|pdf|json|csv|md|html|css|xml|yaml|yml|toml|zip|png|jpg|jpeg|gif|svg|mp3|mp4|wav|docx?|xlsx?"
)
_EMAIL: Final = r"[\w+-]+(?:\.[\w+-]+){0,8}@[\w-]+(?:\.[\w-]+){1,8}"
_NAME: Final = rf"[\w-]+(?:\.[\w-]+){{0,8}}\.(?:{_ENDS})\b(?:/[\w./%-]*)?(?!\.?[\w@])"
_FILE: Final = rf"[\w-]+\.(?:{_FILES})\b(?!\.\w)"


@dataclass(frozen=True, slots=True)
class AddressWords:
    """What the signs of addresses are called."""

    at: str
    dot: str
    dash: str
    underscore: str
    plus: str
    hashtag: str
    digits: Callable[[str], str]

    def spell(self, address: str) -> str:
        """Say the signs of an address, and its figures one by one."""
        signs = {"@": self.at, ".": self.dot, "-": self.dash, "_": self.underscore, "+": self.plus}
        parts = re.findall(r"\d+|[.@_+-]|[^\W\d_]+", address)
        return " ".join(signs.get(part) or (self.digits(part) if part.isdigit() else part) for part in parts)

    def host(self, address: str) -> str:
        """Say where a page is, without what leads to it there."""
        trailing = address[len(address.rstrip(".,;:!?")) :]
        try:
            host = urlsplit(address if "://" in address else f"https://{address}").netloc.rpartition("@")[2]
        except ValueError:
            host = ""
        return self.spell(host.split(":")[0].removeprefix("www.").rstrip(".")) + trailing


def address_rules(words: AddressWords) -> tuple[tuple[Rule, ...], tuple[Rule, ...]]:
    """Give the rules that begin with letters, and those that begin with signs."""
    any_start = (
        rule(rf"(?<![\w.]){_EMAIL}", lambda found: words.spell(found.group())),
        rule(rf"(?<![\w.@]){_NAME}", lambda found: words.host(found.group())),
        rule(rf"(?<![\w.@]){_FILE}", lambda found: words.spell(found.group())),
    )
    in_letters = (rule(r"(?:(?i:https?)://|(?i:www)\.)[^\s<>()\[\]]+", lambda found: words.host(found.group())),)
    in_signs = (
        rule(r"(?<!\w)#(?=[A-Za-z]\w)", f"{words.hashtag} "),
        rule(r"(?<!\w)@(?=[A-Za-z])", f"{words.at} "),
    )
    return in_letters + any_start, any_start[:1] + in_signs
