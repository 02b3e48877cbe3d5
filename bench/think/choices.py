"""How questions of each kind are answered: what the probes say of them, and which policy that chooses.

`descant bench choices --tasks everyday,navigate,gsm_symbolic --n 8 --questions DIR` prints the range of each
probe's log-odds and a table of what is chosen, of development questions alone: the biases are set by it
(docs/policies.md). Asked at the end of the user's words, as the loop asks. `--early 0.8` also reads each probe with so
much of the words, as the loop does while the user speaks, and prints what that changes.
"""

from __future__ import annotations

import json
import sys
from collections import Counter
from dataclasses import dataclass
from statistics import median
from typing import TYPE_CHECKING, Final

from agent.apps.progress import shown
from agent.config.invocation import open_store
from agent.models.registry import find, load_decoder
from bench.errors import ReportError
from bench.think.items import sets
from reasoning.engine.attention import Run
from reasoning.engine.sampling import read_together, scored_choices
from reasoning.events import KIND, NEED
from reasoning.policies.choosing import choice_of
from reasoning.policies.policy import ProbeQuestion

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence
    from pathlib import Path

    from agent.config.invocation import Invocation
    from bench.think.items.question import TaskQuestion
    from reasoning.engine.cache import BlockCache
    from reasoning.engine.decoder import Decoder
    from reasoning.prompting.script import Script

_HEARD: Final = "All right."
"""Stands for the reply to what was asked before."""


@dataclass(frozen=True, slots=True)
class ChoiceMade:
    """What was asked, and how it is answered."""

    task: str
    question: str
    log_odds: Sequence[float]
    """After calibration, one for each probe that was put."""
    policy: str
    """Its name; `none` where the reply comes at once."""
    early: Sequence[float] = ()
    """What each probe says more where it was read with a part of the words; empty unless that was asked."""


class ChoiceProbes:
    """Asks the model about questions, one at a time."""

    def __init__(self, decoder: Decoder, script: Script, early: float = 1.0) -> None:
        """`early`: the share of the words with which each probe is also read; 1: it is not."""
        self._decoder, self._script, self._early = decoder, script, early
        self._choice = choice_of("auto", tagged=script.thinks_in_tags)
        self._opening = decoder.cache()
        decoder.forward([Run(script.prompt, [self._opening], logits=False)])

    def ask(self, item: TaskQuestion) -> ChoiceMade:
        """Read a question, and choose."""
        script, words = self._script, self._script.tokenizer.encode
        before = [*words(item.before), *script.heard_open, *words(_HEARD), *script.heard_close] if item.before else []
        view = [self._opening, self._decoder.cache()]
        asked = words(item.question)
        part = [*before, *asked[: max(1, int(self._early * len(asked)))]]
        self._decoder.forward([Run(part, view, logits=False)])
        early = self._read_early(view) if self._early < 1 else {}
        if rest := [*before, *asked][len(part) :]:
            self._decoder.forward([Run(rest, view, logits=False)])
        odds, differs = list[float](), list[float]()
        while isinstance(decided := self._choice.decide(odds, item.question, script, tools=False), ProbeQuestion):
            odds.append(self._weigh(decided, [*view, self._decoder.cache()]))
            if cache := early.get(decided.name):
                differs.append(self._weigh(decided, [*view, cache]) - odds[-1])
        policy = decided.policy.name if decided.policy else "none"
        return ChoiceMade(item.task, item.question, decided.log_odds, policy, differs)

    def _read_early(self, view: Sequence[BlockCache]) -> dict[str, BlockCache]:
        """Read the probes, without the last token of each, behind the words that are there."""
        probes = {KIND: self._script.kind, NEED: self._script.need}
        read = {name: self._decoder.cache() for name in probes}
        for name, cache in read.items():
            self._decoder.forward([Run(probes[name][:-1], [*view, cache], logits=False)])
        return read

    def _weigh(self, probe: ProbeQuestion, view: Sequence[BlockCache]) -> float:
        run = Run(probe.tokens[view[-1].length :], view, logits=True)
        (read,) = read_together([scored_choices(self._decoder.forward([run])[0], probe.choices)])
        return read if isinstance(read, float) else float("nan")


def table(made: Iterable[ChoiceMade], names: Sequence[str]) -> list[str]:
    """Give a line for each task: how often each policy was chosen, and each probe's lowest, middle and highest odds."""
    by_task: dict[str, list[ChoiceMade]] = {}
    for one in made:
        by_task.setdefault(one.task, []).append(one)
    lines = [f"| kind | none | plain | sums | {' | '.join(names)} |", f"|---|{'---|' * (3 + len(names))}"]
    for task, of in by_task.items():
        counts = Counter(one.policy for one in of)
        odds = [sorted(one.log_odds[probe] for one in of if probe < len(one.log_odds)) for probe in range(len(names))]
        ranges = [f"{values[0]:.1f}, {median(values):.1f}, {values[-1]:.1f}" if values else "" for values in odds]
        lines.append(f"| {task} | {counts['none']} | {counts['plain']} | {counts['sums']} | {' | '.join(ranges)} |")
    return lines


def differences(made: Iterable[ChoiceMade], names: Sequence[str]) -> list[str]:
    """Give a line for each probe: by how much it says more where it was read early, 90 of 100 times, and at most."""
    lines = []
    for probe, name in enumerate(names):
        values = sorted(one.early[probe] for one in made if probe < len(one.early))
        if values:
            cut = len(values) // 20
            middle = f"{values[cut]:+.2f} to {values[-1 - cut]:+.2f}, {median(values):+.2f} in the median"
            lines.append(f"{name}, read early: {middle}, {values[0]:+.2f} to {values[-1]:+.2f} in all ({len(values)})")
    return lines


def run(
    invocation: Invocation,
    overrides: Mapping[str, object],
    tasks: str,
    count: int,
    questions: Path | None,
    json_file: Path | None,
    early: float,
) -> None:
    """Ask the first `count` development questions of tasks, and print a line for each task as it is done.

    Raises:
        BadQuestion: there is no such task, or nothing in the folder.
        ReportError: the file cannot be written.

    """
    names = sets.named([name.strip() for name in tasks.split(",") if name.strip()])
    settings = invocation.load(overrides).settings
    with shown() as progress:
        files = find(settings, open_store(settings.models), progress, speech=False)
    probes, made = ChoiceProbes(*load_decoder(files.llm, settings.engine), early), list[ChoiceMade]()
    lines = 0
    for name in names:
        made += [probes.ask(item) for item in sets.items(name, "dev", count, questions)]
        told = table(made, (KIND, NEED))
        for line in told[lines:]:
            sys.stdout.write(f"{line}\n")
        sys.stdout.flush()
        lines = len(told)
    sys.stdout.write("".join(f"{line}\n" for line in differences(made, (KIND, NEED))))
    if json_file:
        rows = [[one.task, one.question, *one.log_odds, one.policy] for one in made]
        try:
            json_file.write_text(json.dumps(rows, indent=1) + "\n", encoding="utf-8")
        except OSError as error:
            raise ReportError(f"the report {json_file} cannot be written: {error}; name another file.") from error
