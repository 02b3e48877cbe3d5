"""One number of a question is corrected in mid-reply: what the right answer then costs, with and without old thoughts.

The loop on an engine, without sound: sentences take the time that the voice takes, on the clock of the event loop.
The reply is cut in its first sentence; the listener then says the correction. Knows the order of such an exchange;
knows no table.
"""

from __future__ import annotations

import asyncio
import queue
import threading
from contextlib import suppress
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from agent.bench.stepped import Batch, Lane, VirtualLoop, run_virtual
from reasoning import events
from reasoning.grounding import last_number
from reasoning.loop import Loop

if TYPE_CHECKING:
    from collections.abc import Sequence

    from agent.bench.simulation import Pace
    from agent.bench.stepped import StepCosts
    from reasoning.decoder import Decoder
    from reasoning.engine import Engine
    from reasoning.options import EngineOptions, LoopOptions
    from reasoning.script import Script
    from tests.e2e.correction_problems import Problem

_TICK_S: Final = 0.02
_CUT_AFTER_S: Final = 1.2
"""Seconds of the reply that are heard before the listener begins to correct."""
_ENDS_AFTER_S: Final = 0.55
"""Silence that ends the listener's turn."""


@dataclass(frozen=True, slots=True)
class Corrected:
    """What came of one correction."""

    problem: str
    correction: str
    resumed: bool
    """Whether the old thoughts were there to go on with."""
    heard: str
    """What was heard of the reply that was cut."""
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


async def correct(
    engine: Engine, script: Script, options: LoopOptions, problem: Problem, pace: Pace, *, context: int
) -> Corrected:
    """Ask, cut the reply, correct, and listen to the end."""
    clock = asyncio.get_running_loop().time
    listener = _Listener(pace)
    async with engine.session() as session:
        mind = Loop(session, script, options, listener.told, clock, context=context)
        await mind.open()
        await mind.hear(problem.question)
        answer = asyncio.create_task(mind.answer(problem.question))
        await _listen(mind, listener, answer, _CUT_AFTER_S)
        answer.cancel()
        with suppress(asyncio.CancelledError):
            await answer
        heard = listener.at(clock())
        await mind.finish(heard, interrupted=True)
        await asyncio.sleep(pace.sound(problem.correction) + _ENDS_AFTER_S)
        begun = clock()
        listener.begin()
        await mind.hear(problem.correction)
        answer = asyncio.create_task(mind.answer(problem.correction))
        await _listen(mind, listener, answer, None)
        await answer
    said = " ".join(text for text, *_ in listener.heard)
    right = last_number(said) == problem.after
    settled = next((start for text, start, _ in listener.heard if last_number(text) == problem.after), begun)
    return Corrected(
        problem.name,
        problem.correction,
        options.resume,
        heard,
        said,
        listener.thoughts,
        right,
        dict(listener.done.tokens) if listener.done else {},
        settled - begun if right else None,
    )


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


@dataclass(frozen=True, slots=True)
class Mind:
    """A language model without a thread of its own."""

    decoder: Decoder
    script: Script
    options: EngineOptions


def correct_all(
    mind: Mind, options: LoopOptions, asked: Sequence[Problem], costs: StepCosts, pace: Pace, *, batch: int = 16
) -> list[Corrected]:
    """Hold all these exchanges, some at a time, each on a clock of its own."""
    shared, jobs = Batch(mind.decoder, mind.options.threads), queue.SimpleQueue[tuple[int, "Problem"]]()
    for job in enumerate(asked):
        jobs.put(job)
    done: dict[int, Corrected] = {}

    def lane(number: int) -> None:
        try:
            while True:
                place, problem = jobs.get_nowait()
                engine = Lane(mind.decoder, mind.options.prefill_rows)
                held = correct(engine, mind.script, options, problem, pace, context=mind.options.context)
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
