"""What every engine offers: streams of tokens over shared blocks of key/value cache.

A *block* is a run of tokens with its cache. A *view* is an ordered list of blocks: the text that one stream
believes it is reading. A stream writes the last block of its view; every other block may be read by any number
of streams and each token in it is computed once (arXiv 2512.10931, section 3.3).

This module holds the contract and its messages. It knows nothing about torch, tokenizers, prompts or speech.
"""

from __future__ import annotations

from collections.abc import AsyncGenerator, Callable, Mapping, Sequence
from contextlib import AbstractAsyncContextManager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar


class Block(Protocol):
    """A run of tokens with its key/value cache, owned by one session."""

    @property
    def name(self) -> str:
        """The block's name, unique in its session."""
        ...

    @property
    def tokens(self) -> Sequence[int]:
        """The token ids the block holds: those appended and those delivered to a reader."""
        ...

    def __len__(self) -> int: ...


B = TypeVar("B", bound=Block)


@dataclass(frozen=True, slots=True)
class Form:
    """A passage of fixed text around JSON. In the fixed text a special token stands by its name."""

    begin: str
    schema: str
    """JSON schema, as JSON; written with one space after each colon and comma."""
    end: str


@dataclass(frozen=True, slots=True)
class Grammar:
    """What a stream may write: passages of these forms, then one of the tokens that end it."""

    forms: tuple[Form, ...]
    separator: str = ""
    """Fixed text between two passages."""
    at_most: int = 1
    """Passages that may be written."""


@dataclass(frozen=True, slots=True)
class Sampling:
    """How the next token is chosen. The default is greedy and reproducible."""

    stop: frozenset[int] = frozenset()
    """Token ids that end the stream. The stop token is delivered, so that the block can keep or crop it."""
    ban: frozenset[int] = frozenset()
    """Token ids that are never chosen."""
    max_tokens: int = 1024
    """Tokens after which the stream ends."""
    temperature: float = 0.0
    """0 is greedy; above it, logits are divided by this before sampling."""
    top_k: int = 0
    """Keep this many most likely tokens (0: all)."""
    top_p: float = 1.0
    """Keep the smallest set of tokens whose probability reaches this."""
    min_p: float = 0.0
    """Drop tokens less likely than this fraction of the most likely one."""
    seed: int = 0
    """Seed of the stream's own random generator."""
    grammar: Grammar | None = None
    """What may be written; the stream is refused with `BadTool` where the engine cannot hold it to this."""


@dataclass(frozen=True, slots=True)
class Token:
    """One delivered token."""

    id: int
    log_prob: float
    """Natural log-probability under the model, before temperature and cuts."""
    seen: Mapping[str, int]
    """Length in tokens of each block of the view, as this token saw it."""
    step: int
    """Number of the engine step that made it: streams with equal numbers shared one forward pass."""


@dataclass(frozen=True, slots=True)
class ChoiceScores:
    """The answer to a question that was weighed, not spoken."""

    log_odds: float
    """log p(first choice) - log p(second choice), each summed over its set of tokens."""
    step: int = 0
    """Number of the engine step that decided."""


class EngineSession(Protocol[B]):
    """One user's blocks. Leaving the session ends its streams and frees its blocks."""

    def block(self, name: str) -> B:
        """Return the block of that name, made empty at first mention."""
        ...

    async def append(self, view: Sequence[B], tokens: Sequence[int]) -> None:
        """Write `tokens` at the end of the view's last block, computed under this view.

        Raises `BlockBusy` while a stream writes the block and `ContextFull` when the view would be too long.
        """
        ...

    def generate(self, view: Sequence[B], rules: Sampling) -> AsyncGenerator[Token]:
        """Write the view's last block token by token.

        An unread stream computes at most one step ahead, then pauses; without live views it computes as far as its
        segment goes. A step makes a token, and where guesses come true (`reasoning.engine.drafts`) those as well; the
        tokens are the same with them and without. After `aclose` the block holds exactly the tokens that were
        delivered. Raises `BlockBusy` and `ContextFull` as `append` does, and `BadTool` for a grammar that cannot be
        used, before anything is written.
        """
        ...

    async def prepare(self, grammar: Grammar) -> None:
        """Get a grammar ready, so that no stream waits for it; `BadTool` where it cannot be used."""
        ...

    async def score_choices(
        self, view: Sequence[B], question: Sequence[int], choices: Sequence[frozenset[int]]
    ) -> ChoiceScores:
        """Ask `question` after the view, in a scratch block, and compare two sets of single-token answers."""
        ...

    async def crop(self, block: B, length: int) -> None:
        """Forget all but the first `length` tokens of the block, ending the stream that writes it."""
        ...


class Engine(Protocol):
    """Something that can run streams over blocks."""

    @property
    def live_views(self) -> bool:
        """True: a running stream sees earlier blocks grow. False: it re-submits itself when they do."""
        ...

    def give_way(self, seconds: float) -> Callable[[], None]:
        """Leave this machine's processor to somebody for so long, or until what this gives is called; never blocks.

        An engine elsewhere ignores it.
        """
        ...

    @property
    def slowdown(self) -> float:
        """How many times as long as they should steps take lately, from 1 up; an engine elsewhere does not know: 1."""
        ...

    async def keep_prompt(self, tokens: Sequence[int]) -> None:
        """Compute how prompts begin, once: sessions whose prompt begins so have it at once.

        An engine that does so by itself does nothing.
        """
        ...

    def session(self) -> AbstractAsyncContextManager[EngineSession[Any]]:
        """Open a session that owns its blocks."""
        ...
