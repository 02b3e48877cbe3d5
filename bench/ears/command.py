"""What `descant bench ears` does with its options: recordings of people through the ears, a table, a report."""

from __future__ import annotations

import asyncio
from dataclasses import asdict, dataclass
from typing import TYPE_CHECKING, Any, Final

from rich.console import Console
from rich.table import Table

from agent.apps.progress import shown
from agent.config.invocation import open_store
from agent.models.registry import fetch_recogniser, fetch_turn, load_recogniser, load_turn_judge
from bench.ears.listening import HeardClip, stream, whole
from bench.ears.recordings import clips
from bench.ears.scoring import over_plain, require, summarise
from bench.report import Report, Target

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence
    from pathlib import Path

    from agent.config.invocation import Invocation
    from agent.config.settings import Settings
    from bench.ears.recordings import SpeechClip

_ALONE: Final = "faster-whisper"
_MOST_WER: Final = 1.05
_MOST_CUT: Final = 0.05
_MOST_WAIT_S: Final = 0.8


@dataclass(frozen=True, slots=True)
class EarsBenchOptions:
    """What the command line asks for."""

    speech: Path
    """Folder of recordings."""
    models: tuple[str, ...]
    """Of the catalogue; none: the one that the settings name."""
    count: int | None
    """So many recordings, of all kinds; None: all."""
    json_file: Path | None


def run(invocation: Invocation, options: EarsBenchOptions) -> None:
    """Run the benchmark and tell its outcome."""
    require()
    settings = invocation.load({}).settings
    taken = clips(options.speech)
    if options.count:
        taken = taken[:: max(1, len(taken) // options.count)][: options.count]
    rows: dict[str, list[HeardClip]] = {}
    progress = Console(stderr=True)
    for name in options.models or (settings.models.asr,):
        models = settings.models.__class__(**{**asdict(settings.models), "asr": name})
        of = settings.model_copy(update={"models": models})
        rows |= _rows(of, name, taken, progress)
    figures = {name: summarise(heard) for name, heard in rows.items()}
    for name, heard in rows.items():
        if alone := rows.get(_beside(name)):
            figures[name]["over_plain"] = over_plain(heard, alone)
    report = Report(
        "ears",
        settings.model_dump(mode="json"),
        {"rows": figures, "clips": {name: [asdict(clip) for clip in heard] for name, heard in rows.items()}},
        targets(figures),
    )
    if options.json_file:
        report.write(options.json_file)
    console = Console()
    show(console, figures)
    report.show_targets(console)


def _rows(settings: Settings, name: str, taken: Sequence[SpeechClip], progress: Console) -> dict[str, list[HeardClip]]:
    """Hear all clips with one model: through the ears, and, where it is Whisper, whole."""
    from faster_whisper import WhisperModel  # noqa: PLC0415 - takes a second, not needed for --help

    store = open_store(settings.models)
    with shown() as fetching:
        folder = fetch_recogniser(settings.models, store, fetching)
        turn = fetch_turn(settings.models, store, fetching)
    recogniser, judge = load_recogniser(folder, settings), load_turn_judge(turn, settings)
    plain = None
    if name.startswith("whisper"):
        plain = WhisperModel(str(folder), device="cpu", compute_type="int8", cpu_threads=1, local_files_only=True)
    ears: list[HeardClip] = []
    alone: list[HeardClip] = []
    for number, clip in enumerate(taken, 1):
        ears.append(asyncio.run(stream(clip, recogniser, judge, settings.ears)))
        if plain is not None:
            alone.append(whole(clip, plain))
        progress.print(f"{number:4} of {len(taken)}  {name}  {clip.name}: {ears[-1].heard}", highlight=False)
    return {f"ears, {name}": ears} | ({f"{_ALONE}, {name}": alone} if alone else {})


def targets(figures: Mapping[str, Mapping[str, Any]]) -> list[Target]:
    """Compare the first model's ears with the same model alone, and with what is promised."""
    first = next(iter(figures))
    ears = figures[first]
    return [
        Target("wer_over_plain", ears["over_plain"]["value"] if "over_plain" in ears else None, at_most=_MOST_WER),
        Target("cut_share", ears["cut"] / ears["clips"], at_most=_MOST_CUT),
        Target("end_of_turn_s_p50", ears["end_of_turn_s_p50"], at_most=_MOST_WAIT_S),
    ]


def _beside(name: str) -> str:
    """Name the row of the same model alone, of the row of ears."""
    return name.replace("ears", _ALONE, 1) if name.startswith("ears") else ""


def show(console: Console, figures: Mapping[str, Mapping[str, Any]]) -> None:
    """Print a column for each way of hearing, a row for each figure."""
    table = Table(box=None, pad_edge=False)
    table.add_column("")
    for name in figures:
        table.add_column(name, justify="right")
    for kind in sorted({kind for row in figures.values() for kind in row["kinds"]}):
        rates = [row["kinds"].get(kind, {}).get("wer") for row in figures.values()]
        table.add_row(f"word errors, {kind}", *("-" if rate is None else f"{rate:.1%}" for rate in rates))
    lines: dict[str, Callable[[Mapping[str, Any]], str]] = {
        "word errors, all": lambda row: f"{row['wer']:.1%} of {row['words']}",
        "· over the model alone": lambda row: _ratio(row.get("over_plain")),
        "words lost at the end": lambda row: str(row["lost_at_end"]),
        "words that nobody said": lambda row: str(row["unsaid"]),
        "first partial, median": lambda row: _seconds(row["first_partial_s_p50"]),
        "final decode, median": lambda row: _seconds(row["final_s_p50"]),
        "CPU seconds a second": lambda row: f"{row['cpu_per_s']:.2f}",
        "cut at a pause": lambda row: f"{row['cut']} of {row['clips']}" if "cut" in row else "-",
        "last word to end of turn, median": lambda row: _seconds(row.get("end_of_turn_s_p50")),
    }
    for name, line in lines.items():
        table.add_row(name, *(line(row) for row in figures.values()))
    console.print(table)


def _ratio(found: Mapping[str, Any] | None) -> str:
    return "-" if found is None else f"{found['value']:.2f} ({found['low']:.2f} to {found['high']:.2f})"


def _seconds(value: float | None) -> str:
    return "-" if value is None else f"{value:.2f} s"
