"""Two other ways to think and speak, to compare the loop with: on the same engine, in the same session.

`Aloud` is one stream that speaks its steps as it makes them. `Published` is the loop of arXiv 2512.10931 in its later
form, with prompts in our own words: the thinker reads [prompt, input, thoughts]; the writer reads the same and then its
reply; every 20 steps, or when the thoughts end a paragraph, a plain yes or no decides whether the writer runs. There is
no calibration, nothing is checked before it is spoken, and the writer's end ends everything.

Both stand in the loop's place in a session, and take the same options as far as they have a use for them.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing
from typing import TYPE_CHECKING, Any, Final

from reasoning.engine.contract import Sampling
from reasoning.events import Probe, ReplyText, StateChanged, Thought, TurnDone
from reasoning.loop.steps import sentence_end
from reasoning.prompting.tokenizer import Detokenizer

if TYPE_CHECKING:
    from collections.abc import Callable

    from languages.language import Language
    from reasoning.engine.contract import Block, EngineSession
    from reasoning.events import LoopEvent
    from reasoning.options import LoopOptions
    from reasoning.prompting.script import Script

_ALOUD: Final = "\n(Work it out aloud, in short spoken sentences, one step at a time, and end with the answer.)"
_REPLY: Final = "Tell me your reply aloud, in short spoken sentences, by what the thoughts above have found."
_AHEAD: Final = (
    "Are the thoughts above far enough ahead of what you have told me to say one more paragraph? Answer yes or no."
)
_EVERY: Final = 20
"""Thinker steps between two questions."""
_BREATH: Final = 300
"""Letters after which text without an end is spoken as it stands."""


class _BaselineTurn:
    """What both share: one question, its blocks, and sentences released as they are finished."""

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
        self._thoughts, self._reply = session.block("thoughts"), session.block("reply")
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
        """Learn how much is left to play; neither baseline cares."""

    def speak(self, language: Language) -> None:
        """They speak English, as their wording is."""

    async def take_back(self) -> None:
        """Forget the answer that was begun."""
        for block in (self._thoughts, self._reply):
            await self._session.crop(block, 0)
        self._text = ""

    async def finish(self, heard: str, *, interrupted: bool = False) -> None:
        """End the conversation; there is only one turn."""

    async def note(self, text: str) -> bool:
        """Nothing comes from outside."""
        del text
        return False

    notes_waiting = False

    def _rules(self, limit: int, stop: frozenset[int]) -> Sampling:
        return Sampling(stop=stop, ban=self._script.bans, max_tokens=max(1, limit))

    def _late(self) -> bool:
        return self._clock() > self._deadline

    def _begin(self) -> None:
        self._deadline = self._clock() + self._options.turn_s

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


class Aloud(_BaselineTurn):
    """One stream that speaks its reasoning as it goes."""

    async def answer(self, text: str) -> None:
        """Answer the turn whose final words these are."""
        self._begin()
        await self.hear(text)
        script, pieces = self._script, self._script.tokenizer.pieces(self._script.family.prompts.system)
        view = [self._prompt, self._input, self._reply]
        request = [*script.tokenizer.encode(_ALOUD), *pieces.user_close, *pieces.assistant_open]
        await self._session.append(view, request)
        detokenizer = Detokenizer(script.tokenizer)
        rules = self._rules(self._options.think_tokens + self._options.reply_tokens, script.ends)
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
                if self._late():
                    self._reason = "time"
                    break
        self._done()


class Published(_BaselineTurn):
    """The published loop: a thinker, a writer that runs or pauses, and a plain question."""

    async def answer(self, text: str) -> None:
        """Answer the turn whose final words these are."""
        self._begin()
        await self.hear(text)
        script, pieces = self._script, self._script.tokenizer.pieces(self._script.family.prompts.system)

        def asked(words: str) -> list[int]:
            request = [*pieces.assistant_close, *pieces.user_open, *script.tokenizer.encode(words)]
            return [*request, *pieces.user_close, *pieces.assistant_open]

        await self._session.append([self._prompt, self._input, self._thoughts], script.think_open)
        self._head = [*script.think_close, *asked(_REPLY)]
        self._question = asked(_AHEAD)
        self._detokenizer = Detokenizer(script.tokenizer)
        self._may_write, self._thinking, self._ask = asyncio.Event(), True, asyncio.Event()
        async with asyncio.TaskGroup() as group:
            tasks = [group.create_task(task, name=name) for task, name in (
                (self._think(), "thinker"), (self._probe(), "probe"))]  # fmt: skip
            await self._write_reply()
            for task in tasks:
                task.cancel()
        self._done()

    def _view(self, *more: Block) -> list[Block]:
        return [self._prompt, self._input, self._thoughts, *more]

    async def _think(self) -> None:
        """Think until the model ends its thoughts; then only the writer is left, and nothing pauses it."""
        detokenizer, paragraph, count = Detokenizer(self._script.tokenizer), "", 0
        rules = self._rules(self._options.think_tokens, self._script.think_ends)
        async with aclosing(self._session.generate(self._view(), rules)) as tokens:
            async for token in tokens:
                count += 1
                self._tokens["thinker"] += 1
                self._steps.append(token.step)
                if token.id in self._script.think_ends:
                    break
                piece = detokenizer.push(token.id)
                self._emit(Thought(piece))
                paragraph = (paragraph + piece)[-2:]
                if count % _EVERY == 0 or paragraph == "\n\n":
                    self._ask.set()
        if self._thoughts.tokens[-1] in self._script.think_ends:
            await self._session.crop(self._thoughts, len(self._thoughts) - 1)
        self._thinking = False
        self._emit(StateChanged("writing"))
        self._may_write.set()

    async def _probe(self) -> None:
        """Ask whether to go on writing; the answer counts as it stands."""
        while self._thinking:
            await self._ask.wait()
            self._ask.clear()
            self._tokens["probe"] += len(self._question)
            blocks = [self._reply] if len(self._reply) else []
            verdict = await self._session.score_choices(self._view(*blocks), self._question, self._script.yes_no)
            self._emit(Probe("readiness", verdict.log_odds, 0.0, verdict.log_odds > 0))
            if verdict.log_odds > 0:
                self._may_write.set()
            elif self._thinking:
                self._may_write.clear()

    async def _write_reply(self) -> None:
        """Write while allowed; a finished paragraph pauses the writer until the next yes."""
        ended = False
        while not ended and not self._spent():
            await self._may_write.wait()
            if not len(self._reply):
                await self._session.append(self._view(self._reply), self._head)
            ended = await self._write_paragraph()
            if self._thinking:
                self._may_write.clear()
        if not ended:
            self._reason = "time" if self._late() else "budget"

    async def _write_paragraph(self) -> bool:
        if self._thinking:
            self._emit(StateChanged("thinking_and_writing"))
        rules = self._rules(self._options.reply_tokens - self._tokens["writer"], self._script.ends)
        paragraph = ""
        async with aclosing(self._session.generate(self._view(self._reply), rules)) as tokens:
            async for token in tokens:
                self._tokens["writer"] += 1
                self._steps.append(token.step)
                if token.id in self._script.ends:
                    return True
                piece = self._detokenizer.push(token.id)
                self._write(piece)
                paragraph = (paragraph + piece)[-2:]
                if paragraph == "\n\n" or not self._may_write.is_set() or self._late():
                    return False
        return False

    def _spent(self) -> bool:
        return self._late() or self._tokens["writer"] >= self._options.reply_tokens
