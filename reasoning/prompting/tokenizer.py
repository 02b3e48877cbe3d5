"""Text to tokens and back, from the model's own file.

Byte-level BPE on the `tokenizers` library. Text that somebody else wrote goes through `encode`, which cannot
give a special token at all: they are not in the vocabulary that it works with. Only `encode_template`, for the
strings of the model's chat template, knows them. Nothing here knows tensors, streams or turn-taking.
"""

from __future__ import annotations

import codecs
import json
import re
from dataclasses import dataclass
from pathlib import Path
from types import MappingProxyType
from typing import TYPE_CHECKING, Any, Final, TypeVar

import numpy as np
import tokenizers
from tokenizers import Regex, models, normalizers, pre_tokenizers

from descant.errors import is_failure
from reasoning.errors import BadModel
from reasoning.prompting.chat_template import ChatTemplate

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence
    from os import PathLike

    from reasoning.formats.gguf import GgufFile

LONG: Final = 4096
"""Characters whose encoding takes some ms: a longer text is to be encoded in a thread, beside an event loop."""


_Built = TypeVar("_Built")


@dataclass(frozen=True, slots=True)
class _Family:
    """How a family of vocabularies splits text before BPE; the values of its published tokenizer.json."""

    split: tuple[str, ...] | None
    """Parts of a regular expression, one match to a piece; None for that of GPT-2."""
    single_digits: bool = False
    """Every digit is a piece of its own, before anything else is split."""
    compose: bool = False
    """Text is brought to Unicode form NFC."""
    whole_words: bool = False
    """A piece that is a token as a whole is never merged from parts."""


_CONTRACTION: Final = r"(?i:'s|'t|'re|'ve|'m|'ll|'d)"
_WORD: Final = r"[^\r\n\p{L}\p{N}]?\p{L}+"
_OTHER: Final = (r" ?[^\s\p{L}\p{N}]+[\r\n]*", r"\s*[\r\n]+", r"\s+(?!\S)", r"\s+")

_GPT2: Final = _Family(split=None)
_QWEN2: Final = _Family(split=(_CONTRACTION, _WORD, r"\p{N}", *_OTHER), compose=True)
_LLAMA3: Final = _Family(split=(_CONTRACTION, _WORD, r"\p{N}{1,3}", *_OTHER), whole_words=True)

_FAMILIES: Final[Mapping[str, _Family]] = {
    "default": _GPT2,
    "gpt-2": _GPT2,
    "smollm": _Family(split=None, single_digits=True),
    "qwen2": _QWEN2,
    "deepseek-r1-qwen": _QWEN2,
    "llama-bpe": _LLAMA3,
    "llama3": _LLAMA3,
}
"""By the value of `tokenizer.ggml.pre`."""

# Files name one end token; a chat model ends its turn with any of these that its vocabulary has.
_END_NAMES: Final = frozenset(
    {"<|im_end|>", "<|endoftext|>", "<|eot_id|>", "<|eom_id|>", "<|end_of_text|>", "<|end|>", "</s>"}
)
_TAG: Final = re.compile(r"<[^\s<>]+>|\[[^\s\[\]]+\]")
_END_KEYS: Final = ("eos_token_id", "eot_token_id", "eom_token_id")

# Token types of `tokenizer.ggml.token_type`; the others (unknown, unused, byte) stand for no text here.
_NORMAL: Final = 1
_SPECIAL: Final = (3, 4)
"""Control tokens, and those that the model's makers defined beside them, such as `<think>`."""

_MAX_JSON_BYTES: Final = 64 << 20
_MAX_VOCABULARY: Final = 1 << 20


def _byte_of_characters() -> dict[str, int]:
    """Map each character of a byte-level token to its byte (GPT-2's `bytes_to_unicode`, inverted)."""
    printable = {*range(ord("!"), ord("~") + 1), *range(ord("¡"), ord("¬") + 1), *range(ord("®"), ord("ÿ") + 1)}
    others = [byte for byte in range(256) if byte not in printable]
    return {chr(byte): byte for byte in printable} | {chr(256 + i): byte for i, byte in enumerate(others)}


_BYTE_OF: Final = _byte_of_characters()


@dataclass(frozen=True, slots=True)
class ChatPieces:
    """A chat template cut at its contents: `prompt`, then for each turn an opening, the content and a close."""

    system: list[int]
    """The system message, still open."""
    system_close: list[int]
    user_open: list[int]
    user_close: list[int]
    assistant_open: list[int]
    assistant_close: list[int]
    first_user_open: list[int]
    """Opens the first turn of the user."""

    @property
    def prompt(self) -> list[int]:
        """Everything before the first user turn: the system message, closed."""
        return [*self.system, *self.system_close]


class Tokenizer:
    """The vocabulary of one model. Safe to share between threads; `Detokenizer` objects are not."""

    def __init__(
        self,
        bpe: tokenizers.Tokenizer,
        tokens: Sequence[str],
        special: Mapping[str, int],
        eos_ids: frozenset[int],
        template: ChatTemplate | None,
    ) -> None:
        self._bpe = bpe
        self._tokens = tokens
        self._special_ids = frozenset(special.values())
        self._special_text = re.compile(
            "(" + "|".join(re.escape(name) for name in sorted(special, key=len, reverse=True)) + ")"
        )
        self.special: Final = MappingProxyType(dict(special))
        # Some vocabularies have plain text, such as runs of spaces, among their special tokens.
        self._names = tuple(name for name in special if _TAG.fullmatch(name))
        self.eos_ids: Final = eos_ids
        self.template: Final = template

    @classmethod
    def from_gguf(cls, gguf: GgufFile) -> Tokenizer:
        """Build from a model file; `BadModel` where its kind of vocabulary is not supported, or is broken."""
        return _from_gguf(gguf)

    @classmethod
    def from_json(cls, path: str | PathLike[str]) -> Tokenizer:
        """Build from a folder with `tokenizer.json`, and `tokenizer_config.json` beside it where there is one."""
        return _from_json(Path(path))

    @property
    def vocab_size(self) -> int:
        """Number of ids, unused ones included."""
        return len(self._tokens)

    def encode(self, text: str) -> list[int]:
        """Tokens of text that somebody else wrote: never a special one, whatever it holds."""
        # A lone surrogate cannot be written as UTF-8, and may arrive from a client's JSON.
        clean = text.encode("utf-8", "replace").decode("utf-8")
        if len(clean) > LONG:
            # Alone among the library's ways this one lets other threads go on meanwhile.
            return list(self._bpe.encode_batch([clean], add_special_tokens=False)[0].ids)
        return list(self._bpe.encode(clean, add_special_tokens=False).ids)

    def encode_template(self, text: str) -> list[int]:
        """Tokens of our own template strings: names of special tokens become those tokens."""
        ids: list[int] = []
        for part in self._special_text.split(text) if self.special else [text]:
            if part in self.special:
                ids.append(self.special[part])
            elif part:
                ids.extend(self.encode(part))
        return ids

    def writes_special(self, text: str) -> bool:
        """Say whether a text has the name of a special token in it, written as words."""
        return any(name in text for name in self._names)

    def token_bytes(self, token: int) -> bytes:
        """Give the bytes that a token stands for: none for special tokens, and for ids that no token has."""
        if token in self._special_ids or not 0 <= token < len(self._tokens):
            return b""
        name = self._tokens[token]
        try:
            return bytes([_BYTE_OF[character] for character in name])
        except KeyError:
            return name.encode("utf-8", "replace")

    def decode(self, ids: Iterable[int]) -> str:
        """Give the text of tokens, without special ones; bytes that are not UTF-8 become U+FFFD."""
        return b"".join(map(self.token_bytes, ids)).decode("utf-8", "replace")

    def pieces(self, system: str) -> ChatPieces:
        """Cut the chat template for one system message; `BadModel` where there is none, or it cannot be cut."""
        if self.template is None:
            raise BadModel("this model has no chat template; take an instruct (chat) model")
        cut = self.template.cut()
        encode = self.encode_template
        return ChatPieces(
            system=encode(cut.system_open) + self.encode(system),
            system_close=encode(cut.system_close),
            user_open=encode(cut.user_open),
            user_close=encode(cut.user_close),
            assistant_open=encode(cut.assistant_open),
            assistant_close=encode(cut.assistant_close),
            first_user_open=encode(cut.user_open if cut.first_user_open is None else cut.first_user_open),
        )


class Detokenizer:
    """Text of a growing run of tokens; characters that are not complete yet are held back."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._token_bytes = tokenizer.token_bytes
        self._decoder = codecs.getincrementaldecoder("utf-8")("replace")

    def push(self, token: int) -> str:
        """Take one token and return the text that became complete; nothing for a special token."""
        return self._decoder.decode(self._token_bytes(token))

    def flush(self) -> str:
        """End the run: what is still held back becomes U+FFFD."""
        text = self._decoder.decode(b"", final=True)
        self._decoder.reset()
        return text


def _bpe(
    vocab: Mapping[str, int], merges: Sequence[tuple[str, str]], family: _Family, where: str
) -> tokenizers.Tokenizer:
    _require_merged(vocab, merges, where)
    model = _built(where, lambda: models.BPE(dict(vocab), list(merges), ignore_merges=family.whole_words))
    bpe = tokenizers.Tokenizer(model)
    if family.compose:
        bpe.normalizer = normalizers.NFC()
    steps: list[Any] = []
    if family.single_digits:
        steps.append(pre_tokenizers.Digits(individual_digits=True))
    if family.split:
        steps.append(pre_tokenizers.Split(Regex("|".join(family.split)), "isolated"))
    steps.append(pre_tokenizers.ByteLevel(add_prefix_space=False, use_regex=family.split is None))
    bpe.pre_tokenizer = pre_tokenizers.Sequence(steps)
    return bpe


def _built(where: str, build: Callable[[], _Built]) -> _Built:
    """Have the library build something of a file. Raises BadModel."""
    try:
        return build()
    except BaseException as error:
        if not is_failure(error):
            raise
        raise BadModel(f"{where}: the vocabulary is broken: {' '.join(str(error).split())[:200]}") from error


def _require_merged(vocab: Mapping[str, int], merges: Iterable[tuple[str, str]], where: str) -> None:
    """Refuse merges that make no token: the library writes pages about some of them."""
    for left, right in merges:
        if left + right not in vocab:
            merge = f"{left[:30]} {right[:30]}"
            raise BadModel(f"{where}: the vocabulary is broken: the merge {merge!r} makes what is no token")


def _from_gguf(gguf: GgufFile) -> Tokenizer:
    where = str(gguf.path)
    kind = gguf.value("tokenizer.ggml.model", str)
    if kind != "gpt2":
        raise BadModel(f"{where}: the tokenizer model {kind!r} is not supported; only 'gpt2' (byte-level BPE) is")
    pre = gguf.value("tokenizer.ggml.pre", str, "default")
    family = _FAMILIES.get(pre)
    if family is None:
        known = ", ".join(_FAMILIES)
        raise BadModel(f"{where}: the pre-tokenizer {pre!r} is not supported; only {known} are")
    names = gguf.strings("tokenizer.ggml.tokens")
    types = _token_types(gguf, len(names))
    normal = {name: token for token, name in enumerate(names) if types[token] == _NORMAL}
    special = {name: token for token, name in enumerate(names) if types[token] in _SPECIAL}
    # Rows that only pad the vocabulary have made-up names, which are not text that the model means.
    tokens = [name if kind in (_NORMAL, *_SPECIAL) else "" for name, kind in zip(names, types, strict=True)]
    if len(normal) + len(special) != sum(map(types.count, (_NORMAL, *_SPECIAL))) or "" in special:
        raise BadModel(f"{where}: the vocabulary is broken: a token stands in it twice, or is empty")
    merges = []
    for merge in gguf.strings("tokenizer.ggml.merges"):
        left, space, right = merge.partition(" ")
        if not (left and space and right):
            raise BadModel(f"{where}: the vocabulary is broken: {merge[:60]!r} is not a merge of two tokens")
        merges.append((left, right))
    ends = {gguf.value(f"tokenizer.ggml.{key}", int, -1) for key in _END_KEYS}
    return Tokenizer(
        bpe=_bpe(normal, merges, family, where),
        tokens=tokens,
        special=special,
        eos_ids=_end_ids(special, ends, len(tokens), where),
        template=_gguf_template(gguf, tokens),
    )


def _token_types(gguf: GgufFile, count: int) -> list[int]:
    found = gguf.metadata.get("tokenizer.ggml.token_type")
    if not isinstance(found, np.ndarray) or found.dtype.kind not in "iu" or len(found) != count:
        raise BadModel(f"{gguf.path}: tokenizer.ggml.token_type is not one integer for each of {count} tokens")
    types: list[int] = found.tolist()
    return types


def _end_ids(special: Mapping[str, int], named: set[int], count: int, where: str) -> frozenset[int]:
    ends = {token for token in named if token != -1} | {special[name] for name in _END_NAMES & special.keys()}
    if not ends or not all(0 <= token < count for token in ends):
        raise BadModel(f"{where}: the end tokens {sorted(ends)} are not tokens of a vocabulary of {count}")
    return frozenset(ends)


def _gguf_template(gguf: GgufFile, tokens: Sequence[str]) -> ChatTemplate | None:
    if "tokenizer.chat_template" not in gguf.metadata:
        return None

    def name(key: str) -> str:
        token = gguf.value(f"tokenizer.ggml.{key}", int, -1)
        return tokens[token] if 0 <= token < len(tokens) else ""

    return ChatTemplate(
        gguf.value("tokenizer.chat_template", str),
        bos_token=name("bos_token_id"),
        eos_token=name("eos_token_id"),
        where=f"{gguf.path}: the chat template",
    )


def _from_json(folder: Path) -> Tokenizer:
    where = str(folder / "tokenizer.json")
    described = _read_json(folder / "tokenizer.json")
    config = _read_json(folder / "tokenizer_config.json", needed=False)
    try:
        vocab: dict[str, int] = described["model"]["vocab"]
        special = {str(added["content"]): int(added["id"]) for added in described.get("added_tokens") or []}
        tokens = _token_list({**vocab, **special}, where)
        bpe = _json_bpe(described, set(special), where)
        end, bos = (_token_name(config.get(key)) for key in ("eos_token", "bos_token"))
        named = _read_json(folder / "generation_config.json", needed=False).get("eos_token_id", [])
        ends = {int(token) for token in (named if isinstance(named, list) else [named])}
        source = _template_source(folder, config.get("chat_template"))
    except (KeyError, TypeError, ValueError, AttributeError, OverflowError, RecursionError) as error:
        raise BadModel(f"{where}: it does not describe a vocabulary: {_shown(error)}") from error
    return Tokenizer(
        bpe=bpe,
        tokens=tokens,
        special=special,
        eos_ids=_end_ids(special, ends | ({special[end]} if end in special else set()), len(tokens), where),
        template=ChatTemplate(source, bos_token=bos, eos_token=end, where=f"{folder}: the chat template")
        if source
        else None,
    )


def _token_list(vocab: Mapping[str, int], where: str) -> list[str]:
    size = 1 + max(vocab.values())
    if min(vocab.values()) < 0 or size > _MAX_VOCABULARY:
        raise BadModel(f"{where}: the vocabulary is broken: its ids do not lie in 0..{_MAX_VOCABULARY - 1}")
    tokens = [""] * size
    for name, token in vocab.items():
        tokens[token] = name
    return tokens


def _json_bpe(described: dict[str, Any], special: set[str], where: str) -> tokenizers.Tokenizer:
    """Build the part of a tokenizer.json that user text goes through: no added tokens, nothing put around."""
    model = described["model"]
    if model.get("type", "BPE") != "BPE" or "ByteLevel" not in json.dumps(described["pre_tokenizer"]):
        raise BadModel(f"{where}: only byte-level BPE vocabularies are supported")
    if model.get("continuing_subword_prefix") or model.get("end_of_word_suffix"):
        raise BadModel(f"{where}: only byte-level BPE vocabularies are supported, without marks on parts of words")
    vocab = {name: token for name, token in model["vocab"].items() if name not in special}
    pairs = (tuple(merge.split(" ")) if isinstance(merge, str) else tuple(merge) for merge in model["merges"])
    _require_merged(vocab, ((left, right) for left, right in pairs), where)
    plain = {**described, "model": {**model, "vocab": vocab}, "added_tokens": [], "post_processor": None}
    whole = json.dumps({**plain, "truncation": None, "padding": None})
    return _built(where, lambda: tokenizers.Tokenizer.from_str(whole))


def _read_json(path: Path, *, needed: bool = True) -> dict[str, Any]:
    try:
        if not needed and not path.exists():
            return {}
        if path.stat().st_size > _MAX_JSON_BYTES:
            raise BadModel(f"{path}: larger than {_MAX_JSON_BYTES} bytes, so it is not read")
        found = json.loads(path.read_bytes())
    except OSError as error:
        raise BadModel(f"{path}: cannot be read: {error.strerror}") from error
    except (ValueError, RecursionError) as error:
        raise BadModel(f"{path}: not JSON: {error}") from error
    if not isinstance(found, dict):
        raise BadModel(f"{path}: not a JSON object but a {type(found).__name__}")
    return found


def _shown(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:200]


def _token_name(described: str | dict[str, Any] | None) -> str:
    """Give the name of a token that a configuration writes as a string or as an object."""
    name = described.get("content") if isinstance(described, dict) else described
    return name or ""


def _template_source(folder: Path, configured: str | list[dict[str, str]] | None) -> str | None:
    """Give the template from its own file or the configuration, where several may have names."""
    beside = folder / "chat_template.jinja"
    if beside.is_file():
        try:
            return beside.read_text("utf-8")
        except OSError as error:
            raise BadModel(f"{beside}: cannot be read: {error.strerror}") from error
    if isinstance(configured, list):
        return {template["name"]: template["template"] for template in configured}["default"]
    return configured
