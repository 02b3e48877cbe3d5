from __future__ import annotations

import sys
from typing import TYPE_CHECKING

import numpy as np
import platformdirs
import pytest

from audio.clock import FRAME, RATE, Sound
from audio.errors import EarsUnavailable
from audio.hearing.stops.word import StopWord, stop_word_runs

if TYPE_CHECKING:
    from pathlib import Path

MODEL = platformdirs.user_cache_path("descant") / "models" / "micro-stop-en" / "stop.tflite"


def frames(sound: Sound) -> list[Sound]:
    return [sound[start : start + FRAME] for start in range(0, len(sound) - FRAME + 1, FRAME)]


@pytest.fixture
def ear() -> StopWord:
    if not (stop_word_runs() and MODEL.is_file()):
        pytest.skip("needs the second ear: pip install 'descant[stop]', descant models pull micro-stop-en")
    return StopWord(MODEL)


def test_a_missing_model_is_told_with_what_fetches_it(tmp_path: Path) -> None:
    with pytest.raises(EarsUnavailable, match="descant models pull micro-stop-en"):
        StopWord(tmp_path / "stop.tflite")


def test_a_missing_package_is_told_with_what_installs_it(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    model = tmp_path / "stop.tflite"
    model.write_bytes(b"something")
    monkeypatch.setitem(sys.modules, "pymicro_wakeword", None)
    with pytest.raises(EarsUnavailable, match=r"pip install 'descant\[stop\]'"):
        StopWord(model)


def test_a_damaged_model_is_told(tmp_path: Path) -> None:
    if not stop_word_runs():
        pytest.skip("needs the second ear: pip install 'descant[stop]'")
    model = tmp_path / "stop.tflite"
    model.write_bytes(b"something")
    with pytest.raises(EarsUnavailable, match="descant models verify micro-stop-en"):
        StopWord(model)


def test_silence_and_noise_are_no_stop(ear: StopWord) -> None:
    noise = np.random.default_rng(0).normal(0, 0.05, 4 * RATE).astype(np.float32)
    assert max(map(ear.hear, frames(np.zeros(2 * RATE, np.float32)))) < 0.25
    assert max(map(ear.hear, frames(noise))) < 0.25


def test_each_listener_hears_for_itself(ear: StopWord) -> None:
    other = StopWord(MODEL)
    noise = frames(np.random.default_rng(0).normal(0, 0.05, RATE).astype(np.float32))
    alone = [ear.hear(frame) for frame in noise]
    for frame in frames(np.random.default_rng(1).normal(0, 0.3, RATE).astype(np.float32)):
        other.hear(frame)
    again = StopWord(MODEL)
    assert [again.hear(frame) for frame in noise] == alone
