"""A start that warms: what the first answer would be the first to do was done when the models are handed out."""

from __future__ import annotations

import asyncio
import time
from typing import TYPE_CHECKING, Final

import numpy as np
import platformdirs
import pytest

from agent.config.settings import load
from agent.conversation.assembly import open_loop
from agent.models.assembly import open_models
from agent.models.spans import StartTimes
from agent.models.warming import warm_ears
from agent.realtime.server.models import open_server_models
from audio.clock import RATE
from audio.hearing.whisper import Hypothesis, WhisperDecoder
from audio.options import EarsOptions
from languages.english import ENGLISH
from reasoning.engine.torch_engine import TorchEngine
from tests.agent.command_line import write_babbler

if TYPE_CHECKING:
    from pathlib import Path

    from agent.config.settings import Loaded
    from agent.models.assembly import OpenModels
    from audio.clock import Pcm, Sound


class Ears:
    def __init__(self) -> None:
        self.decoded = self.spotted = 0

    def decode(self, sound: Sound, *, final: bool, expected: str = "") -> Hypothesis:
        del sound, final, expected
        self.decoded += 1
        return Hypothesis(())

    def spot(self, sound: Sound) -> Hypothesis:
        del sound
        self.spotted += 1
        return Hypothesis(())


class Voice:
    rate = 16_000

    def __init__(self) -> None:
        self.said: list[str] = []

    def speak(self, text: str) -> Pcm:
        self.said.append(text)
        return np.ones(100, np.int16)


@pytest.fixture
def loaded(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Loaded:
    monkeypatch.setenv("XDG_CACHE_HOME", str(tmp_path / "cache"))
    model = write_babbler(tmp_path / "babbler.gguf")
    return load(overrides={"models.llm": str(model), "models.turn": "", "engine.native": "off"})


OF_ITS_OWN: Final = 3
"""Steps in which a conversation reads who the assistant is and what time it is, before anybody speaks."""


async def computed(models: OpenModels) -> int:
    """Steps that a new conversation's prompt takes, and `OF_ITS_OWN`."""
    assert isinstance(models.engine, TorchEngine)
    before = models.engine.steps
    async with open_loop(
        engine=models.engine,
        script=models.script,
        settings=models.settings,
        emit=lambda _: None,
        clock=asyncio.get_running_loop().time,
    ):
        return models.engine.steps - before


async def test_a_warm_start_has_heard_and_read_before_anybody_speaks(loaded: Loaded) -> None:
    ears, voice = Ears(), Voice()
    async with open_models(loaded.settings, recogniser=ears, voice=voice, warm=True) as models:
        assert ears.decoded == ears.spotted == 1
        assert await computed(models) == OF_ITS_OWN
        spoken = list(voice.said)
        assert len(spoken) == len(ENGLISH.replies.fillers)
        async with open_server_models(models) as house:
            assert ears.decoded == ears.spotted == 1
            assert [clip.text for clip in house.fillers] == list(ENGLISH.replies.fillers)
        assert voice.said[: len(spoken)] == spoken
        assert not set(voice.said[len(spoken) :]) & set(spoken)


async def test_a_start_that_does_not_warm_loads_no_ears(loaded: Loaded) -> None:
    ears = Ears()
    async with open_models(loaded.settings, recogniser=ears, voice=Voice()) as models:
        assert ears.decoded == 0
        assert await computed(models) > OF_ITS_OWN


async def test_the_server_warms_what_nobody_has(loaded: Loaded) -> None:
    ears, voice = Ears(), Voice()
    async with (
        open_models(loaded.settings, recogniser=ears, voice=voice) as models,
        open_server_models(models) as house,
    ):
        assert ears.decoded == 1
        assert len(voice.said) == len(house.fillers) > 0
        assert await computed(models) == OF_ITS_OWN


async def test_the_first_start_measures_and_the_next_one_takes_it(loaded: Loaded) -> None:
    lines: list[str] = []

    async def start(*, warm: bool) -> tuple[str, int]:
        async with open_models(
            loaded.settings,
            given=loaded.origins,
            recogniser=Ears(),
            voice=Voice(),
            warm=warm,
            tell=lines.append,
        ) as models:
            return models.plan, models.settings.engine.prefill_rows

    assert (await start(warm=False))[0] == ""
    plan, rows = await start(warm=True)
    assert len(lines) == 1
    assert "a step of thinker and writer" in plan
    assert await start(warm=True) == await start(warm=False) == (plan, rows)
    assert len(lines) == 1


async def test_benchmarks_and_tests_have_the_settings_as_they_are(loaded: Loaded) -> None:
    async with open_models(loaded.settings, recogniser=Ears(), voice=Voice(), warm=True) as models:
        assert models.settings == loaded.settings
        assert models.plan == ""


async def test_the_spans_of_a_start_are_told_in_their_order(loaded: Loaded) -> None:
    times = StartTimes()
    async with open_models(loaded.settings, recogniser=Ears(), voice=Voice(), warm=True, times=times):
        told = "\n".join(times.lines())
    for what in ("language model loaded", "ears loaded", "voice: fillers spoken", "instructions read"):
        assert what in told
    assert told.endswith("ready")


def test_a_span_says_when_it_began_and_how_long_it_took() -> None:
    seconds = iter([10.0, 11.0, 11.5, 14.0, 15.0])
    times = StartTimes(clock=lambda: next(seconds))
    with times.span("a thing"):
        pass
    assert times.lines() == ["  1.00 s  a thing: 0.50 s", "  4.00 s  ready"]


async def test_what_fails_has_no_span() -> None:
    times = StartTimes()
    with pytest.raises(OSError, match="no"), times.span("a thing"):
        raise OSError("no")
    assert times.spans == []


@pytest.mark.e2e
def test_the_first_short_decode_of_warm_ears_takes_no_longer_than_those_that_follow() -> None:
    folder = platformdirs.user_cache_path("descant") / "models" / "whisper-tiny.en"
    ears = WhisperDecoder(folder, EarsOptions())
    warm_ears(ears, None, StartTimes())
    noise = np.random.default_rng(0).normal(0, 0.1, 2 * RATE).astype(np.float32)
    took = []
    for _ in range(7):
        began = time.perf_counter()
        ears.spot(noise)
        took.append(time.perf_counter() - began)
    assert took[0] < 3 * sorted(took[1:])[3]
