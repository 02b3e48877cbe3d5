"""A typed question through the loop, the answer printed as it is written: no ears, no voice."""

from __future__ import annotations

import time
from contextlib import AsyncExitStack, aclosing
from typing import TYPE_CHECKING

from agent.apps.display import Printed
from agent.apps.loading import spinning, telling
from agent.apps.printing import plain_console
from agent.apps.progress import shown
from agent.conversation import timeline
from agent.costs.account import Account
from agent.errors import BadQuestion
from agent.library.talk import Talk
from agent.models.assembly import open_models

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agent.config.settings import Loaded
    from reasoning.tools.calls import Tool


async def run(
    loaded: Loaded,
    text: str,
    timeline_file: Path | None,
    seed: int,
    *,
    thoughts: bool,
    tools: Sequence[Tool] = (),
    cost: bool = False,
) -> None:
    """Ask, and print thoughts (dimmed, on a terminal or not) and answer; at the end what it cost, if that is asked."""
    if not text.strip():
        raise BadQuestion('the question is empty; ask something, as in: descant ask "what is 12 times 7?"')
    account = Account(loaded.settings.costs) if cost else None
    async with AsyncExitStack() as stack:
        opening = open_models(loaded.settings, given=loaded.origins, fetching=shown, shown=spinning, tell=telling)
        models = await stack.enter_async_context(opening)
        # Only now, so that nothing is overwritten by a question that cannot be asked.
        file = stack.enter_context(timeline.Timeline(timeline_file)) if timeline_file else None
        talk = await stack.enter_async_context(Talk(models, tools=tools, seed=seed))
        printed = Printed(plain_console(), thoughts=thoughts)
        start = time.monotonic()
        if account is not None:
            account.begin()
        stream = await stack.enter_async_context(aclosing(talk.stream(text)))
        async for event in stream:
            if file is not None:
                file.write((time.monotonic() - start) * 1000, event)
            printed.show(event)
            if account is not None:
                account.take(event)
        printed.end()
        if account is not None:
            plain_console().print(account.line(), soft_wrap=True)
