"""Voices of the table, loaded when they first speak; only so many of what they speak with are kept at a time."""

from __future__ import annotations

import importlib.util
import threading
from collections import OrderedDict
from dataclasses import replace
from typing import TYPE_CHECKING, Final

from agent.models.registry import open_voices
from audio.errors import BadVoice
from audio.speaking.voices import PACKAGES, VOICES, find_voice, voice_for
from reasoning.store.store import Store, StoreState

if TYPE_CHECKING:
    from agent.config.settings import Settings
    from audio.clock import Pcm
    from audio.options import VoiceOptions
    from audio.speaking.synthesizer import Voice, VoiceModel
    from audio.speaking.voices import VoiceEntry

MOST: Final = 3
"""Models of voices that are kept: one takes 100 MB, and more while it speaks."""
_SLOWEST, _FASTEST = 0.5, 2.0


class VoiceShelf:
    """The voices of one process, for all its conversations. Safe from several threads."""

    def __init__(self, settings: Settings, most: int = MOST) -> None:
        """Make one that fetches nothing: a voice whose model is not in the cache of the settings is not here."""
        options = settings.models
        self._options, self._most = settings.voice, most
        self._store = Store(options.cache_dir, offline=True, local_dir=options.local_dir)
        self._loading = threading.Lock()
        self._models: OrderedDict[str, VoiceModel] = OrderedDict()
        """By name of the model, or of the backend that brings its voices along; used last stands last."""

    def load(self, name: str) -> Voice:
        """Load the voice of that name, in the calling thread. Raises BadVoice, VoiceUnavailable or StoreError."""
        entry = find_voice(name)
        self.open(entry)
        return ShelvedVoice(self, entry, self._options)

    def voice(self, name: str, speed: float = 1.0) -> Voice:
        """Give a voice; what it speaks with is loaded when it first speaks.

        speed: times that of the settings, within what voices can do.

        Raises:
            BadVoice: the table has no such voice, or it is not here; the message says what brings it.

        """
        entry = find_voice(name)
        if missing := self.missing(entry):
            raise BadVoice(f"the voice '{name}' is not here: {missing}.")
        speed = min(max(self._options.speed * speed, _SLOWEST), _FASTEST)
        return ShelvedVoice(self, entry, replace(self._options, speed=speed))

    def speaking(self, language: str) -> Voice:
        """Give a voice that is here and speaks a language, given as a tag.

        Raises:
            BadVoice: none does; the message says what brings one.

        """
        entries = [entry for entry in VOICES.values() if entry.speaks(language)]
        here = next((entry for entry in entries if not self.missing(entry)), None)
        return self.voice((here or voice_for(language, "")).name)

    def missing(self, entry: VoiceEntry) -> str:
        """Say what must be done before a voice can speak; empty: nothing."""
        package, _, extra = PACKAGES[entry.backend]
        if importlib.util.find_spec(package) is None:
            return f"its engine is not installed; add it with: pip install 'descant[{extra}]'"
        if entry.model and self._store.status(entry.model).state not in {StoreState.VERIFIED, StoreState.UNVERIFIED}:
            return f"its model is not in the cache; fetch it with: descant models pull {entry.model}"
        return ""

    def open(self, entry: VoiceEntry) -> VoiceModel:
        """Give what a voice speaks with; load it, in the calling thread, if it is not there.

        Raises:
            BadVoice: the voice does not have what the settings ask of it.
            VoiceUnavailable: it cannot be loaded.

        """
        name = entry.model or entry.backend
        with self._loading:
            if (model := self._models.pop(name, None)) is None:
                folder = self._store.ensure(entry.model) if entry.model else None
                model = open_voices(entry, folder, self._options)
                while len(self._models) >= self._most:
                    self._models.popitem(last=False)
            self._models[name] = model
            return model


class ShelvedVoice:
    """A voice of the shelf, which may have to be loaded anew when it has not spoken for long."""

    def __init__(self, shelf: VoiceShelf, entry: VoiceEntry, options: VoiceOptions) -> None:
        self._shelf, self._entry, self._options = shelf, entry, options

    @property
    def rate(self) -> int:
        """Samples per second."""
        return self._voice.rate

    def speak(self, text: str) -> Pcm:
        """Say a text of plain words."""
        return self._voice.speak(text)

    @property
    def _voice(self) -> Voice:
        return self._shelf.open(self._entry).voice(self._entry, self._options)
