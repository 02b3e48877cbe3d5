from __future__ import annotations

import asyncio
import sys
import threading
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import pytest

from audio.errors import VoiceUnavailable
from audio.options import VoiceOptions
from audio.speaking.piper import PiperVoice
from audio.speaking.rehearsed import RehearsedVoice
from audio.speaking.synthesizer import Synthesizer, trim

if TYPE_CHECKING:
    from audio.clock import Pcm

RATE = 1_000
OPTIONS = VoiceOptions()


class Letters:
    """Says ten loud samples for each letter, with a hundred quiet ones on both sides."""

    rate = RATE

    def __init__(self, *_: object) -> None:
        self.said: list[str] = []
        self.thread = ""
        self.may_go = threading.Event()
        self.may_go.set()
        self.began = threading.Event()

    def speak(self, text: str) -> Pcm:
        self.began.set()
        assert self.may_go.wait(10)
        self.said.append(text)
        self.thread = threading.current_thread().name
        return np.pad(np.full(10 * len(text), 9000, np.int16), 100)


def synthesizer(voice: Letters) -> Synthesizer:
    return Synthesizer(lambda: voice, OPTIONS)


async def test_a_clip_is_trimmed_and_ends_with_the_pause_of_its_punctuation() -> None:
    voice = Letters()
    async with synthesizer(voice) as speaker:
        clause = await speaker.synthesize("one, ")
        sentence = await speaker.synthesize('"one." ')
    assert clause.text == "one, "
    assert clause.rate == RATE
    assert len(clause.samples) == 40 + 2 * 15 + OPTIONS.comma_ms
    assert len(sentence.samples) == 60 + 2 * 15 + OPTIONS.sentence_ms
    assert voice.thread.startswith("voice")


async def test_numbers_are_spoken_and_pictures_are_not() -> None:
    voice = Letters()
    async with synthesizer(voice) as speaker:
        assert len((await speaker.synthesize("😀 ")).samples) == 0
        await speaker.synthesize("**12**")
    assert voice.said == ["twelve"]


async def test_a_clip_nobody_waits_for_is_dropped() -> None:
    voice = Letters()
    async with synthesizer(voice) as speaker:
        voice.may_go.clear()
        first = asyncio.create_task(speaker.synthesize("one"))
        second = asyncio.create_task(speaker.synthesize("two"))
        await asyncio.get_running_loop().run_in_executor(None, voice.began.wait)
        first.cancel()
        second.cancel()
        await asyncio.sleep(0)
        voice.may_go.set()
        assert (await speaker.synthesize("three")).text == "three"
    assert first.cancelled()
    assert voice.said == ["one", "three"]


def test_trim_leaves_silence_empty() -> None:
    assert len(trim(np.zeros(50, np.int16), 5)) == 0
    assert len(trim(np.zeros(0, np.int16), 5)) == 0
    assert trim(np.array([0, 0, 0, 9, 0, 0, 0], np.int16), 1).tolist() == [0, 9, 0]


async def test_a_missing_voice_is_told(tmp_path: Path) -> None:
    with pytest.raises(VoiceUnavailable, match="descant models pull"):
        async with Synthesizer(lambda: PiperVoice(tmp_path / "voice.onnx", OPTIONS), OPTIONS):
            pytest.fail("started without a voice")


def test_a_missing_engine_names_the_extra(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    for name in ("voice.onnx", "voice.onnx.json"):
        (tmp_path / name).write_bytes(b"{}")
    monkeypatch.setitem(sys.modules, "piper", None)
    with pytest.raises(VoiceUnavailable, match=r"descant\[voice\]"):
        PiperVoice(tmp_path / "voice.onnx", OPTIONS)


def test_a_damaged_voice_is_told(tmp_path: Path) -> None:
    for name in ("voice.onnx", "voice.onnx.json"):
        (tmp_path / name).write_bytes(b"{}")
    pytest.importorskip("piper")
    with pytest.raises(VoiceUnavailable, match="cannot be loaded"):
        PiperVoice(tmp_path / "voice.onnx", OPTIONS)


def test_a_phrase_for_waits_is_spoken_once_and_others_each_time() -> None:
    voice = Letters()
    rehearsed = RehearsedVoice(voice, ["Well,"], later=["Still at it."])
    assert voice.said == ["Well,"]
    for _ in range(2):
        for text in ("Well,", "Still at it.", "Something else."):
            assert len(rehearsed.speak(text))
    assert voice.said == ["Well,", "Still at it.", "Something else.", "Something else."]
