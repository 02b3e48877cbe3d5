"""`descant talk` at the desk: microphone and loudspeaker, hands free, until the user ends it.

    sound card ─► echo canceller ─► conversation ─► resampler ─► sound card
         └── what was really played: reference of the canceller, and clock of the heard ledger ──┘

Paced by the sound card alone: its samples are the clock, and with every 20 ms that it records the reply plays on.
Knows how sound gets in and out; does not know whose turn it is, and shows nothing by itself.
"""

from __future__ import annotations

import asyncio
import math
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
from rich.console import Console

from agent.apps.display import displayed, latency_table
from agent.apps.loading import loading, spinning
from agent.apps.progress import shown as progress_shown
from agent.config.invocation import open_store
from agent.conversation import timeline
from agent.conversation.assembly import open_conversation
from agent.conversation.frames import FrameQueue
from agent.conversation.sinks import PlayoutSink
from agent.conversation.transcript import Transcript
from agent.models.assembly import load_speech, open_engine, open_speech
from agent.models.registry import find
from agent.robot.access import commanded, until_ready
from agent.robot.controller import RobotAdapter
from audio.clock import FRAME, RATE
from audio.io.devices import SoundCard, library
from audio.io.echo import EchoMeter, Microphone, OwnVoice
from audio.io.resampling import Resampler
from audio.speaking.playout import Playout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from contextlib import AbstractAsyncContextManager
    from pathlib import Path

    from agent.apps.display import Display
    from agent.config.settings import Settings
    from agent.conversation.driver import ConversationDriver
    from audio.clock import Pcm, Sound
    from audio.hearing.ears import Ears
    from audio.io.devices import Captured
    from audio.options import DeviceOptions
    from audio.speaking.synthesizer import Synthesizer
    from reasoning.engine.contract import Engine
    from reasoning.prompting.script import Script
    from robots.session import RobotSession

_IDLE_LEAD_S: Final = 0.04
"""Seconds handed to the device ahead while there is nothing to say: a reply then begins that much later."""

_LOUDEST: Final = 32_768
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
    with displayed(Console(force_terminal=False)) as display:
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


class AudioIO:
    """The sound card as a listener of a playout: hands out sound ahead, and accounts for what really went out."""

    def __init__(self, card: SoundCard, rate: int, options: DeviceOptions) -> None:
        """`rate` is that of the voice."""
        self.playout = Playout(rate, self._silence)
        self._card, self._rate, self._options = card, rate, options
        self._lead_s = options.lead_ms / 1000
        self._made_up = self._skipped = self._reopened = 0
        self._sounding = False
        self._fit()

    def _fit(self) -> None:
        """Fit the device's rate; another device has another room around it."""
        options = self._options
        self.microphone = Microphone(self._card.rate, cancel=not options.headphones, warmup_ms=options.warmup_ms)
        self._resampler = Resampler(self._rate, self._card.rate)

    def hear(self, block: Captured) -> Iterator[Sound]:
        """Take a block of the device; yield frames of the input clock without the agent's own voice."""
        if self._reopened != self._card.counters.reopened:
            self._reopened = self._card.counters.reopened
            self.playout.hand_out_again()
            self._fit()
        return self.microphone.receive(block.microphone, block.played)

    def due(self) -> int:
        """Tell up to which sample of the axis sound is needed now; the lag of the playout is brought up to date.

        Silence is handed out only a little ahead: what is queued next begins behind it.
        """
        waiting_s = (self._card.waiting + self._resampler.held_back) / self._card.rate
        self.playout.lag(min(self.playout.now, round((waiting_s + self._card.latency_s) * self._rate)))
        ready = self.playout.ready
        missing_s = max(_IDLE_LEAD_S - waiting_s, min(self._lead_s - waiting_s, ready / self._rate))
        # Silence makes up for what the device played alone: both clocks stay together, and nothing is lost.
        self._sounding, self._skipped = ready > 0, 0 if ready else self._behind()
        return self.playout.now + max(0, math.ceil(missing_s * self._rate)) + self._skipped

    def play(self, sound: Pcm) -> None:
        """Send the sound that was due to the device."""
        sound = sound[self._skipped :]
        if len(sound):
            floats = (sound / _LOUDEST).astype(np.float32)
            # What is queued since then begins behind silence: a gap before it is not heard.
            self._card.play(self._resampler.receive(floats), more=self._sounding and self.playout.ready > 0)

    def _silence(self) -> None:
        self._card.silence()
        # The last milliseconds that it holds back would sound after the silence.
        self._resampler = Resampler(self._rate, self._card.rate)

    def _behind(self) -> int:
        """Count the samples by which the axis fell behind the device's clock since the last call: it played silence."""
        starved = self._card.counters.starved_samples
        behind = round((starved - self._made_up) * self._rate / self._card.rate)
        self._made_up = starved
        return behind


@dataclass(frozen=True, slots=True)
class DeskOptions:
    """What the command line asks for."""

    timeline_file: Path | None
    seed: int
    save_file: Path | None = None
    """Where a transcript goes."""
    robot: bool = False
    """Whether replies may command the robot of the settings."""


async def run(
    settings: Settings, live: DeskOptions, shown: Callable[[Controls], AbstractAsyncContextManager[Screen]]
) -> None:
    """Talk over the sound card until the user ends it; then show how prompt it was.

    Raises:
        NoDevice: there is no sound card to talk over; this is found before models are loaded.
        RobotNotReady: the robot cannot be commanded.

    """
    sounddevice = library()
    controls = Controls()
    async with AsyncExitStack() as stack:
        notices = Notices()
        card = SoundCard(settings.devices, notices.tell, sounddevice)
        card.check()
        with progress_shown() as progress:
            files = find(settings, open_store(settings.models), progress, speech=True)
        engine, script = await stack.enter_async_context(open_engine(files.llm, settings, spinning))
        with loading("ears and voice"):
            voice = OwnVoice()
            speech = await asyncio.to_thread(load_speech, files, settings)
            ears, synthesizer = await stack.enter_async_context(open_speech(speech, settings, engine, own=voice.own))
        log = stack.enter_context(timeline.Timeline(live.timeline_file)) if live.timeline_file else None
        saved = stack.enter_context(Transcript(live.save_file)) if live.save_file else None
        robot = await stack.enter_async_context(commanded(settings.robot)) if live.robot else None
        if robot is not None:
            await until_ready(robot)
            controls.robot = True
        await stack.enter_async_context(card)
        asyncio.get_running_loop().add_signal_handler(signal.SIGINT, controls.ended.set)
        stack.callback(asyncio.get_running_loop().remove_signal_handler, signal.SIGINT)
        async with shown(controls) as screen:
            notices.tell_to = screen.notice
            talk = LiveTalk(settings, screen, controls, seed=live.seed, log=log, saved=saved, robot=robot, voice=voice)
            await talk.run(card, ears, synthesizer, engine, script)
            notices.tell_to = _print
    Console().print(latency_table(timeline.turn_latencies(talk.entries)))
    Console().print(talk.account(card), highlight=False)


class LiveTalk:
    """One conversation over a sound card."""

    def __init__(
        self,
        settings: Settings,
        screen: Screen,
        controls: Controls,
        *,
        seed: int = 0,
        log: timeline.Timeline | None = None,
        saved: Transcript | None = None,
        robot: RobotSession | None = None,
        voice: OwnVoice | None = None,
    ) -> None:
        """`voice` is what the ears know the agent's own words by."""
        self._settings, self._screen, self._controls, self._seed, self._log = settings, screen, controls, seed, log
        self._saved = saved
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
            tools=robot.tools if robot else (),
            seed=self._seed,
            on_stop=robot.stop if robot else None,
            on_call=robot.called if robot else None,
            on_turn=robot.heard if robot else None,
        ) as conversation:
            self._controls.interrupt = conversation.interrupt
            self._controls.stop = partial(_stop, conversation, robot)
            await self._converse(card, desk, conversation, ears)

    async def _converse(self, card: SoundCard, desk: AudioIO, conversation: ConversationDriver, ears: Ears) -> None:
        frames = FrameQueue(conversation)
        async with asyncio.TaskGroup() as group:
            conversing = group.create_task(conversation.run(), name="conversation")
            running = [
                group.create_task(frames.run(), name="microphone"),
                group.create_task(self._live(card, desk, conversation, frames), name="sound"),
            ]
            if self._robot is not None:
                running.append(group.create_task(self._robot.serve(conversation), name="robot"))
            await self._controls.ended.wait()
            for task in running:
                task.cancel()
            await asyncio.wait(running)
            card.silence()
            conversation.interrupt()
            await ears.close()
            await conversing

    async def _live(self, card: SoundCard, desk: AudioIO, conversation: ConversationDriver, frames: FrameQueue) -> None:
        async for block in card.captured():
            for clean in desk.hear(block):
                self._frames += 1
                self._ticked = time.monotonic()
                frame = clean if self._controls.hearing else np.zeros_like(clean)
                desk.play(conversation.play(desk.due(), self.now_s))
                frames.put(frame, self.now_s)
                self._screen.level(_level(frame), _level(block.played))

    def _tell_robot(self, who: str, text: str) -> None:
        self._emit(timeline.RobotNews(who, text))

    def _emit(self, event: timeline.Event) -> None:
        t_ms = (self.now_s + time.monotonic() - self._ticked) * 1000
        if isinstance(event, timeline.AudioOut):
            self._voice.said(event.text, event.end_ms / 1000)
        if isinstance(event, _MEASURED):
            self.entries.append(timeline.TimelineEntry(t_ms, event))
        self._screen.show(t_ms, event)
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
