"""What `descant bench think` prints: a column for each row, then comparisons, an ablation table, scenarios."""

from __future__ import annotations

from typing import TYPE_CHECKING, Any, Final

from rich.table import Table

from bench.statistics import percentile
from bench.think.summary import by_task, false_noes, spoiled, summarise

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from rich.console import Console

    from bench.think.metrics import Sample


def _shown(name: str, form: str = "{:.2f}", share: str = "") -> Callable[[dict[str, Any]], str]:
    def told(figures: dict[str, Any]) -> str:
        value = figures[name][share] if share else figures[name]
        return "—" if value is None else form.format(value)

    return told


_LINES: Final[Sequence[tuple[str, Callable[[dict[str, Any]], str]]]] = (
    ("items", _shown("items", "{}")),
    ("right", _shown("accuracy", "{:.0%}")),
    ("  95 % interval", lambda of: f"{of['accuracy_low']:.0%}–{of['accuracy_high']:.0%}"),
    ("concluded thoughts right", _shown("thoughts_accuracy", "{:.0%}")),
    ("first sound, p50, s", _shown("first_sound_s", share="p50")),
    ("first content, p50, s", _shown("first_content_s", share="p50")),
    ("final correct, p50, s", _shown("final_correct_s", share="p50")),
    ("longest silence, p95, s", _shown("longest_silence_s", share="p95")),
    ("delay to first, mean, s", _shown("delay_to_first_s")),
    ("total delay, mean, s", _shown("total_delay_s")),
    ("listener waits, mean, s", _shown("waited_s")),
    ("delay steps, mean", _shown("delay_steps", "{:.0f}")),
    ("words", _shown("words", "{:.1f}")),
    ("words until the answer", _shown("words_until_answer", "{:.1f}")),
    ("fillers", _shown("fillers", "{:.1f}")),
    ("words unsaid", _shown("unsaid_words", "{:.1f}")),
    ("contradictions", _shown("contradictions", "{:.0%}")),
    ("tokens", lambda of: f"{sum(of['tokens'].values()):.0f}"),
    ("joules a turn, estimate", _shown("joules", "{:.1f}")),
    ("thinker, tokens a step", _shown("thinker_tokens_per_step")),
    ("writer, tokens a step", _shown("writer_tokens_per_step")),
    ("thinker, tokens a second", _shown("thinker_tokens_per_s", "{:.1f}")),
    ("writer, tokens a second", _shown("writer_tokens_per_s", "{:.1f}")),
)


def show(console: Console, rows: Mapping[str, Sequence[Sample]], compared: Mapping[str, Any]) -> None:
    """Print a line for each row, accuracy task by task, and the comparisons."""
    table = Table("", *rows, box=None)
    figures = [summarise(samples) for samples in rows.values()]
    for label, told in _LINES:
        table.add_row(label, *(told(of) for of in figures))
    console.print(table)
    tasks = Table("task", "", "right", "first content, s", "silence, s", "tokens", box=None)
    counts = {name: by_task(samples) for name, samples in rows.items()}
    for task in next(iter(counts.values()), {}):
        for place, (name, of) in enumerate(counts.items()):
            one, seconds = of[task], [of[task][which] for which in ("first_content_s", "longest_silence_s")]
            medians = ("never" if value is None else f"{value:.1f}" for value in seconds)
            right = f"{one['right']}/{one['items']}"
            tasks.add_row("" if place else task, name, right, *medians, f"{one['tokens']:.0f}")
    console.print(tasks)
    if worse := spoiled(rows):
        console.print(f"async is worse than both of its baselines: {', '.join(worse)}", highlight=False)
    for sample in false_noes(rows):
        missed = f"not thought about: {sample.task} {sample.number}: {sample.question} -> {sample.spoken}"
        console.print(missed, highlight=False, soft_wrap=True)
    for name, figure in sorted(compared.items()):
        if isinstance(figure, dict):
            text = f"{figure['value']:.2f} ({figure['low']:.2f}–{figure['high']:.2f}, {figure['items']} items)"
            console.print(f"{name}: {text}", highlight=False)
        else:
            console.print(f"{name.replace('_', ' ')}: {', '.join(figure) or 'none'}", highlight=False)


_ABLATED: Final = (
    ("right, points", "right", 100),
    ("first content, s", "first_content_s", 1),
    ("final correct, s", "final_correct_s", 1),
    ("longest silence, s", "longest_silence_s", 1),
    ("total delay, s", "total_delay_s", 1),
    ("words until the answer", "words_until_answer", 1),
    ("contradictions, points", "contradicts", 100),
    ("tokens", "spent", 1),
)


def show_ablation(console: Console, rows: Mapping[str, Mapping[str, Any]]) -> None:
    """Print what each row changes against `async`, a column each: the mean difference and its 95 % interval."""
    if not rows:
        return
    table = Table("less async", *rows, box=None)
    for label, name, scale in _ABLATED:
        table.add_row(label, *(_interval(of.get(name), "{:+.1f}", scale) for of in rows.values()))
    console.print(table)


_LISTENING: Final[Sequence[tuple[str, Callable[[Mapping[str, Any]], str]]]] = (
    ("items", lambda of: str(of["items"])),
    ("right, points", lambda of: _interval(of["right"], "{:+.1f}", 100)),
    ("the same words", lambda of: f"{of['same_words']:.0%}"),
    ("first content, median, s", lambda of: _interval(of["first_content_s"], "{:+.2f}")),
    ("final correct, median, s", lambda of: _interval(of["final_correct_s"], "{:+.2f}")),
    ("early tokens", lambda of: f"{of['early_tokens']:.1f}"),
    ("  steps of thoughts spared", lambda of: f"{of['steps_spared']:.1f}"),
)


def show_listening(console: Console, rows: Mapping[str, Mapping[str, Any]], first: str) -> None:
    """Print what other ways to listen change against the first one, question by question."""
    if not rows:
        return
    table = Table(f"less {first}", *rows, box=None)
    for label, told in _LISTENING:
        table.add_row(label, *(told(of) for of in rows.values()))
    console.print(table)


_SCENARIO: Final[Sequence[tuple[str, Callable[[Mapping[str, Any]], str]]]] = (
    ("items", lambda of: str(of["items"])),
    ("cut a reply short", lambda of: f"{of['interrupted']:.0%}"),
    ("right", lambda of: f"{of['accuracy']:.0%} ({of['accuracy_low']:.0%}–{of['accuracy_high']:.0%})"),
    ("right, asked anew", lambda of: f"{of['anew_accuracy']:.0%} ({of['anew_low']:.0%}–{of['anew_high']:.0%})"),
    ("  difference, points", lambda of: _interval(of["accuracy_difference"], "{:+.0f}", 100)),
    ("tokens / anew", lambda of: _interval(of["tokens_to_answer"])),
    ("seconds / anew", lambda of: _interval(of["final_correct_s"])),
    ("words / anew", lambda of: _interval(of["words_until_answer"])),
    ("first content, p50, s", lambda of: _seconds(of["first_content_p50_s"])),
    ("  asked anew", lambda of: _seconds(of["anew_first_content_p50_s"])),
    ("first question answered", lambda of: "—" if of["first_answered"] is None else f"{of['first_answered']:.0%}"),
)


def show_scenarios(console: Console, scenarios: Mapping[str, Mapping[str, Any]]) -> None:
    """Print a table for each scenario, a column for each row."""
    for scenario, rows in scenarios.items():
        table = Table(scenario, *rows, box=None)
        for label, told in _SCENARIO:
            table.add_row(label, *(told(of) for of in rows.values()))
        console.print(table)


def _interval(figure: Mapping[str, Any] | None, form: str = "{:.2f}", scale: float = 1) -> str:
    if figure is None:
        return "—"
    value, low, high = (form.format(scale * figure[part]) for part in ("value", "low", "high"))
    return f"{value} ({low}…{high})"


def _seconds(value: float | None) -> str:
    return "—" if value is None else f"{value:.1f}"


def show_live(console: Console, live: Mapping[str, Any]) -> None:
    """Print both clocks side by side, and what became of items that were spoken."""
    for line in live["clock"]:
        told = ", ".join(f"{name} {value}" for name, value in line.items())
        console.print(f"clock: {told}", highlight=False, soft_wrap=True)
    rows: dict[str, list[Mapping[str, Any]]] = {}
    for line in live["spoken"]:
        rows.setdefault(line["row"], []).append(line)
    if not rows:
        return
    table = Table("spoken, in real time", *rows, box=None)
    figures: Sequence[tuple[str, Callable[[Mapping[str, Any]], bool]]] = (
        ("right by ear", lambda line: line["right_by_ear"]),
        ("right by its text", lambda line: line["sample"]["right"]),
        ("right on the virtual clock", lambda line: line["simulated_right"]),
    )
    for label, holds in figures:
        table.add_row(label, *(f"{sum(map(holds, of))}/{len(of)}" for of in rows.values()))
    for name in ("first_sound_s", "first_content_s"):
        label = f"{name.removesuffix('_s').replace('_', ' ')}, p50, s"
        for clock, number in (("real", 1), ("virtual", 0)):
            values = [[line[name][number] for line in of if line[name][number] is not None] for of in rows.values()]
            table.add_row(f"{label}, {clock}", *(_seconds(percentile(of, 50)) for of in values))
    console.print(table)
