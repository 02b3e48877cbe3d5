"""Runs one turn's streams on an engine session, as pieces of text, and keeps account of their tokens."""

from __future__ import annotations

from contextlib import aclosing
from typing import TYPE_CHECKING, Any, NamedTuple

from reasoning.engine.contract import Sampling
from reasoning.prompting.tokenizer import Detokenizer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from reasoning.engine.contract import Block, EngineSession, Grammar
    from reasoning.loop.turn import Turn
    from reasoning.prompting.script import Script


class TextPiece(NamedTuple):
    """Text that a stream wrote."""

    text: str
    token: int
    """The token that completed it."""
    log_prob: float
    """Of that token, under the model."""


class Streams:
    """What the roles of a loop write with."""

    def __init__(self, session: EngineSession[Any], script: Script, *, seed: int) -> None:
        self._session, self._script, self._seed = session, script, seed

    def run(
        self,
        turn: Turn,
        view: Sequence[Block],
        name: str,
        stop: frozenset[int],
        limit: int,
        *,
        ban: frozenset[int] = frozenset(),
        grammar: Grammar | None = None,
    ) -> aclosing[AsyncGenerator[TextPiece]]:
        """Run one stream for as long as the context lasts. Control tokens come only by a grammar."""
        ban = ban | self._script.bans if grammar is None else frozenset()
        rules = Sampling(stop=stop, ban=ban, max_tokens=max(1, limit), seed=self._seed, grammar=grammar)
        return aclosing(self._pieces(turn, view, name, rules))

    async def _pieces(self, turn: Turn, view: Sequence[Block], name: str, rules: Sampling) -> AsyncGenerator[TextPiece]:
        detokenizer = Detokenizer(self._script.tokenizer)
        async with aclosing(self._session.generate(view, rules)) as tokens:
            async for token in tokens:
                turn.tokens[name] += 1
                turn.first_step = turn.first_step or token.step
                turn.last_step = token.step
                yield TextPiece(detokenizer.push(token.id), token.id, token.log_prob)
