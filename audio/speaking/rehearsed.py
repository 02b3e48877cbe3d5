"""A voice that speaks some texts once, for all conversations: some of them in advance, so that they come at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audio.speaking.speakable import speakable

if TYPE_CHECKING:
    from collections.abc import Iterable

    from audio.clock import Pcm
    from audio.speaking.synthesizer import Voice


class RehearsedVoice:
    """Speaks as another voice does."""

    def __init__(self, voice: Voice, texts: Iterable[str], later: Iterable[str] = ()) -> None:
        """Speak the texts, in the calling thread, so that what is said first is as quick as the rest.

        later: texts whose sound is kept when somebody has wanted them; a few, for all of them may come to be kept.
        """
        self._voice = voice
        self._later = frozenset(map(speakable, later))
        self._known = {words: voice.speak(words) for words in map(speakable, texts) if words}

    @property
    def rate(self) -> int:
        """Samples per second."""
        return self._voice.rate

    def speak(self, text: str) -> Pcm:
        """Say a text of plain words."""
        known = self._known.get(text)
        if known is None:
            known = self._voice.speak(text)
            if text in self._later:
                self._known[text] = known
        return known
