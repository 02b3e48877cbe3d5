"""How often ordinary speech is taken for a stop: minutes of it through the ears, faster than real time.

Real voices, and all that may hear a stop at the desk: voice activity, stop listener, partial and final transcripts, and
the rules of turn-taking. A decode takes no time here, so that as many are made as the settings allow: more than a busy
machine would make, and each is a chance to be wrong. Text: everyday sentences (`ordinary.txt`), and a story that comes
with reasoning-gym.
"""

from __future__ import annotations

import asyncio
import itertools
import re
from dataclasses import dataclass, field
from importlib.resources import files as package_files
from typing import TYPE_CHECKING, Final

import numpy as np

from agent.conversation.turn_taking import HardStop, TurnTaking
from agent.models.registry import load_recogniser, load_stop_word, load_voice
from audio.clock import FRAME, RATE
from audio.hearing.ears import Ears
from audio.hearing.stop_phrases import StopPhrases
from audio.hearing.transcriber import Transcriber
from audio.hearing.vad import VoiceActivity
from audio.messages import StopHeard
from audio.speaking.synthesizer import Synthesizer
from bench.errors import BenchExtraMissing
from bench.stopping import stoppable
from bench.voices import installed, spoken

if TYPE_CHECKING:
    from collections.abc import AsyncGenerator, AsyncIterator, Callable, Iterator

    from agent.config.settings import Settings
    from agent.conversation.options import TurnOptions
    from agent.models.registry import Files
    from audio.clock import Sound
    from audio.messages import EarsEvent, ToldAhead

_PAUSE_S: Final = 1.2
"""Between two sentences: each is a turn of its own, s."""
_FLOOR: Final = 1e-4
_SENTENCE: Final = re.compile(r"(?<=[.!?])[\"”]?\s+(?=[A-Z\"“])")
_LISTENERS: Final = 2
_VOICES: Final = ("en-us+m3", "en-gb-x-rp+f2", "en-gb-x-gbclan+m7", "en-029")
"""Of espeak-ng, which say nothing in other benchmarks."""


@dataclass(frozen=True, slots=True)
class OrdinaryUtterance:
    """A sentence in a voice."""

    voice: str
    text: str


@dataclass(frozen=True, slots=True)
class FalseStop:
    """A stop that nobody said."""

    voice: str
    text: str
    """What was said when it was heard."""
    by: str
    """`listener`, or `transcript`."""
    phrase: str


@dataclass(slots=True)
class Listened:
    """What came of it."""

    skipped: int
    """Sentences at the beginning that were not said."""
    sentences: int = 0
    """That were said."""
    seconds: dict[str, float] = field(default_factory=dict)
    """Of speech without the pauses, by voice."""
    stops: list[FalseStop] = field(default_factory=list)
    ended: bool = False
    """Whether the run was told to end."""

    def end(self) -> None:
        """Hear no further sentence."""
        self.ended = True

    @property
    def hours(self) -> float:
        """Of speech, in all voices."""
        return sum(self.seconds.values()) / 3600


def sentences(command: Callable[[str], object]) -> list[str]:
    """Give everyday sentences and the story's, without those that command to stop.

    Raises:
        BenchExtraMissing: reasoning-gym is not installed.

    """
    try:
        story = package_files("reasoning_gym").joinpath("data/in_the_year_2889.txt").read_text(encoding="utf-8")
    except (ModuleNotFoundError, FileNotFoundError):
        raise BenchExtraMissing("--ordinary needs reasoning-gym; add it with: pip install -e 'bench[think]'") from None
    story = story.partition("*** START")[2].partition("***\n")[2].partition("*** END")[0]
    told = _SENTENCE.split(re.sub(r"[\s_]+", " ", story))
    everyday = package_files("bench.robot").joinpath("ordinary.txt").read_text(encoding="utf-8").splitlines()
    return [
        text for text in (*everyday, *told) if re.search("[a-z]", text) and not (command(text) or "Gutenberg" in text)
    ]


async def listen(files: Files, settings: Settings, minutes: float, skip: int = 0) -> Listened:
    """Say so many minutes of ordinary speech in every voice in turn, and count the stops that are heard.

    Told to end, it gives what was heard until then. `skip`: sentences at the beginning that an earlier run has said.
    """
    phrases, options = StopPhrases(settings.turns.stop_phrases), settings.ears
    texts = itertools.islice(_in_turn(sentences(phrases.command), installed(_VOICES)), skip, None)
    listened, stop_word = Listened(skip), load_stop_word(files.stop, settings)

    async def work(synthesizer: Synthesizer) -> None:
        ears = Ears(
            VoiceActivity(options),
            Transcriber(lambda: load_recogniser(files.asr, settings)),
            options,
            command=phrases.command,
            stop_word=stop_word and stop_word(),
        )
        async with ears:
            speech = _spoken(synthesizer, texts, 60 * minutes, listened)
            await _listen(ears, settings.turns, speech, listened)

    with stoppable(listened.end):
        async with (
            Synthesizer(lambda: load_voice(files.voice, settings), settings.voice) as synthesizer,
            asyncio.TaskGroup() as group,
        ):
            for _ in range(_LISTENERS):
                group.create_task(work(synthesizer))
    return listened


def _in_turn(texts: list[str], voices: tuple[str, ...]) -> Iterator[OrdinaryUtterance]:
    for number in itertools.count():
        again, index = divmod(number, len(texts))
        yield OrdinaryUtterance(voices[(index + again) % len(voices)], texts[index])


async def _spoken(
    synthesizer: Synthesizer, texts: Iterator[OrdinaryUtterance], seconds: float, listened: Listened
) -> AsyncGenerator[tuple[OrdinaryUtterance, Sound]]:
    """Say sentence after sentence, until all listeners together have heard enough."""
    while sum(listened.seconds.values()) < seconds and not listened.ended:
        said = next(texts)
        sound = await spoken(synthesizer, said.voice, said.text)
        listened.sentences += 1
        listened.seconds[said.voice] = listened.seconds.get(said.voice, 0.0) + len(sound) / RATE
        yield said, sound


async def _listen(
    ears: Ears, turns: TurnOptions, speech: AsyncIterator[tuple[OrdinaryUtterance, Sound]], listened: Listened
) -> None:
    noise = np.random.default_rng(0)
    now = OrdinaryUtterance("", "")
    turn_taking = TurnTaking(turns)

    def hear(event: EarsEvent | ToldAhead) -> None:
        for action in turn_taking.receive(event, 0.0):
            if isinstance(action, HardStop):
                by = "listener" if isinstance(event, StopHeard) else "transcript"
                listened.stops.append(FalseStop(now.voice, now.text, by, action.phrase))

    async def read() -> None:
        async for event in ears.events():
            hear(event)

    ears.listen_for_stops(wanted=True, tell=hear)
    async with asyncio.TaskGroup() as group:
        group.create_task(read())
        async for said, sound in speech:
            now = said
            for frame in _frames(sound, noise):
                await ears.receive(frame)
                await ears.caught_up()
        await ears.close()


def _frames(sound: Sound, noise: np.random.Generator) -> Iterator[Sound]:
    """Give a sentence and the pause behind it, with a little noise, frame by frame."""
    length = -(-(len(sound) + int(_PAUSE_S * RATE)) // FRAME) * FRAME
    whole = noise.normal(0, _FLOOR, length).astype(np.float32)
    whole[: len(sound)] += sound
    return (whole[start : start + FRAME] for start in range(0, length, FRAME))
