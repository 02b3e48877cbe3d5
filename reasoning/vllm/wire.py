"""The part of vLLM's completion interface that the engine speaks: requests as data, and answers read back.

Sans-I/O. Prompts are token ids, so are answers: text never makes the journey, and nothing is tokenised twice. vLLM
ignores keys that it does not know, so every answer is checked for what the request asked of it.
"""

from __future__ import annotations

import json
import math
import uuid
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Any, Final

from reasoning.errors import EngineFailed
from reasoning.vllm.live import LiveViews, ViewLost

if TYPE_CHECKING:
    from collections.abc import Collection, Mapping, Sequence

COMPLETIONS: Final = "/v1/completions"
TOKENS_AT_ONCE: Final = 20
"""Log-probabilities that one request may ask for: vLLM's usual `--max-logprobs`."""
_PLACEHOLDER: Final = "token_id:"
_DONE: Final = "[DONE]"
_BAN: Final = -100.0
"""The lowest bias that the interface has."""


@dataclass(frozen=True, slots=True)
class Ask:
    """One request for tokens."""

    prompt: tuple[int, ...]
    max_tokens: int
    stop: frozenset[int] = frozenset()
    ban: frozenset[int] = frozenset()
    allowed: frozenset[int] | None = None
    """Tokens of which one must be chosen; None: all."""
    temperature: float = 0.0
    top_k: int = 0
    top_p: float = 1.0
    min_p: float = 0.0
    seed: int = 0
    weighed: tuple[int, ...] = ()
    """Tokens whose log-probabilities are wanted beside that of the chosen one."""
    label: str = ""
    """What it is for, as the server's log shall call it."""
    live: LiveViews | None = None
    """What it reads of requests that run, where the server has live views; the prompt stands for all of it."""

    def after(self, piece: CompletionPiece) -> Ask:
        """Ask for the rest: what remains when the answer breaks off behind this token."""
        return replace(self, prompt=(*self.prompt, piece.id), max_tokens=self.max_tokens - 1, live=None)

    def body(self, model: str, *, priorities: bool, session: str | None = None) -> dict[str, Any]:
        """Give the request's JSON. Everything stands in it: the model's own defaults must not change anything."""
        body: dict[str, Any] = {
            "model": model,
            "request_id": f"{self.label}-{uuid.uuid4().hex}",
            "prompt": list(self.prompt),
            "max_tokens": self.max_tokens,
            "stream": True,
            "return_token_ids": True,
            "return_tokens_as_token_ids": True,
            "logprobs": len(self.weighed),
            "ignore_eos": True,
            "stop_token_ids": sorted(self.stop),
            "temperature": self.temperature,
            "top_k": self.top_k,
            "top_p": self.top_p,
            "min_p": self.min_p,
            "seed": self.seed,
            **dict.fromkeys(("presence_penalty", "frequency_penalty"), 0.0),
            "repetition_penalty": 1.0,
        }
        if self.live is not None and session is not None:
            body["vllm_xargs"] = self.live.arguments(session)
            body["prompt"] = list(self.prompt[len(self.prompt) - self.live.own :])
        if self.ban:
            body["logit_bias"] = {str(token): _BAN for token in sorted(self.ban)}
        if self.allowed is not None:
            body["allowed_token_ids"] = sorted(self.allowed)
        if self.weighed:
            body["logprob_token_ids"] = list(self.weighed)
        if priorities:
            # The shortest job first: a question and a sentence overtake thoughts, whoever they belong to.
            body["priority"] = self.max_tokens
        return body


@dataclass(frozen=True, slots=True)
class CompletionPiece:
    """One token of an answer."""

    id: int
    log_prob: float
    weighed: Mapping[int, float]
    """Log-probabilities of the tokens that were asked for."""


class Unavailable(Exception):
    """A server cannot answer now; another one, or the same one later, can."""


class Completion:
    """Reads the lines of one streamed answer."""

    def __init__(self, ask: Ask, served: Collection[str] = ()) -> None:
        """Read the answer to `ask`. `served`: names of the model that may answer; none: any."""
        self._ask, self._served = ask, served
        self.complete = False
        """Whether the server said that this is all."""

    def read(self, line: str) -> list[CompletionPiece]:
        """Take one line of the stream and give the tokens in it. Raises `Unavailable` and `EngineFailed`."""
        data = line.removeprefix("data:").strip()
        if data == line.strip() or data == _DONE:
            # An empty line, a comment, or the end of the stream, which the last choice has told already.
            return []
        try:
            told = json.loads(data)
        except json.JSONDecodeError:
            # What stands between here and the server has ended the answer as if it were whole.
            raise Unavailable("the answer broke off in the middle of a line") from None
        except (ValueError, RecursionError) as error:
            raise EngineFailed(f"the server does not speak vLLM's interface: {error!r}") from error
        try:
            if "error" in told:
                raise (Unavailable if self._ask.live is None else ViewLost)(_message(told))
            if self._served and (name := told.get("model")) is not None and name not in self._served:
                raise EngineFailed(
                    f"the model {str(name)[:100]!r} answered in place of {' or '.join(sorted(self._served))[:200]}; "
                    "behind a router, too, all servers must serve the same model"
                )
            return [piece for choice in told["choices"] for piece in self._choice(choice)]
        except (ValueError, TypeError, KeyError, AttributeError, RecursionError) as error:
            raise EngineFailed(f"the server does not speak vLLM's interface: {error!r}") from error

    def _choice(self, choice: Mapping[str, Any]) -> list[CompletionPiece]:
        ids, log_probs = choice.get("token_ids"), choice.get("logprobs") or {}
        reason = choice.get("finish_reason")
        if reason not in {None, "stop", "length"}:
            raise Unavailable(f"the server ended the request: {reason}")
        self.complete = reason is not None
        if not ids and choice.get("text", "") == "":
            return []
        found = log_probs.get("token_logprobs") or []
        if not ids or len(ids) != len(found):
            raise EngineFailed(
                "the server does not return token ids with their log-probabilities; "
                "it must know `return_token_ids`, `logprobs` and `logprob_token_ids` (vLLM 0.32 does)"
            )
        tops: Sequence[Mapping[str, float]] = log_probs.get("top_logprobs") or [{}] * len(ids)
        return [self._piece(*row) for row in zip(ids, found, tops, strict=True)]

    def _piece(self, token: int, log_prob: float | None, top: Mapping[str, float] | None) -> CompletionPiece:
        ask = self._ask
        if token in ask.ban or (ask.allowed is not None and token not in ask.allowed):
            raise EngineFailed(f"the server chose token {token}, which must not be chosen: no other could be chosen")
        listed = {int(name.removeprefix(_PLACEHOLDER)): value for name, value in (top or {}).items()}
        missing = [wanted for wanted in ask.weighed if wanted not in listed]
        if missing:
            raise EngineFailed(
                f"the server does not tell the log-probabilities of {len(missing)} tokens that were asked for; "
                "it must know `logprob_token_ids` (vLLM 0.32 does)"
            )
        return CompletionPiece(
            token, -math.inf if log_prob is None else log_prob, {id_: listed[id_] for id_ in ask.weighed}
        )


def refusal(status: int, content: bytes) -> Unavailable | EngineFailed:
    """Say what a status other than 200 means: try again, or never."""
    try:
        told = _message(json.loads(content))
    except (ValueError, RecursionError):
        page = content.lstrip().startswith(b"<")
        told = "a web page; is a proxy in between?" if page else content[:200].decode("utf-8", "replace")
    message = f"the server answers {status}: {' '.join(told.split()) or 'no reason given'}"
    return Unavailable(message) if status in {408, 425, 429} or status >= 500 else EngineFailed(message)


def _message(told: object) -> str:
    error = told.get("error", told) if isinstance(told, dict) else told
    return str(error.get("message", error) if isinstance(error, dict) else error)[:500]
