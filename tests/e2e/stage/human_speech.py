"""Recordings of people, which are not part of the repository: DESCANT_TEST_SPEECH names their folder."""

from __future__ import annotations

import csv
import os
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np

from audio.io.wav import read_wav

if TYPE_CHECKING:
    from audio.clock import Sound

FOLDER = Path(os.environ.get("DESCANT_TEST_SPEECH") or Path(__file__).parents[3].with_name("shared") / "speech")
MISSING = not (FOLDER / "index.tsv").is_file()
REASON = f"no recordings of people in {FOLDER} (DESCANT_TEST_SPEECH names another folder)"


@dataclass(frozen=True, slots=True)
class SpeechClip:
    """One recording and what is said in it."""

    name: str
    """Of the file, without its ending."""
    text: str
    """Lower case, without punctuation; empty where nobody wrote it down."""

    def sound(self) -> Sound:
        """Its sound at 16 kHz."""
        return np.concatenate(list(read_wav(FOLDER / f"{self.name}.wav")))


def clips() -> dict[str, SpeechClip]:
    """Give all of them by name; none where there is no folder."""
    if MISSING:
        return {}
    with (FOLDER / "index.tsv").open(encoding="utf-8", newline="") as file:
        rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
        found = [SpeechClip(row["file"].removesuffix(".wav"), row["transcript"] or "") for row in rows]
    return {clip.name: clip for clip in found}
