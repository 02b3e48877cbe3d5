"""The engine by what every device has: the same numbers, nothing read back but what was chosen, one device a step."""

from __future__ import annotations

import random
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Final

import pytest
import torch
from torch._subclasses.fake_tensor import FakeTensorMode
from torch.utils._python_dispatch import TorchDispatchMode
from torch.utils._pytree import tree_leaves

from reasoning.engine.attention import Run
from reasoning.engine.contract import Sampling
from reasoning.engine.decoder import Decoder
from reasoning.engine.device import CPU, DeviceName, Placement, carried, place
from reasoning.engine.sampling import Sampler, read_together, scored_choices
from reasoning.engine.tiles import TiledAffine4Linear, plain, tiles_work
from reasoning.engine.torch_engine import TorchEngine
from reasoning.engine.weights import Affine4Linear, Weights
from reasoning.errors import DeviceUnavailable, EngineFailed
from reasoning.formats.gguf import GgufFile, open_gguf
from tests.reasoning.tiny_models import FAMILIES, LLAMA, QWEN2, Tiny, write_tiny

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

    from torch import Tensor

    from reasoning.engine.cache import BlockCache
    from reasoning.native.instruction_sets import Use

META: Final = torch.device("meta")
WIDE: Final = replace(QWEN2, width=256, heads=4, kv_heads=2, head_size=64, inner=512, vocabulary=96)
HALVES: Final = (torch.bfloat16, torch.float16)


class Watched(TorchDispatchMode):  # type: ignore[no-untyped-call]
    """Counts what is brought to another device, and refuses to read a number back or to mix devices."""

    def __init__(self) -> None:
        super().__init__()  # type: ignore[no-untyped-call]
        self.carried = self.operations = 0

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:  # noqa: ANN401 - torch's
        self.operations += 1
        devices = {leaf.device.type for leaf in tree_leaves((args, kwargs)) if isinstance(leaf, torch.Tensor)}
        assert func is not torch.ops.aten._local_scalar_dense.default, "the step waits for a number"
        assert len(devices) <= 1, f"{func} mixes {devices}"
        found = func(*args, **(kwargs or {}))
        if isinstance(found, torch.Tensor) and devices and found.device.type not in devices:
            self.carried += 1
        return found


@pytest.fixture(autouse=True)
def _one_thread() -> None:
    torch.set_num_threads(1)


@pytest.fixture
def quantised(tmp_path: Path) -> GgufFile:
    return open_gguf(write_tiny(tmp_path / "tiny.gguf", WIDE, "Q4_0", kinds={"token_embd.weight": "Q8_0"}))


def conversation(decoder: Decoder, steps: int = 20) -> list[Tensor]:
    """Logits of prompt, then thinker and writer over shared blocks, side by side."""
    draw = random.Random(1)
    prompt, thoughts, said = decoder.cache(), decoder.cache(), decoder.cache()
    found = [decoder.forward([Run(draw.choices(range(80), k=30), [prompt], logits=True)])]
    for _ in range(steps):
        runs = [
            Run([draw.randrange(80)], [prompt, thoughts], logits=True),
            Run(draw.choices(range(80), k=draw.choice([1, 1, 3])), [prompt, thoughts, said], logits=True),
        ]
        found.append(decoder.forward(runs))
    return found


# --- the same numbers ---


@pytest.mark.parametrize("tiny", FAMILIES, ids=lambda tiny: f"{tiny.architecture}-{tiny.scaling}-{tiny.seed}")
def test_it_computes_what_the_processors_own_operations_do(tiny: Tiny, tmp_path: Path) -> None:
    file = open_gguf(write_tiny(tmp_path / "tiny.gguf", tiny))
    portable = conversation(Decoder(file, torch.float32, portable=True))
    for found, expected in zip(portable, conversation(Decoder(file, torch.float32)), strict=True):
        assert (found - expected).abs().max() <= 1e-4


@pytest.mark.parametrize("dtype", HALVES, ids=str)
@pytest.mark.parametrize("tiny", [LLAMA, QWEN2], ids=["llama", "qwen2"])
def test_half_precision_stays_close(tiny: Tiny, dtype: torch.dtype, tmp_path: Path) -> None:
    file = open_gguf(write_tiny(tmp_path / "tiny.gguf", tiny, "Q4_0"))
    portable = Decoder(file, dtype, portable=True)
    for found, expected in zip(conversation(portable), conversation(Decoder(file, torch.float32)), strict=True):
        assert found.dtype == torch.float32
        assert (found - expected).norm() <= 0.05 * expected.norm()


def test_it_unpacks_weights_and_keeps_no_file(quantised: GgufFile, tmp_path: Path) -> None:
    Decoder(quantised, torch.bfloat16, cache_dir=tmp_path / "cache", portable=True)
    assert not (tmp_path / "cache").exists()
    weights = Weights(quantised, torch.bfloat16, CPU, tmp_path / "cache", portable=True)
    names = [f"blk.0.attn_{which}.weight" for which in "qkv"]
    x = torch.randn(3, WIDE.width, generator=torch.Generator().manual_seed(1))
    expected = Weights(quantised, torch.float32, CPU, None).linear(names)(x)
    assert (weights.fused(names)(x.bfloat16()).float() - expected).norm() <= 0.01 * expected.norm()


# --- one device, and no waiting ---


@pytest.mark.parametrize("dtype", HALVES, ids=str)
def test_a_step_on_another_device_stays_there(quantised: GgufFile, dtype: torch.dtype) -> None:
    decoder = Decoder(quantised, dtype, META)
    counts = [step_on_meta(decoder, conversations) for conversations in (1, 4)]
    # Embeddings, rotations, and what is indexed with: however many streams there are.
    assert [watched.carried for watched in counts] == [3, 3]


def test_what_further_conversations_read_goes_through_the_same_products(quantised: GgufFile) -> None:
    decoder = Decoder(quantised, torch.bfloat16, META)
    one, four = (step_on_meta(decoder, conversations, tokens=1).operations for conversations in (1, 4))
    # Of each conversation every layer writes two streams, which takes some views, too.
    assert four - one < 40 * 3 * decoder.config.layers


def step_on_meta(decoder: Decoder, conversations: int, tokens: int = 3) -> Watched:
    runs: list[Run] = []
    for _ in range(conversations):
        blocks: list[BlockCache] = [decoder.cache() for _ in range(3)]
        for block, length in zip(blocks, (40, 9, 5), strict=True):
            block.reserve(length)
            block.length = length
        runs += [Run([1], blocks[:2], logits=True), Run([2] * tokens, blocks, logits=True)]
    watched = Watched()
    with watched:
        logits = decoder.forward(runs)
    assert (logits.device.type, logits.shape) == ("meta", (2 * conversations, WIDE.vocabulary))
    return watched


def test_blocks_move_together_on_another_device(quantised: GgufFile) -> None:
    decoder = Decoder(quantised, torch.bfloat16, META)
    view = [decoder.cache() for _ in range(3)]
    for last in range(3):
        decoder.forward([Run([1, 2], view[: last + 1], logits=False)])
    for _ in range(12):
        decoder.forward([Run([3], view, logits=True)])
    assert len({id(cache.strip) for cache in view}) == 1


@pytest.mark.parametrize("rules", [Sampling(), Sampling(ban=frozenset({3, 5}))])
def test_what_is_chosen_stays_there_until_it_is_read(rules: Sampling) -> None:
    with Watched():
        reading = Sampler(rules, META).choose(torch.empty(80, device=META))
        assert next(reading).device.type == "meta"
        assert next(scored_choices(torch.empty(80, device=META), [frozenset({1}), frozenset({2, 3})])).shape == (1,)


@pytest.mark.parametrize("temperature", [0.0, 0.7])
def test_nothing_is_waited_for_but_the_numbers_of_all_streams(quantised: GgufFile, temperature: float) -> None:
    decoder = Decoder(quantised, torch.bfloat16, portable=True)
    prompt = decoder.cache()
    rules = Sampling(temperature=temperature, top_k=20, top_p=0.9, min_p=0.01, ban=frozenset({1}))
    samplers = [Sampler(rules, CPU) for _ in range(3)]
    with Watched():
        decoder.forward([Run([1, 2, 3], [prompt], logits=False)])
        logits = decoder.forward([Run([number], [prompt, decoder.cache()], logits=True) for number in range(3)])
        vectors = [next(sampler.choose(row)) for sampler, row in zip(samplers, logits, strict=True)]
        together = torch.cat(vectors)
    again = [Sampler(rules, CPU).choose(row) for row in logits]
    found = read_together(again)
    assert [float(number) for number in together[::3]] == [
        token for token, _ in (one for one in found if not isinstance(one, EngineFailed))
    ]


def test_a_step_that_waits_or_mixes_devices_is_noticed() -> None:
    with Watched(), pytest.raises(AssertionError, match="waits"):
        torch.ones(3)[torch.tensor(1)]
    with Watched(), pytest.raises(AssertionError, match="mixes"):
        torch.empty(3, device=META).index_select(0, torch.tensor([1]))
    with Watched() as watched:
        carried(torch.ones(3), META)
    assert watched.carried == 1


def test_an_engine_elsewhere_does_not_give_way_on_the_processor(quantised: GgufFile) -> None:
    for device, rests in ((CPU, True), (META, False)):
        engine = TorchEngine(Decoder(quantised, torch.bfloat16, device, portable=True))
        engine.give_way(600)
        assert (engine._rests.left(0.0) > 0) == rests
        engine.close()


# --- 4-bit weights in tiles ---


def test_groups_mean_the_weights_of_the_file(quantised: GgufFile) -> None:
    name = "blk.0.ffn_up.weight"
    q, scales = Weights(quantised, torch.bfloat16, CPU, None)._grouped([name], lambda _: None)
    expected = Weights(quantised, torch.float32, CPU, None).linear([name])(torch.eye(WIDE.width)).T
    assert (plain(q, scales) - expected).norm() <= 0.005 * expected.norm()
    packed = torch.ops.aten._convert_weight_to_int4pack_for_cpu(q.to(torch.int32), 1)
    x = torch.randn(5, WIDE.width, generator=torch.Generator().manual_seed(1))
    found = Affine4Linear(packed, scales, None)(x.bfloat16()).float()
    assert (found - x @ plain(q, scales).T).norm() <= 0.01 * found.norm()


@pytest.mark.parametrize("columns", [64, 96, 256])
def test_tiles_have_the_shape_that_the_kernel_takes(columns: int) -> None:
    # Without the kernel, torch can still tell what it takes and gives.
    with FakeTensorMode():
        q, scales = torch.zeros(48, columns, dtype=torch.uint8), torch.zeros(columns // 32, 48, 2, dtype=torch.bfloat16)
        layer = TiledAffine4Linear(q, scales, torch.zeros(48, dtype=torch.bfloat16), CPU)
        assert layer.tiles.numel() * 4 == q.numel() // 2
        assert layer(torch.empty(5, columns, dtype=torch.bfloat16)).shape == (5, 48)


def test_without_the_kernel_there_are_no_tiles() -> None:
    assert not tiles_work(CPU)
    assert not tiles_work(META)


# --- which device ---


def sound(_: Placement) -> str:
    return ""


def broken(at: Placement) -> str:
    return "" if at.device.type == "cpu" else f"{at.device} cannot be used"


@pytest.mark.parametrize(
    ("there", "native", "trouble", "expected"),
    [
        (("cpu",), "auto", sound, ("cpu", torch.bfloat16)),
        (("mps", "cpu"), "auto", sound, ("mps", torch.float16)),
        (("mps", "cpu"), "off", sound, ("mps", torch.float16)),
        (("mps", "cpu"), "avx2", sound, ("cpu", torch.bfloat16)),
        (("mps", "cpu"), "auto", broken, ("cpu", torch.bfloat16)),
    ],
)
def test_auto_takes_the_first_device_that_computes(
    there: Sequence[DeviceName], native: Use, trouble: Callable[[Placement], str], expected: tuple[str, torch.dtype]
) -> None:
    found = place("auto", native, there=there, trouble=trouble)
    assert (found.device.type, found.dtype) == expected


def test_a_device_that_is_named_is_taken_or_refused() -> None:
    assert place("cpu", there=("mps", "cpu")).device == CPU
    assert place("mps", there=("mps", "cpu"), trouble=sound).device.type == "mps"
    with pytest.raises(DeviceUnavailable, match=r"engine.device is cuda, .* only: mps, cpu"):
        place("cuda", there=("mps", "cpu"))
    with pytest.raises(DeviceUnavailable, match=r"mps cannot be used; set it to cpu"):
        place("mps", there=("mps", "cpu"), trouble=broken)
    with pytest.raises(DeviceUnavailable, match=r"engine.native is avx2.*engine.device is mps"):
        place("mps", "avx2", there=("mps", "cpu"), trouble=sound)
    assert DeviceUnavailable.exit_code == 2


@pytest.mark.skipif(torch.cuda.is_available() or torch.backends.mps.is_available(), reason="there is such a device")
def test_on_a_machine_without_one_torch_itself_is_asked() -> None:
    assert place("auto") == Placement(CPU, torch.bfloat16)
    with pytest.raises(DeviceUnavailable, match="only: cpu"):
        place("cuda")
