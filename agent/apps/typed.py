"""A typed question through the loop, the answer printed as it is written: no ears, no voice."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from typing import TYPE_CHECKING

from rich.console import Console

from agent.apps.display import Printed
from agent.apps.progress import shown
from agent.config.invocation import open_store
from agent.conversation import timeline
from agent.conversation.assembly import open_loop
from agent.errors import BadQuestion
from agent.models.assembly import open_engine
from agent.models.registry import find

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config.settings import Settings
    from reasoning.events import LoopEvent


async def run(settings: Settings, text: str, timeline_file: Path | None, seed: int, *, thoughts: bool) -> None:
    """Ask, and print thoughts (dimmed, on a terminal or not) and answer."""
    if not text.strip():
        raise BadQuestion('the question is empty; ask something, as in: descant ask "what is 12 times 7?"')
    with shown() as progress:
        files = find(settings, open_store(settings.models), progress, speech=False)
    async with AsyncExitStack() as stack:
        engine, script = await stack.enter_async_context(open_engine(files.llm, settings))
        # Only now, so that nothing is overwritten by a question that cannot be asked.
        file = stack.enter_context(timeline.Timeline(timeline_file)) if timeline_file else None
        printed = Printed(Console(highlight=False, markup=False), thoughts=thoughts)
        start = time.monotonic()

        def report(event: timeline.Event) -> None:
            if file is not None:
                file.write((time.monotonic() - start) * 1000, event)

        def told(event: LoopEvent) -> None:
            report(event)
            printed.show(event)

        loop = await stack.enter_async_context(
            open_loop(engine=engine, script=script, settings=settings, emit=told, clock=time.monotonic, seed=seed)
        )
        start = time.monotonic()
        report(timeline.TurnEnded(text))
        await loop.answer(text)
        printed.end()
