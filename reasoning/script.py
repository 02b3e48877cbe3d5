"""What the loop says to a model family: the words of its prompts, and the same as tokens.

Everything about a family stands here as data, so that adding one is a row of `FAMILIES`. The pieces are made so that
they can be written into the cache early: the tokens that close the user's turn and open the model's stand at the head
of the thoughts, never at the end of the input, where later words would fall behind them.

Knows templates and wording. Does not know when anything is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from reasoning.errors import BadModel

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reasoning.tokenizer import Tokenizer


@dataclass(frozen=True, slots=True)
class Family:
    """Wording for one family of models."""

    marks: tuple[str, ...]
    """Parts of a model's name that tell the family."""
    system: str
    """Who the assistant is; heads every conversation."""
    think_request: str
    """Follows the user's words, inside their turn, where thoughts come next."""
    early_open: str
    """Opens the thoughts while the user still talks; only facts may follow."""
    work_open: str
    """Follows the kept facts (or opens the thoughts) when the turn has ended."""
    resume_open: str
    """Follows thoughts that were interrupted by new words."""
    answer_request: str
    """Follows the user's words where the reply comes at once."""
    step_request: str
    """Asks for one sentence about the last finished step."""
    result_request: str
    """Asks for the result, after the thoughts have ended."""
    need_question: str
    """Follows the user's words and asks whether they call for thinking at all."""
    need_bias: float
    """Log-odds of yes at which the need question divides small talk from problems, measured on questions of both
    kinds: with the default model small talk gives -0.8 to 0.7, problems 1.2 to 2.3."""
    readiness_question: str
    """Asks whether there is something new to tell."""
    no_answer: str = "I'm sorry, I could not work that out."
    """Said when neither the writer nor the thoughts have an answer."""
    yes: tuple[str, ...] = ("Yes", "yes", " Yes", " yes")
    """Answers that mean yes; those of one token count."""
    no: tuple[str, ...] = ("No", "no", " No", " no")
    """Answers that mean no."""
    think_end: str = ""
    """Ends the thoughts of a model that was trained to think; empty where the end of the message does."""


_INSTRUCT: Final = Family(
    marks=(),
    system=(
        "You are a helpful voice assistant. You speak in short, plain sentences, without lists, symbols or markup."
    ),
    think_request="\n(First think it through privately, in short steps. Do the arithmetic one step at a time.)",
    early_open="What I have heard so far:\n-",
    work_open="Step by step, a calculation in each step:\n1.",
    resume_open="Now I was told something more. With that, step by step:\n-",
    answer_request="\n(Answer at once, in one short sentence.)",
    step_request="Read the last finished step above aloud to me, in plain spoken words.",
    result_request="Now tell me your final answer in one short spoken sentence.",
    need_question="\n\n(Before you answer: do you have to compute something? Answer only yes or no.)",
    need_bias=0.95,
    readiness_question="Has the working above found anything new that I have not been told yet? Answer yes or no.",
)
_THINKING: Final = Family(
    marks=("qwen3",),
    system=_INSTRUCT.system,
    think_request="",
    early_open="<think>\nWhat I have heard so far:\n-",
    work_open="<think>\n",
    resume_open=_INSTRUCT.resume_open,
    answer_request=" /no_think",
    step_request=_INSTRUCT.step_request + " /no_think",
    result_request=_INSTRUCT.result_request + " /no_think",
    need_question=_INSTRUCT.need_question + " /no_think",
    need_bias=0.0,
    readiness_question=_INSTRUCT.readiness_question + " /no_think",
    think_end="</think>",
)
FAMILIES: Final = (_THINKING, _INSTRUCT)
"""Looked up in this order; the last one fits every instruct model."""


def family_of(model: str) -> Family:
    """Give the wording for a model's name."""
    lowered = model.lower()
    return next((family for family in FAMILIES if any(mark in lowered for mark in family.marks)), FAMILIES[-1])


class Script:
    """One family's wording as tokens of one tokenizer."""

    def __init__(self, tokenizer: Tokenizer, family: Family, system: str | None = None) -> None:
        self.tokenizer, self.family = tokenizer, family
        pieces = tokenizer.pieces(family.system if system is None else system)
        words, tags = tokenizer.encode, tokenizer.encode_template
        answer = [*pieces.user_close, *pieces.assistant_open]
        self.prompt: list[int] = [*pieces.prompt, *pieces.user_open]
        """Heads the conversation and opens the user's turn."""
        self.early_open = [*words(family.think_request), *answer, *tags(family.early_open)]
        """Opens the thoughts while the user still talks."""
        self.think_open = [*words(family.think_request), *answer, *tags(family.work_open)]
        """Opens the thoughts when the turn has ended."""
        self.work_open = words("\n" + family.work_open.removeprefix("<think>\n"))
        """Goes on from early facts to the work."""
        self.resume_open = words(f"\n\n{family.resume_open}")
        """Goes on with thoughts that were interrupted by new words."""
        self.answer_open = [*words(family.answer_request), *answer]
        """Opens a reply without thoughts."""
        self.step_open = self._request(pieces.user_open, family.step_request, answer)
        self.result_open = self._request(pieces.user_open, family.result_request, answer)
        self.need = [*words(family.need_question), *answer]
        self.readiness = [
            *pieces.assistant_close, *self._request(pieces.user_open, family.readiness_question, answer)
        ]  # fmt: skip
        self.close = list(pieces.assistant_close)
        """Closes a message of the model that did not close itself."""
        self.think_close = tags(f"{family.think_end}\n\n") if family.think_end else []
        """Closes thoughts that did not end themselves."""
        self.heard_open = answer
        """Opens, in the history, what the user heard."""
        self.heard_close = [*pieces.assistant_close, *pieces.user_open]
        """Closes what the user heard and opens the user's next turn."""
        self.ends = tokenizer.eos_ids
        self.think_ends = self.ends | frozenset(tags(family.think_end) if family.think_end else [])
        """Tokens that end the thoughts."""
        self.bans = frozenset(tokenizer.special.values()) - self.think_ends
        """Control tokens that no stream may write."""
        self.yes_no = (self._single(family.yes), self._single(family.no))

    def _request(self, user_open: Sequence[int], request: str, answer: Sequence[int]) -> list[int]:
        return [*user_open, *self.tokenizer.encode(request), *answer]

    def _single(self, answers: Sequence[str]) -> frozenset[int]:
        ids = map(self.tokenizer.encode, answers)
        found = frozenset(tokens[0] for tokens in ids if len(tokens) == 1)
        if not found:
            raise BadModel(f"the model's vocabulary has no single token for {answers[0]!r}; take another model")
        return found
