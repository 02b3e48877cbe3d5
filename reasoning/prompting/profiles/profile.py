"""What is known of one model or one family of models, and which of several profiles is a model's.

How a model thinks is found from its chat template; a profile says so only where the template does not tell. What was
measured on one model holds for no other, whatever else a profile shares. Data only: `reading` reads it from files.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, replace
from fnmatch import fnmatchcase
from typing import TYPE_CHECKING, Final, Literal

if TYPE_CHECKING:
    from collections.abc import Container, Sequence

    from reasoning.options import LoopOptions

ThinkingStyle = Literal["none", "prompted", "tagged", "always"]
"""`none` never thinks; `prompted` thinks where a request asks for it; `tagged` was trained to think between tags, and
its template can leave that out; `always` does so unasked."""
Role = Literal["thinker", "writer"]
"""Whose tokens are drawn. A probe's are weighed, so nothing of it is drawn."""


@dataclass(frozen=True, slots=True)
class RoleSampling:
    """How the tokens of one role are drawn, as `reasoning.engine.contract.Sampling` has it; greedy by default."""

    temperature: float = 0.0
    top_p: float = 1.0
    top_k: int = 0
    min_p: float = 0.0


@dataclass(frozen=True, slots=True)
class RoleBudgets:
    """Tokens that the roles may spend on a turn; None: what the loop's options say."""

    think_tokens: int | None = None
    reply_tokens: int | None = None
    sentence_tokens: int | None = None
    answer_tokens: int = 16
    """Tokens in which thoughts that were cut off name their answer."""


@dataclass(frozen=True, slots=True)
class Calibration:
    """What was measured with one model: where the need question divides, in log-odds of yes; what notes are worth."""

    measured_on: str
    """The model's name: with another, the numbers mean nothing."""
    language: str = ""
    """Code of the language in which they were measured; empty: those that stand with each language's wording."""
    need_bias: float = 0.0
    need_of_numbers: float = 0.0
    need_bias_with_tools: float = 0.0
    notes: bool = True
    """Whether a question that is no sum gains by thoughts in notes. False: it is answered at once."""


@dataclass(frozen=True, slots=True)
class ModelProfile:
    """What is known of the models that `models` names."""

    name: str
    models: tuple[str, ...]
    """Patterns of names (`*` for anything), in small letters with hyphens: see `plain_name`."""
    thinking: ThinkingStyle | None = None
    """How they think, where the template does not tell, or tells it wrongly; None: the template does."""
    tags: tuple[str, str] = ("<think>", "</think>")
    """Around thoughts."""
    enough: str = "\n\nI have thought enough; my answer:"
    """Goes on with thoughts in tags whose budget has ended."""
    told_more: str = "Now I was told something more.\n"
    """Goes on with thoughts in tags that new words have interrupted."""
    thinker: RoleSampling = RoleSampling()
    writer: RoleSampling = RoleSampling()
    budgets: RoleBudgets = RoleBudgets()
    calibration: Calibration | None = None
    """None: whether to think is decided without a probe."""

    def sampling(self, role: Role) -> RoleSampling:
        """Give how a role's tokens are drawn."""
        return self.thinker if role == "thinker" else self.writer

    def calibrated(self, model: str) -> ModelProfile:
        """Give the profile for one model: without the calibration where that was measured on another."""
        measured = self.calibration
        if measured is None or plain_name(measured.measured_on) in plain_name(model):
            return self
        return replace(self, calibration=None)

    def budgeted(self, options: LoopOptions, given: Container[str]) -> LoopOptions:
        """Give options of the loop with the budgets of this profile; those in `given` (`loop.name`) stay."""
        mine = {name: getattr(self.budgets, name) for name in ("think_tokens", "reply_tokens", "sentence_tokens")}
        return replace(
            options,
            **{name: tokens for name, tokens in mine.items() if tokens is not None and f"loop.{name}" not in given},
        )


UNKNOWN: Final = ModelProfile("unknown", ("*",))
"""Of a model that nobody has a profile for: greedy, as its template has it, and uncalibrated."""


def plain_name(model: str) -> str:
    """Bring a model's name to small letters with hyphens, as publishers' and files' names differ in signs only."""
    return re.sub(r"[\s_-]+", "-", model.strip().lower()).removesuffix("-gguf")


def profile_of(model: str, profiles: Sequence[ModelProfile]) -> ModelProfile:
    """Give the first profile whose patterns fit the model's name, as it holds for that model; else `UNKNOWN`."""
    name = plain_name(model)
    found = (profile for profile in profiles if any(fnmatchcase(name, pattern) for pattern in profile.models))
    return next(found, UNKNOWN).calibrated(model)
