"""The asynchronous loop: listen, think, ask whether there is something to say, write - all at the same time.

One turn, in `async` mode:

    hear(words) ...         input grows; the thinker lists the facts heard so far, nothing else
    answer(final words)     thinker: goes on from the facts, step by step, until it concludes
                            writer:  whenever a step is finished and little is left to play, a probe decides whether
                                     there is something new; if so one sentence is written about it, judged, released
                            at last: one request for the result, so that what is spoken ends with what was thought
    finish(heard)           what the user heard becomes history; on an interruption the thoughts stay

Views, by block: thinker [history, input, thoughts]; writer [history, input, thoughts, said ..., draft]; probe
[history, input, thoughts, said ..., question]. Each sentence has a block of its own, headed by the request that it
answers; the head is written into the cache early, so that a sentence costs only its own tokens when it is wanted.

Written against `Engine`. Knows no audio: the caller says how much is left to play. Time comes from the caller's clock.
"""

from __future__ import annotations

import asyncio
from collections import Counter
from contextlib import aclosing, suppress
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Any, Literal

from reasoning.engine import Sampling
from reasoning.errors import ContextFull
from reasoning.events import (
    NEED,
    READINESS,
    HistoryDropped,
    LoopEvent,
    Probe,
    ReplyText,
    Retracted,
    State,
    StateChanged,
    Thought,
    ThoughtDropped,
    TurnDone,
)
from reasoning.grounding import last_number, numbers, told_again
from reasoning.policies import Readiness, finds, judge, objection_to_step
from reasoning.steps import Steps, sentence_end, spoken_part
from reasoning.tokenizer import Detokenizer

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Awaitable, Callable, Sequence

    from reasoning.engine import Block, EngineSession, Verdict
    from reasoning.options import LoopOptions
    from reasoning.script import Script

_CARRIED = 3
"""Thinking budgets that the thoughts of interrupted turns may fill together, before they are dropped."""
Kind = Literal["step", "result", "direct"]
"""What a sentence is: a step of the thoughts, their result, or a reply without thoughts."""
_MARGIN = 64
"""Tokens of a view that are kept free for requests and questions."""


@dataclass(slots=True)
class _Turn:
    number: int
    input: Block
    thoughts: Block
    text: str = ""
    """The user's words."""
    steps: Steps = field(default_factory=Steps)
    facts_end: int = 0
    """Length of the thoughts up to the last fact that is kept."""
    facts: int = 0
    """How many of the finished steps are those facts."""
    carried: bool = False
    """The thoughts come from a turn that was interrupted."""
    findings: int = 0
    """Steps that found something."""
    thinking: bool = False
    thought_out: bool = False
    replies: list[Block] = field(default_factory=list)
    """A block for each sentence, and the draft that is headed for the next one."""
    head: int = 0
    """Length of the draft's head."""
    said: list[str] = field(default_factory=list)
    tokens: Counter[str] = field(default_factory=Counter)
    first_step: int = 0
    last_step: int = 0
    reason: str = "complete"
    deadline: float = float("inf")

    @property
    def reply(self) -> str:
        return " ".join(self.said)


class Loop:
    """One user's mind on one engine session."""

    def __init__(
        self,
        session: EngineSession[Any],
        script: Script,
        options: LoopOptions,
        emit: Callable[[LoopEvent], None],
        clock: Callable[[], float],
        *,
        context: int,
        seed: int = 0,
    ) -> None:
        """Make the loop; `context` is the number of tokens that a view may hold."""
        self._session, self._script, self._options = session, script, options
        self._emit, self._clock, self._context, self._seed = emit, clock, context, seed
        self._prompt = session.block("prompt")
        self._history: list[tuple[Block, Block]] = []
        self._turns = 0
        self._turn = self._new_turn()
        self._early: asyncio.Task[None] | None = None
        self._changed = asyncio.Event()
        self._lead_s = 0.0
        self._state: State | None = None

    # --- what the caller tells ---

    async def open(self) -> None:
        """Write the prompt into the cache, once, before anybody speaks."""
        await self._session.append([self._prompt], self._script.prompt)

    async def hear(self, text: str) -> None:
        """Take the words of the turn so far (all of them); the thinker begins with the first ones."""
        self._show("listening")
        await self._set_input(text)
        begins = self._early is None and not len(self._turn.thoughts)
        if text and begins and self._options.early_thinking and self._options.mode == "async":
            self._early = asyncio.create_task(self._think_early(self._turn), name="early-thinker")
        self._changed.set()

    def playing(self, lead_s: float) -> None:
        """Learn how much reply is left to play, in seconds; below zero it is how long the listener has waited."""
        self._lead_s = lead_s
        self._changed.set()

    async def answer(self, text: str) -> None:
        """Answer the turn whose final words these are. Cancel it to interrupt."""
        turn = self._turn
        turn.deadline = self._clock() + self._options.turn_s
        await self._end_early()
        await self._set_input(text)
        try:
            if self._options.mode == "no-think":
                await self._reply_at_once(turn)
            elif self._options.mode == "think-first":
                await self._open_thoughts(turn)
                await self._think(turn)
                await self._conclude(turn)
            else:
                await self._open_thoughts(turn)
                await self._think_and_speak(turn)
        except ContextFull:
            turn.reason = "context"
            self._say_last_step(turn)
        self._show("done")
        self._emit(TurnDone(dict(turn.tokens), turn.last_step - turn.first_step, turn.reason))

    async def take_back(self) -> None:
        """Forget the answer that was begun: the user goes on. The facts heard so far stay."""
        turn = self._turn
        for block in turn.replies:
            await self._session.crop(block, 0)
        await self._session.crop(turn.thoughts, turn.facts_end)
        del turn.steps.finished[turn.facts :]
        turn.steps.rest, turn.thinking, turn.thought_out, turn.findings = "", False, False, 0
        turn.replies.clear()
        turn.said.clear()
        turn.head = 0
        self._show("listening")

    async def finish(self, heard: str, *, interrupted: bool = False) -> None:
        """Turn what the user heard into history and get ready for the next turn.

        An interrupted turn leaves its thoughts to the next one: nothing that was thought is lost.
        """
        await self._end_early()
        old, script = self._turn, self._script
        for block in old.replies:
            await self._session.crop(block, 0)
        record = self._session.block(f"heard{old.number}")
        text = script.tokenizer.encode(f"{heard} —" if interrupted and heard else heard)
        if old.text:
            view = [*self._past(), old.input, record]
            await self._session.append(view, [*script.heard_open, *text, *script.heard_close])
            self._history.append((old.input, record))
        self._turn = self._new_turn()
        if interrupted and old.text and len(old.thoughts) <= _CARRIED * self._options.think_tokens:
            old.steps.finish()
            await self._reopen(old.thoughts)
            self._turn.thoughts, self._turn.steps = old.thoughts, old.steps
            self._turn.facts_end, self._turn.facts = len(old.thoughts), len(old.steps.finished)
            self._turn.carried = len(old.steps.finished) > old.facts
        else:
            await self._session.crop(old.thoughts, 0)
        await self._drop_history()
        self._show("listening")

    async def close(self) -> None:
        """End what runs of its own accord; `answer` is ended by whoever runs it."""
        await self._end_early()

    # --- input ---

    def _new_turn(self) -> _Turn:
        self._turns += 1
        block = self._session.block
        # As many names as turns can be in the context at once: what is dropped makes room for what comes.
        number = self._turns % (self._options.history_turns + 2)
        return _Turn(number, block(f"input{number}"), block("thoughts"))

    def _past(self) -> list[Block]:
        return [self._prompt, *(block for pair in self._history for block in pair)]

    async def _set_input(self, text: str) -> None:
        turn, block = self._turn, self._turn.input
        turn.text = text
        tokens = self._script.tokenizer.encode(text)
        same = 0
        for mine, new in zip(block.tokens, tokens, strict=False):
            if mine != new:
                break
            same += 1
        if same < len(block):
            await self._session.crop(block, same)
        await self._session.append([*self._past(), block], tokens[same:])

    async def _drop_history(self) -> None:
        need = len(self._turn.thoughts) + self._options.think_tokens + self._options.reply_tokens + _MARGIN * 4
        dropped = 0
        while self._history and (
            len(self._history) > self._options.history_turns or sum(map(len, self._past())) + need > self._context
        ):
            for block in self._history.pop(0):
                await self._session.crop(block, 0)
            dropped += 1
        if dropped:
            self._emit(HistoryDropped(dropped))

    # --- thinking ---

    async def _think_early(self, turn: _Turn) -> None:
        # Facts that do not fit are a loss, not the end of the turn.
        with suppress(ContextFull):
            await self._list_facts(turn)

    async def _list_facts(self, turn: _Turn) -> None:
        """While the user talks: one line for each fact heard; a line that goes beyond the words is cropped."""
        block = turn.thoughts
        if not len(block):
            await self._session.append(self._view(turn), self._script.early_open)
        turn.facts_end = len(block)
        while turn.tokens["early"] < self._options.think_tokens // 2:
            heard = turn.text
            line = await self._fact(turn)
            known = "\n".join(turn.steps.finished)
            new = line is not None and told_again(line, turn.text) and judge(line, "", "", known, grounding=False).speak
            if line is None or not new:
                await self._session.crop(block, turn.facts_end)
                self._emit(ThoughtDropped("no fact that was heard"))
                while turn.text == heard:
                    self._changed.clear()
                    await self._changed.wait()
                continue
            turn.facts_end = len(block)
            turn.facts += 1
            turn.steps.finished.append(line)
            self._emit(Thought("\n"))

    async def _fact(self, turn: _Turn) -> str | None:
        text = ""
        async with self._stream(turn, self._view(turn), "early", self._script.think_ends, 40) as pieces:
            async for piece, _ in pieces:
                text += piece
                if shown := piece.split("\n")[0]:
                    self._emit(Thought(shown))
                if "\n" in text.lstrip():
                    break
        line = text.strip(" -\n")
        return line if "\n" in text.lstrip() and len(line.split()) > 1 else None

    async def _end_early(self) -> None:
        if self._early is not None:
            self._early.cancel()
            # Not `await self._early`: its cancellation could not be told from that of the caller.
            await asyncio.wait([self._early])
            early, self._early = self._early, None
            if not early.cancelled():
                early.result()
            await self._session.crop(self._turn.thoughts, self._turn.facts_end)
            self._emit(ThoughtDropped("the turn has ended"))

    async def _open_thoughts(self, turn: _Turn) -> None:
        if turn.carried:
            await self._session.append(self._view(turn), self._script.resume_open)
        elif turn.steps.finished:
            await self._session.append(self._view(turn), self._script.work_open)
        else:
            await self._session.crop(turn.thoughts, 0)
            await self._session.append(self._view(turn), self._script.think_open)

    async def _think(self, turn: _Turn) -> None:
        """Think until the model concludes, or the budget does."""
        turn.thinking = True
        self._show_running(turn)
        ended = False
        left = self._options.think_tokens - turn.tokens["thinker"]
        async with self._stream(turn, self._view(turn), "thinker", self._script.think_ends, left) as pieces:
            async for piece, token in pieces:
                ended = token in self._script.think_ends
                if piece:
                    self._emit(Thought(piece))
                self._note_findings(turn, turn.steps.receive(piece))
                if turn.steps.circling:
                    turn.reason = "circling"
                    break
                if self._clock() > turn.deadline:
                    turn.reason = "time"
                    break
        if ended:
            turn.steps.finish()
            await self._reopen(turn.thoughts)
        elif turn.reason == "complete":
            turn.reason = "budget"
        turn.thinking, turn.thought_out = False, True
        self._changed.set()

    def _note_findings(self, turn: _Turn, steps: Sequence[str]) -> None:
        for step in steps:
            before = turn.steps.finished[: turn.steps.finished.index(step)]
            if finds(step, "\n".join([turn.text, *before])):
                turn.findings += 1
                self._changed.set()

    async def _reopen(self, thoughts: Block) -> None:
        """Crop the end: it belongs to the head of each reply, so that new words can find the thoughts open again."""
        if len(thoughts) and thoughts.tokens[-1] in self._script.think_ends:
            await self._session.crop(thoughts, len(thoughts) - 1)

    # --- speaking ---

    async def _think_and_speak(self, turn: _Turn) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                thinker = group.create_task(self._think(turn), name="thinker")
                if needed := await self._needs_thought(turn):
                    await self._speak(turn)
                else:
                    thinker.cancel()
        except* ContextFull as errors:
            raise ContextFull(str(errors.exceptions[0])) from errors
        if not needed:
            # First the account, then the block: a crop that was begun takes place even if this is cancelled.
            turn.steps, turn.facts, turn.facts_end, turn.thinking = Steps(), 0, 0, False
            await self._session.crop(turn.thoughts, 0)
            await self._reply_at_once(turn)

    async def _needs_thought(self, turn: _Turn) -> bool:
        """Ask whether the words call for thinking; small talk is answered at once. The thinker goes on meanwhile."""
        if not self._options.direct_replies:
            return True
        verdict = await self._session.weigh([*self._past(), turn.input], self._script.need, self._script.yes_no)
        log_odds = verdict.log_odds - self._script.family.need_bias
        turn.tokens["probe"] += len(self._script.need)
        self._emit(Probe(NEED, log_odds, 0.0, decision=log_odds > 0))
        return log_odds > 0

    async def _speak(self, turn: _Turn) -> None:
        """While thoughts go on: say finished steps when there is room. When they have ended: say the result."""
        readiness = Readiness(self._options, bias=(await self._weigh(turn)).log_odds)
        await self._head_draft(turn, self._script.step_open)
        told = 0
        while True:
            while not turn.thought_out and (
                turn.findings == told
                or self._lead_s > self._options.lead_s
                or self._spent(turn)
                or turn.thoughts.tokens[-1] in self._script.think_ends
            ):
                self._changed.clear()
                await self._changed.wait()
            if turn.thought_out:
                break
            told = turn.findings
            async with asyncio.TaskGroup() as group:
                # The sentence is written while the probe is weighed: a no costs some tokens, a yes no time.
                verdict = group.create_task(self._weigh(turn), name="probe")
                said = await self._say(turn, "step", ready=partial(self._is_ready, readiness, verdict))
            if said:
                await self._head_draft(turn, self._script.step_open)
        await self._conclude(turn)

    async def _is_ready(self, readiness: Readiness, asked: asyncio.Task[Verdict]) -> bool:
        verdict, silence = await asked, max(0.0, -self._lead_s)
        threshold, bias = readiness.threshold(silence), readiness.bias
        decision = readiness.decide(verdict, silence)
        self._emit(Probe(READINESS, verdict.log_odds - bias, threshold - bias, decision))
        return decision

    async def _conclude(self, turn: _Turn) -> None:
        """End the reply with the result of the thoughts."""
        result = last_number(turn.steps.text)
        if turn.said and result is not None and last_number(turn.said[-1]) == result:
            return
        await self._head_draft(turn, self._script.result_open)
        spoken = 0
        while spoken < 3 and await self._say(turn, "result"):
            spoken += 1
            if turn.replies[-1].tokens[-1] in self._script.ends or self._spent(turn):
                break
        if not spoken:
            self._say_last_step(turn)

    def _say_last_step(self, turn: _Turn) -> None:
        """Say the thoughts' last step itself, grounded by nature; without any, that there is no answer."""
        last = turn.steps.finished[-1] if turn.steps.finished else self._script.family.no_answer
        if last not in turn.said:
            self._release(turn, last)

    async def _reply_at_once(self, turn: _Turn) -> None:
        draft = self._new_draft(turn)
        await self._session.append(self._view(turn, draft), self._script.answer_open)
        turn.head = len(draft)
        while await self._say(turn, "direct"):
            if draft.tokens[-1] in self._script.ends or self._spent(turn):
                break
        if not turn.said:
            self._say_last_step(turn)

    async def _head_draft(self, turn: _Turn, request: Sequence[int]) -> None:
        """Head the next sentence with a request, replacing a head that nobody answered."""
        draft = turn.replies[-1] if turn.replies and turn.head == len(turn.replies[-1]) else self._new_draft(turn)
        await self._session.crop(draft, 0)
        first = len(turn.replies) == 1
        closed = not first and turn.replies[-2].tokens[-1] in self._script.ends
        head = [
            *(self._script.think_close if first else []),
            *(self._script.close[1:] if closed else self._script.close),
        ]
        await self._session.append(self._view(turn, draft), [*head, *request])
        turn.head = len(draft)

    def _new_draft(self, turn: _Turn) -> Block:
        draft: Block = self._session.block(f"reply{len(turn.replies)}")
        turn.replies.append(draft)
        return draft

    async def _say(self, turn: _Turn, kind: Kind, *, ready: Callable[[], Awaitable[bool]] | None = None) -> bool:
        """Write one sentence at the end of the draft, judge it, and release it or take it back."""
        draft, start = turn.replies[-1], len(turn.replies[-1])
        view = self._view(turn, draft)
        written: list[str] = []
        ended = False
        self._show_running(turn, writing=True)
        async with self._stream(turn, view, "writer", self._script.ends, self._options.sentence_tokens) as pieces:
            async for piece, token in pieces:
                written.append(piece)
                ended = token in self._script.ends
                if ended or sentence_end("".join(written)) is not None:
                    break
        self._show_running(turn)
        text, kept = spoken_part(written, finished=ended)
        # What was written beyond the end of the sentence begins the next one.
        await self._session.crop(draft, start + kept)
        if not text:
            if not ended:
                self._emit(Retracted("".join(written).strip(), "no end"))
            return False
        reason = self._objection(turn, text, kind)
        if not reason and ready is not None and not await ready():
            reason = "not ready"
        if reason:
            await self._session.crop(draft, start)
            self._emit(Retracted(text, reason))
            return False
        self._release(turn, text)
        return True

    def _objection(self, turn: _Turn, text: str, kind: Kind) -> str:
        """Say why a sentence must not be spoken; nothing when it may."""
        if kind == "direct":
            return ""
        thoughts = turn.steps.text + turn.steps.rest
        verdict = judge(text, turn.text, thoughts, turn.reply, grounding=self._options.grounding)
        if not verdict.speak:
            return verdict.reason
        result = last_number(turn.steps.text)
        if kind == "step" and self._options.grounding:
            return objection_to_step(text, turn.text, turn.steps.finished, turn.reply)
        if kind == "result" and result is not None and numbers(text) and result not in numbers(text):
            return "not the result of the thoughts"
        return ""

    def _release(self, turn: _Turn, text: str) -> None:
        turn.said.append(text)
        self._emit(ReplyText(text))

    def _spent(self, turn: _Turn) -> bool:
        return turn.tokens["writer"] >= self._options.reply_tokens

    # --- streams ---

    def _view(self, turn: _Turn, draft: Block | None = None) -> list[Block]:
        replies = [] if draft is None else turn.replies[: turn.replies.index(draft) + 1]
        thoughts = [turn.thoughts] if len(turn.thoughts) or draft is None else []
        return [*self._past(), turn.input, *thoughts, *replies]

    async def _weigh(self, turn: _Turn) -> Verdict:
        # The last block is the draft: it is still being written, or only headed.
        said = turn.replies[:-1]
        question = self._script.readiness
        if said and said[-1].tokens[-1] in self._script.ends:
            question = question[1:]
        turn.tokens["probe"] += len(question)
        return await self._session.weigh([*self._view(turn), *said], question, self._script.yes_no)

    def _stream(
        self, turn: _Turn, view: Sequence[Block], name: str, stop: frozenset[int], limit: int
    ) -> aclosing[AsyncGenerator[tuple[str, int]]]:
        """Run one stream for as long as the context lasts: pieces of text, each with the token that completed it."""
        return aclosing(self._pieces(turn, view, name, stop, limit))

    async def _pieces(
        self, turn: _Turn, view: Sequence[Block], name: str, stop: frozenset[int], limit: int
    ) -> AsyncGenerator[tuple[str, int]]:
        rules = Sampling(stop=stop, ban=self._script.bans, max_tokens=max(1, limit), seed=self._seed)
        detokenizer = Detokenizer(self._script.tokenizer)
        async with aclosing(self._session.generate(view, rules)) as tokens:
            async for token in tokens:
                turn.tokens[name] += 1
                turn.first_step = turn.first_step or token.step
                turn.last_step = token.step
                yield detokenizer.push(token.id), token.id

    # --- state ---

    def _show_running(self, turn: _Turn, *, writing: bool = False) -> None:
        both: State = "thinking_and_writing" if writing else "thinking"
        self._show(both if turn.thinking else "writing")

    def _show(self, state: State) -> None:
        if state != self._state:
            self._state = state
            self._emit(StateChanged(state))
