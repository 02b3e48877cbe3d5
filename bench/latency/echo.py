"""`descant bench echo`: the agent speaks for minutes while its microphone hears it, and may take itself for a user.

    voice ─► loudspeaker ─► room with echo ─► Microphone (canceller) ─► Ears ─► Conversation ─► what it would do

The parts of the live path that could be misled, the real ones, counted in samples: so it runs as fast as the machine
can. The reply is never paused or cut here, whatever is decided, which gives more occasions and not fewer. What the
agent says is made at run time: the kinds of sentences that it speaks, with numbers, and stop words among them.
"""

from __future__ import annotations

import asyncio
import itertools
import random
from dataclasses import asdict, dataclass, field
from typing import TYPE_CHECKING, Any, Final

import numpy as np
import soxr
from rich.console import Console

from agent.apps.progress import shown
from agent.config.invocation import open_store
from agent.conversation.turn_taking import HardStop, Interrupt, Pause, TurnTaking
from agent.models.assembly import load_speech, open_speech
from agent.models.registry import Files, fetch_recogniser, fetch_voice
from audio.clock import RATE
from audio.io.echo import CleanMicrophone, OwnVoice
from audio.messages import SpeechStarted, Words
from bench.latency.room import Room
from bench.report import Report, Target
from languages.english import ENGLISH

if TYPE_CHECKING:
    from collections.abc import Iterator
    from pathlib import Path

    from agent.config.invocation import Invocation
    from agent.config.settings import Settings
    from audio.clock import Sound
    from audio.hearing.ears import Ears
    from audio.messages import EarsEvent, ToldAhead
    from audio.speaking.synthesizer import Synthesizer

_BLOCK: Final = RATE // 100
_REFLECTIONS: Final = ((0.0, 1.0), (0.007, 0.5), (0.019, -0.35), (0.043, 0.2), (0.091, -0.1))
"""Seconds and parts of the echoes that make the echo: a small room."""
_LARGEST: Final = 32_768
_THINGS: Final = ("tickets", "eggs", "boxes", "hours", "chairs", "apples", "stops", "miles", "roses")


@dataclass(frozen=True, slots=True)
class EchoBenchOptions:
    """What the command line asks for."""

    minutes: float
    echo_db: float
    json_file: Path | None


@dataclass(slots=True)
class Monologue:
    """What came of one."""

    spoke_s: float = 0.0
    """Seconds of the agent's sound, its own pauses included."""
    return_loss_db: float = 0.0
    """How far below the loudspeaker's signal the echo arrives."""
    cancelled_db: float = 0.0
    """How far the canceller lowers it further."""
    onsets: int = 0
    """Voices that were noticed; none was there."""
    pauses: int = 0
    """Times that the reply would have been paused for one."""
    interruptions: int = 0
    """Times that it would have been given up for words."""
    hard_stops: int = 0
    """Times that everything would have been stopped for a phrase."""
    words: list[str] = field(default_factory=list)
    """Words that were taken for somebody's."""

    @property
    def self_interruptions(self) -> int:
        """Replies given up."""
        return self.interruptions + self.hard_stops


def run(invocation: Invocation, options: EchoBenchOptions) -> None:
    """Run the benchmark and tell its outcome."""
    console, settings = Console(), invocation.load({}).settings
    with shown() as progress:
        store, models = open_store(settings.models), settings.models
        asr, voice = fetch_recogniser(models, store, progress), fetch_voice(models.voice, store, progress)
    found = asyncio.run(monologue(Files(asr, asr, voice), settings, options.minutes * 60, options.echo_db))
    console.print(
        f"spoke {found.spoke_s:.0f} s; echo {found.return_loss_db:.0f} dB below playback, {found.cancelled_db:.0f} dB "
        f"cancelled; {found.onsets} voices noticed, {found.pauses} pauses, {found.interruptions} interruptions, "
        f"{found.hard_stops} stops",
        highlight=False,
        soft_wrap=True,
    )
    report = Report("echo", _settings(settings, options), asdict(found), targets(found))
    if options.json_file:
        report.write(options.json_file)
    report.show_targets(console)


def targets(found: Monologue) -> list[Target]:
    """Give the rows that the plan asks for."""
    return [
        Target("agent_spoke_s", found.spoke_s, at_least=600),
        Target("self_interruptions", found.self_interruptions, at_most=0),
    ]


def _settings(settings: Settings, options: EchoBenchOptions) -> dict[str, Any]:
    groups = {name: asdict(getattr(settings, name)) for name in ("devices", "ears", "turns", "voice")}
    return {**groups, "minutes": options.minutes, "echo_db": options.echo_db}


async def monologue(files: Files, settings: Settings, seconds: float, echo_db: float) -> Monologue:
    """Speak for so long, and count what the agent makes of its own echo."""
    own = OwnVoice()
    speech = await asyncio.to_thread(load_speech, files, settings)
    async with open_speech(speech, settings, own=own.own) as (ears, voice), asyncio.TaskGroup() as group:
        listener = _EchoListener(ears, settings, own)
        reading = group.create_task(listener.read(), name="ears")
        card = _Card(settings, echo_db)
        for sentence in itertools.takewhile(lambda _: card.seconds < seconds, sentences()):
            sound = await _spoken(voice, sentence)
            listener.voice.said(sentence, card.seconds + len(sound) / RATE)
            for frame in card.play(sound):
                await listener.hear(frame)
        await ears.close()
        await reading
    found = listener.found
    found.spoke_s = card.seconds
    found.return_loss_db, found.cancelled_db = (
        card.microphone.meter.return_loss_db,
        card.microphone.meter.enhancement_db,
    )
    return found


def sentences(seed: int = 0) -> Iterator[str]:
    """Give what an agent says, for ever: steps, answers, phrases that hold, and sentences with stop words in them."""
    chance = random.Random(seed)
    while True:
        a, b, thing = chance.randint(2, 30), chance.randint(2, 12), chance.choice(_THINGS)
        yield chance.choice(
            (
                f"{a} {thing} times {b} dollars each is {a * b} dollars.",
                f"{a * b} minus {b} is {a * b - b} {thing}.",
                f"The answer is {a * b} {thing}.",
                f"So there are {a} {thing} left, and each of them costs {b} dollars.",
                f"The bus stops {b} times, and you get off at stop number {a}.",
                "I can stop whenever you say so.",
                "Is there anything else that you would like to know?",
                *ENGLISH.replies.fillers,
            )
        )


async def _spoken(voice: Synthesizer, sentence: str) -> Sound:
    clip = await voice.synthesize(sentence)
    sound: Sound = soxr.resample(clip.samples.astype(np.float32) / _LARGEST, clip.rate, RATE)
    return sound


class _Card:
    """A sound card in a room that echoes, and the microphone's side of it."""

    def __init__(self, settings: Settings, echo_db: float) -> None:
        options = settings.devices
        self.microphone = CleanMicrophone(RATE, cancel=not options.headphones, warmup_ms=options.warmup_ms)
        self._room = Room(echo_db=echo_db)
        self._recorded: Sound = np.zeros(_BLOCK, np.float32)
        self._rest: Sound = np.zeros(0, np.float32)
        self._response = np.zeros(round(_REFLECTIONS[-1][0] * RATE) + 1, np.float32)
        for delay_s, part in _REFLECTIONS:
            self._response[round(delay_s * RATE)] = part
        self._response /= np.sqrt(np.sum(np.square(self._response)))
        self._tail: Sound = np.zeros(len(self._response) - 1, np.float32)

    @property
    def seconds(self) -> float:
        """Seconds that were played."""
        return self._room.now / RATE

    def play(self, sound: Sound) -> Iterator[Sound]:
        """Play sound; yield the frames of the input clock that are recorded meanwhile."""
        sound = np.concatenate((self._rest, sound))
        whole = len(sound) // _BLOCK * _BLOCK
        sound, self._rest = sound[:whole], sound[whole:]
        echoing = np.convolve(sound, self._response).astype(np.float32)
        echoing[: len(self._tail)] += self._tail[: len(echoing)]
        self._tail = echoing[whole:]
        for at in range(0, whole, _BLOCK):
            yield from self.microphone.receive(self._recorded, sound[at : at + _BLOCK])
            self._recorded = self._room.exchange(echoing[at : at + _BLOCK])


class _EchoListener:
    """Ears and turn-taking, with the agent's reply being heard all the time."""

    def __init__(self, ears: Ears, settings: Settings, voice: OwnVoice) -> None:
        self.found, self.voice = Monologue(), voice
        self._ears, self._now_s = ears, 0.0
        self._turns = TurnTaking(settings.turns)
        self._turns.prompted()

    async def hear(self, frame: Sound) -> None:
        """Take a frame, and let everything that follows from it happen."""
        self._now_s += len(frame) / RATE
        self._turns.tick(self._now_s)
        self._ears.listen_for_stops(wanted=True, tell=self._receive)
        await self._ears.receive(frame)
        await self._ears.caught_up()
        await asyncio.sleep(0)

    async def read(self) -> None:
        """Take what the ears tell, until they are closed."""
        async for event in self._ears.events():
            self._receive(event)

    def _receive(self, event: EarsEvent | ToldAhead) -> None:
        found = self.found
        found.onsets += isinstance(event, SpeechStarted)
        for action in self._turns.receive(event, self._now_s):
            found.pauses += isinstance(action, Pause)
            found.interruptions += isinstance(action, Interrupt)
            found.hard_stops += isinstance(action, HardStop)
            if isinstance(action, Interrupt) and isinstance(event, Words):
                found.words.append(f"{event.committed} {event.tentative}".strip())
        if self._turns.state != "answering":
            self._turns = TurnTaking(self._turns.options)
            self._turns.prompted()
