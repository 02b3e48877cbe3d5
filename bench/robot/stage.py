"""The whole agent with a robot, wired for a benchmark: microphone on the wall clock, ears, model, voice, robot.

The microphone is a stream of frames; a word's end is where its sound ends, not where its frame was handled. Knows
nothing of what is measured.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack, aclosing
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final, TypeVar

import numpy as np

from agent.conversation import timeline
from agent.conversation.assembly import open_conversation
from agent.conversation.frames import FrameQueue
from agent.conversation.sinks import PlayoutSink
from agent.models.assembly import load_speech, open_speech
from agent.models.spans import StartTimes
from agent.models.warming import warm_ears, warm_mind
from agent.robot.adapter import RobotAdapter
from audio.clock import FRAME, RATE
from audio.speaking.playout import Playout
from reasoning.engine.contract import Sampling

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable

    from agent.config.settings import Settings
    from agent.conversation.driver import ConversationDriver
    from agent.models.registry import Files
    from audio.clock import Sound
    from audio.speaking.synthesizer import Synthesizer
    from bench.robot.rig import Rig
    from reasoning.engine.torch_engine import TorchEngine
    from reasoning.prompting.script import Script

T = TypeVar("T")
_FLOOR: Final = 1e-4
_LOOKS_S: Final = 0.02
_SETTLED_S: Final = 20.0
"""How long a thing may take before the benchmark gives up on it, s."""


@dataclass(frozen=True, slots=True)
class Models:
    """What is loaded once."""

    engine: TorchEngine
    script: Script
    files: Files
    settings: Settings


@dataclass(slots=True)
class StageMicrophone:
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


class RobotStage:
    """The whole agent with a robot; made by `with_stage`."""

    def __init__(
        self, rig: Rig, conversation: ConversationDriver, robot: RobotAdapter, rate: int, steps: Callable[[], int]
    ) -> None:
        """`rate` is that of the voice, Hz; `steps` counts what the engine has computed."""
        self.rig, self.conversation, self.robot = rig, conversation, robot
        self.frames = FrameQueue(conversation)
        self.microphone = StageMicrophone(time.monotonic())
        self._rate, self._steps = rate, steps
        self.turns: list[str] = []
        """What the ears made of each turn of the user."""
        self.shown: list[tuple[str, str]] = []
        """Who did what, as a person is shown it: the model's calls, the gate, the robot."""
        self.sounds: list[tuple[float, timeline.AudioOut]] = []
        """What began to sound, and when on the monotonic clock."""
        self.stops: list[str] = []
        """Stop phrases that were heard."""
        self.dropped: list[tuple[str, str]] = []
        """Calls and sentences that were taken back, and why."""

    def pace(self) -> Callable[[], float]:
        """Begin to count the engine's steps; the result gives them, a second."""
        steps, began = self._steps(), time.monotonic()
        return lambda: (self._steps() - steps) / (time.monotonic() - began)

    async def pump(self) -> None:
        """Be the microphone and the listener, for ever."""
        while True:
            frame = await self.microphone.frame()
            now = self.microphone.count / RATE
            self.conversation.play(int(now * self._rate), now)
            self.frames.put(frame, now)

    def emit(self, event: timeline.Event) -> None:
        """Take what the conversation tells."""
        match event:
            case timeline.AudioOut(start_ms=start_ms):
                self.sounds.append((self.microphone.start + start_ms / 1000, event))
            case timeline.HardStopped(phrase):
                self.stops.append(phrase)
            case timeline.Retracted(text, reason):
                self.dropped.append((text, reason))
            case timeline.TurnEnded(text):
                self.turns.append(text)
            case _:
                pass

    def show(self, who: str, text: str) -> None:
        """Keep what a person would be shown."""
        self.shown.append((who, text))


async def with_stage(
    rig: Rig, models: Models, work: Callable[[RobotStage, Synthesizer], Awaitable[T]], *, busy: bool
) -> T:
    """Run some work with everything wired and warm, as wherever a robot is commanded by voice.

    busy: two streams keep the engine computing.
    """
    engine, script, settings = models.engine, models.script, models.settings
    async with AsyncExitStack() as stack:
        speech = await asyncio.to_thread(load_speech, models.files, settings)
        await warm_mind(engine, script, StartTimes())
        await asyncio.to_thread(warm_ears, speech.recogniser, speech.judge, StartTimes())
        ears, synthesizer = await stack.enter_async_context(open_speech(speech, settings, engine))
        robot = RobotAdapter(rig.robot, lambda who, text: stage.show(who, text))  # noqa: PLW0108 - the stage is made from it
        ears.expect(robot.words)
        conversation = await stack.enter_async_context(
            open_conversation(
                engine=engine,
                script=script,
                settings=settings,
                ears=ears,
                voice=synthesizer,
                sink=PlayoutSink(Playout(synthesizer.rate)),
                emit=lambda event: stage.emit(event),  # noqa: PLW0108 - so is the stage
                clock=time.monotonic,
                tools=robot.tools,
                fill=False,
                on_stop=robot.stop,
                on_call=robot.called,
                on_turn=robot.heard,
            )
        )
        stage = RobotStage(rig, conversation, robot, synthesizer.rate, lambda: engine.steps)
        async with asyncio.TaskGroup() as group:
            tasks = [
                group.create_task(conversation.run(), name="conversation"),
                group.create_task(robot.serve(conversation), name="robot"),
                group.create_task(stage.frames.run(), name="ears"),
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


async def until(condition: Callable[[], bool], within_s: float = _SETTLED_S) -> bool:
    """Look at something fifty times a second until it is so; False where it does not become so in time."""
    ends = time.monotonic() + within_s
    while not condition() and time.monotonic() < ends:  # noqa: ASYNC110 - nobody tells of it
        await asyncio.sleep(_LOOKS_S)
    return condition()
