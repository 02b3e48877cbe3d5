"""The shell of `descant voices`: the table as it stands on this machine, and a sample of each voice."""

from __future__ import annotations

from typing import TYPE_CHECKING, Final

from rich.table import Table

from agent.apps.printing import plain_console
from agent.models.voices import VoiceShelf
from audio.errors import BadVoice
from audio.io.loudspeaker import play
from audio.io.sound_files import WavWriter, check_writable
from audio.speaking.speakable import speakable
from audio.speaking.voices import PITCHED, VOICES, find_voice
from languages.known import known_languages

if TYPE_CHECKING:
    from collections.abc import Mapping
    from pathlib import Path

    from agent.config.settings import Settings

SAMPLES: Final[Mapping[str, str]] = {
    "en": "Good morning. This is how I sound when I tell you something.",
    "de": "Guten Morgen. So klinge ich, wenn ich etwas erzähle.",
    "es": "Buenos días. Así sueno cuando cuento algo.",
    "fr": "Bonjour. Voici ma voix quand je raconte quelque chose.",
    "it": "Buongiorno. Questa è la mia voce quando racconto qualcosa.",
    "pt": "Bom dia. É assim que eu falo quando conto alguma coisa.",
    "hi": "नमस्ते। मेरी आवाज़ ऐसी है।",
    "nl": "Goedemorgen. Zo klink ik als ik iets vertel.",
}
"""What a voice says when nobody tells it what, by language."""


def show(settings: Settings, language: str | None) -> None:
    """Print the voices, or those of a language. Raises BadVoice where there is none."""
    shelf = VoiceShelf(settings)
    entries = [entry for entry in VOICES.values() if language is None or entry.speaks(language)]
    if not entries:
        raise BadVoice(f"no voice speaks '{language}'; `descant voices` lists them all.")
    table = Table("name", "language", "sounds", "speed", "pitch", "licence", "here", box=None)
    for entry in entries:
        pitch = "0.7–1.4" if entry.backend in PITCHED else "–"
        here = shelf.missing(entry).partition("; ")[0] or "yes"
        table.add_row(entry.name, entry.language, entry.sex or "–", "0.5–2", pitch, entry.licence, here)
    console = plain_console()
    console.print(table)
    console.print(f"in use: {settings.models.voice} (models.voice); a sample: descant voices play NAME", soft_wrap=True)


def sample(settings: Settings, name: str, text: str | None, output: Path | None) -> None:
    """Say a text with a voice, to a file or on the loudspeaker.

    Raises:
        BadVoice: no such voice, or it is not here, or it has nothing to say of the text.
        CannotWrite, NoDevice, VoiceUnavailable: as they say.

    """
    entry = find_voice(name)
    if text is None:
        text = SAMPLES.get(entry.language.partition("-")[0])
        if text is None:
            raise BadVoice(f"there is no sample in '{entry.language}' for {name}: give it a text with --text.")
    if output is not None:
        check_writable(output)
    language = known_languages().get(entry.language.partition("-")[0])
    # How a language is read that nobody has described here, its voice knows better than another language's rules.
    words = text.strip() if language is None else speakable(text, language)
    if not words:
        raise BadVoice(f"there is nothing to say in '{text}'.")
    voice = VoiceShelf(settings).voice(name)
    sound, rate = voice.speak(words), voice.rate
    if output is None:
        play(sound, rate, settings.devices)
        return
    with WavWriter(output, rate) as wav:
        wav.write(sound)
    plain_console().print(f"{output}: {len(sound) / rate:.1f} s by {name}, {rate} Hz", soft_wrap=True)
