"""A model's chat template: rendered as the model's file says, or cut at its contents.

A template is a jinja2 program from the model's file. It runs in a process of its own (`rendering`), sees only the
messages, and its time, memory and output are bounded. Cutting it at sentinel contents lets every content be encoded on
its own, so that no content can pass for a part of the template. Rendered with its switch for thoughts on and off, it
tells how its model thinks. Nothing here knows tokens.
"""

from __future__ import annotations

import json
from dataclasses import dataclass
from datetime import UTC, datetime
from functools import lru_cache
from typing import TYPE_CHECKING, Final, Literal

from reasoning.errors import BadModel
from reasoning.prompting.rendering import TemplateLimits, TemplateUse, render_all

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

_MAX_SOURCE_CHARACTERS: Final = 1 << 18
_LIMITS: Final = TemplateLimits()

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
    first_user_open: str | None = None
    """Stands before the user's first content where the template has no message of its own for the system's text;
    None: `user_open` does."""


@dataclass(frozen=True, slots=True)
class ThinkingCut:
    """How the model of a template thinks in tags."""

    style: Literal["tagged", "always"]
    """`tagged`: the template can be told to leave thoughts out; `always`: it opens them in any case."""
    opening: str
    """Follows `ChatCut.assistant_open` where thoughts come next, as `<think>` and a line break."""
    empty: str
    """Follows it where none come: a block without thoughts."""


@dataclass(frozen=True, slots=True)
class ToolsCut:
    """What a template writes around the tools, between the system message and its close."""

    before: str
    between: str
    after: str


class ChatTemplate:
    """One template, called `where` in errors; `BadModel` where it is not a template at all."""

    def __init__(
        self,
        source: str,
        *,
        bos_token: str = "",
        eos_token: str = "",
        where: str = "the chat template",
        now: datetime | None = None,
        limits: TemplateLimits = _LIMITS,
    ) -> None:
        """Take it as it is: it is read when it is first asked. `now`: the time that it may write, else this call's."""
        self._where, self._source, self._limits = where, source, limits
        if len(source) > _MAX_SOURCE_CHARACTERS:
            raise BadModel(f"{where} has {len(source)} characters, more than {_MAX_SOURCE_CHARACTERS}")
        told = "strftime_now" in source
        self._now = (now or datetime.now(UTC).astimezone()).isoformat() if told else ""
        self._names = {"bos_token": bos_token, "eos_token": eos_token}

    def render(
        self,
        messages: Sequence[Mapping[str, str]],
        *,
        add_generation_prompt: bool = False,
        tools: Sequence[object] = (),
        enable_thinking: bool | None = None,
    ) -> str:
        """Give the text of a conversation of `{"role": …, "content": …}`; `BadModel` where the template fails.

        What the cuts ask for is rendered at once, the first time; another conversation takes a process of its own.
        `enable_thinking` is the switch for thoughts that some templates know; None leaves it unset.
        """
        variables = _Variables(messages, add_generation_prompt, tools, enable_thinking).json(self._names)
        known = _asked(**self._names)
        asked = known if variables in known else (variables,)
        try:
            found = render_all(TemplateUse(self._source, self._now, asked), self._limits)[asked.index(variables)]
        except BadModel as error:
            raise BadModel(f"{self._where} {error}") from error
        if found.error is not None:
            raise BadModel(f"{self._where} cannot be rendered: {found.error}")
        return found.text

    def cut(self) -> ChatCut:
        """Find what stands between the contents of system, user and assistant messages.

        Where the template takes no system message, its text heads the user's first one. `BadModel` where the template
        drops, repeats or changes a content, or writes a turn in several ways.
        """
        try:
            return self._cut(_message("system", _SYSTEM))
        except BadModel:
            try:
                return self._cut()
            except BadModel:
                pass
            raise

    def _cut(self, *system: Mapping[str, str]) -> ChatCut:
        asked, answered, followed = _conversations(*system)
        heads = [_SYSTEM] if system else []
        *_, user_close = self._split(self.render(asked), *heads, _USER)
        *_, opened = self._split(self.render(asked, add_generation_prompt=True), *heads, _USER)
        *_, assistant_close = self._split(self.render(answered), *heads, _USER, _ASSISTANT)
        talk = self.render(followed)
        before, to_assistant, back, end = self._split_talk(talk, *heads)
        user_open, assistant_open = back.removeprefix(assistant_close), to_assistant.removeprefix(user_close)
        close, first = _between(before[1], user_open) if system else ("\n\n", "")
        cut = ChatCut(
            system_open=before[0],
            system_close=close,
            user_open=user_open,
            user_close=user_close,
            assistant_open=assistant_open,
            assistant_close=assistant_close,
            first_user_open=first,
        )
        alike = (
            (user_close + assistant_open, assistant_close + user_open, user_close) == (to_assistant, back, end)
            # Only thoughts may follow how a reply is opened in the history.
            and opened.startswith(user_close)
            and (assistant_open.startswith(rest := opened.removeprefix(user_close)) or _thought(rest, assistant_open))
        )
        if not alike or not (user_open or user_close):
            raise BadModel(f"{self._where} writes the same kind of turn in several ways, so it cannot be cut")
        return cut

    def thinking(self, begin: str = "<think>", end: str = "</think>") -> ThinkingCut | None:
        """Find how the template's model thinks between these tags; None where it has to be asked to.

        A template that only takes thoughts out of earlier replies tells nothing: models that never think have such,
        too. `BadModel` where it cannot be cut.
        """
        plain, on, off = (self._generation(switch) for switch in (None, True, False))
        head = len(self.cut().assistant_open)
        opened = next((text[1][head:] for text in (on, plain) if text[1].rstrip().endswith(begin)), "")
        if not opened and on == off:
            return None
        opening = opened or f"{begin}\n"
        empty = off[1][head:]
        if begin not in empty or end not in empty:
            empty = f"{opening}\n{end}\n\n"
        return ThinkingCut("always" if on == off else "tagged", opening, empty)

    def _generation(self, switch: bool | None) -> tuple[str, str]:  # noqa: FBT001 - as the template has it
        """Give what a template writes up to a reply: before the user's content, and after its close."""
        cut = self.cut()
        system = [] if cut.first_user_open == "" else [_message("system", _SYSTEM)]
        text = self.render([*system, _message("user", _USER)], add_generation_prompt=True, enable_thinking=switch)
        before, _, after = text.partition(_USER)
        return before, after.removeprefix(cut.user_close)

    def cut_tools(self) -> ToolsCut | None:
        """Find what stands around the JSON of tools that follow the system message; None where nothing does."""
        messages = [_message("system", _SYSTEM), _message("user", _USER)]
        # Two at least, so that what stands between them shows. A string is its own JSON, in quotes.
        try:
            text = self.render(messages, tools=[_TOOL, _TOOL])
        except BadModel:
            return None
        close = self.cut()
        first = close.user_open if close.first_user_open is None else close.first_user_open
        end = f"{close.system_close}{first}{_USER}"
        head, system, rest = text.partition(_SYSTEM)
        parts = rest.partition(end)[0].split(f'"{_TOOL}"')
        if not system or head != close.system_open or end not in rest or len(parts) != 3:
            return None
        return ToolsCut(*parts)

    def _split_talk(self, text: str, *heads: str) -> tuple[list[str], str, str, str]:
        """Cut a conversation of four messages, the system's among `heads`: what precedes the user's, and the rest."""
        *before, to_assistant, back, end = self._split(text, *heads, _USER, _ASSISTANT, _NEXT_USER)
        return before, to_assistant, back, end

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


@dataclass(frozen=True, slots=True)
class _Variables:
    """What a template is given for one rendering."""

    messages: Sequence[Mapping[str, str]]
    add_generation_prompt: bool = False
    tools: Sequence[object] = ()
    enable_thinking: bool | None = None

    def json(self, names: Mapping[str, str]) -> str:
        variables = {
            "messages": [dict(message) for message in self.messages],
            "add_generation_prompt": self.add_generation_prompt,
            **({"tools": list(self.tools)} if self.tools else {}),
            **({} if self.enable_thinking is None else {"enable_thinking": self.enable_thinking}),
            **names,
        }
        return json.dumps(variables)


@lru_cache(maxsize=32)
def _asked(**names: str) -> tuple[str, ...]:
    """Give everything that the cuts ask a template for."""
    found = []
    for system in ((_message("system", _SYSTEM),), ()):
        asked, answered, followed = _conversations(*system)
        found += [_Variables(messages) for messages in (asked, answered, followed)]
        found += [
            _Variables(asked, add_generation_prompt=True, enable_thinking=switch) for switch in (None, True, False)
        ]
    told, *_ = _conversations(_message("system", _SYSTEM))
    found.append(_Variables(told, tools=(_TOOL, _TOOL)))
    return tuple(one.json(names) for one in found)


def _conversations(*system: Mapping[str, str]) -> tuple[list[Mapping[str, str]], ...]:
    """Give a conversation that has asked, one that was answered, and one that goes on."""
    asked = [*system, _message("user", _USER)]
    answered = [*asked, _message("assistant", _ASSISTANT)]
    return asked, answered, [*answered, _message("user", _NEXT_USER)]


def _between(to_user: str, user_open: str) -> tuple[str, str | None]:
    """Give what closes the system message, and what opens the user's first one if not what opens the others."""
    return (to_user.removesuffix(user_open), None) if to_user.endswith(user_open) else ("", to_user)


def _thought(rest: str, assistant_open: str) -> bool:
    """Say whether a generation prompt goes on behind the opening of a reply with a tag, as of thoughts."""
    more = rest.removeprefix(assistant_open).strip()
    return rest.startswith(assistant_open) and more.startswith(("<", "["))


def _message(role: str, content: str) -> dict[str, str]:
    return {"role": role, "content": content}
