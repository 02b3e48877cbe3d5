"""What only the served engine does: asks anew when its view has changed, and survives its servers.

Over the stand-in for vLLM on loopback sockets; what it shares with every engine is in `test_engine_contract`, what a
real vLLM makes of it in `tests/vllm`.
"""

from __future__ import annotations

import asyncio
import logging
import math
from collections.abc import AsyncIterator, Sequence
from contextlib import AsyncExitStack, aclosing, asynccontextmanager
from dataclasses import dataclass, replace
from pathlib import Path

import pytest
import torch

from reasoning.engine.contract import Form, Grammar, Sampling, Token
from reasoning.errors import EngineFailed
from reasoning.formats.gguf import GgufFile, open_gguf
from reasoning.options import VllmOptions
from reasoning.prompting.tokenizer import Tokenizer
from reasoning.tools.grammar import Grammars
from reasoning.vllm.blocks import ServerLimits
from reasoning.vllm.engine import VllmEngine
from reasoning.vllm.servers import Servers
from tests.agent.command_line import write_babbler
from tests.reasoning.engine.test_engine_contract import ids_of, read
from tests.reasoning.reference import Reference, ReferenceBlock
from tests.reasoning.tiny_models import LLAMA, write_tiny
from tests.reasoning.toy_vllm import Body, ToyServer, ToyVllm, babbling, computed_by, logits_behind

SEGMENT = 4


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> GgufFile:
    torch.set_num_threads(1)
    return open_gguf(write_tiny(tmp_path_factory.mktemp("tiny") / "tiny.gguf", LLAMA))


@dataclass
class House:
    engine: VllmEngine
    toys: list[ToyServer]

    @property
    def asked(self) -> list[Body]:
        return [body for toy in self.toys for body in toy.model.asked]


@asynccontextmanager
async def house(
    file: GgufFile,
    count: int = 1,
    *,
    options: VllmOptions | None = None,
    key: str | None = None,
    toy: ToyVllm | None = None,
) -> AsyncIterator[House]:
    async with AsyncExitStack() as stack:
        toys = [ToyServer(toy or ToyVllm(computed_by(file))) for _ in range(count)]
        for each in toys:
            await stack.enter_async_context(each.served())
        options = replace(options or VllmOptions(), servers=tuple(each.url for each in toys))
        servers = Servers(options, key)
        await stack.enter_async_context(servers.watched())
        await servers.model()
        yield House(VllmEngine(servers, ServerLimits(500, SEGMENT, LLAMA.vocabulary)), toys)
        for each in toys:
            await each.model.until_idle()


def next_token(reference: Reference, ids: Sequence[int]) -> int:
    return int(reference.step([(ids, [ReferenceBlock()])])[0][-1].argmax())


def greedy(file: GgufFile, ids: Sequence[int], count: int) -> list[int]:
    reference, block, found = Reference(file), ReferenceBlock(), list[int]()
    logits = reference.step([(ids, [block])])[0][-1]
    while len(found) < count:
        found.append(int(logits.argmax()))
        logits = reference.step([(found[-1:], [block])])[0][-1]
    return found


# --- asking anew ---


async def test_a_stream_whose_view_stands_still_is_one_request(file: GgufFile) -> None:
    async with house(file) as one, one.engine.session() as session:
        text = session.block("text")
        await session.append([text], [1, 2, 3])
        found = await read(session.generate([text], Sampling(max_tokens=30)))
        assert ids_of(found) == greedy(file, [1, 2, 3], 30)
        assert [body["max_tokens"] for body in one.asked] == [30]


async def test_a_writer_reads_in_each_segment_what_was_thought_meanwhile(file: GgufFile) -> None:
    async with house(file) as one, one.engine.session() as session:
        prompt, thoughts, reply = (session.block(name) for name in ("prompt", "thoughts", "reply"))
        await session.append([prompt], [1, 2, 3])
        await session.append([prompt, thoughts], [4])
        await session.append([prompt, thoughts, reply], [5, 6])
        thinker = session.generate([prompt, thoughts], Sampling(max_tokens=40))
        writer = session.generate([prompt, thoughts, reply], Sampling(max_tokens=18))
        thought, said = list[Token](), list[Token]()
        while len(said) < 18:
            thought += await read(thinker, 2)
            said += await read(writer, 1)
        await thinker.aclose()
        await writer.aclose()
    reference, ids = Reference(file), [4, *ids_of(thought)]
    for number, token in enumerate(said):
        view = [1, 2, 3, *ids[: token.seen["thoughts"]], 5, 6, *ids_of(said[:number])]
        assert token.id == next_token(reference, view)
    seen = [token.seen["thoughts"] for token in said]
    assert seen == sorted(seen)
    assert all(len(set(seen[first : first + SEGMENT])) == 1 for first in range(0, 18, SEGMENT))
    assert len(set(seen)) == 5
    asked = [body for body in one.asked if body["request_id"].startswith("reply-")]
    assert [body["max_tokens"] for body in asked] == [4, 4, 4, 4, 2]
    # The thinker is one long request, which gives way to the short ones.
    (thinking,) = (body for body in one.asked if body["request_id"].startswith("thoughts-"))
    assert thinking["priority"] > max(body["priority"] for body in asked)


async def test_a_long_request_is_cut_when_somebody_begins_to_write_what_it_reads(file: GgufFile) -> None:
    async with house(file) as one, one.engine.session() as session:
        heard, reply = session.block("heard"), session.block("reply")
        await session.append([heard], [1, 2, 3])
        await session.append([heard, reply], [5])
        async with aclosing(session.generate([heard, reply], Sampling(max_tokens=60))) as writer:
            said = await read(writer, 6)
            more = ids_of(await read(session.generate([heard], Sampling(max_tokens=3))))
            said += await read(writer, 6)
        assert [token.seen["heard"] for token in said] == [3] * 6 + [6] * 6
        view = [1, 2, 3, *more, 5, *ids_of(said[:6])]
        assert ids_of(said[6:]) == greedy(file, view, 6)


async def test_new_words_end_what_depends_on_them_and_nothing_else(file: GgufFile) -> None:
    async with house(file) as one, one.engine.session() as session:
        heard, other, thoughts = (session.block(name) for name in ("heard", "other", "thoughts"))
        await session.append([heard], [1, 2, 3])
        await session.append([heard, thoughts], [4])
        await session.append([other], [1, 2, 3])
        async with aclosing(session.generate([other], Sampling(max_tokens=20))) as bystander:
            untouched = await read(bystander, 1)
            async with aclosing(session.generate([heard, thoughts], Sampling(max_tokens=60))) as stream:
                before = ids_of(await read(stream, 3))
                await session.append([heard], [10, 11, 12])
                # What had arrived under the old view is not delivered any more.
                after = await read(stream)
            untouched += await read(bystander)
    assert before == greedy(file, [1, 2, 3, 4], 3)
    assert ids_of(after) == greedy(file, [1, 2, 3, 10, 11, 12, 4, *before], 57)
    assert all(token.seen["heard"] == 6 for token in after)
    assert ids_of(untouched) == greedy(file, [1, 2, 3], 20)
    assert len([body for body in one.asked if body["request_id"].startswith("other-")]) == 1


async def test_new_words_reach_a_reader_that_waits(file: GgufFile) -> None:
    async with house(file) as one, one.engine.session() as session:
        model = one.toys[0].model
        model.gate = asyncio.Semaphore(3)
        heard, thoughts = session.block("heard"), session.block("thoughts")
        await session.append([heard], [1, 2, 3])
        await session.append([heard, thoughts], [4])
        stream = session.generate([heard, thoughts], Sampling(max_tokens=10))
        before = ids_of(await read(stream, 3))
        reading = asyncio.create_task(read(stream))
        await asyncio.sleep(0)
        await session.append([heard], [10])
        await session.crop(heard, 2)
        for _ in range(20):
            model.gate.release()
        after = ids_of(await reading)
        assert after == greedy(file, [1, 2, 4, *before], 7)


async def test_a_stream_that_is_ended_is_ended_at_the_server(file: GgufFile) -> None:
    async with house(file) as one, one.engine.session() as session:
        model = one.toys[0].model
        model.gate = asyncio.Semaphore(2)
        text = session.block("text")
        await session.append([text], [1, 2, 3])
        for end in ("crop", "aclose", "cancel"):
            stream = session.generate([text], Sampling(max_tokens=400))
            await read(stream, 2)
            reading = asyncio.create_task(anext(stream))
            await asyncio.sleep(0)
            if end == "crop":
                await session.crop(text, 3)
            reading.cancel()
            await asyncio.wait([reading])
            await stream.aclose()
            await model.until_idle()
            assert model.gate.locked()
            for _ in range(2):
                model.gate.release()
        assert model.generated == 6


# --- what is asked ---


async def test_a_request_leaves_nothing_to_the_defaults_of_the_model(file: GgufFile) -> None:
    async with house(file) as one, one.engine.session() as session:
        text = session.block("text")
        await session.append([text], [1, 2, 3])
        rules = Sampling(
            stop=frozenset({7, 6}), ban=frozenset({9}), max_tokens=2, temperature=0.5, top_k=5, top_p=0.9, min_p=0.1
        )
        await read(session.generate([text], rules))
        body = dict(one.asked[0])
    assert body.pop("request_id").startswith("text-")
    assert body.pop("seed") >= 0
    assert body == {
        "model": "toy",
        "prompt": [1, 2, 3],
        "max_tokens": 2,
        "stream": True,
        "return_token_ids": True,
        "return_tokens_as_token_ids": True,
        "logprobs": 0,
        "ignore_eos": True,
        "stop_token_ids": [6, 7],
        "logit_bias": {"9": -100.0},
        "temperature": 0.5,
        "top_k": 5,
        "top_p": 0.9,
        "min_p": 0.1,
        "repetition_penalty": 1.0,
        "presence_penalty": 0.0,
        "frequency_penalty": 0.0,
        "priority": 2,
    }


async def test_priorities_are_a_switch(file: GgufFile) -> None:
    async with house(file, options=VllmOptions(priorities=False)) as one, one.engine.session() as session:
        text = session.block("text")
        await session.append([text], [1, 2, 3])
        await read(session.generate([text], Sampling(max_tokens=2)))
        assert "priority" not in one.asked[0]
        await session.append([text], [4])


async def test_the_key_is_sent_with_every_request(file: GgufFile) -> None:
    async with house(file, key="a key for the servers") as one, one.engine.session() as session:
        text = session.block("text")
        await session.append([text], [1, 2, 3])
        await read(session.generate([text], Sampling(max_tokens=2)))
        assert set(one.toys[0].keys) == {"Bearer a key for the servers"}


@pytest.mark.parametrize(
    ("unknown", "told"),
    [("return_token_ids", "token ids"), ("logprob_token_ids", "logprob_token_ids"), ("logit_bias", "could be chosen")],
)
async def test_a_server_that_ignores_what_is_asked_is_found_out(file: GgufFile, unknown: str, told: str) -> None:
    async def use(one: House) -> None:
        async with one.engine.session() as session:
            text = session.block("text")
            await session.append([text], [1, 2, 3])
            await session.score_choices([text], [4], [frozenset({5}), frozenset({6, 7})])
            banned = frozenset(greedy(file, [1, 2, 3], 1))
            await read(session.generate([text], Sampling(max_tokens=2, ban=banned)))

    async with house(file, toy=ToyVllm(computed_by(file))) as one:
        await use(one)
    async with house(file, toy=ToyVllm(computed_by(file), ignores=frozenset({unknown}))) as one:
        with pytest.raises(EngineFailed, match=told):
            await use(one)


async def test_what_a_server_refuses_is_not_tried_again(file: GgufFile) -> None:
    toy = ToyVllm(computed_by(file), max_model_len=16)
    async with house(file, toy=toy) as one, one.engine.session() as session:
        text = session.block("text")
        await session.append([text], [1] * 20)
        with pytest.raises(EngineFailed, match="400: This model's maximum context length is 16"):
            await anext(session.generate([text], Sampling(max_tokens=2)))
        assert one.engine.servers is not None


# --- grammars ---


@pytest.mark.parametrize("at_most", [1, 3])
async def test_a_grammar_gives_what_masking_every_token_gives(file: GgufFile, at_most: int, tmp_path: Path) -> None:
    words = Tokenizer.from_gguf(open_gguf(write_babbler(tmp_path / "babbler.gguf")))
    schema = (
        '{"type": "object", "properties": {"way": {"enum": ["go", "stop"]}, "n": {"type": "integer", "maximum": 30}}'
    )
    schema += ', "required": ["way", "n"], "additionalProperties": false}'
    grammar, grammars = Grammar((Form("", schema, ""),), separator="\n", at_most=at_most), Grammars(words)
    size, end = words.vocab_size, min(words.eos_ids)
    matcher, expected = grammars.matcher(grammar), list[int]()
    while not expected or expected[-1] != end:
        logits = torch.tensor(logits_behind([5, 6, *expected], size))
        expected.append(int(matcher.restrict(logits).argmax()))
        matcher.take(expected[-1])
    async with house(file, toy=ToyVllm(babbling(size))) as one:
        engine = VllmEngine(one.engine.servers, ServerLimits(500, SEGMENT, size), grammars=grammars)
        async with engine.session() as session:
            await session.prepare(grammar)
            text = session.block("text")
            await session.append([text], [5, 6])
            rules = Sampling(stop=frozenset({end}), grammar=grammar)
            found = await read(session.generate([text], rules))
            assert list(text.tokens) == [5, 6, *ids_of(found)]
    assert ids_of(found) == expected
    for number, token in enumerate(found):
        # The model's own, also where the grammar made it choose.
        own = logits_behind([5, 6, *expected[:number]], size)[token.id]
        assert token.log_prob == pytest.approx(own)
    assert any("allowed_token_ids" in body or len(body.get("logit_bias", ())) > size / 4 for body in one.asked)


# --- servers that fail ---


def quick(patience_s: float = 20.0) -> VllmOptions:
    return VllmOptions(patience_s=patience_s)


async def test_an_answer_goes_on_at_another_server_without_a_gap(
    file: GgufFile, caplog: pytest.LogCaptureFixture
) -> None:
    expected = greedy(file, [1, 2, 3], 40)
    for tokens in range(0, 40, 3):
        caplog.clear()
        async with house(file, 2, options=quick()) as one, one.engine.session() as session:
            text = session.block("text")
            await session.append([text], [1, 2, 3])
            one.toys[0].die_after = tokens
            found = await read(session.generate([text], Sampling(max_tokens=40)))
            assert ids_of(found) == expected
            again = await read(session.generate([text], Sampling(max_tokens=3)))
            assert len(again) == 3
            first, second = (toy.model.asked for toy in one.toys)
            assert len(first) == 1
            assert second[0]["prompt"] == [1, 2, 3, *expected[:tokens]]
            assert second[0]["max_tokens"] == 40 - tokens
        lines = [record for record in caplog.records if record.levelno >= logging.WARNING]
        assert len(lines) == 1
        assert f"{one.toys[0].url} failed; its conversation goes on at {one.toys[1].url}" in lines[0].getMessage()


async def test_an_answer_waits_for_a_server_that_comes_back(file: GgufFile) -> None:
    async with house(file, options=quick()) as one, one.engine.session() as session:
        text, toy = session.block("text"), one.toys[0]
        await session.append([text], [1, 2, 3])
        toy.die_after = 5
        reading = asyncio.create_task(read(session.generate([text], Sampling(max_tokens=30))))
        weighing = asyncio.create_task(session.score_choices([text], [4], [frozenset({5}), frozenset({6})]))
        await toy.dead.wait()
        toy.die_after = None
        await toy.start()
        assert ids_of(await reading) == greedy(file, [1, 2, 3], 30)
        assert math.isfinite((await weighing).log_odds)


async def test_a_token_that_the_vocabulary_does_not_have_ends_the_stream_and_the_session_goes_on(
    file: GgufFile,
) -> None:
    async with house(file, toy=ToyVllm(babbling(LLAMA.vocabulary + 500))) as one, one.engine.session() as session:
        text = session.block("text")
        await session.append([text], [1, 2, 3])
        with pytest.raises(EngineFailed, match=rf"token \d+, and the vocabulary of the model has {LLAMA.vocabulary}"):
            await read(session.generate([text], Sampling(max_tokens=200)))
        assert all(token < LLAMA.vocabulary for token in text.tokens)
        await session.append([text], [4])


async def test_patience_ends(file: GgufFile) -> None:
    async with house(file, options=quick(patience_s=0.05)) as one, one.engine.session() as session:
        text = session.block("text")
        await session.append([text], [1, 2, 3])
        one.toys[0].kill()
        with pytest.raises(EngineFailed, match=r"no language model server answered within 0\.05 s"):
            await anext(session.generate([text], Sampling()))
        with pytest.raises(EngineFailed, match="no language model server answered"):
            await session.score_choices([text], [4], [frozenset({5}), frozenset({6})])
        await session.append([text], [4])


async def test_conversations_are_spread_and_stay_where_they_are(file: GgufFile) -> None:
    async with house(file, 2) as one, AsyncExitStack() as stack:
        for number in range(6):
            session = await stack.enter_async_context(one.engine.session())
            text = session.block("text")
            await session.append([text], [1, 2, 3, 10 + number])
            for _ in range(3):
                await read(session.generate([text], Sampling(max_tokens=2)))
        prompts = [{body["prompt"][3] for body in toy.model.asked} for toy in one.toys]
        assert [len(found) for found in prompts] == [3, 3]
        assert not prompts[0] & prompts[1]


async def test_servers_of_different_models_are_refused(file: GgufFile) -> None:
    async with house(file, 2) as one:
        one.toys[1].model.name = "another"
        servers = Servers(VllmOptions(servers=tuple(toy.url for toy in one.toys)))
        with pytest.raises(EngineFailed, match="different models"):
            await servers.model()
        await servers.aclose()


async def test_a_server_that_does_not_answer_is_left_out_and_none_at_all_is_told(file: GgufFile) -> None:
    async with house(file, 2) as one:
        one.toys[1].kill()
        servers = Servers(VllmOptions(servers=(one.toys[1].url, f"{one.toys[0].url}/v1/")))
        assert (await servers.model()).name == "toy"
        one.toys[0].kill()
        with pytest.raises(EngineFailed, match="no language model server answers at"):
            await servers.model()
        await servers.aclose()


async def test_a_hundred_conversations_lose_and_repeat_nothing_when_a_server_dies(file: GgufFile) -> None:
    """A thinker and a writer that reads it; the server goes down at another token in each trial."""
    reference = Reference(file)
    for trial in range(100):
        async with house(file, 2, options=quick()) as one, one.engine.session() as session:
            thoughts, reply = session.block("thoughts"), session.block("reply")
            await session.append([thoughts], [1, 2, trial % 70])
            await session.append([thoughts, reply], [5])
            one.toys[0].die_after = trial % 25
            thinker = asyncio.create_task(read(session.generate([thoughts], Sampling(max_tokens=14))))
            said = await read(session.generate([thoughts, reply], Sampling(max_tokens=12)))
            thought = ids_of(await thinker)
        assert thought == greedy(file, [1, 2, trial % 70], 14)
        ids = [1, 2, trial % 70, *thought]
        for number, token in enumerate(said):
            view = [*ids[: token.seen["thoughts"]], 5, *ids_of(said[:number])]
            assert token.id == next_token(reference, view)
        assert len(one.toys[1].model.asked) > 0
