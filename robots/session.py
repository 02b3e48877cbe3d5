"""A robot under command for as long as a block lasts: link, clock and `robots.core.robot.Robot` in one task group.

The shell around the sans-I/O core. It renews the leases for as long as its event loop turns: a hung or dead program
extends no base, its warden pauses the robot (`robots.lease`), and so does the broker by the link's last will.
"""

from __future__ import annotations

import asyncio
import math
import time
import uuid
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, TypeVar

from robots.core.robot import Robot
from robots.core.role import CommandRole
from robots.ending import end
from robots.events import Happening
from robots.facts.link import NoAnswerYet
from robots.facts.tasks import CommanderFroze, CommanderLeaves, WardenGone
from robots.lease import LAPSE_S
from robots.safety.gate import Gate
from robots.site import NOWHERE

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from robots.events import Event
    from robots.facts.fact import Fact
    from robots.lease import Lease
    from robots.protocols.contract import ProtocolAdapter, RobotLink
    from robots.safety.gate import Admitted, Latch, Question, Refused, Resumed, Source
    from robots.site import Site
    from robots.skills import Skill, SkillCall
    from robots.terms.world import World

T = TypeVar("T")

TICK_S: Final = 0.1
FAREWELL_S: Final = 3.0
"""How long leaving waits for a driving robot to pause, s; the last will does it otherwise."""


class RobotSession:
    """A `RobotPort` with a clock and a connection; made by `command_robot`."""

    def __init__(self, robot: Robot, link: RobotLink, lease: Lease | None = None) -> None:
        self.robot = robot
        self._link, self._lease = link, lease
        self._wardens_lost = 0
        self._lived_at = math.inf
        """When this program was known to live last, monotonic s."""
        self._events: asyncio.Queue[Event] = asyncio.Queue(maxsize=256)
        self._standing = asyncio.Event()

    @property
    def name(self) -> str:
        """What the robot is called."""
        return self.robot.name

    @property
    def site(self) -> Site:
        """Where it may go, and within which limits."""
        return self.robot.gate.site

    @property
    def skills(self) -> Mapping[str, Skill]:
        """What can be asked of it now, by name."""
        return self.robot.skills

    @property
    def epoch(self) -> int:
        """Counts the stops."""
        return self.robot.gate.epoch

    @property
    def latch(self) -> Latch | None:
        """Why nothing may move."""
        return self.robot.gate.latch

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, waits or is being stopped."""
        return self.robot.idle and self.robot.stopping is None

    @property
    def world(self) -> World:
        """What is known of the robot."""
        return self.robot.world

    def unfit(self) -> Fact | None:
        """Return why it cannot be commanded to move now, or None."""
        return self.robot.world.unfit(time.monotonic(), self.site.limits)

    def new_id(self) -> str:
        """Return a fresh identifier, for a `SkillCall`."""
        return self.robot.new_id()

    def execute(self, call: SkillCall) -> Admitted | Question | Refused:
        """Carry out a call, if the gate admits it."""
        return self._now(lambda now: self.robot.call(call, now))

    def stop(self, why: str) -> None:
        """Stop, and stay stopped; returns at once, the outcome comes as an event."""
        self._now(lambda now: self.robot.stop(why, now))

    def hold(self, why: Fact) -> None:
        """Pause, and keep the task."""
        self._now(lambda now: self.robot.hold(why, now))

    def resume(self) -> Question | Refused:
        """Return the question whose yes lets the robot move again."""
        return self._now(self.robot.ask_to_resume)

    def answer(self, question_id: str, *, yes: bool, by: Source) -> Admitted | Resumed | Refused:
        """Take the user's answer to a question."""
        return self._now(lambda now: self.robot.answer(question_id, yes=yes, by=by, now=now))

    async def events(self) -> AsyncIterator[Event]:
        """Yield what happens to the robot; one reader."""
        while True:
            yield await self._events.get()

    async def follow_link(self) -> None:
        """Take in what the link yields, for ever.

        Raises:
            BadSetting: a password or certificate file cannot be used.

        """
        async with aclosing(self._link.events()) as happenings:
            async for event in happenings:
                now = time.monotonic()
                self._look_at_lease(now)
                self.robot.receive(event, now)
                self._pass_on()

    async def keep_time(self) -> None:
        """Renew the lease and let the core do what is due, for ever."""
        while True:
            now = time.monotonic()
            self._look_at_lease(now)
            if self._lease is not None:
                self._lease.renew(busy=not self.idle)
            self.robot.renew(now)
            self.robot.tick(now)
            self._pass_on()
            if self.robot.stopping is None or not self.robot.world.linked:
                self._standing.set()
            else:
                self._standing.clear()
            await asyncio.sleep(TICK_S)

    async def leave(self) -> None:
        """Leave nothing driving behind: pause what moves, and part in peace only when it stands."""
        if not self.robot.idle:
            self.hold(CommanderLeaves())
            self._standing.clear()
        with suppress(TimeoutError):
            async with asyncio.timeout(FAREWELL_S):
                await self._standing.wait()
        self._link.part_in_peace = self.robot.stopping is None

    def _look_at_lease(self, now: float) -> None:
        """Hold the robot where this program was frozen, or lost its warden; what is due comes after that."""
        if self._lease is None:
            return
        froze = now > self._lived_at + LAPSE_S
        lost = self._lease.lost > self._wardens_lost
        self._lived_at, self._wardens_lost = now, self._lease.lost
        if (froze or lost) and not self.robot.idle:
            self.robot.hold(CommanderFroze() if froze else WardenGone(), now)

    def _now(self, deed: Callable[[float], T]) -> T:
        now = time.monotonic()
        self._look_at_lease(now)
        result = deed(now)
        self._pass_on()
        return result

    def _pass_on(self) -> None:
        while self.robot.events:
            if self._events.full():
                self._events.get_nowait()
            self._events.put_nowait(self.robot.events.popleft())


def _new_id() -> str:
    return uuid.uuid4().hex


@asynccontextmanager
async def command_robot(
    adapter: ProtocolAdapter,
    *,
    site: Site,
    audit: Callable[[Mapping[str, object]], None],
    role: CommandRole = CommandRole.COMMANDER,
    lease: Lease | None = None,
    new_id: Callable[[], str] = _new_id,
) -> AsyncIterator[RobotSession]:
    """Command a robot while the block lasts; `lease`: what is renewed for as long as this program lives.

    Leaving pauses the robot if it has something to do, and otherwise leaves it as it is.

    Raises:
        BadSetting: a password or certificate file cannot be used; the group of exceptions of the block holds it.

    """
    gate = Gate(adapter.name, site, audit)
    robot = Robot(adapter.name, gate, new_id, role)
    robot.world.unlinked = NoAnswerYet(adapter.reached_at)
    session = RobotSession(robot, adapter.link(gate.publisher, time.monotonic, new_id), lease)
    async with asyncio.TaskGroup() as group:
        tasks = [
            group.create_task(session.follow_link(), name="robot link"),
            group.create_task(session.keep_time(), name="robot clock"),
        ]
        try:
            yield session
        finally:
            await session.leave()
            await end(*tasks)


async def stop_robot(adapter: ProtocolAdapter) -> Event:
    """Stop a robot, whoever commands it, and return what became of it: STOPPED, UNCONFIRMED or DENIED.

    The stop goes out as soon as the robot's network is reached, whether or not the robot can be seen; a commander that
    is connected takes it for its own. Nothing here can make the robot move again.

    Raises:
        BadSetting: a password or certificate file cannot be used; a group of exceptions holds it.

    """
    async with command_robot(adapter, site=NOWHERE, audit=lambda _: None, role=CommandRole.BYSTANDER) as session:
        session.stop("from outside")
        async for event in session.events():
            if event.happening in {Happening.STOPPED, Happening.UNCONFIRMED, Happening.DENIED}:
                return event
    raise AssertionError("events end only with their session")
