"""All that an agent sees of a robot: what can be asked of it, asking, stopping, letting it go on, what happens to it.

No name of a protocol, a broker or a message stands here. `robots.session.RobotSession` is what an agent is given.
"""

from __future__ import annotations

from typing import TYPE_CHECKING, Protocol

if TYPE_CHECKING:
    from collections.abc import AsyncIterator, Mapping

    from robots.events import Event
    from robots.facts.fact import Fact
    from robots.safety.gate import Admitted, Latch, Question, Refused, Resumed, Source
    from robots.site import Site
    from robots.skills import Skill, SkillCall
    from robots.terms.world import World


class RobotPort(Protocol):
    """One robot."""

    @property
    def name(self) -> str:
        """What it is called."""
        ...

    @property
    def site(self) -> Site:
        """Where it may go, and within which limits."""
        ...

    @property
    def skills(self) -> Mapping[str, Skill]:
        """What can be asked of it now, by name."""
        ...

    @property
    def epoch(self) -> int:
        """Counts the stops: a call of an earlier epoch is refused."""
        ...

    @property
    def latch(self) -> Latch | None:
        """Why nothing may move; None: it may."""
        ...

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, waits or is being stopped."""
        ...

    @property
    def world(self) -> World:
        """What is known of it; to be looked at only."""
        ...

    def unfit(self) -> Fact | None:
        """Return why it cannot be commanded to move now, or None."""
        ...

    def new_id(self) -> str:
        """Return a fresh identifier, for a `SkillCall`."""
        ...

    def execute(self, call: SkillCall) -> Admitted | Question | Refused:
        """Carry out a call, if the gate admits it; what becomes of it comes as events."""
        ...

    def stop(self, why: str) -> None:
        """Stop, and stay stopped; returns at once, the outcome comes as an event."""
        ...

    def hold(self, why: Fact) -> None:
        """Pause, and keep the task."""
        ...

    def resume(self) -> Question | Refused:
        """Return the question whose yes lets the robot move again."""
        ...

    def answer(self, question_id: str, *, yes: bool, by: Source) -> Admitted | Resumed | Refused:
        """Take the user's answer to a question."""
        ...

    def events(self) -> AsyncIterator[Event]:
        """Yield what happens to the robot, for ever; one reader."""
        ...
