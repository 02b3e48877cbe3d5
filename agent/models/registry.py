"""Which code loads which model: the one place where names of the settings become loaded models.

A recogniser and a judge of turns are found by the family that a name of the catalogue begins with, a voice by its row
in the table of voices; another family is a row here and an entry there. A language model is found by what its file is.
Everything loads in the calling thread.
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import partial
from pathlib import Path
from typing import TYPE_CHECKING, Final, TypeVar

import platformdirs
import torch

from audio.errors import BadVoice
from audio.hearing.end_of_turn import EndOfTurn
from audio.hearing.following import hearing
from audio.hearing.moonshine import MoonshineRecogniser
from audio.hearing.stops.word import StopWord, stop_word_runs
from audio.hearing.whisper import WhisperDecoder
from audio.speaking.espeak import EspeakLibrary
from audio.speaking.kokoro import KokoroModel
from audio.speaking.piper import PiperVoice
from audio.speaking.voices import PITCHED, VoiceBackend, find_voice
from languages.spoken import spoken
from reasoning.engine.decoder import Decoder
from reasoning.engine.device import place
from reasoning.engine.drafts import ROW_COSTS
from reasoning.engine.torch_engine import TorchEngine
from reasoning.errors import BadModel, EngineFailed, ModelUnavailable, UnknownModel, WrongChecksum
from reasoning.formats.gguf import open_gguf
from reasoning.formats.safetensors_folder import open_safetensors
from reasoning.prompting.profiles.reading import known_profiles
from reasoning.prompting.script import Script, script_of
from reasoning.prompting.tokenizer import Tokenizer
from reasoning.store.store import Progress
from reasoning.tools.grammar import Grammars

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from agent.config.settings import ModelOptions, Settings
    from audio.clock import Sound
    from audio.hearing.transcriber import Judge, Recogniser
    from audio.options import EarsOptions, VoiceOptions
    from audio.speaking.synthesizer import Voice, VoiceModel
    from audio.speaking.voices import VoiceEntry
    from reasoning.formats.model_file import ModelFile
    from reasoning.options import EngineOptions
    from reasoning.store.store import Store

T = TypeVar("T")


@dataclass(frozen=True, slots=True)
class Files:
    """Where the models lie."""

    llm: Path
    """A .gguf file, or a folder of safetensors."""
    asr: Path
    """A folder."""
    voice: Path | None
    """A folder; None for a voice that its library brings along."""
    turn: Path | None = None
    """The folder of the judge of turns, if there is one."""
    stop: Path | None = None
    """The folder of the second ear for stops, if there is one."""


def find(settings: Settings, store: Store, progress: Callable[[Progress], None], *, speech: bool) -> Files:
    """Fetch what is missing; `speech` says whether ears and voice are needed, too."""
    options = settings.models
    llm = store.language_model(options.llm, progress)
    if not speech:
        return Files(llm, llm.parent, llm.parent)
    asr, voice = fetch_recogniser(options, store, progress), fetch_voice(options.voice, store, progress)
    turn, stop = fetch_turn(options, store, progress), fetch_stop_word(options, store, progress)
    return Files(llm, asr, voice, turn, stop)


def fetch_recogniser(
    options: ModelOptions, store: Store, progress: Callable[[Progress], None], instead: str = ""
) -> Path:
    """Find the speech model: one of the catalogue, or `FAMILY:FOLDER` for a folder of the user's.

    instead: one that hears where it cannot be had.

    Raises:
        BadModel: there is no such folder.
        StoreError: as for `Store.ensure`.

    """
    if (folder := own_folder(options.asr)) is not None:
        if not folder.is_dir():
            raise BadModel(f"models.asr = {options.asr}: there is no folder {folder}; name one that holds the model.")
        return folder
    try:
        return store.ensure(options.asr, progress)
    except (ModelUnavailable, WrongChecksum) as error:
        if instead in {"", options.asr}:
            raise
        progress(Progress(options.asr, "", "failed", 0, 0, f"{error}; {instead} hears meanwhile"))
        return store.ensure(instead, progress)


def fetch_voice(name: str, store: Store, progress: Callable[[Progress], None]) -> Path | None:
    """Fetch what a voice speaks with. Raises BadVoice for an unknown name."""
    model = find_voice(name).model
    return store.ensure(model, progress) if model else None


def fetch_stop_word(options: ModelOptions, store: Store, progress: Callable[[Progress], None]) -> Path | None:
    """Find the second ear for stops, where what runs it is installed. The recogniser hears them without it, later."""
    if not (options.stop and stop_word_runs()):
        return None
    try:
        return store.ensure(options.stop, progress)
    except ModelUnavailable as error:
        progress(Progress(options.stop, "", "failed", 0, 0, f"{error}; stops are heard by the recogniser alone"))
        return None


def own_folder(asr: str) -> Path | None:
    """Give the folder of the user's that `FAMILY:FOLDER` names; None for a name of the catalogue."""
    _, own, folder = asr.partition(":")
    return Path(folder).expanduser() if own else None


def fetch_turn(options: ModelOptions, store: Store, progress: Callable[[Progress], None]) -> Path | None:
    """Find the judge of turns. It is a small thing that conversations go on without."""
    if not options.turn:
        return None
    try:
        return store.ensure(options.turn, progress)
    except ModelUnavailable as error:
        progress(Progress(options.turn, "", "failed", 0, 0, f"{error}; words and silence end a turn meanwhile"))
        return None


# --- ears and voice ---


def load_recogniser(folder: Path, settings: Settings) -> Recogniser:
    """Load the recogniser that the settings name, for the languages that they name. Raises EarsUnavailable."""
    recogniser = _loader(RECOGNISERS, settings.models.asr)(folder, settings.ears)
    return hearing(recogniser, spoken(settings.ears.language, settings.ears.languages))


def load_voice(folder: Path | None, settings: Settings) -> Voice:
    """Load the voice that the settings name. Raises BadVoice or VoiceUnavailable."""
    entry = find_voice(settings.models.voice)
    return open_voices(entry, folder, settings.voice).voice(entry, settings.voice)


def open_voices(entry: VoiceEntry, folder: Path | None, options: VoiceOptions) -> VoiceModel:
    """Load what a voice, and perhaps others, speaks with. Raises BadVoice or VoiceUnavailable."""
    if options.pitch != 1.0 and entry.backend not in PITCHED:
        raise BadVoice(
            f"{entry.name} has no pitch that could be set to {options.pitch:g}: leave voice.pitch at 1, "
            "or take a voice for which `descant voices` shows it."
        )
    return VOICES[entry.backend](folder, options)


def load_turn_judge(folder: Path | None, settings: Settings) -> Judge | None:
    """Load the judge of turns that the settings name, if there is one. Raises EarsUnavailable."""
    return None if folder is None else _loader(TURN_JUDGES, settings.models.turn)(folder)


def load_stop_word(folder: Path | None, settings: Settings) -> Callable[[], Callable[[Sound], float]] | None:
    """Give what opens a second ear for stops, one for each conversation, if there is one. Raises EarsUnavailable."""
    if folder is None:
        return None
    open_ear = partial(_loader(STOP_WORDS, settings.models.stop), folder)
    open_ear()
    return open_ear


def _piper(folder: Path | None, options: VoiceOptions) -> VoiceModel:
    return PiperVoice(_onnx(folder or Path()), options)


def _kokoro(folder: Path | None, options: VoiceOptions) -> VoiceModel:
    return KokoroModel(folder or Path(), options)


def _espeak(_folder: Path | None, _options: VoiceOptions) -> VoiceModel:
    return EspeakLibrary()


def _micro_stop(folder: Path) -> Callable[[Sound], float]:
    return StopWord(folder / "stop.tflite").hear


def _smart_turn(folder: Path) -> Judge:
    return EndOfTurn(_onnx(folder))


RECOGNISERS: Final[Mapping[str, Callable[[Path, EarsOptions], Recogniser]]] = {
    "whisper": WhisperDecoder,
    "moonshine": MoonshineRecogniser,
}
TURN_JUDGES: Final[Mapping[str, Callable[[Path], Judge]]] = {"smart-turn": _smart_turn}
STOP_WORDS: Final[Mapping[str, Callable[[Path], Callable[[Sound], float]]]] = {"micro-stop": _micro_stop}
"""What loads a model, by the beginning of its name."""

VOICES: Final[Mapping[VoiceBackend, Callable[[Path | None, VoiceOptions], VoiceModel]]] = {
    VoiceBackend.PIPER: _piper,
    VoiceBackend.KOKORO: _kokoro,
    VoiceBackend.ESPEAK: _espeak,
}
"""What loads that with which voices speak."""


def _loader(loaders: Mapping[str, T], name: str) -> T:
    for family, loader in loaders.items():
        if name.startswith(family):
            return loader
    raise UnknownModel(f"nothing here loads '{name}': take a name that begins with {' or '.join(loaders)}.")


def _onnx(folder: Path) -> Path:
    """Give the model's file; one that should be there if none is, for the error of whoever opens it."""
    return next(iter(sorted(folder.glob("*.onnx"))), folder / "model.onnx")


# --- the language model ---


def load_engine(file: Path, options: EngineOptions, profiles: Path | None = None) -> tuple[TorchEngine, Script]:
    """Load the language model, and what to say to it; `profiles` is a user's file of model profiles."""
    decoder, script = load_decoder(file, options, profiles=profiles)
    grammars = Grammars(script.tokenizer)
    engine = TorchEngine(
        decoder,
        prefill_rows=options.prefill_rows,
        threads=options.threads,
        grammars=grammars,
        row_costs=row_costs(decoder, options),
    )
    return engine, script


def row_costs(decoder: Decoder, options: EngineOptions) -> Sequence[float]:
    """Give by what the engine judges drafts: nothing, and so it makes none, where nobody knows what their rows cost.

    Nor on torch alone, where a row's company changes its last bits, and so may change a token.
    """
    return ROW_COSTS.get(decoder.kernels or "", ()) if options.drafts == "auto" else ()


def load_decoder(
    file: Path, options: EngineOptions, packed: Path | None = None, *, profiles: Path | None = None
) -> tuple[Decoder, Script]:
    """Load the language model without a thread of its own; `packed` is the folder of its repacked weights."""
    known = known_profiles(profiles)
    model, tokenizer = _opened(file)
    script = script_of(tokenizer, model.value("general.name", str, file.stem), known)
    at = place(options.device, options.native)
    try:
        decoder = Decoder(
            model,
            at.dtype,
            at.device,
            cache_dir=packed or platformdirs.user_cache_path("descant") / "packed",
            max_context=options.context,
            native=options.native,
        )
    except torch.OutOfMemoryError as error:
        raise EngineFailed(
            f"{file} does not fit into the memory of {at.device}; set engine.device to cpu, or models.llm to another"
        ) from error
    return decoder, script


def model_name(file: Path) -> str:
    """Give the name by which a model's profile is found."""
    model = open_safetensors(file) if file.is_dir() else open_gguf(file)
    return model.value("general.name", str, file.stem)


def _opened(path: Path) -> tuple[ModelFile, Tokenizer]:
    """Open a model file, or a folder of safetensors, and its vocabulary."""
    if path.is_dir():
        return open_safetensors(path), Tokenizer.from_json(path)
    gguf = open_gguf(path)
    return gguf, Tokenizer.from_gguf(gguf)
