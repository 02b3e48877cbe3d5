"""Everything that can go wrong with sound. Messages say what, with which value, and what mends it.

AudioError
├── BadAudio            the sound file handed in cannot be used          exit 2
├── BadVoice            no such voice, or not with what is asked of it   exit 2
├── CannotWrite         the sound file asked for cannot be written       exit 1
├── EarsUnavailable     the speech recognition model cannot be loaded    exit 1
├── NoDevice            microphone or loudspeaker cannot be used         exit 1
└── VoiceUnavailable    the voice or its engine cannot be loaded         exit 1
"""

from __future__ import annotations

from typing import ClassVar

from descant.errors import DescantError


class AudioError(DescantError):
    """Root of this room. `exit_code` is what a command line returns for it."""


class BadAudio(AudioError):
    """The input is not sound that can be read."""

    exit_code: ClassVar[int] = 2


class BadVoice(AudioError):
    """The table of voices has no such voice, or the voice does not have what is asked of it."""

    exit_code: ClassVar[int] = 2


class CannotWrite(AudioError):
    """The output file cannot be written where it was asked for."""


class EarsUnavailable(AudioError):
    """Speech recognition cannot start."""


class NoDevice(AudioError):
    """There is no microphone or loudspeaker that can be used."""


class VoiceUnavailable(AudioError):
    """Speech synthesis cannot start."""
