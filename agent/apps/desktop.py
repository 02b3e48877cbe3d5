"""`descant talk` at the desk: microphone and loudspeaker, hands free, until the user ends it.

    sound card ─► echo canceller ─► conversation ─► resampler ─► sound card
         └── what was really played: reference of the canceller, and clock of the heard ledger ──┘

Paced by the sound card alone: its samples are the clock, and with every 20 ms that it records the reply plays on.
Knows how sound gets in and out; does not know whose turn it is, and shows nothing by itself.
"""

from __future__ import annotations

import asyncio
import os
import signal
import sys
import time
from collections import deque
from contextlib import AsyncExitStack, asynccontextmanager
from dataclasses import dataclass, field
from functools import partial
from typing import TYPE_CHECKING, Final, Protocol

import numpy as np

from agent.apps.display import displayed, latency_table
from agent.apps.loading import spinning, tell_start, telling
from agent.apps.printing import plain_console
from agent.apps.progress import shown as progress_shown
from agent.conversation import timeline
from agent.conversation.assembly import local_time, open_conversation
from agent.conversation.sinks import PlayoutSink
from agent.conversation.transcript import Transcript
from agent.costs.account import Account
from agent.library.spoken import hold_at_desk
from agent.models.assembly import open_models, open_speech
from agent.robot.access import commanded, until_ready
from agent.robot.adapter import RobotAdapter
from audio.clock import FRAME, RATE
from audio.io.audio_io import AudioIO
from audio.io.devices import SoundCard, library
from audio.io.echo import EchoMeter, OwnVoice

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Sequence
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from agent.apps.display import Display
    from agent.config.settings import Loaded, Settings
    from agent.conversation.driver import ConversationDriver
    from audio.clock import Sound
    from audio.hearing.ears import Ears
    from audio.io.devices import Captured
    from audio.speaking.synthesizer import Synthesizer
    from reasoning.engine.contract import Engine
    from reasoning.prompting.script import Script
    from reasoning.tools.calls import Tool
    from robots.port import RobotPort

_NO_ECHO_DB: Final = 60.0
"""Echo that is weaker than this is none."""

_KEPT: Final = 4096
_MEASURED: Final = (
    *(timeline.SpeechStopped, timeline.TurnEnded, timeline.AudioOut),
    *(timeline.TurnDone, timeline.StateChanged),
)


class Screen(Protocol):
    """What shows a conversation to a person; called from the event loop, must not block."""

    def show(self, t_ms: float, event: timeline.Event) -> None:
        """Show an event; `t_ms` is the moment, on the conversation's clock."""
        ...

    def level(self, microphone: float, loudspeaker: float) -> None:
        """Show how loud both are (RMS, 0..1); fifty times a second."""
        ...

    def notice(self, text: str) -> None:
        """Show a sentence about the devices."""
        ...


def _print(text: str) -> None:
    print(text, flush=True)  # noqa: T201 - it is for the user


@dataclass(slots=True)
class Notices:
    """Where sentences about the devices go: to the screen while there is one."""

    tell_to: Callable[[str], None] = _print

    def tell(self, text: str) -> None:
        """Tell one."""
        self.tell_to(text)


class _Lines:
    """A screen of plain lines."""

    def __init__(self, display: Display) -> None:
        self.show = display.show
        self.notice = _print

    def level(self, microphone: float, loudspeaker: float) -> None:
        """Levels are not for lines."""


@asynccontextmanager
async def lines(controls: Controls) -> AsyncIterator[Screen]:
    """Show a conversation as plain lines; it ends with Ctrl-C, and the Enter key cuts the reply and stops the robot."""
    _print("talk when you like; Enter cuts the reply and stops the robot, Ctrl-C ends")
    typed = sys.stdin if sys.stdin.isatty() else None
    with displayed(plain_console(force_terminal=False)) as display:
        if typed is None:
            yield _Lines(display)
            return
        loop = asyncio.get_running_loop()

        def entered() -> None:
            if not os.read(typed.fileno(), 4096):
                loop.remove_reader(typed)
            controls.stop()

        loop.add_reader(typed, entered)
        try:
            yield _Lines(display)
        finally:
            loop.remove_reader(typed)


@dataclass(slots=True)
class Controls:
    """What a person may do beside speaking; set by keys, read at every tick."""

    muted: bool = False
    """The microphone hears nothing."""
    push_to_talk: bool = False
    """The microphone hears only while `talking`."""
    talking: bool = False
    """The key is held."""
    interrupt: Callable[[], None] = field(default=lambda: None)
    """Cuts the reply. Set once the conversation runs."""
    stop: Callable[[], None] = field(default=lambda: None)
    """Cuts the reply and stops the robot, if there is one; set once the conversation runs."""
    robot: bool = False
    """Whether there is a robot."""
    ended: asyncio.Event = field(default_factory=asyncio.Event)
    """Set it to end the conversation in order."""

    @property
    def hearing(self) -> bool:
        """Whether the microphone is open."""
        return not self.muted and (self.talking or not self.push_to_talk)


@dataclass(frozen=True, slots=True)
class DeskOptions:
    """What the command line asks for."""

    timeline_file: Path | None = None
    seed: int = 0
    save_file: Path | None = None
    """Where a transcript goes."""
    robot: bool = False
    """Whether replies may command the robot of the settings."""
    tools: Sequence[Tool] = ()
    """What replies may call besides."""
    verbose: bool = False
    """Whether it is told what the start takes its time for."""
    cost: bool = False
    """Whether it is told at the end what it cost."""


async def run(
    loaded: Loaded, live: DeskOptions, shown: Callable[[Controls], AbstractAsyncContextManager[Screen]]
) -> None:
    """Talk over the sound card until the user ends it; then show how prompt it was.

    Raises:
        NoDevice: there is no sound card to talk over; this is found before models are loaded.
        RobotNotReady: the robot cannot be commanded.

    """
    sounddevice = library()
    controls = Controls()
    account = Account(loaded.settings.costs) if live.cost else None
    async with AsyncExitStack() as stack:
        notices = Notices()
        card = SoundCard(loaded.settings.devices, notices.tell, sounddevice)
        card.check()
        opening = open_models(
            loaded.settings, given=loaded.origins, fetching=progress_shown, shown=spinning, tell=telling, warm=True
        )
        models = await stack.enter_async_context(opening)
        voice, engine, speech, settings = OwnVoice(), models.engine, await models.speech(), models.settings
        ears, synthesizer = await stack.enter_async_context(open_speech(speech, settings, engine, own=voice.own))
        log = stack.enter_context(timeline.Timeline(live.timeline_file)) if live.timeline_file else None
        saved = stack.enter_context(Transcript(live.save_file)) if live.save_file else None
        robot = await stack.enter_async_context(commanded(settings.robot)) if live.robot else None
        if robot is not None:
            await until_ready(robot)
            controls.robot = True
        await stack.enter_async_context(card)
        tell_start(models, verbose=live.verbose)
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, controls.ended.set)
        stack.callback(asyncio.get_running_loop().remove_signal_handler, signal.SIGINT)
        async with shown(controls) as screen:
            notices.tell_to = screen.notice
            talk = LiveTalk(
                settings,
                screen,
                controls,
                live=live,
                log=log,
                saved=saved,
                robot=robot,
                voice=voice,
                account=account,
            )
            if account is not None:
                account.begin()
            await talk.run(card, ears, synthesizer, engine, models.script)
            notices.tell_to = _print
    plain_console().print(latency_table(timeline.turn_latencies(talk.entries)))
    plain_console().print(talk.account(card))
    if account is not None:
        plain_console().print(account.line(), soft_wrap=True)


class LiveTalk:
    """One conversation over a sound card."""

    def __init__(
        self,
        settings: Settings,
        screen: Screen,
        controls: Controls,
        *,
        live: DeskOptions | None = None,
        log: timeline.Timeline | None = None,
        saved: Transcript | None = None,
        robot: RobotPort | None = None,
        voice: OwnVoice | None = None,
        account: Account | None = None,
    ) -> None:
        """`voice` is what the ears know the agent's own words by."""
        self._settings, self._screen, self._controls, self._log = settings, screen, controls, log
        self._options = live or DeskOptions()
        self._saved = saved
        self._account = account
        self._robot = None if robot is None else RobotAdapter(robot, self._tell_robot)
        self._frames = 0
        self._ticked = time.monotonic()
        self._voice = voice or OwnVoice()
        self.entries: deque[timeline.TimelineEntry] = deque(maxlen=_KEPT)
        """What latencies are measured by, the newest."""
        self._desk: AudioIO | None = None

    @property
    def now_s(self) -> float:
        """Seconds of sound that the device has recorded: the conversation's clock."""
        return self._frames * FRAME / RATE

    def account(self, card: SoundCard) -> str:
        """Tell, in a line, how well the sound went."""
        counters = card.counters
        told = f"{counters.underruns} underruns, {counters.overruns} overruns"
        meter = self._desk.microphone.meter if self._desk else EchoMeter()
        if not meter.blocks or meter.return_loss_db > _NO_ECHO_DB:
            return told
        return f"{told}; echo {meter.return_loss_db:.0f} dB below playback, and {meter.enhancement_db:.0f} dB cancelled"

    async def run(self, card: SoundCard, ears: Ears, synthesizer: Synthesizer, engine: Engine, script: Script) -> None:
        """Converse until `controls.ended` is set."""
        desk = self._desk = AudioIO(card, synthesizer.rate, self._settings.devices)
        robot = self._robot
        if robot is not None:
            ears.expect(robot.words)
        async with open_conversation(
            engine=engine,
            script=script,
            settings=self._settings,
            ears=ears,
            voice=synthesizer,
            sink=PlayoutSink(desk.playout),
            emit=self._emit,
            clock=time.monotonic,
            now=local_time,
            tools=[*self._options.tools, *(robot.tools if robot else ())],
            seed=self._options.seed,
            on_stop=robot.stop if robot else None,
            on_call=robot.called if robot else None,
            on_turn=robot.heard if robot else None,
            on_language=robot.speak if robot else None,
        ) as conversation:
            self._controls.interrupt = conversation.interrupt
            self._controls.stop = partial(_stop, conversation, robot)
            await hold_at_desk(
                conversation,
                ears,
                card,
                desk,
                ended=self._controls.ended,
                frame=self._frame,
                beside=[] if robot is None else [robot.serve(conversation)],
            )

    def _frame(self, clean: Sound, block: Captured) -> Sound:
        """Take note of a frame, and give what is heard of it."""
        self._frames += 1
        self._ticked = time.monotonic()
        frame = clean if self._controls.hearing else np.zeros_like(clean)
        self._screen.level(_level(frame), _level(block.played))
        return frame

    def _tell_robot(self, who: str, text: str) -> None:
        self._emit(timeline.RobotNews(who, text))

    def _emit(self, event: timeline.Event) -> None:
        t_ms = (self.now_s + time.monotonic() - self._ticked) * 1000
        if isinstance(event, timeline.AudioOut):
            self._voice.said(event.text, event.end_ms / 1000)
        if isinstance(event, _MEASURED):
            self.entries.append(timeline.TimelineEntry(t_ms, event))
        self._screen.show(t_ms, event)
        if self._account is not None:
            self._account.take(event)
        for file in (self._log, self._saved):
            if file is not None:
                file.write(t_ms, event)


def _stop(conversation: ConversationDriver, robot: RobotAdapter | None) -> None:
    """Stop everything at once: the robot first."""
    if robot is not None:
        robot.pressed()
    conversation.interrupt()


def _level(sound: Sound) -> float:
    return float(np.sqrt(np.mean(np.square(sound)))) if len(sound) else 0.0
