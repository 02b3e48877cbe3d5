"""A voice that speaks some texts once, for all conversations: some of them in advance, so that they come at once."""

from __future__ import annotations

from typing import TYPE_CHECKING

from audio.speaking.speakable import speakable
from languages.english import ENGLISH

if TYPE_CHECKING:
    from collections.abc import Iterable

    from audio.clock import Pcm
    from audio.speaking.synthesizer import Voice
    from languages.language import Language


class RehearsedVoice:
    """Speaks as another voice does."""

    def __init__(
        self, voice: Voice, texts: Iterable[str], later: Iterable[str] = (), language: Language = ENGLISH
    ) -> None:
        """Speak the texts, in the calling thread, so that what is said first is as quick as the rest.

        later: texts whose sound is kept when somebody has wanted them; a few, for all of them may come to be kept.
        language: that in which the texts are written.
        """
        self._voice = voice
        self._later = frozenset(speakable(text, language) for text in later)
        self._known = {words: voice.speak(words) for text in texts if (words := speakable(text, language))}

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
