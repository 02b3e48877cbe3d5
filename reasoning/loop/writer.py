"""The public role: writes sentences that may be spoken, each judged before it is released or taken back unheard.

Its view is [history, input, thoughts, said ..., draft]. Each sentence has a block of its own, headed by the request
that it answers. A private line is released as it stands only where the policies make a sentence of it: a plain
calculation, or what the thoughts call their answer. Thoughts in tags are prose, of which nothing is released: what is
said of them is the writer's.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

from reasoning.events import ReplyText, Retracted, Unsaid
from reasoning.loop.steps import sentence_end, spoken_part
from reasoning.loop.turn import Phase
from reasoning.policies.admission import (
    echoes,
    judge,
    objection_to_result,
    objection_to_step,
    reckons,
    tells_result,
)
from reasoning.policies.consistency import contradicted
from reasoning.policies.readout import readout

if TYPE_CHECKING:
    from collections.abc import Callable

    from reasoning.events import LoopEvent
    from reasoning.loop.context import LoopContext
    from reasoning.loop.streams import Streams
    from reasoning.loop.turn import Attempt, Turn
    from reasoning.policies.admission import Kind
    from reasoning.prompting.script import Script

_RESULT_SENTENCES = 3
"""Sentences in which the result may be told."""


class Writer:
    """Writes the sentences of a reply and releases them."""

    def __init__(
        self,
        context: LoopContext,
        streams: Streams,
        emit: Callable[[LoopEvent], None],
        enter: Callable[[Attempt, Phase], None],
    ) -> None:
        self._context, self._streams, self._emit, self._enter = context, streams, emit, enter
        self._session, self._options = context.session, context.options
        self._policies = context.policies

    @property
    def _script(self) -> Script:
        """The wording of the language that is spoken now."""
        return self._context.script

    @property
    def _reads_out(self) -> bool:
        """Whether a line of the thoughts may be released as it stands."""
        return self._policies.readout and not self._script.thinks_in_tags

    # --- what is told of thoughts ---

    async def tell_step(self, turn: Turn) -> bool:
        """Tell the newest finding; False where nothing could be said of it."""
        text = readout(turn.attempt.findings[-1], turn.language) if self._reads_out else None
        if text is None or self._objection(turn, text, "step"):
            return await self.say(turn, "step")
        # As it stands: that costs no token and invents nothing.
        self.release(turn, text)
        await self._write_out(turn, text)
        return True

    async def mend(self, turn: Turn) -> None:
        """Take back what was released and the thoughts contradict now, and say what they say instead."""
        attempt = turn.attempt
        if attempt.checked == len(attempt.steps.finished):
            return
        attempt.checked = len(attempt.steps.finished)
        while (wrong := contradicted(attempt.said, attempt.steps.finished, turn.language)) is not None:
            attempt.said.remove(wrong.sentence)
            self._emit(Unsaid(wrong.sentence, "the thoughts contradict it"))
            if wrong.instead is not None and wrong.instead not in attempt.said and not self._script.thinks_in_tags:
                self.release(turn, wrong.instead)
                await self._write_out(turn, wrong.instead)
                await self._context.head_draft(turn, self._script.step_open)

    async def conclude(self, turn: Turn) -> None:
        """End the reply with the result of the thoughts."""
        attempt = turn.attempt
        if self._told_result(turn):
            return
        if self._reads_out and attempt.steps.finished:
            last = readout(attempt.steps.finished[-1], turn.language)
            if last is not None and not self._objection(turn, last, "result"):
                self.release(turn, last)
                return
        await self._context.head_draft(turn, self._script.result_open)
        told = 0
        while told < _RESULT_SENTENCES and await self.say(turn, "result"):
            told += 1
            if self._ended(attempt):
                break
        if not told:
            self.fall_back(turn)

    def fall_back(self, turn: Turn) -> None:
        """Say without the writer what the thoughts have found; where no finding can be read out, that there is none.

        Other lines of the thoughts are private, even if nothing else is there to say.
        """
        if self._told_result(turn):
            return
        for step in () if self._script.thinks_in_tags else reversed(turn.attempt.steps.finished):
            text = readout(step, turn.language)
            if text is not None and not self._objection(turn, text, "result"):
                self.release(turn, text)
                return
        self.release(turn, self._script.family.no_answer)

    def _told_result(self, turn: Turn) -> bool:
        """Say whether what was said last is the result already. Prose does not tell what its result is."""
        said, steps = turn.attempt.said, turn.attempt.steps.finished
        return bool(said) and not self._script.thinks_in_tags and tells_result(said[-1], steps, turn.language)

    def break_off(self, turn: Turn) -> None:
        """End a reply for which the context has no more room."""
        attempt = turn.attempt
        if attempt.calls:
            if not attempt.said:
                self.release(turn, self._script.family.acted)
        elif attempt.phase is not Phase.REPLYING or not attempt.said:
            self.fall_back(turn)

    # --- sentences ---

    async def say_all(self, turn: Turn, kind: Kind) -> None:
        """Write sentences until the model or the budget ends them."""
        while await self.say(turn, kind):
            if self._ended(turn.attempt):
                break

    async def say(self, turn: Turn, kind: Kind) -> bool:
        """Write one sentence at the end of the draft, judge it, and release it or take it back."""
        attempt = turn.attempt
        draft, start = attempt.replies[-1], len(attempt.replies[-1])
        if attempt.phase is Phase.THINKING:
            self._enter(attempt, Phase.TELLING)
        written, ended = await self._sentence(turn)
        if attempt.phase is Phase.TELLING:
            self._enter(attempt, Phase.THINKING)
        text, kept = spoken_part(written, turn.language, finished=ended)
        # What was written beyond the end of the sentence begins the next one.
        await self._session.crop(draft, start + kept)
        if not text:
            if not ended:
                self._emit(Retracted("".join(written).strip(), "no end"))
            return False
        if reason := self._objection(turn, text, kind):
            attempt.rethink = kind == "direct"
            await self._session.crop(draft, start)
            self._emit(Retracted(text, reason))
            return False
        self.release(turn, text)
        return True

    def release(self, turn: Turn, text: str) -> None:
        """Let a sentence be spoken."""
        turn.attempt.said.append(text)
        self._emit(ReplyText(text))

    def spent(self, attempt: Attempt) -> bool:
        """Whether the reply's budget of tokens is used up."""
        return attempt.tokens["writer"] >= self._options.reply_tokens

    def _ended(self, attempt: Attempt) -> bool:
        return attempt.replies[-1].tokens[-1] in self._script.ends or self.spent(attempt)

    async def _sentence(self, turn: Turn) -> tuple[list[str], bool]:
        """Write to the end of a sentence; give the text in pieces, and whether the model ended its reply."""
        attempt = turn.attempt
        view, written = self._context.view(turn, attempt.replies[-1]), list[str]()
        # A call is decoded under its grammar, never spoken.
        ban = (self._script.call_starts if self._context.tools else frozenset()) | self._script.think_tag
        limit = self._options.sentence_tokens
        async with self._streams.run(attempt, view, "writer", self._script.ends, limit, ban=ban) as pieces:
            async for piece in pieces:
                written.append(piece.text)
                if piece.token in self._script.ends:
                    return written, True
                if sentence_end("".join(written), turn.language) is not None:
                    break
        return written, False

    async def _write_out(self, turn: Turn, text: str) -> None:
        """Let the writer find a sentence in its view as if it had been written."""
        draft = turn.attempt.replies[-1]
        await self._session.append(self._context.view(turn, draft), self._script.tokenizer.encode(text))

    def _objection(self, turn: Turn, text: str, kind: Kind) -> str:
        """Say why a sentence must not be spoken; nothing when it may."""
        grounding = self._policies.grounding
        if self._script.tokenizer.writes_special(text):
            return "writes a control token as words"
        match kind:
            case "acted":
                return "says its request back" if echoes(text, self._script.family.acted_request) else ""
            case "unthought":
                return ""
            case "direct":
                return "reckons without thoughts" if grounding and reckons(text, turn.input_text, turn.language) else ""
        return self._objection_to_told(turn, text, kind)

    def _objection_to_told(self, turn: Turn, text: str, kind: Kind) -> str:
        """Say why a sentence does not tell what was thought; nothing when it does."""
        attempt, grounding = turn.attempt, self._policies.grounding
        thoughts = f"{attempt.steps.text}\n{attempt.steps.rest}"
        verdict = judge(text, turn.known, thoughts, attempt.reply, grounding=grounding, language=turn.language)
        if not verdict.speak:
            return verdict.reason
        steps = attempt.steps.finished
        if kind == "step":
            return objection_to_step(text, turn.known, steps, attempt.reply, turn.language) if grounding else ""
        # The last number of prose need not be its result.
        return "" if self._script.thinks_in_tags else objection_to_result(text, steps, turn.language)
