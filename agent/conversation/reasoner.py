"""The loop as the reasoner of a conversation: what it tells goes with the reply that it is told for."""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import Callable

    from agent.conversation.reply import ReplyRequest
    from languages.language import Language
    from reasoning.events import LoopEvent


class TurnLoop(Protocol):
    """What a conversation needs of a loop; `reasoning.loop.loop.Loop` and the baselines of the benchmarks have it."""

    async def open(self) -> None:
        """Get ready before anybody speaks."""
        ...

    async def hear(self, text: str) -> None:
        """Take the words of the turn so far."""
        ...

    def playing(self, lead_s: float) -> None:
        """Learn how much reply is left to play, in seconds."""
        ...

    async def answer(self, text: str) -> None:
        """Answer the turn whose final words these are."""
        ...

    def speak(self, language: Language) -> None:
        """Go on in a language, before the turn at hand is answered."""
        ...

    async def take_back(self) -> None:
        """Forget the answer that was begun."""
        ...

    async def finish(self, heard: str, *, interrupted: bool = False) -> None:
        """Turn what was heard into history."""
        ...

    async def note(self, text: str) -> bool:
        """Take a text from outside; gives whether this turn has it."""
        ...

    @property
    def notes_waiting(self) -> bool:
        """Whether there are notes that no reply could take up."""
        ...


class MakeTurnLoop(Protocol):
    """Makes a loop, which is to tell its events to `tell`."""

    def __call__(self, tell: Callable[[LoopEvent], None], /) -> TurnLoop:
        """Make it."""
        ...


class LoopReasoner:
    """One loop that keeps what was said in its own history."""

    def __init__(self, make: MakeTurnLoop, emit: Callable[[LoopEvent], None]) -> None:
        """`make` makes the loop, which is to tell its events to what it is given; `emit` learns all of them."""
        self._emit = emit
        self._tell: Callable[[LoopEvent], None] | None = None
        """Takes the events of the reply that is being made; None between replies."""
        self._loop = make(self.told)

    def told(self, event: LoopEvent) -> None:
        """Take an event of the loop."""
        self._emit(event)
        if self._tell is not None:
            self._tell(event)

    async def open(self) -> None:
        """Get ready: what can be computed before anybody speaks, is."""
        await self._loop.open()

    async def hear(self, text: str) -> None:
        """Take the words of the turn so far."""
        await self._loop.hear(text)

    async def answer(self, request: ReplyRequest, tell: Callable[[LoopEvent], None]) -> None:
        """Make the reply; everything that the loop begins for it has ended with it."""
        self._tell = tell
        try:
            await self._loop.answer(request.text)
        finally:
            self._tell = None

    def speak(self, language: Language) -> None:
        """Go on in a language."""
        self._loop.speak(language)

    async def take_back(self) -> None:
        """Forget the reply that was begun."""
        await self._loop.take_back()

    async def finish(self, heard: str, *, interrupted: bool = False) -> None:
        """Turn what was heard into history."""
        await (self._loop.finish(heard, interrupted=True) if interrupted else self._loop.finish(heard))

    async def note(self, text: str) -> None:
        """Take a text from outside."""
        await self._loop.note(text)

    @property
    def notes_waiting(self) -> bool:
        """Whether there are notes that no reply could take up."""
        return self._loop.notes_waiting

    def playing(self, lead_s: float) -> None:
        """Learn how much reply is left to hear."""
        self._loop.playing(lead_s)

    async def close(self) -> None:
        """End what runs of its own accord: nothing does; an answer is ended by whoever asked for it."""
