"""A voice that has spoken some texts in advance: they come at once, and what it says first is as quick as the rest."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audio.speaking.speakable import speakable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from audio.clock import Pcm
    from audio.speaking.synthesizer import Voice


class RehearsedVoice:
    """Speaks as another voice does."""

    def __init__(self, voice: Voice, texts: Iterable[str]) -> None:
        """Speak the texts, in the calling thread."""
        self._voice = voice
        self._known = {words: voice.speak(words) for words in map(speakable, texts) if words}

    @property
    def rate(self) -> int:
        """Samples per second."""
        return self._voice.rate

    def speak(self, text: str) -> Pcm:
        """Say a text of plain words."""
        known = self._known.get(text)
        return self._voice.speak(text) if known is None else known
