"""Holds a stream to a grammar: which tokens may come next, by llguidance on the tables of our own tokenizer.

A grammar is compiled once and kept; each stream gets a matcher of its own. A mask is made only for a row that
has a grammar, in one buffer, and turned into a bias on the logits without leaving tensors. One that is being compiled
holds up nobody but those who want the same. Knows nothing of tools or prompts.
"""

from __future__ import annotations

import json
import re
import threading
from collections import OrderedDict
from concurrent.futures import Future
from typing import TYPE_CHECKING, Any, Final

import torch
from llguidance import LLMatcher, LLParserLimits, LLTokenizer, TokenizerWrapper

from reasoning.engine.device import carried
from reasoning.errors import BadTool, EngineFailed

if TYPE_CHECKING:
    from torch import Tensor

    from reasoning.engine.contract import Grammar
    from reasoning.prompting.tokenizer import Tokenizer

_KEPT: Final = 16
"""Compiled grammars that are kept, the newest."""
_SPACING: Final = {"whitespace_flexible": False, "item_separator": ", ", "key_separator": ": "}
_LIMITS: Final = LLParserLimits(max_grammar_size=50_000, max_items_in_row=500, initial_lexer_fuel=200_000)
"""Work that a grammar may cause, well above what tools need: a hostile schema must not hold up the other streams."""


class Grammars:
    """The grammars of one vocabulary."""

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._tokenizer = tokenizer
        self._table: LLTokenizer | None = None
        self._compiled: OrderedDict[Grammar, Future[LLMatcher]] = OrderedDict()
        self._lock, self._tables = threading.Lock(), threading.Lock()

    def matcher(self, grammar: Grammar) -> Matcher:
        """Give a matcher for one stream; `BadTool` where the grammar cannot be used. Slow at the first call (0.5 s)."""
        with self._lock:
            compiled = self._compiled.get(grammar)
            mine = None if compiled is not None else Future[LLMatcher]()
            if mine is not None:
                self._compiled[grammar] = compiled = mine
                while len(self._compiled) > _KEPT:
                    self._compiled.popitem(last=False)
            self._compiled.move_to_end(grammar)
        if mine is not None:
            try:
                mine.set_result(self._compile(grammar))
            except BaseException as problem:
                mine.set_exception(problem)
                with self._lock:
                    self._compiled.pop(grammar, None)
                raise
        assert compiled is not None  # it is there, or mine  # noqa: S101
        whole = compiled.result()
        with self._lock:
            return Matcher(whole.deep_copy(), self._tokenizer.vocab_size)

    def _compile(self, grammar: Grammar) -> LLMatcher:
        if not grammar.forms or grammar.at_most < 1:
            raise BadTool("a grammar needs a form, and room for one passage at least")
        with self._tables:
            if self._table is None:
                self._table = _table(self._tokenizer)
        matcher = LLMatcher(self._table, _lark(grammar, self._tokenizer), log_level=0, limits=_LIMITS)
        if matcher.is_error():
            raise BadTool(f"a tool's schema cannot be used: {_cause(matcher.get_error())}")
        return matcher


class Matcher:
    """Where one stream stands in its grammar."""

    def __init__(self, matcher: LLMatcher, vocabulary: int) -> None:
        self._matcher = matcher
        self._mask = torch.zeros((vocabulary + 31) // 32, dtype=torch.int32)

    def restrict(self, logits: Tensor) -> Tensor:
        """Give the logits [vocabulary] with minus infinity at every token that would break the grammar."""
        self._matcher.unsafe_compute_mask_ptr(self._mask.data_ptr(), self._mask.numel() * 4)
        if self._matcher.is_error():
            raise EngineFailed(f"a grammar failed while decoding: {_cause(self._matcher.get_error())}")
        # Little-endian words: byte k of the mask is tokens 8k to 8k + 7, the lowest bit first.
        words = carried(self._mask.view(torch.uint8), logits.device)
        bits = words.unsqueeze(1) & carried(_BITS, logits.device)
        allowed = bits.reshape(-1)[: len(logits)].to(torch.bool)
        if len(allowed) < len(logits):
            allowed = torch.nn.functional.pad(allowed, (0, len(logits) - len(allowed)))
        return logits.masked_fill(~allowed, -torch.inf)

    def take(self, token: int) -> None:
        """Go on by the token that was chosen."""
        if not self._matcher.consume_token(token):
            raise EngineFailed(f"a token broke its grammar: {_cause(self._matcher.get_error())}")


_BITS: Final = torch.tensor([1, 2, 4, 8, 16, 32, 64, 128], dtype=torch.uint8)


class _Vocabulary:
    """The tables in the shape that llguidance takes them."""

    bos_token_id = None

    def __init__(self, tokenizer: Tokenizer) -> None:
        self._encode = tokenizer.encode
        names = {token: name for name, token in tokenizer.special.items()}
        self.eos_token_id = min(tokenizer.eos_ids)
        self.special_token_ids = sorted(names)
        # A leading 0xFF byte, which no text has, tells special tokens from text that looks like them.
        self.tokens = [
            b"\xff" + names[token].encode() if token in names else tokenizer.token_bytes(token)
            for token in range(tokenizer.vocab_size)
        ]

    def __call__(self, text: str | bytes) -> list[int]:
        return self._encode(text.decode("utf-8", "replace") if isinstance(text, bytes) else text)


def _table(tokenizer: Tokenizer) -> LLTokenizer:
    return LLTokenizer(
        TokenizerWrapper(_Vocabulary(tokenizer)), n_vocab=tokenizer.vocab_size, eos_token=sorted(tokenizer.eos_ids)
    )


def _lark(grammar: Grammar, tokenizer: Tokenizer) -> str:
    """Write the grammar in llguidance's language."""
    names = sorted(tokenizer.special, key=len, reverse=True)
    special = re.compile("(" + "|".join(map(re.escape, names)) + ")") if names else None

    def fixed(text: str) -> str:
        parts = [part for part in (special.split(text) if special else [text]) if part]
        return " ".join(
            f"<[{tokenizer.special[part]}]>" if part in tokenizer.special else json.dumps(part) for part in parts
        )

    again = f"({fixed(grammar.separator)} passage){{0,{grammar.at_most - 1}}}" if grammar.at_most > 1 else ""
    rules = [f"start: passage {again}", "passage: " + " | ".join(f"form{i}" for i in range(len(grammar.forms)))]
    for number, form in enumerate(grammar.forms):
        schema: dict[str, Any] = {**json.loads(form.schema), "x-guidance": _SPACING}
        rules += [f"form{number}: {fixed(form.begin)} json{number} {fixed(form.end)}"]
        rules += [f"json{number}: %json {json.dumps(schema)}"]
    return "\n".join(rules)


def _cause(message: str) -> str:
    """Give the first line of a message, which holds the cause; the rest shows our own source."""
    lines = [line.strip() for line in message.splitlines() if line.strip()]
    return lines[0].partition("failed to compile JSON schema: ")[2] or lines[0] if lines else "no reason given"
