"""The asynchronous loop: listen, think, write what was found - all at the same time.

One turn, in `async` mode:

    hear(words) ...         input grows; with `early_thinking` the thinker lists the facts heard so far, nothing else
    note(text)              what comes from outside (a call's result, a robot's news) stands in the input at once
    answer(final words)     thinker: works in short lines until it concludes
                            reply:   whenever a step is finished and little is left to play, a plain calculation is
                                     read out as it stands; about any other step the writer writes one sentence, which
                                     is judged, and released if it tells something new that the thoughts support
                            at last: the result, so that what is spoken ends with what was thought
                            with tools: a reply may call them instead, before it says anything (see `actions`)
    finish(heard)           what the user heard becomes history; on an interruption the thoughts stay

Views, by block: thinker [history, input, thoughts]; writer [history, input, thoughts, said ..., draft]; probe
[history, input, question]. Each sentence has a block of its own, headed by the request that it
answers; the head is written into the cache early, so that a sentence costs only its own tokens when it is wanted.

Written against `Engine`. Knows no audio: the caller says how much is left to play. Time comes from the caller's clock.
"""

from __future__ import annotations

import asyncio
from typing import TYPE_CHECKING, Any

from reasoning.errors import ContextFull
from reasoning.events import (
    NEED,
    HistoryDropped,
    LoopEvent,
    Probe,
    ReplyText,
    Retracted,
    State,
    StateChanged,
    Thought,
    TurnDone,
    Unsaid,
)
from reasoning.loop.actions import Actions
from reasoning.loop.context import LoopContext
from reasoning.loop.corrections import carried, resume
from reasoning.loop.early import EarlyFacts
from reasoning.loop.steps import Steps, sentence_end, spoken_part
from reasoning.loop.streams import Streams
from reasoning.policies.admission import (
    echoes,
    finds,
    judge,
    objection_to_result,
    objection_to_step,
    several_numbers,
    tells_result,
)
from reasoning.policies.consistency import contradicted
from reasoning.policies.readout import readout

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reasoning.engine.contract import Block, EngineSession
    from reasoning.loop.turn import Turn
    from reasoning.options import LoopOptions
    from reasoning.policies.admission import Kind
    from reasoning.prompting.script import Script
    from reasoning.tools.calls import Tool, WrittenCall

_ANSWER_TOKENS = 16
"""Tokens in which thoughts that were cut off name their answer."""
_CARRIED = 3
"""Thinking budgets that the thoughts of interrupted turns may fill together, before they are dropped."""


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
        tools: Sequence[Tool] = (),
    ) -> None:
        """Make the loop; `context` is the number of tokens that a view may hold."""
        self._session, self._script, self._options = session, script, options
        self._emit, self._clock = emit, clock
        self._context = LoopContext(session, script, options, limit=context, tools=tools)
        self._streams = Streams(session, script, seed=seed)
        self._early = EarlyFacts(self._context, self._streams, emit)
        self._actions = Actions(self._context, self._streams, emit)
        self._changed = asyncio.Event()
        self._lead_s = 0.0
        self._state: State | None = None

    # --- what the caller tells ---

    async def open(self) -> None:
        """Write the prompt into the cache, once, before anybody speaks; `BadTool` for tools that cannot be used."""
        await self._context.open()

    async def set_tools(self, tools: Sequence[Tool]) -> None:
        """Have other tools, between turns; `BadTool` for one that cannot be used, and all stays as it was."""
        await self._context.set_tools(tools)

    async def hear(self, text: str) -> None:
        """Take the words of the turn so far (all of them); the thinker begins with the first ones."""
        self._show("listening")
        await self._context.hear(text)
        begins = not self._early.running and not len(self._turn.thoughts)
        if text and begins and self._options.early_thinking and self._options.mode == "async":
            self._early.begin(self._turn)
        self._early.words_changed()

    async def note(self, text: str) -> bool:
        """Take a text from outside, such as the result of a call, as plain text of one line and bounded length.

        While the user talks or the thoughts go on, they see it at once; after that it waits for the next turn. Gives
        whether this turn has it.
        """
        taken = await self._context.note(text)
        self._changed.set()
        return taken

    @property
    def notes_waiting(self) -> bool:
        """Whether there are notes that no reply could take up: `answer("")` gives them a turn of their own."""
        return self._context.notes_waiting

    def playing(self, lead_s: float) -> None:
        """Learn how much reply is left to play, in seconds; below zero it is how long the listener has waited."""
        self._lead_s = lead_s
        self._changed.set()

    async def answer(self, text: str) -> None:
        """Answer the turn whose final words these are; without words, the notes that came. Cancel it to interrupt."""
        turn = self._turn
        turn.steps_from = self._clock() + self._options.step_after_s
        turn.deadline = self._clock() + self._options.turn_s
        await self._early.end(turn)
        await self._context.hear(text)
        try:
            if self._options.mode == "no-think" or (turn.input_text and not text):
                await self._act_or_reply(turn)
            elif self._options.mode == "think-first":
                await self._open_thoughts(turn)
                await self._think(turn)
                await self._act_or_conclude(turn)
            else:
                await self._open_thoughts(turn)
                await self._think_and_speak(turn)
        except ContextFull:
            turn.reason = "context"
            self._say_last_step(turn)
        turn.sealed = True
        self._show("done")
        self._emit(TurnDone(dict(turn.tokens), turn.last_step - turn.first_step, turn.reason))

    async def take_back(self) -> None:
        """Forget the answer that was begun, with its calls: the user goes on. The facts heard so far stay."""
        turn = self._turn
        for block in turn.replies:
            await self._session.crop(block, 0)
        await self._session.crop(turn.thoughts, turn.facts_end)
        del turn.steps.finished[turn.facts :]
        turn.steps.rest, turn.thinking, turn.thought_out = "", False, False
        turn.findings.clear()
        turn.replies.clear()
        turn.said.clear()
        turn.calls.clear()
        turn.head, turn.sealed = 0, False
        self._show("listening")

    async def finish(self, heard: str, *, interrupted: bool = False, calls: Sequence[WrittenCall] = ()) -> None:
        """Turn what the user heard into history and get ready for the next turn; `calls` are those of a retold one.

        An interrupted turn leaves its thoughts to the next one: nothing that was thought is lost.
        """
        old = self._turn
        old.calls.extend(calls)
        await self._early.end(old)
        for block in old.replies:
            await self._session.crop(block, 0)
        kept: Sequence[int] = ()
        if self._options.thought_turns and not interrupted:
            await self._reopen(old.thoughts)
            kept = list(old.thoughts.tokens)
        turn = await self._context.next_turn(heard, interrupted=interrupted, thoughts=kept)
        if interrupted and old.text and len(old.thoughts) <= _CARRIED * self._options.think_tokens:
            turn.carried = carried(old)
            old.steps.finish()
            await self._reopen(old.thoughts)
            turn.thoughts, turn.steps = old.thoughts, old.steps
            turn.facts_end, turn.facts = len(old.thoughts), len(old.steps.finished)
        else:
            await self._session.crop(old.thoughts, 0)
        if dropped := await self._context.settle():
            self._emit(HistoryDropped(dropped))
        self._show("listening")

    async def close(self) -> None:
        """End what runs of its own accord; `answer` is ended by whoever runs it."""
        await self._early.end(self._turn)

    @property
    def _turn(self) -> Turn:
        return self._context.turn

    # --- thinking ---

    async def _open_thoughts(self, turn: Turn) -> None:
        if turn.carried is not None:
            await resume(self._context, turn, turn.carried)
        elif turn.steps.finished:
            await self._session.append(self._context.view(turn), self._script.work_open)
        else:
            await self._session.crop(turn.thoughts, 0)
            await self._session.append(self._context.view(turn), self._script.think_open)

    async def _think(self, turn: Turn) -> None:
        """Think until the model concludes, or the budget does."""
        turn.thinking = True
        self._show_running(turn)
        ended = False
        left = self._options.think_tokens - turn.tokens["thinker"]
        view = self._context.view(turn)
        async with self._streams.run(turn, view, "thinker", self._script.think_ends, left) as pieces:
            async for piece in pieces:
                ended = piece.token in self._script.think_ends
                if piece.text:
                    self._emit(Thought(piece.text))
                self._note_findings(turn, turn.steps.receive(piece.text))
                if turn.steps.circling:
                    turn.reason = "circling"
                    break
                if self._clock() > turn.deadline:
                    turn.reason = "time"
                    break
        if not ended:
            turn.reason = "budget" if turn.reason == "complete" else turn.reason
            ended = await self._force_answer(turn, view)
        turn.steps.finish()
        if ended:
            await self._reopen(turn.thoughts)
        turn.thinking, turn.thought_out, turn.sealed = False, True, True
        self._changed.set()

    async def _force_answer(self, turn: Turn, view: Sequence[Block]) -> bool:
        """Have thoughts that were cut off name the best answer they have; say whether that ended them."""
        opening = self._script.family.force_answer
        await self._session.append(view, self._script.tokenizer.encode(opening))
        turn.steps.rest = opening.lstrip()
        self._emit(Thought(opening))
        async with self._streams.run(turn, view, "thinker", self._script.think_ends, _ANSWER_TOKENS) as pieces:
            async for piece in pieces:
                if piece.token in self._script.think_ends:
                    return True
                self._emit(Thought(piece.text))
                if turn.steps.receive(piece.text):
                    break
        return False

    def _note_findings(self, turn: Turn, steps: Sequence[str]) -> None:
        for step in steps:
            before = turn.steps.finished[: turn.steps.finished.index(step)]
            if finds(step, "\n".join([turn.input_text, *before])):
                turn.findings.append(step)
                self._changed.set()

    async def _reopen(self, thoughts: Block) -> None:
        """Crop the end: it belongs to the head of each reply, so that new words can find the thoughts open again."""
        if len(thoughts) and thoughts.tokens[-1] in self._script.think_ends:
            await self._session.crop(thoughts, len(thoughts) - 1)

    # --- speaking ---

    async def _think_and_speak(self, turn: Turn) -> None:
        try:
            async with asyncio.TaskGroup() as group:
                thinker = group.create_task(self._think(turn), name="thinker")
                asked = group.create_task(self._wants_calls(turn), name="act probe") if self._context.tools else None
                needed = await self._needs_thought(turn, asked)
                wanted = asked is not None and await asked
                if needed:
                    await (thinker if wanted else self._speak(turn))
                else:
                    thinker.cancel()
        except* ContextFull as errors:
            raise ContextFull(str(errors.exceptions[0])) from errors
        if wanted and needed:
            await self._act_or_conclude(turn)
        if not needed:
            # First the account, then the block: a crop that was begun takes place even if this is cancelled.
            turn.steps, turn.facts, turn.facts_end, turn.thinking = Steps(), 0, 0, False
            await self._session.crop(turn.thoughts, 0)
            await (self._act(turn) if wanted else self._reply_at_once(turn))

    async def _wants_calls(self, turn: Turn) -> bool:
        return await self._actions.wanted(turn, [*self._context.past, turn.input], self._script.heard_open)

    async def _needs_thought(self, turn: Turn, wants_calls: asyncio.Task[bool] | None) -> bool:
        """Ask whether the words call for thinking; small talk is answered at once. The thinker goes on meanwhile."""
        if not self._options.direct_replies or turn.carried is not None:
            # Few words that correct a problem look like small talk without it, and its thoughts are there.
            return True
        verdict = await self._session.score_choices(
            [*self._context.past, turn.input], self._script.need, self._script.yes_no
        )
        family = self._script.family
        talks = wants_calls is not None and not await wants_calls
        log_odds = verdict.log_odds - (family.need_bias_with_tools if talks else family.need_bias)
        if several_numbers(turn.input_text):
            log_odds += family.need_of_numbers
        turn.tokens["probe"] += len(self._script.need)
        self._emit(Probe(NEED, log_odds, 0.0, decision=log_odds > 0))
        return log_odds > 0

    async def _speak(self, turn: Turn) -> None:
        """While thoughts go on: say finished steps when there is room. When they have ended: say the result."""
        await self._context.head_draft(turn, self._script.step_open)
        told = 0
        while True:
            while not turn.thought_out and (
                len(turn.findings) == told
                or self._lead_s > self._options.lead_s
                or (not turn.said and self._clock() < turn.steps_from)
                or self._spent(turn)
                or turn.thoughts.tokens[-1] in self._script.think_ends
            ):
                self._changed.clear()
                await self._changed.wait()
                await self._mend(turn)
            if turn.thought_out:
                break
            told = len(turn.findings)
            if await self._read_out(turn) or await self._say(turn, "step"):
                await self._context.head_draft(turn, self._script.step_open)
        await self._mend(turn)
        await self._conclude(turn)

    async def _read_out(self, turn: Turn) -> bool:
        """Say the newest finding as it stands, if it can be: that costs no token and invents nothing."""
        text = readout(turn.findings[-1]) if self._options.readout else None
        if text is None or self._objection(turn, text, "step"):
            return False
        self._release(turn, text)
        await self._write_out(turn, text)
        return True

    async def _write_out(self, turn: Turn, text: str) -> None:
        """Let the writer find a sentence in its view as if it had been written."""
        draft = turn.replies[-1]
        await self._session.append(self._context.view(turn, draft), self._script.tokenizer.encode(text))

    async def _mend(self, turn: Turn) -> None:
        """Take back what was released and the thoughts contradict now, and say what they say instead."""
        if turn.checked == len(turn.steps.finished):
            return
        turn.checked = len(turn.steps.finished)
        while (wrong := contradicted(turn.said, turn.steps.finished)) is not None:
            turn.said.remove(wrong.sentence)
            self._emit(Unsaid(wrong.sentence, "the thoughts contradict it"))
            if wrong.instead is not None and wrong.instead not in turn.said:
                self._release(turn, wrong.instead)
                await self._write_out(turn, wrong.instead)
                await self._context.head_draft(turn, self._script.step_open)

    async def _conclude(self, turn: Turn) -> None:
        """End the reply with the result of the thoughts."""
        if turn.said and tells_result(turn.said[-1], turn.steps.finished):
            return
        if self._options.readout and turn.steps.finished:
            last = readout(turn.steps.finished[-1])
            if last is not None and not self._objection(turn, last, "result"):
                self._release(turn, last)
                return
        await self._context.head_draft(turn, self._script.result_open)
        spoken = 0
        while spoken < 3 and await self._say(turn, "result"):
            spoken += 1
            if turn.replies[-1].tokens[-1] in self._script.ends or self._spent(turn):
                break
        if not spoken:
            self._say_last_step(turn)

    def _say_last_step(self, turn: Turn) -> None:
        """Say the thoughts' last step itself, grounded by nature; without any, that there is no answer."""
        last = turn.steps.finished[-1] if turn.steps.finished else self._script.family.no_answer
        last = readout(last) or last
        if last not in turn.said:
            self._release(turn, last)

    async def _reply_at_once(self, turn: Turn, head: Sequence[int] | None = None) -> None:
        turn.sealed = True
        draft = self._context.new_draft(turn)
        await self._session.append(self._context.view(turn, draft), head or self._script.answer_open)
        turn.head = len(draft)
        await self._say_directly(turn)
        if not turn.said:
            self._say_last_step(turn)

    async def _say_directly(self, turn: Turn, kind: Kind = "direct") -> None:
        while await self._say(turn, kind):
            if turn.replies[-1].tokens[-1] in self._script.ends or self._spent(turn):
                break

    # --- calling ---

    async def _act_or_reply(self, turn: Turn) -> None:
        """Reply without thoughts, by calls or by words."""
        if await self._wants_calls(turn):
            await self._act(turn)
        else:
            await self._reply_at_once(turn, None if turn.text else self._script.note_open)

    async def _act_or_conclude(self, turn: Turn) -> None:
        """Reply when the thoughts have ended, by calls or by their result."""
        view, head = self._context.view(turn), [*self._script.think_close, *self._script.close, *self._script.act_open]
        if await self._actions.wanted(turn, view, head):
            await self._act(turn)
        else:
            await self._conclude(turn)

    async def _act(self, turn: Turn) -> None:
        """Call, and say so; where no tool does all that is asked, say that."""
        turn.sealed = True
        script, thought = self._script, len(turn.thoughts) > 0
        await self._context.head_draft(turn, script.act_open if thought else script.heard_open)
        self._show_running(turn, writing=True)
        if not await self._actions.write(turn, turn.replies[-1]):
            # Our own words: a small model that has just tried to call says anything here.
            self._release(turn, script.family.declined)
            return
        await self._context.head_draft(turn, script.acted_open(turn.calls))
        await self._say_directly(turn, "acted")
        if not turn.said:
            self._release(turn, script.family.acted)

    # --- sentences ---

    async def _say(self, turn: Turn, kind: Kind) -> bool:
        """Write one sentence at the end of the draft, judge it, and release it or take it back."""
        draft, start = turn.replies[-1], len(turn.replies[-1])
        view = self._context.view(turn, draft)
        written: list[str] = []
        ended = False
        self._show_running(turn, writing=True)
        # A call is decoded under its grammar, never spoken.
        ban = self._script.call_starts if self._context.tools else frozenset()
        limit = self._options.sentence_tokens
        async with self._streams.run(turn, view, "writer", self._script.ends, limit, ban=ban) as pieces:
            async for piece in pieces:
                written.append(piece.text)
                ended = piece.token in self._script.ends
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
        if reason := self._objection(turn, text, kind):
            await self._session.crop(draft, start)
            self._emit(Retracted(text, reason))
            return False
        self._release(turn, text)
        return True

    def _objection(self, turn: Turn, text: str, kind: Kind) -> str:
        """Say why a sentence must not be spoken; nothing when it may."""
        if kind == "acted":
            return "says its request back" if echoes(text, self._script.family.acted_request) else ""
        if kind == "direct":
            return ""
        thoughts = f"{turn.steps.text}\n{turn.steps.rest}"
        grounding = self._options.grounding
        verdict = judge(text, turn.known, thoughts, turn.reply, grounding=grounding)
        if not verdict.speak:
            return verdict.reason
        if kind == "step" and grounding:
            return objection_to_step(text, turn.known, turn.steps.finished, turn.reply)
        return objection_to_result(text, turn.steps.finished) if kind == "result" else ""

    def _release(self, turn: Turn, text: str) -> None:
        turn.said.append(text)
        self._emit(ReplyText(text))

    def _spent(self, turn: Turn) -> bool:
        return turn.tokens["writer"] >= self._options.reply_tokens

    # --- state ---

    def _show_running(self, turn: Turn, *, writing: bool = False) -> None:
        both: State = "thinking_and_writing" if writing else "thinking"
        self._show(both if turn.thinking else "writing")

    def _show(self, state: State) -> None:
        if state != self._state:
            self._state = state
            self._emit(StateChanged(state))
