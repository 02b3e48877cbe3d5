"""The blocks of one conversation in their order: prompt, past turns, the turn at hand.

Writes what comes from outside: the prompt with its tools, the user's words, notes, and what was heard of a reply.
Text from outside is encoded as plain text, so that nothing in it can pass for a part of the template. Knows when
history must go; does not know who thinks or speaks.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final, Literal

from reasoning.errors import BadTool
from reasoning.loop.turn import Phase, Turn
from reasoning.options import BESIDE_TOKENS, LoopOptions
from reasoning.prompting.tokenizer import LONG
from reasoning.tools.calls import checked_tools

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence
    from datetime import datetime

    from languages.language import Language
    from reasoning.engine.contract import Block, EngineSession
    from reasoning.loop.turn import Attempt
    from reasoning.policies.policy import Policy
    from reasoning.prompting.script import Script
    from reasoning.tools.calls import Tool

_NOTES: Final = 16
"""Notes that one turn takes; of more, the newest."""
_CONCLUSIONS: Final = 8
"""Stretches of long thoughts, the newest ones, of which it is kept what they came to."""
_CONCLUSION_CHARACTERS: Final = 240
"""Of what one came to."""
_NOTE_CHARACTERS: Final = 1000
"""Of one note; a longer one is cut."""


@dataclass(slots=True)
class _Past:
    """A turn that is history."""

    told: str
    """Its input."""
    words: str
    """What the user said of it."""
    input: Block
    record: Block
    """What was heard of the reply, and its calls."""

    @property
    def blocks(self) -> list[Block]:
        return [self.input, self.record]


class LoopContext:
    """One user's side of an engine session."""

    def __init__(
        self,
        session: EngineSession[Any],
        script: Script,
        options: LoopOptions,
        *,
        limit: int,
        tools: Sequence[Tool],
        policy: Policy,
        now: Callable[[], datetime] | None = None,
    ) -> None:
        """`limit`: tokens that a view may hold; `policy`: the one that turns begin with; `now`: the date and time."""
        self.session, self.script, self.options, self._limit = session, script, options, limit
        self._head = script
        """Whose words head the conversation, whatever is spoken later: they are read once."""
        self._policy, self._now = policy, now
        self.tools = checked_tools(tools)
        self._prompt, self._about = session.block("prompt"), session.block("about")
        self._digest = session.block("digest")
        """The opening of long thoughts, and what stretches of them came to that the writer does not read."""
        self._history: list[_Past] = []
        self._turns = 0
        self._writing = asyncio.Lock()
        self._waiting: list[str] = []
        self.turn = self._new_turn()

    async def open(self) -> None:
        """Write the prompt into the cache."""
        await self.session.append([self._prompt], await self._prompt_with(self.tools))
        await self._write_about()

    async def set_tools(self, tools: Sequence[Tool]) -> None:
        """Write the prompt anew, and the past turns under it; `BadTool` leaves all as it was."""
        tools = checked_tools(tools)
        prompt = await self._prompt_with(tools)
        async with self._writing:
            self.tools = tools
            await self.rewrite(self._prompt, [self._prompt], prompt)
            await self.session.crop(self._about, 0)
            await self._write_about()
            view = [self._prompt]
            for block in [*(block for past in self._history for block in past.blocks), self.turn.input]:
                tokens = list(block.tokens)
                view.append(block)
                await self.session.crop(block, 0)
                await self.session.append(view, tokens)

    @property
    def language(self) -> Language:
        """What is spoken now."""
        return self.script.language

    def speak(self, language: Language) -> None:
        """Go on in a language: with the turn at hand, for what is asked of the model and said of it."""
        self.script = self._head.in_language(language)
        self.turn.language = language

    @property
    def past(self) -> list[Block]:
        """Everything before the turn at hand."""
        return [self._prompt, *(block for past in self._history for block in past.blocks)]

    @property
    def told(self) -> str:
        """What the user and others told in the past turns."""
        return "\n".join(past.told for past in self._history)

    @property
    def given(self) -> str:
        """What a reply at once may repeat: the instructions, who the assistant is, the time, and what was told."""
        decode = self.script.tokenizer.decode
        return "\n".join([decode(self._prompt.tokens), decode(self._about.tokens), self.told])

    @property
    def said(self) -> str:
        """What the user alone said, in the turns that are remembered and in this one."""
        return "\n".join([*(past.words for past in self._history), self.turn.text])

    @property
    def notes_waiting(self) -> bool:
        """Whether notes wait for a turn that takes them up."""
        return bool(self._waiting or (self.turn.before and not self.turn.sealed))

    def view(self, turn: Turn, draft: Block | None = None) -> list[Block]:
        """Give what the thoughts read, or what a draft does.

        Words that are answered at once are read behind who the assistant is and what time it is. Probes and thoughts do
        not read that: their borders were measured without it, and a date misleads sums.
        """
        drafts = turn.attempt.replies
        replies = [] if draft is None else drafts[: drafts.index(draft) + 1]
        thoughts = [*turn.earlier, turn.thoughts] if turn.thought or draft is None else []
        if draft is not None and len(turn.earlier) > 1:
            thoughts = [self._digest, *thoughts[-2:]]
        about = [self._about] if turn.text and turn.attempt.phase is Phase.REPLYING else []
        return [*self.past, *about, turn.input, *thoughts, *replies]

    async def begin_stretch(self, turn: Turn) -> None:
        """Begin another stretch of thoughts that have become long: the writer reads the newest two of them.

        Of those before, it reads what they have come to, behind the opening of the thoughts. The thinker reads all.
        """
        last = turn.thoughts.tokens[-1]
        await self.session.crop(turn.thoughts, len(turn.thoughts) - 1)
        turn.attempt.stretches.append(len(turn.attempt.steps.finished))
        stretch = self.session.block(f"thoughts{len(turn.earlier) + 1}")
        await self.session.crop(stretch, 0)
        # A stream goes on behind a token of its own block.
        await self.session.append([*self.view(turn), stretch], [last])
        turn.earlier.append(turn.thoughts)
        turn.thoughts = stretch
        if len(turn.earlier) > 1:
            lines = "".join(f"{line}\n" for line in self._conclusions(turn.attempt)[:-1][-_CONCLUSIONS:])
            opening = [*turn.policy.opening(self.script), *self.script.tokenizer.encode(lines)]
            await self.rewrite(self._digest, [*self.past, turn.input, self._digest], opening)

    async def crop_thoughts(self, turn: Turn, length: int) -> None:
        """Keep so many tokens of the thoughts' first stretch, and nothing of the others."""
        first, *others = [*turn.earlier, turn.thoughts]
        # First the account, then the blocks: a crop that was begun takes place even if this is cancelled.
        turn.earlier, turn.thoughts = [], first
        for block in (*others, self._digest):
            if len(block):
                await self.session.crop(block, 0)
        await self.session.crop(first, length)

    def summary(self, turn: Turn) -> list[str]:
        """Give what is kept of long thoughts: what each of the newest stretches came to, and the newest one's steps."""
        steps, begun = turn.attempt.steps.finished, turn.attempt.stretches[-1]
        return [
            *self._conclusions(turn.attempt)[-_CONCLUSIONS:],
            *(_cut(step) for step in steps[begun:][-_CONCLUSIONS:]),
        ]

    @staticmethod
    def _conclusions(attempt: Attempt) -> list[str]:
        """Give for each finished stretch the last of its steps that found something, else the last."""
        found, conclusions, begun = set(attempt.findings), list[str](), 0
        for end in attempt.stretches:
            steps = attempt.steps.finished[begun:end]
            conclusions += [_cut(step) for step in [*steps[-1:], *(step for step in steps if step in found)][-1:]]
            begun = end
        return conclusions

    def new_draft(self, turn: Turn) -> Block:
        """Give the next sentence a block."""
        drafts = turn.attempt.replies
        draft: Block = self.session.block(f"reply{len(drafts)}")
        drafts.append(draft)
        return draft

    async def head_draft(self, turn: Turn, request: Literal["step", "result"] | Sequence[int]) -> None:
        """Head the next sentence with a request, replacing a head that nobody answered.

        request: tokens, or what is to be told of the thoughts, by the wording of the turn's policy.
        """
        attempt = turn.attempt
        drafts = attempt.replies
        if isinstance(request, str):
            telling = turn.policy.telling(self.script)
            if telling.one_message and drafts:
                return
            request = telling.step if request == "step" else telling.result
        draft = drafts[-1] if drafts and attempt.head == len(drafts[-1]) else self.new_draft(turn)
        first = len(drafts) == 1
        closed = not first and drafts[-2].tokens[-1] in self.script.ends
        head = [
            *(self.script.think_close if first else []),
            *(self.script.closed if closed else self.script.close),
        ]
        if first and not turn.thought:
            head = []
        await self.rewrite(draft, self.view(turn, draft), [*head, *request])
        attempt.head = len(draft)

    async def hear(self, text: str) -> None:
        """Write the user's words so far, all of them."""
        async with self._writing:
            turn = self.turn
            turn.text = text
            await self._write_about()
            old = turn.carried
            turn.meant = old.policy.restated(old.told, text, self.language) if old else ""
            await self._write_input(turn)

    async def note(self, text: str) -> bool:
        """Write a text from outside; False where this turn has come to its end, so that it is kept for the next."""
        text = _one_line(text)
        if not text:
            return True
        async with self._writing:
            turn = self.turn
            if turn.sealed:
                self._waiting = [*self._waiting, text][-_NOTES:]
                return False
            (turn.after if turn.text else turn.before).append(text)
            del turn.before[:-_NOTES], turn.after[:-_NOTES]
            await self._write_input(turn)
            return True

    async def next_turn(self, heard: str, *, interrupted: bool) -> Turn:
        """Make the turn history, by what was heard of its reply, and begin the next one."""
        async with self._writing:
            old, script = self.turn, self.script
            text = await self._encoded(f"{heard} —" if interrupted and heard else heard)
            if old.input_text:
                calls = script.calls_made(old.attempt.calls, after_text=bool(text))
                past = _Past(old.input_text, old.text, old.input, self.session.block(f"heard{old.number}"))
                view = [*self.past, *past.blocks]
                await self.session.append(view, [*script.heard_open, *text, *calls, *script.heard_close])
                self._history.append(past)
            self.turn = self._new_turn()
            self.turn.before, self._waiting = self._waiting, []
            return self.turn

    async def settle(self) -> int:
        """Drop the oldest turns that leave no room for this one, write notes that waited; say how many went."""
        async with self._writing:
            need = len(self.turn.thoughts) + self.options.think_tokens + self.options.reply_tokens + BESIDE_TOKENS
            dropped = 0
            while self._history and (
                len(self._history) > self.options.history_turns
                or len(self._about) + sum(map(len, self.past)) + need > self._limit
            ):
                for block in self._history.pop(0).blocks:
                    await self.session.crop(block, 0)
                dropped += 1
            if self.turn.before:
                await self._write_input(self.turn)
            return dropped

    async def _prompt_with(self, tools: Sequence[Tool]) -> list[int]:
        long = sum(len(tool.described()) for tool in tools) > LONG
        prompt_with = self._head.prompt_with
        prompt = await asyncio.to_thread(prompt_with, tools) if long else prompt_with(tools)
        if tools:
            await self.session.prepare(self._head.call_grammar(tools, self.options.calls))
            room = self._limit - self.options.think_tokens - self.options.reply_tokens - BESIDE_TOKENS
            if len(prompt) > room:
                raise BadTool(
                    f"the descriptions of {len(tools)} tools make a prompt of {len(prompt)} tokens, more than {room}; "
                    "give fewer tools, describe them more briefly, or raise engine.context"
                )
        return prompt

    def _new_turn(self) -> Turn:
        self._turns += 1
        block = self.session.block
        # As many names as turns can be in the context at once: what is dropped makes room for what comes.
        number = self._turns % (self.options.history_turns + 2)
        return Turn(number, block(f"input{number}"), block("thoughts"), self._policy, language=self.language)

    async def _write_about(self) -> None:
        """Bring what a reply at once reads of assistant and time up to the minute; nothing in a tiny context."""
        about = self.script.about(None if self._now is None else self._now())
        room = self._limit - len(self._prompt) - self.options.reply_tokens - BESIDE_TOKENS
        await self.rewrite(self._about, [self._prompt, self._about], about if len(about) <= room else ())

    async def _write_input(self, turn: Turn) -> None:
        await self.rewrite(turn.input, [*self.past, turn.input], await self._encoded(turn.input_text))

    async def _encoded(self, text: str) -> list[int]:
        """Encode a text from outside, a long one where it holds up nobody."""
        encode = self.script.tokenizer.encode
        return encode(text) if len(text) <= LONG else await asyncio.to_thread(encode, text)

    async def rewrite(
        self, block: Block, view: Sequence[Block], tokens: Sequence[int], *, at_most: int | None = None
    ) -> None:
        """Make the block hold these tokens; those that it begins with already are not computed again.

        at_most: tokens to add; then the block holds the beginning.
        """
        same = 0
        for mine, new in zip(block.tokens, tokens, strict=False):
            if mine != new:
                break
            same += 1
        if same < len(block):
            await self.session.crop(block, same)
        await self.session.append(view, tokens[same:] if at_most is None else tokens[same : same + at_most])


def _cut(step: str) -> str:
    """Bring a step to the length of a sentence or two: one without an end may be as long as its stretch."""
    return step if len(step) <= _CONCLUSION_CHARACTERS else f"{step[: _CONCLUSION_CHARACTERS - 1]}…"


def _one_line(text: str) -> str:
    """Bring a note to one line of bounded length, without characters that only control."""
    clean = " ".join("".join(c if c.isprintable() else " " for c in text[: 4 * _NOTE_CHARACTERS]).split())
    return clean if len(clean) <= _NOTE_CHARACTERS else clean[: _NOTE_CHARACTERS - 1] + "…"
