"""Lets a run that is told to end write down what it has measured. Knows no benchmark."""

from __future__ import annotations

import asyncio
import signal
from contextlib import contextmanager
from typing import TYPE_CHECKING, Final, TypeVar

if TYPE_CHECKING:
    from collections.abc import Callable, Coroutine, Iterator

T = TypeVar("T")
_SIGNALS: Final = (signal.SIGINT, signal.SIGTERM)


@contextmanager
def stoppable(stop: Callable[[], object]) -> Iterator[None]:
    """Call `stop` at the first SIGINT or SIGTERM; a second one does what it did before. In the main thread only."""
    before = {name: signal.getsignal(name) for name in _SIGNALS}

    def restore() -> None:
        for name, handler in before.items():
            signal.signal(name, handler)

    def handle(_: int, __: object) -> None:
        restore()
        stop()

    for name in _SIGNALS:
        signal.signal(name, handle)
    try:
        yield
    finally:
        restore()


def run_until_stopped(main: Coroutine[object, object, T]) -> T | None:
    """Run a coroutine in an event loop; None when SIGINT or SIGTERM cancelled it."""

    async def guarded() -> T | None:
        loop, task = asyncio.get_running_loop(), asyncio.ensure_future(main)
        with stoppable(lambda: loop.call_soon_threadsafe(task.cancel)):
            await asyncio.wait([task])
        return None if task.cancelled() else task.result()

    return asyncio.run(guarded())
