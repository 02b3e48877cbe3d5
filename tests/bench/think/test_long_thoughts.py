"""Long thoughts on the virtual clock: generated workings, played by a scripted model at measured costs of steps.

No model that can be had here thinks for 500 tokens and more, so the thoughts are generated: right by construction, told
by a scripted writer. The row says what the order of thinking and speaking does to the waits, and nothing of a model.
`python -m pytest -s tests/bench/think/test_long_thoughts.py` prints it.
"""

from __future__ import annotations

import asyncio
import random
import re
from collections.abc import Callable, Coroutine
from dataclasses import dataclass
from statistics import median
from typing import Any, Final, TypeVar

import pytest

from audio.options import EarsOptions
from bench.think.items.question import TaskQuestion
from bench.think.metrics import Sample, measure
from bench.virtual.simulation import converse
from bench.virtual.timed import Pace, Utterance
from reasoning.engine.contract import EngineSession
from reasoning.events import LoopEvent
from reasoning.loop.loop import Loop
from reasoning.options import LoopOptions, Mode
from reasoning.policies.choosing import choice_of
from reasoning.prompting.chat_template import ChatTemplate
from reasoning.prompting.script import Script, family_of
from tests.reasoning.prompting import chat_templates
from tests.reasoning.scripted_engine import END, Mind, ScriptedEngine, Words

T = TypeVar("T")
FAMILY: Final = family_of("any")
ROW_S: Final = (0.040694, 0.014)
"""Seconds of a step with one row, and of each further one: two cores of an AMD EPYC with AVX2."""
PACE: Final = Pace(
    synthesis_s=0.32, synthesis_letter_s=0.0143, sound_s=0.298, sound_letter_s=0.0503, partial_s=0.2, final_s=0.3
)
QUESTIONS: Final = 5
TALLIES: Final = (
    "Boxes of {a} on {b} shelves: {a} * {b} = {p}",
    "With what was there before: {t} + {p} = {s}",
    "The van takes a load of {c} to town: {s} - {c} = {r}",
    "Then come {d} crates of {e} each: {d} * {e} = {q}",
    "These go on top of the rest: {r} + {q} = {n}",
)  # fmt: skip
LEAST_TOKENS: Final = 500
LEADS_S: Final = (1.2, 2.5)
"""The default of `loop.lead_s`, and one that leaves time to write a sentence and to speak it."""
MOST_WAITED: Final = 0.15
"""Of what the listener waits when it is thought first."""
MOST_SHARE: Final = {(False, 1.2): 0.27, (True, 1.2): 0.28, (False, 2.5): 0.2, (True, 2.5): 0.25}
"""Of thinking first's delay as published, by chunks of five tokens that are cut amid numbers."""


class Jumping(asyncio.SelectorEventLoop):
    """An event loop whose clock goes on to the next thing that is due as soon as nothing is left to do."""

    def __init__(self) -> None:
        self._now = 0.0
        super().__init__()

    def time(self) -> float:
        return self._now

    def _run_once(self) -> None:
        if not self._ready and self._scheduled:  # type: ignore[attr-defined]
            self._now = max(self._now, self._scheduled[0]._when)  # type: ignore[attr-defined]
        super()._run_once()  # type: ignore[misc]


class Timed(ScriptedEngine):
    """Takes for each step what one with as many rows takes."""

    def _soon(self, coming: asyncio.Future[None], turns: int) -> None:
        del turns
        first, further = ROW_S
        rows = max(1, len(self.running))
        coming.get_loop().call_later(first + further * (rows - 1), self._step)


@dataclass(frozen=True)
class Working:
    """A question, and a long working of it."""

    item: TaskQuestion
    lines: tuple[str, ...]


def generated(number: int) -> Working:
    """Give a store whose stock goes up and down, worked out line by line."""
    rng, total, lines = random.Random(number), 0, list[str]()
    for _ in range(6):
        a, b, d, e = (rng.randint(3, 19) for _ in range(4))
        p, q = a * b, d * e
        s = total + p
        c = rng.randint(1, s - 1)
        r = s - c
        n = r + q
        lines += [line.format(a=a, b=b, c=c, d=d, e=e, p=p, q=q, r=r, s=s, t=total, n=n) for line in TALLIES]
        total = n
    question = "The store gets and sends goods all week, as I have told you. How many are left at the end?"
    return Working(TaskQuestion("store", number, question, str(total), "number"), (*lines, f"Answer: {total}"))


@dataclass
class Worked:
    """Thinks a working, and says what its newest line has found."""

    working: Working
    prose: bool

    def thoughts(self) -> str:
        if not self.prose:
            return "\n".join(self.working.lines) + END
        return " ".join(f"{line}." for line in self.working.lines) + "\n</think>"

    def write(self, before: str, name: str) -> str:
        if name.startswith("thoughts"):
            text = self.thoughts()
            # A stream that begins amid the thoughts goes on with them.
            return text.removeprefix(before.rpartition("<think>\n" if self.prose else FAMILY.prompts.work_open)[2])
        if "final answer" in before.rpartition("<|im_start|>user\n")[2]:
            return f"There are {self.working.item.answer} left.{END}"
        thought = before.rpartition("How many are left")[2].partition("<|im_start|>user\n")[0]
        found = re.findall(r"([A-Z][^:.\n]*): [^=:\n]*= (\d+)\b(?=[.\n])", thought)
        return f"{found[-1][0]}, and that makes {found[-1][1]}.{END}" if found else END


def played(loop: Jumping, work: Coroutine[Any, Any, T]) -> T:
    try:
        return loop.run_until_complete(work)
    finally:
        loop.close()


def sample(working: Working, mode: Mode, lead_s: float, *, prose: bool) -> Sample:
    """Hold one conversation about a working."""
    model, words = Worked(working, prose), Words()
    engine = Timed(Mind(model.write, lambda _: 20.0), words)
    template = ChatTemplate(chat_templates.QWEN3) if prose else None
    script = Script(words, family_of("any", template) if template else FAMILY)
    options = LoopOptions(mode=mode, policy="sums", think_tokens=4096, lead_s=lead_s)

    def mind(session: EngineSession[Any], emit: Callable[[LoopEvent], None], clock: Callable[[], float]) -> Loop:
        choice = choice_of(options.policy, tagged=script.thinks_in_tags)
        return Loop(session, script, options, emit, clock, context=100_000, choice=choice)

    async def main() -> Sample:
        async with engine.session() as session:
            record = await converse(
                session,
                mind,
                (Utterance(working.item.question),),
                pace=PACE,
                ears=EarsOptions(),
                options=options,
                encode=words.encode,
            )
        return measure(mode, working.item, record, PACE, words.shown)

    return played(Jumping(), main())


@pytest.mark.parametrize("lead_s", LEADS_S)
@pytest.mark.parametrize("prose", [False, True], ids=["lines", "tagged prose"])
def test_of_the_wait_for_long_thoughts_little_is_left(prose: bool, lead_s: float) -> None:
    pairs: list[tuple[Sample, Sample]] = []
    for number in range(QUESTIONS):
        working = generated(number)
        assert len(Words().encode("\n".join(working.lines))) >= LEAST_TOKENS
        beside, first = (sample(working, mode, lead_s, prose=prose) for mode in ("async", "think-first"))
        assert beside.total_delay_s is not None
        assert first.total_delay_s is not None
        assert first.total_delay_s >= 10.0
        pairs.append((beside, first))
    shares = [(one.total_delay_s or 0) / (other.total_delay_s or 1) for one, other in pairs]
    heard = [(one.waited_s or 0) / (other.waited_s or 1) for one, other in pairs]
    kept = sum(one.right for one, _ in pairs) / max(1, sum(other.right for _, other in pairs))
    silence = max(one.longest_silence_s or 0.0 for one, _ in pairs)
    content = median(one.first_content_s or 99.0 for one, _ in pairs)
    waited = median(other.total_delay_s or 0.0 for _, other in pairs)
    thoughts = "tagged prose" if prose else "lines"
    print(
        f"\n{thoughts}, lead {lead_s} s: the listener waits {median(heard):.3f} of thinking first, at most "
        f"{max(heard):.3f}; total delay {median(shares):.3f} ({waited:.1f} s), right answers kept {kept:.2f}, "
        f"first content {content:.1f} s, longest silence {silence:.1f} s, {len(pairs)} questions"
    )
    assert max(heard) <= MOST_WAITED
    assert median(shares) <= MOST_SHARE[prose, lead_s]
    assert kept >= 0.95
    assert silence <= 2.0
