"""What `descant bench engine` measures, and in which order: every contender meets every case in every round.

Knows sizes only: no process, no model, no clock.
"""

from __future__ import annotations

from dataclasses import asdict, dataclass, replace
from typing import TYPE_CHECKING, Any, Final, Literal

from agent.errors import BadQuestion

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Kind = Literal["decode", "probe", "prefill", "products"]

CONTEXTS: Final = (256, 1024, 3072)
PREFILLS: Final = (128, 512)
SESSIONS: Final = 4
PRODUCTS: Final = 3
"""Rows up to which the linear layers are timed alone: with so few, they are bound by reading the weights."""
SMALLEST_CONTEXT: Final = 256
"""Tokens of a conversation without history: prompt, input, thoughts and reply."""


@dataclass(frozen=True, slots=True)
class Case:
    """One thing that is timed."""

    kind: Kind
    context: int
    """Tokens that a writer reads when the case begins."""
    sessions: int = 1
    streams: int = 1
    """Of each session: 1 is its writer alone, 2 its thinker as well."""
    tokens: int = 0
    """Length of a prefill."""
    steps: int = 0
    """Steps that are timed, after those that warm up."""

    @property
    def rows(self) -> int:
        """Streams in all."""
        return self.sessions * self.streams

    @property
    def key(self) -> str:
        """The case's name in a report: `decode 2 @256`, `probe 2 @256`, `prefill 512 @256`, `products 2`."""
        if self.kind == "products":
            return f"{self.kind} {self.rows}"
        return f"{self.kind} {self.tokens or self.rows} @{self.context}"

    def document(self) -> dict[str, Any]:
        """Give what a worker is told."""
        return asdict(self)


def single(context: int, steps: int) -> Case:
    """Name the writer alone."""
    return Case("decode", context, steps=steps)


def joint(context: int, steps: int) -> Case:
    """Name thinker and writer of one conversation, over shared blocks."""
    return Case("decode", context, streams=2, steps=steps)


def probed(context: int) -> Case:
    """Name the joint step while a question is weighed."""
    return Case("probe", context, streams=2)


def crowd(context: int, steps: int, sessions: int = SESSIONS) -> Case:
    """Name several conversations of two streams each."""
    return Case("decode", context, sessions=sessions, streams=2, steps=steps)


def prefill(context: int, tokens: int) -> Case:
    """Name the reading of new text after a context."""
    return Case("prefill", context, tokens=tokens)


def products(rows: int) -> Case:
    """Name one pass through all linear layers, with nothing between."""
    return Case("products", 0, streams=rows)


@dataclass(frozen=True, slots=True)
class Course:
    """The cases of a run."""

    contexts: Sequence[int] = CONTEXTS
    prefills: Sequence[int] = PREFILLS
    steps: int = 8
    repeats: int = 7

    def __post_init__(self) -> None:
        """Refuse contexts in which no conversation fits."""
        wrong = [size for size in self.contexts if size < SMALLEST_CONTEXT]
        if wrong or not self.contexts:
            raise BadQuestion(f"--contexts: each is a number from {SMALLEST_CONTEXT} up, not {wrong or 'nothing'}.")

    @property
    def crowded(self) -> int:
        """The context at which steps are compared by their number of streams."""
        return sorted(self.contexts)[len(self.contexts) // 2]

    def alone(self) -> Iterator[Case]:
        """Give the cases of one conversation, or of none."""
        for rows in range(1, PRODUCTS + 1):
            yield products(rows)
        for context in self.contexts:
            yield single(context, self.steps)
            yield joint(context, self.steps)
            yield probed(context)
            for tokens in self.prefills:
                yield prefill(context, tokens)

    def together(self) -> Iterator[Case]:
        """Give the cases of several conversations."""
        for context in self.contexts:
            if context == self.crowded:
                yield crowd(context, self.steps, SESSIONS // 2)
            yield crowd(context, self.steps)

    def warming(self, cases: Iterator[Case]) -> Iterator[Case]:
        """Give a short version of cases: every context and every kind of step, and the longest prefill."""
        for case in cases:
            if case.kind != "prefill" or (case.context, case.tokens) == (max(self.contexts), max(self.prefills)):
                yield replace(case, steps=1)

    def of_llama_cpp(self, case: Case) -> bool:
        """Say whether the case has a counterpart without shared blocks: single streams, prefill, batches of streams."""
        return case.kind == "prefill" or (case.kind == "decode" and (case.rows == 1 or case.context == self.crowded))
