"""What `descant bench turns` does with its options: pauses, waits fitted to them, the curve of cuts and waits."""

from __future__ import annotations

import asyncio
import random
from dataclasses import asdict, dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.table import Table

from agent.apps.progress import shown
from agent.config.invocation import open_store
from agent.models.registry import fetch_turn, load_recogniser, load_turn_judge, load_voice
from audio.hearing.turn_end import NAMES, WEIGHTS, openness, wait_ms
from audio.speaking.synthesizer import Synthesizer
from bench.ears.fitting import crossed, fit, measure
from bench.ears.pauses import broken_off, pauses_of, samples
from bench.ears.recordings import clips
from bench.errors import ReportError
from bench.report import Report, Target
from bench.voices import PIPER, spoken

if TYPE_CHECKING:
    from collections.abc import Sequence

    from faster_whisper import WhisperModel

    from agent.config.invocation import Invocation
    from agent.config.settings import Settings
    from audio.clock import Sound
    from audio.hearing.transcriber import Judge, Recogniser
    from audio.options import EarsOptions
    from bench.ears.fitting import CurvePoint, Weights
    from bench.ears.pauses import PauseSample, Source
    from bench.ears.recordings import SpeechClip

_PRICES_S: Final = (1.0, 1.2, 1.4, 1.6, 1.8, 2.0, 2.5, 3.0, 4.0)
"""Seconds of waiting that a cut is worth: one point of the curve each."""
_PIECES: Final = 4
"""Of each recording, broken off."""
_VOICE_PIECES: Final = 2
_SENTENCES: Final = Path(__file__).parents[1] / "robot" / "ordinary.txt"
_SEED: Final = 1
_MOST_CUT: Final = 0.05
_MOST_WAIT_S: Final = 0.8


@dataclass(frozen=True, slots=True)
class TurnsBenchOptions:
    """What the command line asks for."""

    speech: Path
    """Folder of recordings."""
    count: int | None
    """So many recordings, of all kinds; None: all."""
    sentences: int
    """Of the synthetic voice."""
    price_s: float
    """Seconds of waiting that a cut is worth, for the weights that are printed."""
    json_file: Path | None


@dataclass(frozen=True, slots=True)
class _Listeners:
    """The models that hear."""

    recogniser: Recogniser
    judge: Judge
    words: WhisperModel
    """Tells where words end."""
    options: EarsOptions

    async def hear(self, clip: str, speaker: str, source: Source, sound: Sound) -> list[PauseSample]:
        found = await pauses_of(sound, self.recogniser, self.judge, self.options)
        return samples(clip, speaker, source, found)


def run(invocation: Invocation, options: TurnsBenchOptions) -> None:
    """Run the benchmark and tell its outcome."""
    settings = invocation.load({}).settings
    taken = clips(options.speech)
    if options.count:
        taken = taken[:: max(1, len(taken) // options.count)][: options.count]
    pauses = asyncio.run(_collect(settings, taken, options.sentences))
    # Eagerness scales every wait; weights are told for the middle one.
    ears = replace(settings.ears, eagerness="medium")
    curve = _curve(pauses, ears)
    weights = fit(pauses, options.price_s, ears)
    chosen = measure(pauses, lambda pause: wait_ms(pause.ending, pause.heard, ears) / 1000)
    report = Report(
        "turns",
        settings.model_dump(mode="json"),
        {
            "curve": {name: asdict(point) for name, point in curve.items()},
            "weights": dict(zip(NAMES, weights, strict=True)),
            "pauses": [asdict(pause) for pause in pauses],
        },
        [
            Target("cut_share", chosen.cut / chosen.clips, at_most=_MOST_CUT),
            Target("wait_s_p50", chosen.wait_s_p50, at_most=_MOST_WAIT_S),
        ],
    )
    if options.json_file:
        report.write(options.json_file)
    console = Console()
    show(console, curve, weights, options.price_s)
    report.show_targets(console)


async def _collect(settings: Settings, taken: Sequence[SpeechClip], sentences: int) -> list[PauseSample]:
    from faster_whisper import WhisperModel  # noqa: PLC0415 - takes a second, not needed for --help

    store = open_store(settings.models)
    with shown() as fetching:
        folder, voice = (store.ensure(name, fetching) for name in (settings.models.asr, settings.models.voice))
        judge = load_turn_judge(fetch_turn(settings.models, store, fetching), settings)
    if judge is None:
        raise ReportError("models.turn is empty: there is no judge of turns to fit anything to; name smart-turn-v3.2")
    words = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)
    hearing = _Listeners(load_recogniser(folder, settings), judge, words, settings.ears)
    chance, progress = random.Random(_SEED), Console(stderr=True)
    pauses: list[PauseSample] = []
    for number, clip in enumerate(taken, 1):
        sound = clip.sound()
        pauses += await hearing.hear(clip.name, clip.speaker, "people", sound)
        for piece in broken_off(sound, words, _PIECES, chance):
            pauses += await hearing.hear(clip.name, clip.speaker, "people, broken off", piece)
        progress.print(f"{number:4} of {len(taken)}  {clip.name}", highlight=False)
    async with Synthesizer(lambda: load_voice(voice, settings), settings.voice) as synthesizer:
        for line in _SENTENCES.read_text(encoding="utf-8").splitlines()[:sentences]:
            sound = await spoken(synthesizer, PIPER, line)
            pauses += await hearing.hear(line, PIPER, "voice", sound)
            for piece in broken_off(sound, words, _VOICE_PIECES, chance):
                pauses += await hearing.hear(line, PIPER, "voice, broken off", piece)
            progress.print(line, highlight=False)
    return pauses


def _curve(pauses: Sequence[PauseSample], options: EarsOptions) -> dict[str, CurvePoint]:
    """Measure the waits of the words alone, those that the program has, and fitted ones, on speakers left out."""
    shortest, longest = options.end_ms("question") / 1000, options.end_ms("unfinished") / 1000

    def wait_by(weights: Weights, pause: PauseSample) -> float:
        return shortest + (longest - shortest) * openness(pause.ending, pause.heard, weights)

    points = {
        "words alone": measure(pauses, lambda pause: options.end_ms(pause.ending) / 1000),
        "as the program has it": measure(pauses, lambda pause: wait_by(WEIGHTS, pause)),
    }
    for price_s in _PRICES_S:
        by = crossed(pauses, price_s, options)
        points[f"a cut is worth {price_s:g} s"] = measure(pauses, lambda pause: wait_by(by[pause.speaker], pause))  # noqa: B023 - is called at once
    return points


def show(console: Console, curve: dict[str, CurvePoint], weights: Weights, price_s: float) -> None:
    """Print the curve, a row for each way of waiting, and the weights."""
    table = Table(box=None, pad_edge=False)
    for name in ("", "cut at a pause", "wait, median", "mean", "p90"):
        table.add_column(name, justify="right" if name else "left")
    for name, point in curve.items():
        seconds: list[Any] = [point.wait_s_p50, point.wait_s_mean, point.wait_s_p90]
        table.add_row(name, f"{point.cut} of {point.clips}", *(f"{value:.2f} s" for value in seconds))
    console.print(table)
    told = ", ".join(f"{name} {weight:.2f}" for name, weight in zip(NAMES, weights, strict=True))
    console.print(f"fitted to all, a cut worth {price_s:g} s: {told}", highlight=False)
