"""One number of a question is corrected in mid-reply: what the right answer costs then, and to one who begins anew.

The loop on an engine, without sound: sentences take the time that the voice takes, on the clock of the event loop. The
reply is cut in the middle; the listener then says the correction. To begin anew is to ask the question that was meant
in a conversation of its own. Knows the order of such an exchange.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from bench.virtual.stepped import Batch, Lane, VirtualLoop, run_virtual
from reasoning import events
from reasoning.loop.loop import Loop
from reasoning.policies.grounding import last_number

if TYPE_CHECKING:
    from collections.abc import Sequence

    from bench.virtual.stepped import StepCosts
    from bench.virtual.timed import Pace
    from reasoning.engine.contract import Engine
    from reasoning.engine.decoder import Decoder
    from reasoning.options import EngineOptions, LoopOptions
    from reasoning.prompting.script import Script
    from tests.e2e.stage.correction_problems import Problem

_TICK_S: Final = 0.02
_CUT_AFTER_S: Final = 2.0
"""Seconds of the reply that are heard before the listener begins to correct."""
_ENDS_AFTER_S: Final = 0.55
"""Silence that ends the listener's turn."""


@dataclass(frozen=True, slots=True)
class Mind:
    """A language model without a thread of its own, and the loop's options."""

    decoder: Decoder
    script: Script
    engine: EngineOptions
    loop: LoopOptions


@dataclass(frozen=True, slots=True)
class Corrected:
    """What came of one correction."""

    problem: Problem
    heard: str
    """What was heard of the reply that was cut; empty to begin with."""
    said: str
    """The reply to the correction."""
    thoughts: str
    """What was thought after the correction."""
    right: bool
    """The last number that is said is the right answer."""
    tokens: dict[str, int]
    """Spent on the reply to the correction, by stream."""
    right_after_s: float | None
    """Seconds from the end of the correction to the sentence that says the right answer, and is not taken back."""

    @property
    def thought_tokens(self) -> int:
        """Tokens of the thinker."""
        return self.tokens.get("thinker", 0)

    @property
    def all_tokens(self) -> int:
        """Tokens of all streams."""
        return sum(self.tokens.values())


@dataclass(slots=True)
class _Listener:
    """Hears sentences one after the other, each as long as its letters take."""

    pace: Pace
    heard: list[tuple[str, float, float]] = field(default_factory=list)
    """Sentences with the seconds at which they begin and end."""
    thoughts: str = ""
    done: events.TurnDone | None = None

    def begin(self) -> None:
        """Listen to another reply."""
        self.heard.clear()
        self.thoughts, self.done = "", None

    def told(self, event: events.LoopEvent) -> None:
        """Take an event of the loop."""
        match event:
            case events.ReplyText(text):
                ready = asyncio.get_running_loop().time() + self.pace.synthesis(text)
                start = max(ready, self.until)
                self.heard.append((text, start, start + self.pace.sound(text)))
            case events.Thought(text):
                self.thoughts += text
            case events.TurnDone():
                self.done = event

    @property
    def until(self) -> float:
        """Second until which something sounds."""
        return self.heard[-1][2] if self.heard else 0.0

    def at(self, now: float) -> str:
        """Give what was heard by then, to the last whole word."""
        parts = []
        for text, start, end in self.heard:
            letters = round(len(text) * min(1.0, max(0.0, (now - start) / (end - start))))
            parts.append(text if letters == len(text) else text[:letters].rpartition(" ")[0])
        return " ".join(part for part in parts if part)


async def correct(engine: Engine, mind: Mind, problem: Problem, pace: Pace, *, anew: bool) -> Corrected:
    """Ask, cut the reply, correct, and listen to the end; `anew`: ask the question that was meant."""
    clock = asyncio.get_running_loop().time
    listener, heard = _Listener(pace), ""
    async with engine.session() as session:
        loop = Loop(session, mind.script, mind.loop, listener.told, clock, context=mind.engine.context)
        await loop.open()
        if not anew:
            await loop.hear(problem.question)
            answer = asyncio.create_task(loop.answer(problem.question))
            await _listen(loop, listener, answer, _CUT_AFTER_S)
            answer.cancel()
            with suppress(asyncio.CancelledError):
                await answer
            heard = listener.at(clock())
            await loop.finish(heard, interrupted=True)
        words = problem.meant if anew else problem.correction
        await loop.hear(words)
        await asyncio.sleep(pace.sound(words) + _ENDS_AFTER_S)
        begun = clock()
        listener.begin()
        answer = asyncio.create_task(loop.answer(words))
        await _listen(loop, listener, answer, None)
        await answer
    said = " ".join(text for text, *_ in listener.heard)
    right = last_number(said) == problem.after
    settled = next((start for text, start, _ in listener.heard if last_number(text) == problem.after), begun)
    tokens = dict(listener.done.tokens) if listener.done else {}
    return Corrected(problem, heard, said, listener.thoughts, right, tokens, settled - begun if right else None)


async def _listen(mind: Loop, listener: _Listener, answer: asyncio.Task[None], cut_after_s: float | None) -> None:
    """Tell the mind how much is left to play, until its reply is complete, or was heard for so many seconds."""
    clock = asyncio.get_running_loop().time
    begun = clock()
    while cut_after_s is not None or not answer.done():
        now = clock()
        if cut_after_s is not None and listener.heard and now - listener.heard[0][1] >= cut_after_s:
            return
        mind.playing(listener.until - now if listener.heard else begun - now)
        await asyncio.sleep(_TICK_S)


def correct_all(
    mind: Mind, asked: Sequence[Problem], costs: StepCosts, pace: Pace, *, anew: bool, batch: int = 16
) -> list[Corrected]:
    """Hold all these exchanges, some at a time, each on a clock of its own."""
    shared, jobs = Batch(mind.decoder, mind.engine.threads), queue.SimpleQueue[tuple[int, "Problem"]]()
    for job in enumerate(asked):
        jobs.put(job)
    done: dict[int, Corrected] = {}

    def lane(number: int) -> None:
        try:
            while True:
                place, problem = jobs.get_nowait()
                engine = Lane(mind.decoder, mind.engine.prefill_rows)
                held = correct(engine, mind, problem, pace, anew=anew)
                done[place] = run_virtual(VirtualLoop(engine, number, shared, costs), held)
        except queue.Empty:
            pass
        finally:
            shared.leave()

    count = min(batch, len(asked))
    shared.enter(count)
    threads = [threading.Thread(target=lane, args=(number,), daemon=True) for number in range(count)]
    for thread in threads:
        thread.start()
    shared.serve()
    for thread in threads:
        thread.join()
    return [done[place] for place in range(len(asked))]
