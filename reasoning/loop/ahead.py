"""What is done while the user speaks: what will stand behind the words is read before they have all been said.

A block keeps its cache when the blocks before it grow (arXiv 2512.10931, section 3.3), so the head of the thoughts and
the questions about the words need not wait for the last of them. They are read again when there are half as many words
more, so that two thirds of all were in view; what is written behind a head, and the last token of a question, have all
in view. Nothing is written or told meanwhile, and what was read is in no account: a turn has the blocks and the budgets
that it would have without.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from itertools import count
from typing import TYPE_CHECKING, Final

from reasoning.errors import ReasoningError
from reasoning.events import Probe
from reasoning.policies.policy import ProbeQuestion

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reasoning.engine.contract import Block
    from reasoning.events import LoopEvent
    from reasoning.loop.context import LoopContext
    from reasoning.loop.turn import Turn
    from reasoning.policies.policy import Chosen, Policy, PolicyChoice

_PIECE: Final = 24
"""Tokens that are read each time that words came: some 0.25 s on two cores with AVX2, where the recogniser needs the
processor again half a second after it has given words."""
_FEW: Final = 12
"""Tokens of words with which nothing is begun yet."""
_MORE: Final = 1.5
"""Times as many words as a head was read with, for it to be read again."""
_DOUBT: Final = 0.5
"""By how much a question that was read with some of the words may say yes more surely, in log-odds: docs/bench.md."""


class Ahead:
    """Reads the heads of the thoughts and of the questions, a piece at a time, in a task of its own."""

    def __init__(self, context: LoopContext, choice: PolicyChoice, emit: Callable[[LoopEvent], None]) -> None:
        self._context, self._choice, self._emit = context, choice, emit
        self._task: asyncio.Task[None] | None = None
        self._questions: list[Block] = []
        """What was read of each question, but for its last token."""
        self._early: list[float] = []
        """What they said with the words of that time."""
        self._words = 0
        """Tokens of the input when the heads were begun; 0: they were not."""

    def go_on(self, turn: Turn) -> None:
        """Read the next piece, unless one is being read; never waits."""
        # What an interrupted turn left is opened by words that are not known yet.
        if turn.carried is None and len(turn.input) >= _FEW and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._read(turn), name="ahead")

    async def stop(self) -> None:
        """End the reading at once. What was begun stands in its block, and is computed by whoever needs it."""
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task])

    async def forget(self, turn: Turn) -> None:
        """End the reading, and forget all that was read for the turn."""
        await self.stop()
        await self._crop(turn)

    async def chosen(self, turn: Turn) -> Policy | None:
        """Ask the questions as they were read; give the first policy where it would be chosen in spite of all doubt.

        Whatever else they say has to be asked anew, with all words in view.
        """
        context, log_odds, names, costs = self._context, list[float](), list[str](), list[int]()
        while isinstance(decided := self._decided(turn, log_odds), ProbeQuestion):
            block = self._questions[len(log_odds)] if len(log_odds) < len(self._questions) else None
            if block is None or not len(block) or [*block.tokens] != [*decided.tokens[: len(block)]]:
                return None
            view = [*context.past, turn.input, block]
            scores = await context.session.score_choices(view, decided.tokens[len(block) :], decided.choices)
            log_odds.append(scores.log_odds)
            names.append(decided.name)
            costs.append(len(decided.tokens))
        meant = self._choice.decide(log_odds, turn.input_text, context.script, tools=False)
        if not names or decided.policy != self._choice.first or isinstance(meant, ProbeQuestion):
            return None
        for name, one, cost in zip(names, meant.log_odds, costs, strict=False):
            turn.attempt.tokens["probe"] += cost
            self._emit(Probe(name, one, 0.0, decision=one > 0))
        return decided.policy

    async def _read(self, turn: Turn) -> None:
        context = self._context
        # What cannot be read is told by the answer, which needs it.
        with suppress(ReasoningError):
            if len(turn.input) >= _MORE * self._words:
                await self._crop(turn)
                self._words = len(turn.input)
            if await self._read_on(turn, turn.thoughts, turn.policy.opening(context.script)):
                return
            for number in count():
                # Only questions that will be asked are read: that is known from what was asked before them.
                question = self._decided(turn, self._early[:number]) if context.options.direct_replies else None
                if not isinstance(question, ProbeQuestion):
                    return
                if number == len(self._questions):
                    self._questions.append(context.session.block(f"asked{number}"))
                block = self._questions[number]
                # The last token is asked when all words are there.
                if await self._read_on(turn, block, question.tokens[:-1]):
                    return
                if number == len(self._early):
                    view = [*context.past, turn.input, block]
                    scores = await context.session.score_choices(view, question.tokens[-1:], question.choices)
                    self._early.append(scores.log_odds)

    async def _read_on(self, turn: Turn, block: Block, tokens: Sequence[int]) -> bool:
        """Read a piece of what is left of a head; False where nothing is."""
        if [*block.tokens] == [*tokens]:
            return False
        await self._context.rewrite(block, [*self._context.past, turn.input, block], tokens, at_most=_PIECE)
        return True

    async def _crop(self, turn: Turn) -> None:
        self._words = 0
        self._early.clear()
        for block in (turn.thoughts, *self._questions):
            await self._context.session.crop(block, turn.kept if block is turn.thoughts else 0)

    def _decided(self, turn: Turn, log_odds: Sequence[float]) -> ProbeQuestion | Chosen:
        """Give what is asked next, or chosen, with as much doubt of the answers as there may be."""
        doubted = [one - _DOUBT for one in log_odds]
        return self._choice.decide(doubted, turn.input_text, self._context.script, tools=False)
