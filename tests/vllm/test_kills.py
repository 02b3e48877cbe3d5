"""Conversations whose server is killed in the middle of an answer: a hundred of them, over real servers.

Everything is greedy and in float32, so that what is said and thought can be compared with the same conversations on
servers that nobody kills. Where speaking depends on how far the thoughts are, each run of tokens is compared with what
the server says to the same prompt when it is asked once.
"""

from __future__ import annotations

import asyncio
import logging
import time
from collections.abc import AsyncGenerator, AsyncIterator, Iterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass
from statistics import median

import pytest

from reasoning.engine.contract import Sampling, Token
from reasoning.events import LoopEvent, ReplyText, Thought
from reasoning.loop.loop import Loop
from reasoning.options import LoopOptions, Mode
from reasoning.prompting.script import Script, family_of
from reasoning.vllm.blocks import ServedBlock
from reasoning.vllm.engine import VllmEngine, VllmSession
from tests.vllm.server import VllmServer, running
from tests.vllm.test_vllm import CONTEXT, house

pytestmark = [pytest.mark.vllm, pytest.mark.timeout(3000)]

TRIALS = 25
"""Conversations of a case, and answers that lose their server in it, at least; there are four cases."""
_MOST_TURNS = 4
_THINGS = (
    *("fox", "lighthouse", "violin", "river", "baker", "train", "garden", "castle", "robot", "whale", "clock", "sea"),
    *("painter", "storm", "library", "horse", "island", "kite", "market", "tower", "sailor", "forest", "lamp", "bear"),
    "farmer",
)  # fmt: skip


@dataclass
class Run:
    """Tokens that one view gave in a row."""

    prompt: list[int]
    ban: frozenset[int]
    tokens: list[int]


class Noted(VllmSession):
    """An engine session that notes what is delivered under which view."""

    def __init__(self, engine: VllmEngine) -> None:
        super().__init__(engine)
        self.runs: list[Run] = []
        self.moments: list[float] = []
        """When each token was delivered, on the clock of the test."""
        self.going = asyncio.Event()

    async def generate(self, view: Sequence[ServedBlock], rules: Sampling) -> AsyncGenerator[Token]:
        run = Run([], frozenset(), [])
        async with aclosing(super().generate(view, rules)) as stream:
            async for token in stream:
                prompt = [each for block in view for each in block.tokens[: token.seen[block.name]]]
                if prompt != [*run.prompt, *run.tokens]:
                    run = Run(prompt, rules.ban, [])
                    self.runs.append(run)
                run.tokens.append(token.id)
                self.moments.append(time.monotonic())
                if len(run.tokens) > 1:
                    self.going.set()
                yield token


@dataclass
class Talk:
    """One conversation: its questions and what came of them."""

    number: int
    noted: Noted
    loop: Loop
    events: list[LoopEvent]
    answering: bool = False

    def question(self, turn: int, mode: Mode) -> str:
        thing, count = _THINGS[self.number], 3 + self.number
        if mode == "no-think":
            return f"Tell me a{'nother' if turn else ''} long story about a {thing}."
        if turn:
            return f"Then {count + 2 + turn} more apples come. How many apples are there now?"
        return f"A {thing} carries {count} boxes with 12 apples each. How many apples are there?"

    async def answer(self, question: str) -> None:
        self.answering = True
        before = len(self.texts(ReplyText))
        await self.loop.hear(question)
        await self.loop.answer(question)
        self.answering = False
        self.noted.going.set()
        await self.loop.finish(" ".join(self.texts(ReplyText)[before:]))

    def texts(self, *kinds: type[ReplyText | Thought]) -> list[str]:
        return [event.text for event in self.events if isinstance(event, kinds)]

    def at(self, server: VllmServer) -> bool:
        replica = self.noted._home.replica
        return replica is not None and replica.url == server.url


@dataclass
class Crowd:
    """Conversations that are held at once."""

    talks: list[Talk]
    mode: Mode
    turns: int = 0

    async def turn(self, victim: VllmServer | None = None) -> list[float]:
        """Answer everybody, and kill a server while it answers; give the seconds for which each felt that."""
        async with asyncio.TaskGroup() as group:
            for talk in self.talks:
                talk.noted.going.clear()
                group.create_task(talk.answer(talk.question(self.turns, self.mode)))
            for talk in self.talks:
                await talk.noted.going.wait()
            if victim is not None:
                met = [talk for talk in self.talks if talk.answering and talk.at(victim)]
                victim.kill()
                killed = time.monotonic()
                victim.start()
        self.turns += 1
        if victim is None:
            return []
        await asyncio.to_thread(victim.until_ready)
        nexts = [next((at - killed for at in talk.noted.moments if at > killed), None) for talk in met]
        return [seconds for seconds in nexts if seconds is not None]


@asynccontextmanager
async def crowd(engine: VllmEngine, script: Script, mode: Mode) -> AsyncIterator[Crowd]:
    options = LoopOptions(mode=mode, think_tokens=90, reply_tokens=90, turn_s=1000)
    talks = list[Talk]()
    async with AsyncExitStack() as stack:
        for number in range(TRIALS):
            noted, events = Noted(engine), list[LoopEvent]()
            stack.push_async_callback(noted.aclose)
            loop = Loop(noted, script, options, events.append, time.monotonic, context=CONTEXT)
            await loop.open()
            talks.append(Talk(number, noted, loop, events))
        yield Crowd(talks, mode)


@pytest.fixture(scope="module")
def pair() -> Iterator[tuple[VllmServer, VllmServer]]:
    """Give two servers that compute all conversations at once."""
    first, second = (VllmServer(more=("--max-num-seqs", "64")) for _ in range(2))
    with running(first, second):
        yield first, second


@pytest.mark.parametrize("mode", ["no-think", "async"])
async def test_conversations_go_on_at_the_other_server(
    pair: tuple[VllmServer, VllmServer], mode: Mode, caplog: pytest.LogCaptureFixture
) -> None:
    """Each server has half of them; when the second one dies in the next turn, it has them all."""
    await compare(pair, mode)
    told = [record.getMessage() for record in caplog.records if record.levelno >= logging.WARNING]
    assert sum("its conversation goes on at" in line for line in told) >= TRIALS


@pytest.mark.parametrize("mode", ["think-first", "async"])
async def test_conversations_go_on_at_their_server_when_it_is_back(
    pair: tuple[VllmServer, VllmServer], mode: Mode
) -> None:
    await compare(pair[:1], mode)


async def compare(servers: Sequence[VllmServer], mode: Mode) -> None:
    async with house(*servers) as one:
        script, waits = Script(one.tokenizer, family_of("smollm2")), list[float]()
        async with crowd(one.engine, script, mode) as disturbed:
            while len(waits) < TRIALS and disturbed.turns < _MOST_TURNS:
                waits += await disturbed.turn(servers[disturbed.turns % len(servers)])
        if mode == "async":
            whole = [await as_asked_once(servers[0], talk.noted.runs) for talk in disturbed.talks]
        else:
            async with crowd(one.engine, script, mode) as undisturbed:
                while undisturbed.turns < disturbed.turns:
                    await undisturbed.turn()
            pairs = zip(disturbed.talks, undisturbed.talks, strict=True)
            whole = [talk.texts(Thought, ReplyText) == other.texts(Thought, ReplyText) for talk, other in pairs]
    print(
        f"{mode}, {len(servers)} servers: {len(waits)} answers lost their server, in {disturbed.turns} kills; the next "
        f"token came after {median(waits):.1f} s (median), {max(waits):.1f} s (the last). "
        f"{sum(whole)} of {TRIALS} conversations lost and repeated nothing."
    )
    assert all(whole)
    assert all(talk.texts(ReplyText) for talk in disturbed.talks)
    assert len(waits) >= TRIALS


async def as_asked_once(server: VllmServer, runs: Sequence[Run]) -> bool:
    """Whether each run of tokens is what the server writes behind the same prompt when it is asked once."""
    answers = [
        server.ask(
            prompt=run.prompt, max_tokens=len(run.tokens), logit_bias={str(token): -100 for token in sorted(run.ban)}
        )
        for run in runs
    ]
    found = [answer["token_ids"] for answer in await asyncio.gather(*answers)]
    return found == [run.tokens for run in runs]
