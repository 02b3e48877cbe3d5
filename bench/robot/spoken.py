"""Spoken tasks: done, asked about, refused, or done wrongly; see `spoken_tasks.toml` and `robot_tasks.toml`.

Whoever speaks answers what is asked truthfully: yes to what the task says, no to anything else.
"""

from __future__ import annotations

import asyncio
import time
import tomllib
from dataclasses import dataclass
from importlib.resources import files as package_files
from typing import TYPE_CHECKING, Any, Final, Literal

import numpy as np
import soxr

from agent.robot.misheard import Doubt
from agent.robot.proposal import Proposal
from audio.clock import RATE
from audio.speaking.kokoro import KokoroModel, KokoroVoice
from bench.robot.judging import SpokenOutcome, asked_or_refused, expected, happenings, judge_spoken
from bench.robot.rig import rig
from bench.robot.stage import until, with_stage
from bench.voices import PIPER, spoken, trimmed

if TYPE_CHECKING:
    from collections.abc import Awaitable, Callable, Mapping, Sequence

    from audio.clock import Sound
    from audio.speaking.synthesizer import Synthesizer
    from bench.robot.stage import Models, RobotStage
    from robots.safety.gate import Question

    Say = Callable[[Synthesizer, str], Awaitable[Sound]]
    """Says a text, from its first to its last sample; by the agent's own voice, if it likes."""

SpokenSet = Literal["a", "b", "develop"]
Split = Literal["test", "develop"]
VOICES_MODEL: Final = "kokoro-82m"
RIGHT: Final = 0.9
"""Part of the tasks of a set that is to be done, or rightly asked about or refused."""
SPEED: Final = 4.0
"""Simulated seconds per second."""
_PATIENCE_S: Final = 120.0
"""A request that keeps the robot busy for longer is given up, s."""
_TURN_S: Final = 20.0
"""How long the ears may take for a turn, s."""
_QUIET_S: Final = 1.0
"""When nobody has had anything to say or do for so long, the request is over, s."""
_LOOKS_S: Final = 0.05


@dataclass(frozen=True, slots=True)
class SpokenTask:
    """One sentence."""

    say: str
    voice: str
    start: str
    truth: tuple[str, ...]
    """What is to happen, in order; nothing where it is impossible or open."""


@dataclass(frozen=True, slots=True)
class SpokenSample:
    """What became of it."""

    say: str
    voice: str
    heard: tuple[str, ...]
    """What the ears made of it, and of the answers."""
    happened: tuple[str, ...]
    shown: tuple[tuple[str, str], ...]
    """Calls, questions and answers of the gate and the ears, in order."""
    answers: tuple[str, ...]
    """What the user answered."""
    stops: tuple[str, ...]
    """Stop phrases that were heard."""
    dropped: tuple[tuple[str, str], ...]
    """Calls and sentences that were taken back, and why."""
    said: str
    outcome: SpokenOutcome
    right: bool
    seconds: float


def spoken_tasks(name: SpokenSet) -> list[SpokenTask]:
    """Give the tasks of a set, each in the next of its voices."""
    data = _read("spoken_tasks.toml")
    voices: list[str] = data["voices"][name]
    return [
        SpokenTask(task["say"], voices[number % len(voices)], task.get("start", "home"), tuple(task["truth"]))
        for number, task in enumerate(data["sets"][name])
    ]


def phrased_tasks(split: Split, phrasings: Sequence[int] | None = None) -> list[SpokenTask]:
    """Give ten tasks in the default voice, phrasing by phrasing; `phrasings` chooses some by number."""
    tasks = _read("robot_tasks.toml")["task"]
    numbers = range(max(len(task[split]) for task in tasks)) if phrasings is None else phrasings
    return [_phrased(task, task[split][number]) for number in numbers for task in tasks if number < len(task[split])]


def _phrased(task: Mapping[str, Any], phrasing: str | dict[str, Any]) -> SpokenTask:
    given: dict[str, Any] = {"say": phrasing} if isinstance(phrasing, str) else phrasing
    return SpokenTask(given["say"], PIPER, task["start"], tuple(step.format_map(given) for step in task["truth"]))


def _read(name: str) -> dict[str, Any]:
    return tomllib.loads(package_files("bench.robot").joinpath(name).read_text(encoding="utf-8"))


def kokoro(model: KokoroModel, speaker: str) -> Say:
    """Give one of Kokoro's voices."""
    language = "en-US" if speaker.startswith("a") else "en-GB"

    async def say(_: Synthesizer, text: str) -> Sound:
        pcm = await asyncio.to_thread(model.create, text, speaker, language, 1.0)
        return trimmed(soxr.resample(pcm.astype(np.float32) / 32768, KokoroVoice.rate, RATE))

    return say


async def piper(synthesizer: Synthesizer, text: str) -> Sound:
    """Say a text in the agent's own voice."""
    return await spoken(synthesizer, PIPER, text)


async def carry_out(task: SpokenTask, models: Models, say: Say) -> SpokenSample:
    """Say it to a fresh robot, answer what is asked, wait until there is nothing left to do, and judge."""
    begun = time.monotonic()

    async def ask(stage: RobotStage, synthesizer: Synthesizer) -> SpokenSample:
        answers, ended = await _converse(stage, lambda text: say(synthesizer, text), task)
        happened = happenings([seen.message for seen in stage.rig.wire.seen], task.start, task.truth)
        said = " ".join(sound.text for _, sound in stage.sounds)
        outcome = judge_spoken(task.truth, happened, asked=bool(answers) or asked_or_refused(said))
        if not ended:
            # Whatever it has done so far: it does more.
            outcome = "wrong"
        return SpokenSample(
            task.say,
            task.voice,
            heard=tuple(stage.turns),
            happened=happened,
            shown=tuple(one for one in stage.shown if one[0] in {"calls", "gate", "ears"}),
            answers=tuple(answers),
            stops=tuple(stage.stops),
            dropped=tuple(stage.dropped),
            said=said,
            outcome=outcome,
            right=outcome == ("done" if task.truth else "asked"),
            seconds=time.monotonic() - begun,
        )

    async with rig(speed=SPEED, start=task.start) as stands:
        return await with_stage(stands, models, ask, busy=False)


async def _converse(
    stage: RobotStage, say: Callable[[str], Awaitable[Sound]], task: SpokenTask
) -> tuple[list[str], bool]:
    """Say the task, and answer what is asked; return the answers, and whether it came to an end."""
    stage.microphone.say(await say(task.say))
    await until(lambda: bool(stage.turns), _TURN_S)
    ends, quiet, answers = time.monotonic() + _PATIENCE_S, 0.0, list[str]()
    answered: Question | Doubt | Proposal | None = None
    while quiet < _QUIET_S and time.monotonic() < ends:
        await asyncio.sleep(_LOOKS_S)
        question = stage.robot.proposal or stage.robot.question or stage.robot.doubt
        if question is not None and question is not answered and stage.conversation.idle:
            answered = question
            answers.append(answer_to(question, task))
            stage.microphone.say(await say(answers[-1]))
        quiet = quiet + _LOOKS_S if stage.conversation.idle and stage.robot.idle else 0.0
    return answers, quiet >= _QUIET_S


def answer_to(question: Question | Doubt | Proposal, task: SpokenTask) -> str:
    """Give what a truthful user answers."""
    if isinstance(question, Proposal):
        yes = expected(question.calls, task.start) == task.truth
    elif isinstance(question, Doubt):
        named = [name for name in (question.name, *question.also) if name]
        yes = bool(named) and all(name in task.say.lower() for name in named)
    else:
        yes = question.call is not None and any(step.split()[0] == question.call.skill for step in task.truth)
    return "Yes." if yes else "No."
