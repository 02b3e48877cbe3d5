from __future__ import annotations

from pathlib import Path

import numpy as np
import platformdirs
import pytest

from audio.clock import RATE
from audio.errors import EarsUnavailable
from audio.hearing.end_of_turn import EndOfTurn
from audio.io.sound_files import read_sound

MODEL = platformdirs.user_cache_path("descant") / "models" / "smart-turn-v3.2" / "smart-turn-v3.2-cpu.onnx"
RECORDINGS = Path(__file__).parents[2] / "e2e" / "recordings"


@pytest.mark.e2e
def test_a_whole_sentence_sounds_finished_and_a_word_of_greeting_does_not() -> None:
    if not MODEL.is_file():
        pytest.skip("needs the judge of turns: descant models pull smart-turn-v3.2")
    judge = EndOfTurn(MODEL)
    greeting = np.concatenate(list(read_sound(RECORDINGS / "greeting.wav")))
    assert judge.complete(greeting[: int(0.8 * RATE)]) < 0.2
    assert judge.complete(greeting[: int(1.75 * RATE)]) > 0.8
    eggs = np.concatenate(list(read_sound(RECORDINGS / "eggs.wav")))
    assert judge.complete(np.tile(eggs, 2)[: len(eggs) + int(7.0 * RATE)]) > 0.5


def test_a_missing_model_is_told() -> None:
    with pytest.raises(EarsUnavailable, match="descant models pull smart-turn"):
        EndOfTurn(Path("/nowhere.onnx"))


def test_a_file_that_is_no_model_is_told(tmp_path: Path) -> None:
    (tmp_path / "judge.onnx").write_bytes(b"no model")
    with pytest.raises(EarsUnavailable, match="descant models verify"):
        EndOfTurn(tmp_path / "judge.onnx")
