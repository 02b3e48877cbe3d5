"""The asynchronous loop: listen, think, write what was found - all at the same time.

One turn, in `async` mode:

    hear(words) ...         the input grows in the cache, and what will stand behind it is read ahead (see `ahead`)
    note(text)              what comes from outside (a call's result, a robot's news) stands in the input at once
    answer(final words)     thinker: works in steps until it concludes
                reply:   whenever a step has found something and little is left to play, it is told: as it stands,
                                     or in a sentence that the writer writes, which is judged, and released if the
                                     policy has no objection
                            at last: the result, so that what is spoken ends with what was thought
                            probes have chosen the policy before; small talk needs no thoughts, and is answered at once
                            with tools: a reply may call them instead, before it says anything (see `actions`)
    take_back()             the user goes on: the attempt to answer is dropped with all that it has spent
    finish(heard)           what the user heard becomes history; on an interruption the thoughts stay

The roles are `thinker` and `writer`; blocks and history are `context`'s. How thoughts are asked for, and what
of them may be said, is the policy's (`policies.policy`): none of it is known here.
Written against `Engine`. Knows no audio: the caller says how much is left to play. Time comes from the caller's clock.
"""

from __future__ import annotations

import asyncio
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

from reasoning.errors import ContextFull
from reasoning.events import HistoryDropped, LoopEvent, Probe, State, StateChanged, TurnDone
from reasoning.loop.actions import Actions
from reasoning.loop.ahead import Ahead
from reasoning.loop.budget import GAINS, thinking_tokens
from reasoning.loop.context import LoopContext
from reasoning.loop.early import EarlyThoughts
from reasoning.loop.replying import Replying
from reasoning.loop.streams import Streams
from reasoning.loop.thinker import Thinker
from reasoning.loop.turn import Phase
from reasoning.loop.writer import Writer
from reasoning.policies.choosing import choice_of
from reasoning.policies.policy import ProbeQuestion

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from languages.language import Language
    from reasoning.engine.contract import EngineSession
    from reasoning.loop.turn import Attempt, Turn
    from reasoning.options import LoopOptions
    from reasoning.policies.policy import Policy, PolicyChoice
    from reasoning.prompting.script import Script
    from reasoning.tools.calls import Tool
    from reasoning.tools.written import WrittenCall

_CARRIED: Final = 3
"""Thinking budgets that the thoughts of interrupted turns may fill together, before they are dropped."""
_MOST_WRITING_S: Final = 3.0
"""Of writing a sentence, by how much sooner the next one is begun: who takes longer is held up, not slow."""
_SHOWN: Final[dict[Phase, State]] = {
    Phase.LISTENING: "listening",
    Phase.PROBING: "thinking",
    Phase.THINKING: "thinking",
    Phase.TELLING: "thinking_and_writing",
    Phase.CONCLUDING: "writing",
    Phase.REPLYING: "writing",
    Phase.ACTING: "writing",
    Phase.DONE: "done",
}


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
        choice: PolicyChoice | None = None,
        now: Callable[[], datetime] | None = None,
        price: Callable[[], float] = lambda: 1.0,
    ) -> None:
        """Make the loop; `context` is the number of tokens that a view may hold, `seed` that of what is drawn.

        choice: which policy a question is answered by; without one, what the options say.
        now: the date and time of day, asked for at the beginning of each turn; without it nothing is known of them.
        price: what energy costs now, by its mean over the day: `loop.budget` goes by it.
        """
        self._session, self._options = session, options
        self._emit, self._clock = emit, clock
        self._choice = choice or choice_of(options.policy, tagged=script.thinks_in_tags)
        first = self._choice.first
        self._context = LoopContext(session, script, options, limit=context, tools=tools, policy=first, now=now)
        streams = Streams(session, script, options, seed=seed)
        self._changed = asyncio.Event()
        """Set when there may be something to tell: a finding, the end of the thoughts, room to speak."""
        self._price = price
        self._thinker = Thinker(
            self._context, streams, emit, self._enter, clock=clock, changed=self._changed, budget=self._budget
        )
        self._writer = Writer(self._context, streams, emit, self._enter)
        self._replying = Replying(self._context, self._writer, Actions(self._context, streams, emit), self._enter)
        early = EarlyThoughts(self._context, Streams(session, script, options, seed=seed), clock)
        self._ahead = Ahead(self._context, self._choice, early, emit)
        self._takes_s = 0.0
        """Seconds that the newest telling of a step took: none, where it was read out."""
        self._room = True
        """Whether so little is left to play that the next sentence is wanted."""
        self._state: State | None = None

    def _budget(self, turn: Turn) -> int:
        # What thinking brings was measured with one model.
        gains = GAINS if self._script.measured else {}
        return thinking_tokens(self._options, turn.policy.name, self._price(), gains)

    # --- what the caller tells ---

    async def open(self) -> None:
        """Write the prompt into the cache, once, before anybody speaks; `BadTool` for tools that cannot be used."""
        await self._context.open()

    async def set_tools(self, tools: Sequence[Tool]) -> None:
        """Have other tools, between turns; `BadTool` for one that cannot be used, and all stays as it was."""
        await self._ahead.forget(self._turn)
        await self._context.set_tools(tools)

    @property
    def language(self) -> Language:
        """What is spoken now."""
        return self._context.language

    def speak(self, language: Language) -> None:
        """Go on in a language, from the turn at hand on: before it is answered."""
        self._context.speak(language)

    async def hear(self, text: str) -> None:
        """Take the words of the turn so far (all of them), and read ahead behind them, in a task that goes on."""
        self._show("listening")
        await self._context.hear(text)
        if not text:
            await self._ahead.forget(self._turn)
        elif self._options.listening != "off" and self._thinks:
            self._ahead.go_on(self._turn)

    async def note(self, text: str) -> bool:
        """Take a text from outside, such as the result of a call, as plain text of one line and bounded length.

        While the user talks or the thoughts go on, they see it at once; after that it waits for the next turn. Gives
        whether this turn has it.
        """
        return await self._context.note(text)

    @property
    def notes_waiting(self) -> bool:
        """Whether there are notes that no reply could take up: `answer("")` gives them a turn of their own."""
        return self._context.notes_waiting

    def playing(self, lead_s: float) -> None:
        """Learn how much reply is left to play, in seconds; below zero it is how long the listener has waited."""
        room = lead_s <= self._options.lead_s + self._takes_s
        if room and not self._room:
            self._changed.set()
        self._room = room

    async def answer(self, text: str) -> None:
        """Answer the turn whose final words these are; without words, the notes that came. Cancel it to interrupt."""
        turn = self._turn
        attempt = turn.attempt
        attempt.deadline = self._clock() + self._options.turn_s
        await self._ahead.stop()
        await self._context.hear(text)
        try:
            if not self._thinks or (turn.input_text and not text):
                await self._ahead.forget(turn)
                await self._replying.act_or_reply(turn)
            elif self._options.mode == "think-first":
                await self._answer_thought(turn)
            else:
                await self._answer_thinking(turn)
        except ContextFull:
            attempt.reason = "context"
            self._writer.break_off(turn)
        self._enter(attempt, Phase.DONE)
        if turn.early:
            attempt.tokens["early"] = turn.early
        if turn.dropped:
            attempt.tokens["dropped"] = turn.dropped
        self._emit(TurnDone(dict(attempt.tokens), attempt.last_step - attempt.first_step, attempt.reason))

    async def take_back(self) -> None:
        """Drop the attempt to answer, with its calls and all that it has spent: the user goes on."""
        turn = self._turn
        await self._drop_replies(turn)
        if turn.earlier:
            await self._context.crop_thoughts(turn, turn.kept)
        await self._ahead.forget(turn)
        turn.begin_anew()
        if turn.carried is None:
            turn.policy = self._choice.first
        self._show("listening")

    async def finish(self, heard: str, *, interrupted: bool = False, calls: Sequence[WrittenCall] = ()) -> None:
        """Turn what the user heard into history and get ready for the next turn; `calls` are those of a retold one.

        An interrupted turn leaves its thoughts to the next one: no finished step is lost.
        """
        old = self._turn
        await self._ahead.stop()
        old.attempt.calls.extend(calls)
        await self._drop_replies(old)
        turn = await self._context.next_turn(heard, interrupted=interrupted)
        turn.dropped = old.untold
        left = old.left() if interrupted else None
        if left is not None and old.earlier:
            # Too long to be read again: what was concluded goes on, and is written anew.
            turn.carried, turn.policy = replace(left, steps=self._context.summary(old)), left.policy
            await self._context.crop_thoughts(old, 0)
        elif left is not None and len(old.thoughts) <= _CARRIED * self._options.think_tokens:
            turn.carried, turn.policy = left, left.policy
            # The step that was being thought stands in the block.
            old.attempt.steps.finish()
            await self._thinker.reopen(old.thoughts)
            turn.keep(old.attempt.steps.finished)
        else:
            await self._context.crop_thoughts(old, 0)
        await self._ahead.forget(turn)
        if dropped := await self._context.settle():
            self._emit(HistoryDropped(dropped))
        self._show("listening")

    # --- thinking and speaking at the same time ---

    async def _answer_thinking(self, turn: Turn) -> None:
        policy, wanted = await self._choose(turn)
        if wanted:
            # What a tool is to tell, thoughts do not settle.
            await self._replying.act(turn)
        elif policy is not None:
            turn.policy = policy
            await self._think_and_speak(turn)
        else:
            await self._replying.at_once(turn, "direct")
            if turn.attempt.rethink:
                await self._drop_replies(turn)
                await self._think_and_speak(turn)

    async def _answer_thought(self, turn: Turn) -> None:
        """Think, and then speak, or call."""
        wanted = await self._replying.wants_calls(turn)
        await self._thinker.open(turn)
        await self._thinker.think(turn)
        await (self._replying.act(turn) if wanted else self._replying.act_or_conclude(turn))

    async def _think_and_speak(self, turn: Turn) -> None:
        """Think, and say what was found meanwhile."""
        self._enter(turn.attempt, Phase.THINKING)
        await self._thinker.open(turn)
        try:
            async with asyncio.TaskGroup() as group:
                thinker = group.create_task(self._thinker.think(turn), name="thinker")
                await self._speak(turn)
                thinker.cancel()
        except* ContextFull as errors:
            raise ContextFull(str(errors.exceptions[0])) from errors

    async def _speak(self, turn: Turn) -> None:
        """While thoughts go on: say finished steps when there is room. When they have ended: say the result."""
        attempt, told = turn.attempt, 0
        while attempt.phase < Phase.CONCLUDING and not self._writer.over(turn):
            if len(attempt.findings) > told and self._may_tell(turn):
                told, begun = len(attempt.findings), self._clock()
                await self._writer.tell_step(turn)
                self._takes_s = min(self._clock() - begun, _MOST_WRITING_S)
            else:
                self._changed.clear()
                if attempt.said and not self._room:
                    await self._writer.head(turn, "step")
                await self._changed.wait()
                self._writer.mend(turn)
        self._writer.mend(turn)
        await self._writer.conclude(turn)

    def _may_tell(self, turn: Turn) -> bool:
        """Say whether a step may be told now: there is room, and the thoughts are not about to be complete."""
        ending = not self._script.think_ends.isdisjoint(turn.thoughts.tokens[-1:])
        return self._room and not ending and not self._writer.spent(turn.attempt)

    async def _choose(self, turn: Turn) -> tuple[Policy | None, bool]:
        """Ask how the words are to be thought about (None: not at all), and whether they want calls."""
        self._enter(turn.attempt, Phase.PROBING)
        asked: asyncio.Task[bool] | None = None
        try:
            async with asyncio.TaskGroup() as group:
                if self._context.tools:
                    asked = group.create_task(self._replying.wants_calls(turn), name="act probe")
                policy = await self._policy_for(turn, asked)
        except* ContextFull as errors:
            raise ContextFull(str(errors.exceptions[0])) from errors
        wanted = asked is not None and asked.result()
        if (wanted or policy is None) and turn.thought and turn.carried is None:
            # Its head was read while the user spoke.
            await self._context.crop_thoughts(turn, 0)
        return policy, wanted

    async def _policy_for(self, turn: Turn, wants_calls: asyncio.Task[bool] | None) -> Policy | None:
        if not self._options.direct_replies or turn.carried is not None:
            # Few words that correct a problem look like small talk without it, and its thoughts are there.
            return turn.policy
        if (sure := await self._ahead.chosen(turn)) is not None:
            return sure.policy
        view, script = [*self._context.past, turn.input], self._script
        names: list[str] = []
        log_odds: list[float] = []
        talks = False
        told, decide = self._context.told, self._choice.decide
        while isinstance(decided := decide(log_odds, turn.input_text, script, told=told, tools=talks), ProbeQuestion):
            scores = await self._session.score_choices(view, decided.tokens, decided.choices)
            names.append(decided.name)
            log_odds.append(scores.log_odds)
            turn.attempt.tokens["probe"] += len(decided.tokens)
            if wants_calls is not None:
                if await wants_calls:
                    # It is made at once, whatever else there is to ask.
                    return None
                talks = True
        for name, one in zip(names, decided.log_odds, strict=True):
            self._emit(Probe(name, one, 0.0, decision=one > 0))
        return decided.policy

    # --- state ---

    @property
    def _script(self) -> Script:
        """The wording of the language that is spoken now."""
        return self._context.script

    @property
    def _thinks(self) -> bool:
        return self._options.mode != "no-think" and not self._script.never_thinks

    @property
    def _turn(self) -> Turn:
        return self._context.turn

    async def _drop_replies(self, turn: Turn) -> None:
        for block in turn.attempt.replies:
            await self._session.crop(block, 0)
        turn.attempt.replies.clear()
        turn.attempt.head = 0

    def _enter(self, attempt: Attempt, phase: Phase) -> None:
        attempt.phase = phase
        self._show(_SHOWN[phase])

    def _show(self, state: State) -> None:
        if state != self._state:
            self._state = state
            self._emit(StateChanged(state))
