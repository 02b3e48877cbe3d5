"""What the samples of `descant bench engine` amount to: ratios, the roofline, probes' share, targets.

Ratios are medians of ratios inside a round, so that both sides met the same minute; where a figure exists at several
contexts, a target takes the worst. Knows no process.
"""

from __future__ import annotations

from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Any, Final

from bench.engine.cases import crowd, joint, prefill, probed, single
from bench.engine.measure import COMPILED, EAGER, LLAMA_CPP
from bench.report import Target

if TYPE_CHECKING:
    from collections.abc import Callable

    from bench.engine.cases import Case, Course
    from bench.engine.measure import Measured

_BOUNDS: Final[dict[str, dict[str, tuple[float | None, float | None]]]] = {
    EAGER: {
        "single_over_llama_cpp": (None, 0.75),
        "joint_step_over_single": (1.25, None),
        "joint_tokens_over_llama_cpp": (None, 1.2),
        "eight_streams_tokens_over_llama_cpp": (None, 2.4),
        "joint_step_long_over_short": (1.35, None),
        "prefill_over_llama_cpp": (None, 0.9),
        "probe_share_of_turn": (0.1, None),
        "warm_load_s": (3.0, None),
        "peak_resident_gb": (1.7, None),
    },
    COMPILED: {
        "single_over_llama_cpp": (None, 0.9),
        "joint_step_over_single": (1.25, None),
        "joint_tokens_over_llama_cpp": (None, 1.5),
        "eight_streams_tokens_over_llama_cpp": (None, 2.8),
        "joint_step_long_over_short": (1.35, None),
        "prefill_over_llama_cpp": (None, 0.9),
        "probe_share_of_turn": (0.1, None),
        "warm_load_s": (4.0, None),
        "peak_resident_gb": (1.9, None),
    },
}
"""(at most, at least) of each figure, for the default model on two cores."""


@dataclass(frozen=True, slots=True)
class Figures:
    """Derives figures from the samples of one run."""

    measured: Measured
    course: Course
    threads: int

    def ratio(self, one: tuple[str, Case], other: tuple[str, Case]) -> float | None:
        """Give the median of the ratios of two cases' seconds, round by round."""
        samples = [self.measured.seconds.get(name, {}).get(case.key) for name, case in (one, other)]
        if not samples[0] or not samples[1]:
            return None
        # In a round that was ended early, one of the two may be missing.
        return median(a / b for a, b in zip(samples[0], samples[1], strict=False))

    def by_context(self, name: str) -> dict[str, dict[int, float | None]]:
        """Give every figure that depends on the context, at each."""
        steps = self.course.steps

        def each(figure: Callable[[int], float | None]) -> dict[int, float | None]:
            return {context: figure(context) for context in self.course.contexts}

        def against(case: Callable[[int, int], Case], tokens: int) -> dict[int, float | None]:
            """Tokens per second over those of one stream of llama.cpp."""
            found = each(lambda at: self.ratio((LLAMA_CPP, single(at, steps)), (name, case(at, steps))))
            return {at: None if value is None else value * tokens for at, value in found.items()}

        longest = max(self.course.prefills)
        return {
            "single_over_llama_cpp": against(single, 1),
            "joint_step_over_single": each(lambda at: self.ratio((name, joint(at, steps)), (name, single(at, steps)))),
            "joint_tokens_over_llama_cpp": against(joint, 2),
            "eight_streams_tokens_over_llama_cpp": against(crowd, crowd(0, 0).rows),
            "probe_step_over_joint": each(lambda at: self.ratio((name, probed(at)), (name, joint(at, steps)))),
            "prefill_over_llama_cpp": each(
                lambda at: self.ratio((LLAMA_CPP, prefill(at, longest)), (name, prefill(at, longest)))
            ),
        }

    def of(self, name: str) -> dict[str, float | None]:
        """Give one value for each figure: the worst of all contexts where there are several."""
        contexts = self.course.contexts
        bounds = _BOUNDS[name]
        found: dict[str, float | None] = {}
        for figure, values in self.by_context(name).items():
            if figure not in bounds:
                continue
            known = [value for value in values.values() if value is not None]
            worst = max if bounds[figure][0] is not None else min
            found[figure] = worst(known) if known else None
        long, short = (joint(at, self.course.steps) for at in (max(contexts), min(contexts)))
        found["joint_step_long_over_short"] = self.ratio((name, long), (name, short)) if long != short else None
        found["probe_share_of_turn"] = self.probe_share(name)
        loads = self.measured.loads.get(name, {}).get("warm_s")
        found["warm_load_s"] = median(loads) if loads else None
        peaks = self.measured.peaks.get(name)
        found["peak_resident_gb"] = peaks["one_conversation"] / 1e9 if peaks else None
        return {figure: found[figure] for figure in bounds}

    def probe_share(self, name: str) -> float | None:
        """Give the share of a turn's seconds that weighing questions adds to its steps."""
        turns = self.measured.turns.get(name)
        context = min(self.course.contexts)
        plain = self.measured.median(name, joint(context, self.course.steps))
        probe = self.measured.median(name, probed(context))
        if not turns or plain is None or probe is None:
            return None
        facts = self.measured.facts[name]
        token_s = max(0.0, probe - plain) * facts["probe_steps"] / facts["probe_tokens"]
        return float(median(turn["probe_tokens"] * token_s / turn["turn_s"] for turn in turns))

    def roofline_s(self, name: str, case: Case) -> float:
        """Give the seconds in which memory could deliver the weights and all distinct cache that a step reads."""
        facts = self.measured.facts[name]
        if case.kind == "products":
            return float(facts["product_bytes"] / self.measured.bandwidth)
        cache = case.sessions * case.context * self.measured.facts[self._embedded()]["token_bytes"]
        if name == LLAMA_CPP:
            # It has no blocks: every sequence holds the whole context.
            cache *= case.streams
        return float((facts["weight_bytes"] + cache) / self.measured.bandwidth)

    def _embedded(self) -> str:
        return next(name for name in self.measured.facts if name != LLAMA_CPP)

    def targets(self) -> list[Target]:
        """Give a row for each figure that has a bound."""
        rows = []
        for name, bounds in _BOUNDS.items():
            values = self.of(name)
            for figure, (most, least) in bounds.items():
                rows.append(Target(f"{figure}.{name}", values[figure], at_most=most, at_least=least))
        return rows

    def document(self) -> dict[str, Any]:
        """Give the results of the JSON document: samples, their medians, and what follows from them."""
        measured = self.measured
        return {
            "complete": measured.ended is None,
            "ended": measured.ended,
            "rounds": measured.rounds,
            "samples_s": measured.seconds,
            "median_s": {
                name: {key: median(samples) for key, samples in cases.items()}
                for name, cases in measured.seconds.items()
            },
            "loads_s": measured.loads,
            "peak_bytes": measured.peaks,
            "facts": measured.facts,
            "turns": measured.turns,
            "read_gb_s": [speed / 1e9 for speed in measured.read_bytes_s],
            "by_context": {name: self.by_context(name) for name in measured.facts if name != LLAMA_CPP},
            "roofline": self._rooflines(),
        }

    def _rooflines(self) -> dict[str, dict[str, dict[str, float]]]:
        found: dict[str, dict[str, dict[str, float]]] = {}
        cases = [
            case for case in (*self.course.alone(), *self.course.together()) if case.kind in {"decode", "products"}
        ]
        for name in self.measured.facts:
            for case in cases:
                taken = self.measured.median(name, case)
                if taken is not None:
                    bound = self.roofline_s(name, case)
                    found.setdefault(name, {})[case.key] = {"s": bound, "share": bound / taken}
        return found
