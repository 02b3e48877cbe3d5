"""A model's chat template: rendered as the model's file says, or cut at its contents.

A template is a jinja2 program from the model's file. It runs in jinja2's sandbox, sees only the messages, and its
output is bounded. Cutting it at sentinel contents lets every content be encoded on its own, so that no content can
pass for a part of the template. Nothing here knows tokens.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from jinja2.exceptions import SecurityError, TemplateError
from jinja2.sandbox import ImmutableSandboxedEnvironment

from reasoning.errors import BadModel

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from jinja2.runtime import Context

_MAX_SOURCE_CHARACTERS: Final = 1 << 18
_MAX_RENDERED_CHARACTERS: Final = 1 << 18
_MAX_FACTOR: Final = 1 << 12

# Plain words, because templates trim, split and search contents.
_SYSTEM: Final = "DescantSystemSentinel"
_USER: Final = "DescantUserSentinel"
_ASSISTANT: Final = "DescantAssistantSentinel"
_NEXT_USER: Final = "DescantFollowingSentinel"
_TOOL: Final = "DescantToolSentinel"
_ROLES: Final = {_SYSTEM: "system", _USER: "user", _ASSISTANT: "assistant", _NEXT_USER: "second user"}


@dataclass(frozen=True, slots=True)
class ChatCut:
    """A template without its contents: the text before and after the content of each role."""

    system_open: str
    system_close: str
    user_open: str
    user_close: str
    assistant_open: str
    assistant_close: str


@dataclass(frozen=True, slots=True)
class ToolsCut:
    """What a template writes around the tools, between the system message and its close."""

    before: str
    between: str
    after: str


class ChatTemplate:
    """One compiled template, called `where` in errors; `BadModel` where it is not a template at all."""

    def __init__(
        self, source: str, *, bos_token: str = "", eos_token: str = "", where: str = "the chat template"
    ) -> None:
        self._where = where
        if len(source) > _MAX_SOURCE_CHARACTERS:
            raise BadModel(f"{where} has {len(source)} characters, more than {_MAX_SOURCE_CHARACTERS}")
        try:
            self._template = _Sandbox().from_string(source)
        except Exception as error:  # a foreign program: whatever goes wrong is its fault
            raise BadModel(f"{where} cannot be read: {_one_line(error)}") from error
        self._names = {"bos_token": bos_token, "eos_token": eos_token}

    def render(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        add_generation_prompt: bool = False,
        tools: Sequence[object] = (),
    ) -> str:
        """Give the text of a conversation of `{"role": …, "content": …}`; `BadModel` where the template fails."""
        parts = self._template.generate(
            messages=[dict(message) for message in messages],
            add_generation_prompt=add_generation_prompt,
            **({"tools": list(tools)} if tools else {}),
            **self._names,
        )
        try:
            return _bounded(parts)
        except Exception as error:  # a foreign program: whatever goes wrong is its fault
            raise BadModel(f"{self._where} cannot be rendered: {_one_line(error)}") from error

    def cut(self) -> ChatCut:
        """Find what stands between the contents of system, user and assistant messages.

        `BadModel` where the template drops, repeats or changes a content, or writes a turn in several ways.
        """
        asked = [_message("system", _SYSTEM), _message("user", _USER)]
        answered = [*asked, _message("assistant", _ASSISTANT)]
        _, _, user_close = self._split(self.render(asked), _SYSTEM, _USER)
        *_, opened = self._split(self.render(asked, add_generation_prompt=True), _SYSTEM, _USER)
        *_, assistant_close = self._split(self.render(answered), _SYSTEM, _USER, _ASSISTANT)
        talk = self.render([*answered, _message("user", _NEXT_USER)])
        system_open, to_user, to_assistant, back, end = self._split(talk, _SYSTEM, _USER, _ASSISTANT, _NEXT_USER)
        user_open = back.removeprefix(assistant_close)
        cut = ChatCut(
            system_open=system_open,
            system_close=to_user.removesuffix(user_open),
            user_open=user_open,
            user_close=user_close,
            assistant_open=opened.removeprefix(user_close),
            assistant_close=assistant_close,
        )
        rebuilt = (
            cut.system_open,
            cut.system_close + cut.user_open,
            cut.user_close + cut.assistant_open,
            cut.assistant_close + cut.user_open,
            cut.user_close,
        )
        if rebuilt != (system_open, to_user, to_assistant, back, end):
            raise BadModel(f"{self._where} writes the same kind of turn in several ways, so it cannot be cut")
        return cut

    def cut_tools(self) -> ToolsCut | None:
        """Find what stands around the JSON of tools that follow the system message; None where nothing does."""
        messages = [_message("system", _SYSTEM), _message("user", _USER)]
        # Two at least, so that what stands between them shows. A string is its own JSON, in quotes.
        try:
            text = self.render(messages, tools=[_TOOL, _TOOL])
        except BadModel:
            return None
        close = self.cut()
        end = f"{close.system_close}{close.user_open}{_USER}"
        head, system, rest = text.partition(_SYSTEM)
        parts = rest.partition(end)[0].split(f'"{_TOOL}"')
        if not system or head != close.system_open or end not in rest or len(parts) != 3:
            return None
        return ToolsCut(*parts)

    def _split(self, text: str, *sentinels: str) -> list[str]:
        """Cut the text at each sentinel, which must stand in it exactly once and in this order."""
        parts = []
        for sentinel in sentinels:
            found = text.count(sentinel)
            if found != 1:
                role = _ROLES[sentinel]
                raise BadModel(
                    f"{self._where} cannot be cut: it writes the content of the {role} message {found} times, "
                    "or out of order, instead of once"
                )
            before, _, text = text.partition(sentinel)
            parts.append(before)
        return [*parts, text]


class _Sandbox(ImmutableSandboxedEnvironment):
    """The environment that published templates expect, without growth by multiplication."""

    intercepted_binops = frozenset({"*", "**", "%"})

    def __init__(self) -> None:
        # Published templates are written for these two switches and rely on `break` and `continue`.
        super().__init__(trim_blocks=True, lstrip_blocks=True, extensions=["jinja2.ext.loopcontrols"])
        self.globals["raise_exception"] = _refuse
        # Prompts are not HTML: the built-in filter would escape quotes and angle brackets.
        self.filters["tojson"] = _plain_json

    def call_binop(self, context: Context, operator: str, left: Any, right: Any) -> Any:  # noqa: ANN401
        for factor in (left, right):
            if not isinstance(factor, int) or abs(factor) > _MAX_FACTOR:
                raise SecurityError(f"{operator!r} is allowed between whole numbers up to {_MAX_FACTOR} only")
        return super().call_binop(context, operator, left, right)


def _refuse(message: str) -> None:
    raise TemplateError(message)


def _plain_json(value: object, indent: int | None = None) -> str:
    return json.dumps(value, ensure_ascii=False, indent=indent)


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}


def _bounded(parts: Iterable[str]) -> str:
    text = ""
    for part in parts:
        text += part
        if len(text) > _MAX_RENDERED_CHARACTERS:
            raise SecurityError(f"it writes more than {_MAX_RENDERED_CHARACTERS} characters")
    return text


def _one_line(error: Exception) -> str:
    return " ".join(f"{type(error).__name__}: {error}".split())[:300]
