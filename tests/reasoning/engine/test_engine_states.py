"""Whatever is done to blocks in whatever order, they hold exactly what was appended and delivered."""

from __future__ import annotations

import asyncio
import math
from contextlib import suppress
from typing import TYPE_CHECKING, Any, ClassVar

import hypothesis.strategies as st
import pytest
import torch
from hypothesis import settings
from hypothesis.stateful import RuleBasedStateMachine, invariant, precondition, rule, run_state_machine_as_test

from reasoning.engine.contract import Sampling
from reasoning.engine.torch_engine import TorchEngine, TorchSession
from reasoning.errors import BlockBusy
from reasoning.formats.gguf import GgufFile, open_gguf
from reasoning.options import VllmOptions
from reasoning.vllm.blocks import ServerLimits
from reasoning.vllm.engine import VllmEngine, VllmSession
from reasoning.vllm.servers import Servers
from tests.reasoning.engine.test_torch_engine import FREE_ROWS, WatchedDecoder, replay, settle
from tests.reasoning.tiny_models import LLAMA, write_tiny
from tests.reasoning.toy_vllm import ToyServer, ToyVllm, computed_by

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, Sequence

    from reasoning.engine.contract import Block, EngineSession, Token

BLOCKS = ("a", "b", "c")
NAMES = st.sampled_from(BLOCKS)
TEXT = st.lists(st.integers(0, LLAMA.vocabulary - 1), min_size=1, max_size=12)


class Blocks(RuleBasedStateMachine):
    """What holds on every engine; `session` is opened by the engine's own machine."""

    file: ClassVar[GgufFile]
    temperature: ClassVar = 1.0
    session: EngineSession[Any]

    def __init__(self) -> None:
        super().__init__()
        self.runner = asyncio.Runner()
        self.expected: dict[str, list[int]] = {name: [] for name in BLOCKS}
        self.streams: dict[str, AsyncGenerator[Token]] = {}
        self.left: dict[str, int] = {}

    def view(self, name: str) -> list[Block]:
        return [self.session.block(each) for each in BLOCKS[: BLOCKS.index(name) + 1]]

    def busy(self, name: str) -> bool:
        return self.left.get(name, 0) > 0

    @rule(name=NAMES, text=TEXT)
    def append(self, name: str, text: list[int]) -> None:
        if self.busy(name):
            with pytest.raises(BlockBusy):
                self.runner.run(self.session.append(self.view(name), text))
        else:
            self.runner.run(self.session.append(self.view(name), text))
            self.expected[name] += text

    @rule(name=NAMES, max_tokens=st.integers(1, 6))
    def start(self, name: str, max_tokens: int) -> None:
        stream = self.session.generate(self.view(name), Sampling(max_tokens=max_tokens, temperature=self.temperature))
        if self.busy(name):
            with pytest.raises(BlockBusy):
                self.runner.run(anext(stream))
        elif self.expected[name]:
            if name in self.streams:
                self.runner.run(self.streams.pop(name).aclose())
            self.streams[name], self.left[name] = stream, max_tokens
            self.read(name)

    @precondition(lambda self: self.streams)
    @rule(data=st.data())
    def read_some(self, data: st.DataObject) -> None:
        self.read(data.draw(st.sampled_from(sorted(self.streams))))

    def read(self, name: str) -> None:
        try:
            token = self.runner.run(anext(self.streams[name]))
        except StopAsyncIteration:
            assert not self.busy(name)
            del self.streams[name]
        else:
            assert self.busy(name)
            self.left[name] -= 1
            self.expected[name].append(token.id)
            assert set(token.seen) == set(BLOCKS[: BLOCKS.index(name) + 1])

    @precondition(lambda self: self.streams)
    @rule(data=st.data(), turns=st.integers(0, 3))
    def cancel(self, data: st.DataObject, turns: int) -> None:
        name = data.draw(st.sampled_from(sorted(self.streams)))
        stream = self.streams.pop(name)
        self.left.pop(name, None)

        async def read_and_be_cancelled() -> None:
            async def read() -> None:
                self.expected[name].append((await anext(stream)).id)

            task = asyncio.create_task(read())
            for _ in range(turns):
                await asyncio.sleep(0)
            task.cancel()
            with suppress(asyncio.CancelledError, StopAsyncIteration):
                await task
            await stream.aclose()

        self.runner.run(read_and_be_cancelled())

    @precondition(lambda self: self.streams)
    @rule(data=st.data())
    def close(self, data: st.DataObject) -> None:
        name = data.draw(st.sampled_from(sorted(self.streams)))
        self.left.pop(name, None)
        self.runner.run(self.streams.pop(name).aclose())

    @rule(name=NAMES, length=st.integers(0, 15))
    def crop(self, name: str, length: int) -> None:
        self.runner.run(self.session.crop(self.session.block(name), length))
        del self.expected[name][length:]
        self.left.pop(name, None)

    @rule(name=NAMES, question=TEXT)
    def score_choices(self, name: str, question: list[int]) -> None:
        verdict = self.runner.run(
            self.session.score_choices(self.view(name), question, [frozenset({1}), frozenset({2})])
        )
        assert math.isfinite(verdict.log_odds)

    @invariant()
    def blocks_hold_what_was_delivered(self) -> None:
        for name in BLOCKS:
            block = self.session.block(name)
            assert list(block.tokens) == self.expected[name]
            assert len(block) == len(self.expected[name])

    def close_streams(self) -> None:
        for stream in self.streams.values():
            self.runner.run(stream.aclose())


class EmbeddedBlocks(Blocks):
    """The embedded engine: also its caches hold just that, and every step is right."""

    row_costs: ClassVar[Sequence[float]] = ()

    def __init__(self) -> None:
        super().__init__()
        self.decoder = WatchedDecoder(self.file)
        self.engine = TorchEngine(self.decoder, threads=1, prefill_rows=2, row_costs=self.row_costs)
        self.session = self.embedded = TorchSession(self.engine)

    @rule()
    def settle(self) -> None:
        self.runner.run(settle(self.engine))
        for name in BLOCKS:
            block = self.embedded.block(name)
            assert block.cache.length <= len(block) + 2 * self.most_per_step - 1
            assert len(block.ids) <= len(block) + 2 * self.most_per_step

    @property
    def most_per_step(self) -> int:
        """Tokens that a stream may get from one step."""
        return max(1, len(self.row_costs) - 1)

    @invariant()
    def caches_hold_what_was_delivered(self) -> None:
        for name in BLOCKS:
            block = self.embedded.block(name)
            if not self.busy(name):
                assert block.ids == self.expected[name]
                assert block.cache.length <= len(block)

    def teardown(self) -> None:
        blocks = [self.embedded.block(name) for name in BLOCKS]
        self.runner.run(self.embedded.aclose())
        assert [block.cache.keys.numel() for block in blocks] == [0, 0, 0]
        assert self.engine._schedule.jobs == []
        self.close_streams()
        self.engine.close()
        self.runner.close()
        replay(self.file, self.decoder)


class DraftedBlocks(EmbeddedBlocks):
    """The same where drafts cost nothing; likely tokens, as tiny models repeat them."""

    temperature = 0.0
    row_costs = FREE_ROWS
    guessed: ClassVar = 0

    def teardown(self) -> None:
        super().teardown()
        DraftedBlocks.guessed += sum(run.guesses for runs in self.decoder.runs for run in runs)


class ServedBlocks(Blocks):
    """The engine for vLLM, over a stand-in for the server: no request is left behind."""

    def __init__(self) -> None:
        super().__init__()
        self.server = ToyServer(ToyVllm(computed_by(self.file)))
        self.runner.run(self.server.start())
        self.servers = Servers(VllmOptions(servers=(self.server.url,), model="toy"))
        self.session = self.remote = VllmSession(VllmEngine(self.servers, ServerLimits(500, 2, LLAMA.vocabulary)))

    def teardown(self) -> None:
        self.runner.run(self.remote.aclose())
        self.close_streams()
        self.runner.run(self.server.model.until_idle())
        self.runner.run(self.servers.aclose())
        self.runner.run(self.server.stop())
        self.runner.close()


@pytest.mark.parametrize(("machine", "examples"), [(EmbeddedBlocks, 60), (DraftedBlocks, 60), (ServedBlocks, 40)])
def test_blocks_hold_what_was_delivered(
    machine: type[Blocks], examples: int, tmp_path_factory: pytest.TempPathFactory
) -> None:
    torch.set_num_threads(1)
    Blocks.file = open_gguf(write_tiny(tmp_path_factory.mktemp("tiny") / "tiny.gguf", LLAMA))
    run_state_machine_as_test(machine, settings=settings(max_examples=examples, stateful_step_count=30, deadline=None))
    assert machine is not DraftedBlocks or DraftedBlocks.guessed > 0
