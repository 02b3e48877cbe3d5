"""The outcome of `descant bench engine` for people: tables, and the plot. The plot needs the extra "bench"."""

from __future__ import annotations

from statistics import median
from typing import TYPE_CHECKING, Any, Final

from rich.table import Table

from bench.engine.cases import SESSIONS, crowd, joint, single
from bench.engine.measure import LLAMA_CPP
from bench.errors import ReportError

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator
    from pathlib import Path

    from rich.console import Console

    from bench.engine.cases import Case
    from bench.engine.figures import Figures

_RATIOS: Final = {
    "single_over_llama_cpp": "single stream, tokens/s over llama.cpp",
    "joint_step_over_single": "joint step over single step",
    "joint_tokens_over_llama_cpp": "joint step, tokens/s over llama.cpp single",
    "eight_streams_tokens_over_llama_cpp": "8 streams, tokens/s over llama.cpp single",
    "probe_step_over_joint": "joint step with probe over joint step",
    "prefill_over_llama_cpp": "longest prefill, tokens/s over llama.cpp",
}
_KINDS: Final[dict[str, Callable[[int, int], Case]]] = {
    "1 stream": single,
    "2 streams, one conversation": joint,
    f"{2 * SESSIONS} streams, {SESSIONS} conversations": crowd,
}


def show(figures: Figures, console: Console) -> None:
    """Print what was measured, and the ratios."""
    measured, course = figures.measured, figures.course
    if measured.ended is not None:
        console.print(f"ended early ({measured.ended}), after {measured.rounds} of {course.repeats} rounds")
    _show_times(figures, console)
    _show_ratios(figures, console)
    _show_process(figures, console)


def _told(case: Case) -> str:
    if case.kind == "prefill":
        return f"prefill of {case.tokens} tokens"
    if case.kind == "probe":
        return "joint step with a probe"
    if case.kind == "products":
        return f"linear layers alone, {case.rows} row{'s' if case.rows > 1 else ''}"
    return {1: "single step", 2: "joint step (2 streams)"}.get(
        case.rows, f"step of {case.rows} streams ({case.sessions} sessions)"
    )


def _show_times(figures: Figures, console: Console) -> None:
    names = list(figures.measured.facts)
    table = Table("milliseconds, median", "context", *names, "of the roofline", box=None)
    cases = [*figures.course.alone(), *figures.course.together()]
    for case in sorted(cases, key=lambda case: (case.kind == "prefill", case.kind, case.rows, case.tokens)):
        taken = {name: figures.measured.median(name, case) for name in names}
        cells = ["" if value is None else f"{1000 * value:.1f}" for value in taken.values()]
        shares = [
            f"{100 * figures.roofline_s(name, case) / value:.0f} %"
            for name, value in taken.items()
            if value is not None and case.kind in {"decode", "products"}
        ]
        table.add_row(_told(case), str(case.context or ""), *cells, " / ".join(shares))
    console.print(table)


def _show_ratios(figures: Figures, console: Console) -> None:
    contexts = [str(context) for context in figures.course.contexts]
    for name in figures.measured.facts:
        if name == LLAMA_CPP:
            continue
        table = Table(f"{name}, ratio at context", *contexts, box=None)
        for figure, values in figures.by_context(name).items():
            if any(value is not None for value in values.values()):
                cells = ["" if value is None else f"{value:.2f}" for value in values.values()]
                table.add_row(_RATIOS[figure], *cells)
        console.print(table)


def _show_process(figures: Figures, console: Console) -> None:
    measured = figures.measured
    names = list(measured.facts)
    table = Table("process", *names, box=None)

    def row(title: str, cell: Callable[[str], float | None], form: str) -> None:
        values = [cell(name) for name in names]
        table.add_row(title, *("" if value is None else form.format(value) for value in values))

    def load(kind: str) -> Callable[[str], float | None]:
        def cell(name: str) -> float | None:
            samples = measured.loads.get(name, {}).get(kind)
            return median(samples) if samples else None

        return cell

    row("importing libraries, s", load("start_s"), "{:.1f}")
    row("cold load to the first token, s", load("cold_s"), "{:.1f}")
    row("warm load to the first token, s", load("warm_s"), "{:.1f}")

    def peak(when: str) -> Callable[[str], float | None]:
        def cell(name: str) -> float | None:
            taken = measured.peaks.get(name, {}).get(when)
            return None if taken is None else taken / 1e9

        return cell

    row("peak resident, one conversation, GB", peak("one_conversation"), "{:.2f}")
    row("peak resident, all conversations, GB", peak("all"), "{:.2f}")
    row("weights read in a step, GB", lambda name: measured.facts[name]["weight_bytes"] / 1e9, "{:.2f}")
    console.print(table)
    for name, facts in measured.facts.items():
        if "kernels" in facts:
            console.print(f"{name} computes with {facts['kernels']}", highlight=False)
    console.print(
        f"memory is read at {measured.bandwidth / 1e9:.1f} GB/s by {figures.threads} threads together", highlight=False
    )


def draw(figures: Figures, path: Path) -> None:
    """Draw step time against context, and against the number of streams, with the roofline.

    Raises:
        ReportError: the file cannot be written.

    """
    from matplotlib.figure import Figure  # noqa: PLC0415 - optional

    figure = Figure(figsize=(11, 5.5), layout="constrained")
    left, right = figure.subplots(1, 2)
    _draw_contexts(figures, left)
    _draw_streams(figures, right)
    for axes in (left, right):
        axes.set_ylabel("milliseconds of a step (median; whiskers: all samples)")
        axes.set_ylim(bottom=0)
        axes.grid(alpha=0.3)
        # Below, where it hides no line.
        axes.legend(fontsize="x-small", loc="upper center", bbox_to_anchor=(0.5, -0.13), ncols=2, handlelength=4)
    try:
        figure.savefig(path, dpi=150)
    except (OSError, ValueError) as error:
        raise ReportError(
            f"the plot {path} cannot be written: {error}; name another file (.png, .svg, .pdf)."
        ) from error


_STYLES: Final = ("-", "--", ":")
_COLORS: Final = ("tab:blue", "tab:orange", "tab:green")


def _draw_contexts(figures: Figures, axes: Any) -> None:  # noqa: ANN401 - untyped library
    steps = figures.course.steps
    for name, color in zip(figures.measured.facts, _COLORS, strict=False):
        for (told, case), style in zip(_KINDS.items(), _STYLES, strict=True):
            cases = [(context, case(context, steps)) for context in figures.course.contexts]
            if all(figures.measured.median(name, each) is not None for _, each in cases):
                _draw_line(figures, axes, name, cases, label=f"{name}, {told}", color=color, style=style)
    axes.set_xlabel("context, tokens (thin grey: roofline)")


def _draw_streams(figures: Figures, axes: Any) -> None:  # noqa: ANN401 - the same
    for name, color in zip(figures.measured.facts, _COLORS, strict=False):
        cases = [(case.rows, case) for case in _crowded(figures) if figures.measured.median(name, case) is not None]
        _draw_line(figures, axes, name, cases, label=name, color=color, style="-")
    axes.set_xlabel(f"streams, at context {figures.course.crowded} (thin grey: roofline)")


def _crowded(figures: Figures) -> Iterator[Case]:
    course = figures.course
    for case in (*course.alone(), *course.together()):
        if case.kind == "decode" and case.context == course.crowded:
            yield case


def _draw_line(
    figures: Figures,
    axes: Any,  # noqa: ANN401 - the same
    name: str,
    cases: list[tuple[int, Case]],
    *,
    label: str,
    color: str,
    style: str,
) -> None:
    at = [x for x, _ in cases]
    samples = [[1000 * s for s in figures.measured.seconds[name][case.key]] for _, case in cases]
    middle = [median(each) for each in samples]
    spread = [
        [mid - min(each) for mid, each in zip(middle, samples, strict=True)],
        [max(each) - mid for mid, each in zip(middle, samples, strict=True)],
    ]
    axes.errorbar(at, middle, yerr=spread, fmt=f"o{style}", markersize=3, capsize=2, color=color, label=label)
    bound = [1000 * figures.roofline_s(name, case) for _, case in cases]
    axes.plot(at, bound, linestyle=style, color="grey", linewidth=0.7)
