"""The embedded engine: exact block views on torch, one worker thread, one batched step for everybody.

Each step carries one row of every live stream of every session, and up to `prefill_rows` rows of tokens that wait to
be written: appended text, questions, and the last token of a block that nobody had needed yet. A token is computed
when somebody needs it: `append` leaves the last token of a block to the stream that starts there, or to the next
reader. Where a step has rows to spare, streams compute guesses of their next tokens with it; what is chosen is what
would have been chosen without them.

Threads: the worker owns caches and runs commands between steps, so nothing changes under a running step. It computes
and samples without the lock, which guards only the short lists that both sides touch: who starts something takes it,
who reads a stream does not. A token goes to its reader's event loop, and is the reader's from there on. Knows nothing
about text or prompts.
"""

from __future__ import annotations

import asyncio
import threading
import time
from collections import deque
from contextlib import asynccontextmanager, suppress
from functools import partial
from time import perf_counter
from typing import TYPE_CHECKING, Final

import torch

from reasoning.engine.contract import ChoiceScores, Sampling, Token
from reasoning.engine.drafts import NO_DRAFT, Draft, Guesser
from reasoning.engine.pace import Rests, StepPace, step_seconds
from reasoning.engine.prompts import KeptPrompts
from reasoning.engine.sampling import Reading, Sampler, read_together, scored_choices
from reasoning.engine.schedule import Job, Schedule, Step, TorchBlock
from reasoning.errors import BadTool, EngineFailed, ReasoningError

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Mapping, Sequence

    from torch import Tensor

    from reasoning.engine.cache import BlockCache
    from reasoning.engine.contract import Grammar
    from reasoning.engine.decoder import Decoder
    from reasoning.tools.grammar import Grammars, Matcher


class TorchEngine:
    """Runs streams over blocks on one decoder."""

    live_views: Final = True

    def __init__(
        self,
        decoder: Decoder,
        *,
        prefill_rows: int = 8,
        threads: int | None = None,
        grammars: Grammars | None = None,
        row_costs: Sequence[float] = (),
    ) -> None:
        """Start the worker. `prefill_rows`: rows of waiting text in a step that streams wait for.

        `grammars`: those of the decoder's vocabulary; without them, streams with a grammar are refused. `row_costs`:
        what a step costs by its number of rows, relative to any unit; without it, no draft is computed.
        """
        self._decoder, self._threads, self._grammars = decoder, threads, grammars
        self._schedule = Schedule(
            prefill_rows=prefill_rows,
            context=decoder.context,
            vocabulary=decoder.config.vocabulary,
            row_costs=row_costs,
        )
        self._lock = threading.Lock()
        self._wake = threading.Event()
        """Something has changed that the worker should look at."""
        self._commands: deque[Callable[[], None]] = deque()
        self._closed = self._stopped = False
        self._rests = Rests()
        self.steps = 0
        self._prompts = KeptPrompts()
        self._pace: StepPace | None = None
        """Compares steps with what they should take; None while that is not known."""
        self._worker = threading.Thread(target=self._work, name="torch-engine", daemon=True)
        self._worker.start()

    def close(self) -> None:
        """End all streams and the worker."""
        self._closed = True
        self.look_again()
        self._worker.join()

    @asynccontextmanager
    async def session(self) -> AsyncIterator[TorchSession]:
        """Open a session; leaving it ends its streams and frees its blocks."""
        session = TorchSession(self)
        try:
            yield session
        finally:
            await session.aclose()

    def give_way(self, seconds: float) -> Callable[[], None]:
        """Compute no step for so long, or until what this gives is called: somebody needs the processor at once."""
        if self.device.type != "cpu":
            return lambda: None
        return self._rests.give(seconds, time.monotonic(), self._wake.set)

    @property
    def slowdown(self) -> float:
        """How many times as long as they should steps take lately; 1 where it is not known what they should."""
        return 1.0 if self._pace is None else self._pace.slowdown

    async def step_seconds(self, streams: int, *, reading: int = 0, context: int) -> float:
        """Time a step of so many streams and rows of waiting text, between those of others."""
        took: list[float] = []
        await self.between_steps(lambda: took.append(step_seconds(self._decoder, streams, reading, context)))
        return took[0]

    async def fit(self, *, threads: int, prefill_rows: int, usual_s: Sequence[float] = ()) -> None:
        """Take what suits this machine; `usual_s`: seconds that steps of 1, 2, … rows should take."""

        def take() -> None:
            torch.set_num_threads(threads)
            self._schedule.prefill_rows = prefill_rows
            self._pace = StepPace(usual_s) if usual_s else None
            if usual_s and self._schedule.row_costs:
                # Drafts are judged by what rows cost here; where none are made, they stay off.
                self._schedule.row_costs = (0.0, *(seconds / usual_s[0] for seconds in usual_s))

        await self.between_steps(take)

    async def keep_prompt(self, tokens: Sequence[int]) -> None:
        """Compute how prompts begin; see `Engine.keep_prompt`."""
        async with self.session() as session:
            block = session.block("prompt")
            await session.append([block], tokens)
            await self.between_steps(lambda: self._prompts.keep(block))

    # --- what sessions ask for; called in an event loop ---

    def add(self, job: Job, tokens: Sequence[int] = ()) -> None:
        """Append tokens to the job's block and let it take part in the next step."""
        with self._lock:
            if self._closed:
                raise EngineFailed("the engine is closed")
            self._schedule.add(job, tokens)
        self.look_again()

    def look_again(self) -> None:
        """Have the worker look for commands, and for jobs that have become runnable."""
        self._wake.set()

    async def between_steps(self, command: Callable[[], None]) -> None:
        """Run a command on the worker while no step runs, and wait for it; what it raises is raised here."""
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def run() -> None:
            try:
                command()
            except Exception as error:  # noqa: BLE001 - whoever waits has it; the other streams go on
                _tell(loop, _resolve, done, error)
            else:
                _tell(loop, _resolve, done, None)

        with self._lock:
            if self._stopped:
                # The worker is gone, and with it every stream: the command has nobody to disturb.
                command()
                return
            self._commands.append(run)
        self.look_again()
        await asyncio.shield(done)

    def drop(self, job: Job) -> None:
        """Forget a job, on the worker: what it wrote stays."""
        self._schedule.drop(job)

    def end(self, job: Job, error: ReasoningError | None) -> None:
        """Forget a job, on the worker, and tell who waits for it."""
        self._schedule.end(job, error)

    async def matcher(self, grammar: Grammar) -> Matcher:
        """Compile a grammar, or take a compiled one; `BadTool` where it cannot be used."""
        if self._grammars is None:
            raise BadTool("this engine was made without grammars, so no stream can be held to one")
        return await asyncio.to_thread(self._grammars.matcher, grammar)

    def new_cache(self) -> BlockCache:
        """Make an empty cache."""
        return self._decoder.cache()

    @property
    def device(self) -> torch.device:
        """Where logits live."""
        return self._decoder.device

    # --- the worker ---

    def _work(self) -> None:
        if self._threads:
            torch.set_num_threads(self._threads)
        try:
            while (step := self._next_step()) is not None:
                self._compute(step)
        finally:
            with self._lock:
                self._closed = self._stopped = True
                for job in list(self._schedule.jobs):
                    self.end(job, EngineFailed("the engine is closed"))
                while self._commands:
                    self._commands.popleft()()

    def _compute(self, step: Step) -> None:
        began = perf_counter()
        try:
            logits = self._decoder.forward(step.runs)
        except (RuntimeError, MemoryError) as error:
            # Lengths are counted up only by a whole step, so the caches are as they were. Alone, the run that asks
            # too much fails, and the others go on.
            if len(step.runs) == 1:
                with self._lock:
                    self.end(step.jobs[0], EngineFailed(f"a step of the model could not be computed: {error}"))
                return
            for run, job in zip(step.runs, step.jobs, strict=True):
                self._compute(Step([run], [job]))
            return
        if self._pace is not None:
            self._pace.took(sum(len(run.tokens) for run in step.runs), perf_counter() - began)
        self._deliver(step, logits)

    def _deliver(self, step: Step, logits: Tensor) -> None:
        """Choose tokens outside the lock, and publish them under it."""
        self.steps += 1
        outcomes = self._outcomes(step, logits)
        with self._lock:
            for job, outcome in outcomes:
                if isinstance(outcome, EngineFailed):
                    self.end(job, outcome)
                elif not outcome():
                    self.end(job, None)

    def _outcomes(self, step: Step, logits: Tensor) -> list[tuple[Job, Callable[[], bool] | EngineFailed]]:
        """Choose tokens, and compare choices: the long part of what follows a step. Jobs end on this thread only."""
        row = 0
        jobs: list[Job] = []
        readings: list[Reading[Callable[[], bool]]] = []
        for run, job in zip(step.runs, step.jobs, strict=True):
            if not run.logits:
                continue
            if job.on_logits is not None and job in self._schedule.jobs:
                seen = {block.name: block.cache.length for block in job.view}
                guesses = run.tokens[len(run.tokens) - run.guesses :]
                jobs.append(job)
                readings.append(job.on_logits(logits[row : row + run.logits], guesses, self.steps, seen))
            row += run.logits
        return list(zip(jobs, read_together(readings), strict=True))

    def _next_step(self) -> Step | None:
        while True:
            # Cleared before the look, so that a change during it is looked at again.
            self._wake.clear()
            rest = self._rests.left(time.monotonic())
            with self._lock:
                while self._commands:
                    self._commands.popleft()()
                if self._closed:
                    return None
                for job in self._schedule.jobs:
                    self._prompts.begin(job)
                step = self._schedule.next_step() if rest <= 0 else Step()
            if step.runs:
                return step
            self._wake.wait(rest if rest > 0 else None)


class TorchSession:
    """One user's blocks on a `TorchEngine`."""

    def __init__(self, engine: TorchEngine) -> None:
        self._engine = engine
        self._blocks: dict[str, TorchBlock] = {}
        self._streams: set[_Stream] = set()
        self._guesser = Guesser()
        self._questions: set[Job] = set()

    def block(self, name: str) -> TorchBlock:
        """Return the block of that name, made empty at first mention."""
        if name not in self._blocks:
            self._blocks[name] = TorchBlock(name, self._engine.new_cache(), guesser=self._guesser)
        return self._blocks[name]

    async def append(self, view: Sequence[TorchBlock], tokens: Sequence[int]) -> None:
        """Write tokens at the end of the view's last block; see `EngineSession.append`."""
        if not tokens:
            return
        loop = asyncio.get_running_loop()
        done: asyncio.Future[None] = loop.create_future()

        def finish(error: ReasoningError | None) -> None:
            _tell(loop, _resolve, done, error)

        job = Job(tuple(view), leave=1, finish=finish)
        self._engine.add(job, tokens)
        try:
            await done
        except asyncio.CancelledError:
            # The text is in the block; what is not computed yet waits for the next reader.
            await self._engine.between_steps(lambda: self._engine.drop(job))
            raise

    async def generate(self, view: Sequence[TorchBlock], rules: Sampling) -> AsyncGenerator[Token]:
        """Write the view's last block token by token; see `EngineSession.generate`."""
        if not view[-1].ids:
            raise ValueError(f"block {view[-1].name!r} is empty: append what the stream begins with first")
        matcher = None if rules.grammar is None else await self._engine.matcher(rules.grammar)
        stream = _Stream(self._engine, view, rules, matcher)
        self._streams.add(stream)
        try:
            while (token := await stream.next()) is not None:
                yield token
        finally:
            try:
                await stream.aclose()
            finally:
                self._streams.discard(stream)

    async def prepare(self, grammar: Grammar) -> None:
        """Get a grammar ready; see `EngineSession.prepare`."""
        await self._engine.matcher(grammar)

    async def score_choices(
        self, view: Sequence[TorchBlock], question: Sequence[int], choices: Sequence[frozenset[int]]
    ) -> ChoiceScores:
        """Ask a question in a scratch block; see `EngineSession.score_choices`."""
        if not question or len(choices) != 2:
            raise ValueError(f"a question takes tokens and two choices, not {len(question)} tokens and {len(choices)}")
        loop = asyncio.get_running_loop()
        answer: asyncio.Future[ChoiceScores] = loop.create_future()
        scratch = TorchBlock("question", self._engine.new_cache())

        def on_logits(
            logits: Tensor, _guesses: Sequence[int], step: int, _seen: Mapping[str, int]
        ) -> Reading[Callable[[], bool]]:
            log_odds = yield from scored_choices(logits[-1], choices)
            _tell(loop, _give, answer, ChoiceScores(log_odds, step))
            return lambda: False

        def finish(error: ReasoningError | None) -> None:
            if error is not None:
                _tell(loop, _refuse, answer, error)

        job = Job((*view, scratch), leave=0, on_logits=on_logits, finish=finish)
        self._engine.add(job, question)
        self._questions.add(job)
        try:
            return await answer
        finally:
            self._questions.discard(job)
            if not answer.done() or answer.cancelled():
                await self._engine.between_steps(lambda: self._engine.drop(job))

    async def crop(self, block: TorchBlock, length: int) -> None:
        """Forget all but the first `length` tokens of the block, ending the stream that writes it."""
        block.release()
        await self._engine.between_steps(partial(self._crop, block, length))

    async def aclose(self) -> None:
        """End the session's streams and free its blocks."""
        for stream in self._streams:
            stream.release()
        await self._engine.between_steps(self._close)

    def _close(self) -> None:
        for stream in list(self._streams):
            stream.close()
        for job in list(self._questions):
            self._engine.end(job, EngineFailed("the session is closed"))
        for block in list(self._blocks.values()):
            self._crop(block, 0)
        self._blocks.clear()

    def _crop(self, block: TorchBlock, length: int) -> None:
        if block.writer is not None:
            self._engine.end(block.writer, None)
        block.crop(length)


class _Stream:
    """One running stream. What the worker touches and what the reader's event loop touches are apart."""

    def __init__(
        self, engine: TorchEngine, view: Sequence[TorchBlock], rules: Sampling, matcher: Matcher | None
    ) -> None:
        self._engine, self._rules = engine, rules
        self._loop = asyncio.get_running_loop()
        self._sampler = Sampler(rules, engine.device, matcher)
        self._arrived: deque[Token] = deque()
        """Tokens for the reader; its event loop's."""
        self._news = asyncio.Event()
        self._ended = self._released = False
        """Whether nothing more arrives, and whether that is because the reading was ended; the event loop's."""
        self._error: ReasoningError | None = None
        self._made = 0
        """Tokens that were chosen; counted by the worker."""
        self._latest = 0
        """Those of the last step."""
        self._guessed = NO_DRAFT
        """What was guessed for the step that is laid out, computed or not."""
        self._taken = 0
        """Tokens that the reader has; counted by its event loop."""
        self._block = view[-1]
        self._job = Job(
            tuple(view),
            leave=0,
            on_logits=self._on_logits,
            draft=self._draft,
            finish=self._on_end,
            runnable=self._is_runnable,
        )
        engine.add(self._job)
        self._block.release = self.release

    async def next(self) -> Token | None:
        """Wait for the next token; None at the end of the stream."""
        while not self._arrived:
            if self._ended:
                if self._error is not None:
                    raise self._error
                return None
            self._news.clear()
            await self._news.wait()
        self._block.delivered += 1
        self._taken += 1
        self._engine.look_again()
        return self._arrived.popleft()

    def release(self) -> None:
        """End the reading, in the reader's event loop: nobody counts `delivered` up from here."""
        self._released = True
        self._arrived.clear()
        self._finish(None)

    async def aclose(self) -> None:
        """End the stream: the block keeps what was delivered."""
        kept = self._released
        self.release()
        await self._engine.between_steps(partial(self._close, kept=kept))

    def _close(self, *, kept: bool) -> None:
        """End the job, on the worker. `kept`: who ended the reading before has said what the block keeps."""
        self._engine.drop(self._job)
        if self._taken < self._made and not kept:
            self._block.crop(self._block.delivered)

    def close(self) -> None:
        """End the job, on the worker, with its session."""
        self._engine.drop(self._job)

    def _is_runnable(self) -> bool:
        # Whoever has all but what the last step made gets another step computed meanwhile.
        return self._made - self._taken <= max(1, self._latest)

    def _draft(self, limit: int) -> Draft:
        # Of the tokens that are left, the last needs no guess behind it.
        limit = min(limit, self._rules.max_tokens - self._made - 1)
        texts = [(block.ids, block.occurrences) for block in reversed(self._job.view)]
        self._guessed = NO_DRAFT if limit < 1 else self._block.guesser.look_up(texts, limit)
        return self._guessed

    def _on_logits(
        self, logits: Tensor, guesses: Sequence[int], step: int, seen: Mapping[str, int]
    ) -> Reading[Callable[[], bool]]:
        """Choose from one row after the other for as long as the guess that the next one follows is what was chosen."""
        chosen: list[Token] = []
        for number, row in enumerate(logits):
            try:
                token, log_prob = yield from self._sampler.choose(row)
            except (RuntimeError, IndexError, EngineFailed):
                if not chosen:
                    raise
                # The tokens before it stand; the next step meets the same row again.
                break
            lengths = seen if not number else {**seen, self._block.name: seen[self._block.name] + number}
            chosen.append(Token(token, log_prob, lengths, step))
            if number == len(guesses) or token != guesses[number] or not self._goes_on(token, number + 1):
                break
        return partial(self._publish, chosen)

    def _goes_on(self, token: int, chosen: int) -> bool:
        """Say whether something is to follow a token, the last of so many that a step made."""
        return token not in self._rules.stop and self._made + chosen < self._rules.max_tokens

    def _publish(self, tokens: Sequence[Token]) -> bool:
        goes_on = self._goes_on(tokens[-1].id, len(tokens))
        ids = [token.id for token in tokens]
        self._block.guesser.note(self._guessed, ids)
        self._guessed = NO_DRAFT
        self._block.ids += ids
        # All but the last were guessed, and computed with the step.
        self._block.cache.length += len(tokens) - 1
        self._made += len(tokens)
        self._latest = len(tokens)
        _tell(self._loop, self._arrive, tokens)
        return goes_on

    def _on_end(self, error: ReasoningError | None) -> None:
        _tell(self._loop, self._finish, error)

    # --- in the reader's event loop ---

    def _arrive(self, tokens: Sequence[Token]) -> None:
        if not self._released:
            self._arrived.extend(tokens)
            self._news.set()

    def _finish(self, error: ReasoningError | None) -> None:
        if not self._ended:
            self._ended, self._error = True, error
            self._news.set()


def _tell(loop: asyncio.AbstractEventLoop, callback: Callable[..., None], *arguments: object) -> None:
    # A loop that is gone has nobody left who waits; the others on the engine go on.
    with suppress(RuntimeError):
        loop.call_soon_threadsafe(callback, *arguments)


def _resolve(future: asyncio.Future[None], error: Exception | None) -> None:
    if not future.done():
        if error is None:
            future.set_result(None)
        else:
            future.set_exception(error)


def _give(future: asyncio.Future[ChoiceScores], verdict: ChoiceScores) -> None:
    if not future.done():
        future.set_result(verdict)


def _refuse(future: asyncio.Future[ChoiceScores], error: ReasoningError) -> None:
    if not future.done():
        future.set_exception(error)
