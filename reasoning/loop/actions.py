"""The part of the loop that calls tools: decides whether a reply is a call, writes calls, and knows when to decline.

The decision is the model's own habit: with tools in its prompt, a chat model opens its reply with a call where one is
due, and with words where none is. So the weight of such an opening is asked for, before anything is written. The calls
are then decoded under the grammar of the tools, all of them before the first is made: a request is done as a whole or
not at all. Where they leave out something that the user named, the model is made to go on with a further call; where
they make no sense together, it is asked for others without the tool that leads nowhere. A request is declined by the
tool that says so, where something is still left out or was made up, and where the grammar had to force the model to a
tool or a value that it did not want, such as a place that is not on the list. Then the reply says so.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Final

from reasoning.events import ACT, Probe, Retracted, ToolCall
from reasoning.policies.grounding import numbers
from reasoning.tools.calls import read_call

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from reasoning.engine.contract import Block
    from reasoning.events import LoopEvent
    from reasoning.loop.context import LoopContext
    from reasoning.loop.streams import Streams, TextPiece
    from reasoning.loop.turn import Turn
    from reasoning.prompting.script import Script
    from reasoning.tools.calls import Tool
    from reasoning.tools.guards import CallGuard
    from reasoning.tools.written import WrittenCall

_WORD: Final = re.compile(r"\w")
_NAME: Final = re.compile(r'\{"name": "[^"]*$')
"""Ends a text inside the name of a tool."""
_FIRST_NAME: Final = re.compile(r'^[^\n]*\{"name": "[^"\n]*$')
"""Ends a text inside the name of the first one."""
_TRIES: Final = 2
"""How often the model is made to go on."""
_PLANS: Final = 3
"""How many ways to do what is asked are looked at."""


class Actions:
    """Writes the calls of a turn."""

    def __init__(self, context: LoopContext, streams: Streams, emit: Callable[[LoopEvent], None]) -> None:
        self._context, self._streams, self._emit = context, streams, emit
        self._session, self._options = context.session, context.options
        self._made = 0
        self._until = 0
        """Tokens of the writer that the calls at hand may come to, all ways to do what is asked together."""

    @property
    def _script(self) -> Script:
        """The wording of the language that is spoken now."""
        return self._context.script

    async def wanted(self, turn: Turn, view: Sequence[Block], head: Sequence[int]) -> bool:
        """Ask whether a reply that is headed so begins with a call."""
        if not self._context.tools:
            return False
        verdict = await self._session.score_choices(view, head, self._call_or_words)
        turn.attempt.tokens["probe"] += len(head)
        decision = verdict.log_odds > self._options.act_margin
        self._emit(Probe(ACT, verdict.log_odds, self._options.act_margin, decision))
        return decision

    async def write(self, turn: Turn, draft: Block) -> bool:
        """Write calls at the end of the draft and report them; False, and nothing called, where they are declined."""
        start, tools = len(draft), list(self._context.tools)
        self._until = turn.attempt.tokens["writer"] + self._options.call_tokens
        for number in range(_PLANS):
            text, calls, reason = await self._plan(turn, draft, tools, again=number > 0)
            astray, senseless = ("", "") if reason else self._astray(calls)
            if not (reason or senseless):
                self._report(turn, calls)
                return True
            self._emit(Retracted(text, reason or senseless))
            if reason:
                return False
            tools = [tool for tool in tools if tool.name != astray]
            await self._session.crop(draft, start)
        return False

    def _report(self, turn: Turn, calls: Sequence[WrittenCall]) -> None:
        for call in calls:
            turn.attempt.calls.append(call)
            self._made += 1
            self._emit(ToolCall(f"call{self._made}", call.name, call.arguments))

    async def _plan(
        self, turn: Turn, draft: Block, tools: Sequence[Tool], *, again: bool
    ) -> tuple[str, list[WrittenCall], str]:
        """Write calls of these tools; give their text, the calls, and why they cannot be made, if so."""
        text, allowed = "", [*tools, self._script.family.decline]
        calls: list[WrittenCall] = []
        try:
            for _ in range(1 + _TRIES):
                text, reason = await self._passage(turn, draft, text, tools, again=again)
                calls = [] if reason else [read_call(self._bare(line), allowed) for line in text.split("\n")]
                if any(call.name == self._script.family.decline.name for call in calls):
                    reason = "declined"
                if made_up := self._made_up(turn, calls):
                    reason = f"nobody named {', '.join(sorted(made_up))}"
                left_out = self._left_out(turn.text, calls)
                if not reason and not left_out and self._in_another_order(turn.text, calls):
                    reason = "calls in another order than was said"
                if reason or not left_out:
                    break
                reason = f"leaves out {', '.join(sorted(left_out))}"
        except ValueError as error:
            reason = str(error)
        return text, calls, reason

    async def _passage(
        self, turn: Turn, draft: Block, before: str, tools: Sequence[Tool], *, again: bool
    ) -> tuple[str, str]:
        """Write calls, behind those that stand there; give them all, and why they cannot be made, if so."""
        view, left = self._context.view(turn, draft), self._until - turn.attempt.tokens["writer"]
        if left <= 0:
            return before, "no tokens left for calls"
        if before:
            await self._session.crop(draft, len(draft) - (draft.tokens[-1] in self._script.ends))
            await self._session.append(view, self._script.tokenizer.encode("\n"))
        text = f"{before}\n" if before else ""
        grammar = self._script.call_grammar(tools, self._options.calls)
        async with self._streams.run(turn.attempt, view, "writer", self._script.ends, left, grammar=grammar) as pieces:
            async for piece in pieces:
                # Where the first choice is not to be had, the second one is less probable, and not forced.
                if self._forced(text, piece) and not (again and _FIRST_NAME.search(text)):
                    return text, "no tool does this"
                text += piece.text
        return text, ""

    def _left_out(self, asked: str, calls: Sequence[WrittenCall]) -> set[str]:
        """Give what the user named and no call has or does. Who says what is not to be done may name more than that."""
        if self._context.language.requests.negated.search(asked):
            return set()
        called = {call.name for call in calls}
        done = {word for tool, guard in self._guarded if tool.name in called for word in guard.does}
        missing = (self._named - _values(calls)) | (self._doable - done)
        return {word for word in missing if _names(asked, word)}

    def _in_another_order(self, asked: str, calls: Sequence[WrittenCall]) -> bool:
        """Say whether one tool is called for several things that the user named, in an order that nothing told."""
        turns = self._context.language.requests.turns
        things = [value for call in calls for value in call.arguments.values() if value in self._named]
        if len({call.name for call in calls}) != 1 or len(set(things)) < len(things) or turns.search(asked):
            return False
        places = [found.start() for thing in things if (found := _find(asked, thing))]
        return places != sorted(places)

    def _made_up(self, turn: Turn, calls: Sequence[WrittenCall]) -> set[str]:
        """Give what the calls have and nobody named, now or in the turns that are remembered.

        Of numbers the user must have said some: a minute is 60 seconds, and news name a robot "R1". One that is told by
        the argument's name is exact.
        """
        told = f"{self._context.told}\n{turn.input_text}"
        strange = {value for value in self._named & _values(calls) if not _names(told, value)}
        words, equals = self._context.said, self._context.language.requests.equals
        figures = numbers(words, self._context.language)
        for name, value in self._figures(calls):
            exact = {float(said) for said in re.findall(rf"\b{re.escape(name)}{equals}", words, re.IGNORECASE)}
            if not figures or (exact and abs(value) not in exact):
                strange.add(f"{name} {value:g}")
        return strange

    def _figures(self, calls: Sequence[WrittenCall]) -> list[tuple[str, float]]:
        """Give the numbers in calls of tools whose values are not to be guessed; zero stands for none."""
        strict = {tool.name for tool, guard in self._guarded if guard.named}
        arguments = [item for call in calls if call.name in strict for item in call.arguments.items()]
        return [(name, value) for name, value in arguments if type(value) in {int, float} and value]

    def _astray(self, calls: Sequence[WrittenCall]) -> tuple[str, str]:
        """Give the tool that leads nowhere, and what makes no sense in the calls together; nothing where they do."""
        names = {call.name for call in calls}
        called = [(tool, guard) for tool, guard in self._guarded if tool.name in names]
        alone = next((tool.name for tool, guard in called if guard.alone), "")
        if alone and len(calls) > 1:
            return alone, "calls what stands alone beside others"
        return calls[0].name, next((why for _, guard in called if (why := guard.senseless(calls))), "")

    @property
    def _call_or_words(self) -> tuple[frozenset[int], frozenset[int]]:
        """Tokens that begin a call, and all others. Some models begin it by the bare name, which no sentence does."""
        encode = self._script.tokenizer.encode
        starts = self._script.call_starts | {encode(tool.name)[0] for tool in self._listed}
        return starts, self._script.call_or_words[1] - starts

    @property
    def _named(self) -> set[str]:
        return {value for _, guard in self._guarded for value in guard.named}

    @property
    def _doable(self) -> set[str]:
        return {word for _, guard in self._guarded for word in guard.does}

    @property
    def _guarded(self) -> list[tuple[Tool, CallGuard]]:
        return [(tool, tool.guard) for tool in self._context.tools if tool.guard is not None]

    @property
    def _listed(self) -> list[Tool]:
        return [*self._context.tools, self._script.family.decline]

    def _forced(self, before: str, piece: TextPiece) -> bool:
        """Say whether the grammar forced the model to this word. Signs do not count: it may lay out JSON its way."""
        if not _WORD.search(piece.text):
            return False
        bar = self._options.forced_name if _NAME.search(before) else self._options.forced_value
        return piece.log_prob < bar

    def _bare(self, line: str) -> str:
        family = self._script.family
        return line.removeprefix(family.call_begin).removesuffix(family.call_end)


def _values(calls: Sequence[WrittenCall]) -> set[str]:
    return {value for call in calls for value in call.arguments.values() if isinstance(value, str)}


def _names(text: str, value: str) -> bool:
    return _find(text, value) is not None


def _find(text: str, value: str) -> re.Match[str] | None:
    return re.search(rf"\b{re.escape(value)}\b", text, re.IGNORECASE)
