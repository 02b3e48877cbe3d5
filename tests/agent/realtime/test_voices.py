"""The voice of a session: what a client may ask for, what it hears, and what it is told."""

from __future__ import annotations

import asyncio
import base64
from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from agent.config.settings import ModelOptions, Settings
from agent.models.voices import VoiceShelf
from agent.realtime.protocol.fields import AudioOutput, InvalidRequest
from agent.realtime.voices import OPENAI, SessionVoice, SessionVoices
from audio.clock import Pcm
from audio.messages import Clip
from audio.options import VoiceOptions
from audio.speaking.synthesizer import Synthesizer
from audio.speaking.voices import VOICES
from languages.english import ENGLISH
from languages.german import LANGUAGE as GERMAN
from languages.spanish import LANGUAGE as SPANISH
from reasoning.store.catalogue import CATALOGUE
from tests.agent.realtime.fakes import FakeModels, Script24, served
from tests.agent.realtime.invariants import Rig

pytest.importorskip("espeakng_loader")

REPLY = "One two three four five."


@dataclass
class Beeps:
    """A voice at a rate of its own that says how often it was asked."""

    rate: int = 16_000
    said: list[str] = field(default_factory=list)

    def speak(self, text: str) -> Pcm:
        self.said.append(text)
        return np.full(self.rate // 10, 8000, np.int16)


def voices(cache: Path, own: str = "piper-en-us-joe") -> SessionVoices:
    return SessionVoices(VoiceShelf(Settings(models=ModelOptions(cache_dir=cache, voice=own))), own)


def house(cache: Path) -> FakeModels:
    return FakeModels(Script24(small_talk=True, at_once=lambda _: REPLY), voices=voices(cache))


def audio(**output: object) -> dict[str, Any]:
    return {"audio": {"output": output}}


def seconds(events: Sequence[dict[str, Any]]) -> float:
    sound = b"".join(base64.b64decode(e["delta"]) for e in events if e["type"] == "response.output_audio.delta")
    return len(sound) / 48_000


async def test_a_session_is_spoken_to_in_the_voice_that_it_asks_for(tmp_path: Path) -> None:
    models = house(tmp_path)
    async with served(models) as server, server.client() as client:
        updated = await client.configure(**audio(voice="espeak-de", speed=1.5))
        assert updated["session"]["audio"]["output"]["voice"] == "espeak-de"
        await client.ask("Hello.")
        quick = seconds(client.events)
        assert quick > 0.5
        assert models.voice.said == []
        async with server.client() as other:
            await other.configure(**audio(voice="espeak-en-us"))
            await other.ask("Hello.")
            assert seconds(other.events) > 1.2 * quick
        async with server.client() as usual:
            await usual.ask("Hello.")
    assert models.voice.said == [REPLY]


async def test_an_unknown_voice_is_refused_with_its_nearest_and_nothing_changes(tmp_path: Path) -> None:
    models = house(tmp_path)
    async with served(models) as server, server.client() as client:
        await client.send("session.update", event_id="mine", session={"type": "realtime", **audio(voice="espeak-dee")})
        error = (await client.until("error"))["error"]
        assert (error["event_id"], error["param"]) == ("mine", "session.audio.output.voice")
        assert (error["type"], error["code"]) == ("invalid_request_error", "invalid_value")
        assert "did you mean espeak-de" in error["message"]
        await client.ask("Hello.")
    assert models.voice.said == [REPLY]


async def test_a_voice_that_cannot_be_loaded_is_told_and_the_servers_own_speaks(tmp_path: Path) -> None:
    for file in CATALOGUE["kokoro-82m"].files:
        path = tmp_path / "kokoro-82m" / file.name
        path.parent.mkdir(exist_ok=True)
        with path.open("wb") as data:
            # Of the right size, and not the right bytes.
            data.truncate(file.size)
    models = house(tmp_path)
    async with served(models) as server, server.client() as client:
        await client.send("session.update", session={"type": "realtime", **audio(voice="kokoro-af_heart")})
        error = (await client.until("error"))["error"]
        assert (error["type"], error["code"]) == ("server_error", "voice_failed")
        assert "wrong checksum" in error["message"]
        await client.until("session.updated")
        await client.ask("Hello.")
    assert models.voice.said == [REPLY]


@pytest.mark.parametrize("name", sorted(OPENAI))
def test_openais_names_stand_for_the_servers_own_voice_unless_it_is_one_of_kokoro(tmp_path: Path, name: str) -> None:
    assert OPENAI[name] in VOICES
    for own in ("piper-en-us-joe", OPENAI[name]):
        servers = voices(tmp_path, own)
        servers.check(AudioOutput(voice=name))
        assert servers.take(AudioOutput(voice=name)) is None
    with pytest.raises(InvalidRequest, match=OPENAI[name]):
        voices(tmp_path, "kokoro-bf_lily").check(AudioOutput(voice=name))


def test_a_voice_that_is_not_here_says_what_brings_it(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"not here: its model is not in the cache; .*descant models pull kokoro"):
        voices(tmp_path).check(AudioOutput(voice="kokoro-af_heart"))


def test_a_speed_that_no_voice_has_is_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidRequest, match=r"0\.5 or faster, not 0\.3") as told:
        voices(tmp_path).check(AudioOutput(voice="espeak-de", speed=0.3))
    assert told.value.param == "session.audio.output.speed"


def test_a_response_has_the_voice_of_its_session() -> None:
    rig = Rig()
    (refused,) = rig.send("response.create", response=audio(voice="amy"))
    assert refused["error"]["param"] == "response.audio.output.voice"
    assert rig.send("response.create", response=audio(voice="joe"))[0]["type"] == "response.created"


async def test_fillers_are_spoken_anew_by_the_new_voice_at_the_old_rate(tmp_path: Path) -> None:
    own, filled = Beeps(), []
    done = asyncio.Event()

    def fill_with(clips: Sequence[Clip]) -> None:
        filled.append([(clip.text, clip.rate, len(clip.samples)) for clip in clips])
        if clips:
            done.set()

    async with Synthesizer(lambda: own, VoiceOptions()) as synthesizer, asyncio.TaskGroup() as group:
        clips = [await synthesizer.synthesize(text) for text in ("Well,", "One moment,")]
        session = SessionVoice(voices(tmp_path), synthesizer, clips)
        await session.choose(AudioOutput(voice="espeak-de"), fill_with, group)
        await session.choose(AudioOutput(voice="espeak-de"), fill_with, group)
        await done.wait()
        empty, spoken = filled
        assert empty == []
        assert [(text, rate) for text, rate, _ in spoken] == [("Well,", 16_000), ("One moment,", 16_000)]
        assert len({length for *_, length in spoken} - {len(clip.samples) for clip in clips}) == 2
        # German is spoken by it, English because the session begins with it, Spanish by the synthesizer's choice.
        for language, said in ((GERMAN, 2), (ENGLISH, 2), (SPANISH, 3)):
            await session.spoken.synthesize("Berlin", language)
            assert len(own.said) == said
        await session.choose(AudioOutput(voice="alloy"), fill_with, group)
        assert filled[2] == [(clip.text, clip.rate, len(clip.samples)) for clip in clips]
    assert own.said == ["Well,", "One moment,", "Berlin"]
