from __future__ import annotations

import asyncio
import threading
from collections.abc import Callable
from contextvars import ContextVar
from dataclasses import dataclass, field, replace

import pytest

from reasoning.errors import BadTool
from reasoning.events import ToolCall, ToolResult
from reasoning.tools.calls import Tool
from reasoning.tools.functions import tool
from reasoning.tools.running import AT_ONCE, MOST_A_TURN, RESULT_CHARACTERS, ToolRunner

EMPTY = {"type": "object", "properties": {}}


@dataclass
class Told:
    results: list[ToolResult] = field(default_factory=list)
    notes: list[str] = field(default_factory=list)

    async def note(self, text: str) -> None:
        self.notes.append(text)

    def runner(self, *tools: Tool) -> ToolRunner:
        return ToolRunner(tools, self.results.append, self.note)

    @property
    def texts(self) -> list[str]:
        return [result.text for result in self.results]


async def idle(runner: ToolRunner) -> None:
    while not runner.idle:
        await asyncio.wait(runner._running)


def made(handler: Callable[..., object], **changes: object) -> Tool:
    return replace(tool(name="do", description="Do it.")(handler), **changes)  # type: ignore[arg-type]


def call(number: int = 1, name: str = "do", **arguments: object) -> ToolCall:
    return ToolCall(f"call{number}", name, arguments)


async def test_a_result_comes_back_by_the_id_of_its_call_and_as_a_note() -> None:
    async def weather(city: str) -> str:
        return f"rain in {city}"

    told = Told()
    async with told.runner(made(weather)) as runner:
        runner.start(call(7, city="Oslo"))
        assert not runner.idle
        await idle(runner)
        assert runner.idle
    assert told.results == [ToolResult("call7", "do", "rain in Oslo", failed=False)]
    assert told.notes == ['[result of {"name": "do", "arguments": {"city": "Oslo"}}] rain in Oslo']


@dataclass
class Found:
    town: str
    people: int


@pytest.mark.parametrize(
    ("given", "text"),
    [
        (None, "done"),
        ("", ""),
        (7, "7"),
        ({"å": [1, None]}, '{"å": [1, null]}'),
        ([Found("Oslo", 7)], '[{"town": "Oslo", "people": 7}]'),
        ("x" * 5000, "x" * (RESULT_CHARACTERS - 1) + "…"),
    ],
)
async def test_a_result_is_text_of_bounded_length(given: object, text: str) -> None:
    told = Told()
    async with told.runner(made(lambda: given)) as runner:
        runner.start(call())
        await idle(runner)
    assert told.texts == [text]


async def test_an_error_is_told_to_the_model_in_one_line_and_the_next_call_runs() -> None:
    async def fail() -> None:
        raise RuntimeError("no such\ncity " + "x" * 1000)

    told = Told()
    async with told.runner(made(fail), made(lambda: "yes", name="other")) as runner:
        runner.start(call(1))
        runner.start(call(2, "other"))
        await idle(runner)
    failed = next(result for result in told.results if result.id == "call1")
    assert failed.failed
    assert failed.text.startswith("failed: no such city xxx")
    assert len(failed.text) < 250
    assert "Traceback" not in failed.text + "".join(told.notes)
    assert ToolResult("call2", "other", "yes", failed=False) in told.results


async def test_what_cannot_be_written_is_an_error_too() -> None:
    endless: list[object] = []
    endless.append(endless)
    told = Told()
    async with told.runner(made(lambda: endless)) as runner:
        runner.start(call())
        await idle(runner)
    assert told.results[0].failed


async def test_a_call_is_given_up_after_its_time_limit() -> None:
    cancelled = asyncio.Event()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    told = Told()
    async with told.runner(made(hang, timeout_s=0.01)) as runner:
        runner.start(call())
        await idle(runner)
    assert told.results == [ToolResult("call1", "do", "failed: no result within 0.01 seconds", failed=True)]
    assert cancelled.is_set()


async def test_a_time_out_of_the_handlers_own_is_its_own_error() -> None:
    async def ask() -> None:
        raise TimeoutError("the weather office does not answer")

    async def give_up() -> None:
        raise asyncio.CancelledError

    told = Told()
    async with told.runner(made(ask), made(give_up, name="other")) as runner:
        runner.start(call())
        runner.start(call(2, "other"))
        await idle(runner)
    assert told.texts == ["failed: the weather office does not answer", "failed: it was cancelled"]


async def test_calls_run_at_once_and_not_more_than_a_few() -> None:
    running, most, full, go = 0, 0, asyncio.Event(), asyncio.Event()

    async def count() -> None:
        nonlocal running, most
        running += 1
        most = max(most, running)
        if running == AT_ONCE:
            full.set()
        await go.wait()
        running -= 1

    told = Told()
    async with told.runner(made(count)) as runner:
        for number in range(AT_ONCE + 4):
            runner.start(call(number))
        await full.wait()
        go.set()
        await idle(runner)
    assert most == AT_ONCE
    assert len(told.results) == AT_ONCE + 4


async def test_calls_without_end_are_refused_until_the_user_speaks_again() -> None:
    told = Told()
    async with told.runner(made(lambda: "yes")) as runner:
        for number in range(MOST_A_TURN + 2):
            runner.start(call(number))
            await idle(runner)
        assert [result.failed for result in told.results] == [False] * MOST_A_TURN + [True] * 2
        assert "answer with what they gave" in told.notes[-1]
        runner.turn_began()
        runner.start(call(99))
        await idle(runner)
        assert not told.results[-1].failed


async def test_a_blocking_function_runs_beside_the_event_loop_in_its_context() -> None:
    who: ContextVar[str] = ContextVar("who")
    go = threading.Event()

    def block() -> str:
        go.wait(10)
        return f"{who.get()} {threading.current_thread() is threading.main_thread()}"

    told = Told()
    async with told.runner(made(block)) as runner:
        who.set("me")
        runner.start(call())
        await asyncio.sleep(0)
        assert not runner.idle
        go.set()
        await idle(runner)
    assert told.texts == ["me False"]


async def test_blocking_functions_that_never_come_back_do_not_pile_up() -> None:
    go = threading.Event()
    started: list[int] = []

    def block() -> None:
        started.append(1)
        go.wait(10)

    told = Told()
    async with told.runner(made(block, timeout_s=0.01)) as runner:
        for number in range(AT_ONCE + 1):
            runner.start(call(number))
            await idle(runner)
        assert len(started) == AT_ONCE
        assert "have not come back" in told.texts[-1]
        go.set()
        while runner._threads:  # noqa: ASYNC110 - threads come to their end
            await asyncio.sleep(0)
        runner.start(call(99))
        await idle(runner)
        assert told.texts[-1] == "done"


async def test_the_end_of_the_conversation_cancels_what_runs() -> None:
    cancelled = asyncio.Event()

    async def hang() -> None:
        try:
            await asyncio.Event().wait()
        finally:
            cancelled.set()

    told = Told()
    async with told.runner(made(hang)) as runner:
        runner.start(call())
        await asyncio.sleep(0)
        await asyncio.sleep(0)
    assert cancelled.is_set()
    assert told.results == []
    assert asyncio.all_tasks() == {asyncio.current_task()}


async def test_a_call_of_an_unknown_tool_is_told_to_the_model() -> None:
    told = Told()
    async with told.runner() as runner:
        runner.start(call())
        await idle(runner)
    assert told.texts == ["not called: there is no such tool here"]


def test_a_tool_without_a_handler_cannot_be_run() -> None:
    with pytest.raises(BadTool, match="'do' has no handler"):
        Told().runner(Tool("do", "", EMPTY))
