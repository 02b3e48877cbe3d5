"""The public role: writes sentences that may be spoken, each judged before it is released or taken back unheard.

Its view is [history, input, thoughts, said ..., draft]. Each sentence has a block of its own, headed by the request
that it answers. A private line is released as it stands only where the turn's policy makes a sentence of it.
"""

from __future__ import annotations

from math import exp, log1p
from typing import TYPE_CHECKING, Final, Literal

from reasoning.events import YES, Probe, ReplyText, Retracted, Unsaid
from reasoning.loop.steps import sentence_end, spoken_part
from reasoning.loop.streams import TextPiece
from reasoning.loop.turn import Phase
from reasoning.policies.admission import echoes
from reasoning.policies.doubt import UNSURE, least_sure

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reasoning.events import LoopEvent
    from reasoning.loop.context import LoopContext
    from reasoning.loop.streams import Streams
    from reasoning.loop.turn import Attempt, Turn
    from reasoning.policies.policy import Kind
    from reasoning.prompting.script import Script

Unjudged = Literal["unthought", "acted"]
"""Sentences that no policy judges: of a reply that may not be thought about, and what is said of calls."""
_AT_ONCE: Final = frozenset({"direct", "unthought"})
"""Sentences that rest on no thoughts."""
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

    @property
    def _script(self) -> Script:
        """The wording of the language that is spoken now."""
        return self._context.script

    # --- what is told of thoughts ---

    async def tell_step(self, turn: Turn) -> bool:
        """Tell the newest finding; False where nothing could be said of it, or it is too soon."""
        if not await self._ready(turn):
            return False
        text = turn.policy.verbatim(turn.attempt.findings[-1], turn.language, at_last=False)
        if text is None or self._objection(turn, text, "step"):
            await self.head(turn, "step")
            return await self.say(turn, "step")
        # As it stands: that costs no token and invents nothing.
        self.release(turn, text)
        turn.attempt.unwritten.append(text)
        return True

    async def head(self, turn: Turn, request: Literal["step", "result"]) -> None:
        """Head the next sentence, behind what was read out since the last one: the writer finds it in its view.

        It has to be read, which slows the thoughts: so it is done when the writer is wanted, or there is time.
        """
        unwritten = turn.attempt.unwritten
        if unwritten:
            await self._context.head_draft(turn, "step")
            tokens = self._script.tokenizer.encode(" ".join(unwritten))
            unwritten.clear()
            await self._session.append(self._context.view(turn, turn.attempt.replies[-1]), tokens)
        await self._context.head_draft(turn, request)

    async def _ready(self, turn: Turn) -> bool:
        """Ask whether what was found is to be told now, where the policy has a question about it."""
        question, attempt = turn.policy.telling(self._script).ready, turn.attempt
        if question is None:
            return True
        await self.head(turn, "step")
        draft = attempt.replies[-1] if len(attempt.replies[-1]) > attempt.head else None
        tokens = [*(self._script.think_close if draft is None else []), *question.tokens]
        scores = await self._session.score_choices(self._context.view(turn, draft), tokens, question.choices)
        attempt.tokens["probe"] += len(tokens)
        self._emit(Probe(question.name, scores.log_odds, 0.0, decision=scores.log_odds > 0))
        return scores.log_odds > 0

    def mend(self, turn: Turn) -> None:
        """Take back what was released and the thoughts contradict now, and say what they say instead."""
        attempt = turn.attempt
        if attempt.checked == len(attempt.steps.finished):
            return
        attempt.checked = len(attempt.steps.finished)
        while (wrong := turn.policy.contradicted(attempt.said, attempt.steps.finished, turn.language)) is not None:
            attempt.said.remove(wrong.sentence)
            self._emit(Unsaid(wrong.sentence, "the thoughts contradict it"))
            if wrong.instead is not None and wrong.instead not in attempt.said:
                self.release(turn, wrong.instead)
                attempt.unwritten.append(wrong.instead)

    async def conclude(self, turn: Turn) -> None:
        """End the reply with the result of the thoughts."""
        attempt = turn.attempt
        if self.over(turn) or (attempt.said and turn.policy.tells_result(attempt.said[-1], turn.evidence)):
            return
        if attempt.steps.finished:
            last = turn.policy.verbatim(attempt.steps.finished[-1], turn.language, at_last=False)
            if last is not None and not self._objection(turn, last, "result"):
                self.release(turn, last)
                return
        await self.head(turn, "result")
        told, whole = 0, turn.policy.telling(self._script).one_message
        while (whole or told < _RESULT_SENTENCES) and await self.say(turn, "result"):
            told += 1
            if self._ended(attempt):
                break
        if not told and not (whole and attempt.said):
            self.fall_back(turn)

    def fall_back(self, turn: Turn) -> None:
        """Say without the writer what the thoughts have found; where no finding can be read out, that there is none.

        Other lines of the thoughts are private, even if nothing else is there to say.
        """
        attempt = turn.attempt
        if attempt.said and turn.policy.tells_result(attempt.said[-1], turn.evidence):
            return
        for step in reversed(attempt.steps.finished):
            text = turn.policy.verbatim(step, turn.language, at_last=True)
            if text is not None and not self._objection(turn, text, "result"):
                self.release(turn, text)
                return
        self.release(turn, self._script.family.language.replies.no_answer)

    def break_off(self, turn: Turn) -> None:
        """End a reply for which the context has no more room."""
        attempt = turn.attempt
        if attempt.calls:
            if not attempt.said:
                self.release(turn, self._script.family.language.replies.acted)
        elif attempt.phase is not Phase.REPLYING or not attempt.said:
            self.fall_back(turn)

    # --- sentences ---

    async def say_all(self, turn: Turn, kind: Kind | Unjudged) -> None:
        """Write sentences until the model or the budget ends them."""
        while await self.say(turn, kind):
            if self._ended(turn.attempt):
                break
        if turn.attempt.doubtful and not turn.attempt.rethink:
            self.release(turn, turn.language.replies.doubt)

    async def say(self, turn: Turn, kind: Kind | Unjudged) -> bool:
        """Write one sentence at the end of the draft, judge it, and release it or take it back."""
        attempt = turn.attempt
        draft, start = attempt.replies[-1], len(attempt.replies[-1])
        if attempt.phase is Phase.THINKING:
            self._enter(attempt, Phase.TELLING)
        pieces, ended = await self._sentence(turn, weighed=kind in _AT_ONCE and not attempt.said)
        written = [piece.text for piece in pieces]
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
        attempt.doubtful |= kind in _AT_ONCE and self._unsure(turn, pieces[:kept])
        return True

    async def _hasty(self, turn: Turn, first: TextPiece) -> bool:
        """Say whether a reply begins with a yes that is no likelier than the model likes to say yes, where measured."""
        script, bias = self._script, self._script.family.prompts.yes_bias
        if not (script.measured and bias and first.token in script.yes_no[0]):
            return False
        if first.log_prob > -log1p(exp(-bias)):
            # All else together is too unlikely.
            return False
        *before, draft = self._context.view(turn, turn.attempt.replies[-1])
        asked = draft.tokens[: turn.attempt.head]
        scores = await self._session.score_choices(before, asked, script.yes_no)
        turn.attempt.tokens["probe"] += len(asked)
        self._emit(Probe(YES, scores.log_odds - bias, 0.0, decision=scores.log_odds > bias))
        return scores.log_odds <= bias

    async def _say_no(self, turn: Turn) -> tuple[list[TextPiece], bool]:
        """Write the first sentence anew, with a no at its beginning."""
        draft, no = turn.attempt.replies[-1], self._script.family.prompts.no[0]
        await self._session.crop(draft, turn.attempt.head)
        (token,) = self._script.tokenizer.encode(no)
        await self._session.append(self._context.view(turn, draft), [token])
        pieces, ended = await self._sentence(turn)
        return [TextPiece(no, token, 0.0), *pieces], ended

    def _unsure(self, turn: Turn, pieces: Sequence[TextPiece]) -> bool:
        """Say whether the model was not sure of a number or name that nobody has told, where that was measured."""
        if not self._script.measured:
            return False
        known = f"{self._context.given}\n{turn.known}"
        read = [(piece.text, piece.log_prob) for piece in pieces]
        return least_sure(read, known, turn.language) < UNSURE

    def release(self, turn: Turn, text: str) -> None:
        """Let a sentence be spoken."""
        turn.attempt.said.append(text)
        self._emit(ReplyText(text))

    def spent(self, attempt: Attempt) -> bool:
        """Whether the reply's budget of tokens is used up."""
        return attempt.tokens["writer"] >= self._options.reply_tokens

    def over(self, turn: Turn) -> bool:
        """Whether the reply has ended itself, however much is thought still: one that is a single message does."""
        attempt = turn.attempt
        return turn.policy.telling(self._script).one_message and bool(attempt.said) and self._ended(attempt)

    def _ended(self, attempt: Attempt) -> bool:
        return attempt.replies[-1].tokens[-1] in self._script.ends or self.spent(attempt)

    async def _sentence(self, turn: Turn, *, weighed: bool = False) -> tuple[list[TextPiece], bool]:
        """Write to the end of a sentence; give the text in pieces, and whether the model ended its reply.

        weighed: it is the first one of a reply at once, and does not begin with a hasty yes.
        """
        attempt, hasty = turn.attempt, False
        view = self._context.view(turn, attempt.replies[-1])
        written: list[TextPiece] = []
        # A call is decoded under its grammar, never spoken.
        ban = (self._script.call_starts if self._context.tools else frozenset()) | self._script.think_tag
        limit = self._options.sentence_tokens
        async with self._streams.run(attempt, view, "writer", self._script.ends, limit, ban=ban) as pieces:
            async for piece in pieces:
                written.append(piece)
                if hasty := weighed and len(written) == 1 and await self._hasty(turn, piece):
                    break
                if piece.token in self._script.ends:
                    return written, True
                if sentence_end("".join(one.text for one in written), turn.language) is not None:
                    break
        return await self._say_no(turn) if hasty else (written, False)

    def _objection(self, turn: Turn, text: str, kind: Kind | Unjudged) -> str:
        """Say why a sentence must not be spoken; nothing when it may."""
        if self._script.tokenizer.writes_special(text):
            return "writes a control token as words"
        if kind == "acted":
            return "says its request back" if echoes(text, self._script.family.prompts.acted_request) else ""
        if kind == "unthought":
            return ""
        return turn.policy.objection(text, kind, turn.evidence)
