"""Runs the calls of one conversation while it goes on: several at once, each with its time limit.

A result, an error or a time-out is told as an event and as a note for the model, by the call that it belongs to. A
call outlives the reply that made it: who interrupts the reply is told the result with the next one. Only the end of the
conversation cancels what still runs. Knows no loop and no sound.
"""

from __future__ import annotations

import asyncio
import contextvars
import inspect
import json
import logging
import threading
from contextlib import suppress
from dataclasses import fields, is_dataclass
from enum import Enum
from typing import TYPE_CHECKING, Any, Final, Self

from reasoning.errors import BadTool
from reasoning.events import ToolResult
from reasoning.tools.calls import checked_tools
from reasoning.tools.written import WrittenCall

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence
    from types import TracebackType

    from reasoning.events import ToolCall
    from reasoning.tools.calls import Tool

AT_ONCE: Final = 8
"""Calls that run at once; others wait for their turn."""
_WAITING: Final = 32
"""Calls that run or wait; more are refused."""
MOST_A_TURN: Final = 16
"""Calls between two turns of the user: a model that answers each result with a call must come to an end."""
RESULT_CHARACTERS: Final = 800
"""Of a result, for the model; a longer one is cut."""
_REASON_CHARACTERS: Final = 200
_GRACE_S: Final = 2.0
"""Seconds in which a handler that was cancelled may clean up at the end."""
_log: Final = logging.getLogger("descant.tools")


class ToolRunner:
    """`async with` it, `start` calls; at the end, what still runs is cancelled."""

    def __init__(
        self,
        tools: Sequence[Tool],
        emit: Callable[[ToolResult], None],
        note: Callable[[str], Awaitable[object]],
    ) -> None:
        """`BadTool` for a tool without a handler. `emit` learns each result; `note` tells it to the model."""
        self._tools = {tool.name: tool for tool in checked_tools(tools)}
        for tool in tools:
            if tool.handler is None:
                raise BadTool(f"tool {tool.name!r} has no handler: make it with @descant.tool, or give it one")
        self._emit, self._note = emit, note
        self._slots = asyncio.Semaphore(AT_ONCE)
        self._running: set[asyncio.Task[None]] = set()
        self._threads = 0
        """Threads of blocking handlers; one may outlive its call's time limit."""
        self._made = 0
        """Calls since the user's last turn."""

    async def __aenter__(self) -> Self:
        return self

    async def __aexit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        await self.cancel()

    @property
    def idle(self) -> bool:
        """Whether no call runs and every result is told."""
        return not self._running

    def has(self, name: str) -> bool:
        """Tell whether it runs the tool of that name."""
        return name in self._tools

    def turn_began(self) -> None:
        """Learn that the user has asked for something: calls are counted anew."""
        self._made = 0

    def start(self, call: ToolCall) -> asyncio.Task[None]:
        """Begin a call that the loop was free to make; the task ends when its result is told."""
        self._made += 1
        task = asyncio.create_task(self._run(call, self._objection(call)), name=f"tool {call.name}")
        self._running.add(task)
        task.add_done_callback(self._running.discard)
        return task

    async def cancel(self) -> None:
        """Cancel what runs: nobody wants to know any more."""
        running = set(self._running)
        for task in running:
            task.cancel()
        if running:
            await asyncio.wait(running, timeout=_GRACE_S)

    def _objection(self, call: ToolCall) -> str:
        if call.name not in self._tools:
            return "there is no such tool here"
        if len(self._running) >= _WAITING:
            return f"{_WAITING} calls run already"
        if self._made > MOST_A_TURN:
            return f"{MOST_A_TURN} calls were made already; answer with what they gave"
        return ""

    async def _run(self, call: ToolCall, objection: str) -> None:
        if objection:
            text, failed = f"not called: {objection}", True
        else:
            async with self._slots:
                text, failed = await self._outcome(self._tools[call.name], call.arguments)
        self._emit(ToolResult(call.id, call.name, text, failed))
        await self._note(f"[result of {WrittenCall(call.name, call.arguments).text()[:_REASON_CHARACTERS]}] {text}")

    async def _outcome(self, tool: Tool, arguments: Mapping[str, Any]) -> tuple[str, bool]:
        """Give the result as text, or why there is none; and whether it failed."""
        try:
            async with asyncio.timeout(tool.timeout_s) as limit:
                given = await self._called(tool, arguments)
            return _cut(_written(given), RESULT_CHARACTERS), False
        except asyncio.CancelledError:
            if (task := asyncio.current_task()) is None or task.cancelling():
                raise
            return "failed: it was cancelled", True
        except Exception as error:  # noqa: BLE001 - a handler is the user's: whatever it raises, the talk goes on
            if isinstance(error, TimeoutError) and limit.expired():
                return f"failed: no result within {tool.timeout_s:g} seconds", True
            # The message may hold what somebody said: it is the model's, and the log gets the place.
            _log.warning("tool %s raised %s", tool.name, type(error).__name__)
            _log.debug("tool %s", tool.name, exc_info=error)
            reason = " ".join(str(error).split()) or type(error).__name__
            return f"failed: {_cut(reason, _REASON_CHARACTERS)}", True

    async def _called(self, tool: Tool, arguments: Mapping[str, Any]) -> object:
        assert tool.handler is not None  # noqa: S101 - the constructor has seen to it
        given = await self._in_thread(tool.handler, arguments) if tool.blocking else tool.handler(arguments)
        return await given if inspect.isawaitable(given) else given

    async def _in_thread(self, handler: Callable[[Mapping[str, Any]], object], arguments: Mapping[str, Any]) -> object:
        """Call a blocking handler. Its thread does not keep the program from ending, and cannot be cut off."""
        if self._threads >= AT_ONCE:
            raise RuntimeError(f"{self._threads} earlier calls have not come back")
        loop = asyncio.get_running_loop()
        done: asyncio.Future[object] = loop.create_future()

        def finish(result: object, error: BaseException | None) -> None:
            self._threads -= 1
            if done.done():
                return
            if error is None:
                done.set_result(result)
            else:
                done.set_exception(error)

        def work() -> None:
            result, error = None, None
            try:
                result = context.run(handler, arguments)
            except BaseException as raised:  # noqa: BLE001 - it is raised where the result is waited for
                error = RuntimeError(str(raised)) if isinstance(raised, StopIteration | SystemExit) else raised
            with suppress(RuntimeError):  # the loop is closed: nobody waits any more
                loop.call_soon_threadsafe(finish, result, error)

        context = contextvars.copy_context()
        self._threads += 1
        threading.Thread(target=work, name="descant-tool", daemon=True).start()
        return await done


def _written(result: object) -> str:
    """Give a result as text for the model. Raises TypeError where it has none."""
    if isinstance(result, str):
        return result
    return "done" if result is None else json.dumps(result, ensure_ascii=False, default=_plain)


def _plain(value: object) -> object:
    if is_dataclass(value) and not isinstance(value, type):
        return {item.name: getattr(value, item.name) for item in fields(value)}
    return value.value if isinstance(value, Enum) else str(value)


def _cut(text: str, most: int) -> str:
    return text if len(text) <= most else text[: most - 1] + "…"
