"""The private role: thinks in short lines, or in prose between tags, until it concludes, or a budget does.

Its view is [history, input, thoughts]. Knows nothing of what is said; tells, by an event, when a step has found
something and when it has ended.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reasoning.events import Thought
from reasoning.loop.turn import Phase

if TYPE_CHECKING:
    import asyncio
    from collections.abc import Callable, Sequence

    from reasoning.engine.contract import Block
    from reasoning.events import LoopEvent, Reason
    from reasoning.loop.context import LoopContext
    from reasoning.loop.steps import Steps
    from reasoning.loop.streams import Streams
    from reasoning.loop.turn import Attempt, Carried, Turn
    from reasoning.prompting.script import Script


class Thinker:
    """Writes the thoughts of a turn."""

    def __init__(
        self,
        context: LoopContext,
        streams: Streams,
        emit: Callable[[LoopEvent], None],
        enter: Callable[[Attempt, Phase], None],
        *,
        clock: Callable[[], float],
        changed: asyncio.Event,
        budget: Callable[[Turn], int],
    ) -> None:
        """Make the role; it sets `changed` at every finding and at the end, and spends at most `budget` tokens."""
        self._context, self._streams, self._emit, self._enter = context, streams, emit, enter
        self._session, self._options = context.session, context.options
        self._clock, self._changed, self._budget = clock, changed, budget

    @property
    def _script(self) -> Script:
        """The wording of the language that is spoken now."""
        return self._context.script

    async def open(self, turn: Turn) -> None:
        """Write the head of the thoughts, or go on with those of an interrupted turn."""
        if turn.carried is not None:
            await self._resume(turn, turn.carried)
        else:
            if turn.earlier:
                await self._context.crop_thoughts(turn, 0)
            # What was read of it while the user spoke stands there.
            view, opening = self._context.view(turn), turn.policy.opening(self._script)
            await self._context.rewrite(turn.thoughts, view, opening)

    async def think(self, turn: Turn) -> None:
        """Think until the model concludes, or the budget does."""
        attempt = turn.attempt
        self._enter(attempt, Phase.THINKING)
        if not await self._work(turn):
            attempt.reason = "budget" if attempt.reason == "complete" else attempt.reason
            ended = await self._force_answer(attempt, self._context.view(turn))
        else:
            ended = True
        attempt.steps.finish()
        if ended:
            await self.reopen(turn.thoughts)
        self._enter(attempt, Phase.CONCLUDING)
        self._changed.set()

    async def reopen(self, thoughts: Block) -> None:
        """Crop the end: it belongs to the head of each reply, so that new words can find the thoughts open again."""
        if len(thoughts) and thoughts.tokens[-1] in self._script.think_ends:
            await self._session.crop(thoughts, len(thoughts) - 1)

    async def _resume(self, turn: Turn, old: Carried) -> None:
        """Open the thoughts with what the turn's words leave standing of the interrupted turn's."""
        script, policy = self._script, turn.policy
        kept = [*policy.standing(old.steps, old.told, turn.text, turn.language)]
        if kept == [*old.steps] == [*turn.kept_steps[: len(kept)]]:
            await self._session.append(self._context.view(turn), policy.going_on(script))
            return
        # From the head on: what stands is to be read as if it had been thought with the new words in sight.
        await self._context.crop_thoughts(turn, 0)
        written = script.tokenizer.encode("".join(f"{step}\n" for step in kept))
        await self._session.append(self._context.view(turn), [*policy.opening(script), *written])
        turn.keep(kept)

    async def _work(self, turn: Turn) -> bool:
        """Write steps, stretch by stretch; say whether the model ended them itself."""
        while (ended := await self._stretch(turn)) is None:
            if reason := self._given_up(turn, grown=True):
                turn.attempt.reason = reason
                return False
        return ended

    async def _stretch(self, turn: Turn) -> bool | None:
        """Write steps; say whether the model ended them itself.

        None: the stretch is long enough and another one was begun, or a step was put right.
        """
        attempt, view, ended, right, long = turn.attempt, self._context.view(turn), False, None, False
        most = self._budget(turn)
        left = most - attempt.tokens["thinker"]
        # Where the step at hand begins, and where the newest token ends, in tokens of the block.
        begins = at = len(turn.thoughts)
        async with self._streams.run(attempt, view, "thinker", self._script.think_ends, left) as pieces:
            async for piece in pieces:
                ended, at = piece.token in self._script.think_ends, at + 1
                if piece.text:
                    self._emit(Thought(piece.text))
                if self._closes(attempt.steps, piece.text):
                    return True
                new = attempt.steps.receive(piece.text, turn.language)
                if len(new) == 1 and (right := turn.policy.put_right(new[0], turn.language)) is not None:
                    break
                if new:
                    # The token that ends a sentence may begin the next one.
                    begins = at - bool(attempt.steps.rest.strip())
                self._note_findings(turn, new)
                if reason := self._given_up(turn, grown=bool(new)):
                    attempt.reason = reason
                    break
                if long := not ended and self._long_enough(turn, most, between=bool(new)):
                    break
        if right is not None:
            await self._put_right(turn, begins, right)
        elif long:
            await self._context.begin_stretch(turn)
        else:
            return ended
        return None

    def _given_up(self, turn: Turn, *, grown: bool) -> Reason | None:
        """Give why the thoughts are to be ended, by their policy or by the time; None where they go on.

        grown: by a finished step, so that the policy has something new to look at.
        """
        if grown and turn.policy.circling(turn.attempt.steps.finished):
            return "circling"
        return "time" if self._clock() > turn.attempt.deadline else None

    def _long_enough(self, turn: Turn, budget: int, *, between: bool) -> bool:
        """Say whether another stretch is to begin: at the end of a step, if one comes, and while there is budget."""
        most = self._options.stretch_tokens * (1 if between else 2)
        return turn.attempt.tokens["thinker"] < budget and len(turn.thoughts) >= most

    async def _put_right(self, turn: Turn, begins: int, right: str) -> None:
        """Write the newest finished step anew, with what was begun behind it cropped."""
        steps = turn.attempt.steps
        steps.finished[-1], steps.rest = right, ""
        await self._session.crop(turn.thoughts, begins)
        await self._session.append(self._context.view(turn), self._script.tokenizer.encode(f"{right}\n"))
        self._emit(Thought(f"{right}\n"))
        self._note_findings(turn, [right])

    async def _force_answer(self, attempt: Attempt, view: Sequence[Block]) -> bool:
        """Have thoughts that were cut off name the best answer they have; say whether that ended them."""
        opening, limit = self._script.family.prompts.force_answer, self._script.profile.budgets.answer_tokens
        await self._session.append(view, self._script.tokenizer.encode(opening))
        attempt.steps.rest = opening.lstrip()
        self._emit(Thought(opening))
        async with self._streams.run(attempt, view, "thinker", self._script.think_ends, limit) as pieces:
            async for piece in pieces:
                if piece.token in self._script.think_ends:
                    return True
                self._emit(Thought(piece.text))
                if self._closes(attempt.steps, piece.text):
                    break
                if attempt.steps.receive(piece.text, self._context.language):
                    break
        return False

    def _closes(self, steps: Steps, text: str) -> bool:
        """Say whether the thoughts are ended by their tag written as words, which is then no part of them."""
        end, rest = self._script.family.think_end, steps.rest + text
        if not end or end not in rest:
            return False
        steps.rest = rest.partition(end)[0]
        return True

    def _note_findings(self, turn: Turn, steps: Sequence[str]) -> None:
        """Note which of the newest finished steps found something that nothing before them holds."""
        finished = turn.attempt.steps.finished
        for place, step in enumerate(steps, len(finished) - len(steps)):
            if turn.policy.found(step, finished[:place], turn.input_text, turn.language):
                turn.attempt.findings.append(step)
                self._changed.set()
