"""Spoken tasks in fresh phrasings and voices: done, asked about, refused, or done wrongly; see `spoken_tasks.toml`.

The voices are Kokoro's. The user answers what is asked truthfully: yes to what the task says, no to anything else.
"Wrong" is whatever happened that the sentence did not ask for, however little.
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
from bench.robot.rig import rig
from bench.robot.stage import until, with_stage
from bench.robot.tasks import SPEED, asked_or_refused, happenings, reply_to
from bench.voices import trimmed
from robots.site import HERE
from robots.skills import GO_TO, GO_TO_POSE, PLACE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from audio.clock import Sound
    from audio.speaking.synthesizer import Synthesizer
    from bench.robot.stage import Models, RobotStage
    from robots.safety.gate import Question
    from robots.skills import SkillCall

SpokenSet = Literal["a", "b", "develop"]
SpokenOutcome = Literal["done", "asked", "undone", "wrong"]
VOICES_MODEL: Final = "kokoro-82m"
RIGHT: Final = 0.9
"""Part of the tasks that is to be done, or rightly asked about or refused."""
_PATIENCE_S: Final = 120.0
_TURN_S: Final = 20.0
_QUIET_S: Final = 1.0
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
    happened: tuple[str, ...]
    shown: tuple[tuple[str, str], ...]
    """Calls, questions and answers of the gate and the ears, in order."""
    answers: tuple[str, ...]
    """What the user answered."""
    said: str
    outcome: SpokenOutcome
    right: bool
    seconds: float


def spoken_tasks(name: SpokenSet) -> list[SpokenTask]:
    """Give the tasks of a set, each in the next of its voices."""
    text = package_files("bench.robot").joinpath("spoken_tasks.toml").read_text(encoding="utf-8")
    data = tomllib.loads(text)
    voices: list[str] = data["voices"][name]
    return [_task(task, voices[number % len(voices)]) for number, task in enumerate(data["sets"][name])]


def _task(task: Mapping[str, Any], voice: str) -> SpokenTask:
    return SpokenTask(task["say"], voice, task.get("start", "home"), tuple(task["truth"]))


async def carry_out_spoken(task: SpokenTask, models: Models, voices: KokoroModel) -> SpokenSample:
    """Say it to a fresh robot, answer what is asked, wait until there is nothing left to do, and judge."""
    voice, begun = SpokenVoice(voices, task.voice), time.monotonic()

    async def ask(stage: RobotStage, _: Synthesizer) -> SpokenSample:
        answers = await _converse(stage, voice, task)
        happened = happenings([seen.message for seen in stage.rig.wire.seen], task.start, task.truth)
        said = " ".join(sound.text for _, sound in stage.sounds)
        outcome = judge_spoken(task.truth, happened, asked=bool(answers) or asked_or_refused(said))
        return SpokenSample(
            task.say,
            task.voice,
            heard=tuple(stage.turns),
            happened=happened,
            shown=tuple(one for one in stage.shown if one[0] in {"calls", "gate", "ears"}),
            answers=tuple(answers),
            said=said,
            outcome=outcome,
            right=outcome == ("done" if task.truth else "asked"),
            seconds=time.monotonic() - begun,
        )

    async with rig(speed=SPEED, start=task.start) as stands:
        return await with_stage(stands, models, ask, busy=False)


class SpokenVoice:
    """One of Kokoro's voices, for one user."""

    def __init__(self, model: KokoroModel, speaker: str) -> None:
        self._model, self._speaker = model, speaker
        self._language = "en-US" if speaker.startswith("a") else "en-GB"

    async def say(self, text: str) -> Sound:
        """Say a text: from its first to its last sample."""
        pcm = await asyncio.to_thread(self._model.create, text, self._speaker, self._language, 1.0)
        return trimmed(soxr.resample(pcm.astype(np.float32) / 32768, KokoroVoice.rate, RATE))


async def _converse(stage: RobotStage, voice: SpokenVoice, task: SpokenTask) -> list[str]:
    """Say the task, and answer what is asked; return the answers."""
    stage.microphone.say(await voice.say(task.say))
    await until(lambda: bool(stage.turns), _TURN_S)
    ends, quiet, answers = time.monotonic() + _PATIENCE_S, 0.0, list[str]()
    answered: Question | Doubt | Proposal | None = None
    while quiet < _QUIET_S and time.monotonic() < ends:
        await asyncio.sleep(_LOOKS_S)
        question = stage.robot.proposal or stage.robot.question or stage.robot.doubt
        if question is not None and question is not answered and stage.conversation.idle:
            answered = question
            answers.append(answer_to(question, task))
            stage.microphone.say(await voice.say(answers[-1]))
        quiet = quiet + _LOOKS_S if stage.conversation.idle and stage.robot.idle else 0.0
    return answers


def answer_to(question: Question | Doubt | Proposal, task: SpokenTask) -> str:
    """Give what a truthful user answers."""
    if isinstance(question, Proposal):
        return "Yes." if expected(question.calls, task.start) == task.truth else "No."
    if isinstance(question, Doubt):
        return reply_to(question, task.say)
    meant = question.call is not None and any(step.split()[0] == question.call.skill for step in task.truth)
    return "Yes." if meant else "No."


def expected(calls: Sequence[SkillCall], start: str) -> tuple[str, ...]:
    """Give what happens when these calls are carried out, as tasks tell it."""
    here, told = start, list[str]()
    for call in calls:
        arguments = dict(call.arguments)
        place = str(arguments.pop(PLACE, HERE))
        if place not in {HERE, here}:
            here = place
            told.append(f"at {place}")
        if call.skill == GO_TO_POSE:
            here = ""
            told.append(f"pose {float(arguments['x']):g} {float(arguments['y']):g}")
        elif call.skill != GO_TO:
            numbers = [f"{float(value):g}" for value in arguments.values() if isinstance(value, int | float)]
            told.append(" ".join((call.skill, *numbers)))
    return tuple(told)


def judge_spoken(truth: Sequence[str], happened: Sequence[str], *, asked: bool) -> SpokenOutcome:
    """Compare what happened with what was to happen; `asked`: the user was asked, or told that it cannot be done."""
    if list(happened) != list(truth[: len(happened)]):
        return "wrong"
    if truth and len(happened) == len(truth):
        return "done"
    return "asked" if asked else "undone"
