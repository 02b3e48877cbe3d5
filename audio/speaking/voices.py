"""The voices that Descant knows by name: a table. Which file or library speaks with them is not known here."""

from __future__ import annotations

import difflib
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Final, Literal

from audio.errors import BadVoice

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping


class VoiceBackend(StrEnum):
    """What speaks with a voice; the name of each of its voices begins with it."""

    PIPER = "piper"
    KOKORO = "kokoro"
    ESPEAK = "espeak"


PACKAGES: Final[Mapping[VoiceBackend, tuple[str, str, str]]] = {
    VoiceBackend.PIPER: ("piper", "piper-tts", "voice"),
    VoiceBackend.KOKORO: ("kokoro_onnx", "kokoro-onnx", "kokoro"),
    VoiceBackend.ESPEAK: ("espeakng_loader", "espeakng-loader", "espeak"),
}
"""The package that speaks, its distribution, and the extra that brings it."""

PITCHED: Final = frozenset({VoiceBackend.ESPEAK})
"""Those whose voices have `voice.pitch`. All have `voice.speed`."""


@dataclass(frozen=True, slots=True)
class VoiceEntry:
    """One voice."""

    name: str
    """The name that a user gives."""
    language: str
    """What it speaks, as an IETF language tag: `de`, `en-GB`."""
    backend: VoiceBackend
    """What speaks with it."""
    model: str
    """The model of the catalogue that has it; empty: it comes with the library of its backend."""
    speaker: str
    """Its name within that model or library."""
    sex: Literal["female", "male", ""]
    """How it sounds, where its publisher says so."""
    licence: str
    """SPDX identifier of the licence of its weights or data."""

    def speaks(self, language: str) -> bool:
        """Tell whether it speaks a language, given as a tag; the region is left out of account."""
        return same_language(self.language, language)


def _kokoro(language: str, sex: Literal["female", "male"], names: str) -> list[VoiceEntry]:
    return [
        VoiceEntry(f"kokoro-{name}", language, VoiceBackend.KOKORO, "kokoro-82m", name, sex, "Apache-2.0")
        for name in names.split()
    ]


# Japanese and Chinese, which the weights have too, are left out: espeak-ng cannot read their script well.
_KOKORO: Final = [
    *_kokoro("en-US", "female", "af_heart af_bella af_alloy af_aoede af_jessica af_kore af_nicole af_nova af_river"),
    *_kokoro("en-US", "female", "af_sarah af_sky"),
    *_kokoro("en-US", "male", "am_michael am_adam am_echo am_eric am_fenrir am_liam am_onyx am_puck am_santa"),
    *_kokoro("en-GB", "female", "bf_emma bf_alice bf_isabella bf_lily"),
    *_kokoro("en-GB", "male", "bm_george bm_daniel bm_fable bm_lewis"),
    *_kokoro("es", "female", "ef_dora"),
    *_kokoro("es", "male", "em_alex em_santa"),
    *_kokoro("fr", "female", "ff_siwis"),
    *_kokoro("hi", "female", "hf_alpha hf_beta"),
    *_kokoro("hi", "male", "hm_omega hm_psi"),
    *_kokoro("it", "female", "if_sara"),
    *_kokoro("it", "male", "im_nicola"),
    *_kokoro("pt-BR", "female", "pf_dora"),
    *_kokoro("pt-BR", "male", "pm_alex pm_santa"),
]
# Voices of other languages that read German from its sounds, with an accent: Whisper understands them far better than
# espeak-ng's own voice.
_GERMAN: Final = [
    replace(entry, name=f"kokoro-de-{entry.speaker}", language="de")
    for entry in _KOKORO
    if entry.speaker in {"if_sara", "em_alex"}
][::-1]

_READ_BY_ESPEAK: Final = "de en-US en-GB es fr it pt-BR pt nl sv da nb fi pl cs sk hu ro hr el tr uk ru hi id vi"
_ESPEAK: Final = [
    VoiceEntry(f"espeak-{tag.lower()}", tag, VoiceBackend.ESPEAK, "", speaker, "", "GPL-3.0-or-later")
    for tag in _READ_BY_ESPEAK.split()
    for speaker in ["en" if tag == "en-GB" else tag.lower()]
]

_ENTRIES: Final = (
    VoiceEntry("piper-en-us-joe", "en-US", VoiceBackend.PIPER, "piper-en-us-joe", "", "male", "CC0-1.0"),
    *_KOKORO,
    *_GERMAN,
    *_ESPEAK,
)

VOICES: Final[Mapping[str, VoiceEntry]] = {entry.name: entry for entry in _ENTRIES}
"""All voices by name. Of those that speak one language, the first is taken where nobody chose."""


def find_voice(name: str) -> VoiceEntry:
    """Return the voice of that name.

    Raises:
        BadVoice: there is none; the message names the nearest ones.

    """
    if entry := VOICES.get(name):
        return entry
    wanted = name.lower()
    near = [known for known in VOICES if wanted and (wanted in known or known in wanted or VOICES[known].model == name)]
    near = near or difflib.get_close_matches(wanted, VOICES, n=3, cutoff=0.6)
    hint = f"did you mean {' or '.join(near[:3])}?" if near else f"the first of them is {_ENTRIES[0].name}."
    raise BadVoice(f"unknown voice '{name}': {hint} `descant voices` lists them all.")


def voice_for(language: str, preferred: str, among: Iterable[VoiceEntry] = _ENTRIES) -> VoiceEntry:
    """Return the voice that speaks a language: the preferred one if it does, else the first that does.

    language: an IETF tag; a voice of its region goes before others.
    preferred: the name of a voice, as `models.voice` has it; one that the table does not have speaks no language.
    among: the voices that may be taken.

    Raises:
        BadVoice: none speaks it; the message names the languages that have voices.

    """
    if (chosen := VOICES.get(preferred)) is not None and chosen.speaks(language):
        return chosen
    speaking = [entry for entry in among if entry.speaks(language)]
    if not speaking:
        spoken = sorted({_primary(entry.language) for entry in among})
        raise BadVoice(f"no voice speaks '{language}': there are voices for {', '.join(spoken)}.")
    return next((entry for entry in speaking if entry.language.lower() == language.lower()), speaking[0])


def same_language(one: str, other: str) -> bool:
    """Tell whether two tags name one language, the regions left out of account."""
    return _primary(one) == _primary(other)


def _primary(tag: str) -> str:
    return tag.replace("_", "-").partition("-")[0].lower()
