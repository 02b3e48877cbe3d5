"""The languages there are: every module of this room that has a `LANGUAGE`. One more module is one more language."""

from __future__ import annotations

import pkgutil
from functools import cache
from importlib import import_module
from typing import TYPE_CHECKING

import languages
from languages.errors import UnknownLanguage

if TYPE_CHECKING:
    from collections.abc import Mapping

    from languages.language import Language


@cache
def known_languages() -> Mapping[str, Language]:
    """Give all languages by their codes."""
    modules = [import_module(f"languages.{module.name}") for module in pkgutil.iter_modules(languages.__path__)]
    found: list[Language] = [module.LANGUAGE for module in modules if hasattr(module, "LANGUAGE")]
    return {language.code: language for language in sorted(found, key=lambda one: one.code)}


def language_of(code: str) -> Language:
    """Give a language by its code. Raises UnknownLanguage."""
    try:
        return known_languages()[code]
    except KeyError:
        codes = ", ".join(f"{known} ({language.name})" for known, language in known_languages().items())
        raise UnknownLanguage(f"there is no language {code[:40]!r} here; there are {codes}") from None
