from __future__ import annotations

import asyncio
import io
import os
import signal

import pytest
from rich.console import Console

from bench.stopping import run_until_stopped, stoppable
from bench.think.counting import counted


@pytest.mark.parametrize("name", [signal.SIGINT, signal.SIGTERM])
def test_the_first_signal_is_told_and_the_second_is_as_ever(name: signal.Signals) -> None:
    old: list[int] = []
    told: list[str] = []
    before = signal.signal(name, lambda number, _: old.append(number))
    try:
        with stoppable(lambda: told.append("stop")):
            os.kill(os.getpid(), name)
            assert (told, old) == (["stop"], [])
            os.kill(os.getpid(), name)
            assert (told, old) == (["stop"], [name])
        with stoppable(lambda: told.append("again")):
            pass
        os.kill(os.getpid(), name)
        assert (told, old) == (["stop"], [name, name])
    finally:
        signal.signal(name, before)


def test_a_coroutine_is_cancelled_by_a_signal_and_cleans_up() -> None:
    ended: list[str] = []

    async def work() -> str:
        os.kill(os.getpid(), signal.SIGTERM)
        try:
            await asyncio.Event().wait()
        finally:
            ended.append("clean")
        return "never"

    assert run_until_stopped(work()) is None
    assert ended == ["clean"]


def test_a_coroutine_that_is_left_alone_gives_its_result() -> None:
    async def work() -> str:
        await asyncio.sleep(0)
        return "done"

    assert run_until_stopped(work()) == "done"


def test_without_a_terminal_each_tenth_is_told_with_what_is_left() -> None:
    out = io.StringIO()
    with counted(20, "conversations", Console(file=out)) as count:
        for _ in range(20):
            count(None)
    lines = out.getvalue().splitlines()
    assert len(lines) == 10
    assert lines[0].startswith("2 of 20 conversations, ")
    assert lines[-1].endswith("about 0 s left")
