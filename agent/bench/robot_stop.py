"""From the end of a spoken "stop" to `startPause` on the wire, and to a robot that stands; measured, not simulated.

Real ears, a real broker, the simulated robot in a process of its own that drives, and an engine that computes two
streams without a pause. The microphone is a stream of frames on the wall clock; a word's end is where its sound ends,
not where its frame was handled.
"""

from __future__ import annotations

import asyncio
import shutil
import tempfile
import time
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np
import soxr

from agent import timeline
from agent.models import open_speech
from agent.robot import Body
from agent.session import Session
from agent.speaker import Speaker
from audio.clock import FRAME, RATE
from audio.playout import Playout
from audio.wav import read_wav
from reasoning.engine import Sampling
from reasoning.loop import Loop
from robots.gate import Question, Source
from robots.skills import GO_TO, Call
from robots.vda5050.messages import InstantActions, State

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agent.bench.robot_rig import Rig
    from agent.config import Settings
    from agent.models import Files
    from audio.clock import Sound
    from audio.synthesizer import Synthesizer
    from reasoning.script import Script
    from reasoning.torch_engine import TorchEngine
    from robots.session import RobotSession
    from robots.vda5050.messages import Message

T = TypeVar("T")
PHRASES: Final = ("Stop.", "Stop it!", "Stop now!", "Please stop.")
BEFORE: Final = "Take the box over to the kitchen."
"""Other words of the same speaker, right before the stop."""
BEHIND: Final = "I told them that the meeting begins at nine, and nobody had asked me about the second room."
"""Somebody else, who talks all the while."""
CONDITIONS: Final = ("quiet", "after words", "over other speech")
OTHER_VOICES: Final = ("en-gb", "en-us+f3", "en-gb+m3")
"""Voices of espeak-ng, where it is installed."""

_LOST_S: Final = 3.0
"""A stop that is not on the wire by then was not heard, s."""
_PAUSE_S: Final = 0.25
"""Between other words and the stop, s."""
_BEHIND_DB: Final = -15.0
_FLOOR: Final = 1e-4
_DRIVING_M_S: Final = 0.3
_FRAME_S: Final = FRAME / RATE
_LOOKS_S: Final = 0.02
_SETTLED_S: Final = 20.0
"""How long a stop or a resume may take before the benchmark gives up on it, s."""
_EDGE: Final = 0.02
"""Part of the peak below which a recorded word has ended."""


@dataclass(frozen=True, slots=True)
class Trial:
    """One spoken stop."""

    voice: str
    phrase: str
    condition: str
    wire_ms: float | None
    """From the end of the word to `startPause` on the wire; None: the word was not heard. Below zero: sooner."""
    standing_ms: float | None
    """From the end of the word to a state that says `driving` is false."""
    steps_before: float
    """Steps of the engine a second while the robot set off: how busy it was."""
    steps_during: float
    """The same from the first word to `startPause`: what the ears left to it."""


@dataclass(frozen=True, slots=True)
class Models:
    """What is loaded once."""

    engine: TorchEngine
    script: Script
    files: Files
    settings: Settings


@dataclass(slots=True)
class Microphone:
    """Frames on the wall clock: what is to be said, and a little noise otherwise."""

    start: float
    """Monotonic s of the first sample."""
    count: int = 0
    """Samples given."""
    _left: Sound = field(default_factory=lambda: np.zeros(0, np.float32))
    _noise: np.random.Generator = field(default_factory=lambda: np.random.default_rng(0))

    def say(self, sound: Sound) -> float:
        """Say something from the next frame on; return the moment of its last sample, monotonic s."""
        self._left = sound
        return self.start + (self.count + len(sound)) / RATE

    async def frame(self) -> Sound:
        """Give the next frame when its last sample is recorded, not sooner."""
        self.count += FRAME
        await asyncio.sleep(max(0.0, self.start + self.count / RATE - time.monotonic()))
        frame = self._noise.normal(0, _FLOOR, FRAME).astype(np.float32)
        part, self._left = self._left[:FRAME], self._left[FRAME:]
        frame[: len(part)] += part
        return frame


class Stage:
    """The whole agent with a robot; made by `with_stage`."""

    def __init__(
        self, rig: Rig, session: Session, microphone: Microphone, rate: int, steps: Callable[[], int] = lambda: 0
    ) -> None:
        """`rate` is that of the voice, Hz; `steps` counts what the engine has computed."""
        self.rig, self.session, self.microphone = rig, session, microphone
        self._rate, self._steps = rate, steps
        self.sounds: list[tuple[float, timeline.AudioOut]] = []
        """What began to sound, and when on the monotonic clock."""
        self.stops: list[str] = []
        """Stop phrases that were heard."""

    def pace(self) -> Callable[[], float]:
        """Begin to count the engine's steps; the result gives them, a second."""
        steps, began = self._steps(), time.monotonic()
        return lambda: (self._steps() - steps) / (time.monotonic() - began)

    async def pump(self) -> None:
        """Be the microphone and the listener, for ever."""
        while True:
            frame = await self.microphone.frame()
            now = self.microphone.count / RATE
            await self.session.tick(frame, now, int(now * self._rate))

    def emit(self, event: timeline.Event) -> None:
        """Take what the session tells."""
        if isinstance(event, timeline.AudioOut):
            self.sounds.append((self.microphone.start + event.start_ms / 1000, event))
        if isinstance(event, timeline.HardStopped):
            self.stops.append(event.phrase)


async def with_stage(rig: Rig, models: Models, work: Callable[[Stage, Synthesizer], Awaitable[T]], *, busy: bool) -> T:
    """Run some work with everything wired; `busy`: two streams keep the engine computing."""
    engine, script, settings = models.engine, models.script, models.settings
    async with AsyncExitStack() as stack:
        ears, synthesizer = await stack.enter_async_context(open_speech(models.files, settings, engine))
        blocks = await stack.enter_async_context(engine.session())
        body = Body(rig.robot, lambda _, __: None)
        loop = Loop(
            blocks,
            script,
            settings.loop,
            lambda event: session.told(event),  # noqa: PLW0108 - the session is made from the loop
            time.monotonic,
            context=settings.engine.context,
            tools=body.tools,
        )
        session = Session(
            ears=ears,
            loop=loop,
            speaker=Speaker(synthesizer, Playout(synthesizer.rate), settings.voice),
            holds=[],
            options=settings.loop,
            emit=lambda event: stage.emit(event),  # noqa: PLW0108 - so is the stage
            on_stop=body.stop,
            on_call=body.called,
            on_turn=body.heard,
        )
        await session.open()
        stage = Stage(rig, session, Microphone(time.monotonic()), synthesizer.rate, lambda: engine.steps)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(session.run(), name="conversation"),
                group.create_task(body.serve(session), name="robot"),
                group.create_task(stage.pump(), name="microphone"),
                *(group.create_task(_busy(engine, script, number), name="busy") for number in range(2 * busy)),
            ]
            try:
                return await work(stage, synthesizer)
            finally:
                for task in tasks:
                    task.cancel()


async def _busy(engine: TorchEngine, script: Script, number: int) -> None:
    """Write without end, as a thinker or a writer does."""
    rules = Sampling(ban=script.ends | script.bans, max_tokens=400, temperature=1.0, seed=number)
    async with engine.session() as blocks:
        block = blocks.block("busy")
        while True:
            await blocks.append([block], [*script.prompt, *script.tokenizer.encode("Tell me a long story.")])
            async with aclosing(blocks.generate([block], rules)) as tokens:
                async for _ in tokens:
                    pass
            await blocks.crop(block, 0)


async def measure(stage: Stage, synthesizer: Synthesizer, trials: int) -> list[Trial]:
    """Say stops while the robot drives, in turn by every voice, phrase and condition."""
    spoken = await spoken_stops(synthesizer)
    around = {text: await _of_piper(synthesizer, text) for text in (BEFORE, BEHIND)}
    done: list[Trial] = []
    for number in range(trials):
        voice, phrase, sound = spoken[number % len(spoken)]
        condition = CONDITIONS[(number // len(spoken) + number) % len(CONDITIONS)]
        pace = stage.pace()
        await _drive(stage.rig, number)
        before, pace = pace(), stage.pace()
        ends = stage.microphone.say(_staged(sound, condition, around))
        begun = time.monotonic() if condition != "after words" else ends - len(sound) / RATE
        late = ends - time.monotonic() + _LOST_S
        pause = await stage.rig.wire.until(_is_pause, after=begun, within_s=late)
        during = pace()
        if pause is None:
            stage.rig.robot.stop("the spoken stop was not heard")
        still = await stage.rig.wire.until(_stands, after=pause.at if pause else ends, within_s=_LOST_S)
        done.append(
            Trial(
                voice,
                phrase,
                condition,
                None if pause is None else 1000 * (pause.at - ends),
                None if pause is None or still is None else 1000 * (still.at - ends),
                before,
                during,
            )
        )
        await _let_go(stage.rig.robot)
    return done


async def spoken_stops(synthesizer: Synthesizer) -> list[tuple[str, str, Sound]]:
    """Say every phrase in every voice there is: name, phrase, sound from its first to its last sample."""
    found = [("piper", phrase, await _of_piper(synthesizer, phrase)) for phrase in PHRASES]
    program = shutil.which("espeak-ng")
    if program:
        found += [
            (voice, phrase, await _of_espeak(program, voice, phrase)) for voice in OTHER_VOICES for phrase in PHRASES
        ]
    return found


async def _of_piper(synthesizer: Synthesizer, text: str) -> Sound:
    clip = await synthesizer.synthesize(text)
    return _trimmed(soxr.resample(clip.samples.astype(np.float32) / 32768, clip.rate, RATE))


async def _of_espeak(program: str, voice: str, text: str) -> Sound:
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "said.wav"
        process = await asyncio.create_subprocess_exec(program, "-v", voice, "-s", "150", "-w", str(path), text)
        await process.wait()
        return _trimmed(np.concatenate(list(read_wav(path))))


def _trimmed(sound: Sound) -> Sound:
    loud = np.flatnonzero(np.abs(sound) > _EDGE * np.abs(sound).max())
    return np.asarray(0.5 * sound[loud[0] : loud[-1] + 1] / np.abs(sound).max(), np.float32)


def _staged(sound: Sound, condition: str, around: dict[str, Sound]) -> Sound:
    """Put a stop where it is to be heard; it ends where the result ends."""
    if condition == "after words":
        return np.concatenate((around[BEFORE], np.zeros(int(_PAUSE_S * RATE), np.float32), sound))
    if condition == "quiet":
        return sound
    lead = np.zeros(RATE, np.float32)
    mixed = np.concatenate((lead, sound))
    behind = np.resize(around[BEHIND], len(mixed)) * np.float32(10 ** (_BEHIND_DB / 20))
    return np.asarray(mixed + behind, np.float32)


async def _drive(rig: Rig, number: int) -> None:
    """Have the robot drive somewhere else, and wait until it does."""
    places = ("kitchen", "home", "desk", "door")
    begun = time.monotonic()
    robot = rig.robot
    robot.call(Call(robot.new_id(), GO_TO, {"place": places[number % len(places)]}, robot.robot.gate.epoch))
    moving = await rig.wire.until(_drives, after=begun, within_s=10)
    if moving is None:
        raise RuntimeError("the simulated robot does not drive")


async def _let_go(robot: RobotSession) -> None:
    """Wait until the stop is settled, resume with a confirmation, and wait until the robot may move."""
    core = robot.robot
    await until(lambda: core.stopping is None)
    question = robot.ask_to_resume()
    await asyncio.sleep(_LOOKS_S)
    if isinstance(question, Question):
        robot.answer(question.question_id, yes=True, by=Source.USER)
    await until(lambda: core.gate.latch is None and core.world.state is not None and not core.world.state.paused)


async def until(condition: Callable[[], bool], within_s: float = _SETTLED_S) -> bool:
    """Look at something fifty times a second until it is so; False where it does not become so in time."""
    ends = time.monotonic() + within_s
    while not condition() and time.monotonic() < ends:  # noqa: ASYNC110 - nobody tells of it
        await asyncio.sleep(_LOOKS_S)
    return condition()


def _is_pause(message: Message) -> bool:
    return isinstance(message, InstantActions) and message.actions[0].action_type == "startPause"


def _drives(message: Message) -> bool:
    return isinstance(message, State) and message.velocity is not None and (message.velocity.vx or 0) > _DRIVING_M_S


def _stands(message: Message) -> bool:
    return isinstance(message, State) and not message.driving
