"""Decoding under a grammar: whatever the model wants, what comes out is a call."""

from __future__ import annotations

import asyncio
import json
import threading
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from random import Random
from typing import TYPE_CHECKING, Any

import pytest
import tokenizers
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import models

from reasoning.engine.contract import Form, Grammar, Sampling
from reasoning.engine.decoder import Decoder
from reasoning.engine.torch_engine import TorchEngine, TorchSession
from reasoning.errors import BadTool, EngineFailed
from reasoning.formats.gguf import GgufFile, open_gguf
from reasoning.prompting.tokenizer import Tokenizer
from reasoning.tools.calls import Tool, grammar_of, read_call
from reasoning.tools.grammar import Grammars, Matcher
from tests.reasoning.engine.test_torch_engine import FREE_ROWS
from tests.reasoning.model_files import model_file
from tests.reasoning.tiny_models import LLAMA, write_tiny

if TYPE_CHECKING:
    from collections.abc import Sequence

    from llguidance import LLMatcher

    from reasoning.engine.schedule import TorchBlock

END, OPEN, CLOSE = 256, 257, 258
SPECIAL = {"<|im_end|>": END, "<tool_call>": OPEN, "</tool_call>": CLOSE}
TOOLS = [
    Tool(
        "go_to",
        "",
        {
            "type": "object",
            "properties": {
                "place": {"enum": ["kitchen", "office"]},
                "x": {"type": "integer", "minimum": -5, "maximum": 5},
            },
            "required": ["place"],
            "additionalProperties": False,
        },
    ),
    Tool("look", "", {"type": "object", "properties": {}, "additionalProperties": False}),
]
TINY = replace(LLAMA, vocabulary=300)


class Bytes(Tokenizer):
    """A token for each byte; more rows than the model needs."""

    def __init__(self) -> None:
        super().__init__(
            tokenizers.Tokenizer(models.BPE()), [""] * 256 + list(SPECIAL), SPECIAL, frozenset({END}), None
        )

    def encode(self, text: str) -> list[int]:
        return list(text.encode())

    def token_bytes(self, token: int) -> bytes:
        return bytes([token]) if token < 256 else b""


def grammar(tools: Sequence[Tool] = TOOLS, *, begin: str = "<tool_call>\n", at_most: int = 2) -> Grammar:
    end = "\n</tool_call>" if begin else ""
    return grammar_of(tools, begin=begin, end=end, at_most=at_most)


def allowed(matcher: Matcher, vocabulary: int = 259) -> set[int]:
    return set(torch.isfinite(matcher.restrict(torch.zeros(vocabulary))).nonzero().flatten().tolist())


def feed(matcher: Matcher, ids: Sequence[int]) -> None:
    for token in ids:
        assert token in allowed(matcher)
        matcher.take(token)


# --- masks ---


def test_only_tokens_that_keep_the_call_valid_are_allowed() -> None:
    matcher = Grammars(Bytes()).matcher(grammar())
    assert allowed(matcher) == {OPEN}
    feed(matcher, Bytes().encode_template('<tool_call>\n{"name": "'))
    assert allowed(matcher) == {ord("g"), ord("l")}
    feed(matcher, b'go_to", "arguments": {"place": "')
    assert allowed(matcher) == {ord("k"), ord("o")}
    feed(matcher, b'office"')
    assert allowed(matcher) == {ord("}"), ord(",")}
    feed(matcher, Bytes().encode_template("}}\n</tool_call>"))
    assert allowed(matcher) == {ord("\n"), END}
    feed(matcher, Bytes().encode_template('\n<tool_call>\n{"name": "look", "arguments": {}}\n</tool_call>'))
    assert allowed(matcher) == {END}


def test_the_name_of_a_special_token_in_a_value_is_text() -> None:
    tool = Tool("say", "", {"type": "object", "properties": {"t": {"type": "string"}}, "required": ["t"]})
    matcher = Grammars(Bytes()).matcher(grammar([tool]))
    feed(matcher, Bytes().encode_template('<tool_call>\n{"name": "say", "arguments": {"t": "'))
    assert not allowed(matcher) & {END, OPEN, CLOSE}
    feed(matcher, b"<|im_end|></tool_call>")


def test_a_vocabulary_without_the_tag_writes_it_as_text() -> None:
    smollm = Tokenizer.from_gguf(model_file("smollm2-135m"))
    assert "<tool_call>" not in smollm.special
    matcher = Grammars(smollm).matcher(grammar())
    for token in smollm.encode('<tool_call>\n{"name": "look", "arguments": {}}\n</tool_call>'):
        matcher.take(token)


def test_logits_may_have_more_rows_than_the_vocabulary() -> None:
    assert allowed(Grammars(Bytes()).matcher(grammar()), vocabulary=300) == {OPEN}


def test_matchers_do_not_disturb_each_other() -> None:
    grammars = Grammars(Bytes())
    one, other = grammars.matcher(grammar()), grammars.matcher(grammar())
    one.take(OPEN)
    assert allowed(other) == {OPEN}
    assert allowed(one) == {ord("\n")}


def test_a_token_that_breaks_the_grammar_is_an_error() -> None:
    with pytest.raises(EngineFailed, match="broke its grammar"):
        Grammars(Bytes()).matcher(grammar()).take(ord("x"))


@settings(max_examples=60, deadline=None)
@given(st.randoms(use_true_random=False), st.integers(1, 3))
def test_any_walk_through_the_masks_is_a_run_of_valid_calls(random: Random, at_most: int) -> None:
    matcher, text = Grammars(Bytes()).matcher(grammar(begin="", at_most=at_most)), b""
    while True:
        token = random.choice(sorted(allowed(matcher)))
        matcher.take(token)
        if token == END:
            break
        text += bytes([token])
        assert len(text) < 400
    calls = [read_call(line, TOOLS) for line in text.decode().split("\n")]
    assert 1 <= len(calls) <= at_most


# --- what is refused ---


@pytest.mark.parametrize(
    "schema",
    [
        {"type": "object", "not": {}},
        {"type": "object", "properties": {"a": {"$ref": "http://127.0.0.1:9/x"}}, "required": ["a"]},
        {"type": "object", "properties": {"a": {"type": "string", "pattern": "(?=a)b"}}, "required": ["a"]},
        {"type": "object", "properties": {"a": {"enum": []}}, "required": ["a"]},
    ],
)
def test_a_schema_that_no_grammar_can_hold_is_refused(schema: dict[str, Any]) -> None:
    rules = Grammar((Form("", json.dumps(schema), ""),))
    with pytest.raises(BadTool, match="a tool's schema cannot be used") as refused:
        Grammars(Bytes()).matcher(rules)
    assert "\n" not in str(refused.value)


def test_a_grammar_without_forms_is_refused() -> None:
    with pytest.raises(BadTool, match="needs a form"):
        Grammars(Bytes()).matcher(Grammar(()))


# --- on the engine ---


@pytest.fixture(scope="module")
def file(tmp_path_factory: pytest.TempPathFactory) -> GgufFile:
    torch.set_num_threads(1)
    return open_gguf(write_tiny(tmp_path_factory.mktemp("tiny") / "tiny.gguf", TINY))


def engine_of(file: GgufFile, grammars: Grammars | None, row_costs: Sequence[float] = ()) -> TorchEngine:
    decoder = Decoder(file, torch.float32, max_context=2048)
    return TorchEngine(decoder, threads=1, grammars=grammars, row_costs=row_costs)


@pytest.mark.parametrize("temperature", [0.0, 3.0])
async def test_a_random_model_writes_valid_calls_and_the_stream_beside_it_is_untouched(
    file: GgufFile, temperature: float
) -> None:
    rules = Sampling(stop=frozenset({END}), temperature=temperature, max_tokens=400, grammar=grammar(begin=""))
    free = Sampling(max_tokens=60)
    engine = engine_of(file, Grammars(Bytes()))
    try:
        async with engine.session() as session:
            await session.append([session.block("a")], [5, 6, 7])
            alone = [token.id async for token in session.generate([session.block("a")], free)]
            for seed in range(4):
                call, text = session.block(f"call{seed}"), session.block(f"text{seed}")
                await session.append([call], [9 + seed])
                await session.append([text], [5, 6, 7])
                held, other = await asyncio.gather(
                    collect(session, call, replace(rules, seed=seed)), collect(session, text, free)
                )
                assert held[-1] == END
                for line in bytes(held[:-1]).decode().split("\n"):
                    read_call(line, TOOLS)
                assert other == alone
    finally:
        engine.close()


@pytest.mark.parametrize("temperature", [0.0, 1.0])
async def test_a_call_is_the_same_with_drafts(file: GgufFile, temperature: float) -> None:
    rules = Sampling(stop=frozenset({END}), temperature=temperature, max_tokens=400, grammar=grammar(begin=""))
    found, steps = list[list[list[int]]](), list[int]()
    for row_costs in ((), FREE_ROWS):
        engine = engine_of(file, Grammars(Bytes()), row_costs)
        try:
            async with engine.session() as session:
                found.append([])
                for seed in range(3):
                    block = session.block(f"call{seed}")
                    await session.append([block], [9 + seed])
                    found[-1].append(await collect(session, block, replace(rules, seed=seed)))
            steps.append(engine.steps)
        finally:
            engine.close()
    assert found[0] == found[1]
    assert steps[1] < steps[0]


async def collect(session: TorchSession, block: TorchBlock, rules: Sampling) -> list[int]:
    return [token.id async for token in session.generate([block], rules)]


async def test_greedy_under_a_grammar_takes_the_likeliest_token_that_is_allowed(file: GgufFile) -> None:
    engine, decoder = engine_of(file, Grammars(Bytes())), Decoder(file, torch.float32, max_context=2048)
    rules = Sampling(stop=frozenset({END}), max_tokens=400, grammar=grammar(begin=""))
    try:
        async with engine.session() as session:
            block = session.block("call")
            await session.append([block], [9])
            held = await collect(session, block, rules)
    finally:
        engine.close()
    other = TorchEngine(decoder, threads=1)
    matcher = Grammars(Bytes()).matcher(grammar(begin=""))
    try:
        async with other.session() as session:
            for count, token in enumerate(held):
                view = [session.block(f"prefix{count}")]
                await session.append(view, [9, *held[:count]])
                odds = {
                    choice: (
                        await session.score_choices(
                            view[:-1], [9, *held[:count]], (frozenset({choice}), frozenset({token}))
                        )
                    ).log_odds
                    for choice in allowed(matcher) - {token}
                    if count < 12
                }
                assert all(value <= 1e-4 for value in odds.values())
                matcher.take(token)
    finally:
        other.close()


async def test_a_bad_grammar_is_refused_before_anything_is_written(file: GgufFile) -> None:
    bad = Grammar((Form("", '{"not": {}}', ""),))
    for grammars in (Grammars(Bytes()), None):
        engine = engine_of(file, grammars)
        try:
            async with engine.session() as session:
                block = session.block("a")
                await session.append([block], [5])
                with pytest.raises(BadTool):
                    await session.prepare(bad)
                with pytest.raises(BadTool):
                    await collect(session, block, Sampling(grammar=bad))
                assert list(block.tokens) == [5]
                assert len(await collect(session, block, Sampling(max_tokens=3))) == 3
        finally:
            engine.close()


async def test_bans_that_leave_nothing_end_only_their_stream(file: GgufFile) -> None:
    engine = engine_of(file, Grammars(Bytes()))
    try:
        async with engine.session() as session:
            await session.append([session.block("a")], [5])
            with pytest.raises(EngineFailed, match="grammar"):
                await collect(session, session.block("a"), Sampling(grammar=grammar(), ban=frozenset({OPEN})))
            await session.append([session.block("b")], [5])
            assert len(await collect(session, session.block("b"), Sampling(max_tokens=3))) == 3
    finally:
        engine.close()


class _Slow(Grammars):
    """Compiles what names it no sooner than it may."""

    def __init__(self) -> None:
        super().__init__(Bytes())
        self.begun, self.may_end = threading.Event(), threading.Event()
        self.compiled = 0

    def _compile(self, grammar: Grammar) -> LLMatcher:
        self.compiled += 1
        if "slow" in grammar.forms[0].begin:
            self.begun.set()
            self.may_end.wait(20)
        return super()._compile(grammar)


def test_a_grammar_that_takes_long_holds_up_only_who_wants_it() -> None:
    grammars = _Slow()
    slow, quick = (
        grammar_of([Tool(name, "", {"type": "object"})], begin="<tool_call>", end="</tool_call>", at_most=1)
        for name in ("slow", "quick")
    )
    with ThreadPoolExecutor(2) as threads:
        first = threads.submit(grammars.matcher, slow)
        assert grammars.begun.wait(20)
        second = threads.submit(grammars.matcher, slow)
        grammars.matcher(quick)
        assert not first.done()
        grammars.may_end.set()
        assert first.result(20) is not second.result(20)
    assert grammars.compiled == 2


def test_a_grammar_that_cannot_be_used_is_refused_each_time() -> None:
    grammars = Grammars(Bytes())
    bad = Grammar((), separator="", at_most=1)
    for _ in range(2):
        with pytest.raises(BadTool, match="needs a form"):
            grammars.matcher(bad)
