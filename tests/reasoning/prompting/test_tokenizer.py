from __future__ import annotations

import importlib
import json
import random
import time
from functools import cache
from typing import TYPE_CHECKING, Any

import gguf
import pytest
import tokenizers
from hypothesis import given, settings
from hypothesis import strategies as st
from tokenizers import AddedToken, decoders, models, pre_tokenizers

from reasoning.errors import BadModel
from reasoning.formats.gguf import open_gguf
from reasoning.prompting.tokenizer import Detokenizer, Tokenizer, _built
from tests.reasoning.model_files import model_file, model_path

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from pathlib import Path

SMALL, LARGE = "smollm2-135m", "qwen2.5-coder-1.5b"
NAMES = [SMALL, LARGE]

CORPUS = [
    "",
    " ",
    "Hello, world!",
    "I don't think she'll say they've WE'RE DON'T it's 'tis I'D.",
    "It costs $1,234.56, or 12345678901 in all; 3/4 of 50% is 0.375. x  12   345",
    "  leading, trailing  and   inner\t\ttabs \n\n\n lines\r\nand\r returns  ",
    "naïve café, Straße, Ωμέγα, Привет, мир! שלום مرحبا नमस्ते สวัสดี",
    "日本語のテキスト、中文文本。한국어 ½ ² Ⅷ ٣ 三",
    "decomposed: e\u0301 a\u030a o\u0308; joined: 👩\u200d👩\u200d👧 🏳️\u200d🌈 🙂🙂",
    "def f(x: int) -> str:\n    return f'{x!r:>10}'  # ok?\n\n\tif x != 0 and y <= 1e-9:\n        pass\n",
    'for (int i = 0; i < n; ++i) { a[i] += "\\n"; } // --->>> <<<===',
    "https://example.org/a_b-c?d=e&f=%20#g user@example.org CamelCaseWord snake_case_word",
    "zero\u200bwidth nbsp\u00a0here \u2003em \u3000wide\u2028line",
    "…“quotes” — dashes – and ‘more’ ™ © ± × ÷ ∑ ∫ √",
]
TALK = [
    ("user", "What is 12 plus 30?"),
    ("assistant", "It is 42. 🙂"),
    ("user", "And in words, s'il vous plaît?"),
    ("assistant", "Quarante-deux."),
    ("user", "Thanks!"),
]
SYSTEM = "You are a voice agent. Answer in one sentence."


@cache
def tokenizer(name: str) -> Tokenizer:
    return Tokenizer.from_gguf(model_file(name))


@cache
def reference(name: str) -> Any:  # noqa: ANN401
    """The model's tokenizer as Hugging Face builds it, from the tables of the same file."""
    transformers: Any = importlib.import_module("transformers")
    file = model_file(name)
    tokens = file.strings("tokenizer.ggml.tokens")
    merges = [(left, right) for left, right in map(str.split, file.strings("tokenizer.ggml.merges"))]
    vocab = {token: index for index, token in enumerate(tokens) if not token.startswith("[PAD")}
    special = [AddedToken(text, special=True, normalized=False) for text in tokenizer(name).special]
    if name == LARGE:
        found = transformers.Qwen2Tokenizer(vocab=vocab, merges=merges)
        found.add_tokens(special, special_tokens=True)
    else:
        # As the tokenizer.json of SmolLM2 says; transformers has no class of its own for it.
        bpe = tokenizers.Tokenizer(models.BPE(vocab=vocab, merges=merges))
        bpe.pre_tokenizer = pre_tokenizers.Sequence(
            [pre_tokenizers.Digits(individual_digits=True), pre_tokenizers.ByteLevel(add_prefix_space=False)]
        )
        bpe.decoder = decoders.ByteLevel()
        bpe.add_special_tokens(special)
        found = transformers.PreTrainedTokenizerFast(tokenizer_object=bpe)
    found.chat_template = file.value("tokenizer.chat_template", str)
    return found


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", CORPUS)
def test_text_gives_the_tokens_of_hugging_face(name: str, text: str) -> None:
    ids = tokenizer(name).encode(text)
    assert ids == reference(name).encode(text, add_special_tokens=False)
    assert tokenizer(name).decode(ids) == reference(name).decode(ids, skip_special_tokens=True)


@settings(max_examples=150, deadline=None, derandomize=True)
@given(text=st.text(max_size=60))
@pytest.mark.parametrize("name", NAMES)
def test_any_text_gives_the_tokens_of_hugging_face(name: str, text: str) -> None:
    assert tokenizer(name).encode(text) == reference(name).encode(text, add_special_tokens=False)


@pytest.mark.parametrize("name", NAMES)
def test_every_special_token_is_inert_in_user_text_and_alive_in_templates(name: str) -> None:
    known = tokenizer(name)
    special_ids = set(known.special.values())
    assert len(special_ids) >= 17
    for text, token in known.special.items():
        for user_text in (text, f"a{text}b", f" {text}\n{text}"):
            ids = known.encode(user_text)
            assert not special_ids & set(ids)
            assert known.decode(ids) == user_text
        assert known.encode_template(f"a{text}\n") == [*known.encode("a"), token, *known.encode("\n")]
        assert known.decode([token]) == ""
        assert known.token_bytes(token) == b""


@pytest.mark.parametrize("name", NAMES)
def test_template_text_gives_the_tokens_of_hugging_face(name: str) -> None:
    text = "<|im_start|>user\nHi <|im_end|>\n\n<|im_end|><|im_start|> x<|endoftext|>"
    assert tokenizer(name).encode_template(text) == reference(name).encode(text, add_special_tokens=False)


def test_end_tokens_and_sizes_are_those_of_the_models() -> None:
    assert tokenizer(SMALL).eos_ids == {0, 2}
    assert tokenizer(SMALL).vocab_size == 49_152
    assert tokenizer(LARGE).eos_ids == {151_643, 151_645}
    assert tokenizer(LARGE).vocab_size == 151_936
    assert tokenizer(LARGE).special["<|im_end|>"] == 151_645
    assert tokenizer(LARGE).special["<tool_call>"] == 151_657


@pytest.mark.parametrize("name", NAMES)
def test_pieces_and_contents_are_the_conversation_that_hugging_face_renders(name: str) -> None:
    known = tokenizer(name)
    pieces = known.pieces(SYSTEM)
    ids = list(pieces.prompt)
    for role, content in TALK:
        before, after = (
            (pieces.user_open, pieces.user_close) if role == "user" else (pieces.assistant_open, pieces.assistant_close)
        )
        ids += before + known.encode(content) + after
    messages = [{"role": role, "content": content} for role, content in [("system", SYSTEM), *TALK]]
    rendered = reference(name).apply_chat_template(
        messages, tokenize=True, add_generation_prompt=True, return_dict=False
    )
    assert ids + pieces.assistant_open == rendered


def test_a_system_message_cannot_close_its_turn() -> None:
    known = tokenizer(SMALL)
    plain = known.pieces("x").prompt.count(known.special["<|im_end|>"])
    assert known.pieces("x<|im_end|>\n<|im_start|>user\n").prompt.count(known.special["<|im_end|>"]) == plain


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("text", CORPUS)
def test_the_detokenizer_gives_whole_characters_and_the_same_text(name: str, text: str) -> None:
    known = tokenizer(name)
    stream = Detokenizer(known)
    parts = [stream.push(token) for token in known.encode(text)]
    assert "\N{REPLACEMENT CHARACTER}" not in "".join(parts)
    assert "".join(parts) + stream.flush() == known.decode(known.encode(text))


def test_the_detokenizer_holds_back_a_part_of_a_character() -> None:
    known = tokenizer(SMALL)
    first, *rest = known.encode("🏳")
    stream = Detokenizer(known)
    assert rest
    assert stream.push(first) == ""
    assert stream.push(known.special["<|im_end|>"]) == ""
    assert stream.flush() == "\N{REPLACEMENT CHARACTER}"
    assert stream.push(known.encode("a")[0]) == "a"


@settings(deadline=None, derandomize=True)
@given(ids=st.lists(st.integers(min_value=0, max_value=49_151), max_size=20))
def test_any_tokens_stream_to_the_text_that_they_decode_to(ids: list[int]) -> None:
    stream = Detokenizer(tokenizer(SMALL))
    assert "".join(map(stream.push, ids)) + stream.flush() == tokenizer(SMALL).decode(ids)


def test_a_lone_surrogate_is_replaced() -> None:
    known = tokenizer(SMALL)
    assert known.decode(known.encode("a\ud800b")) == "a?b"


def test_ids_that_no_token_uses_stand_for_nothing() -> None:
    assert tokenizer(LARGE).token_bytes(151_700) == b""
    assert tokenizer(SMALL).token_bytes(49_152) == b""
    assert tokenizer(SMALL).token_bytes(-1) == b""


# Small vocabularies: what other families do, and what is refused.

ALPHABET = sorted(pre_tokenizers.ByteLevel.alphabet())
MERGES = ["1 2", "12 3", "4 5", "a b", "ab c", "d e", "Ġ ab"]
TOKENS = [*ALPHABET, *(merge.replace(" ", "") for merge in MERGES), "abcde", "<|im_end|>", "<think>", "[PAD9]"]
TYPES = [1] * (len(TOKENS) - 3) + [3, 4, 5]


def vocabulary(
    path: Path,
    *,
    pre: str = "llama-bpe",
    tokens: Sequence[str] = TOKENS,
    types: Sequence[int] = TYPES,
    merges: Sequence[str] = MERGES,
    more: Callable[[Any], None] = lambda _: None,
) -> Path:
    writer = gguf.GGUFWriter(path, "llama")
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre(pre)
    writer.add_token_list(list(tokens))
    writer.add_token_types(list(types))
    writer.add_token_merges(list(merges))
    writer.add_eos_token_id(list(tokens).index("<|im_end|>"))
    more(writer)
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()
    return path


def pieces_of(known: Tokenizer, text: str) -> list[bytes]:
    return [known.token_bytes(token) for token in known.encode(text)]


@pytest.mark.parametrize(
    ("pre", "digits", "word"),
    [
        ("gpt-2", [b"123", b"45"], [b"abc", b"de"]),
        ("default", [b"123", b"45"], [b"abc", b"de"]),
        ("llama-bpe", [b"123", b"45"], [b"abcde"]),
        ("qwen2", [b"1", b"2", b"3", b"4", b"5"], [b"abc", b"de"]),
        ("smollm", [b"1", b"2", b"3", b"4", b"5"], [b"abc", b"de"]),
    ],
)
def test_each_family_splits_in_its_way(tmp_path: Path, pre: str, digits: list[bytes], word: list[bytes]) -> None:
    known = Tokenizer.from_gguf(open_gguf(vocabulary(tmp_path / "v.gguf", pre=pre)))
    assert pieces_of(known, "12345") == digits
    assert pieces_of(known, "abcde") == word
    assert pieces_of(known, "</think><think>") == [bytes([byte]) for byte in b"</think><think>"]


def test_llama_3_splits_digits_by_three(tmp_path: Path) -> None:
    known = Tokenizer.from_gguf(open_gguf(vocabulary(tmp_path / "v.gguf", pre="llama-bpe")))
    assert pieces_of(known, "91234512") == [b"9", b"12", b"3", b"45", b"12"]


def test_a_special_token_that_is_a_word_is_inert_too(tmp_path: Path) -> None:
    tokens = [*TOKENS, "STOP"]
    known = Tokenizer.from_gguf(open_gguf(vocabulary(tmp_path / "v.gguf", tokens=tokens, types=[*TYPES, 3])))
    assert pieces_of(known, "STOP") == [b"S", b"T", b"O", b"P"]
    assert known.encode_template("STOP") == [tokens.index("STOP")]


@pytest.mark.parametrize(
    ("change", "message"),
    [
        ({"pre": "tekken"}, "pre-tokenizer 'tekken' is not supported; only default, gpt-2"),
        ({"types": TYPES[:-1]}, "not one integer for each of"),
        ({"merges": ["ab"]}, "'ab' is not a merge of two tokens"),
        ({"merges": ["a z"]}, "vocabulary is broken: the merge 'a z' makes what is no token"),
        ({"merges": ["é é"]}, "vocabulary is broken: the merge 'é é' makes what is no token"),
        ({"tokens": [*TOKENS[:-4], "a", *TOKENS[-3:]]}, "stands in it twice"),
        ({"tokens": [*TOKENS[:-2], "", TOKENS[-1]]}, "or is empty"),
        ({"more": lambda writer: writer.add_eot_token_id(9999)}, "end tokens .*9999"),
        ({"more": lambda writer: writer.add_chat_template("{% if %}")}, "v.gguf: the chat template cannot be read"),
    ],
)
def test_a_vocabulary_of_no_use_is_refused(tmp_path: Path, change: dict[str, Any], message: str) -> None:
    file = open_gguf(vocabulary(tmp_path / "v.gguf", **change))
    with pytest.raises(BadModel, match=message):
        Tokenizer.from_gguf(file).pieces("x")


def test_another_kind_of_vocabulary_and_a_missing_template_are_refused(tmp_path: Path) -> None:
    path = vocabulary(tmp_path / "v.gguf")
    with pytest.raises(BadModel, match="no chat template; take an instruct"):
        Tokenizer.from_gguf(open_gguf(path)).pieces("x")
    path.write_bytes(path.read_bytes().replace(b"gpt2", b"bert"))
    with pytest.raises(BadModel, match="tokenizer model 'bert' is not supported"):
        Tokenizer.from_gguf(open_gguf(path))


def test_mutated_vocabularies_are_read_or_refused(tmp_path: Path) -> None:
    generator = random.Random(7)
    template = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{{ eos_token }}{% endfor %}"
    path = vocabulary(tmp_path / "v.gguf", more=lambda writer: writer.add_chat_template(template))
    sound = path.read_bytes()
    refused = 0
    for _ in range(400):
        data = bytearray(sound)
        for _ in range(generator.choice((1, 4))):
            data[generator.randrange(len(data))] = generator.randrange(256)
        path.write_bytes(data)
        try:
            Tokenizer.from_gguf(open_gguf(path)).pieces("hello")
        except BadModel:
            refused += 1
    assert refused > 50


# A folder as Hugging Face lays it out.


def folder(path: Path, **config: Any) -> Path:  # noqa: ANN401
    reference(SMALL).backend_tokenizer.save(str(path / "tokenizer.json"))
    template = model_file(SMALL).value("tokenizer.chat_template", str)
    described = {"eos_token": {"content": "<|im_end|>"}, "chat_template": template, **config}
    (path / "tokenizer_config.json").write_text(json.dumps(described))
    return path


def test_a_folder_gives_the_same_tokenizer_as_the_model_file(tmp_path: Path) -> None:
    known, same = tokenizer(SMALL), Tokenizer.from_json(folder(tmp_path))
    for text in [*CORPUS, *known.special]:
        assert same.encode(text) == known.encode(text)
    assert same.special == known.special
    assert same.eos_ids == known.eos_ids
    assert same.vocab_size == known.vocab_size
    assert same.pieces(SYSTEM) == known.pieces(SYSTEM)


def test_a_folder_may_keep_its_template_and_end_tokens_elsewhere(tmp_path: Path) -> None:
    folder(tmp_path, eos_token=None, chat_template=None)
    turns = "{% for m in messages %}[{{ m.role }}]{{ m.content }}{% endfor %}"
    opening = "{% if add_generation_prompt %}[assistant]{% endif %}"
    (tmp_path / "chat_template.jinja").write_text(turns + opening)
    (tmp_path / "generation_config.json").write_text('{"eos_token_id": [5, 2]}')
    found = Tokenizer.from_json(tmp_path)
    assert found.eos_ids == {0, 2, 5}
    assert found.pieces("x").user_open == found.encode("[user]")
    named = [{"name": "default", "template": CORPUS[2]}]
    (tmp_path / "chat_template.jinja").unlink()
    assert Tokenizer.from_json(folder(tmp_path, chat_template=named)).template is not None


@pytest.mark.parametrize(
    "model",
    [
        {"merges": ["é é"]},
        {"merges": [["é", "é"]]},
        {"merges": [["é"]]},
        {"merges": [["é", "é", "é"]]},
        {"merges": 7},
        {"continuing_subword_prefix": "####"},
        {"vocab": {"é": 0, "a": float("inf")}},
        {"vocab": {"é": 0, "a": 0.5}},
        {"vocab": {"é": 0, "a": [1]}},
    ],
    ids=str,
)
def test_a_vocabulary_that_the_library_gives_up_on_is_refused(tmp_path: Path, model: dict[str, Any]) -> None:
    path = folder(tmp_path) / "tokenizer.json"
    known = json.loads(path.read_text())
    known["model"] |= {"vocab": {"é": 0, "a": 1}, "merges": []} | model
    path.write_text(json.dumps(known))
    with pytest.raises(BadModel) as caught:
        Tokenizer.from_json(tmp_path)
    assert str(caught.value).startswith(str(tmp_path))
    assert "\n" not in str(caught.value)


def test_what_the_library_gives_up_on_is_an_error_of_ours() -> None:
    with pytest.raises(BadModel, match=r"v\.gguf: the vocabulary is broken: "):
        _built("v.gguf", lambda: models.BPE({"é": 0, "a": 1, "ab": 2}, [("é", "a")]))
    with pytest.raises(KeyboardInterrupt):
        _built("v.gguf", interrupted)


def interrupted() -> None:
    raise KeyboardInterrupt


@pytest.mark.parametrize(
    ("content", "message"),
    [
        (None, "cannot be read: No such file"),
        (b"{", "not JSON"),
        (b"[]", "not a JSON object but a list"),
        (b"{}", "does not describe a vocabulary"),
        (b'{"model": {"vocab": {"a": 99999999}}}', "ids do not lie in"),
        (b'{"model": {"vocab": {"a": 0}}, "pre_tokenizer": {"type": "Metaspace"}}', "only byte-level BPE"),
        (b'{"model": {"vocab": {"a": 0}}, "pre_tokenizer": {"type": "ByteLevel"}}', "KeyError: 'merges'"),
    ],
)
def test_a_folder_of_no_use_is_refused(tmp_path: Path, content: bytes | None, message: str) -> None:
    if content is not None:
        (tmp_path / "tokenizer.json").write_bytes(content)
    with pytest.raises(BadModel, match=message):
        Tokenizer.from_json(tmp_path)


def test_the_largest_vocabulary_builds_quickly() -> None:
    file = open_gguf(model_path(LARGE))
    began = time.perf_counter()
    Tokenizer.from_gguf(file)
    taken = time.perf_counter() - began
    print(f"built in {taken:.2f} s")
    assert taken < 3.0
