"""What a conversation is put together from: ears, a reasoner, a voice, and a sink. Each has several implementations.

| port | at the desk, in recordings | at the server | on paper (bench) |
|---|---|---|---|
| `Recognition` | `audio.hearing.ears.Ears` | `agent.realtime.hearing.ClientEars` | `bench.virtual.timed.TimedEars` |
| `Reasoner` | `agent.conversation.reasoner.LoopReasoner` | `agent.realtime.reasoner.SessionReasoner` | as at the desk |
| `Synthesis` | `audio.speaking.synthesizer.Synthesizer` | the same | `bench.virtual.timed.TimedVoice` |
| `Sink` | `agent.conversation.sinks.PlayoutSink` | `agent.conversation.sinks.RemoteSink` | as at the desk |
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Collection, Sequence

    from agent.conversation.reply import Piece, Reply, ReplyRequest
    from agent.conversation.turn_taking import Action
    from audio.clock import Pcm, Sound
    from audio.messages import Clip, EarsEvent, PlayoutEvent, ToldAhead
    from audio.options import EarsOptions
    from languages.language import Language
    from reasoning.events import LoopEvent, ToolCall


class GiveWay(Protocol):
    """Asks whoever computes beside the voice to leave it the processor."""

    def __call__(self, seconds: float, /) -> Callable[[], None]:
        """Ask for so long at most; what this gives is called when the voice does not need it any more."""
        ...


def nobody_gives_way(seconds: float, /) -> Callable[[], None]:
    """Have nobody to ask."""
    del seconds
    return lambda: None


class Recognition(Protocol):
    """Frames in, words out."""

    @property
    def options(self) -> EarsOptions:
        """The settings that hold now."""
        ...

    @property
    def now(self) -> int:
        """Samples that were taken, on the clock of the events."""
        ...

    async def receive(self, frame: Sound) -> None:
        """Take the next frame; waits while nobody reads the events."""
        ...

    def events(self) -> AsyncIterator[EarsEvent]:
        """Yield what is heard, in order, until the ears are closed."""
        ...

    def end_turn_after(self, milliseconds: float) -> None:
        """Let this pause end the turn after that much silence, now that its words are known."""
        ...

    def listen_for_stops(self, wanted: bool, tell: Callable[[ToldAhead], None]) -> None:  # noqa: FBT001 - the state itself
        """Say whether there is anything to stop; `tell` is called at once with what is told ahead of any event."""
        ...


class Reasoner(Protocol):
    """Words in, replies out: one turn after the other."""

    async def open(self) -> None:
        """Get ready: what can be computed before anybody speaks, is."""
        ...

    async def hear(self, text: str) -> None:
        """Take the words of the turn so far, all of them."""
        ...

    async def answer(self, request: ReplyRequest, tell: Callable[[LoopEvent], None]) -> None:
        """Make the reply; `tell` takes what happens for it. Cancel it to interrupt: afterwards it tells nothing."""
        ...

    def speak(self, language: Language) -> None:
        """Go on in a language, before the turn at hand is answered."""
        ...

    async def take_back(self) -> None:
        """Forget the reply that was begun: the user goes on."""
        ...

    async def finish(self, heard: str, *, interrupted: bool = False) -> None:
        """Turn what was heard of the reply into history."""
        ...

    async def note(self, text: str) -> None:
        """Take a text from outside."""
        ...

    @property
    def notes_waiting(self) -> bool:
        """Whether there are notes that no reply could take up."""
        ...

    def playing(self, lead_s: float) -> None:
        """Learn how much reply is left to hear, in s; below zero it is how long the listener has waited."""
        ...

    async def close(self) -> None:
        """End what runs of its own accord."""
        ...


class Synthesis(Protocol):
    """Text in, sound out."""

    @property
    def rate(self) -> int:
        """Samples per second of every clip."""
        ...

    async def synthesize(self, text: str, language: Language) -> Clip:
        """Say one clause in a language; the clip is empty if there is nothing to say in it."""
        ...


class Sink(Protocol):
    """Where pieces of replies go, and how much of them was heard: the listener's time axis, in samples of the voice."""

    @property
    def rate(self) -> int:
        """Samples per second of the axis."""
        ...

    @property
    def revocable(self) -> bool:
        """Whether what went out and is not heard yet can be paused and dropped."""
        ...

    @property
    def played(self) -> int:
        """Samples of clips that were heard in all."""
        ...

    @property
    def unplayed(self) -> int:
        """Samples that wait to be heard."""
        ...

    def send(self, reply: Reply, piece: Piece) -> int | None:
        """Let a piece be heard after those before it; gives the number of its clip, None where it goes nowhere."""
        ...

    def advance(self, to_sample: int) -> tuple[Pcm, list[PlayoutEvent]]:
        """Let time pass up to a sample of the axis: what is to be played until then, and what the listener noticed."""
        ...

    def pause(self) -> None:
        """Fall silent, with everything kept."""
        ...

    def resume(self) -> None:
        """Go on where `pause` stopped."""
        ...

    def flush(self, number: int) -> list[PlayoutEvent]:
        """Drop what was not heard yet of the reply of that number and of those before it."""
        ...

    def drop(self, clips: Collection[int]) -> list[PlayoutEvent]:
        """Drop what was not heard yet of these clips; only where the sink is revocable."""
        ...


class RemoteClient(Protocol):
    """A client that owns the conversation: its history, and which replies are made. All calls return at once."""

    def heard(self, event: EarsEvent | ToldAhead, actions: Sequence[Action]) -> None:
        """Learn what was heard, and what was decided and done at once because of it."""
        ...

    def preemptive(self, text: str) -> ReplyRequest | None:
        """Give the request that will come if these words are the whole turn; None: there will be none."""
        ...

    def called(self, reply: Reply, call: ToolCall) -> None:
        """Learn that a reply that may be heard asks for a call."""
        ...

    def made(self, reply: Reply) -> None:
        """Learn that all of a reply went out."""
        ...

    def failed(self, reply: Reply, error: Exception) -> None:
        """Learn that a reply cannot be made."""
        ...

    def cut(self, reply: Reply) -> None:
        """Learn that a reply was cancelled, by the user or by the client itself."""
        ...

    def noted(self, text: str, *, unprompted: bool) -> None:
        """Take what was told from outside into the conversation; `unprompted`: and have a reply to it."""
        ...
