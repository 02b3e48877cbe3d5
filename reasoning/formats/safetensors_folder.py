"""Reads a folder as Hugging Face publishes models: `config.json`, `*.safetensors`, `tokenizer.json`.

The folder is shown as the GGUF file of the same model would be: its names, its metadata keys, its order of rows. So
everything behind it is one code path, and what that path refuses (an architecture, a head size, a kind of rotation)
is refused here in the same words. Follows the format of the safetensors library (`README.md`, "Format") and the
configurations of transformers. Headers are somebody else's data: every length and offset is checked before it is used.

Opening reads headers only; weights are mapped. Does not know what a decoder does with them.
"""

from __future__ import annotations

import json
import math
import mmap
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, NoReturn

import numpy as np

from reasoning.engine.decoder import ARCHITECTURES
from reasoning.errors import BadModel
from reasoning.formats.gguf import TensorInfo, is_no_number
from reasoning.formats.quants import BLOCKS, GgmlType

if TYPE_CHECKING:
    from collections.abc import Iterator, Mapping, Sequence

    from numpy.typing import NDArray

    from reasoning.formats.model_file import Kind

_TYPES: Final = {"F32": GgmlType.F32, "F16": GgmlType.F16, "BF16": GgmlType.BF16}
_MAX_HEADER_BYTES: Final = 64 << 20
_MAX_CONFIG_BYTES: Final = 1 << 20
_MAX_SHARDS: Final = 1024
_MAX_DIGITS: Final = 6
"""Of a layer's number."""
_MOST: Final = 1 << 64
"""Whole numbers below are of a size that a model may have."""
_NAMES: Final = {"model.embed_tokens": "token_embd", "model.norm": "output_norm", "lm_head": "output"}
_LAYER_NAMES: Final = {
    "self_attn.q_proj": "attn_q",
    "self_attn.k_proj": "attn_k",
    "self_attn.v_proj": "attn_v",
    "self_attn.o_proj": "attn_output",
    "self_attn.q_norm": "attn_q_norm",
    "self_attn.k_norm": "attn_k_norm",
    "input_layernorm": "attn_norm",
    "post_attention_layernorm": "ffn_norm",
    "mlp.gate_proj": "ffn_gate",
    "mlp.up_proj": "ffn_up",
    "mlp.down_proj": "ffn_down",
}
_UNUSED: Final = "rotary_emb.inv_freq"
"""Old files carry the rotary frequencies, which the configuration gives as well."""
_FACTORS: Final = "rope_freqs.weight"


class SafetensorsFolder:
    """An open folder, under the names of a GGUF file. Its bytes stay mapped as long as it lives."""

    def __init__(
        self,
        path: Path,
        metadata: dict[str, bool | float | str],
        tensors: dict[str, tuple[TensorInfo, NDArray[np.uint8]]],
        mapped: Sequence[mmap.mmap],
    ) -> None:
        self.path: Final = path
        self.tensors: Final[Mapping[str, TensorInfo]] = MappingProxyType(
            {name: info for name, (info, _) in tensors.items()}
        )
        self._metadata, self._mapped = metadata, mapped
        self._bytes = {name: data for name, (_, data) in tensors.items()}

    @property
    def architecture(self) -> str:
        """The model family, such as `llama` or `qwen2`."""
        return self.value("general.architecture", str)

    def raw(self, name: str) -> NDArray[np.uint8]:
        """Give the tensor's bytes, mapped; those of rotated rows of a Llama model are a copy in the GGUF order."""
        if name not in self.tensors:
            raise BadModel(f"{self.path}: the tensor {name!r} is missing")
        data = self._bytes[name]
        part = name.removeprefix("blk.").partition(".")[2].rpartition(".")[0]
        if self.architecture != "llama" or part not in ("attn_q", "attn_k"):
            return data
        heads = self.value("llama.attention.head_count", int)
        if part == "attn_k":
            heads = self.value("llama.attention.head_count_kv", int, heads)
        rows = self.tensors[name].shape[0]
        # GGUF files of Llama models interleave the two halves of each head.
        halves = data.reshape(heads, 2, rows // heads // 2, -1)
        return np.ascontiguousarray(halves.swapaxes(1, 2)).reshape(-1)

    def give_back(self) -> None:
        """Let go of the memory of what was read; it is read from the files again when it is needed again."""
        for part in self._mapped:
            part.madvise(mmap.MADV_DONTNEED)

    def value(self, key: str, kind: type[Kind], default: Kind | None = None) -> Kind:
        """Give the scalar under `key`; `BadModel` where it is of another kind, or missing with no default."""
        found = self._metadata.get(key, default)
        if found is None:
            raise BadModel(f"{self.path}/config.json: there is nothing that gives {key!r}")
        if kind is float and type(found) is int and abs(found) < _MOST:
            return kind(found)
        # JSON has no infinity, but Python reads 1e999 as one.
        if type(found) is not kind or is_no_number(found):
            raise BadModel(f"{self.path}/config.json: {key!r} is {str(found)[:60]!r}, not a {kind.__name__}")
        return found


def open_safetensors(path: Path) -> SafetensorsFolder:
    """Check configuration and headers and map the rest; `BadModel` for anything that is not sound or supported."""
    config = _json(path / "config.json", _MAX_CONFIG_BYTES)
    metadata = _metadata(path, config)
    tensors: dict[str, tuple[TensorInfo, NDArray[np.uint8]]] = {}
    mapped = []
    for shard in _shards(path):
        mapped.append(_mapped(shard))
        for name, info, data in _tensors(shard, np.frombuffer(mapped[-1], np.uint8)):
            if name in tensors:
                raise BadModel(f"{shard}: the tensor {name!r} stands twice")
            tensors[name] = info, data
    if config.get("tie_word_embeddings") is True:
        tensors.pop("output.weight", None)
    elif "output.weight" not in tensors and metadata["general.architecture"] in ARCHITECTURES:
        raise BadModel(f"{path}: there is no tensor 'lm_head.weight', and the configuration ties no embeddings")
    factors = _llama3_factors(path, config, metadata)
    if factors is not None:
        info = TensorInfo(_FACTORS, GgmlType.F32, factors.shape, 0, factors.nbytes)
        tensors[_FACTORS] = info, factors.view(np.uint8)
    return SafetensorsFolder(path, metadata, tensors, mapped)


def _metadata(path: Path, config: dict[str, Any]) -> dict[str, bool | float | str]:
    """Give the keys of a GGUF file from a configuration; what is missing there is left out."""
    arch = str(config.get("model_type", "unnamed"))
    if "quantization_config" in config:
        described = config["quantization_config"]
        method = str(described.get("quant_method", "unnamed") if isinstance(described, dict) else described)[:40]
        raise BadModel(
            f"{path}: weights quantised by the method {method!r} are not supported; take a folder with "
            f"{', '.join(_TYPES)} tensors, or a GGUF file"
        )
    if config.get("use_sliding_window") is True:
        raise BadModel(f"{path}: attention within a sliding window is not supported; take a model that reads it all")
    rope = _rope(path, config)
    kind = str(rope.get("rope_type", rope.get("type", "default")))
    keys = {
        "block_count": config.get("num_hidden_layers"),
        "embedding_length": config.get("hidden_size"),
        "feed_forward_length": config.get("intermediate_size"),
        "context_length": config.get("max_position_embeddings"),
        "attention.head_count": config.get("num_attention_heads"),
        "attention.head_count_kv": config.get("num_key_value_heads"),
        "attention.key_length": config.get("head_dim"),
        "attention.layer_norm_rms_epsilon": config.get("rms_norm_eps"),
        "rope.freq_base": rope.get("rope_theta", config.get("rope_theta")),
        "rope.scaling.type": {"default": "none", "llama3": "none"}.get(kind, kind),
        "rope.scaling.factor": rope.get("factor") if kind == "linear" else None,
    }
    share = config.get("partial_rotary_factor", rope.get("partial_rotary_factor", 1.0))
    if share != 1.0:
        raise BadModel(f"{path}: heads that are rotated in part ({share!r}) are not supported")
    activation = config.get("hidden_act", "silu")
    if activation != "silu":
        raise BadModel(f"{path}: the activation {activation!r} is not supported; supported: 'silu'")
    named: dict[str, bool | float | str] = {
        "general.architecture": arch,
        "general.name": str(config.get("_name_or_path") or path.resolve().name),
    }
    return named | {f"{arch}.{key}": value for key, value in keys.items() if value is not None}


def _rope(path: Path, config: dict[str, Any]) -> dict[str, Any]:
    """Give what a configuration says of rotation, in its newer form or its older one."""
    rope = config.get("rope_parameters") or config.get("rope_scaling") or {}
    if not isinstance(rope, dict):
        raise BadModel(f"{path}/config.json: the rotation is described by a {type(rope).__name__}, not an object")
    return rope


def _llama3_factors(
    path: Path, config: dict[str, Any], metadata: dict[str, bool | float | str]
) -> NDArray[np.float32] | None:
    """Give what divides each rotary frequency (Llama 3.1): long waves by the factor, short ones not, others mixed."""
    rope = _rope(path, config)
    if rope.get("rope_type", rope.get("type")) != "llama3":
        return None
    arch = metadata["general.architecture"]
    try:
        factor, low, high, original = (
            float(rope[key])
            for key in ("factor", "low_freq_factor", "high_freq_factor", "original_max_position_embeddings")
        )
        base = float(metadata[f"{arch}.rope.freq_base"])
        heads, width = (int(metadata[f"{arch}.{key}"]) for key in ("attention.head_count", "embedding_length"))
        size = int(metadata.get(f"{arch}.attention.key_length", width // max(1, heads)))
        waves = 2 * math.pi * base ** (np.arange(0, size, 2) / size)
        mixed = np.clip((original / waves - low) / (high - low), 0.0, 1.0)
        return (1 / ((1 - mixed) / factor + mixed)).astype(np.float32)
    except (KeyError, TypeError, ValueError, ArithmeticError) as error:
        raise BadModel(f"{path}/config.json: the llama3 rotation is not described in full: {error!r}") from error


def _shards(path: Path) -> list[Path]:
    """Find the files of weights: those of the index, else the one or the ones that are there."""
    index = path / "model.safetensors.index.json"
    if index.is_file():
        files = _json(index, _MAX_HEADER_BYTES).get("weight_map")
        if not isinstance(files, dict) or not all(isinstance(name, str) for name in files.values()):
            raise BadModel(f"{index}: it does not say which file holds which tensor")
        names = sorted(set(files.values()))
        if any(Path(name).name != name for name in names):
            raise BadModel(f"{index}: it names files outside of its folder")
        shards = [path / name for name in names]
    else:
        whole = path / "model.safetensors"
        shards = [whole] if whole.is_file() else sorted(path.glob("*.safetensors"))
    if not 0 < len(shards) <= _MAX_SHARDS:
        raise BadModel(f"{path}: it holds {len(shards)} .safetensors files; 1 to {_MAX_SHARDS} are read")
    return shards


def _mapped(shard: Path) -> mmap.mmap:
    try:
        with shard.open("rb") as file:
            return mmap.mmap(file.fileno(), 0, access=mmap.ACCESS_READ)
    except (OSError, ValueError) as error:
        raise BadModel(f"{shard}: cannot be opened as a model: {error}") from error


def _tensors(shard: Path, data: NDArray[np.uint8]) -> Iterator[tuple[str, TensorInfo, NDArray[np.uint8]]]:
    """Give every tensor of a file under its GGUF name."""
    length = int.from_bytes(data[:8].tobytes(), "little")
    if len(data) < 8 or not 0 < length <= min(_MAX_HEADER_BYTES, len(data) - 8):
        raise BadModel(f"{shard}: not a sound safetensors file: a header of {length} bytes does not fit")
    header = _parsed(shard, data[8 : 8 + length].tobytes())
    body = data[8 + length :]
    for name, described in header.items():
        if name != "__metadata__" and not name.endswith(_UNUSED):
            info = _info(shard, name, described, len(body))
            yield info.name, info, body[info.offset : info.offset + info.nbytes]


def _info(shard: Path, name: str, described: Any, size: int) -> TensorInfo:  # noqa: ANN401 - JSON
    where = f"{shard}: the tensor {name[:80]!r}"
    try:
        dtype, shape, (begin, end) = described["dtype"], tuple(described["shape"]), described["data_offsets"]
        whole = all(type(number) is int and number >= 0 for number in (*shape, begin, end))
    except (KeyError, TypeError, ValueError) as error:
        raise BadModel(f"{where} is not described in full: {error!r}") from error
    if not isinstance(dtype, str) or dtype not in _TYPES:
        raise BadModel(f"{where} has type {str(dtype)[:20]}; supported: {', '.join(_TYPES)}")
    if not whole or not 1 <= len(shape) <= 4 or 0 in shape:
        raise BadModel(f"{where} has the shape {str(shape)[:60]}, or offsets, that make no sense")
    bytes_each = BLOCKS[_TYPES[dtype]][1]
    if end > size or end - begin != math.prod(shape) * bytes_each:
        raise BadModel(f"{where} of shape {shape} is said to lie in bytes {begin} to {end} of {size}")
    return TensorInfo(_gguf_name(name), _TYPES[dtype], shape, begin, end - begin)


def _gguf_name(name: str) -> str:
    """Translate a name; one that is not known stays as it is, and the decoder says that it has no place."""
    part, _, kind = name.rpartition(".")
    if part in _NAMES:
        return f"{_NAMES[part]}.{kind}"
    prefix, _, rest = part.partition("model.layers.")
    number, _, layer_part = rest.partition(".")
    if prefix or not number.isdecimal() or len(number) > _MAX_DIGITS or layer_part not in _LAYER_NAMES:
        return name
    return f"blk.{int(number)}.{_LAYER_NAMES[layer_part]}.{kind}"


def _json(path: Path, most: int) -> dict[str, Any]:
    try:
        if path.stat().st_size > most:
            raise BadModel(f"{path}: larger than {most} bytes, so it is not read")
        return _parsed(path, path.read_bytes())
    except OSError as error:
        raise BadModel(f"{path}: cannot be read: {error.strerror}") from error


def _parsed(path: Path, text: bytes) -> dict[str, Any]:
    try:
        found = json.loads(text, object_pairs_hook=_once, parse_constant=_no_constant)
    except (ValueError, RecursionError) as error:
        raise BadModel(f"{path}: not sound JSON: {error}") from error
    if not isinstance(found, dict):
        raise BadModel(f"{path}: not a JSON object but a {type(found).__name__}")
    return found


def _once(pairs: Sequence[tuple[str, Any]]) -> dict[str, Any]:
    found = dict(pairs)
    if len(found) < len(pairs):
        raise ValueError("a key stands twice")
    return found


def _no_constant(name: str) -> NoReturn:
    # Python reads what JSON does not have, and a model would compute with it.
    raise ValueError(f"{name} is no number of JSON")
