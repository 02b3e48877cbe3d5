from __future__ import annotations

import random
from pathlib import Path

import numpy as np
import pytest

from audio.io.sound_files import WavWriter
from tests.agent.command_line import MODELS, Descant, descant, write_babbler

__all__ = ["descant"]


def silence(path: Path, seconds: float = 0.5) -> Path:
    with WavWriter(path, 16_000) as wav:
        wav.write(np.zeros(int(16_000 * seconds), np.int16))
    return path


def talk(descant: Descant, recording: str, *options: str) -> tuple[int, str]:
    done = descant("talk", "--input", recording, "--output", "answer.wav", "--timeline", "t.jsonl", *options)
    assert done.out == ""
    assert (
        sorted(path.name for path in descant.home.iterdir() if "answer" in path.name or path.suffix == ".jsonl") == []
    )
    return done.code, done.line


def test_a_recording_that_cannot_be_used_is_bad_input(descant: Descant) -> None:
    (descant.home / "folder.wav").mkdir()
    (descant.home / "empty.wav").touch()
    (descant.home / "text.wav").write_text("What is 12 times 7?\n" * 20)
    silence(descant.home / "none.wav", 0.0)
    silence(descant.home / "cut.wav")
    whole = (descant.home / "cut.wav").read_bytes()
    (descant.home / "cut.wav").write_bytes(whole[:30])
    for name in ("missing.wav", "folder.wav", "empty.wav", "text.wav", "none.wav", "cut.wav", "a\nb.wav"):
        code, line = talk(descant, name)
        assert code == 2, name
        assert name.split("\n")[0] in line


def test_a_header_that_was_changed_anywhere_is_read_or_refused(descant: Descant) -> None:
    whole = silence(descant.home / "whole.wav").read_bytes()
    refused = 0
    for seed in range(100):
        chance = random.Random(seed)
        data = bytearray(whole)
        for _ in range(chance.choice([1, 1, 2, 8])):
            data[chance.randrange(44)] = chance.randrange(256)
        (descant.home / "changed.wav").write_bytes(data)
        code, _ = talk(descant, "changed.wav")
        # What can be read gets as far as the models, and there are none.
        assert code in {1, 2}
        refused += code == 2
    assert 20 < refused < 100


@pytest.mark.parametrize(
    ("options", "code", "told"),
    [
        (["--mode", "asink"], 2, "async"),
        (["--model", "qwen2.5-coder-1.5"], 2, "qwen2.5-coder-1.5b"),
        (["--model", "whisper-tiny.en"], 2, "not a language model"),
        (["--model", "./none.gguf"], 2, "./none.gguf"),
        ([], 1, "qwen2.5-coder-1.5b"),
    ],
)
def test_what_is_wrong_is_one_line(descant: Descant, options: list[str], code: int, told: str) -> None:
    silence(descant.home / "question.wav")
    got, line = talk(descant, "question.wav", *options)
    assert got == code
    assert told in line


def test_an_option_that_is_no_number_is_bad_usage(descant: Descant) -> None:
    done = descant("talk", "--input", "a.wav", "--output", "b.wav", "--max-seconds", "soon")
    assert done.code == 2
    assert "Traceback" not in done.err


@pytest.fixture
def speech(descant: Descant) -> list[str]:
    """Options for the real ears and voice, with a model of no size."""
    if not all((MODELS / name).is_dir() for name in ("whisper-tiny.en", "piper-en-us-joe")):
        pytest.skip("needs ears and voice: descant models pull")
    pytest.importorskip("piper")
    return ["--set", f"models.cache_dir={MODELS}", "--model", str(write_babbler(descant.home / "babbler.gguf"))]


@pytest.mark.e2e
def test_silence_is_told_and_leaves_no_answer(descant: Descant, speech: list[str]) -> None:
    silence(descant.home / "silence.wav")
    (descant.home / "answer.wav").write_text("kept")
    done = descant(*speech[:2], "talk", "--input", "silence.wav", "--output", "answer.wav", *speech[2:])
    assert done.code == 2
    # Above it stands what was measured and chosen.
    assert "silence.wav: no words were heard" in done.err.splitlines()[-1]
    assert (descant.home / "answer.wav").read_text() == "kept"


@pytest.mark.e2e
@pytest.mark.parametrize("output", ["no/such/place.wav", "."])
def test_an_output_that_cannot_be_written_is_told_at_once(descant: Descant, speech: list[str], output: str) -> None:
    silence(descant.home / "silence.wav", 60.0)
    done = descant(*speech[:2], "talk", "--input", "silence.wav", "--output", output, *speech[2:])
    assert done.code in {1, 2}
    assert f"{output}: " in done.line
