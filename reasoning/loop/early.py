"""Thoughts about the words so far, while the user speaks: guesses at what will be thought about all of them.

They stand in a block of their own, which nothing else reads. When the turn has ended they are taken back, and its
thoughts are thought with all words in view. But an engine that computes guesses looks them up in what was taken back
(`reasoning.engine.drafts`): of early thoughts, token by token, what the whole question leaves standing costs a check
instead of a step, the rest is gone, and no token of the answer is another one for it.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from reasoning.loop.steps import Steps
from reasoning.loop.turn import Attempt

if TYPE_CHECKING:
    from collections.abc import Callable

    from reasoning.loop.context import LoopContext
    from reasoning.loop.streams import Streams
    from reasoning.loop.turn import Turn
    from reasoning.policies.policy import Policy

_GAP_S: Final = 0.25
"""Seconds that are thought each time that words came: the recogniser decodes again half a second after it has given
words, and needs the processor to itself then."""
_MOST: Final = 192
"""Tokens: an engine keeps 256 of what was taken back, of which some 40 are the opening."""
_MORE: Final = 1.25
"""Times as many words as thoughts were begun with, for them to be begun anew: those of 70 % of the words are half as
often said again as those of nearly all (docs/bench.md)."""


class EarlyThoughts:
    """Thinks about half a question, in the gaps that the recogniser leaves."""

    def __init__(self, context: LoopContext, streams: Streams, clock: Callable[[], float]) -> None:
        """`streams`: its own, so that what others draw does not depend on how much was thought early."""
        self._context, self._streams, self._clock = context, streams, clock
        self._block = context.session.block("early")
        self._words = 0
        """Tokens of the input when the thoughts were begun; 0: the opening is being read."""

    async def go_on(self, turn: Turn, policy: Policy, piece: int) -> None:
        """Think for one gap about the words that are there; or read the opening, a `piece` of it."""
        until, block = self._clock() + _GAP_S, self._block
        view, opening = [*self._context.past, turn.input, block], [*policy.opening(self._context.script)]
        if [*block.tokens[: len(opening)]] != opening:
            self._words = 0
            await self._context.rewrite(block, view, opening, at_most=piece)
            return
        if len(turn.input) >= _MORE * self._words:
            self._words = len(turn.input)
            await self._context.session.crop(block, len(opening))
        left = len(opening) + _MOST - len(block)
        ends = self._context.script.think_ends
        if left <= 0 or block.tokens[-1] in ends:
            return
        # What it costs is the turn's, in no budget of its answer.
        async with self._streams.run(Attempt(Steps()), view, "thinker", ends, left) as pieces:
            async for _ in pieces:
                turn.early += 1
                if self._clock() >= until:
                    break

    async def drop(self) -> None:
        """Take the thoughts back, with their opening: an engine that guesses finds them behind it."""
        if len(self._block):
            await self._context.session.crop(self._block, 0)
