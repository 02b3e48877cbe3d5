"""Items through the whole path of sound, in real time: asked by the voice, heard by the ears, judged by ear.

    voice ─► recording ─► agent.apps.recording, unchanged ─► recording of the reply ─► Whisper ─► score

The reply is scored on what Whisper hears in it, fillers cut out, beside the score of its text.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from functools import partial
from pathlib import Path
from tempfile import TemporaryDirectory
from typing import TYPE_CHECKING, Final, cast

import numpy as np
from rich.console import Console

from agent.apps.display import displayed
from agent.apps.recording import RecordingOptions, converse
from agent.conversation import timeline
from agent.errors import NothingHeard
from agent.models.assembly import OpenModels, load_speech
from agent.models.registry import load_recogniser, load_voice
from audio.clock import RATE, samples_of
from audio.io.sound_files import WavWriter, read_sound
from audio.speaking.synthesizer import Synthesizer
from bench.latency.dialogues import spoken
from bench.think.metrics import Sample, measure
from bench.think.scoring import right
from bench.virtual.simulation import Record

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from agent.models.registry import Files
    from audio.clock import Sound
    from audio.speaking.synthesizer import Voice
    from bench.think.items.question import TaskQuestion
    from bench.think.think import Row, ThinkStage
    from reasoning.engine.torch_engine import TorchEngine
    from reasoning.options import Mode

_LEAD_MS: Final = 300
"""Silence before the first word."""
_WAIT_S: Final = 90.0
"""Seconds after the question until a conversation is given up."""
_WINDOW: Final = 25 * RATE
"""Samples that Whisper transcribes at a time."""
_GAP: Final = samples_of(250)
"""Silence between two clauses of what is transcribed, and around them."""


@dataclass(frozen=True, slots=True)
class Spoken:
    """One item, spoken."""

    sample: Sample
    """Timed on the wall clock; scored on the text that was to be heard."""
    question_heard: str
    """The question as the ears heard it."""
    reply_heard: str
    """The reply, without fillers, as Whisper hears it."""
    right_by_ear: bool


class SpeechStage:
    """Holds spoken conversations, one after the other, on one engine."""

    def __init__(self, stage: ThinkStage, engine: TorchEngine, files: Files) -> None:
        self._stage, self._engine, self._files = stage, engine, files
        self._recogniser = load_recogniser(files.asr, stage.settings)

    async def ask(self, row: Row, item: TaskQuestion, asker: Callable[[], Voice] | None = None) -> Spoken:
        """Speak a question, and listen to the reply; for rows of the loop.

        asker: loads the voice that asks; None: the one of the settings, which answers, too.
        """
        loop, script = replace(row.options, mode=cast("Mode", row.mode)), self._stage.model.script
        settings = self._stage.settings.model_copy(update={"loop": loop})
        with TemporaryDirectory() as name:
            asked, answered = Path(name) / "question.wav", Path(name) / "answer.wav"
            await self._speak(item.question, asked, asker)
            try:
                with displayed(Console(quiet=True)) as display:
                    entries = await converse(
                        read_sound(asked),
                        OpenModels(settings, self._engine, script, partial(load_speech, self._files, settings)),
                        talk=RecordingOptions(asked, answered, None, seed=0, max_seconds=_WAIT_S),
                        display=display,
                    )
            except NothingHeard:
                nothing = Sample(row.name, item.task, item.number, item.question, item.answer)
                return Spoken(nothing, "", "", right_by_ear=False)
            reply = np.concatenate(list(read_sound(answered)))
        sample = measure(row.name, item, Record(entries), self._stage.pace, script.tokenizer.decode)
        events = [entry.event for entry in entries]
        turns = [event.text for event in events if isinstance(event, timeline.TurnEnded)]
        heard = self._transcript(content(reply, events))
        return Spoken(sample, " ".join(turns), heard, right(heard, item))

    async def _speak(self, question: str, path: Path, asker: Callable[[], Voice] | None) -> None:
        settings = self._stage.settings
        load = asker or (lambda: load_voice(self._files.voice, settings))
        async with Synthesizer(load, settings.voice) as synthesizer:
            sound = await spoken(synthesizer, question)
        with WavWriter(path, RATE) as wav:
            wav.write(np.zeros(samples_of(_LEAD_MS), np.int16))
            wav.write((sound * 32767).astype(np.int16))

    def _transcript(self, clips: Sequence[Sound]) -> str:
        """Hear clauses together, as many as fit into a window."""
        windows: list[Sound] = []
        for clip in clips:
            padded = np.concatenate([clip, np.zeros(_GAP, np.float32)])
            if windows and len(windows[-1]) + len(padded) <= _WINDOW:
                windows[-1] = np.concatenate([windows[-1], padded])
            else:
                windows.append(np.concatenate([np.zeros(_GAP, np.float32), padded[: _WINDOW - _GAP]]))
        words = [word for window in windows for word in self._recogniser.decode(window, final=True).words]
        return " ".join(word.text for word in words)


def content(sound: Sound, events: Sequence[timeline.Event]) -> list[Sound]:
    """Cut the clauses out of what was heard, fillers left out, each as far as it was heard."""
    ends = {event.start_ms: event.end_ms for event in events if isinstance(event, timeline.AudioCut)}
    clips = []
    for event in events:
        if isinstance(event, timeline.AudioOut) and event.kind == "content":
            end_ms = ends.get(event.start_ms, event.end_ms)
            clips.append(sound[int(event.start_ms * RATE / 1000) : int(end_ms * RATE / 1000)])
    return [clip for clip in clips if len(clip)]
