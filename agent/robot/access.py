"""Reaches the robot that the settings name: to command it, to look at it, to end its pause. No language model."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.errors import RobotNotReady
from agent.robot.misheard import alike
from agent.robot.telling import told, told_event, told_question
from languages.english import ENGLISH
from robots.core.role import CommandRole
from robots.events import Happening
from robots.lease import leased
from robots.protocols.reach import adapter_of
from robots.safety.audit import audit_file
from robots.safety.gate import Question, Refused, Source
from robots.session import command_robot
from robots.site import NOWHERE, Site
from robots.skills import shortfall
from robots.transport.connection import site_of
from robots.untrusted import plain

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Iterator

    from robots.facts.fact import Fact
    from robots.options import RobotOptions
    from robots.port import RobotPort
    from robots.terms.world import RefusedMessages

READY_S: Final = 10.0
"""How long the robot may take to report its state and its factsheet, s."""
_LOOKS_S: Final = 0.05
_FACTS_S: Final = 2.0
"""How long the factsheet is waited for, s; some robots have none."""
_CONFIRM_S: Final = 15.0
"""How long the robot may take to confirm that it may move again, s."""


@asynccontextmanager
async def commanded(options: RobotOptions) -> AsyncIterator[RobotPort]:
    """Command the robot that the settings name, while the block lasts, and keep the audit log."""
    site = site_of(options)
    adapter = adapter_of(options)
    with audit_file(options.audit_file) as audit:
        async with leased(options) as lease, command_robot(adapter, site=site, audit=audit, lease=lease) as robot:
            yield robot


async def until_ready(robot: RobotPort) -> None:
    """Wait until the robot can be commanded.

    Raises:
        RobotNotReady: it cannot within `READY_S`; the text says why.

    """
    begun = time.monotonic()
    while time.monotonic() < begun + READY_S:
        unfit = robot.unfit()
        known = robot.world.capabilities is not None or time.monotonic() > begun + _FACTS_S
        if unfit is None and known:
            return
        await asyncio.sleep(_LOOKS_S)
    why = robot.unfit()
    raise RobotNotReady(f"{robot.name} cannot be commanded" + (f": {told(why, ENGLISH)}" if why is not None else ""))


@dataclass(frozen=True, slots=True)
class RobotLook:
    """What was seen of a robot."""

    lines: list[tuple[str, str]]
    """What it reports, as names and values."""
    broker: str
    """Why the broker is not reached; empty: it is."""
    command: str
    """Why the robot cannot be commanded; empty: it can."""
    refused: str
    """Which of its messages were refused, by reason; empty: none."""


async def look(options: RobotOptions) -> RobotLook:
    """Look what the robot reports, and whether it can be commanded."""
    site = Site.load(options.map) if options.map else NOWHERE
    async with command_robot(adapter_of(options), site=site, audit=lambda _: None, role=CommandRole.BYSTANDER) as robot:
        await _until_known(robot)
        world = robot.world
        return RobotLook(
            _described(robot, options),
            "" if world.linked else told(world.unlinked, ENGLISH),
            _said(robot.unfit()),
            "; ".join(_refused(world.refused)),
        )


async def resume(options: RobotOptions, confirm: Callable[[str], bool]) -> tuple[str, bool]:
    """End the robot's pause if `confirm` says yes; return what became of it, and whether the robot may move."""
    async with commanded(options) as robot:
        await _until_known(robot)
        report = robot.world.report
        if report is None:
            return f"{robot.name} cannot be commanded: {_said(robot.unfit())}.", False
        if not report.paused:
            return f"{robot.name} is not paused.", True
        question = robot.resume()
        if isinstance(question, Refused):
            return f"Not resumed: {told(question.reason, ENGLISH)}.", False
        return await _confirmed(robot, question, confirm)


async def _confirmed(robot: RobotPort, question: Question, confirm: Callable[[str], bool]) -> tuple[str, bool]:
    # In a thread: the link must live while somebody thinks about it.
    yes = await asyncio.to_thread(confirm, told_question(question, robot.name, ENGLISH))
    verdict = robot.answer(question.question_id, yes=yes, by=Source.USER)
    if isinstance(verdict, Refused):
        return f"Not resumed: {told(verdict.reason, ENGLISH)}.", False
    with suppress(TimeoutError):
        async with asyncio.timeout(_CONFIRM_S):
            async for event in robot.events():
                if event.happening is Happening.RESUMED:
                    return told_event(event, robot.name, ENGLISH), True
    return f"{robot.name} has not confirmed that it may move again.", False


async def _until_known(robot: RobotPort) -> None:
    world, begun = robot.world, time.monotonic()
    while time.monotonic() < begun + READY_S:
        known = world.capabilities is not None or time.monotonic() > world.report_at + _FACTS_S
        if world.report is not None and known:
            return
        await asyncio.sleep(_LOOKS_S)


def _described(robot: RobotPort, options: RobotOptions) -> list[tuple[str, str]]:
    world = robot.world
    lines = [
        ("robot", options.address),
        ("broker", options.broker if world.linked else f"not reached: {told(world.unlinked, ENGLISH)}"),
        ("presence", world.presence_word or "never seen"),
        *(("refused", one) for one in _refused(world.refused)),
        *(("unknown", told(one, ENGLISH)) for read in world.misread.values() for one in read),
    ]
    report = world.report
    if report is not None:
        where = "unknown" if world.position is None else "x {:.2f} m, y {:.2f} m".format(*world.position)
        lines += [
            ("position", where),
            ("moves", "drives" if report.drives else "paused" if report.paused else "stands"),
            ("mode", report.mode),
            ("battery", f"{report.battery_percent:.0f} %"),
            ("task", plain(report.task) or "none"),
            *(("error", plain(f"{fault.kind}: {fault.words}")) for fault in report.faults),
            ("skills", ", ".join(robot.skills)),
        ]
    short = None if world.capabilities is None else shortfall(world.capabilities, robot.site)
    if short is not None:
        lines.append(("actions", told(short, ENGLISH)))
    lines += [("alike", f"the places {one!r} and {other!r} may be misheard") for one, other in alike(robot.site.places)]
    return [*lines, ("command", _said(robot.unfit()) or "it can be commanded")]


def _said(fact: Fact | None) -> str:
    return "" if fact is None else told(fact, ENGLISH)


def _refused(messages: RefusedMessages) -> Iterator[str]:
    """Yield each reason for which messages were refused, the number of them and the newest."""
    for code, times in messages.counts.most_common():
        yield f"{times} times {code}, the last: {told(messages.last[code], ENGLISH)}"
