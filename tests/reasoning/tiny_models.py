"""Tiny random models: as GGUF files, and as the Hugging Face models that they must equal."""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

import gguf
import numpy as np
import torch
import transformers

from reasoning.engine.decoder import DecoderConfig
from reasoning.formats.quants import BLOCKS, GgmlType, dequantize

if TYPE_CHECKING:
    from pathlib import Path

    from numpy.typing import NDArray
    from torch import Tensor
    from transformers import PreTrainedModel

    from reasoning.formats.gguf import GgufFile

    Floats = NDArray[np.float32]


@dataclass(frozen=True, kw_only=True)
class Tiny:
    """The shape of a tiny model."""

    architecture: str = "llama"
    width: int = 64
    heads: int = 4
    kv_heads: int = 2
    head_size: int = 16
    inner: int = 96
    layers: int = 2
    vocabulary: int = 80
    context: int = 512
    rope_base: float = 10_000.0
    scaling: str = "none"
    tied: bool = False
    seed: int = 1

    @property
    def biased(self) -> bool:
        return self.architecture == "qwen2"

    @property
    def normed_heads(self) -> bool:
        return self.architecture == "qwen3"


LLAMA: Final = Tiny()
LLAMA3: Final = Tiny(scaling="llama3", tied=True, heads=6, kv_heads=2, head_size=8, width=48, seed=2)
LLAMA_LINEAR: Final = Tiny(scaling="linear", kv_heads=4, seed=3)
QWEN2: Final = Tiny(architecture="qwen2", seed=4, rope_base=1_000_000.0)
QWEN2_TIED: Final = Tiny(architecture="qwen2", seed=5, tied=True, kv_heads=1)
QWEN3: Final = Tiny(architecture="qwen3", seed=6, head_size=24, tied=True)
FAMILIES: Final = (LLAMA, LLAMA3, LLAMA_LINEAR, QWEN2, QWEN2_TIED, QWEN3)

_LINEAR_FACTOR: Final = 4.0
_LLAMA3: Final = {"factor": 8.0, "low_freq_factor": 1.0, "high_freq_factor": 4.0}
_LLAMA3_ORIGINAL: Final = 64
_CONFIGS: Final[dict[str, Any]] = {
    "llama": (transformers.LlamaConfig, transformers.LlamaForCausalLM),
    "qwen2": (transformers.Qwen2Config, transformers.Qwen2ForCausalLM),
    "qwen3": (transformers.Qwen3Config, transformers.Qwen3ForCausalLM),
}
_LAYER_NAMES: Final = {
    "attn_q": "self_attn.q_proj",
    "attn_k": "self_attn.k_proj",
    "attn_v": "self_attn.v_proj",
    "attn_output": "self_attn.o_proj",
    "attn_norm": "input_layernorm",
    "attn_q_norm": "self_attn.q_norm",
    "attn_k_norm": "self_attn.k_norm",
    "ffn_norm": "post_attention_layernorm",
    "ffn_gate": "mlp.gate_proj",
    "ffn_up": "mlp.up_proj",
    "ffn_down": "mlp.down_proj",
}
_NAMES: Final = {"token_embd": "model.embed_tokens", "output_norm": "model.norm", "output": "lm_head"}


def random_tensors(tiny: Tiny) -> dict[str, Floats]:
    """Weights by their names in a GGUF file, rows in the order of the original model; products keep unit size."""
    rng = np.random.default_rng(tiny.seed)

    def matrix(rows: int, columns: int) -> Floats:
        return (rng.standard_normal((rows, columns)) / math.sqrt(columns)).astype(np.float32)

    def vector(size: int, mean: float) -> Floats:
        return (mean + 0.3 * rng.standard_normal(size)).astype(np.float32)

    q, kv = tiny.heads * tiny.head_size, tiny.kv_heads * tiny.head_size
    found = {
        "token_embd.weight": 8 * matrix(tiny.vocabulary, tiny.width),
        "output_norm.weight": vector(tiny.width, 1.0),
    }
    if not tiny.tied:
        found["output.weight"] = 4 * matrix(tiny.vocabulary, tiny.width)
    for number in range(tiny.layers):
        rows = {"attn_q": 2 * matrix(q, tiny.width), "attn_k": matrix(kv, tiny.width), "attn_v": matrix(kv, tiny.width)}
        rows |= {"attn_output": matrix(tiny.width, q), "ffn_down": matrix(tiny.width, tiny.inner)}
        rows |= {"ffn_gate": matrix(tiny.inner, tiny.width), "ffn_up": matrix(tiny.inner, tiny.width)}
        rows |= {"attn_norm": vector(tiny.width, 1.0), "ffn_norm": vector(tiny.width, 1.0)}
        if tiny.normed_heads:
            rows |= {"attn_q_norm": vector(tiny.head_size, 1.5), "attn_k_norm": vector(tiny.head_size, 1.0)}
        found |= {f"blk.{number}.{name}.weight": weight for name, weight in rows.items()}
        if tiny.biased:
            sizes = {"attn_q": q, "attn_k": kv, "attn_v": kv}
            found |= {f"blk.{number}.{name}.bias": vector(size, 0.0) for name, size in sizes.items()}
    return found


def write_tiny(
    path: Path,
    tiny: Tiny,
    kind: str = "F32",
    changes: dict[str, Any] | None = None,
    kinds: dict[str, str] | None = None,
) -> Path:
    """Write the model. Matrices are of type `kind`, or of that in `kinds` under their name.

    `changes` replace metadata keys or tensors (None leaves one out).
    """
    changes, kinds = changes or {}, kinds or {}
    writer = gguf.GGUFWriter(path, str(changes.get("general.architecture", tiny.architecture)))
    arch = tiny.architecture
    values: dict[str, Any] = {
        "block_count": tiny.layers,
        "embedding_length": tiny.width,
        "feed_forward_length": tiny.inner,
        "context_length": tiny.context,
        "attention.head_count": tiny.heads,
        "attention.head_count_kv": tiny.kv_heads,
        "attention.key_length": tiny.head_size,
        "attention.layer_norm_rms_epsilon": 1e-5,
        "rope.freq_base": tiny.rope_base,
    }
    if tiny.scaling == "linear":
        values |= {"rope.scaling.type": "linear", "rope.scaling.factor": _LINEAR_FACTOR}
    for key, value in ({f"{arch}.{key}": value for key, value in values.items()} | _keys(changes)).items():
        if isinstance(value, str):
            writer.add_string(key, value)
        elif isinstance(value, float):
            writer.add_float32(key, value)
        elif isinstance(value, list):
            writer.add_array(key, value)
        elif value is not None:
            writer.add_uint32(key, value)
    tensors = random_tensors(tiny) | {name: new for name, new in changes.items() if name.endswith((".weight", ".bias"))}
    if tiny.scaling == "llama3":
        tensors["rope_freqs.weight"] = _llama3_factors(tiny)
    for name, tensor in tensors.items():
        if tensor is not None:
            _add(writer, name, _interleaved(tiny, name, tensor), kinds.get(name, kind))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def hf_tiny(tiny: Tiny) -> PreTrainedModel:
    """The Hugging Face model of the same weights."""
    rope: dict[str, Any] = {"rope_type": "default", "rope_theta": tiny.rope_base}
    if tiny.scaling == "linear":
        rope |= {"rope_type": "linear", "factor": _LINEAR_FACTOR}
    if tiny.scaling == "llama3":
        rope |= {"rope_type": "llama3", "original_max_position_embeddings": _LLAMA3_ORIGINAL, **_LLAMA3}
    config = DecoderConfig(
        architecture=tiny.architecture,
        layers=tiny.layers,
        width=tiny.width,
        heads=tiny.heads,
        kv_heads=tiny.kv_heads,
        head_size=tiny.head_size,
        feed_forward=tiny.inner,
        vocabulary=tiny.vocabulary,
        context=tiny.context,
        norm_epsilon=1e-5,
        rope_base=tiny.rope_base,
        rope_scale=1.0,
    )
    tensors = {name: torch.from_numpy(tensor) for name, tensor in random_tensors(tiny).items()}
    return _hf(config, tensors, rope)


def hf_greedy(tiny: Tiny, prompt: list[int], count: int) -> list[int]:
    """What the Hugging Face model generates after a prompt."""
    model: Any = hf_tiny(tiny)
    with torch.inference_mode():
        made = model.generate(torch.tensor([prompt]), max_new_tokens=count, do_sample=False)
    found: list[int] = made[0, len(prompt) :].tolist()
    return found


def hf_from_gguf(file: GgufFile) -> PreTrainedModel:
    """The Hugging Face model of a real file's weights, dequantised, for files without rope scaling."""
    config = DecoderConfig.from_gguf(file)
    tensors = {}
    for name, info in file.tensors.items():
        weight = np.array(dequantize(file.raw(name), info.type, info.shape))
        if config.architecture == "llama" and (".attn_q." in name or ".attn_k." in name):
            heads = config.heads if ".attn_q." in name else config.kv_heads
            weight = weight.reshape(heads, config.head_size // 2, 2, -1).swapaxes(1, 2).reshape(weight.shape)
        tensors[name] = torch.from_numpy(weight)
    return _hf(config, tensors, {"rope_type": "default", "rope_theta": config.rope_base})


def _hf(config: DecoderConfig, tensors: dict[str, Tensor], rope: dict[str, Any]) -> PreTrainedModel:
    kind, model_kind = _CONFIGS[config.architecture]
    settings = kind(
        vocab_size=config.vocabulary,
        hidden_size=config.width,
        intermediate_size=config.feed_forward,
        num_hidden_layers=config.layers,
        num_attention_heads=config.heads,
        num_key_value_heads=config.kv_heads,
        head_dim=config.head_size,
        max_position_embeddings=config.context,
        rms_norm_eps=config.norm_epsilon,
        rope_parameters=rope,
        tie_word_embeddings="output.weight" not in tensors,
        bos_token_id=None,
        eos_token_id=None,
        pad_token_id=None,
    )
    model: PreTrainedModel = model_kind(settings).float().eval()
    state = {_hf_name(name): tensor for name, tensor in tensors.items()}
    if settings.tie_word_embeddings:
        state["lm_head.weight"] = state["model.embed_tokens.weight"]
    model.load_state_dict(state, strict=True)
    return model


def _hf_name(name: str) -> str:
    part, _, kind = name.rpartition(".")
    if part in _NAMES:
        return f"{_NAMES[part]}.{kind}"
    _, number, layer_part = part.split(".")
    return f"model.layers.{number}.{_LAYER_NAMES[layer_part]}.{kind}"


def _keys(changes: dict[str, Any]) -> dict[str, Any]:
    return {
        key: value
        for key, value in changes.items()
        if not key.endswith((".weight", ".bias")) and key != "general.architecture"
    }


def _interleaved(tiny: Tiny, name: str, tensor: Floats) -> Floats:
    """Llama files hold the two halves of each head's query and key rows alternately."""
    if tiny.architecture != "llama" or (".attn_q." not in name and ".attn_k." not in name):
        return tensor
    heads = tiny.heads if ".attn_q." in name else tiny.kv_heads
    halves = tensor.reshape(heads, 2, tiny.head_size // 2, -1)
    return np.ascontiguousarray(halves.swapaxes(1, 2).reshape(tensor.shape))


def _llama3_factors(tiny: Tiny) -> Floats:
    """What divides each rotary frequency (Llama 3.1): long waves by the factor, short ones not, between them mixed."""
    waves = 2 * math.pi * tiny.rope_base ** (np.arange(0, tiny.head_size, 2) / tiny.head_size)
    low, high, factor = _LLAMA3["low_freq_factor"], _LLAMA3["high_freq_factor"], _LLAMA3["factor"]
    mixed = np.clip((_LLAMA3_ORIGINAL / waves - low) / (high - low), 0.0, 1.0)
    return (1 / ((1 - mixed) / factor + mixed)).astype(np.float32)


def _add(writer: gguf.GGUFWriter, name: str, tensor: Floats, kind: str) -> None:
    number = gguf.GGMLQuantizationType[kind]
    if tensor.ndim == 1 or kind == "F32":
        writer.add_tensor(name, tensor)
    else:
        packed = _drawn(tensor, kind) if kind.endswith("_K") else gguf.quantize(tensor, number)
        writer.add_tensor(name, packed, raw_dtype=number)


def _drawn(tensor: Floats, kind: str) -> NDArray[np.uint8]:
    """Blocks of the K types, which the gguf package cannot quantise: random bytes with scales of a sound size."""
    size = BLOCKS[GgmlType[kind]][1]
    blocks = np.random.default_rng(tensor.size).integers(0, 256, (tensor.size // 256, size), np.uint8)
    # Q4_K begins with a scale and a minimum's scale, Q6_K ends with its scale.
    at = slice(208, 210) if kind == "Q6_K" else slice(0, 4)
    blocks[:, at] = np.full((at.stop - at.start) // 2, 2e-4, np.float16).view(np.uint8)
    return blocks.reshape(len(tensor), -1)
