"""A recogniser of many languages, as one conversation uses it: it hears what is spoken, and follows the speaker.

Each decode detects the language by the way. Where a detection alone is not believed
(`languages.following.LanguageFollower`), the sound is decoded again in the language that is spoken.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol, runtime_checkable

from audio.clock import RATE
from audio.errors import EarsUnavailable
from audio.hearing.backchannels import hummed
from languages.english import ENGLISH
from languages.following import LanguageFollower

if TYPE_CHECKING:
    from collections.abc import Sequence

    from audio.clock import Sound
    from audio.hearing.transcriber import Recogniser
    from audio.hearing.whisper import Hypothesis
    from languages.language import Language


@runtime_checkable
class Polyglot(Protocol):
    """A recogniser that can be told which languages come into question."""

    def hearing(self, languages: Sequence[str]) -> Recogniser:
        """Give the same model for these codes. Raises EarsUnavailable where it does not know one."""
        ...


def hearing(recogniser: Recogniser, languages: Sequence[Language]) -> Recogniser:
    """Give a recogniser for these languages. Raises EarsUnavailable where it hears English alone."""
    codes = [language.code for language in languages]
    if isinstance(recogniser, Polyglot):
        return recogniser.hearing(codes)
    if codes != [ENGLISH.code]:
        raise EarsUnavailable(f"this recogniser cannot be told to hear {', '.join(codes)}; set ears.language to en")
    return recogniser


def following(recogniser: Recogniser, languages: Sequence[Language]) -> Recogniser:
    """Give the recogniser of one conversation: where several languages may be spoken, it follows the speaker."""
    if len(languages) > 1 and isinstance(recogniser, Polyglot):
        return FollowingRecogniser(recogniser, [language.code for language in languages])
    return recogniser


class FollowingRecogniser:
    """Follows one speaker. A decode and a short one may run at once, as with any recogniser."""

    def __init__(self, recogniser: Polyglot, languages: Sequence[str]) -> None:
        self._recogniser = recogniser
        self._any = recogniser.hearing(languages)
        self._follower = LanguageFollower(languages)

    def decode(self, sound: Sound, *, final: bool, expected: str = "") -> Hypothesis:
        """Transcribe at most 30 s; what it gives names the language that counts as spoken."""
        heard = self._any.decode(sound, final=final, expected=expected)
        evidence = (heard.language.code, heard.language.probability, len(sound) / RATE)
        # A hum is of no language, whatever it is taken for.
        tells = final and not hummed(" ".join(word.text for word in heard.words))
        follow = self._follower.heard if tells else self._follower.leaning
        spoken = follow(*evidence)
        if spoken == heard.language.code:
            return heard
        return self._recogniser.hearing([spoken]).decode(sound, final=final, expected=expected)

    def spot(self, sound: Sound) -> Hypothesis:
        """Transcribe at most 2 s, in what is spoken: so little sound tells no language."""
        return self._recogniser.hearing([self._follower.spoken]).spot(sound)
