"""What can go wrong with languages."""

from __future__ import annotations

from typing import ClassVar

from descant.errors import DescantError


class LanguageError(DescantError):
    """Root of this room's errors."""


class UnknownLanguage(LanguageError):
    """Nobody has described a language; the text names those that are there."""

    exit_code: ClassVar[int] = 2
