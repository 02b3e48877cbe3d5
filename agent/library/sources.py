"""What a conversation listens to: a recording, a sound card, or whatever yields sound.

Sound comes in pieces of any length and leaves as frames of the input clock. Knows no conversation.
"""

from __future__ import annotations

from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Final

import numpy as np

from audio.clock import FRAME
from audio.errors import BadAudio
from audio.io.sound_files import read_sound

if TYPE_CHECKING:
    from collections.abc import AsyncIterator
    from os import PathLike

    from audio.clock import Sound
    from audio.io.sound_files import SoundReader

_LONGEST: Final = 60 * 16_000
"""Samples in one piece; more at once is no sound that comes as it is recorded."""


class Recording:
    """A WAV file that plays the microphone, in real time. Raises BadAudio where it cannot be read."""

    def __init__(self, path: str | PathLike[str]) -> None:
        self.path = Path(path)
        self._reader = read_sound(self.path)
        self.seconds = self._reader.seconds
        """Its length."""

    def __aiter__(self) -> AsyncIterator[Sound]:
        return played(self._reader)


@dataclass(frozen=True, slots=True)
class Microphone:
    """Microphone and loudspeaker of the desk, those that the settings name: group `devices`."""


async def played(recording: SoundReader) -> AsyncIterator[Sound]:
    """Give a file's frames to whoever waits for sound."""
    for frame in recording:
        yield frame


async def frames_of(source: AsyncIterator[Sound]) -> AsyncIterator[Sound]:
    """Cut sound into frames; the last one is filled with silence. Raises BadAudio for what is no such sound."""
    rest = np.zeros(0, np.float32)
    async for piece in source:
        rest = np.concatenate([rest, _checked(piece)])
        whole = len(rest) - len(rest) % FRAME
        for start in range(0, whole, FRAME):
            yield rest[start : start + FRAME]
        rest = rest[whole:]
    if len(rest):
        yield np.pad(rest, (0, FRAME - len(rest)))


def _checked(piece: object) -> Sound:
    if not isinstance(piece, np.ndarray) or piece.dtype != np.float32 or piece.ndim != 1:
        kind = f"{piece.dtype} of shape {piece.shape}" if isinstance(piece, np.ndarray) else type(piece).__name__
        raise BadAudio(f"the source gave {kind}: give mono sound at 16 kHz as float32 arrays of shape [samples]")
    if len(piece) > _LONGEST:
        raise BadAudio(f"the source gave {len(piece)} samples at once: give at most {_LONGEST}")
    return piece
