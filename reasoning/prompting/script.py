"""What the loop says to a model family: the words of its prompts, and the same as tokens.

Everything about a family stands here as data, so that adding one is a row of `FAMILIES`. The pieces are made so that
they can be written into the cache early: the tokens that close the user's turn and open the model's stand at the head
of the thoughts, never at the end of the input, where later words would fall behind them.

Knows templates and wording. Does not know when anything is said.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Final

from reasoning.errors import BadModel, BadTool
from reasoning.prompting.chat_template import ToolsCut
from reasoning.tools.calls import Tool, grammar_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from reasoning.engine.contract import Grammar
    from reasoning.prompting.tokenizer import Tokenizer
    from reasoning.tools.written import WrittenCall


_TOOLS: Final = ToolsCut(
    before="\n\nYou can call functions. Each is described here by one line of JSON:\n",
    between="\n",
    after='\nTo call one, write {"name": its name, "arguments": an object with its arguments}.',
)
_CALLING: Final = """
If it takes several function calls, write all of them in order, one on each line. If no function does what the user \
asks, call cannot. Examples with other functions:
User: Turn on the lamp.
{"name": "turn_on", "arguments": {"device": "lamp"}}
User: Find the book, then put it into the bag.
{"name": "find", "arguments": {"thing": "book"}}
{"name": "put_into", "arguments": {"container": "bag"}}
User: Mail this letter to Paul.
{"name": "write_address", "arguments": {"person": "Paul"}}
{"name": "send", "arguments": {}}
User: Iron my shirt.
{"name": "cannot", "arguments": {}}"""
_DECLINE: Final = Tool(
    "cannot",
    "Say that no other function does what is asked.",
    {"type": "object", "properties": {}, "additionalProperties": False},
)


@dataclass(frozen=True, slots=True)
class Family:
    """Wording for one family of models."""

    marks: tuple[str, ...]
    """Parts of a model's name that tell the family."""
    system: str
    """Who the assistant is; heads every conversation."""
    think_request: str
    """Follows the user's words, inside their turn, where thoughts come next."""
    work_open: str
    """Opens the thoughts."""
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
    need_of_numbers: float = 0.0
    """Log-odds that words with two numbers or more have ahead: small talk has few, and some problems give 0.6 to 1."""
    force_answer: str = "\nAnswer:"
    """Goes on with thoughts that do not come to an end: they name the best answer they have."""
    no_answer: str = "I'm sorry, I could not work that out."
    """Said when neither the writer nor the thoughts have an answer."""
    yes: tuple[str, ...] = ("Yes", "yes", " Yes", " yes")
    """Answers that mean yes; those of one token count."""
    no: tuple[str, ...] = ("No", "no", " No", " no")
    """Answers that mean no."""
    think_end: str = ""
    """Ends the thoughts of a model that was trained to think; empty where the end of the message does."""
    tools: ToolsCut = _TOOLS
    """Lists the tools, where the model's template does not."""
    calling: str = _CALLING
    """Follows the list of tools, and shows how to call several, and none."""
    decline: Tool = _DECLINE
    """Listed with the tools: a call of it says that nothing can be called."""
    call_begin: str = ""
    """Stands before the JSON of a call."""
    call_end: str = ""
    """Stands after it."""
    call_starts: tuple[str, ...] = ("<tool_call>", '{"', "{", "{\n", '{{"', "{{", "```", "[")
    """Ways in which the model begins a call, if it is free to."""
    act_request: str = "Now do what I asked for."
    """Asks for calls, after thoughts."""
    need_bias_with_tools: float = 0.4
    """As `need_bias`, with tools in the prompt and words that ask for none of them."""
    acted_request: str = (
        "You are beginning to do this now, none of it is done yet:\n{calls}\n"
        "Tell me in one short spoken sentence what you are doing. Begin with: I am"
    )
    """Asks what to say after calls; `{calls}` is a line for each."""
    acted: str = "I'm on it."
    """Said where the writer has no answer to that."""
    declined: str = "I'm sorry, I can't do that."
    """Said where nothing can be called."""
    note_request: str = "\n(Tell me this news in one short sentence.)"
    """Follows notes that came without the user's words."""


_INSTRUCT: Final = Family(
    marks=(),
    system=(
        "You are a helpful voice assistant. You speak in short, plain sentences, without lists, symbols or markup."
    ),
    think_request=(
        "\n(First work it out privately. Write one short calculation per line, nothing else. End with the answer.)"
    ),
    work_open="Working, one short calculation per line:\n",
    resume_open="Now I was told something more. With that, one short calculation per line:\n",
    answer_request="\n(Answer at once, in one short sentence.)",
    step_request="Read the last finished step above aloud to me, in plain spoken words.",
    result_request="Now tell me your final answer in one short spoken sentence.",
    need_question="\n\n(Before you answer: do you have to compute something? Answer only yes or no.)",
    need_bias=0.95,
    need_of_numbers=0.45,
)
_THINKING: Final = Family(
    marks=("qwen3",),
    system=_INSTRUCT.system,
    think_request="",
    work_open="<think>\n",
    resume_open=_INSTRUCT.resume_open,
    answer_request=" /no_think",
    step_request=_INSTRUCT.step_request + " /no_think",
    result_request=_INSTRUCT.result_request + " /no_think",
    need_question=_INSTRUCT.need_question + " /no_think",
    need_bias=0.0,
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
        pieces = self._pieces = tokenizer.pieces(family.system if system is None else system)
        words, tags = tokenizer.encode, tokenizer.encode_template
        answer = [*pieces.user_close, *pieces.assistant_open]
        self.prompt: list[int] = [*pieces.prompt, *pieces.user_open]
        """Heads the conversation and opens the user's turn."""
        self.think_open = [*words(family.think_request), *answer, *tags(family.work_open)]
        """Opens the thoughts when the turn has ended."""
        self.resume_open = words(f"\n\n{family.resume_open}")
        """Goes on with thoughts that were interrupted by new words."""
        self.answer_open = [*words(family.answer_request), *answer]
        """Opens a reply without thoughts."""
        self.note_open = [*words(family.note_request), *answer]
        """Opens a reply to notes that came without the user's words."""
        self.act_open = self._request(pieces.user_open, family.act_request, answer)
        """Asks for calls, after thoughts."""
        self.step_open = self._request(pieces.user_open, family.step_request, answer)
        self.result_open = self._request(pieces.user_open, family.result_request, answer)
        self.need = [*words(family.need_question), *answer]
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

    def prompt_with(self, tools: Sequence[Tool]) -> list[int]:
        """Give the head of the conversation with these tools in its system message, as the model's template has it."""
        if not tools:
            return self.prompt
        template = self.tokenizer.template
        cut = (template.cut_tools() if template is not None else None) or self.family.tools
        words, tags = self.tokenizer.encode, self.tokenizer.encode_template
        listed: list[int] = []
        for number, tool in enumerate([*tools, self.family.decline]):
            listed += [*(tags(cut.between) if number else []), *words(tool.described())]
        pieces = self._pieces
        told = [*tags(cut.before), *listed, *tags(cut.after), *words(self.family.calling)]
        return [*pieces.system, *told, *pieces.system_close, *pieces.user_open]

    def call_grammar(self, tools: Sequence[Tool], at_most: int) -> Grammar:
        """Give the grammar of calls of these tools, or of the one that declines; `BadTool` for one of its name."""
        family = self.family
        if any(tool.name == family.decline.name for tool in tools):
            raise BadTool(f"no tool may be called {family.decline.name!r}: a call of that says that nothing is called")
        return grammar_of([*tools, family.decline], begin=family.call_begin, end=family.call_end, at_most=at_most)

    def acted_open(self, calls: Sequence[WrittenCall]) -> list[int]:
        """Ask what to say after these calls."""
        lines = "\n".join(call.text() for call in calls)
        return self._request(
            self._pieces.user_open, self.family.acted_request.replace("{calls}", lines), self.heard_open
        )

    def calls_made(self, calls: Sequence[WrittenCall], *, after_text: bool) -> list[int]:
        """Give calls as they stand in the history, behind what was heard."""
        family, tokens = self.family, self.tokenizer
        return [
            token
            for number, call in enumerate(calls)
            for token in (
                *(tokens.encode("\n") if number or after_text else []),
                *tokens.encode_template(family.call_begin),
                *tokens.encode(call.text()),
                *tokens.encode_template(family.call_end),
            )
        ]

    @cached_property
    def call_starts(self) -> frozenset[int]:
        """Tokens that begin a call, when the model is free to write what it likes."""
        return frozenset(self.tokenizer.encode_template(text)[0] for text in self.family.call_starts)

    @cached_property
    def call_or_words(self) -> tuple[frozenset[int], frozenset[int]]:
        """The tokens that begin a call, and all others."""
        return self.call_starts, frozenset(range(self.tokenizer.vocab_size)) - self.call_starts

    def _request(self, user_open: Sequence[int], request: str, answer: Sequence[int]) -> list[int]:
        return [*user_open, *self.tokenizer.encode(request), *answer]

    def _single(self, answers: Sequence[str]) -> frozenset[int]:
        ids = map(self.tokenizer.encode, answers)
        found = frozenset(tokens[0] for tokens in ids if len(tokens) == 1)
        if not found:
            raise BadModel(f"the model's vocabulary has no single token for {answers[0]!r}; take another model")
        return found
