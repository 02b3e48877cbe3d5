"""A recording plays the microphone in real time; what a listener would have heard goes into a WAV file.

The wall clock paces 20 ms frames; the listener's axis and the input clock start together with the first frame.
"""

from __future__ import annotations

import time
from contextlib import AsyncExitStack
from dataclasses import dataclass
from typing import TYPE_CHECKING

from agent.apps.display import displayed, latency_table
from agent.apps.loading import spinning, tell_start, telling
from agent.apps.printing import plain_console
from agent.apps.progress import shown
from agent.conversation import timeline
from agent.conversation.assembly import local_time, open_conversation
from agent.conversation.sinks import PlayoutSink
from agent.conversation.transcript import Transcript
from agent.costs.account import Account
from agent.errors import NothingHeard
from agent.library.sources import played
from agent.library.spoken import hold, wall_clock
from agent.models.assembly import open_models, open_speech
from agent.robot.access import commanded, until_ready
from agent.robot.adapter import RobotAdapter
from audio.io.sound_files import WavWriter, check_writable, read_sound
from audio.speaking.playout import Playout

if TYPE_CHECKING:
    from collections.abc import Sequence
    from pathlib import Path

    from agent.apps.display import Display
    from agent.config.settings import Loaded
    from agent.models.assembly import OpenModels
    from audio.io.sound_files import SoundReader
    from reasoning.tools.calls import Tool


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
    tools: Sequence[Tool] = ()
    """What replies may call besides."""
    verbose: bool = False
    """Whether it is told what the start takes its time for."""
    cost: bool = False
    """Whether it is told at the end what it cost."""


async def run(loaded: Loaded, talk: RecordingOptions) -> None:
    """Play the recording, write what is heard, show what happens and how prompt it was."""
    recording = read_sound(talk.input_file)
    check_writable(talk.output_file)
    console = plain_console()
    account = Account(loaded.settings.costs) if talk.cost else None
    opening = open_models(
        loaded.settings, given=loaded.origins, fetching=shown, shown=spinning, tell=telling, warm=True
    )
    async with opening as models:
        with displayed(console) as display:
            entries = await converse(recording, models, talk=talk, display=display, account=account)
    console.print(latency_table(timeline.turn_latencies(entries)))
    console.print(f"answer: {talk.output_file}", soft_wrap=True)
    if account is not None:
        console.print(account.line(), soft_wrap=True)


async def converse(
    recording: SoundReader,
    models: OpenModels,
    *,
    talk: RecordingOptions,
    display: Display,
    account: Account | None = None,
) -> list[timeline.TimelineEntry]:
    """Hold one conversation with a recording, in real time; give everything that happened."""
    entries: list[timeline.TimelineEntry] = []
    speech = await models.speech()
    settings = models.settings
    async with AsyncExitStack() as stack:
        ears, synthesizer = await stack.enter_async_context(open_speech(speech, settings, models.engine))
        log = stack.enter_context(timeline.Timeline(talk.timeline_file)) if talk.timeline_file else None
        saved = stack.enter_context(Transcript(talk.save_file)) if talk.save_file else None
        writer = stack.enter_context(WavWriter(talk.output_file, synthesizer.rate))
        start = time.monotonic()

        def emit(event: timeline.Event) -> None:
            t_ms = (time.monotonic() - start) * 1000
            entries.append(timeline.TimelineEntry(t_ms, event))
            display.show(t_ms, event)
            if account is not None:
                account.take(event)
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
                engine=models.engine,
                script=models.script,
                settings=settings,
                ears=ears,
                voice=synthesizer,
                sink=PlayoutSink(Playout(synthesizer.rate)),
                emit=emit,
                clock=lambda: time.monotonic() - start,
                now=local_time,
                tools=[*talk.tools, *(robot.tools if robot else ())],
                seed=talk.seed,
                on_stop=robot.stop if robot else None,
                on_call=robot.called if robot else None,
                on_turn=robot.heard if robot else None,
                on_language=robot.speak if robot else None,
            )
        )
        tell_start(models, verbose=talk.verbose)
        start = time.monotonic()
        if account is not None:
            account.begin()
        await hold(
            conversation,
            ears,
            played(recording),
            play=writer.write,
            rate=synthesizer.rate,
            over=lambda: robot is None or robot.idle,
            wait_s=talk.max_seconds,
            ticks=wall_clock(),
            beside=[] if robot is None else [robot.serve(conversation)],
        )
        if not conversation.turns:
            raise NothingHeard(
                f"{talk.input_file}: no words were heard in {recording.seconds:.1f} s; "
                f"record speech that is loud enough (nothing was written to {talk.output_file})"
            )
    return entries
