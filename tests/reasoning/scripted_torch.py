"""A scripted engine's mind as the weights of the embedded engine: the loop's scenarios, over `TorchEngine`.

Blocks, streams, the plan of each step, cropping and questions are the engine's own; only the product of matrices is
replaced by what the mind writes behind the tokens of the view. Time stays virtual: a step of the engine is one of the
scripted engine's, made on the test's own thread.
"""

from __future__ import annotations

import asyncio
import math
from collections import Counter
from collections.abc import AsyncGenerator, AsyncIterator, Sequence
from contextlib import aclosing, asynccontextmanager
from types import SimpleNamespace
from typing import TYPE_CHECKING, cast

import torch

from bench.virtual.stepped import Lane
from reasoning.engine.contract import ChoiceScores, Sampling, Token
from reasoning.engine.schedule import Job, Step, TorchBlock
from reasoning.engine.torch_engine import TorchSession
from tests.reasoning.scripted_engine import ScriptedEngine
from tests.reasoning.scripted_server import TURNS, VOCABULARY, ScriptedMind

if TYPE_CHECKING:
    from reasoning.engine.attention import Run
    from reasoning.engine.decoder import Decoder

_PREFILL_ROWS = 10_000
"""Appended text takes one step, however long it is."""
_FAR = -50.0


class TokenCache:
    """A block's cache that keeps the tokens themselves."""

    def __init__(self) -> None:
        self.length = 0
        self.written: list[int] = []

    def crop(self, length: int) -> None:
        self.length = min(self.length, length)

    def write(self, tokens: Sequence[int]) -> None:
        self.written[self.length :] = tokens
        self.length = len(self.written)


class ScriptedDecoder:
    """What the engine uses of a decoder."""

    def __init__(self, engine: ScriptedEngine) -> None:
        self._engine, self._mind = engine, ScriptedMind(engine)
        self.config = SimpleNamespace(vocabulary=VOCABULARY)
        self.context = engine.context
        self.device = torch.device("cpu")
        self.names: dict[TokenCache, str] = {}
        """Blocks by their caches; that of a question has no name."""
        self.yes_no: dict[tuple[int, ...], tuple[int, int]] = {}
        """Tokens that mean yes and no, by what is asked: several questions may be on their way."""

    def cache(self) -> TokenCache:
        return TokenCache()

    def name(self, job: Job) -> str:
        return self.names.get(cast("TokenCache", job.block.cache), "question")

    def forward(self, runs: Sequence[Run]) -> torch.Tensor:
        for run in runs:
            cast("TokenCache", run.view[-1]).write(run.tokens)
        rows = [self._logits([cast("TokenCache", cache) for cache in run.view]) for run in runs if run.logits]
        return torch.stack(rows) if rows else torch.empty(0, VOCABULARY)

    def _logits(self, view: Sequence[TokenCache]) -> torch.Tensor:
        prompt = [token for cache in view for token in cache.written[: cache.length]]
        name = self.names.get(view[-1])
        if name is None:
            odds = self._engine.mind.score_choices(self._engine.tokenizer.shown(prompt))
            self._engine.log.append(("question", self._engine.tokenizer.shown(prompt)))
            yes_no = self.yes_no[tuple(view[-1].written[: view[-1].length])]
            return self._shares(
                dict(zip(yes_no, (-math.log1p(math.exp(-odds)), -math.log1p(math.exp(odds))), strict=True))
            )
        rest = self._mind.rest(name, prompt)
        token = rest[0] if rest else 1
        return self._shares({token: self._engine.mind.log_prob(self._engine.tokenizer.shown([token]))})

    @staticmethod
    def _shares(log_probs: dict[int, float]) -> torch.Tensor:
        """Give log-probabilities: those, and what is left shared by all others."""
        left = max(1e-30, 1.0 - math.fsum(map(math.exp, log_probs.values())))
        found = torch.full((VOCABULARY,), math.log(left / VOCABULARY))
        for token, value in log_probs.items():
            found[token] = value
        return found


class ScriptedLane(Lane):
    """The embedded engine, whose steps are those of a scripted engine."""

    def __init__(self, engine: ScriptedEngine) -> None:
        self._engine, self._decoder_of_words = engine, ScriptedDecoder(engine)
        self._waited: Counter[Job] = Counter()
        self._looking = self._stepping = False
        super().__init__(cast("Decoder", self._decoder_of_words), _PREFILL_ROWS)

    @property
    def decoder(self) -> ScriptedDecoder:
        return self._decoder_of_words

    def look_again(self) -> None:
        """Look in this turn of the event loop, once; the engine is closed where there is none any more."""
        if not self._looking and not self._closed:
            self._looking = True
            asyncio.get_running_loop().call_soon(self._look)

    def _look(self) -> None:
        """Do what can be done between steps, and ask for a step where somebody waits for one."""
        self._looking = False
        while self._commands:
            self._commands.popleft()()
        for job in [job for job in self._schedule.jobs if job.done]:
            self.end(job, None)
        if not self._stepping and any(job.runnable() for job in self._schedule.jobs):
            self._stepping = True
            self._engine.coming().add_done_callback(lambda _: self._step())

    def _step(self) -> None:
        self._stepping = False
        self.plan()
        planned = self._planned_step
        due = [(run, job) for run, job in zip(planned.runs, planned.jobs, strict=True) if self._due(run, job)]
        self._planned_step = Step([run for run, _ in due], [job for _, job in due])
        self.deliver(self.decoder.forward(self._planned_step.runs))
        self.look_again()

    def _due(self, run: Run, job: Job) -> bool:
        """Whether the token of a run comes now: some take several steps."""
        if not run.logits:
            return True
        self._waited[job] += 1
        if self._waited[job] < self._engine.mind.steps(self.decoder.name(job)):
            return False
        del self._waited[job]
        return True


class ShownTorchSession(TorchSession):
    """A session whose blocks can be read as text."""

    def __init__(self, lane: ScriptedLane, engine: ScriptedEngine) -> None:
        super().__init__(lane)
        self._lane, self._scripted = lane, engine

    @property
    def blocks(self) -> dict[str, TorchBlock]:
        return self._blocks

    def text(self, *names: str) -> str:
        return "".join(self._scripted.tokenizer.shown(self.block(name).tokens) for name in names)

    def block(self, name: str) -> TorchBlock:
        block = super().block(name)
        self._lane.decoder.names[cast("TokenCache", block.cache)] = name
        return block

    async def generate(self, view: Sequence[TorchBlock], rules: Sampling) -> AsyncGenerator[Token]:
        self._scripted.running.append(view[-1].name)
        try:
            async with aclosing(super().generate(view, rules)) as stream:
                async for token in stream:
                    yield token
        finally:
            self._scripted.running.remove(view[-1].name)

    async def score_choices(
        self, view: Sequence[TorchBlock], question: Sequence[int], choices: Sequence[frozenset[int]]
    ) -> ChoiceScores:
        yes, no = (min(choice) for choice in choices)
        self._lane.decoder.yes_no[tuple(question)] = yes, no
        self._scripted.running.append("question")
        try:
            return await super().score_choices(view, question, choices)
        finally:
            self._scripted.running.remove("question")


@asynccontextmanager
async def torch_session(engine: ScriptedEngine) -> AsyncIterator[ShownTorchSession]:
    """Open a session of `TorchEngine` whose model is the scripted engine's mind."""
    engine.turns = TURNS
    torch.set_num_threads(1)
    lane = ScriptedLane(engine)
    session = ShownTorchSession(lane, engine)
    try:
        yield session
    finally:
        await session.aclose()
        lane.close()
