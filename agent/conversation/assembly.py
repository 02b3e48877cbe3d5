"""One conversation, put together: a loop on an engine session, ears, a voice and a sink. Every shell uses it."""

from __future__ import annotations

from contextlib import asynccontextmanager
from datetime import UTC, datetime
from functools import partial
from typing import TYPE_CHECKING, Final

from agent.conversation import timeline
from agent.conversation.driver import ConversationDriver
from agent.conversation.ports import nobody_gives_way
from agent.conversation.reasoner import LoopReasoner
from agent.costs.price import price_now
from languages.spoken import spoken
from reasoning.engine.cores import usable_cores
from reasoning.loop.loop import Loop
from reasoning.tools.running import ToolRunner

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence

    from agent.config.settings import Settings
    from agent.conversation.ports import GiveWay, Reasoner, Recognition, Sink, Synthesis
    from audio.messages import Clip, Words
    from languages.language import Language
    from reasoning.engine.contract import Engine
    from reasoning.events import LoopEvent, ToolCall
    from reasoning.prompting.script import Script
    from reasoning.tools.calls import Tool

_FEW_CORES: Final = 2
"""On so many the language model leaves none to the voice."""


@asynccontextmanager
async def open_conversation(
    *,
    engine: Engine,
    script: Script,
    settings: Settings,
    ears: Recognition,
    voice: Synthesis,
    sink: Sink,
    emit: Callable[[timeline.Event], None],
    clock: Callable[[], float],
    now: Callable[[], datetime] | None = None,
    tools: Sequence[Tool] = (),
    fill: bool = True,
    seed: int = 0,
    on_stop: Callable[[str], None] | None = None,
    on_call: Callable[[ToolCall], object] | None = None,
    on_turn: Callable[[Words], str | None] | None = None,
    on_language: Callable[[Language], None] | None = None,
) -> AsyncIterator[ConversationDriver]:
    """Open a conversation; run it (`ConversationDriver.run`) in a task.

    clock: seconds, for the loop's own time limits.
    now: the date and time of day that the assistant knows; None: none.
    tools: those with a handler are run, and their results told to the loop; calls of others go to `on_call`.
    The others are those of `spoken_conversation` and `Loop`.
    """

    async def note(text: str) -> None:
        await conversation.note(text, unprompted=True)

    handled = [tool for tool in tools if tool.handler is not None]
    new_loop = _loops(settings, script, clock, tools=tools, now=now, seed=seed)
    async with engine.session() as blocks, ToolRunner(handled, emit, note) as runner:
        conversation = await spoken_conversation(
            LoopReasoner(lambda tell: new_loop(blocks, emit=tell), emit),
            runner,
            settings,
            ears=ears,
            voice=voice,
            sink=sink,
            emit=emit,
            fill=fill,
            on_stop=on_stop,
            on_call=on_call,
            on_turn=on_turn,
            on_language=on_language,
            slowdown=lambda: engine.slowdown,
            # With cores to spare, the voice has one to itself.
            give_way=engine.give_way if usable_cores() <= _FEW_CORES else nobody_gives_way,
        )
        await conversation.open()
        yield conversation


async def spoken_conversation(
    reasoner: Reasoner,
    runner: ToolRunner,
    settings: Settings,
    *,
    ears: Recognition,
    voice: Synthesis,
    sink: Sink,
    emit: Callable[[timeline.Event], None],
    fill: bool = True,
    on_stop: Callable[[str], None] | None = None,
    on_call: Callable[[ToolCall], object] | None = None,
    on_turn: Callable[[Words], str | None] | None = None,
    on_language: Callable[[Language], None] | None = None,
    slowdown: Callable[[], float] = lambda: 1.0,
    give_way: GiveWay = nobody_gives_way,
) -> ConversationDriver:
    """Put a conversation together around a reasoner.

    runner: makes the calls of its tools; those of other tools go to `on_call`.
    fill: whether waits are filled by short phrases.
    The others are those of `ConversationDriver`.
    """
    languages = languages_of(settings)

    def called(call: ToolCall) -> None:
        if runner.has(call.name) or on_call is None:
            runner.start(call)
        else:
            on_call(call)

    def told(event: timeline.Event) -> None:
        if isinstance(event, timeline.TurnEnded):
            runner.turn_began()
        emit(event)

    return ConversationDriver(
        ears=ears,
        reasoner=reasoner,
        voice=voice,
        sink=sink,
        fillers=await spoken_fillers(voice, languages[0]) if fill else [],
        languages=languages,
        options=settings.loop,
        voice_options=settings.voice,
        emit=told,
        turns=settings.turns,
        on_stop=on_stop,
        on_call=called,
        on_turn=on_turn,
        on_language=on_language,
        pending=lambda: not runner.idle,
        slowdown=slowdown,
        give_way=give_way,
    )


@asynccontextmanager
async def open_loop(
    *,
    engine: Engine,
    script: Script,
    settings: Settings,
    emit: Callable[[LoopEvent], None],
    clock: Callable[[], float],
    now: Callable[[], datetime] | None = None,
    tools: Sequence[Tool] = (),
    seed: int = 0,
) -> AsyncIterator[Loop]:
    """Open a loop for typed turns: no ears, no voice, no turn-taking."""
    async with engine.session() as blocks:
        loop = _loops(settings, script, clock, tools=tools, now=now, seed=seed)(blocks, emit=emit)
        await loop.open()
        yield loop


def _loops(
    settings: Settings,
    script: Script,
    clock: Callable[[], float],
    *,
    tools: Sequence[Tool],
    now: Callable[[], datetime] | None,
    seed: int,
) -> partial[Loop]:
    """Give what makes loops as the settings have them, of an engine session and of whom they tell (`emit`)."""
    return partial(
        Loop,
        script=script.in_language(languages_of(settings)[0]),
        options=settings.loop,
        clock=clock,
        context=settings.engine.context,
        seed=seed,
        tools=tools,
        now=now,
        price=price_now(settings.costs),
    )


def local_time() -> datetime:
    """Give the date and the time of day where this runs."""
    return datetime.now(UTC).astimezone()


async def spoken_fillers(voice: Synthesis, language: Language) -> list[Clip]:
    """Speak the fillers in advance."""
    return [await voice.synthesize(phrase, language) for phrase in language.replies.fillers]


def languages_of(settings: Settings) -> tuple[Language, ...]:
    """Give the languages that may be spoken, that of the beginning first."""
    return spoken(settings.ears.language, settings.ears.languages)
