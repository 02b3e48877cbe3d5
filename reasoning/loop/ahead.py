"""What is done while the user speaks: what will stand behind the words is read before they have all been said.

A block keeps its cache when the blocks before it grow (arXiv 2512.10931, section 3.3), so the questions about the
words, and the head of the thoughts, need not wait for the last of them. A question is read again when there are a
quarter more words, a head when they have doubled; what is written behind a head, and the last token of a question,
have all words in view. Nothing is told meanwhile, and what was read is in no account: a turn has the blocks and budgets
that it would have without. What is thought meanwhile is `early`'s.
"""

from __future__ import annotations

import asyncio
from contextlib import suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reasoning.errors import ReasoningError
from reasoning.events import Probe
from reasoning.policies.policy import Chosen, ProbeQuestion

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reasoning.engine.contract import Block
    from reasoning.events import LoopEvent
    from reasoning.loop.context import LoopContext
    from reasoning.loop.early import EarlyThoughts
    from reasoning.loop.turn import Turn
    from reasoning.policies.policy import PolicyChoice

_PIECE: Final = 36
"""Tokens that are read each time that words came: a whole question, in 0.35 to 0.5 s on two cores with AVX2, where the
recogniser gives words each half second. Less would leave the rest to be read behind the last words."""
_FEW: Final = 8
"""Tokens of words with which nothing is begun yet."""
_MORE: Final = 2
"""Times as many words as the head of the thoughts was read with, for it to be read again."""
_STALE: Final = 1.25
"""Times as many words as a question was read with, for what it says not to count, and it to be read again."""
_DOUBTS: Final = (-0.6, 1.2)
"""Between what the answer with all words may lie, from one that was read with four fifths of them; docs/bench.md."""


@dataclass(slots=True)
class AheadQuestion:
    """A question that is read ahead, without its last token."""

    block: Block
    words: int = 0
    """Tokens of the input when it was begun."""
    said: float | None = None
    """The log-odds when it was read; None before."""


class Ahead:
    """Reads questions and the head of the thoughts, or has early thoughts go on, a piece at a time, in its own task."""

    def __init__(
        self,
        context: LoopContext,
        choice: PolicyChoice,
        early: EarlyThoughts,
        emit: Callable[[LoopEvent], None],
    ) -> None:
        self._context, self._choice, self._early, self._emit = context, choice, early, emit
        self._task: asyncio.Task[None] | None = None
        self._questions: list[AheadQuestion] = []
        """The questions in their order, without the last token of each."""
        self._head_words = 0
        """Tokens of the input when the head of the thoughts was begun."""

    def go_on(self, turn: Turn) -> None:
        """Read the next piece, unless one is being read; never waits."""
        # What an interrupted turn left is opened by words that are not known yet.
        if turn.carried is None and len(turn.input) >= _FEW and (self._task is None or self._task.done()):
            self._task = asyncio.create_task(self._read(turn), name="ahead")

    async def stop(self) -> None:
        """End the reading at once, and take early thoughts back.

        What was begun of the rest stands in its block, and is computed by whoever needs it.
        """
        task, self._task = self._task, None
        if task is not None and not task.done():
            task.cancel()
            await asyncio.wait([task])
        await self._early.drop()

    async def forget(self, turn: Turn) -> None:
        """End the reading, and forget all that was read for the turn."""
        await self.stop()
        self._head_words = 0
        await self._context.session.crop(turn.thoughts, turn.kept)
        for question in self._questions:
            question.words, question.said = 0, None
            await self._context.session.crop(question.block, 0)

    async def chosen(self, turn: Turn) -> Chosen | None:
        """Ask the questions as they were read; give what they choose where that is the same in spite of all doubt.

        Else they have to be asked anew, with all words in view.
        """
        context, log_odds, asked = self._context, list[float](), list[ProbeQuestion]()
        while isinstance(decided := self._decided(turn, log_odds), ProbeQuestion):
            read = self._questions[len(asked)] if len(asked) < len(self._questions) else None
            if read is None or not len(read.block) or len(turn.input) >= _STALE * read.words:
                return None
            begun = len(read.block)
            if [*read.block.tokens] != [*decided.tokens[:begun]]:
                return None
            view = [*context.past, turn.input, read.block]
            scores = await context.session.score_choices(view, decided.tokens[begun:], decided.choices)
            log_odds.append(scores.log_odds)
            asked.append(decided)
        if not asked or decided is None:
            # Nothing is to be asked, or all was and leaves it open.
            return None
        meant = self._decide(turn, log_odds)
        if isinstance(meant, ProbeQuestion):
            return None
        for question, one in zip(asked, meant.log_odds, strict=False):
            turn.attempt.tokens["probe"] += len(question.tokens)
            self._emit(Probe(question.name, one, 0.0, decision=one > 0))
        return meant

    async def _read(self, turn: Turn) -> None:
        # What cannot be read is told by the answer, which needs it.
        with suppress(ReasoningError):
            if self._context.options.direct_replies:
                read, chosen = await self._read_questions(turn)
                if not read:
                    return
            else:
                chosen = Chosen(turn.policy, ())
            policy = turn.policy if chosen is None else chosen.policy
            match self._context.options.listening:
                case "heads":
                    await self._read_head(turn)
                case "thoughts" if policy is not None:
                    await self._early.go_on(turn, policy, _PIECE)

    async def _read_head(self, turn: Turn) -> None:
        opening = turn.policy.opening(self._context.script)
        if [*turn.thoughts.tokens] != [*opening]:
            self._head_words = self._head_words or len(turn.input)
            await self._read_on(turn, turn.thoughts, opening)
        elif len(turn.input) >= _MORE * self._head_words:
            self._head_words = len(turn.input)
            await self._context.session.crop(turn.thoughts, 0)
            await self._read_on(turn, turn.thoughts, opening)

    async def _read_questions(self, turn: Turn) -> tuple[bool, Chosen | None]:
        """Read a piece of the questions that will be asked; say whether all are read, and what they choose now."""
        context, said = self._context, list[float]()
        while isinstance(question := self._decided(turn, said), ProbeQuestion):
            if len(said) == len(self._questions):
                self._questions.append(AheadQuestion(context.session.block(f"asked{len(said)}")))
            read = self._questions[len(said)]
            if read.words and len(turn.input) >= _STALE * read.words:
                read.words, read.said = 0, None
                await context.session.crop(read.block, 0)
            # The last token is asked when all words are there.
            begun = question.tokens[:-1]
            if [*read.block.tokens] != [*begun]:
                read.words = read.words or len(turn.input)
                await self._read_on(turn, read.block, begun)
                return False, None
            if read.said is None:
                view = [*context.past, turn.input, read.block]
                read.said = (await context.session.score_choices(view, question.tokens[-1:], question.choices)).log_odds
            said.append(read.said)
        return True, question

    async def _read_on(self, turn: Turn, block: Block, tokens: Sequence[int]) -> None:
        await self._context.rewrite(block, [*self._context.past, turn.input, block], tokens, at_most=_PIECE)

    def _decided(self, turn: Turn, log_odds: Sequence[float]) -> ProbeQuestion | Chosen | None:
        """Give what is asked next, or chosen in spite of all doubt of the answers; None: that leaves it open."""
        told: list[Chosen] = []
        for doubt in _DOUBTS:
            match self._decide(turn, [one + doubt for one in log_odds]):
                case ProbeQuestion() as question:
                    return question
                case chosen:
                    told.append(chosen)
        return told[0] if told[0].policy == told[1].policy else None

    def _decide(self, turn: Turn, log_odds: Sequence[float]) -> ProbeQuestion | Chosen:
        context = self._context
        tools = bool(context.tools)
        return self._choice.decide(log_odds, turn.input_text, context.script, told=context.told, tools=tools)
