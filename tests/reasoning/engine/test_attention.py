"""The fast attention over shared blocks against the slow reference and against plain text."""

from __future__ import annotations

import random
from dataclasses import dataclass, replace
from itertools import pairwise
from typing import TYPE_CHECKING

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from reasoning.engine.attention import Run, _portable_softmax_part, _softmax_part, plan, settle
from reasoning.engine.decoder import Decoder
from reasoning.formats.gguf import open_gguf
from tests.reasoning.reference import Reference, ReferenceBlock
from tests.reasoning.tiny_models import LLAMA, LLAMA3, QWEN2, QWEN3, write_tiny

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

    from torch import Tensor

    from reasoning.engine.cache import BlockCache

CLOSE = 1e-4
WIDE = replace(QWEN2, width=256, heads=4, kv_heads=2, head_size=64, inner=512)
KINDS = (LLAMA, LLAMA3, QWEN2, QWEN3)
TOKENS = st.integers(0, LLAMA.vocabulary - 1)


@pytest.fixture(scope="module")
def models(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Decoder, Reference]]:
    """By the processor's own operations, then by those of every device."""
    torch.set_num_threads(1)
    files = [open_gguf(write_tiny(tmp_path_factory.mktemp("tiny") / "tiny.gguf", tiny)) for tiny in KINDS]
    references = [Reference(file) for file in files]
    return [
        (Decoder(file, torch.float32, portable=portable), reference)
        for portable in (False, True)
        for file, reference in zip(files, references, strict=True)
    ]


@settings(max_examples=60, deadline=None)
@given(
    kind=st.integers(0, 2 * len(KINDS) - 1),
    ids=st.lists(TOKENS, min_size=1, max_size=90),
    cuts=st.lists(st.integers(0, 90), max_size=6),
    chunk_seed=st.integers(0, 1000),
)
def test_any_split_into_blocks_equals_plain_prefill(
    models: list[tuple[Decoder, Reference]], kind: int, ids: list[int], cuts: list[int], chunk_seed: int
) -> None:
    decoder, _ = models[kind]
    plain = decoder.cache()
    expected = [decoder.forward([Run([token], [plain], logits=True)])[0] for token in ids]
    edges = [0, *sorted(min(cut, len(ids)) for cut in cuts), len(ids)]
    chunks = random.Random(chunk_seed)
    view: list[BlockCache] = []
    for start, stop in pairwise(edges):
        view.append(decoder.cache())
        while view[-1].length < stop - start:
            first = start + view[-1].length
            last = min(stop, first + chunks.randint(1, 20))
            logits = decoder.forward([Run(ids[first:last], view, logits=True)])[0]
            assert (logits - expected[last - 1]).abs().max() <= CLOSE


@dataclass(frozen=True)
class Write:
    view: Sequence[int]
    tokens: Sequence[int]


@dataclass(frozen=True)
class Crop:
    block: int
    length: int


@st.composite
def schedules(draw: st.DrawFn) -> list[list[Write] | Crop]:
    """Steps of one to four runs that write different blocks, and crops between them."""
    blocks = draw(st.integers(1, 5))
    views = st.permutations(range(blocks)).flatmap(
        lambda order: st.integers(1, blocks).map(lambda count: tuple(order[:count]))
    )
    writes = st.builds(Write, views, st.lists(TOKENS, min_size=1, max_size=5))
    steps = st.lists(writes, min_size=1, max_size=4, unique_by=lambda write: write.view[-1])
    crops = st.builds(Crop, st.integers(0, blocks - 1), st.integers(0, 12))
    return draw(st.lists(st.one_of(steps, steps, steps, crops), min_size=1, max_size=12))


@settings(max_examples=80, deadline=None)
@given(kind=st.integers(0, 2 * len(KINDS) - 1), schedule=schedules())
def test_blocks_that_grow_while_others_read_them_equal_the_reference(
    models: list[tuple[Decoder, Reference]], kind: int, schedule: list[list[Write] | Crop]
) -> None:
    for found, expected in steps_of(*models[kind], schedule):
        assert (found - expected).abs().max() <= CLOSE


def steps_of(
    decoder: Decoder, reference: Reference, schedule: list[list[Write] | Crop]
) -> Iterator[tuple[Tensor, Tensor]]:
    """Logits after each run, by the fast decoder and by the slow one."""
    fast, slow = [decoder.cache() for _ in range(5)], [ReferenceBlock() for _ in range(5)]
    for step in schedule:
        if isinstance(step, Crop):
            fast[step.block].crop(step.length)
            slow[step.block].crop(step.length)
            continue
        found = decoder.forward([Run(write.tokens, [fast[i] for i in write.view], logits=True) for write in step])
        expected = reference.step([(write.tokens, [slow[i] for i in write.view]) for write in step])
        yield from zip(found, [logits[-1] for logits in expected], strict=True)
        assert [cache.length for cache in fast] == [len(block) for block in slow]


@pytest.fixture(scope="module")
def quantised(tmp_path_factory: pytest.TempPathFactory) -> list[tuple[Decoder, Reference]]:
    """8-bit models in bfloat16, with the C kernels where the machine has them, and without."""
    torch.set_num_threads(1)
    file = open_gguf(write_tiny(tmp_path_factory.mktemp("tiny") / "tiny.gguf", WIDE, "Q8_0"))
    reference = Reference(file)
    return [(Decoder(file, native="auto"), reference), (Decoder(file, native="off"), reference)]


@settings(max_examples=40, deadline=None)
@given(kind=st.integers(0, 1), schedule=schedules())
def test_packed_models_follow_the_reference(
    quantised: list[tuple[Decoder, Reference]], kind: int, schedule: list[list[Write] | Crop]
) -> None:
    for found, expected in steps_of(*quantised[kind], schedule):
        assert (found - expected).norm() <= 0.1 * expected.norm()


@settings(max_examples=30, deadline=None)
@given(kind=st.integers(0, 2 * len(KINDS) - 1), mine=schedules(), theirs=schedules())
def test_sessions_in_one_step_do_not_influence_each_other(
    models: list[tuple[Decoder, Reference]], kind: int, mine: list[list[Write] | Crop], theirs: list[list[Write] | Crop]
) -> None:
    decoder, _ = models[kind]
    alone, shared, others = ([decoder.cache() for _ in range(5)] for _ in range(3))
    for step, other in zip(mine, theirs, strict=False):
        if isinstance(step, Crop) or isinstance(other, Crop):
            continue
        expected = decoder.forward([Run(write.tokens, [alone[i] for i in write.view], logits=True) for write in step])
        guests = [Run(write.tokens, [others[i] for i in write.view], logits=False) for write in other]
        runs = [Run(write.tokens, [shared[i] for i in write.view], logits=True) for write in step]
        found = decoder.forward([*guests[:1], *runs, *guests[1:]])
        assert (found - expected).abs().max() <= CLOSE
        assert torch.equal(found.argmax(dim=-1), expected.argmax(dim=-1))


@settings(max_examples=30, deadline=None)
@given(
    kept=st.lists(TOKENS, min_size=1, max_size=20),
    gone=st.lists(TOKENS, min_size=1, max_size=80),
    after=st.lists(TOKENS, min_size=1, max_size=20),
)
def test_cropped_tokens_leave_nothing_behind(
    models: list[tuple[Decoder, Reference]], kept: list[int], gone: list[int], after: list[int]
) -> None:
    decoder, _ = models[0]
    prompt, cropped, fresh = decoder.cache(), decoder.cache(), decoder.cache()
    decoder.forward([Run([1, 2, 3], [prompt], logits=False)])
    decoder.forward([Run(kept, [prompt, fresh], logits=False)])
    decoder.forward([Run(kept, [prompt, cropped], logits=False)])
    decoder.forward([Run(gone, [prompt, cropped], logits=False)])
    cropped.crop(len(kept))
    for token in after:
        expected, found = (
            decoder.forward([Run([token], [prompt, block], logits=True)])[0] for block in (fresh, cropped)
        )
        # Not bit for bit: only one of the two can come to lie behind the prompt, and is read in one piece with it.
        assert (found - expected).abs().max() <= CLOSE
        assert torch.equal(found.argmax(), expected.argmax())


def test_an_empty_block_in_a_view_changes_nothing(models: list[tuple[Decoder, Reference]]) -> None:
    decoder, _ = models[0]
    one, other, empty = decoder.cache(), decoder.cache(), decoder.cache()
    expected = decoder.forward([Run([1, 2, 3], [one], logits=True)])
    assert torch.equal(decoder.forward([Run([1, 2, 3], [empty, other], logits=True)]), expected)


def test_thinker_and_writer_come_to_read_two_stretches(models: list[tuple[Decoder, Reference]]) -> None:
    decoder, reference = models[0]
    fast, slow = [decoder.cache() for _ in range(6)], [ReferenceBlock() for _ in range(6)]

    def step(*writes: Write) -> None:
        found = decoder.forward([Run(write.tokens, [fast[i] for i in write.view], logits=True) for write in writes])
        expected = reference.step([(write.tokens, [slow[i] for i in write.view]) for write in writes])
        for logits, of in zip(found, expected, strict=True):
            assert (logits - of[-1]).abs().max() <= CLOSE

    for block in range(6):
        step(Write(range(block + 1), [3 + block, 5, 7]))
    writer = range(6)
    for token in range(12):
        step(Write(writer, [token]), Write(writer[:4], [token + 20]))
    runs = [Run([1], fast, logits=True), Run([1], fast[:4], logits=True)]
    settle(runs, decoder._frequencies)
    assert len(plan(runs, decoder._frequencies).reads) == 2
    # The thoughts in the middle of what the writer reads alone have a neighbour then, and still can grow.
    for token in range(12):
        step(Write(writer, [token]))
    for token in range(3):
        step(Write(writer[:4], [token]), Write(writer, [token]))


def test_order_of_the_view_matters(models: list[tuple[Decoder, Reference]]) -> None:
    decoder, _ = models[0]
    a, b, one, other = (decoder.cache() for _ in range(4))
    decoder.forward([Run([1, 2, 3], [a], logits=False)])
    decoder.forward([Run([4, 5], [b], logits=False)])
    found = decoder.forward([Run([6], [a, b, one], logits=True), Run([6], [b, a, other], logits=True)])
    assert (found[0] - found[1]).abs().max() > 100 * CLOSE


@pytest.mark.parametrize(("rows", "causal"), [(7, True), (1, False), (7, False)])
def test_the_product_for_any_device_equals_the_processors_own(rows: int, causal: bool) -> None:
    torch.manual_seed(1)
    q, k, v = torch.randn(1, 3, rows, 16), torch.randn(1, 3, 7, 16), torch.randn(1, 3, 7, 16)
    for found, expected in zip(
        _portable_softmax_part(q, k, v, causal=causal), _softmax_part(q, k, v, causal=causal), strict=True
    ):
        assert (found - expected).abs().max() <= 1e-5
