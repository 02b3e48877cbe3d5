"""The voices that clients of a server may ask for, by their own names or by those that OpenAI's have."""

from __future__ import annotations

import asyncio
from functools import partial
from typing import TYPE_CHECKING, Final

from agent.realtime.protocol.fields import AudioOutput, InvalidRequest
from audio.errors import BadVoice
from audio.speaking.synthesizer import ChosenVoice
from audio.speaking.voices import VOICES, same_language
from descant.errors import DescantError
from languages.english import ENGLISH

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agent.models.voices import VoiceShelf
    from audio.messages import Clip
    from audio.speaking.synthesizer import Synthesizer, Voice
    from languages.language import Language

OPENAI: Final[Mapping[str, str]] = {
    "alloy": "kokoro-af_alloy",
    "ash": "kokoro-am_adam",
    "ballad": "kokoro-bm_george",
    "cedar": "kokoro-am_michael",
    "coral": "kokoro-af_bella",
    "echo": "kokoro-am_echo",
    "fable": "kokoro-bm_fable",
    "marin": "kokoro-af_heart",
    "nova": "kokoro-af_nova",
    "onyx": "kokoro-am_onyx",
    "sage": "kokoro-af_sarah",
    "shimmer": "kokoro-af_sky",
    "verse": "kokoro-am_puck",
}
"""Who speaks for a name that OpenAI's clients send unasked, where the server speaks with these voices."""
_SLOWEST: Final = 0.5


class SessionVoices:
    """What all sessions may choose from."""

    def __init__(self, shelf: VoiceShelf, own: str) -> None:
        """`own` is the name of the server's own voice."""
        self._shelf, self._own = shelf, own

    def check(self, wanted: AudioOutput) -> None:
        """Refuse a voice that cannot speak here, or a speed that no voice has. Raises InvalidRequest."""
        if wanted.speed < _SLOWEST:
            raise InvalidRequest(
                f"Invalid value for 'speed': voices here speak at {_SLOWEST:g} or faster, not {wanted.speed:g}.",
                param="session.audio.output.speed",
            )
        name = self._named(wanted.voice)
        if name == self._own and wanted.speed == 1.0:
            return
        try:
            self._shelf.voice(name)
        except BadVoice as error:
            told = f"Invalid value for 'voice': {error} OpenAI's names are taken, too."
            raise InvalidRequest(told, param="session.audio.output.voice") from error

    def take(self, wanted: AudioOutput) -> Voice | None:
        """Load the voice, in the calling thread; None where it is the server's own.

        Raises:
            AudioError, StoreError: it cannot be loaded.

        """
        name = self._named(wanted.voice)
        if name == self._own and wanted.speed == 1.0:
            return None
        self._shelf.load(name)
        return self._shelf.voice(name, wanted.speed)

    def tag(self, name: str) -> str:
        """Give the language of a voice, as a tag; empty where it is none of the table."""
        entry = VOICES.get(self._named(name))
        return "" if entry is None else entry.language

    def _named(self, name: str) -> str:
        if name not in OPENAI:
            return name
        # Clients send such a name without anybody having chosen it: it is no reason to take another, slower engine.
        own, other = VOICES.get(self._own), VOICES[OPENAI[name]]
        return other.name if own is not None and own.model == other.model else self._own


class SessionVoice:
    """The voice of one session, whoever that is now."""

    def __init__(
        self,
        voices: SessionVoices | None,
        synthesizer: Synthesizer,
        fillers: Sequence[Clip],
        language: Language = ENGLISH,
    ) -> None:
        """Begin with the server's own voice, which has spoken the fillers; without `voices` there is no other.

        language: that in which the session begins. The voice that is asked for speaks it, come what may; replies in
            another one that it does not speak are left to a voice that does.
        """
        self._voices, self._fillers, self._language = voices, fillers, language
        self.spoken = ChosenVoice(synthesizer)
        """What the session's conversation speaks with."""
        self._taken: tuple[str, float] | None = None
        """Name and speed that were asked for last."""
        self._refilling: asyncio.Task[None] | None = None

    async def choose(
        self, wanted: AudioOutput, fill_with: Callable[[Sequence[Clip]], None], group: asyncio.TaskGroup
    ) -> None:
        """Take the voice that the session asks for, if it is another one; waits until it is loaded.

        fill_with: takes the fillers in the new voice, which are spoken in a task of `group`; none until then.

        Raises:
            InvalidRequest: it cannot be loaded, and the server's own speaks.

        """
        if self._voices is None or (wanted.voice, wanted.speed) == self._taken:
            return
        self._taken, before = (wanted.voice, wanted.speed), self.spoken.voice
        try:
            self.spoken.voice = await asyncio.to_thread(self._voices.take, wanted)
            self.spoken.speaks = partial(self._speaks, self._voices.tag(wanted.voice))
        except DescantError as failed:
            self.spoken.voice = None
            told = f"The voice '{wanted.voice}' cannot be loaded, and the server's own speaks: {failed}"
            raise InvalidRequest(told, code="voice_failed", param="session.audio.output.voice") from failed
        finally:
            if self._refilling is not None:
                self._refilling.cancel()
            if self.spoken.voice is not None:
                fill_with(())
                self._refilling = group.create_task(self._refill(fill_with), name="fillers")
            elif before is not None:
                fill_with(self._fillers)

    def _speaks(self, tag: str, language: Language) -> bool:
        return language is self._language or same_language(tag, language.code)

    async def _refill(self, fill_with: Callable[[Sequence[Clip]], None]) -> None:
        fill_with([await self.spoken.synthesize(clip.text, self._language) for clip in self._fillers])
