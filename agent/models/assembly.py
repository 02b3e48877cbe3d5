"""Opens the models that the settings name: language model, ears and voice, from disk to ready.

Everything slow takes place in threads. What loads which model is the registry's; what is said with them is not known
here. Shows nothing: whoever opens models may be told how far they are.
"""

from __future__ import annotations

import asyncio
from concurrent.futures import ThreadPoolExecutor
from contextlib import AsyncExitStack, asynccontextmanager, nullcontext
from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING

from agent.config.invocation import open_store
from agent.models.registry import (
    fetch_recogniser,
    fetch_stop_word,
    fetch_turn,
    fetch_voice,
    load_engine,
    load_recogniser,
    load_stop_word,
    load_turn_judge,
    load_voice,
)
from agent.models.served import open_served
from agent.models.spans import StartTimes
from agent.models.voices import VoiceShelf
from agent.models.warming import warm_ears, warm_mind
from agent.plan.fitting import begin
from audio.hearing.ears import Ears
from audio.hearing.following import following
from audio.hearing.stop_phrases import StopPhrases
from audio.hearing.transcriber import Transcriber
from audio.hearing.vad import VoiceActivity
from audio.speaking.rehearsed import RehearsedVoice
from audio.speaking.synthesizer import Synthesizer
from audio.speaking.voices import VOICES
from languages.spoken import spoken
from reasoning.engine.torch_engine import TorchEngine
from reasoning.policies.fillers import told_later

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Container
    from contextlib import AbstractContextManager

    from agent.config.settings import Settings
    from agent.models.registry import Files
    from agent.plan.fitting import Fitting
    from audio.clock import Sound
    from audio.hearing.transcriber import Judge, Recogniser
    from audio.messages import Words
    from audio.speaking.synthesizer import Voice
    from languages.language import Language
    from reasoning.engine.contract import Engine
    from reasoning.options import EngineOptions
    from reasoning.prompting.script import Script
    from reasoning.store.store import Progress

    Fetching = Callable[[], AbstractContextManager[Callable[[Progress], None]]]
    """Shows how far the fetching of models is while it is entered."""
    Shown = Callable[[str], AbstractContextManager[object]]
    """Shows what is being loaded while it is."""


def _unseen() -> AbstractContextManager[Callable[[Progress], None]]:
    return nullcontext(lambda _: None)


def _untold(_: str) -> None:
    """Nobody wants to know."""


# --- the language model ---


@asynccontextmanager
async def open_engine(
    file: Path, settings: Settings, shown: Shown = nullcontext
) -> AsyncIterator[tuple[Engine, Script]]:
    """Load the language model, or connect to servers that have it; free it at the end."""
    if settings.engine.kind == "vllm":
        async with open_served(file, settings) as opened:
            yield opened
    else:
        async with open_embedded(file, settings.engine, shown, settings.models.profiles) as opened:
            yield opened


@asynccontextmanager
async def open_embedded(
    file: Path, options: EngineOptions, shown: Shown = nullcontext, profiles: Path | None = None
) -> AsyncIterator[tuple[TorchEngine, Script]]:
    """Load the language model into this process, and free it at the end; `profiles` is a user's file of them."""
    with shown("the language model (longer the first time: its weights are repacked)"):
        engine, script = await asyncio.to_thread(load_engine, file, options, profiles)
    try:
        yield engine, script
    finally:
        await asyncio.to_thread(engine.close)


# --- ears and voice ---


@dataclass(frozen=True, slots=True)
class Speech:
    """Models of ears and voice that several conversations take in turn."""

    recogniser: Recogniser
    voice: Voice
    judge: Judge | None
    """The judge of turns, if there is one."""
    voices: VoiceShelf | None = None
    """The other voices that conversations may take, if there are any."""
    stop_word: Callable[[], Callable[[Sound], float]] | None = None
    """Opens a second ear for stops, one for each conversation, if there is one."""


def load_speech(files: Files, settings: Settings) -> Speech:
    """Load them, in the calling thread."""
    return Speech(
        load_recogniser(files.asr, settings),
        load_voice(files.voice, settings),
        load_turn_judge(files.turn, settings),
        stop_word=load_stop_word(files.stop, settings),
    )


@dataclass(frozen=True, slots=True)
class FoundSpeech:
    """Where models of ears and voice lie, or those that somebody brought."""

    recogniser: Path | Recogniser
    voice: Voice | None
    """None: the one that the settings name, whose files are there."""
    judge: Path | None
    stop_word: Path | None = None

    def load(self, settings: Settings, times: StartTimes | None = None, *, warm: bool = False) -> Speech:
        """Load them, in the calling thread and one more. Raises EarsUnavailable or VoiceUnavailable.

        warm: have them hear and speak for the first time, too.
        """
        times, found, shelf = times or StartTimes(), self.recogniser, VoiceShelf(settings)
        with ThreadPoolExecutor(1, "voice") as beside:
            voice = beside.submit(self._load_voice, settings, shelf, times, warm=warm)
            with times.span("ears loaded"):
                recogniser = load_recogniser(found, settings) if isinstance(found, Path) else found
                judge, stop_word = load_turn_judge(self.judge, settings), load_stop_word(self.stop_word, settings)
            if warm:
                warm_ears(recogniser, judge, times)
            return Speech(recogniser, voice.result(), judge, shelf, stop_word)

    def _load_voice(self, settings: Settings, shelf: VoiceShelf, times: StartTimes, *, warm: bool) -> Voice:
        with times.span("voice loaded"):
            voice = shelf.load(settings.models.voice) if self.voice is None else self.voice
        if not warm:
            return voice
        with times.span("voice: fillers spoken"):
            language = spoken(settings.ears.language, settings.ears.languages)[0]
            return RehearsedVoice(voice, language.replies.fillers, told_later(language), language)


def find_speech(
    settings: Settings,
    fetching: Fetching = _unseen,
    *,
    recogniser: Recogniser | None = None,
    voice: Voice | None = None,
    instead: str = "",
) -> FoundSpeech:
    """Fetch what is not given, in the calling thread.

    instead: speech model that hears where the one of the settings, which was chosen, cannot be had.
    """
    options, store = settings.models, open_store(settings.models)
    with fetching() as progress:
        if voice is None:
            fetch_voice(options.voice, store, progress)
        return FoundSpeech(
            recogniser or fetch_recogniser(options, store, progress, instead),
            voice,
            fetch_turn(options, store, progress),
            fetch_stop_word(options, store, progress),
        )


def fetch_speech(settings: Settings) -> Speech:
    """Fetch and load ears and voice, in the calling thread."""
    return find_speech(settings).load(settings)


@asynccontextmanager
async def open_speech(
    speech: Speech,
    settings: Settings,
    engine: Engine | None = None,
    *,
    own: Callable[[Words, float], bool] = lambda *_: False,
) -> AsyncIterator[tuple[Ears, Synthesizer]]:
    """Give one conversation its ears and voice.

    engine: leaves the processor to the ears when they need it.
    own: tells whether words are the agent's own, come back as an echo, at that second of the input clock.
    """
    phrases = StopPhrases(settings.turns.stop_phrases)
    languages = spoken(settings.ears.language, settings.ears.languages)
    recogniser = following(speech.recogniser, languages)
    transcriber = Transcriber(lambda: recogniser, lambda: speech.judge)
    ears = Ears(
        VoiceActivity(settings.ears),
        transcriber,
        settings.ears,
        command=phrases.command,
        own=own,
        give_way=_stay if engine is None else engine.give_way,
        slowdown=(lambda: 1.0) if engine is None else (lambda: engine.slowdown),
        stop_word=None if speech.stop_word is None else speech.stop_word(),
    )
    for language in languages:
        voice_speaking(speech, settings, language)
    speaker = Synthesizer(lambda: speech.voice, settings.voice, partial(voice_speaking, speech, settings))
    async with ears, speaker as synthesizer:
        yield ears, synthesizer


def voice_speaking(speech: Speech, settings: Settings, language: Language) -> Voice | None:
    """Give the voice that speaks a language, where the one of the settings does not; None: that one does, or must.

    Raises:
        BadVoice: none that is here speaks it.

    """
    own = VOICES.get(settings.models.voice)
    if speech.voices is None or own is None or own.speaks(language.code):
        return None
    return speech.voices.speaking(language.code)


def _stay(_: float) -> None:
    """There is no engine to give way."""


# --- all of them ---


class OpenModels:
    """The models of one process, which its conversations share. Made by `open_models`."""

    def __init__(
        self,
        settings: Settings,
        engine: Engine,
        script: Script,
        load: Callable[[], Speech],
        *,
        given: Container[str] | None = None,
        fitting: Fitting | None = None,
        times: StartTimes | None = None,
        warm: bool = False,
    ) -> None:
        """Make it.

        given: settings that somebody set, by `group.name`; None: all hold as they are.
        load: loads ears and voice; it is called once, in a thread, when they are first needed.
        warm: it has them hear and speak, too.
        """
        persona = settings.loop.persona.strip()
        self.engine, self.script = engine, script.instructed(persona) if persona else script
        self._given: Container[str] | None = given
        self.settings = self._profiled(settings)
        """The settings that hold: what nobody set is chosen by the model's profile, and when they are fitted to the
        machine."""
        self.times = times or StartTimes()
        self._fitting = fitting
        self._load = load
        self._loading = asyncio.Lock()
        self._speech: Speech | None = None
        self._heard, self._read = warm, False
        """Whether the ears have heard something, and the instructions were read."""

    async def speech(self) -> Speech:
        """Give ears and voice. Raises EarsUnavailable or VoiceUnavailable."""
        async with self._loading:
            if self._speech is None:
                self._speech = await asyncio.to_thread(self._load)
            return self._speech

    async def fit(self, *, measure: bool) -> None:
        """Take what is chosen for this machine; `measure`: measure it first, if nobody has."""
        fitting, engine = self._fitting, self.engine
        if fitting is None or not isinstance(engine, TorchEngine):
            return
        if measure:
            speech = await self.speech()
            with self.times.span("this machine measured" if fitting.measured is None else "measured before"):
                await fitting.measure(engine, speech.recogniser, speech.voice)
        await fitting.fit(engine)
        self.settings = self._profiled(fitting.now)

    async def warm(self) -> None:
        """Do, once, what the first answer would be the first to do. Raises EarsUnavailable or VoiceUnavailable."""
        if not self._read:
            self._read = True
            await warm_mind(self.engine, self.script, self.times)
        speech = await self.speech()
        if not self._heard:
            self._heard = True
            await asyncio.to_thread(warm_ears, speech.recogniser, speech.judge, self.times)

    def _profiled(self, settings: Settings) -> Settings:
        """Put the budgets of the model's profile where nobody set any."""
        if self._given is None:
            return settings
        return settings.model_copy(update={"loop": self.script.profile.budgeted(settings.loop, self._given)})

    @property
    def plan(self) -> str:
        """What was chosen for this machine, in a line; empty where nothing was."""
        return "" if self._fitting is None else self._fitting.told()


@asynccontextmanager
async def open_models(
    settings: Settings,
    *,
    given: Container[str] | None = None,
    recogniser: Recogniser | None = None,
    voice: Voice | None = None,
    fetching: Fetching = _unseen,
    shown: Shown = nullcontext,
    tell: Callable[[str], None] = _untold,
    warm: bool = False,
    times: StartTimes | None = None,
) -> AsyncIterator[OpenModels]:
    """Fetch and load the language model, and free it at the end; ears and voice follow when they are needed.

    given: settings that somebody set, by `group.name`: the others are chosen by what is known of this machine. None:
        all hold as they are.
    recogniser, voice: used instead of those that the settings name.
    fetching: entered while models are fetched; what it gives is told how far they are, from a thread.
    shown: entered with the name of what is being loaded, while it is.
    tell: takes a line for the user.
    warm: load ears and voice at once, measure the machine if nobody has, and do what the first answer would wait for.
    times: is told what takes the time.
    """
    times = times or StartTimes()
    store = open_store(settings.models)
    with fetching() as progress, times.span("models found"):
        file = await asyncio.to_thread(store.language_model, settings.models.llm, progress)
    fitting, set_ears = None, settings.models.asr
    if given is not None and settings.engine.kind == "torch":
        with times.span("kernels, and what is known of this machine"):
            own = recogniser is not None
            fitting = await asyncio.to_thread(partial(begin, settings, given, file, tell, own_ears=own))
        settings = fitting.now

    def find() -> FoundSpeech:
        found = find_speech(settings, fetching, recogniser=recogniser, voice=voice, instead=set_ears)
        if fitting is not None and isinstance(found.recogniser, Path):
            fitting.found_ears(found.recogniser.name)
        return found

    load: Callable[[], Speech] = partial(_loaded, find, settings)
    async with AsyncExitStack() as stack:
        if warm:
            found = await asyncio.to_thread(find)
            # Beside the language model: each of the three keeps one core busy at most.
            beside = stack.enter_context(ThreadPoolExecutor(1, "speech"))
            load = beside.submit(found.load, settings, times, warm=True).result
        with times.span("language model loaded"):
            engine, script = await stack.enter_async_context(open_engine(file, settings, shown))
        models = OpenModels(settings, engine, script, load, given=given, fitting=fitting, times=times, warm=warm)
        if warm:
            await models.warm()
        await models.fit(measure=warm)
        yield models


def _loaded(find: Callable[[], FoundSpeech], settings: Settings) -> Speech:
    return find().load(settings)
