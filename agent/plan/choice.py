"""From what was measured to what is chosen. Sans-I/O: no clock, no file, no model.

**The promise** is that a reply has begun to tell something `PROMISED_S` after the user's last word. On the way there
(`content_s`): the silence after which the ears decode what they heard; that decode; the reading of what was new in it
and of the head of the thoughts; the steps until something was found that can be said; and the synthesis of its first
clause. So the promise bounds a joint step, of thinker and writer: `(PROMISED_S - the rest) / STEPS`.
"""

from __future__ import annotations

from dataclasses import dataclass, replace
from typing import TYPE_CHECKING, Final

if TYPE_CHECKING:
    from agent.plan.machine import Machine

PROMISED_S: Final = 2.5
"""Seconds from the user's last word to the first that tells something."""
READ: Final = 45
"""Tokens that are read before the first thought: the end of the question, and 36 of the head of the thoughts."""
STEPS: Final = 21
"""What a reply takes from the first thought to its first sentence, the probe included, in joint steps: the demo's
question on two cores with AVX2, the median of three runs."""
_SILENCE_S: Final = 0.2
"""`ears.soft_end_ms`: before it nothing is decoded for good."""

_ROWS: Final = 8
"""Rows for which a step is measured, from one."""
_READING: Final = 3.25
"""A step with waiting text may take so many joint steps: what was asked is read soon, and the streams still flow."""
_MOST_READING: Final = 8
_FEWEST_READING: Final = 2

TINY_EARS: Final = "whisper-tiny.en"
"""What hears where nobody set anything and nothing is known of the machine."""
LARGER_EARS: Final = "whisper-base"
"""What takes its place where the promise is kept all the same: half the errors in noise, and few less in quiet."""
_LARGER_DECODES: Final = 1.9
"""Decodes of the one in the time of a decode of the other: 1.8 to 1.9 in pairs, 12 s of window, AVX2."""

_PARTIAL_MS: Final = (500, 2000)
_PARTIAL_SHARE: Final = 2.5
"""Between two partials lie so many decodes at least: a final one waits for the partial that runs, seldom then."""
_SHORT_WINDOW_FROM_S: Final = 0.5
"""A decode that takes so long is made over a shorter window for partials, which hears worse."""
_WINDOW_S, _SHORT_WINDOW_S = 12, 8

_FILLERS: Final = 2
"""In a row; a third would say nothing that the second has not said."""
_FILLER_SOUND_S: Final = 0.5
"""Length of each of the first two."""
_AFTER_S: Final = (1.1, 1.7)
"""Between these the first filler comes: sooner it is a habit, later the listener wonders."""
_SOON_S: Final = 0.3
"""A filler that begins so shortly before the reply would hold it up."""


@dataclass(frozen=True, slots=True)
class MachineMeasures:
    """What was measured on a machine, with one set of models."""

    threads: int
    """Threads of the steps."""
    steps_s: tuple[float, ...]
    """Seconds of a step of 1, 2, … 8 rows."""
    token_s: float
    """Seconds for each token of a long text that is read."""
    decode_s: float
    """Seconds in which one second of sound is decoded, in the usual window."""
    clause_s: float
    """Seconds in which a clause is spoken."""
    busy: bool = False
    """Whether others were computing meanwhile: then it holds for now, and is measured again."""

    @property
    def joint_s(self) -> float:
        """Seconds of a step of thinker and writer."""
        return self.steps_s[1]

    @property
    def row_costs(self) -> tuple[float, ...]:
        """Steps of 1, 2, … 8 rows, in steps of one."""
        return tuple(seconds / self.steps_s[0] for seconds in self.steps_s)


@dataclass(frozen=True, slots=True)
class MachinePlan:
    """What suits a machine."""

    threads: int
    prefill_rows: int
    partial_every_ms: int
    partial_window_s: int
    filler_after_s: float
    fillers: int
    content_s: float
    """Seconds from the user's last word until the reply tells something, as is to be expected."""
    joint_bound_s: float
    """Seconds that a joint step may take for the promise to be kept."""
    prompt: bool
    """Whether it is."""
    asr: str = ""
    """Speech model that is chosen; empty: the one that somebody set."""
    larger_content_s: float = 0.0
    """As `content_s`, with the larger speech model."""

    def settings(self) -> dict[str, object]:
        """Give the settings that are chosen, by `group.name`."""
        return {
            "engine.threads": self.threads,
            "engine.prefill_rows": self.prefill_rows,
            "ears.partial_every_ms": self.partial_every_ms,
            "ears.partial_window_s": self.partial_window_s,
            "loop.filler_after_s": self.filler_after_s,
            "loop.fillers": self.fillers,
            **({"models.asr": self.asr} if self.asr else {}),
        }


def choose(measured: MachineMeasures, machine: Machine, *, ears_free: bool = False) -> MachinePlan:
    """Choose what suits a machine on which this was measured.

    ears_free: it was measured with `TINY_EARS`, and nobody set which speech model hears.
    """
    if not ears_free:
        return _chosen(measured, machine)
    tiny = _chosen(measured, machine)
    larger_measured = replace(measured, decode_s=_LARGER_DECODES * measured.decode_s)
    larger = _chosen(larger_measured, machine)
    # Where partials would need a shorter window, what the larger one hears better is lost again.
    affordable = larger.prompt and larger_measured.decode_s < _SHORT_WINDOW_FROM_S
    plan, asr = (larger, LARGER_EARS) if affordable else (tiny, TINY_EARS)
    return replace(plan, asr=asr, larger_content_s=larger.content_s)


def _chosen(measured: MachineMeasures, machine: Machine) -> MachinePlan:
    rest_s = _SILENCE_S + measured.decode_s + READ * measured.token_s + measured.clause_s
    content_s = rest_s + STEPS * measured.joint_s
    bound_s = max(0.0, (PROMISED_S - rest_s) / STEPS)
    return MachinePlan(
        threads=min(measured.threads, machine.cores),
        prefill_rows=_reading_rows(measured),
        partial_every_ms=round(_between(_PARTIAL_MS, _PARTIAL_SHARE * 1000 * measured.decode_s)),
        partial_window_s=_WINDOW_S if measured.decode_s < _SHORT_WINDOW_FROM_S else _SHORT_WINDOW_S,
        filler_after_s=round(_filler_after(content_s), 2),
        fillers=_FILLERS,
        content_s=round(content_s, 2),
        joint_bound_s=round(bound_s, 4),
        prompt=measured.joint_s <= bound_s,
    )


def thread_counts(cores: int) -> tuple[int, ...]:
    """Give the numbers of threads that are worth measuring: on many cores, memory bounds a step before they do."""
    if cores <= 4:
        return (cores,)
    return tuple(sorted({cores // 2, min(cores - 1, 16)}))


def filled_in(seconds: dict[int, float]) -> tuple[float, ...]:
    """Give the seconds of steps of 1 to 8 rows from those of some, one among them; more rows never take less."""
    known = sorted(seconds)
    found: list[float] = []
    for rows in range(1, _ROWS + 1):
        below = max(known[0], max((n for n in known if n <= rows), default=known[0]))
        above = min((n for n in known if n >= rows), default=below)
        part = 0.0 if above == below else (rows - below) / (above - below)
        here = seconds[below] + part * (seconds[above] - seconds[below])
        found.append(max(here, found[-1] if found else 0.0))
    return tuple(found)


def _reading_rows(measured: MachineMeasures) -> int:
    """Give the most rows of waiting text with which a step of two streams stays below its bound."""
    row_s = (measured.steps_s[-1] - measured.joint_s) / (_ROWS - 2)
    room_s = (_READING - 1) * measured.joint_s
    return round(_between((_FEWEST_READING, _MOST_READING), room_s / row_s if row_s > 0 else _MOST_READING))


def _filler_after(content_s: float) -> float:
    """Give when the first filler comes: it divides a long wait in equal parts."""
    pause_s = (content_s - _FILLERS * _FILLER_SOUND_S) / (_FILLERS + 1)
    low, high = _AFTER_S
    soon_s = content_s + _SOON_S
    return soon_s if low < soon_s <= high else _between(_AFTER_S, pause_s)


def _between(bounds: tuple[float, float], value: float) -> float:
    return min(max(value, bounds[0]), bounds[1])
