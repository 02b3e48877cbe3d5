"""A recording plays the microphone in real time; what a listener would have heard goes into a WAV file.

The wall clock paces 20 ms frames; the listener's axis and the input clock start together with the first frame.
"""

from __future__ import annotations

import asyncio
import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np
from rich.console import Console

from agent.apps.display import displayed, latency_table
from agent.apps.loading import spinning
from agent.apps.progress import shown
from agent.config.invocation import open_store
from agent.conversation import timeline
from agent.conversation.assembly import open_conversation
from agent.conversation.frames import FrameQueue
from agent.conversation.sinks import PlayoutSink
from agent.conversation.transcript import Transcript
from agent.errors import NothingHeard
from agent.models.assembly import load_speech, open_engine, open_speech
from agent.models.registry import find
from agent.robot.access import commanded, until_ready
from agent.robot.controller import RobotAdapter
from audio.clock import FRAME, RATE
from audio.io.wav import WavWriter, check_writable, read_wav
from audio.speaking.playout import Playout

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator
    from pathlib import Path

    from agent.apps.display import Display
    from agent.config.settings import Settings
    from agent.models.registry import Files
    from audio.clock import Sound
    from audio.io.wav import WavReader
    from reasoning.engine.contract import Engine
    from reasoning.prompting.script import Script

_FRAME_S: Final = FRAME / RATE
_TAIL_S: Final = 1.0
"""Silence after the recording in which its last turn may end."""


@dataclass(frozen=True, slots=True)
class RecordingOptions:
    """What the command line asks for."""

    input_file: Path
    output_file: Path
    timeline_file: Path | None
    seed: int
    max_seconds: float
    """Seconds after the end of the recording until an unfinished conversation is given up."""
    save_file: Path | None = None
    """Where a transcript goes."""
    robot: bool = False
    """Whether replies may command the robot of the settings."""


async def run(settings: Settings, talk: RecordingOptions) -> None:
    """Play the recording, write what is heard, show what happens and how prompt it was."""
    recording = read_wav(talk.input_file)
    check_writable(talk.output_file)
    console = Console()
    with shown() as progress:
        files = find(settings, open_store(settings.models), progress, speech=True)
    async with open_engine(files.llm, settings, spinning) as (engine, script):
        with displayed(console) as display:
            entries = await converse(
                recording, engine, script, files=files, settings=settings, talk=talk, display=display
            )
    console.print(latency_table(timeline.turn_latencies(entries)))
    console.print(f"answer: {talk.output_file}", highlight=False, soft_wrap=True)


async def converse(
    recording: WavReader,
    engine: Engine,
    script: Script,
    *,
    files: Files,
    settings: Settings,
    talk: RecordingOptions,
    display: Display,
) -> list[timeline.TimelineEntry]:
    """Hold one conversation with a recording, in real time; give everything that happened."""
    entries: list[timeline.TimelineEntry] = []
    async with AsyncExitStack() as stack:
        speech = await asyncio.to_thread(load_speech, files, settings)
        ears, synthesizer = await stack.enter_async_context(open_speech(speech, settings, engine))
        log = stack.enter_context(timeline.Timeline(talk.timeline_file)) if talk.timeline_file else None
        saved = stack.enter_context(Transcript(talk.save_file)) if talk.save_file else None
        writer = stack.enter_context(WavWriter(talk.output_file, synthesizer.rate))
        start = time.monotonic()

        def emit(event: timeline.Event) -> None:
            t_ms = (time.monotonic() - start) * 1000
            entries.append(timeline.TimelineEntry(t_ms, event))
            display.show(t_ms, event)
            for file in (log, saved):
                if file is not None:
                    file.write(t_ms, event)

        robot = None
        if talk.robot:
            commanding = await stack.enter_async_context(commanded(settings.robot))
            await until_ready(commanding)
            robot = RobotAdapter(commanding, lambda who, text: emit(timeline.RobotNews(who, text)))
            ears.expect(robot.words)
        conversation = await stack.enter_async_context(
            open_conversation(
                engine=engine,
                script=script,
                settings=settings,
                ears=ears,
                voice=synthesizer,
                sink=PlayoutSink(Playout(synthesizer.rate)),
                emit=emit,
                clock=lambda: time.monotonic() - start,
                tools=robot.tools if robot else (),
                seed=talk.seed,
                on_stop=robot.stop if robot else None,
                on_call=robot.called if robot else None,
                on_turn=robot.heard if robot else None,
            )
        )
        frames = FrameQueue(conversation)
        async with asyncio.TaskGroup() as group:
            conversing = group.create_task(conversation.run(), name="conversation")
            helpers = [group.create_task(frames.run(), name="microphone")]
            if robot is not None:
                helpers.append(group.create_task(robot.serve(conversation), name="robot"))
            start = time.monotonic()

            def over() -> bool:
                return conversation.idle and not frames.waiting and (robot is None or robot.idle)

            async for frame, now in _paced(recording, over, start, talk.max_seconds):
                writer.write(conversation.play(int(now * synthesizer.rate), now))
                frames.put(frame, now)
            for helper in helpers:
                helper.cancel()
            await ears.close()
            await conversing
        if not conversation.turns:
            raise NothingHeard(
                f"{talk.input_file}: no words were heard in {recording.seconds:.1f} s; "
                f"record speech that is loud enough (nothing was written to {talk.output_file})"
            )
    return entries


async def _paced(
    recording: WavReader, over: Callable[[], bool], start: float, max_seconds: float
) -> AsyncIterator[tuple[Sound, float]]:
    """Yield frames on the wall clock, each with its second, until the recording is over and everything is said."""
    frames: Iterator[Sound] = iter(recording)
    silence = np.zeros(FRAME, np.float32)
    count, over_at = 0, None
    while True:
        frame = next(frames, None)
        if frame is None:
            over_at = count * _FRAME_S if over_at is None else over_at
            waited = count * _FRAME_S - over_at
            if (waited >= _TAIL_S and over()) or waited > max_seconds:
                return
            frame = silence
        count += 1
        now = count * _FRAME_S
        # A microphone gives a frame when its last sample is recorded, not sooner.
        await asyncio.sleep(max(0.0, start + now - time.monotonic()))
        yield frame, max(now, time.monotonic() - start)
