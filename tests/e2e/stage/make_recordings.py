"""Make the recorded questions from recordings/questions.toml: `python -m tests.e2e.stage.make_recordings VOICE.onnx`.

Needs the extra "voice". The sound is the same on every run with the same versions of piper-tts, onnxruntime and soxr.
"""

from __future__ import annotations

import asyncio
import re
import sys
import tomllib
from pathlib import Path
from typing import Any, Final

import numpy as np
import onnxruntime
import soxr

from audio.clock import RATE, Pcm, samples_of
from audio.io.sound_files import WavWriter
from audio.options import VoiceOptions
from audio.speaking.piper import PiperVoice
from audio.speaking.synthesizer import Synthesizer, trim

RECORDINGS: Final = Path(__file__).parents[1] / "recordings"
_LEAD_MS: Final = 300
_TAIL_MS: Final = 1_000
_BETWEEN_SENTENCES_MS: Final = 260
_EDGE: Final = 160


async def record(voice: Path, question: dict[str, Any]) -> Pcm:
    """Say one question, sentence by sentence, with its pause."""
    onnxruntime.set_seed(question["seed"])
    parts = [np.zeros(samples_of(_LEAD_MS), np.int16)]
    mark = question.get("pause_after", "")
    text = question["text"].replace(mark, f"{mark}|") if mark else question["text"]
    async with Synthesizer(lambda: PiperVoice(voice, VoiceOptions()), VoiceOptions()) as synthesizer:
        for phrase in re.split(r"(?<=[.?!|])\s*", text):
            if not phrase:
                continue
            clip = await synthesizer.synthesize(phrase.rstrip("|"))
            sound = soxr.resample(clip.samples.astype(np.float32), clip.rate, RATE)
            pause = question["pause_ms"] if phrase.endswith("|") else _BETWEEN_SENTENCES_MS
            parts += [trim(sound.astype(np.int16), _EDGE), np.zeros(samples_of(pause), np.int16)]
    parts[-1] = np.zeros(samples_of(_TAIL_MS), np.int16)
    return np.concatenate(parts)


async def main(voice: Path) -> None:
    """Write every recording."""
    questions = tomllib.loads((RECORDINGS / "questions.toml").read_text(encoding="utf-8"))["question"]
    for question in questions:
        sound = await record(voice, question)
        with WavWriter(RECORDINGS / question["file"], RATE) as wav:
            wav.write(sound)
        print(f"{question['file']:16} {len(sound) / RATE:5.2f} s")


if __name__ == "__main__":
    asyncio.run(main(Path(sys.argv[1])))
