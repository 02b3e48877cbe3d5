"""The root of everything that Descant raises on purpose. Each room has a tree under it, printed in its `errors.py`."""

from __future__ import annotations

from typing import ClassVar


class DescantError(Exception):
    """Something that can be told and mended: the message says what was wrong, with which value, and what to do."""

    exit_code: ClassVar[int] = 1
    """What the command line returns for it: 1, the environment or the run failed; 2, bad input."""


def is_failure(error: BaseException) -> bool:
    """Say whether a library has failed, rather than somebody ended the program.

    A panic of one that is written in Rust is no Exception, and its class cannot be imported.
    """
    return isinstance(error, Exception) or type(error).__name__ == "PanicException"
