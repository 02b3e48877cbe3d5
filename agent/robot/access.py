"""Reaches the robot that the settings name: to command it, to look at it, to end its pause. No language model."""

from __future__ import annotations

import asyncio
import time
from contextlib import asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final

from agent.errors import RobotNotReady
from robots.events import Happening
from robots.safety.audit import audit_file
from robots.safety.gate import Question, Refused, Source
from robots.session import command_robot
from robots.site import NOWHERE, Site
from robots.transport.connection import broker_of, site_of
from robots.vda5050.codec import DIALECTS, Address

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping
    from contextlib import AbstractAsyncContextManager

    from robots.options import RobotOptions
    from robots.session import RobotSession

READY_S: Final = 10.0
"""How long the robot may take to report its state and its factsheet, s."""
_LOOKS_S: Final = 0.05
_FACTS_S: Final = 2.0
"""How long the factsheet is waited for, s; some robots have none."""
_CONFIRM_S: Final = 15.0
"""How long the robot may take to confirm that it may move again, s."""


@asynccontextmanager
async def commanded(options: RobotOptions) -> AsyncIterator[RobotSession]:
    """Command the robot that the settings name, while the block lasts, and keep the audit log."""
    site = site_of(options)
    with audit_file(options.audit_file) as audit:
        async with _reached(options, site, audit) as robot:
            yield robot


def _reached(
    options: RobotOptions, site: Site, audit: Callable[[Mapping[str, object]], None]
) -> AbstractAsyncContextManager[RobotSession]:
    return command_robot(
        broker=broker_of(options),
        address=Address.parse(options.address),
        site=site,
        audit=audit,
        codec=DIALECTS[options.dialect],
    )


async def until_ready(robot: RobotSession) -> None:
    """Wait until the robot can be commanded.

    Raises:
        RobotNotReady: it cannot within `READY_S`; the text says why.

    """
    core, begun = robot.robot, time.monotonic()
    while time.monotonic() < begun + READY_S:
        unfit = core.world.unfit(time.monotonic(), core.gate.site.limits)
        known = core.world.factsheet is not None or time.monotonic() > begun + _FACTS_S
        if unfit is None and known:
            return
        await asyncio.sleep(_LOOKS_S)
    raise RobotNotReady(f"{core.name} cannot be commanded: {core.world.unfit(time.monotonic(), core.gate.site.limits)}")


async def look(options: RobotOptions) -> tuple[list[tuple[str, str]], bool]:
    """Return what the robot reports, as names and values, and whether it can be commanded."""
    site = Site.load(options.map) if options.map else NOWHERE
    async with _reached(options, site, lambda _: None) as robot:
        await _until_known(robot)
        return _described(robot, options), _unfit(robot) is None


async def resume(options: RobotOptions, confirm: Callable[[str], bool]) -> tuple[str, bool]:
    """End the robot's pause if `confirm` says yes; return what became of it, and whether the robot may move."""
    async with commanded(options) as robot:
        await _until_known(robot)
        state = robot.robot.world.state
        if state is None:
            return f"{robot.robot.name} cannot be commanded: {_unfit(robot)}.", False
        if not state.paused:
            return f"{robot.robot.name} is not paused.", True
        question = robot.ask_to_resume()
        if isinstance(question, Refused):
            return f"Not resumed: {question.reason}.", False
        return await _confirmed(robot, question, confirm)


async def _confirmed(robot: RobotSession, question: Question, confirm: Callable[[str], bool]) -> tuple[str, bool]:
    # In a thread: the link must live while somebody thinks about it.
    yes = await asyncio.to_thread(confirm, question.text)
    verdict = robot.answer(question.question_id, yes=yes, by=Source.USER)
    if isinstance(verdict, Refused):
        return f"Not resumed: {verdict.reason}.", False
    with suppress(TimeoutError):
        async with asyncio.timeout(_CONFIRM_S):
            async for event in robot.events():
                if event.happening is Happening.RESUMED:
                    return event.text, True
    return f"{robot.robot.name} has not confirmed that it may move again.", False


async def _until_known(robot: RobotSession) -> None:
    world, begun = robot.robot.world, time.monotonic()
    while time.monotonic() < begun + READY_S:
        if world.state is not None and (world.factsheet is not None or time.monotonic() > world.state_at + _FACTS_S):
            return
        await asyncio.sleep(_LOOKS_S)


def _unfit(robot: RobotSession) -> str | None:
    core = robot.robot
    return core.world.unfit(time.monotonic(), core.gate.site.limits)


def _described(robot: RobotSession, options: RobotOptions) -> list[tuple[str, str]]:
    world, core = robot.robot.world, robot.robot
    lines = [
        ("robot", options.address),
        ("broker", f"{options.broker}, {'reached' if world.linked else 'not reached'}"),
        ("presence", str(world.presence or "never seen")),
    ]
    state = world.state
    if state is not None:
        where = "unknown" if world.position is None else "x {:.2f} m, y {:.2f} m".format(*world.position)
        lines += [
            ("position", where),
            ("moves", "drives" if state.driving else "paused" if state.paused else "stands"),
            ("mode", str(state.operating_mode)),
            ("battery", f"{state.battery_state.battery_charge:.0f} %"),
            ("order", state.order_id or "none"),
            *(("error", f"{error.error_type}: {error.error_description or ''}") for error in state.errors),
            ("skills", ", ".join(core.skills)),
        ]
    return [*lines, ("command", _unfit(robot) or "it can be commanded")]
