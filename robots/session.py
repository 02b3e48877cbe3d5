"""A robot under command for as long as a block lasts: link, clock and `robots.core.robot.Robot` in one task group.

The shell around the sans-I/O core. It renews the lease for as long as its event loop turns; a hung or dead program
extends no base, and the broker pauses the robot by the link's last will.
"""

from __future__ import annotations

import asyncio
import time
import uuid
from contextlib import aclosing, asynccontextmanager, suppress
from typing import TYPE_CHECKING, Final, TypeVar

from robots.core.robot import Robot
from robots.events import Happening
from robots.facts.link import NoAnswerYet
from robots.facts.tasks import CommanderLeaves
from robots.protocols.vda5050.codec import Vda5050
from robots.protocols.vda5050.link import Denied, Link, LinkDown, LinkUp, Unreadable
from robots.safety.gate import Gate
from robots.site import NOWHERE
from robots.transport.mqtt import end

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Callable, Mapping

    from robots.core.world import World
    from robots.events import Event
    from robots.facts.fact import Fact
    from robots.protocols.vda5050.codec import Address, Codec
    from robots.safety.gate import Admitted, Latch, Question, Refused, Resumed, Source
    from robots.site import Site
    from robots.skills import Skill, SkillCall
    from robots.transport.mqtt import Broker

T = TypeVar("T")

TICK_S: Final = 0.1
FAREWELL_S: Final = 3.0
"""How long leaving waits for a driving robot to pause, s; the last will does it otherwise."""


class RobotSession:
    """A `RobotPort` with a clock and a connection; made by `command_robot`."""

    def __init__(self, robot: Robot, link: Link) -> None:
        self.robot = robot
        self._link = link
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
                match event:
                    case LinkUp():
                        self.robot.linked(up=True, why=None, now=now)
                    case LinkDown(why):
                        self.robot.linked(up=False, why=why, now=now)
                    case Denied(why):
                        self.robot.denied(why, now)
                    case Unreadable(why):
                        self.robot.refused(why, now)
                    case received:
                        self.robot.receive(received, now)
                self._pass_on()

    async def keep_time(self) -> None:
        """Renew the lease and let the core do what is due, for ever."""
        while True:
            now = time.monotonic()
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

    def _now(self, deed: Callable[[float], T]) -> T:
        result = deed(time.monotonic())
        self._pass_on()
        return result

    def _pass_on(self) -> None:
        while self.robot.events:
            if self._events.full():
                self._events.get_nowait()
            self._events.put_nowait(self.robot.events.popleft())


@asynccontextmanager
async def command_robot(
    *,
    broker: Broker,
    address: Address,
    site: Site,
    audit: Callable[[Mapping[str, object]], None],
    codec: Codec | None = None,
) -> AsyncIterator[RobotSession]:
    """Command a robot while the block lasts.

    Leaving pauses the robot if it has something to do, and otherwise leaves it as it is.

    Raises:
        BadSetting: a password or certificate file cannot be used; the group of exceptions of the block holds it.

    """
    gate = Gate(address.serial_number, site, audit)
    robot = Robot(address.serial_number, gate, _new_id)
    robot.world.unlinked = NoAnswerYet(str(broker))
    link = Link(broker, address, codec or Vda5050(), gate.publisher, time.monotonic, _new_id)
    session = RobotSession(robot, link)
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


async def stop_robot(broker: Broker, address: Address, codec: Codec | None = None) -> Event:
    """Stop a robot, whoever commands it, and return what became of it: STOPPED, UNCONFIRMED or DENIED.

    The stop goes out as soon as the broker is reached, whether or not the robot can be seen; a commander that is
    connected takes it for its own. Nothing here can make the robot move again.

    Raises:
        BadSetting: a password or certificate file cannot be used; a group of exceptions holds it.

    """
    async with command_robot(
        broker=broker, address=address, site=NOWHERE, audit=lambda _: None, codec=codec
    ) as session:
        session.stop("from outside")
        async for event in session.events():
            if event.happening in {Happening.STOPPED, Happening.UNCONFIRMED, Happening.DENIED}:
                return event
    raise AssertionError("events end only with their session")


def _new_id() -> str:
    return uuid.uuid4().hex
