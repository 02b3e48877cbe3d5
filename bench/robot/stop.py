"""From the end of a spoken "stop" to `startPause` on the wire, and to a robot that stands; measured, not simulated.

Real ears, a real broker, the simulated robot in a process of its own that drives, and an engine that computes two
streams without a pause.
"""

from __future__ import annotations

import asyncio
import math
import time
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

import numpy as np

from audio.clock import RATE
from bench.robot.stage import until
from bench.voices import PIPER, installed, spoken
from robots.protocols.vda5050.messages import InstantActions, State
from robots.safety.gate import Question, Source
from robots.skills import GO_TO, SkillCall

if TYPE_CHECKING:
    from audio.clock import Sound
    from audio.speaking.synthesizer import Synthesizer
    from bench.robot.rig import Rig
    from bench.robot.stage import RobotStage
    from robots.port import RobotPort
    from robots.protocols.vda5050.messages import Message

PHRASES: Final = ("Stop.", "Stop it!", "Stop now!", "Please stop.")
BEFORE: Final = "Take the box over to the kitchen."
"""Other words of the same speaker, right before the stop."""
BEHIND: Final = "I told them that the meeting begins at nine, and nobody had asked me about the second room."
"""Somebody else, who talks all the while."""
CONDITIONS: Final = ("quiet", "after words", "over other speech")

_LOST_S: Final = 3.0
"""A stop that is not on the wire by then was not heard, s."""
_PAUSE_S: Final = 0.25
"""Between other words and the stop, s."""
_BEHIND_DB: Final = -10.0
_DRIVING_M_S: Final = 0.3
_LOOKS_S: Final = 0.02


@dataclass(frozen=True, slots=True)
class Trial:
    """One spoken stop."""

    voice: str
    phrase: str
    condition: str
    wire_ms: float | None
    """From the end of the word to `startPause` on the wire; None: the word was not heard. Below zero: sooner."""
    standing_ms: float | None
    """From the end of the word to a state that says `driving` is false."""
    steps_before: float
    """Steps of the engine a second while the robot set off: how busy it was."""
    steps_during: float
    """The same from the first word to `startPause`: what the ears left to it."""


async def measure(stage: RobotStage, synthesizer: Synthesizer, trials: int) -> list[Trial]:
    """Say stops while the robot drives, in turn by every voice, phrase and condition."""
    stops = await spoken_stops(synthesizer)
    around = {text: await spoken(synthesizer, PIPER, text) for text in (BEFORE, BEHIND)}
    done: list[Trial] = []
    for number in range(trials):
        voice, phrase, sound = stops[number % len(stops)]
        condition = CONDITIONS[(number // len(stops) + number) % len(CONDITIONS)]
        pace = stage.pace()
        await _drive(stage.rig)
        before, pace = pace(), stage.pace()
        ends = stage.microphone.say(_staged(sound, condition, around))
        begun = time.monotonic() if condition != "after words" else ends - len(sound) / RATE
        late = ends - time.monotonic() + _LOST_S
        pause = await stage.rig.wire.until(_is_pause, after=begun, within_s=late)
        during = pace()
        if pause is None:
            stage.rig.robot.stop("the spoken stop was not heard")
        still = await stage.rig.wire.until(_stands, after=pause.at if pause else ends, within_s=_LOST_S)
        done.append(
            Trial(
                voice,
                phrase,
                condition,
                None if pause is None else 1000 * (pause.at - ends),
                None if pause is None or still is None else 1000 * (still.at - ends),
                before,
                during,
            )
        )
        await _let_go(stage.rig.robot)
    return done


async def spoken_stops(synthesizer: Synthesizer) -> list[tuple[str, str, Sound]]:
    """Say every phrase in every voice there is: name, phrase, sound from its first to its last sample."""
    return [(voice, phrase, await spoken(synthesizer, voice, phrase)) for voice in installed() for phrase in PHRASES]


def _staged(sound: Sound, condition: str, around: dict[str, Sound]) -> Sound:
    """Put a stop where it is to be heard; it ends where the result ends."""
    if condition == "after words":
        return np.concatenate((around[BEFORE], np.zeros(int(_PAUSE_S * RATE), np.float32), sound))
    if condition == "quiet":
        return sound
    lead = np.zeros(RATE, np.float32)
    mixed = np.concatenate((lead, sound))
    behind = np.resize(around[BEHIND], len(mixed)) * np.float32(10 ** (_BEHIND_DB / 20))
    return np.asarray(mixed + behind, np.float32)


async def _drive(rig: Rig) -> None:
    """Have the robot drive to the place that is farthest, so that it comes up to speed, and wait until it does."""
    begun = time.monotonic()
    robot = rig.robot
    here, places = robot.world.position or (0.0, 0.0), robot.site.places
    place = max(places, key=lambda name: math.dist(here, places[name].point))
    robot.execute(SkillCall(robot.new_id(), GO_TO, {"place": place}, robot.epoch))
    moving = await rig.wire.until(_drives, after=begun, within_s=10)
    if moving is None:
        raise RuntimeError("the simulated robot does not drive")


async def _let_go(robot: RobotPort) -> None:
    """Wait until the stop is settled, resume with a confirmation, and wait until the robot may move."""
    await until(lambda: robot.idle)
    question = robot.resume()
    await asyncio.sleep(_LOOKS_S)
    if isinstance(question, Question):
        robot.answer(question.question_id, yes=True, by=Source.USER)
    await until(lambda: robot.latch is None and robot.world.report is not None and not robot.world.report.paused)


def _is_pause(message: Message) -> bool:
    return isinstance(message, InstantActions) and message.actions[0].action_type == "startPause"


def _drives(message: Message) -> bool:
    return isinstance(message, State) and message.velocity is not None and (message.velocity.vx or 0) > _DRIVING_M_S


def _stands(message: Message) -> bool:
    return isinstance(message, State) and not message.driving
