"""One line of thought for a conversation that the client owns: brought to whatever the item list says it should be.

A loop keeps what was said in its cache, turn by turn. A client may rewrite that at any time (delete, truncate, replay
a conversation, change the instructions). As long as the list only grows, the loop goes on and nothing is computed
twice; otherwise the loop is made anew and told the turns. Knows no items, only text.
"""

from __future__ import annotations

import asyncio
from contextlib import AsyncExitStack, suppress
from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

from agent.realtime.protocol.messages import HistoryTurn
from agent.realtime.protocol.wire import tools_of
from descant.sound_json import sound_json
from languages.english import ENGLISH
from reasoning.errors import ContextFull, ReasoningError
from reasoning.loop.loop import Loop
from reasoning.prompting.script import Script
from reasoning.prompting.tokenizer import LONG
from reasoning.tools.written import WrittenCall

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from agent.conversation.reply import ReplyRequest
    from agent.realtime.protocol.fields import AudioFormat, FunctionTool
    from agent.realtime.protocol.messages import Invoked, ResponseSpec
    from languages.language import Language
    from reasoning.engine.contract import Engine
    from reasoning.events import LoopEvent
    from reasoning.options import LoopOptions
    from reasoning.tools.calls import Tool

_EFFORTS: Final = {"low": 0.5, "medium": 1.0, "high": 1.5, "xhigh": 2.0}
"""Thinking budgets in parts of the configured one; minimal does not think."""
_LONGEST_TOKEN: Final = 16
"""Characters that a token of any text has at most on average: longer texts are not even counted."""


@dataclass(frozen=True, slots=True)
class ReasonerConfig:
    """What the reasoners of all sessions share."""

    engine: Engine
    script: Script
    options: LoopOptions
    context: int
    """Tokens that a view may hold."""
    now: Callable[[], datetime] | None = None
    """The date and time of day that they know; None: none."""
    price: Callable[[], float] = lambda: 1.0
    """Of energy at this moment, by its mean over the day."""


@dataclass(frozen=True, slots=True)
class LoopSettings:
    """What needs another loop when it changes."""

    instructions: str
    effort: str
    max_output_tokens: int | None


@dataclass(frozen=True, slots=True)
class Beginning:
    """What is read before anybody speaks."""

    settings: LoopSettings
    tools: tuple[FunctionTool, ...]


def begins_of(brief: ResponseSpec) -> Beginning:
    """Give what a reply that is made from this begins with."""
    settings = LoopSettings(brief.instructions, brief.effort, brief.max_output_tokens)
    return Beginning(settings, tuple(brief.tools))


@dataclass(frozen=True, slots=True)
class ResponseDetails:
    """What a reply is made from, and the format that it goes out in."""

    response: ResponseSpec
    format: AudioFormat | None
    """Of its sound; None: it is written."""


class SessionReasoner:
    """`open` it; then `hear` and `answer` one turn after the other; `close` it at the end."""

    def __init__(
        self,
        config: ReasonerConfig,
        emit: Callable[[LoopEvent], None],
        clock: Callable[[], float],
        spec: Callable[[str], ResponseSpec],
        skills: Sequence[Tool] = (),
        *,
        language: Language = ENGLISH,
    ) -> None:
        """Make it.

        emit: learns all events of the loop.
        spec: gives what a response would be made from now, with these words behind what was written.
        skills: tools beside the client's functions, which take precedence.
        language: what is spoken until `speak` says otherwise.
        """
        self._config, self._emit, self._clock, self._spec, self._skills = config, emit, clock, spec, skills
        self._first = self._language = language
        self._tell: Callable[[LoopEvent], None] | None = None
        """Takes the events of the reply that is being made; None between replies."""
        self._stack = AsyncExitStack()
        self._loop: Loop | None = None
        """None until it is opened, and after its end."""
        self._settings: LoopSettings | None = None
        self._tools: tuple[Tool, ...] = ()
        self._known: list[HistoryTurn] | None = []
        """Turns that the loop has in its history; None: it was cut off while they were written."""
        self._open = ""
        """Words of the turn that the loop is in."""
        self._noted: list[str] = []
        """Notes that came too late for the reply, which the loop keeps for its next turn."""
        self._kept: list[str] = []
        """Notes with which the turn began that the loop is in."""
        self._answered = self._cut = False
        self._counts: dict[str, int] = {}
        """Tokens of the texts that the newest reply was made from."""

    async def open(self) -> None:
        """Get to the end of the conversation so far: what can be computed before anybody speaks, is."""
        await self._prepare(self._spec(""))

    async def close(self) -> None:
        """End the loop; another one is made if it is wanted again."""
        await self._drop()

    async def hear(self, text: str) -> None:
        """Take the words of the turn so far; what cannot be taken in is told by the response that needs it."""
        with suppress(ReasoningError):
            spec = self._spec(text)
            loop = await self._prepare(spec)
            self._open = spec.text
            await loop.hear(self._new(spec.text))

    async def answer(self, request: ReplyRequest, tell: Callable[[LoopEvent], None]) -> None:
        """Make the reply; cancel it to interrupt. Raises ReasoningError."""
        assert isinstance(request.spec, ResponseDetails)  # noqa: S101 - all requests of clients have them
        spec = request.spec.response
        loop = await self._prepare(spec)
        self._open, self._answered, self._cut = spec.text, True, True
        sayings = self._language.replies
        unprompted = "" if loop.notes_waiting else sayings.go_on if spec.turns else sayings.hello
        self._tell = tell
        try:
            await loop.answer(self._new(spec.text) or unprompted)
            await self._count(spec)
        finally:
            self._tell = None
        self._cut = False

    def speak(self, language: Language) -> None:
        """Go on in a language."""
        self._language = language
        if self._loop is not None:
            self._loop.speak(language)

    async def take_back(self) -> None:
        """Nothing yet: whether the loop goes on with this turn is seen when the next words of the user are there."""

    async def finish(self, heard: str, *, interrupted: bool = False) -> None:
        """Nothing yet: the client's items say what was heard."""
        del heard, interrupted

    async def note(self, text: str) -> None:
        """Take in a text while replying."""
        if self._loop is not None:
            with suppress(ReasoningError):
                if await self._loop.note(text):
                    self._open = f"{self._open}\n{text}"
                else:
                    self._noted.append(text)

    def _told(self, event: LoopEvent) -> None:
        self._emit(event)
        if self._tell is not None:
            self._tell(event)

    @property
    def notes_waiting(self) -> bool:
        """Whether something was noted that the reply could not take up any more."""
        return self._loop is not None and self._loop.notes_waiting

    def playing(self, lead_s: float) -> None:
        """Pass on how much reply is left to hear."""
        if self._loop is not None:
            self._loop.playing(lead_s)

    def tokens(self, brief: ResponseSpec) -> int:
        """Count the tokens of what a reply was made from."""
        encode = self._config.script.tokenizer.encode
        return sum(self._counts.get(text) or len(encode(text)) for text in _texts(brief))

    async def _count(self, brief: ResponseSpec) -> None:
        """Count what was not counted for the reply before, where that holds up nobody."""
        known, encode = self._counts, self._config.script.tokenizer.encode
        new = [text for text in _texts(brief) if text not in known]
        if sum(map(len, new)) > LONG:
            counts = await asyncio.to_thread(lambda: [len(encode(text)) for text in new])
        else:
            counts = [len(encode(text)) for text in new]
        known = {**known, **dict(zip(new, counts, strict=True))}
        self._counts = {text: known[text] for text in _texts(brief)}

    def _new(self, text: str) -> str:
        """Leave out what the loop has kept from the last turn: it stands in this one already."""
        kept = "\n".join(self._kept)
        return text.removeprefix(kept).lstrip("\n") if kept else text

    async def _prepare(self, brief: ResponseSpec) -> Loop:
        """Bring the loop to where this brief begins."""
        settings = begins_of(brief).settings
        turns = list(brief.turns)
        remembered = replace(brief, turns=brief.turns[-self._config.options.history_turns :])
        longest = max(map(len, _texts(remembered)), default=0)
        if longest > self._config.context * _LONGEST_TOKEN:
            raise ContextFull(
                f"a text of {longest} characters does not fit the {self._config.context} tokens that are set; "
                "say less at once or raise engine.context"
            )
        loop, tools = self._loop, self._all_tools(brief)
        if loop is None or settings != self._settings or not await self._follow(loop, turns, brief.text):
            loop = await self._renew(settings, turns, tools)
        if tools != self._tools:
            await loop.set_tools(tools)
            self._tools = tools
        return loop

    def _all_tools(self, brief: ResponseSpec) -> tuple[Tool, ...]:
        own = tools_of(brief.tools)
        names = {tool.name for tool in own}
        return (*own, *(skill for skill in self._skills if skill.name not in names))

    async def _follow(self, loop: Loop, turns: list[HistoryTurn], text: str) -> bool:
        """Go on with the loop that is there, if these turns follow from it."""
        known, self._known = self._known, None
        if known is None:
            return False
        if turns == known:
            if self._answered and text.startswith(self._open):
                # Nothing of the reply was heard: it is still the same turn.
                await loop.take_back()
            elif self._answered:
                return False
        elif self._answered and turns[:-1] == known and turns[-1].user == self._open:
            await loop.finish(turns[-1].reply, interrupted=self._cut)
            self._kept, self._noted = self._noted, []
            self._open = ""
        else:
            return False
        self._known, self._answered = turns, False
        return True

    async def _renew(self, settings: LoopSettings, turns: Sequence[HistoryTurn], tools: tuple[Tool, ...]) -> Loop:
        await self._drop()
        config = self._config
        session = await self._stack.enter_async_context(config.engine.session())
        script = config.script.in_language(self._first)
        if len(settings.instructions) > LONG:
            script = await asyncio.to_thread(_script, script, settings.instructions)
        else:
            script = _script(script, settings.instructions)
        self._loop = loop = Loop(
            session,
            script,
            _options(config.options, settings),
            self._told,
            self._clock,
            context=config.context,
            tools=tools,
            now=config.now,
            price=config.price,
        )
        await loop.open()
        loop.speak(self._language)
        for turn in turns[-config.options.history_turns :]:
            await loop.hear(turn.user or self._language.replies.hello)
            await loop.finish(turn.reply, calls=_written(turn.calls))
        self._settings, self._known, self._tools = settings, list(turns), tools
        self._kept, self._noted = [], []
        self._open, self._answered = "", False
        return loop

    async def _drop(self) -> None:
        self._known = self._loop = None
        stack, self._stack = self._stack, AsyncExitStack()
        await stack.aclose()


def _texts(brief: ResponseSpec) -> list[str]:
    texts = [brief.instructions, brief.text, *(text for turn in brief.turns for text in (turn.user, turn.reply))]
    return [text for text in texts if text]


def _written(calls: Sequence[Invoked]) -> list[WrittenCall]:
    """Give calls as the model wrote them; a client's own may hold anything, and what is no object is left out."""
    found = []
    for call in calls:
        with suppress(ValueError):
            arguments = sound_json(call.arguments)
            if isinstance(arguments, dict):
                found.append(WrittenCall(call.name, arguments))
    return found


def _script(script: Script, instructions: str) -> Script:
    if not instructions.strip():
        return script
    return script.instructed(instructions.strip())


def _options(options: LoopOptions, settings: LoopSettings) -> LoopOptions:
    if settings.max_output_tokens is not None:
        options = replace(options, reply_tokens=min(options.reply_tokens, settings.max_output_tokens))
    if settings.effort == "minimal":
        return replace(options, mode="no-think")
    return replace(options, think_tokens=round(options.think_tokens * _EFFORTS[settings.effort]))
