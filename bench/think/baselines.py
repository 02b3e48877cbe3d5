"""Another way to think and speak, to compare the loop with: one stream that speaks its steps as it makes them.

It stands in the loop's place in a session, on the same engine, and takes the same options as far as it has a use for
them. The published loop is a policy of the loop itself: `reasoning/policies/published.py`.
"""

from __future__ import annotations

from collections import Counter
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from reasoning.engine.contract import Sampling
from reasoning.events import ReplyText, StateChanged, TurnDone
from reasoning.loop.steps import sentence_end
from reasoning.prompting.tokenizer import Detokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from languages.language import Language
    from reasoning.engine.contract import EngineSession
    from reasoning.events import LoopEvent
    from reasoning.options import LoopOptions
    from reasoning.prompting.script import Script

_ALOUD: Final = "\n(Work it out aloud, in short spoken sentences, one step at a time, and end with the answer.)"
_BREATH: Final = 300
"""Letters after which text without an end is spoken as it stands."""


class Aloud:
    """One stream that speaks its reasoning as it goes: one question, and sentences released as they are finished."""

    def __init__(
        self,
        session: EngineSession[Any],
        script: Script,
        options: LoopOptions,
        emit: Callable[[LoopEvent], None],
        clock: Callable[[], float],
    ) -> None:
        self._session, self._script, self._options = session, script, options
        self._emit, self._clock = emit, clock
        self._prompt, self._input = session.block("prompt"), session.block("input")
        self._reply = session.block("reply")
        self._tokens: Counter[str] = Counter()
        self._steps: list[int] = []
        self._text = ""
        self._reason = "complete"

    async def open(self) -> None:
        """Write the prompt into the cache."""
        await self._session.append([self._prompt], self._script.prompt)

    async def hear(self, text: str) -> None:
        """Take the words of the turn so far."""
        tokens = self._script.tokenizer.encode(text)
        same = 0
        while same < min(len(tokens), len(self._input)) and self._input.tokens[same] == tokens[same]:
            same += 1
        await self._session.crop(self._input, same)
        await self._session.append([self._prompt, self._input], tokens[same:])

    def playing(self, lead_s: float) -> None:
        """Learn how much is left to play; it does not care."""

    def speak(self, language: Language) -> None:
        """Speak English all the same, as the wording is."""

    async def take_back(self) -> None:
        """Forget the answer that was begun."""
        await self._session.crop(self._reply, 0)
        self._text = ""

    async def finish(self, heard: str, *, interrupted: bool = False) -> None:
        """End the conversation; there is only one turn."""

    async def note(self, text: str) -> bool:
        """Nothing comes from outside."""
        del text
        return False

    notes_waiting = False

    def _write(self, piece: str) -> None:
        """Take text of the reply, and release the sentences that it finishes."""
        self._text += piece
        while (end := sentence_end(self._text) or (_BREATH if len(self._text) > _BREATH else None)) is not None:
            sentence, self._text = self._text[:end].strip(), self._text[end:]
            if sentence:
                self._emit(ReplyText(sentence))

    def _done(self) -> None:
        if self._text.strip():
            self._emit(ReplyText(self._text.strip()))
        self._text = ""
        steps = self._steps[-1] - self._steps[0] if self._steps else 0
        self._emit(TurnDone(dict(self._tokens), steps, self._reason))

    async def answer(self, text: str) -> None:
        """Answer the turn whose final words these are."""
        deadline = self._clock() + self._options.turn_s
        await self.hear(text)
        script, pieces = self._script, self._script.tokenizer.pieces(self._script.family.prompts.system)
        view = [self._prompt, self._input, self._reply]
        request = [*script.tokenizer.encode(_ALOUD), *pieces.user_close, *pieces.assistant_open]
        await self._session.append(view, request)
        detokenizer = Detokenizer(script.tokenizer)
        limit = self._options.think_tokens + self._options.reply_tokens
        rules = Sampling(stop=script.ends, ban=script.bans, max_tokens=limit)
        self._emit(StateChanged("writing"))
        self._reason = "budget"
        async with aclosing(self._session.generate(view, rules)) as tokens:
            async for token in tokens:
                self._tokens["writer"] += 1
                self._steps.append(token.step)
                if token.id in script.ends:
                    self._reason = "complete"
                    break
                self._write(detokenizer.push(token.id))
                if self._clock() > deadline:
                    self._reason = "time"
                    break
        self._done()
