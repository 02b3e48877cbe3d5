"""An engine without a model: what streams write is a function of the text that they read.

It keeps the contract of `reasoning.engine.contract` (one writer to a block, crop ends the stream, an unread stream
computes nothing). Tokens are words; whoever asks for one in the same turn of the event loop shares a step, and every
step moves the virtual clock, so that nothing here depends on real time.
"""

from __future__ import annotations

import asyncio
import re
from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence
from contextlib import asynccontextmanager
from dataclasses import dataclass, field
from typing import Final

import tokenizers
from tokenizers import models

from reasoning.engine.contract import ChoiceScores, Grammar, Sampling, Token
from reasoning.errors import BadTool, BlockBusy, ContextFull
from reasoning.prompting.chat_template import ChatTemplate
from reasoning.prompting.tokenizer import Tokenizer

TEMPLATE: Final = (
    "{% for message in messages %}<|im_start|>{{ message.role }}\n{{ message.content }}<|im_end|>\n{% endfor %}"
    "{% if add_generation_prompt %}<|im_start|>assistant\n{% endif %}"
)
END: Final = "<|im_end|>"
_SPECIAL: Final = {"<|im_start|>": 0, END: 1, "<think>": 2, "</think>": 3}
_WORDS: Final = re.compile(r" ?[A-Za-z']+| ?\d|\n|.", re.DOTALL)


class Words(Tokenizer):
    """Words, digits and signs as tokens, numbered as they come; the pieces of a chat template are the real ones."""

    def __init__(self) -> None:
        self._vocabulary = list(_SPECIAL)
        self._ids = dict(_SPECIAL)
        super().__init__(
            tokenizers.Tokenizer(models.BPE()), self._vocabulary, _SPECIAL, frozenset({1}), ChatTemplate(TEMPLATE)
        )

    def encode(self, text: str) -> list[int]:
        ids = []
        for word in _WORDS.findall(text):
            # A special token's name in somebody's text is a word like others, with an id of its own.
            if word not in self._ids:
                self._ids[word] = len(self._vocabulary)
                self._vocabulary.append(word)
            ids.append(self._ids[word])
        return ids

    def token_bytes(self, token: int) -> bytes:
        return b"" if token in _SPECIAL.values() else self._vocabulary[token].encode()

    def shown(self, ids: Sequence[int]) -> str:
        """Text with special tokens by name."""
        return "".join(self._vocabulary[token] for token in ids)


class WordBlock:
    def __init__(self, name: str) -> None:
        self.name = name
        self.ids: list[int] = []
        self.writer: object | None = None

    @property
    def tokens(self) -> Sequence[int]:
        return tuple(self.ids)

    def __len__(self) -> int:
        return len(self.ids)


@dataclass
class Mind:
    """Stands in for the weights. Both functions see the text of a view, special tokens by name."""

    write: Callable[[str, str], str]
    """(text of the view where the stream began, name of its block) -> what the stream writes from there."""
    score_choices: Callable[[str], float] = lambda _: 0.0
    """(text of the view with the question) -> log-odds of yes."""
    steps: Callable[[str], int] = lambda _: 1
    """Name of a block (`question`: a verdict) -> steps that one token of it takes."""
    log_prob: Callable[[str], float] = lambda _: -0.1
    """Text of a token -> how sure the model is of it."""


@dataclass
class ScriptedEngine:
    mind: Mind
    tokenizer: Words = field(default_factory=Words)
    context: int = 100_000
    step_s: float = 0.05
    """Seconds of virtual time that a step takes."""
    allowance: float = float("inf")
    """Steps that may be made; `allow` adds to them."""
    on_step: Callable[[int], None] = lambda _: None
    """Called with the number of each step before its tokens are delivered."""
    turns: int = 1
    """Turns of the event loop until a step is made: in each, somebody else may come to share it."""
    live_views: bool = True
    now: float = 0.0
    steps: int = 0
    running: list[str] = field(default_factory=list)
    """Names of the blocks that are being written, `question` for a verdict in the making."""
    log: list[tuple[str, str]] = field(default_factory=list)
    """(name of the block, text of the view) at the start of every stream and question."""
    _coming: asyncio.Future[None] | None = None

    def clock(self) -> float:
        return self.now

    def allow(self, steps: float) -> None:
        if self._coming is None:
            # Nobody wants a step: its time is gone.
            self.allowance = min(1.0, self.allowance + steps)
        else:
            self.allowance += steps
            self._coming.get_loop().call_soon(self._step)

    async def step(self) -> int:
        """Take part in the next step."""
        await asyncio.shield(self.coming())
        return self.steps

    def coming(self) -> asyncio.Future[None]:
        """Give the next step, which is made because somebody wants it."""
        if self._coming is None:
            self._coming = asyncio.get_running_loop().create_future()
            self._soon(self._coming, self.turns)
        return self._coming

    def _soon(self, coming: asyncio.Future[None], turns: int) -> None:
        if turns > 1:
            coming.get_loop().call_soon(self._soon, coming, turns - 1)
        else:
            coming.get_loop().call_soon(self._step)

    def _step(self) -> None:
        if self._coming is None or self.allowance < 1:
            return
        coming, self._coming = self._coming, None
        self.allowance -= 1
        self.steps += 1
        self.now += self.step_s
        self.on_step(self.steps)
        coming.set_result(None)

    def give_way(self, seconds: float) -> Callable[[], None]:
        """Use no processor anyway."""
        del seconds
        return lambda: None

    @property
    def slowdown(self) -> float:
        return 1.0

    async def keep_prompt(self, tokens: Sequence[int]) -> None:
        """Keep nothing: reading costs no step here."""

    @asynccontextmanager
    async def session(self) -> AsyncIterator[ScriptedSession]:
        session = ScriptedSession(self)
        try:
            yield session
        finally:
            session.close()


class ScriptedSession:
    def __init__(self, engine: ScriptedEngine) -> None:
        self.engine = engine
        self.blocks: dict[str, WordBlock] = {}

    def block(self, name: str) -> WordBlock:
        return self.blocks.setdefault(name, WordBlock(name))

    def text(self, *names: str) -> str:
        return "".join(self.engine.tokenizer.shown(self.block(name).ids) for name in names)

    async def append(self, view: Sequence[WordBlock], tokens: Sequence[int]) -> None:
        if not tokens:
            return
        self._check(view, len(tokens))
        block = view[-1]
        # As on the embedded engine the text is in the block at once, and who waits for the step may be cancelled.
        block.ids.extend(tokens)
        block.writer = tokens
        try:
            await self.engine.step()
        finally:
            if block.writer is tokens:
                block.writer = None

    async def generate(self, view: Sequence[WordBlock], rules: Sampling) -> AsyncGenerator[Token]:
        block = view[-1]
        if not block.ids:
            raise ValueError(f"block {block.name!r} is empty: append what the stream begins with first")
        self._check(view, 0)
        engine, me, start, written = self.engine, object(), len(block), list[int]()
        seen, wanted = "", list[int]()
        block.writer = me
        engine.running.append(block.name)
        engine.log.append((block.name, self._shown(view)))
        try:
            while len(written) < rules.max_tokens:
                for _ in range(max(1, engine.mind.steps(block.name))):
                    step = await engine.step()
                    if block.writer is not me:
                        return
                if sum(map(len, view)) + 1 > engine.context:
                    raise ContextFull(f"a view of {sum(map(len, view)) + 1} tokens")
                before = self._shown(view[:-1]) + engine.tokenizer.shown(block.ids[:start])
                if before != seen:
                    # A stream whose view has grown changes its mind where that still can follow what it has written.
                    seen, now = before, engine.tokenizer.encode_template(engine.mind.write(before, block.name))
                    wanted = now if now[: len(written)] == written else wanted
                token = wanted[len(written)] if wanted[len(written) :] else 1
                assert token not in rules.ban, f"{engine.tokenizer.shown([token])} is banned"
                written.append(token)
                block.ids.append(token)
                yield Token(token, engine.mind.log_prob(engine.tokenizer.shown([token])), self._lengths(view), step)
                if token in rules.stop:
                    return
        finally:
            engine.running.remove(block.name)
            if block.writer is me:
                block.writer = None
            # A real engine takes a moment to end a stream, and whoever waits may be cancelled in it.
            await asyncio.sleep(0)

    async def prepare(self, grammar: Grammar) -> None:
        """Refuse what a real engine refuses: a schema that is not to be used."""
        if any('"not"' in form.schema for form in grammar.forms):
            raise BadTool("a tool's schema cannot be used: Unimplemented keys")

    async def score_choices(
        self, view: Sequence[WordBlock], question: Sequence[int], choices: Sequence[frozenset[int]]
    ) -> ChoiceScores:
        assert question
        assert len(choices) == 2
        assert all(choices)
        engine = self.engine
        self._fits(view, len(question))
        engine.running.append("question")
        engine.log.append(("question", self._shown(view) + engine.tokenizer.shown(question)))
        try:
            for _ in range(max(1, engine.mind.steps("question"))):
                step = await engine.step()
        finally:
            engine.running.remove("question")
        log_odds = engine.mind.score_choices(self._shown(view) + engine.tokenizer.shown(question))
        return ChoiceScores(log_odds, step)

    async def crop(self, block: WordBlock, length: int) -> None:
        block.writer = None
        del block.ids[length:]
        await asyncio.sleep(0)

    def close(self) -> None:
        for block in self.blocks.values():
            block.writer = None
            block.ids.clear()
        self.blocks.clear()

    def _check(self, view: Sequence[WordBlock], more: int) -> None:
        block = view[-1]
        if block.writer is not None:
            raise BlockBusy(f"block {block.name!r} is being written")
        self._fits(view, more)

    def _fits(self, view: Sequence[WordBlock], more: int) -> None:
        names = [block.name for block in view]
        assert len(set(names)) == len(names), f"a block stands twice in {names}"
        assert all(self.blocks.get(block.name) is block for block in view), "a block of another session"
        if sum(map(len, view)) + more > self.engine.context:
            raise ContextFull(f"a view of {sum(map(len, view)) + more} tokens")

    def _shown(self, view: Sequence[WordBlock]) -> str:
        return "".join(self.engine.tokenizer.shown(block.ids) for block in view)

    @staticmethod
    def _lengths(view: Sequence[WordBlock]) -> Mapping[str, int]:
        return {block.name: len(block) for block in view}
