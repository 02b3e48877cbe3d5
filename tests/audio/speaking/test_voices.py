from __future__ import annotations

import pytest

from audio.errors import BadVoice
from audio.speaking.voices import VOICES, VoiceBackend, find_voice, voice_for
from reasoning.store.catalogue import CATALOGUE, Use

JOE = "piper-en-us-joe"


def test_every_voice_is_named_after_its_backend_and_has_a_model_of_the_catalogue() -> None:
    for name, entry in VOICES.items():
        assert name == entry.name
        assert name.startswith(f"{entry.backend}-")
        assert not entry.model or CATALOGUE[entry.model].use is Use.VOICE
        assert bool(entry.model) == (entry.backend is not VoiceBackend.ESPEAK)
    assert {entry.model for entry in VOICES.values()} - {""} == {
        name for name, entry in CATALOGUE.items() if entry.use is Use.VOICE
    }


def test_the_voices_of_kokoro_are_those_whose_languages_can_be_read() -> None:
    kokoro = [entry for entry in VOICES.values() if entry.backend is VoiceBackend.KOKORO]
    german = [entry for entry in kokoro if entry.language == "de"]
    assert [entry.name for entry in german] == ["kokoro-de-if_sara", "kokoro-de-em_alex"]
    assert len(kokoro) == 41 + 2
    for entry in kokoro:
        assert {"f": "female", "m": "male"}[entry.speaker[1]] == entry.sex
        if entry in german:
            continue
        letter = {"en-US": "a", "en-GB": "b", "pt-BR": "p"}.get(entry.language, entry.language[0])
        assert entry.speaker[0] == letter


@pytest.mark.parametrize(
    ("language", "preferred", "name"),
    [
        ("en", JOE, JOE),
        ("en-GB", JOE, JOE),
        ("en", "espeak-de", JOE),
        ("en-GB", "espeak-de", "kokoro-bf_emma"),
        ("es", JOE, "kokoro-ef_dora"),
        ("es-MX", JOE, "kokoro-ef_dora"),
        ("es", "kokoro-em_alex", "kokoro-em_alex"),
        ("de", JOE, "kokoro-de-if_sara"),
        ("de", "espeak-de", "espeak-de"),
        ("DE_at", "", "kokoro-de-if_sara"),
        ("pt", JOE, "espeak-pt"),
        ("pt-br", JOE, "kokoro-pf_dora"),
    ],
)
def test_the_voice_for_a_language_is_the_preferred_one_or_the_first(language: str, preferred: str, name: str) -> None:
    assert voice_for(language, preferred).name == name


def test_only_some_voices_may_be_taken() -> None:
    there = [entry for entry in VOICES.values() if entry.backend is VoiceBackend.ESPEAK]
    assert voice_for("es", JOE, there).name == "espeak-es"
    with pytest.raises(BadVoice, match=r"no voice speaks 'sw': there are voices for cs, da, de, .*vi\."):
        voice_for("sw", JOE)


@pytest.mark.parametrize(
    ("name", "near"),
    [
        ("kokoro-82m", "kokoro-af_heart"),
        ("af_heart", "kokoro-af_heart"),
        ("Espeak-DE", "espeak-de"),
        ("piper-en-us-jo", JOE),
        ("zzz", "the first of them is piper-en-us-joe"),
        ("", "the first of them is"),
    ],
)
def test_an_unknown_voice_is_told_its_nearest(name: str, near: str) -> None:
    with pytest.raises(BadVoice, match=f"unknown voice '{name}': .*{near}.*`descant voices`") as told:
        find_voice(name)
    assert told.value.exit_code == 2
