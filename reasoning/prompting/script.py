"""What the loop says to a model family: the words of its prompts, and the same as tokens.

Everything about a family stands here, so that adding one is a row of `FAMILIES`; its words are those of a language
(`languages.language.PromptWording`). The pieces are made so that
they can be written into the cache early: the tokens that close the user's turn and open the model's stand at the head
of the thoughts, never at the end of the input, where later words would fall behind them.

Knows templates and wording. Does not know when anything is said.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from languages.english import ENGLISH
from reasoning.errors import BadModel, BadTool
from reasoning.prompting.chat_template import ToolsCut
from reasoning.tools.calls import Tool, grammar_of

if TYPE_CHECKING:
    from collections.abc import Sequence

    from languages.language import Language
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
    """Wording for one family of models, in one language: `in_language` gives it in another."""

    marks: tuple[str, ...]
    """Parts of a model's name that tell the family."""
    language: Language
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
    kinds."""
    need_of_numbers: float
    """Log-odds that words with two numbers or more have ahead: small talk has few."""
    need_bias_with_tools: float
    """As `need_bias`, with tools in the prompt and words that ask for none of them."""
    force_answer: str
    """Goes on with thoughts that do not come to an end: they name the best answer they have."""
    yes: tuple[str, ...]
    """Answers that mean yes; those of one token count."""
    no: tuple[str, ...]
    """Answers that mean no."""
    act_request: str
    """Asks for calls, after thoughts."""
    acted_request: str
    """Asks what to say after calls; `{calls}` is a line for each."""
    note_request: str
    """Follows notes that came without the user's words."""
    no_answer: str
    """Said when neither the writer nor the thoughts have an answer."""
    acted: str
    """Said where the writer has no answer to what it is doing."""
    declined: str
    """Said where nothing can be called."""
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

    def in_language(self, language: Language) -> Family:
        """Give the wording of the same family in another language."""
        if language is self.language:
            return self
        return (_thinking if self.think_end else _instruct)(self.marks, language)


def _instruct(marks: tuple[str, ...], language: Language) -> Family:
    """Word a family of models that follow instructions: they think in short lines where they are asked to."""
    wording, replies = language.prompts, language.replies
    return Family(
        marks,
        language,
        system=wording.system,
        think_request=wording.think_request,
        work_open=wording.work_open,
        resume_open=wording.resume_open,
        answer_request=wording.answer_request,
        step_request=wording.step_request,
        result_request=wording.result_request,
        need_question=wording.need_question,
        need_bias=wording.need_bias,
        need_of_numbers=wording.need_of_numbers,
        need_bias_with_tools=wording.need_bias_with_tools,
        force_answer=wording.force_answer,
        yes=wording.yes,
        no=wording.no,
        act_request=wording.act_request,
        acted_request=wording.acted_request,
        note_request=wording.note_request,
        no_answer=replies.no_answer,
        acted=replies.acted,
        declined=replies.declined,
    )


def _thinking(marks: tuple[str, ...], language: Language) -> Family:
    """Word a family of models that were trained to think."""
    plain = _instruct(marks, language)
    return replace(
        plain,
        think_request="",
        work_open="<think>\n",
        answer_request=" /no_think",
        step_request=f"{plain.step_request} /no_think",
        result_request=f"{plain.result_request} /no_think",
        need_question=f"{plain.need_question} /no_think",
        need_bias=0.0,
        need_of_numbers=0.0,
        think_end="</think>",
    )


FAMILIES: Final = (_thinking(("qwen3",), ENGLISH), _instruct((), ENGLISH))
"""Looked up in this order; the last one fits every instruct model."""


def family_of(model: str) -> Family:
    """Give the wording for a model's name, in English."""
    lowered = model.lower()
    return next((family for family in FAMILIES if any(mark in lowered for mark in family.marks)), FAMILIES[-1])


class Script:
    """One family's wording as tokens of one tokenizer."""

    def __init__(self, tokenizer: Tokenizer, family: Family, system: str | None = None) -> None:
        self.tokenizer, self.family, self._system = tokenizer, family, system
        self._others: dict[str, Script] = {}
        """The same in other languages, by their codes."""
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

    @property
    def language(self) -> Language:
        """Whose words these are."""
        return self.family.language

    def in_language(self, language: Language) -> Script:
        """Give the same in another language; instructions that somebody gave stay what they are."""
        if language is self.language:
            return self
        if language.code not in self._others:
            family = self.family.in_language(language)
            self._others[language.code] = Script(self.tokenizer, family, self._system)
        return self._others[language.code]

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
