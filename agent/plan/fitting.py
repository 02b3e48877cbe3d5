"""Puts what is chosen where nobody set anything, and tells it in a line.

Chosen is for the embedded engine only: what servers take is theirs to know.
"""

from __future__ import annotations

import asyncio
from dataclasses import dataclass, replace
from pathlib import Path
from typing import TYPE_CHECKING, Final

from agent.config.invocation import open_store
from agent.errors import ForeignRecord, NotMeasured
from agent.plan.choice import LARGER_EARS, PROMISED_S, TINY_EARS, MachineMeasures, MachinePlan, choose, thread_counts
from agent.plan.machine import key_of, others_compute, this_machine
from agent.plan.measuring import measured
from agent.plan.record import default_folder, keep, recall
from agent.plan.speaking import voice_told
from reasoning.errors import ReasoningError
from reasoning.store.catalogue import CATALOGUE

if TYPE_CHECKING:
    from collections.abc import Callable, Container

    from agent.config.settings import Settings
    from agent.plan.machine import Machine, PlanKey
    from agent.plan.measuring import TimedEngine
    from audio.hearing.transcriber import Recogniser
    from audio.speaking.synthesizer import Voice

_LARGER: Final = "qwen2.5-coder-1.5b"
_SMALLER: Final = "qwen2.5-coder-0.5b"
"""What is offered in its place: of the same family, so that all that is said to it holds."""


def fitted(settings: Settings, given: Container[str], plan: MachinePlan) -> Settings:
    """Put what the plan chooses where nobody set anything; `given`: settings that somebody set, by `group.name`."""
    groups: dict[str, dict[str, object]] = {}
    for key, value in plan.settings().items():
        if key not in given:
            group, _, name = key.partition(".")
            groups.setdefault(group, {})[name] = value
    changed = {group: replace(getattr(settings, group), **values) for group, values in groups.items()}
    return settings.model_copy(update=changed)


def told(plan: MachinePlan, measured: MachineMeasures, model: str) -> str:
    """Tell the choice and its reason in a line."""
    threads = _counted(plan.threads, "thread")
    joint = f"a step of thinker and writer takes {measured.joint_s * 1000:.0f} ms"
    busy = ", while others are computing" if measured.busy else ""
    line = f"{model} on {threads}: {joint}{busy}; replies tell something after some {plan.content_s:.1f} s"
    if plan.prompt:
        return line
    # In peace the model may be quick enough.
    offered = model == _LARGER and not measured.busy
    offer = f": --model {_SMALLER} is quicker, and wrong more often" if offered else ""
    bound = f", which take steps of {plan.joint_bound_s * 1000:.0f} ms" if plan.joint_bound_s else ""
    return f"{line}, not the {PROMISED_S} s that are wanted{bound}{offer}"


def ears_told(plan: MachinePlan, *, loaded: bool) -> str:
    """Tell which speech model was chosen and why; empty where somebody set it.

    loaded: it is the one that hears now, for it was chosen before this start.
    """
    if plan.asr == LARGER_EARS:
        return f"{LARGER_EARS} hears{'' if loaded else ' from the next start on'}: there is time for it"
    if not plan.asr:
        return ""
    late = plan.larger_content_s > PROMISED_S
    reason = f"it would be {plan.larger_content_s:.2f} s" if late else "partial transcripts would be late"
    return f"{plan.asr} hears: with {LARGER_EARS}, which errs less in noise, {reason}"


def _counted(count: int, what: str) -> str:
    return f"{count} {what}{'' if count == 1 else 's'}"


@dataclass(slots=True)
class Fitting:
    """What is known of this machine with the models of the settings, and how it becomes known."""

    settings: Settings
    """As they were set; `now` gives those that hold."""
    given: Container[str]
    """Settings that somebody set, by `group.name`."""
    machine: Machine
    key: PlanKey
    folder: Path
    tell: Callable[[str], None]
    """Takes a line for the user."""
    measured: MachineMeasures | None = None
    busy: bool = False
    """Whether others are computing; looked at where it matters."""
    refused: str = ""
    """What is wrong with the measurement that was kept."""
    own_ears: bool = False
    """Whether there is no choice: somebody brought a recogniser, or the one that was chosen could not be had."""
    fresh: bool = False
    """Whether it was measured in this start, with ears that were loaded before."""

    @property
    def plan(self) -> MachinePlan | None:
        """What is chosen; None while nothing was measured."""
        free = self.settings.models.asr == TINY_EARS and "models.asr" not in self.given and not self.own_ears
        return None if self.measured is None else choose(self.measured, self.machine, ears_free=free)

    @property
    def now(self) -> Settings:
        """The settings that hold."""
        plan = self.plan
        return self.settings if plan is None else fitted(self.settings, self.given, plan)

    def found_ears(self, name: str) -> None:
        """Take note of the speech model that was found, which need not be the one that was chosen."""
        plan = self.plan
        self.own_ears = self.own_ears or (plan is not None and plan.asr not in {"", name})

    async def measure(self, engine: TimedEngine, recogniser: Recogniser, voice: Voice) -> None:
        """Measure the machine, if nobody has; what fails leaves all as it is set."""
        if self.measured is not None:
            return
        anew = f" anew, for {self.refused}" if self.refused else ", once for these models"
        self.tell(f"measuring this machine{anew}: a few seconds")
        cores, threads = self.machine.cores, self.settings.engine.threads
        counts = (threads,) if "engine.threads" in self.given else thread_counts(cores)
        try:
            self.measured = await measured(engine, recogniser, voice, counts, busy=self.busy)
        except NotMeasured as error:
            self.tell(f"this machine could not be measured ({error}): the usual settings hold")
        else:
            self.fresh = True
            await asyncio.to_thread(keep, self.folder, self.key, self.measured)

    async def fit(self, engine: TimedEngine) -> None:
        """Have the engine take what is chosen."""
        options, usual_s = self.now.engine, () if self.measured is None else self.measured.steps_s
        await engine.fit(threads=options.threads, prefill_rows=options.prefill_rows, usual_s=usual_s)

    def measurements(self) -> list[str]:
        """Tell what was measured, in lines."""
        found = self.measured
        if found is None:
            return []
        rows = ", ".join(f"{seconds * 1000:.0f}" for seconds in found.steps_s)
        lines = [
            f"{self.machine.processor}, {_counted(self.machine.cores, 'core')}, kernels {self.machine.kernels}",
            f"a step of 1 to {len(found.steps_s)} rows: {rows} ms on {_counted(found.threads, 'thread')}",
            f"reading: {found.token_s * 1000:.1f} ms a token",
            f"a decode: {found.decode_s * 1000:.0f} ms; a clause spoken: {found.clause_s * 1000:.0f} ms",
        ]
        if self.plan and self.plan.asr:
            lines.append(ears_told(self.plan, loaded=not self.fresh))
        if found.busy:
            lines.append("others were computing meanwhile: it is measured again when they are not")
        return lines

    def told(self) -> str:
        """Tell the choice in a line; empty where there is none."""
        plan, measured = self.plan, self.measured
        if plan is None or measured is None:
            return ""
        models = self.settings.models
        voice = voice_told(plan, measured, models.voice)
        lines = told(plan, measured, models.llm), ears_told(plan, loaded=not self.fresh), voice
        return "; ".join(filter(None, lines))


def known(settings: Settings, given: Container[str]) -> Fitting | None:
    """Look what was measured before, without fetching or measuring anything; None where it cannot be known."""
    if settings.engine.kind != "torch":
        return None
    name = settings.models.llm
    try:
        model = open_store(settings.models).file(name) if name in CATALOGUE else Path(name).expanduser()
        return None if model is None or not model.exists() else begin(settings, given, model)
    except (ReasoningError, OSError):
        return None


def begin(
    settings: Settings,
    given: Container[str],
    model: Path,
    tell: Callable[[str], None] = lambda _: None,
    *,
    own_ears: bool = False,
    folder: Path | None = None,
    busy: Callable[[], bool] = others_compute,
) -> Fitting:
    """Look what is known of this machine, in the calling thread; compiles the kernels if nobody has.

    own_ears: somebody brought a recogniser.
    busy: says whether others are computing.

    Raises:
        DeviceUnavailable, NativeUnavailable: the settings ask for a device or for kernels that cannot be had.

    """
    machine = this_machine(settings)
    key = key_of(machine, settings, given, model)
    fitting = Fitting(settings, given, machine, key, folder or default_folder(), tell, own_ears=own_ears)
    known = None
    try:
        known = recall(fitting.folder, fitting.key)
    except ForeignRecord as error:
        fitting.refused = str(error)
    if known is None or known.busy:
        fitting.busy = busy()
    # What was measured while others were computing holds until it can be measured in peace.
    if known is not None and (fitting.busy or not known.busy):
        fitting.measured = known
    return fitting
