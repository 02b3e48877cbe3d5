"""What is done while the user speaks: what will stand behind the words is read before they have all been said.

A block keeps its cache when the blocks before it grow (arXiv 2512.10931, section 3.3), so the head of the thoughts and
the first question about the words need not wait for the last of them. They are read again when the words have doubled,
so that at least half of them were in view; what is written behind a head, and the last token of a question, have all
of them in view. Nothing is written or told meanwhile, and what was read is in no account: a turn has the blocks and
the budgets that it would have without.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from typing import TYPE_CHECKING, Final

from reasoning.errors import ReasoningError
from reasoning.events import Probe
from reasoning.policies.policy import ProbeQuestion

if TYPE_CHECKING:
    from collections.abc import Callable

    from reasoning.engine.contract import Block
    from reasoning.events import LoopEvent
    from reasoning.loop.context import LoopContext
    from reasoning.loop.turn import Turn
    from reasoning.policies.policy import Policy, PolicyChoice

_PIECE: Final = 24
"""Tokens that are read each time that words came: some 0.25 s on two cores with AVX2, where the recogniser needs the
processor again half a second after it has given words."""
_FEW: Final = 8
"""Tokens of words with which nothing is begun yet."""
_MORE: Final = 2
"""Times as many words as a head was read with, for it to be read again."""
_CLEAR: Final = 0.5
"""Log-odds from which on the answer to a question that was read early counts: with all words in view it gives up to 0.4
more or less."""


class Ahead:
    """Reads the heads of the thoughts and of the first question, a piece at a time, in a task of its own."""

    def __init__(self, context: LoopContext, choice: PolicyChoice, emit: Callable[[LoopEvent], None]) -> None:
        self._context, self._choice, self._emit = context, choice, emit
        self._task: asyncio.Task[None] | None = None
        self._question: Block = context.session.block("asked")
        """What was read of the first question, but for its last token."""
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
        self._words = 0
        await self._context.session.crop(self._question, 0)
        await self._context.session.crop(turn.thoughts, turn.kept)

    async def clearly(self, turn: Turn) -> Policy | None:
        """Ask the first question as it was read; give the first policy where the answer is clearly that one.

        Whatever else it says has to be asked anew, with all words in view.
        """
        context, question = self._context, self._first(turn)
        read = len(self._question)
        if question is None or not read or [*self._question.tokens] != [*question.tokens[:read]]:
            return None
        view = [*context.past, turn.input, self._question]
        scores = await context.session.score_choices(view, question.tokens[read:], question.choices)
        decided = self._choice.decide((scores.log_odds,), turn.input_text, context.script, tools=False)
        if isinstance(decided, ProbeQuestion) or decided.policy != self._choice.first or decided.log_odds[0] < _CLEAR:
            return None
        turn.attempt.tokens["probe"] += len(question.tokens)
        self._emit(Probe(question.name, decided.log_odds[0], 0.0, decision=True))
        return decided.policy

    async def _read(self, turn: Turn) -> None:
        context = self._context
        # What cannot be read is told by the answer, which needs it.
        with suppress(ReasoningError):
            if len(turn.input) >= _MORE * self._words:
                self._words = len(turn.input)
                await context.session.crop(turn.thoughts, 0)
                await context.session.crop(self._question, 0)
            question = self._first(turn)
            # The last token of a question is asked when all words are there.
            heads = (
                (turn.thoughts, turn.policy.opening(context.script)),
                (self._question, question.tokens[:-1] if question else ()),
            )
            for block, tokens in heads:
                if [*block.tokens] != [*tokens]:
                    await context.rewrite(block, [*context.past, turn.input, block], tokens, at_most=_PIECE)
                    return

    def _first(self, turn: Turn) -> ProbeQuestion | None:
        if not self._context.options.direct_replies:
            return None
        first = self._choice.decide((), turn.input_text, self._context.script, tools=False)
        return first if isinstance(first, ProbeQuestion) else None
