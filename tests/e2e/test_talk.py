"""The main job on real speech with real models: recorded questions in, spoken answers out, judged by ear."""

from __future__ import annotations

import asyncio
import tomllib
from dataclasses import replace
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np
import pytest
from rich.console import Console

from agent.apps.display import displayed
from agent.apps.recording import RecordingOptions, converse
from agent.config.settings import Settings, load
from agent.conversation import timeline
from agent.models.assembly import OpenModels, load_speech
from agent.models.registry import Files, load_engine
from audio.clock import Sound
from audio.hearing.whisper import WhisperDecoder
from audio.io.sound_files import read_sound
from reasoning.policies.grounding import numbers
from tests.e2e.stage.make_recordings import RECORDINGS
from tests.reasoning.model_files import model_path

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from reasoning.engine.torch_engine import TorchEngine
    from reasoning.options import Mode
    from reasoning.prompting.script import Script

pytestmark = [pytest.mark.e2e, pytest.mark.live]
QUESTIONS: dict[str, dict[str, Any]] = {
    question["file"]: question
    for question in tomllib.loads((RECORDINGS / "questions.toml").read_text(encoding="utf-8"))["question"]
}
PROBLEMS = [name for name, question in QUESTIONS.items() if question["answer"]]


@pytest.fixture(scope="module")
def settings() -> Settings:
    return load().settings


@pytest.fixture(scope="module")
def files(settings: Settings) -> Files:
    options = settings.models
    return Files(model_path(options.llm), model_path(options.asr).parent, model_path(options.voice).parent)


@pytest.fixture(scope="module")
def mind(settings: Settings, files: Files) -> Iterator[tuple[TorchEngine, Script]]:
    engine, script = load_engine(files.llm, settings.engine)
    yield engine, script
    engine.close()


class Talker:
    """Holds conversations with recordings, one after the other, on one engine."""

    def __init__(self, mind: tuple[TorchEngine, Script], files: Files, settings: Settings, folder: Path) -> None:
        self._mind, self._files, self._settings, self._folder = mind, files, settings, folder
        self._whisper = WhisperDecoder(files.asr, settings.ears)

    def ask(self, name: str, mode: Mode = "async") -> tuple[list[str], list[timeline.TimelineEntry]]:
        """Talk, and give what Whisper hears in the answer (as a whole, then clip by clip), and the timeline."""
        answer = self._folder / f"{mode}-{name}"
        settings = self._settings.model_copy(update={"loop": replace(self._settings.loop, mode=mode)})
        talk = RecordingOptions(RECORDINGS / name, answer, self._folder / "timeline.jsonl", seed=0, max_seconds=90)
        recording, load = read_sound(talk.input_file), partial(load_speech, self._files, settings)
        with displayed(Console(quiet=True)) as display:
            asyncio.run(converse(recording, OpenModels(settings, *self._mind, load), talk=talk, display=display))
        entries = timeline.read_timeline(self._folder / "timeline.jsonl")
        sound = np.concatenate(list(read_sound(answer)))
        said = [entry.event for entry in entries if isinstance(entry.event, timeline.AudioOut)]
        clips = [sound[int(clip.start_ms * 16) : int(clip.end_ms * 16)] for clip in said if clip.kind == "content"]
        return [self._transcript(sound), *map(self._transcript, clips)], entries

    def answers(self, name: str, mode: Mode = "async") -> bool:
        """Whether the right answer is heard. Voice and Whisper may garble a number between them: then ask again."""
        answer = QUESTIONS[name]["answer"]
        for _ in range(2):
            transcripts, entries = self.ask(name, mode)
            print(name, mode, transcripts[0], *timeline.turn_latencies(entries), sep="\n  ")
            if any(holds(transcript, answer) for transcript in transcripts):
                return True
        return False

    def _transcript(self, sound: Sound) -> str:
        said = np.flatnonzero(np.abs(sound) > 0.01)
        if not len(said):
            return ""
        spoken = np.pad(sound[said[0] : said[-1] + 1], 4_000)
        windows = [spoken[start : start + 25 * 16_000] for start in range(0, len(spoken), 25 * 16_000)]
        return " ".join(word.text for window in windows for word in self._whisper.decode(window, final=True).words)


@pytest.fixture(scope="module")
def talker(
    mind: tuple[TorchEngine, Script], files: Files, settings: Settings, tmp_path_factory: pytest.TempPathFactory
) -> Talker:
    return Talker(mind, files, settings, tmp_path_factory.mktemp("answers"))


def holds(transcript: str, answer: str) -> bool:
    """Whether the answer was said; numbers in figures or words."""
    if answer.isdigit():
        return float(answer) in numbers(transcript)
    return answer.lower() in transcript.lower()


@pytest.mark.slow
@pytest.mark.timeout(900)
def test_async_says_what_thinking_first_finds(talker: Talker) -> None:
    found = [name for name in PROBLEMS if talker.answers(name, "think-first")]
    assert len(found) >= len(PROBLEMS) / 2
    assert [name for name in found if not talker.answers(name)] == []


def test_thinks_on_while_it_speaks(talker: Talker) -> None:
    _, entries = talker.ask("tickets.wav")
    thoughts = [entry.t_ms for entry in entries if isinstance(entry.event, timeline.Thought)]
    ended = next(entry.t_ms for entry in entries if isinstance(entry.event, timeline.TurnEnded))
    heard = next(entry.t_ms for entry in entries if isinstance(entry.event, timeline.AudioOut))
    assert ended < heard < max(thoughts)
    assert [entry.event.reason for entry in entries if isinstance(entry.event, timeline.TurnDone)] == ["complete"]


def test_greets(talker: Talker) -> None:
    (transcript, *_), entries = talker.ask("greeting.wav")
    assert len(transcript.split()) >= 2
    assert not numbers(transcript)
    assert [type(entry.event) for entry in entries].count(timeline.TurnDone) == 1


def test_waits_through_a_pause_inside_a_question(talker: Talker) -> None:
    _, entries = talker.ask("fruit.wav")
    ended = [entry.event.text for entry in entries if isinstance(entry.event, timeline.TurnEnded)]
    assert len(ended) == 1
    assert len(ended[0].split()) > len(QUESTIONS["fruit.wav"]["text"].split()) * 0.7
