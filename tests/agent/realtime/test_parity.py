"""The desk and the server, given the same user with the same settings, decide the same and are heard alike.

Time is virtual on both sides. Where the server must differ - it cannot pause what a client has already - the test says
so by name.
"""

from __future__ import annotations

import asyncio
import base64
import itertools
from collections.abc import AsyncIterator, Callable, Sequence
from contextlib import AbstractAsyncContextManager, asynccontextmanager
from dataclasses import dataclass, replace

import numpy as np
import pytest

from agent.conversation import timeline
from agent.conversation.options import TurnOptions
from agent.conversation.turn_taking import Action, Authorize, Hear, Pause, Resume, TurnTaking
from agent.realtime.adapter import RealtimeAdapter, ServerModels
from agent.realtime.hearing import SharedJudge, SharedRecogniser
from agent.realtime.protocol.protocol import Protocol
from agent.realtime.reasoner import ReasonerConfig
from audio.clock import FRAME, RATE, Sound
from audio.hearing.agreement import Word
from audio.hearing.transcriber import Recogniser
from audio.hearing.vad import VoiceActivity
from audio.hearing.whisper import Hypothesis
from audio.messages import EarsEvent, ToldAhead
from audio.options import EarsOptions, VoiceOptions
from audio.speaking.synthesizer import Synthesizer
from languages.english import ENGLISH
from languages.known import language_of
from languages.language import Language
from reasoning.options import LoopOptions
from reasoning.prompting.script import Script
from tests.agent.conversation import test_driver as desk
from tests.agent.conversation.test_driver import TICK_S, WORD_S, World
from tests.audio.hearing.test_vad import by_level
from tests.reasoning.loop.test_loop import FAMILY, QUESTION, Model
from tests.reasoning.scripted_engine import END, Words

OWN = TurnOptions(pause_on_voice=False, stop_phrases=("enough",), backchannels=("righto",), grace_ms=2000)
SAID = {
    0.9: QUESTION,
    0.8: "And in 2 boxes?",
    0.7: "",
    0.6: "A box has 6 rows",
    0.65: "Righto. Righto.",
    0.75: "Enough!",
    0.85: "No, it has 7 rows.",
    0.55: "Stop!",
    0.95: "Mhm.",
}
ASK, ALSO, COUGH, BEGIN, LISTENS, ENOUGH, CORRECT, STOP, MHM = SAID
SILENCE = 0.0


class LevelDecoder:
    """Hears the words that belong to a level of sound, one for each tenth of a second of it."""

    def decode(self, sound: Sound, *, final: bool, expected: str = "") -> Hypothesis:  # noqa: ARG002 - both are the same to it
        words: list[Word] = []
        for level, text in SAID.items():
            count = round(int((np.abs(sound - level) < 0.02).sum()) / RATE / WORD_S)
            words += [Word(word, 0.9) for word in text.split()[:count]]
        return Hypothesis(tuple(words), -0.1, 0.0)

    def spot(self, sound: Sound) -> Hypothesis:
        return self.decode(sound, final=False)


class Melody:
    """Finds that every turn sounds finished with that probability."""

    def __init__(self, probability: float) -> None:
        self._probability = probability

    def complete(self, sound: Sound) -> float:
        return self._probability if len(sound) else 0.5


class ServedWorld(World):
    """The same world, with a client of the server in place of the desk."""

    adapter: RealtimeAdapter

    async def tick(self, level: float) -> None:
        self.now += TICK_S
        self.driver.play(0, self.now)
        pcm = np.full(FRAME * 24_000 // RATE, round(level * 32768), "<i2").tobytes()
        await self.adapter.receive({"type": "input_audio_buffer.append", "audio": base64.b64encode(pcm).decode()})
        self.engine.allow(TICK_S / self.engine.step_s)
        await self.settle()


class WatchedAdapter(RealtimeAdapter):
    """An adapter whose timeline is kept."""

    def __init__(self, world: World, models: ServerModels, protocol: Protocol, sent: list[object]) -> None:
        self._world = world
        super().__init__(models, protocol, sent.append, lambda: world.now)

    def _emit(self, event: timeline.Event) -> None:
        self._world.emit(event)
        super()._emit(event)


@asynccontextmanager
async def served(
    turns: TurnOptions,
    *,
    judged: float | None = None,
    model: Model | None = None,
    options: LoopOptions | None = None,
    script: Callable[[Words], Script] = lambda words: Script(words, FAMILY),
    context: int = 100_000,
    decoder: Recogniser | None = None,
    language: Language = ENGLISH,
    detection: str = "semantic_vad",
) -> AsyncIterator[ServedWorld]:
    one = ServedWorld(model or Model(), options or LoopOptions(), context)
    numbers = itertools.count()
    async with Synthesizer(lambda: one.voice, VoiceOptions()) as voice:
        fillers = [await voice.synthesize(phrase) for phrase in ENGLISH.replies.fillers]
        models = ServerModels(
            ReasonerConfig(one.engine, script(one.engine.tokenizer), one.options, context),
            SharedRecogniser(decoder or LevelDecoder()),
            voice,
            tuple(fillers),
            EarsOptions(partial_every_ms=100, language=language.code),
            VoiceOptions(),
            turns,
            None if judged is None else SharedJudge(Melody(judged)),
            lambda options: VoiceActivity(options, by_level),
        )
        protocol = Protocol(model="m", voice="v", new_id=lambda kind: f"{kind}_{next(numbers)}")
        one.adapter = adapter = WatchedAdapter(one, models, protocol, [])
        one.driver, one.synthesizer = adapter._driver, voice
        ready = asyncio.Event()
        running = asyncio.create_task(adapter.run(ready))
        await ready.wait()
        detects = {"audio": {"input": {"turn_detection": {"type": detection}}}}
        await adapter.receive({"type": "session.update", "session": {"type": "realtime", **detects}})
        assert adapter._ears._ears is not None
        one.ears = adapter._ears._ears
        one.engine.allowance = 0.0
        yield one
        running.cancel()
        await asyncio.wait([running])


def at_desk(turns: TurnOptions, *, judged: float | None = None) -> AbstractAsyncContextManager[World]:
    judge = None if judged is None else Melody(judged)
    return desk.world(turns=turns, decoder=LevelDecoder(), judge=judge)


Side = Callable[..., AbstractAsyncContextManager[World]]


class Decisions:
    """What the turn-taking of one side decides, written down on its way."""

    def __init__(self, turns: TurnTaking) -> None:
        self._receive, self.taken = turns.receive, list[Action]()
        self.over_s = 0.0
        """When the newest turn was over."""
        turns.receive = self.receive  # type: ignore[method-assign]

    def receive(self, event: EarsEvent | ToldAhead, now_s: float) -> list[Action]:
        actions = self._receive(event, now_s)
        # How often words are told before a pause is a matter of decodes; a pause of the reply only the desk has.
        self.taken += [action for action in actions if not isinstance(action, Hear | Pause | Resume)]
        self.over_s = now_s if any(isinstance(action, Authorize) for action in actions) else self.over_s
        return actions

    @property
    def told(self) -> list[str]:
        return [
            f"{type(action).__name__} {getattr(action, 'text', '') or getattr(action, 'phrase', '')}".strip()
            for action in self.taken
        ]


User = Sequence[tuple[float, str]]
"""What is said, and when: `now`, `pause` (half a second later), `heard` (amid the reply), `idle` (after it)."""

USERS: dict[str, User] = {
    "a question": [(ASK, "now")],
    "a pause, and going on": [(BEGIN, "now"), (ASK, "pause")],
    "two pauses": [(BEGIN, "now"), (CORRECT, "pause"), (ASK, "pause")],
    "a sign of listening of the user's own": [(ASK, "now"), (LISTENS, "heard")],
    "a sign of listening that is none here": [(ASK, "now"), (MHM, "heard")],
    "a cough": [(ASK, "now"), (COUGH, "heard")],
    "a stop phrase of the user's own": [(ASK, "now"), (ENOUGH, "heard")],
    "a stop phrase of the user's own in silence": [(ENOUGH, "now")],
    "a stop phrase that is none here": [(ASK, "now"), (STOP, "heard")],
    "a barge-in": [(ASK, "now"), (ALSO, "heard")],
    "a correction": [(ASK, "now"), (CORRECT, "heard")],
    "going on at once": [(ASK, "now"), (ALSO, "begun")],
    "a second turn": [(ASK, "now"), (ALSO, "idle")],
    "a conversation": [(BEGIN, "now"), (ASK, "pause"), (LISTENS, "heard"), (ENOUGH, "heard"), (ALSO, "idle")],
}


@dataclass
class Lived:
    """What one side made of a user."""

    decided: list[str]
    heard: list[str]
    """Of the replies, clause by clause."""
    cuts: list[str]
    """What was heard of replies that were cut."""
    pauses: int
    """Of the reply."""
    waited_s: float
    """From the user's last word until something was heard."""
    over_s: float
    """From there until the turn was over."""


async def lived(side: Side, user: User, turns: TurnOptions = OWN, *, judged: float | None = None) -> Lived:
    async with side(turns, judged=judged) as one:
        decided = Decisions(one.driver._turns)
        await one.hear(SILENCE, 0.3)
        for level, when in user:
            await waited(one, when)
            await one.hear(level, len(SAID[level].split()) * WORD_S or 0.3)
        ended = one.now
        await one.hear(SILENCE, 0.5)
        await one.reply()
        await one.hear(SILENCE, 1.0)
        sounds = [piece.start_ms / 1000 - ended for piece in one.of(timeline.AudioOut)]
        cuts = [cut.heard for cut in one.of(timeline.Interrupted)]
        waits = [after for after in sounds if after > 0]
        paused, waited_s = len(one.of(timeline.Paused)), waits[0] if waits else -1.0
        return Lived(decided.told, one.heard, cuts, paused, waited_s, decided.over_s - ended)


async def waited(one: World, when: str) -> None:
    match when:
        case "pause":
            await one.hear(SILENCE, 0.4)
        case "begun":
            await one.wait(lambda: bool(one.of(timeline.AudioOut)))
        case "heard":
            before = len(one.heard)
            await one.wait(lambda: len(one.heard) > before)
            await one.hear(SILENCE, 0.3)
        case "idle":
            await one.reply()
            await one.hear(SILENCE, 1.5)
        case _:
            pass


def alike(cut: str, other: str) -> bool:
    """Say whether two replies were cut at the same place, give or take a word: a client's sound is resampled."""
    short, long = sorted((cut, other), key=len)
    return long.startswith(short) and len(long.split()) - len(short.split()) <= 1


@pytest.mark.parametrize("name", USERS)
async def test_the_same_is_decided_and_heard_at_the_desk_and_at_the_server(name: str) -> None:
    here, there = await lived(at_desk, USERS[name]), await lived(served, USERS[name])
    assert here.decided == there.decided
    assert here.heard == there.heard
    assert len(here.cuts) == len(there.cuts)
    assert all(map(alike, here.cuts, there.cuts))
    assert abs(here.waited_s - there.waited_s) < 0.1


@pytest.mark.parametrize("side", [at_desk, served], ids=["desk", "server"])
@pytest.mark.parametrize(
    ("name", "told"),
    [
        ("a stop phrase of the user's own", "HardStop enough"),
        ("a stop phrase of the user's own in silence", "HardStop enough"),
        ("a sign of listening that is none here", "Interrupt"),
    ],
)
async def test_settings_of_turns_hold_on_both_sides(side: Side, name: str, told: str) -> None:
    assert told in (await lived(side, USERS[name])).decided
    assert told not in (await lived(side, USERS[name], TurnOptions())).decided


async def test_a_pause_of_the_reply_is_what_only_the_desk_has() -> None:
    pausing = replace(OWN, pause_on_voice=True)
    for name in ("a cough", "a sign of listening of the user's own"):
        here, there = await lived(at_desk, USERS[name], pausing), await lived(served, USERS[name], pausing)
        assert (here.pauses, there.pauses) == (1, 0)
        assert here.decided == there.decided
        assert here.heard == there.heard


@pytest.mark.parametrize("side", [at_desk, served], ids=["desk", "server"])
async def test_a_turn_that_sounds_unfinished_is_waited_for_on_both_sides(side: Side) -> None:
    user: User = [(CORRECT, "now")]
    finished, unfinished = await lived(side, user, judged=0.98), await lived(side, user, judged=0.02)
    assert 0.5 < finished.over_s < unfinished.over_s - 0.1


class Hears:
    """Hears what belongs to a level of sound, sure of every word of it."""

    def __init__(self, said: dict[float, str]) -> None:
        self.said = said

    def decode(self, sound: Sound, *, final: bool, expected: str = "") -> Hypothesis:  # noqa: ARG002 - both are the same to it
        words: list[Word] = []
        for level, text in self.said.items():
            count = round(int((np.abs(sound - level) < 0.02).sum()) / RATE / WORD_S)
            words += [Word(word, 0.9) for word in text.split()[:count]]
        return Hypothesis(tuple(words), -0.1, 0.0)

    def spot(self, sound: Sound) -> Hypothesis:
        return self.decode(sound, final=False)


class Talkative(Model):
    """Answers at once, at length, in whatever language."""

    def score_choices(self, before: str) -> float:
        del before
        return -20.0

    def write(self, before: str, name: str) -> str:
        del before, name
        words = [f"{one}{two}lum" for one in "bdfgklm" for two in "aeiou"]
        return f"{' '.join(words)}.{END}"


@pytest.mark.parametrize("where", ["desk", "semantic_vad", "server_vad"])
@pytest.mark.parametrize(
    ("code", "asks", "listens", "turns"),
    [
        ("en", "How many eggs are there?", "Mhm, yeah, right.", "Wait, no eggs."),
        ("de", "Wie viele Eier sind das?", "Mhm, ja, genau.", "Nein, ohne Eier."),
        ("de", "Wie viele Eier sind das?", "Na klar.", "Ja, aber wann?"),
        ("es", "¿Cuántos huevos hay?", "Sí, ajá, vale.", "No, sin huevos."),
        ("es", "¿Cuántos huevos hay?", "Por supuesto.", "Sí, pero ¿cuándo?"),
    ],
)
async def test_signs_of_listening_leave_a_reply_alone_in_every_language(
    where: str, code: str, asks: str, listens: str, turns: str
) -> None:
    decoder, language = Hears({0.9: asks, 0.5: listens, 0.6: turns}), language_of(code)
    opened: AbstractAsyncContextManager[World] = (
        desk.world(Talkative(), decoder=decoder, languages=(language,))
        if where == "desk"
        else served(TurnOptions(), model=Talkative(), decoder=decoder, language=language, detection=where)
    )
    async with opened as one:
        await one.hear(0.9, len(asks.split()) * WORD_S)
        await waited(one, "heard")
        await one.hear(0.5, len(listens.split()) * WORD_S)
        await one.hear(SILENCE, 1.2)
        assert not one.of(timeline.Interrupted)
        assert not one.driver.idle
        await one.hear(0.6, len(turns.split()) * WORD_S)
        await one.hear(SILENCE, 1.2)
        assert len(one.of(timeline.Interrupted)) == 1
