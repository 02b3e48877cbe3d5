"""Runs one turn's streams on an engine session, as pieces of text, and keeps account of their tokens."""

from __future__ import annotations

from contextlib import aclosing
from itertools import count
from typing import TYPE_CHECKING, Any, Final, NamedTuple

from reasoning.engine.contract import Sampling
from reasoning.prompting.tokenizer import Detokenizer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from reasoning.engine.contract import Block, EngineSession, Grammar
    from reasoning.loop.turn import Attempt
    from reasoning.options import LoopOptions
    from reasoning.prompting.profiles.profile import Role
    from reasoning.prompting.script import Script

_STREAMS: Final = 2**16
"""Streams of a conversation that draw by seeds of their own."""


class TextPiece(NamedTuple):
    """Text that a stream wrote."""

    text: str
    token: int
    """The token that completed it."""
    log_prob: float
    """Of that token, under the model."""


class Streams:
    """What the roles of a loop write with."""

    def __init__(self, session: EngineSession[Any], script: Script, options: LoopOptions, *, seed: int) -> None:
        self._session, self._script, self._options = session, script, options
        self._seed, self._numbers = seed, count()

    def run(
        self,
        attempt: Attempt,
        view: Sequence[Block],
        name: Role,
        stop: frozenset[int],
        limit: int,
        *,
        ban: frozenset[int] = frozenset(),
        grammar: Grammar | None = None,
    ) -> aclosing[AsyncGenerator[TextPiece]]:
        """Run one stream for as long as the context lasts. Control tokens come only by a grammar, and greedily."""
        if grammar is not None:
            # How sure the model is of a call decides whether it is made: nothing is drawn there.
            rules = Sampling(stop=stop, max_tokens=max(1, limit), grammar=grammar)
        else:
            rules = self._sampling(name, stop, ban | self._script.bans, max(1, limit))
        return aclosing(self._pieces(attempt, view, name, rules))

    def _sampling(self, role: Role, stop: frozenset[int], ban: frozenset[int], limit: int) -> Sampling:
        options, advised = self._options, self._script.profile.sampling(role)
        return Sampling(
            stop=stop,
            ban=ban,
            max_tokens=limit,
            temperature=advised.temperature if options.temperature is None else options.temperature,
            top_k=advised.top_k if options.top_k is None else options.top_k,
            top_p=advised.top_p if options.top_p is None else options.top_p,
            min_p=advised.min_p if options.min_p is None else options.min_p,
            # A seed for each stream: a sentence that was taken back is not drawn again.
            seed=self._seed * _STREAMS + next(self._numbers) % _STREAMS,
        )

    async def _pieces(
        self, attempt: Attempt, view: Sequence[Block], name: str, rules: Sampling
    ) -> AsyncGenerator[TextPiece]:
        detokenizer = Detokenizer(self._script.tokenizer)
        async with aclosing(self._session.generate(view, rules)) as tokens:
            async for token in tokens:
                attempt.tokens[name] += 1
                attempt.first_step = attempt.first_step or token.step
                attempt.last_step = token.step
                yield TextPiece(detokenizer.push(token.id), token.id, token.log_prob)
