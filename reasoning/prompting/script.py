"""What the loop says to a model: the words of its prompts, and the same as tokens.

The words are those of a language (`languages.language.PromptWording`). How the model thinks is found from its chat
template (`chat_template.ThinkingCut`), and what else is known of it from its profile (`profiles.profile`). The pieces
are made so that they can be written into the cache early: the tokens that close the user's turn and open the model's
stand at the head of the thoughts, never at the end of the input, where later words would fall behind them.

Knows templates and wording. Does not know when anything is said.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Final

from languages.english import ENGLISH
from reasoning.errors import BadModel, BadTool
from reasoning.prompting.chat_template import ThinkingCut, ToolsCut
from reasoning.prompting.profiles.profile import profile_of
from reasoning.prompting.profiles.reading import shipped_profiles
from reasoning.tools.calls import Tool, grammar_of

if TYPE_CHECKING:
    from collections.abc import Sequence
    from datetime import datetime

    from languages.language import Language, PromptWording
    from reasoning.engine.contract import Grammar
    from reasoning.prompting.chat_template import ChatTemplate
    from reasoning.prompting.profiles.profile import Calibration, ModelProfile
    from reasoning.prompting.tokenizer import Tokenizer
    from reasoning.tools.written import WrittenCall


_DEFAULT_MODEL: Final = "Qwen2.5 Coder 1.5B Instruct"
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
    """Wording for models that think in one way, in one language: `in_language` gives it in another."""

    language: Language
    prompts: PromptWording
    """What is said to the model: the language's, but for what the model's way to think changes."""
    think_end: str = ""
    """Ends the thoughts of a model that was trained to think; empty where the end of the message does."""
    no_thought: str = ""
    """Stands where such a model replies without thoughts, behind the opening of its message."""
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
        if not self.think_end:
            return replace(self, language=language, prompts=language.prompts)
        mine = self.prompts
        other = replace(
            _unprompted(language),
            work_open=mine.work_open,
            resume_open=mine.resume_open,
            notes_open=mine.notes_open,
            notes_resume_open=mine.notes_resume_open,
            force_answer=mine.force_answer,
        )
        return replace(self, language=language, prompts=other)


def _unprompted(language: Language) -> PromptWording:
    """Word what thoughts between tags need: no request to think, and steps that are told, not read aloud."""
    wording = language.prompts
    return replace(wording, think_request="", notes_request="", step_request=wording.found_request)


def _tagged(cut: ThinkingCut | None, profile: ModelProfile) -> Family:
    """Word a model that was trained to think between tags; `cut` as its template has them, None where it has not."""
    begin, end = profile.tags
    opening = f"{begin}\n" if cut is None else cut.opening
    prompts = replace(
        _unprompted(ENGLISH),
        work_open=opening,
        notes_open=opening,
        notes_resume_open=profile.told_more,
        resume_open=profile.told_more,
        force_answer=profile.enough,
    )
    return Family(ENGLISH, prompts, end, f"{begin}\n\n{end}\n\n" if cut is None else cut.empty)


FAMILIES: Final = (Family(ENGLISH, ENGLISH.prompts),)
"""Wording that fits every instruct model: of one that was trained to think, its template and profile change it."""


def family_of(model: str, template: ChatTemplate | None = None, profile: ModelProfile | None = None) -> Family:
    """Give the wording for a model, in English; its name tells only what a profile knows of it.

    profile: None takes the one that ships for the name.
    """
    known = profile_of(model, shipped_profiles()) if profile is None else profile
    cut = None if template is None else template.thinking(*known.tags)
    style = known.thinking or (cut.style if cut else "prompted")
    return _tagged(cut, known) if style in {"tagged", "always"} else FAMILIES[0]


def script_of(tokenizer: Tokenizer, model: str, profiles: Sequence[ModelProfile]) -> Script:
    """Give what is said to the model of that name. Raises BadModel."""
    profile = profile_of(model, profiles)
    return Script(tokenizer, family_of(model, tokenizer.template, profile), profile=profile)


class Script:
    """One family's wording as tokens of one tokenizer."""

    def __init__(
        self,
        tokenizer: Tokenizer,
        family: Family,
        system: str | None = None,
        profile: ModelProfile | None = None,
    ) -> None:
        """Write it as tokens.

        system: stands for the family's own.
        profile: what is known of the model; None takes that of the default model.
        """
        self.tokenizer, self.family, self._system = tokenizer, family, system
        self.profile = profile_of(_DEFAULT_MODEL, shipped_profiles()) if profile is None else profile
        self._others: dict[str, Script] = {}
        """The same in other languages, by their codes."""
        pieces = self._pieces = tokenizer.pieces(family.prompts.system if system is None else system)
        words, tags = tokenizer.encode, tokenizer.encode_template
        answer = [*pieces.user_close, *pieces.assistant_open]
        self.reply_open = reply = [*answer, *tags(family.no_thought)]
        """Closes the user's turn and opens a reply without thoughts."""
        self.prompt: list[int] = [*pieces.prompt, *pieces.first_user_open]
        """Heads the conversation and opens the user's turn."""
        self.think_open = [*words(family.prompts.think_request), *answer, *tags(family.prompts.work_open)]
        """Opens the thoughts when the turn has ended."""
        self.resume_open = words(f"\n\n{family.prompts.resume_open}")
        """Goes on with thoughts that were interrupted by new words."""
        self.notes_open = [*words(family.prompts.notes_request), *answer, *tags(family.prompts.notes_open)]
        """Opens notes in sentences."""
        self.notes_resume_open = words(f"\n\n{family.prompts.notes_resume_open}")
        """Goes on with them behind new words."""
        self.answer_open = [*words(family.prompts.answer_request), *reply]
        """Opens a reply without thoughts."""
        self.note_open = [*words(family.prompts.note_request), *reply]
        """Opens a reply to notes that came without the user's words."""
        self.act_open = self.request(family.prompts.act_request)
        """Asks for calls, after thoughts."""
        self.step_open = self.request(family.prompts.step_request)
        self.result_open = self.request(family.prompts.result_request)
        self.need = [*words(family.prompts.need_question), *reply]
        self.kind = [*words(family.prompts.kind_question), *reply]
        self.ends = tokenizer.eos_ids
        self.close = list(pieces.assistant_close)
        """Closes a message of the model that did not close itself."""
        self.closed = self.close[1 + next((at for at, token in enumerate(self.close) if token in self.ends), -1) :]
        """What is left of that behind the token with which a message ends itself."""
        self.think_close = tags(f"{family.think_end}\n\n") if family.think_end else []
        """Closes thoughts that did not end themselves."""
        self.heard_open = answer
        """Opens, in the history, what the user heard."""
        self.heard_close = [*pieces.assistant_close, *pieces.user_open]
        """Closes what the user heard and opens the user's next turn."""
        end = frozenset(tags(family.think_end))
        # A tag that the vocabulary has no token for is found in the text.
        self.think_ends = self.ends | (end if len(end) == 1 else frozenset())
        """Tokens that end the thoughts."""
        self.think_tag = self.think_ends - self.ends
        """The one of them that ends nothing else."""
        self.bans = frozenset(tokenizer.special.values()) - self.think_ends
        """Control tokens that no stream may write."""
        self.yes_no = (self._single(family.prompts.yes), self._single(family.prompts.no))
        self.kinds = (self._begin(family.prompts.reasoned), self._begin(family.prompts.told))

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
            self._others[language.code] = Script(self.tokenizer, family, self._system, self.profile)
        return self._others[language.code]

    def about(self, now: datetime | None) -> list[int]:
        """Tell the assistant who it is, what it cannot know, and the time, which comes last, for it changes.

        Instructions have its name in front of them (`instructed`): it does not gainsay another one that they give.
        """
        identity = self.family.prompts.identity if self._system is None else ""
        told = "" if now is None else self.language.calendar.told(now)
        return self.tokenizer.encode(
            f"({' '.join(part for part in (identity, self.family.prompts.limits, told) if part)})\n"
        )

    def instructed(self, instructions: str) -> Script:
        """Give the same with instructions behind those that stand there."""
        family = self.family
        system = f"{family.prompts.system} {family.prompts.identity}" if self._system is None else self._system
        return Script(self.tokenizer, self.family, f"{system}\n\n{instructions}", self.profile)

    @property
    def thinks_in_tags(self) -> bool:
        """Whether the model was trained to think: its thoughts are prose between tags, not short lines of a working."""
        return bool(self.family.think_end)

    @property
    def never_thinks(self) -> bool:
        """Whether the model is to reply without thoughts, whatever is asked."""
        return self.profile.thinking == "none"

    @property
    def calibration(self) -> Calibration | None:
        """What was measured of the need question with this model in this language; None where nothing was."""
        measured, family = self.profile.calibration, self.family
        if measured is None or measured.language:
            return measured if measured is not None and measured.language == self.language.code else None
        return replace(
            measured,
            language=self.language.code,
            need_bias=family.prompts.need_bias,
            need_of_numbers=family.prompts.need_of_numbers,
            need_bias_with_tools=family.prompts.need_bias_with_tools,
        )

    @property
    def measured(self) -> bool:
        """Whether this is the model that wording and policies were measured on."""
        measured = self.profile.calibration
        return measured is not None and not measured.language

    @property
    def knows_kinds(self) -> bool:
        """Whether the borders of the question of the kind hold: for the model that its wording was measured on."""
        return self.measured and bool(self.family.prompts.kind_question)

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
        return [*pieces.system, *told, *pieces.system_close, *pieces.first_user_open]

    def call_grammar(self, tools: Sequence[Tool], at_most: int) -> Grammar:
        """Give the grammar of calls of these tools, or of the one that declines; `BadTool` for one of its name."""
        family = self.family
        if any(tool.name == family.decline.name for tool in tools):
            raise BadTool(f"no tool may be called {family.decline.name!r}: a call of that says that nothing is called")
        return grammar_of([*tools, family.decline], begin=family.call_begin, end=family.call_end, at_most=at_most)

    def acted_open(self, calls: Sequence[WrittenCall]) -> list[int]:
        """Ask what to say after these calls."""
        lines = "\n".join(call.text() for call in calls)
        return self.request(self.family.prompts.acted_request.replace("{calls}", lines))

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

    def request(self, request: str) -> list[int]:
        """Ask for something, and open the reply to it, behind a message that is closed."""
        return [*self._pieces.user_open, *self.tokenizer.encode(request), *self.reply_open]

    def _begin(self, answers: Sequence[str]) -> frozenset[int]:
        return frozenset(self.tokenizer.encode(answer)[0] for answer in answers)

    def _single(self, answers: Sequence[str]) -> frozenset[int]:
        ids = map(self.tokenizer.encode, answers)
        found = frozenset(tokens[0] for tokens in ids if len(tokens) == 1)
        if not found:
            raise BadModel(f"the model's vocabulary has no single token for {answers[0]!r}; take another model")
        return found
