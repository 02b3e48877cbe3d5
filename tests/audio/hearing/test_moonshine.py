"""The adapter for Moonshine's library, over a stand-in for the library: no weights are run."""

from __future__ import annotations

import asyncio
import gc
import importlib.util
import inspect
import sys
from typing import TYPE_CHECKING

import numpy as np
import pytest

from audio.clock import RATE, Sound, samples_of
from audio.errors import EarsUnavailable
from audio.hearing.ears import Ears
from audio.hearing.moonshine import MoonshineRecogniser
from audio.hearing.streamed import StreamingRecogniser
from audio.hearing.transcriber import Transcriber
from audio.hearing.vad import VoiceActivity
from audio.messages import EarsEvent, Words
from tests.audio.hearing import fake_moonshine
from tests.audio.hearing.test_ears import OPTIONS, frames, kinds
from tests.audio.hearing.test_vad import by_level, sound_of

if TYPE_CHECKING:
    from pathlib import Path


@pytest.fixture
def folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Path:
    monkeypatch.setitem(sys.modules, "moonshine_voice", fake_moonshine)
    monkeypatch.setattr(fake_moonshine.Transcriber, "loaded", [], raising=False)
    path = tmp_path / "small-streaming-en" / "quantized"
    path.mkdir(parents=True)
    for name in ("streaming_config.json", "tokenizer.bin"):
        (path / name).touch()
    return path


def lines() -> list[fake_moonshine.Stream]:
    """Give the streams of the model that hears."""
    return fake_moonshine.Transcriber.loaded[0].streams


async def hear(sound: Sound, recogniser: MoonshineRecogniser) -> list[EarsEvent]:
    events: list[EarsEvent] = []
    async with Ears(VoiceActivity(OPTIONS, by_level), Transcriber(lambda: recogniser), OPTIONS) as ears:

        async def read() -> None:
            events.extend([event async for event in ears.events()])

        reader = asyncio.create_task(read())
        for frame in frames(sound):
            await ears.receive(frame)
            await ears.caught_up()
        await ears.close()
        await reader
    return events


def loud(seconds: float) -> Sound:
    return np.full(int(seconds * RATE), 0.9, np.float32)


async def test_a_turn_is_heard_once_and_told_word_for_word(folder: Path) -> None:
    events = await hear(sound_of((0, 300), (0.9, 2000), (0, 1000)), MoonshineRecogniser(folder, OPTIONS))
    assert kinds(events) == "SwwwwewFE"
    final = [event for event in events if isinstance(event, Words)][-1]
    assert final == Words(1, 0, "w0 w1 w2 w3", "", (1.0,) * 4, final=True)
    (stream,) = lines()
    assert not stream.open
    # Four partial transcripts, and two looks at the end: no implicit ones.
    assert stream.asked == 6


async def test_speech_that_goes_on_is_heard_on_a_new_line_after_the_words_before_it(folder: Path) -> None:
    sound = sound_of((0.9, 1000), (0, 400), (0.9, 1500), (0, 1000))
    events = await hear(sound, MoonshineRecogniser(folder, OPTIONS))
    assert kinds(events).replace("w", "") == "SereFE"
    words = [event for event in events if isinstance(event, Words)]
    assert words[-1].committed == "w0 w1 w0 w1 w2"
    assert words[-1].revision == 1
    assert [stream.open for stream in lines()] == [False, False]


async def test_words_of_a_pause_that_speech_overtakes_are_kept(folder: Path) -> None:
    async with Transcriber(lambda: MoonshineRecogniser(folder, OPTIONS)) as transcriber:
        transcriber.start_turn(1, 0, loud(1))
        overtaken = asyncio.create_task(transcriber.final(RATE))
        await asyncio.sleep(0)
        overtaken.cancel()
        transcriber.resume()
        transcriber.feed(loud(1))
        words = await transcriber.final(2 * RATE)
    assert len(words.committed.split()) == 4


async def test_what_lies_beyond_the_end_of_speech_waits_for_the_next_line(folder: Path) -> None:
    async with Transcriber(lambda: MoonshineRecogniser(folder, OPTIONS)) as transcriber:
        transcriber.start_turn(1, 5000, loud(3))
        first = await transcriber.final(5000 + RATE - samples_of(150))
        assert first.committed == "w0 w1"
        assert (await transcriber.final(5000 + 3 * RATE)).committed == "w0 w1 w0 w1 w2 w3"
        assert await transcriber.partial() is None


async def test_expected_words_become_key_terms_once(folder: Path) -> None:
    async with Transcriber(lambda: MoonshineRecogniser(folder, OPTIONS)) as transcriber:
        transcriber.expected = "Go to the hall."
        for turn in (1, 2):
            transcriber.start_turn(turn, 0, loud(1))
            await transcriber.final(RATE)
    assert fake_moonshine.Transcriber.loaded[0].contexts == ["Go to the hall."]


async def test_the_judge_of_turns_hears_the_last_seconds(folder: Path) -> None:
    heard: list[Sound] = []

    class Judge:
        def complete(self, sound: Sound) -> float:
            heard.append(sound)
            return 0.7

    async with Transcriber(lambda: MoonshineRecogniser(folder, OPTIONS), Judge) as transcriber:
        transcriber.start_turn(1, 0, loud(20))
        transcriber.feed(np.zeros(RATE, np.float32))
        words = await transcriber.final(20 * RATE)
    assert words.complete == 0.7
    assert len(heard[0]) == pytest.approx(9 * RATE, abs=samples_of(200))
    assert (heard[0] == 0).sum() == samples_of(150)


def test_short_decodes_have_a_model_of_their_own_and_whole_sound_a_line(folder: Path) -> None:
    recogniser = MoonshineRecogniser(folder, OPTIONS)
    assert isinstance(recogniser, StreamingRecogniser)
    assert [word.text for word in recogniser.spot(loud(1)).words] == ["w0", "w1"]
    assert lines() == []
    assert [word.text for word in recogniser.decode(loud(2), final=True).words] == ["w0", "w1", "w2", "w3"]
    assert not lines()[0].open


def test_a_line_that_nobody_finishes_is_freed(folder: Path) -> None:
    recogniser = MoonshineRecogniser(folder, OPTIONS)
    line = recogniser.open_line("")
    line.feed(loud(1))
    assert lines()[0].open
    del line
    gc.collect()
    assert not lines()[0].open


def test_the_kind_of_a_model_is_told_by_its_folder_and_words_are_as_sure_as_it_says(folder: Path) -> None:
    (folder / "decoder_kv_with_attention.ort").touch()
    recogniser = MoonshineRecogniser(folder, OPTIONS)
    model = fake_moonshine.Transcriber.loaded[0]
    assert model.model_arch is fake_moonshine.ModelArch.SMALL_STREAMING
    assert model.options["vad_threshold"] == "0.0"
    assert {word.confidence for word in recogniser.decode(loud(1), final=True).words} == {0.75}


def test_what_is_missing_is_told_with_what_mends_it(
    folder: Path, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    with pytest.raises(EarsUnavailable, match=r"no streaming_config.json, tokenizer.bin.*moonshine_voice.download"):
        MoonshineRecogniser(tmp_path, OPTIONS)
    nameless = folder.rename(tmp_path / "nameless")
    with pytest.raises(EarsUnavailable, match="small- or medium-streaming"):
        MoonshineRecogniser(nameless, OPTIONS)
    known = nameless.rename(tmp_path / "tiny-streaming-en")
    monkeypatch.setattr(fake_moonshine.Transcriber, "fail", "bad file")
    with pytest.raises(EarsUnavailable, match=r"cannot be loaded.*bad file"):
        MoonshineRecogniser(known, OPTIONS)
    monkeypatch.setitem(sys.modules, "moonshine_voice", None)
    with pytest.raises(EarsUnavailable, match=r"pip install 'descant\[moonshine\]'"):
        MoonshineRecogniser(known, OPTIONS)


def test_a_line_without_a_transcript_is_no_silence(folder: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    recogniser = MoonshineRecogniser(folder, OPTIONS)
    monkeypatch.setattr(fake_moonshine.Transcriber, "mute", True)
    with pytest.raises(EarsUnavailable, match="without a transcript"):
        recogniser.decode(loud(1), final=True)


@pytest.mark.skipif(importlib.util.find_spec("moonshine_voice") is None, reason="the extra `moonshine` is missing")
def test_the_stand_in_has_the_librarys_interface() -> None:
    import moonshine_voice  # noqa: PLC0415 - optional

    stream = importlib.import_module("moonshine_voice.transcriber").Stream
    for real, fake, names in (
        (moonshine_voice.Transcriber, fake_moonshine.Transcriber, ("__init__", "set_context", "create_stream")),
        (moonshine_voice.Transcriber, fake_moonshine.Transcriber, ("transcribe_without_streaming",)),
        (stream, fake_moonshine.Stream, ("start", "add_audio", "update_transcription", "stop", "close")),
    ):
        for name in names:
            theirs, ours = (inspect.signature(getattr(of, name)).parameters for of in (real, fake))
            assert list(ours) == list(theirs)[: len(ours)], name
    assert moonshine_voice.Transcriber.MOONSHINE_FLAG_FORCE_UPDATE == 1
    for kind in fake_moonshine.ModelArch:
        name = kind.name.lower().replace("_", "-")
        assert moonshine_voice.string_to_model_arch(name) == kind == fake_moonshine.string_to_model_arch(name)
