"""What the virtual user of `descant bench latency` says and does: sound, made at run time by a voice. Plays nothing."""

from __future__ import annotations

import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final, Literal

import numpy as np
import soxr

from audio.clock import RATE, samples_of
from audio.speaking.synthesizer import trim

if TYPE_CHECKING:
    from collections.abc import Sequence

    from audio.clock import Sound
    from audio.speaking.synthesizer import Synthesizer

Kind = Literal["plain", "pause", "filler", "noise", "barge-in", "cough", "listens"]
"""`pause` and `filler` have silence inside; `barge-in`, `cough` and `listens` add something over the reply."""

_QUESTIONS: Final = (
    "A farmer has twelve chickens. Each chicken lays two eggs a day. How many eggs does he collect in five days?",
    "Maria has five boxes with six apples in each box. She sells twelve apples. How many are left?",
    "I buy four tickets for nine dollars each and pay with fifty dollars. How much change do I get?",
    "Anna has eight marbles and Ben has twice as many. How many marbles do they have together?",
    "There are seven rows of chairs in the hall, | and each row has eight chairs. How many chairs are there?",
    "I buy three bananas for two dollars each | and a pizza for five dollars. How much do I pay in total?",
    "A train travels sixty miles in one hour. How far does it travel in three hours?",
    "If today is Wednesday, | what day will it be in ten days?",
    "What is fifteen plus twenty seven?",
    "Hello, how are you today?",
)
"""A bar marks where a speaker may fall silent."""
_OVER: Final = ("Wait, what about ten of them?", "No, I meant twenty.", "Sorry, can you say that again?")
_LISTENS: Final = ("Uh-huh.", "Yeah.", "I see.", "Okay.")
"""No "mm-hm": the voice spells it, and says "em em hum"."""
_TALKATIVE: Final = 7
"""So many of the questions, the first ones, have replies that are long enough for something to sound over them."""
_PAUSES_MS: Final = (350, 600, 900, 1200)
_NOISES_DB: Final = (20, 10, 5)
_LEVEL: Final = 0.08
"""Level (RMS) of the user's speech."""


@dataclass(frozen=True, slots=True)
class SpokenDialogue:
    """One exchange: a question, perhaps something over its reply."""

    kind: Kind
    text: str
    """The words of the question."""
    sound: Sound
    over: Sound | None = None
    """What sounds over the reply, once it has sounded for a second."""
    over_text: str = ""
    """Its words; none for a cough."""
    noise: float = 0.0
    """Background noise (RMS, 0..1)."""
    detail: str = ""
    """The pause or the noise, in words."""
    heard_out: bool = False
    """Whether the user listens to the end of the reply to what was said over the first one."""


async def dialogues(voice: Synthesizer, count: int) -> list[SpokenDialogue]:
    """Make `count` exchanges of all kinds in turn."""
    kinds: Sequence[Kind] = ("plain", "pause", "barge-in", "noise", "barge-in", "cough", "filler", "listens")
    return [await _dialogue(voice, kinds[number % len(kinds)], number) for number in range(count)]


async def _dialogue(voice: Synthesizer, kind: Kind, number: int) -> SpokenDialogue:
    among = list(_QUESTIONS)
    if kind in {"pause", "filler"}:
        among = [question for question in among if "|" in question]
    elif kind in {"barge-in", "cough", "listens"}:
        among = among[:_TALKATIVE]
    question = among[(number // 2) % len(among)]
    text = question.replace("| ", "")
    pause_ms = _PAUSES_MS[number // 8 % len(_PAUSES_MS)]
    if kind in {"pause", "filler"}:
        said = question if kind == "pause" else question.replace("|", "| um, |")
        sound = await spoken(voice, said, pause_ms if kind == "pause" else pause_ms / 2)
        text = said.replace("| ", "")
        return SpokenDialogue(kind, text, sound, detail=f"{pause_ms} ms")
    sound = await spoken(voice, question.replace("|", ""))
    match kind:
        case "noise":
            below_db = _NOISES_DB[number // 8 % len(_NOISES_DB)]
            return SpokenDialogue(kind, text, sound, noise=_LEVEL * 10 ** (-below_db / 20), detail=f"{below_db} dB")
        case "barge-in":
            over_text = _OVER[number % len(_OVER)]
            return SpokenDialogue(kind, text, sound, await spoken(voice, over_text), over_text)
        case "cough":
            return SpokenDialogue(kind, text, sound, _cough(number))
        case "listens":
            over_text = _LISTENS[number // 8 % len(_LISTENS)]
            return SpokenDialogue(kind, text, sound, await spoken(voice, over_text), over_text)
        case _:
            return SpokenDialogue(kind, text, sound)


async def spoken(voice: Synthesizer, text: str, pause_ms: float = 0.0) -> Sound:
    """Say a text as the user does, with a pause at each bar."""
    parts: list[Sound] = []
    for phrase in re.split(r"(?<=[.?!])\s+|(\|)", text):
        if phrase == "|":
            parts.append(np.zeros(samples_of(pause_ms), np.float32))
        elif phrase and phrase.strip():
            clip = await voice.synthesize(phrase.strip())
            sound = soxr.resample(clip.samples.astype(np.float32), clip.rate, RATE).astype(np.int16)
            parts += [trim(sound, 160).astype(np.float32), np.zeros(samples_of(120), np.float32)]
    joined = np.concatenate(parts[:-1])
    return np.asarray(joined * _LEVEL / np.sqrt(np.mean(np.square(joined[joined != 0]))), np.float32)


def _cough(seed: int) -> Sound:
    """Make two bursts of noise that die away, 0.4 s in all."""
    chance = np.random.default_rng(seed)
    burst = chance.standard_normal(samples_of(180)) * np.exp(-np.arange(samples_of(180)) / samples_of(50))
    gap = np.zeros(samples_of(40))
    return np.asarray(np.concatenate([burst, gap, burst]) * 2 * _LEVEL, np.float32)
