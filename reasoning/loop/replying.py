"""What a reply is made of, where no thoughts go on beside it: words at once, calls, or the result of the thoughts.

Knows in which order these are tried; how they are written, writer and actions know.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reasoning.loop.turn import Phase

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reasoning.loop.actions import Actions
    from reasoning.loop.context import LoopContext
    from reasoning.loop.turn import Attempt, Turn
    from reasoning.loop.writer import Unjudged, Writer
    from reasoning.policies.policy import Kind
    from reasoning.prompting.script import Script


class Replying:
    """Replies to a turn by words or by calls."""

    def __init__(
        self, context: LoopContext, writer: Writer, actions: Actions, enter: Callable[[Attempt, Phase], None]
    ) -> None:
        self._context, self._writer, self._actions, self._enter = context, writer, actions, enter
        self._session = context.session

    @property
    def _script(self) -> Script:
        """The wording of the language that is spoken now."""
        return self._context.script

    async def at_once(self, turn: Turn, kind: Kind | Unjudged, head: Sequence[int] | None = None) -> None:
        """Reply without thoughts; a "direct" reply that has to be thought about is left to the caller."""
        attempt = turn.attempt
        self._enter(attempt, Phase.REPLYING)
        script, context = self._script, self._context
        *request, last = head or script.answer_open
        # In a block of its own, behind which a first word can be weighed as well as written.
        await self._session.append(context.view(turn, context.new_draft(turn)), request)
        await self._session.append(context.view(turn, context.new_draft(turn)), [last])
        attempt.head = 1
        await self._writer.say_all(turn, kind)
        if not attempt.said and not attempt.rethink:
            self._writer.release(turn, script.family.language.replies.no_answer)

    async def act_or_reply(self, turn: Turn) -> None:
        """Reply without thoughts, by calls or by words."""
        if await self.wants_calls(turn):
            await self.act(turn)
        else:
            await self.at_once(turn, "unthought", None if turn.text else self._script.note_open)

    async def act_or_conclude(self, turn: Turn) -> None:
        """Reply when the thoughts have ended, by calls or by their result."""
        view, head = self._context.view(turn), [*self._script.think_close, *self._script.close, *self._script.act_open]
        if await self._actions.wanted(turn, view, head):
            await self.act(turn)
        else:
            await self._writer.conclude(turn)

    async def act(self, turn: Turn) -> None:
        """Call, and say so; where no tool does all that is asked, say that."""
        attempt, script = turn.attempt, self._script
        self._enter(attempt, Phase.ACTING)
        await self._context.head_draft(turn, script.act_open if turn.thought else script.reply_open)
        written = await self._actions.write(turn, attempt.replies[-1])
        attempt.wanted = False
        if not written:
            # Our own words: a small model that has just tried to call says anything here.
            self._writer.release(turn, script.family.language.replies.declined)
            return
        await self._context.head_draft(turn, script.acted_open(attempt.calls))
        await self._writer.say_all(turn, "acted")
        if not attempt.said:
            self._writer.release(turn, script.family.language.replies.acted)

    async def wants_calls(self, turn: Turn) -> bool:
        """Ask whether the words want calls, and remember it until those are made, or declined."""
        view = [*self._context.past, turn.input]
        turn.attempt.wanted = await self._actions.wanted(turn, view, self._script.reply_open)
        return turn.attempt.wanted
