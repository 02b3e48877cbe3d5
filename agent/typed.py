"""A typed question through the loop, the answer printed as it is written: no ears, no voice."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from rich.console import Console

from agent import timeline
from agent.commands.invocation import open_store
from agent.commands.progress import shown
from agent.errors import BadQuestion
from agent.models import find, open_engine
from reasoning.events import LoopEvent, ReplyText, Thought
from reasoning.loop import Loop

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config import Settings


async def run(settings: Settings, text: str, timeline_file: Path | None, seed: int, *, thoughts: bool) -> None:
    """Ask, and print thoughts (dimmed, on a terminal or not) and answer."""
    if not text.strip():
        raise BadQuestion('the question is empty; ask something, as in: descant ask "what is 12 times 7?"')
    with shown() as progress:
        files = find(settings, open_store(settings.models), progress, speech=False)
    async with open_engine(files.llm, settings.engine) as (engine, script), AsyncExitStack() as stack:
        # Only now, so that nothing is overwritten by a question that cannot be asked.
        file = stack.enter_context(timeline.Timeline(timeline_file)) if timeline_file else None
        session = await stack.enter_async_context(engine.session())
        printed = _Printed(Console(highlight=False, markup=False), thoughts=thoughts)
        start = time.monotonic()

        def report(event: timeline.Event) -> None:
            if file is not None:
                file.write((time.monotonic() - start) * 1000, event)

        def told(event: LoopEvent) -> None:
            report(timeline.event_of(event))
            printed.show(event)

        loop = Loop(session, script, settings.loop, told, time.monotonic, context=settings.engine.context, seed=seed)
        await loop.open()
        start = time.monotonic()
        report(timeline.TurnEnded(text))
        await loop.answer(text)


class _Printed:
    """Thoughts and answer in the order in which they come, each on lines of its own."""

    def __init__(self, console: Console, *, thoughts: bool) -> None:
        self._console, self._thoughts = console, thoughts
        self._in_line = False

    def show(self, event: LoopEvent) -> None:
        if isinstance(event, Thought) and self._thoughts:
            text = event.text if self._in_line else event.text.lstrip()
            self._console.print(text, style="dim", end="", soft_wrap=True)
            self._in_line = (self._in_line or bool(text)) and not text.endswith("\n")
        elif isinstance(event, ReplyText):
            if self._in_line:
                self._console.print()
            self._in_line = False
            self._console.print(event.text, style="bold", soft_wrap=True)
