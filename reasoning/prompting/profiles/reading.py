"""Reads profiles from TOML: those that ship, and those of a user's own file, which go before them.

A profile is a table; its name is the profile's. What is wrong in a file is told in one line, with the file and the
field.
"""

from __future__ import annotations

import tomllib
from collections.abc import Mapping
from functools import cache
from pathlib import Path
from typing import Any, Final, get_args

from descant.ranges import Range, ranges
from reasoning.errors import BadProfile
from reasoning.options import LoopOptions
from reasoning.prompting.profiles.profile import (
    UNKNOWN,
    Calibration,
    ModelProfile,
    RoleBudgets,
    RoleSampling,
    ThinkingStyle,
    plain_name,
)

_SHIPPED: Final = Path(__file__).with_name("shipped.toml")
_MAX_BYTES: Final = 1 << 18
_MAX_CHARACTERS: Final = 400
"""Of one text in a profile."""
_STYLES: Final = get_args(ThinkingStyle)
_FIELDS: Final = frozenset({"models", "thinking", "tags", "enough", "told_more", "sampling", "budgets", "calibration"})
_RANGES: Final = ranges(LoopOptions)
"""What a profile says in place of the settings may be what those may be."""
_SAMPLING: Final = ("temperature", "top_p", "min_p")
_BUDGETS: Final = ("think_tokens", "reply_tokens", "sentence_tokens", "answer_tokens")
_BIASES: Final = ("need_bias", "need_of_numbers", "need_bias_with_tools")


def known_profiles(own: Path | None = None) -> tuple[ModelProfile, ...]:
    """Give the profiles of a user's file, then those that ship. Raises BadProfile."""
    return (*(() if own is None else read_profiles(own)), *shipped_profiles())


@cache
def shipped_profiles() -> tuple[ModelProfile, ...]:
    """Give the profiles that ship."""
    return read_profiles(_SHIPPED)


def read_profiles(file: Path) -> tuple[ModelProfile, ...]:
    """Read a file of profiles, in its order. Raises BadProfile."""
    try:
        with file.open("rb") as stream:
            data = stream.read(_MAX_BYTES + 1)
    except OSError as error:
        raise BadProfile(f"the profiles in {file} cannot be read: {error.strerror}; see models.profiles") from error
    if len(data) > _MAX_BYTES:
        raise BadProfile(f"the profiles in {file} are more than {_MAX_BYTES} bytes")
    try:
        tables = tomllib.loads(data.decode("utf-8"))
    except (ValueError, RecursionError) as error:
        raise BadProfile(f"{file} is not valid TOML: {' '.join(str(error).split())}") from error
    return tuple(_Table(table, str(file), name).profile() for name, table in tables.items())


class _Table:
    """One table of a file, which is read field by field; `at` is its name."""

    def __init__(self, table: object, file: str, at: str) -> None:
        self._file, self._at = file, at
        if not isinstance(table, Mapping):
            raise BadProfile(f"{file}: {at} = {_shown(table)} is not a table; write the profile as [{at}] and fields")
        self._table: Mapping[str, Any] = table

    def profile(self) -> ModelProfile:
        self.only(_FIELDS)
        sampling, begin_end = self.inner("sampling"), self._texts("tags", UNKNOWN.tags)
        sampling.only(frozenset({"thinker", "writer"}))
        if len(begin_end) != 2:
            raise self._wrong("tags", "takes two texts: what opens thoughts and what ends them")
        models = self._texts("models", ())
        if not models:
            raise self._wrong("models", 'takes patterns of names, as ["*qwen3-4b*"]')
        style = self._table.get("thinking")
        if style is not None and style not in _STYLES:
            raise self._wrong("thinking", f"is one of {', '.join(_STYLES)}")
        return ModelProfile(
            name=self._at,
            models=tuple(plain_name(pattern) for pattern in models),
            thinking=style,
            tags=(begin_end[0], begin_end[1]),
            enough=self._text("enough", UNKNOWN.enough),
            told_more=self._text("told_more", UNKNOWN.told_more),
            thinker=sampling.inner("thinker").role_sampling(),
            writer=sampling.inner("writer").role_sampling(),
            budgets=self.inner("budgets").role_budgets(),
            calibration=self.inner("calibration").measures() if "calibration" in self._table else None,
        )

    def role_sampling(self) -> RoleSampling:
        self.only(frozenset({*_SAMPLING, "top_k"}))
        given = {name: self._number(name, _RANGES[name]) for name in _SAMPLING if name in self._table}
        top_k = self._whole("top_k", _RANGES["top_k"]) if "top_k" in self._table else 0
        return RoleSampling(**given, top_k=top_k)

    def role_budgets(self) -> RoleBudgets:
        self.only(frozenset(_BUDGETS))
        # Thoughts that were cut off name their answer in a part of the reply.
        allowed = {name: _RANGES.get(name, _RANGES["reply_tokens"]) for name in _BUDGETS}
        return RoleBudgets(**{name: self._whole(name, allowed[name]) for name in _BUDGETS if name in self._table})

    def measures(self) -> Calibration:
        self.only(frozenset({"measured_on", "language", "notes", *_BIASES}))
        measured_on, language = self._text("measured_on", ""), self._text("language", "")
        if not measured_on:
            raise self._wrong("measured_on", "names the model that the numbers were measured on")
        given = [name for name in _BIASES if name in self._table]
        if given and (len(given) < len(_BIASES) or not language):
            raise self._wrong(given[0], f"goes with all of {', '.join(_BIASES)} and with language")
        biases = {name: self._number(name, _RANGES["act_margin"]) for name in given}
        return Calibration(measured_on, language, notes=self._yes_or_no("notes", default=True), **biases)

    # --- fields ---

    def inner(self, name: str) -> _Table:
        return _Table(self._table.get(name, {}), self._file, f"{self._at}.{name}")

    def _text(self, name: str, default: str) -> str:
        value = self._table.get(name, default)
        if not isinstance(value, str) or len(value) > _MAX_CHARACTERS:
            raise self._wrong(name, f"is a text of {_MAX_CHARACTERS} characters at most")
        return value

    def _texts(self, name: str, default: tuple[str, ...]) -> tuple[str, ...]:
        values = self._table.get(name, default)
        if not isinstance(values, list | tuple) or not all(
            isinstance(value, str) and value.strip() for value in values
        ):
            raise self._wrong(name, "is a list of texts, none of them empty")
        return tuple(values)

    def _yes_or_no(self, name: str, *, default: bool) -> bool:
        value = self._table.get(name, default)
        if not isinstance(value, bool):
            raise self._wrong(name, "is true or false")
        return value

    def _number(self, name: str, allowed: Range) -> float:
        value = self._table[name]
        if isinstance(value, bool) or not isinstance(value, int | float) or value not in allowed:
            raise self._wrong(name, f"is a number from {allowed}, since {allowed.why}")
        return float(value)

    def _whole(self, name: str, allowed: Range) -> int:
        value = self._table[name]
        if isinstance(value, bool) or not isinstance(value, int) or value not in allowed:
            raise self._wrong(name, f"is a whole number from {allowed}, since {allowed.why}")
        return value

    def only(self, known: frozenset[str]) -> None:
        if strange := sorted(self._table.keys() - known):
            raise BadProfile(
                f"{self._file}: there is no field {self._at}.{strange[0]}; there are {', '.join(sorted(known))}"
            )

    def _wrong(self, name: str, what: str) -> BadProfile:
        value = f" = {_shown(self._table[name])}" if name in self._table else " is missing"
        return BadProfile(f"{self._file}: {self._at}.{name}{value}: it {what}")


def _shown(value: object) -> str:
    try:
        text = repr(value)
    except ValueError:
        # Python writes no whole number of thousands of digits.
        text = "a number of thousands of digits"
    return text if len(text) <= 60 else f"{text[:57]}..."
