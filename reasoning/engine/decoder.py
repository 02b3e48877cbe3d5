"""A decoder-only transformer of the Llama kind over block caches: Llama, Qwen2, Qwen3.

Grouped-query attention, RMS norm, SwiGLU, optional biases and q/k norms, tied or untied head, rotary positions with
none, linear or llama3 scaling. One `forward` takes all rows of one engine step, whatever stream they belong to.

Where the milliseconds of a step go without the C kernels (default model, 256 tokens, processor time of one thread of
an AMD EPYC with AVX-512, with one row and with eight: 127 and 394 ms): gate and up projections 44 and 155, output head
27 and 76, down projections 27 and 85, queries, keys and values 7 and 21, attention's output 4 and 14, all other
operations 18 and 42. The products compute longer than memory takes to deliver their weights, and unpack them anew for
each four rows.

Knows nothing about streams, sessions, sampling or text.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, cast

import numpy as np
import torch

from reasoning.engine.attention import Plan, Run, attend, plan, rotary_frequencies, settle, turns
from reasoning.engine.cache import BlockCache
from reasoning.engine.device import CPU
from reasoning.engine.weights import Linear, Weights
from reasoning.errors import BadModel, NativeUnavailable
from reasoning.formats.quants import dequantize
from reasoning.native.binding import Library
from reasoning.native.instruction_sets import Use
from reasoning.native.library import load
from reasoning.native.linear import KINDS
from reasoning.native.step import HEAD_UNIT, NativeLayer, NativeModel, NativeShape

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor

    from reasoning.formats.model_file import ModelFile
    from reasoning.native.linear import NativeLinear

ARCHITECTURES: Final = ("llama", "qwen2", "qwen3")
_SCALINGS: Final = ("none", "linear")


@dataclass(frozen=True, slots=True)
class DecoderConfig:
    """The shape of a decoder, as its file states it."""

    architecture: str
    layers: int
    width: int
    heads: int
    kv_heads: int
    head_size: int
    feed_forward: int
    vocabulary: int
    context: int
    """Tokens that a view may hold."""
    norm_epsilon: float
    rope_base: float
    rope_scale: float
    """Positions are divided by this (linear scaling); 1 is none."""

    @classmethod
    def from_gguf(cls, gguf: ModelFile) -> DecoderConfig:
        """Read the shape from metadata; `BadModel` names what is not supported."""
        arch = gguf.architecture
        if arch not in ARCHITECTURES:
            raise BadModel(
                f"{gguf.path}: architecture {arch!r} is not supported; supported: {', '.join(ARCHITECTURES)}"
            )
        heads = gguf.value(f"{arch}.attention.head_count", int)
        width = gguf.value(f"{arch}.embedding_length", int)
        # A factor without a type means linear scaling, as the format's own runtime reads it.
        scaling = gguf.value(f"{arch}.rope.scaling.type", str, "linear")
        if scaling not in _SCALINGS:
            raise BadModel(
                f"{gguf.path}: rope scaling {scaling!r} is not supported (a rotation that depends on the total length "
                f"cannot be cached block by block); supported: {', '.join(_SCALINGS)} and llama3 factors"
            )
        if heads <= 0 or width <= 0:
            raise BadModel(f"{gguf.path}: {heads} heads of a {width} wide model make no sense")
        config = cls(
            architecture=arch,
            layers=gguf.value(f"{arch}.block_count", int),
            width=width,
            heads=heads,
            kv_heads=gguf.value(f"{arch}.attention.head_count_kv", int, heads),
            head_size=gguf.value(f"{arch}.attention.key_length", int, width // heads),
            feed_forward=gguf.value(f"{arch}.feed_forward_length", int),
            vocabulary=gguf.tensors["token_embd.weight"].shape[0] if "token_embd.weight" in gguf.tensors else 0,
            context=gguf.value(f"{arch}.context_length", int),
            norm_epsilon=gguf.value(f"{arch}.attention.layer_norm_rms_epsilon", float),
            rope_base=gguf.value(f"{arch}.rope.freq_base", float, 10_000.0),
            rope_scale=gguf.value(f"{arch}.rope.scaling.factor", float, 1.0) if scaling == "linear" else 1.0,
        )
        _check(config, gguf)
        return config


def _check(config: DecoderConfig, gguf: ModelFile) -> None:
    """Hold the tensors to the shape before gigabytes are read."""
    rotary = gguf.value(f"{config.architecture}.rope.dimension_count", int, config.head_size)
    facts = {
        "block_count": (config.layers, 1 <= config.layers <= 1024, "1 to 1024"),
        "attention.head_count_kv": (
            config.kv_heads,
            config.kv_heads > 0 and config.heads % max(1, config.kv_heads) == 0,
            f"a divisor of the {config.heads} heads",
        ),
        "attention.key_length (head size)": (
            config.head_size,
            config.head_size % 2 == 0 and 2 <= config.head_size <= 1024,
            "even numbers from 2 to 1024",
        ),
        "context_length": (config.context, config.context > 0, "1 and more"),
        "attention.layer_norm_rms_epsilon": (config.norm_epsilon, 0 < config.norm_epsilon < 1, "between 0 and 1"),
        "rope.freq_base": (config.rope_base, math.isfinite(config.rope_base) and config.rope_base > 1, "above 1"),
        "rope.scaling.factor": (
            config.rope_scale, math.isfinite(config.rope_scale) and config.rope_scale >= 1, "1 and more"
        ),
        "rope.dimension_count (partial rotation)": (rotary, rotary == config.head_size, f"{config.head_size}"),
    }  # fmt: skip
    for what, (found, holds, supported) in facts.items():
        if not holds:
            raise BadModel(f"{gguf.path}: {config.architecture}.{what} is {found}; supported: {supported}")
    required, optional = _shapes(config)
    for name in required:
        if name not in gguf.tensors:
            raise BadModel(f"{gguf.path}: the tensor {name!r} is missing")
    for name, info in gguf.tensors.items():
        shape = required.get(name) or optional.get(name)
        if shape is None:
            # Left out silently, it would change every answer.
            raise BadModel(f"{gguf.path}: the tensor {name!r} has no place in a {config.architecture} model")
        if info.shape != shape:
            raise BadModel(f"{gguf.path}: the tensor {name!r} has shape {info.shape}, expected {shape}")


def _shapes(config: DecoderConfig) -> tuple[dict[str, tuple[int, ...]], dict[str, tuple[int, ...]]]:
    """Shapes of the tensors that a file must hold, and of those that it may hold."""
    q, kv, inner = config.heads * config.head_size, config.kv_heads * config.head_size, config.feed_forward
    width, vocabulary = config.width, config.vocabulary
    linear = {
        "attn_q": (q, width),
        "attn_k": (kv, width),
        "attn_v": (kv, width),
        "attn_output": (width, q),
        "ffn_gate": (inner, width),
        "ffn_up": (inner, width),
        "ffn_down": (width, inner),
    }
    norms = {"attn_norm": width, "ffn_norm": width}
    if config.architecture == "qwen3":
        norms |= {"attn_q_norm": config.head_size, "attn_k_norm": config.head_size}
    required: dict[str, tuple[int, ...]] = {"token_embd.weight": (vocabulary, width), "output_norm.weight": (width,)}
    optional: dict[str, tuple[int, ...]] = {
        "output.weight": (vocabulary, width),
        "output.bias": (vocabulary,),
        "rope_freqs.weight": (config.head_size // 2,),
    }
    for i in range(config.layers):
        required |= {f"blk.{i}.{name}.weight": shape for name, shape in linear.items()}
        required |= {f"blk.{i}.{name}.weight": (size,) for name, size in norms.items()}
        optional |= {f"blk.{i}.{name}.bias": shape[:1] for name, shape in linear.items()}
    return required, optional


class _DecoderLayer:
    """One transformer layer's weights."""

    def __init__(self, number: int, config: DecoderConfig, weights: Weights) -> None:
        def name(part: str) -> str:
            return f"blk.{number}.{part}.weight"

        def order(tensor: str) -> NDArray[np.intp] | None:
            # Llama files interleave the two halves of each rotary pair; here all models use half-split rotation.
            if config.architecture != "llama" or (".attn_q." not in tensor and ".attn_k." not in tensor):
                return None
            heads = config.heads if ".attn_q." in tensor else config.kv_heads
            rows = np.arange(heads * config.head_size).reshape(heads, config.head_size // 2, 2)
            return rows.swapaxes(1, 2).reshape(-1)

        self.attention_norm = weights.vector(name("attn_norm"))
        self.feed_forward_norm = weights.vector(name("ffn_norm"))
        self.q_norm, self.k_norm = weights.vector(name("attn_q_norm")), weights.vector(name("attn_k_norm"))
        self.q_k_v = weights.fused([name("attn_q"), name("attn_k"), name("attn_v")], order)
        self.output = weights.linear([name("attn_output")])
        self.gate_up = weights.fused([name("ffn_gate"), name("ffn_up")])
        self.down = weights.linear([name("ffn_down")])


class Decoder:
    """Weights on a device, and the forward pass."""

    def __init__(
        self,
        gguf: ModelFile,
        dtype: torch.dtype = torch.bfloat16,
        device: torch.device | None = None,
        cache_dir: Path | None = None,
        max_context: int = 8192,
        *,
        native: Use = "auto",
        portable: bool = False,
    ) -> None:
        """Load a model. `portable`: compute on the processor by what every device has, as any other device does."""
        self.config = DecoderConfig.from_gguf(gguf)
        self.dtype, self.device = dtype, device or CPU
        self._portable = portable or self.device.type != "cpu"
        self.context = min(self.config.context, max_context)
        packs = dtype == torch.bfloat16 and not self._portable
        library = _kernels(gguf, self.config, native) if packs else None
        weights = Weights(gguf, dtype, self.device, cache_dir, library, portable=self._portable)
        self._embed = weights.rows("token_embd.weight")
        self._layers = [_DecoderLayer(i, self.config, weights) for i in range(self.config.layers)]
        self._norm = weights.vector("output_norm.weight")
        tied = "output.weight" not in gguf.tensors
        self._head: Linear = weights.linear(["token_embd.weight" if tied else "output.weight"])
        self._frequencies = rotary_frequencies(
            self.config.head_size, self.config.rope_base, self.config.rope_scale, _rope_factors(gguf)
        )
        self._native = None if library is None else self._native_model(library)
        self.kernels = None if library is None else library.name
        """The instruction set of the C kernels, with which a row of a few gets the same bits in any company."""
        weights.keep()

    def cache(self) -> BlockCache:
        """Make the cache of a new, empty block."""
        config = self.config
        return BlockCache(config.layers, config.kv_heads, config.head_size, self.dtype, self.device)

    @torch.inference_mode()
    def forward(self, runs: Sequence[Run]) -> Tensor:
        """Write all runs' tokens into their blocks; give float32 logits [tokens that want them, vocabulary].

        Drafts lie behind a block's end: the block has grown by them when its length is counted up.
        """
        x = self._embed([token for run in runs for token in run.tokens])
        logits = self._step(runs, x) if self._native is None else self._native.step(runs, x)
        for run in runs:
            run.view[-1].length = run.grown
        return logits

    def linears(self) -> list[Linear]:
        """Give every linear layer, in the order in which a step needs them."""
        layers = (each for one in self._layers for each in (one.q_k_v, one.output, one.gate_up, one.down))
        return [*layers, self._head]

    def _native_model(self, library: Library) -> NativeModel:
        config = self.config
        shape = NativeShape(
            width=config.width,
            inner=config.feed_forward,
            vocabulary=config.vocabulary,
            heads=config.heads,
            kv_heads=config.kv_heads,
            head_size=config.head_size,
            epsilon=config.norm_epsilon,
        )
        layers = [NativeLayer(**vars(layer)) for layer in self._layers]
        norm, head = cast("Tensor", self._norm), cast("NativeLinear", self._head)
        tables = turns(torch.arange(self.context), self._frequencies)
        return NativeModel(library, shape, layers, norm=norm, head=head, turns=tables)

    def _step(self, runs: Sequence[Run], x: Tensor) -> Tensor:
        settle(runs, self._frequencies)
        step = plan(runs, self._frequencies, self.device, portable=self._portable)
        # The sum that runs through the layers is float32; what goes into a product is rounded.
        for number, layer in enumerate(self._layers):
            x = x + self._attention(number, layer, step, x)
            x = x + self._feed_forward(layer, x)
        if not len(step.ends):
            return x.new_empty(0, self.config.vocabulary, dtype=torch.float32)
        return self._head(self._normed(x.index_select(0, step.ends), self._norm)).float()

    def _attention(self, number: int, layer: _DecoderLayer, step: Plan, x: Tensor) -> Tensor:
        config, rows = self.config, len(x)
        q_k_v = layer.q_k_v(self._normed(x, layer.attention_norm)).view(rows, -1, config.head_size)
        q_k, v = torch.split(q_k_v, [config.heads + config.kv_heads, config.kv_heads], dim=1)
        if layer.q_norm is not None:
            q, k = torch.split(q_k, [config.heads, config.kv_heads], dim=1)
            q_k = torch.cat((self._normed(q, layer.q_norm), self._normed(k, layer.k_norm)), dim=1)
        return layer.output(attend(number, step, q_k, v))

    def _feed_forward(self, layer: _DecoderLayer, x: Tensor) -> Tensor:
        gate, up = layer.gate_up(self._normed(x, layer.feed_forward_norm)).chunk(2, dim=-1)
        return layer.down(torch.nn.functional.silu(gate).mul_(up))

    def _normed(self, x: Tensor, weight: Tensor | None) -> Tensor:
        return torch.rms_norm(x.float(), (x.shape[-1],), weight, self.config.norm_epsilon).to(self.dtype)


def _kernels(gguf: ModelFile, config: DecoderConfig, use: Use) -> Library | None:
    """Give the C kernels, if there are any and they know this model's formats."""
    library = load(use)
    unknown = sorted(
        {info.type.name for name, info in gguf.tensors.items() if len(info.shape) == 2 and info.type not in KINDS}
    )
    if library is None or (not unknown and config.head_size % HEAD_UNIT == 0):
        return library
    if use != "auto":
        raise NativeUnavailable(
            f"{gguf.path}: the C kernels know neither weights of type {', '.join(unknown) or 'none'} nor heads of size "
            f"{config.head_size}; they know {', '.join(kind.name for kind in KINDS)}, and multiples of {HEAD_UNIT}"
        )
    return None


def _rope_factors(gguf: ModelFile) -> Tensor | None:
    """Read what divides each rotary frequency, in full precision: it is multiplied by positions."""
    info = gguf.tensors.get("rope_freqs.weight")
    if info is None:
        return None
    factors = torch.from_numpy(np.array(dequantize(gguf.raw(info.name), info.type, info.shape)))
    if not bool((torch.isfinite(factors) & (factors >= 1)).all()):
        raise BadModel(f"{gguf.path}: the tensor {info.name!r} holds factors that are not finite numbers from 1 up")
    return factors
