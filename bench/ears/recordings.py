"""Recordings of people with their transcripts: a folder of WAV files and an `index.tsv` that says what is said in them.

The index has a line of names, then a line for each file, tab-separated: `file`, `transcript` (lower case, empty where
nobody wrote it down), and, if it likes, `kind`, by which errors are told apart, and `speaker`, by whom waits are
cross-validated; other columns are not read.
"""

from __future__ import annotations

import csv
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from audio.io.sound_files import read_sound
from bench.errors import ReportError

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from audio.clock import Sound

_KINDS: Final = (
    ("order_", "orders"),
    ("kitchen", "noise"),
    ("digits", "digits"),
    ("ami_", "far, meetings"),
    ("libri_1088_rev", "far, meetings"),
    ("jfk", "hesitation"),
    ("steve", "hesitation"),
    ("libri_1088_fast", "fast"),
    ("katie", "fast"),
)
"""By the beginning of a file's name, where the index has no kinds; the rest is read aloud."""
_MOST_BYTES: Final = 64 * 2**20
_MOST_CLIPS: Final = 10_000


@dataclass(frozen=True, slots=True)
class SpeechClip:
    """One recording."""

    path: Path
    text: str
    """What is said in it; empty where nobody wrote it down."""
    told: str = ""
    """The index's word for what is hard about it; empty where it has none."""
    voice: str = ""
    """The index's words for who speaks; empty where it has none."""

    @property
    def name(self) -> str:
        """Name of the file, without its ending."""
        return self.path.stem

    @property
    def speaker(self) -> str:
        """Who speaks, as far as that is known."""
        return self.voice or self.name

    @property
    def kind(self) -> str:
        """What is hard about it."""
        return self.told or next((kind for head, kind in _KINDS if self.name.startswith(head)), "read aloud")

    def sound(self) -> Sound:
        """Its sound at 16 kHz. Raises BadAudio."""
        return np.concatenate(list(read_sound(self.path)))


def clips(folder: Path) -> list[SpeechClip]:
    """Give the recordings of a folder.

    Raises:
        ReportError: there is no index, or it is not one.

    """
    index = folder / "index.tsv"
    try:
        if index.stat().st_size > _MOST_BYTES:
            raise ReportError(f"{index}: longer than {_MOST_BYTES >> 20} MB; name a folder of recordings")
        with index.open(encoding="utf-8", newline="") as file:
            rows = csv.DictReader(file, delimiter="\t", quoting=csv.QUOTE_NONE)
            found = [_clip(folder, row) for row in rows]
    except OSError as error:
        raise ReportError(
            f"{index}: cannot be read ({error.strerror}); name a folder of recordings with --speech"
        ) from error
    except (KeyError, UnicodeDecodeError, csv.Error) as error:
        raise ReportError(f"{index}: is no table with the columns file and transcript ({error})") from error
    if not 0 < len(found) <= _MOST_CLIPS:
        raise ReportError(f"{index}: names {len(found)} recordings; from 1 to {_MOST_CLIPS} can be taken")
    return found


def _clip(folder: Path, row: Mapping[str, str | None]) -> SpeechClip:
    return SpeechClip(
        folder / (row["file"] or ""), row["transcript"] or "", row.get("kind") or "", row.get("speaker") or ""
    )
