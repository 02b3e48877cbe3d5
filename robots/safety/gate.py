"""The safety gate: every command to a robot passes here, and nothing else can send one.

Pure and synchronous: no language model, no sockets, no clock (time comes in as monotonic seconds). The gate judges
twice: a *call* when the model makes it (allow-list, arguments, rate, confirmation), and each *release* of the task that
carries it out when it is about to be sent (fence, speed, length of the base, fitness of the robot, latch). It knows no
protocol: an adapter writes what was judged, and reads back what it wrote before it sends it. What the gate decides goes
to the audit log first; when the log cannot be written no motion passes. Stops always pass.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from enum import StrEnum
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from robots.errors import AuditFailed
from robots.facts.fitness import PositionUnknown
from robots.facts.refusals import (
    ActionNotAdmitted,
    AnswerLate,
    BaseTooLong,
    BatteryLow,
    CallRepeated,
    CallStale,
    CallsTooMany,
    CommandsWait,
    NothingToResume,
    OffMap,
    OnlyUserConfirms,
    OrderNotAdmitted,
    QuestionNotOpen,
    RobotUnheard,
    SkillForbidden,
    StillHeld,
    StillStopped,
    TooFast,
    UserDeclined,
    WayLeavesFence,
)
from robots.geometry import path_length
from robots.safety.publisher import Publisher
from robots.skills import PLACE, STOP, TOLD, BadCall, Skill, SkillCall, check_arguments
from robots.terms.commands import Inquiry, StopCommand, Unpause
from robots.untrusted import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from robots.facts.fact import Fact
    from robots.geometry import Point
    from robots.site import Site
    from robots.terms.commands import Deed, Release, RobotCommand, Wanted
    from robots.terms.world import World

ANSWER_WITHIN_S: Final = 60.0
"""A yes later than this answers nothing."""
REMEMBERED_CALLS: Final = 1024
"""Call ids kept to refuse a second execution."""
_MINUTE_S: Final = 60.0
_ROUNDING_M: Final = 1e-6


class Source(StrEnum):
    """Where words come from. What the model, a robot or a document says never confirms anything."""

    USER = "user"
    MODEL = "model"


class Latch(StrEnum):
    """Why nothing may move."""

    HELD = "held"
    """A pause or an outage: the task is kept and may go on after a confirmed resume."""
    STOPPED = "stopped"
    """A stop: the task is gone; a resume only opens the gate for new ones."""


@dataclass(frozen=True, slots=True)
class Refused:
    """The gate says no. The reason tells the model what would be allowed."""

    reason: Fact


@dataclass(frozen=True, slots=True)
class Admitted:
    """A call that may become a task or a deed; its ticket is the name under which the robot gets it."""

    call: SkillCall
    ticket: str


@dataclass(frozen=True, slots=True)
class Resumed:
    """The latch is open; `after` says what it was."""

    after: Latch


@dataclass(frozen=True, slots=True)
class Question:
    """Something that the user has to say yes to."""

    question_id: str
    asked_at: float
    """Monotonic s."""
    call: SkillCall | None = None
    """None: the question is whether to resume."""


@dataclass(slots=True)
class Gate:
    """Judges the commands to one robot."""

    robot: str
    """Name of the robot, for questions and the audit log."""
    site: Site
    audit: Callable[[Mapping[str, object]], None]
    """Takes one record; raises `AuditFailed` where it cannot keep it."""
    publisher: Publisher = field(default_factory=Publisher)
    epoch: int = 1
    latch: Latch | None = None
    _tickets: dict[str, SkillCall] = field(default_factory=dict)
    _seen: deque[str] = field(default_factory=lambda: deque(maxlen=REMEMBERED_CALLS))
    _recent: deque[float] = field(default_factory=deque)
    _question: Question | None = None
    _stopped_with: str = ""
    """Id of the stop recorded last: repetitions are not recorded."""

    def admit(
        self, call: SkillCall, skills: Mapping[str, Skill], world: World, now: float
    ) -> Admitted | Question | Refused:
        """Judge a call of the model: it passes, it needs a yes, or it is refused."""
        if call.skill == STOP:
            return self._admit(call, now)
        problem = next(self._call_problems(call, skills, world, now), None)
        if problem is not None:
            return self._refuse("call", problem, now, call=call.call_id, skill=call.skill)
        self._seen.append(call.call_id)
        self._recent.append(now)
        if self.site.limits.asks(call.skill, call.arguments.get(PLACE)):
            self._question = Question(f"q{self.epoch}-{call.call_id}", now, call)
            facts = {"skill": call.skill, "arguments": dict(call.arguments)}
            refused = self._record("ask", now, question=self._question.question_id, **facts)
            return refused or self._question
        return self._admit(call, now)

    def ask_to_resume(self, now: float) -> Question | Refused:
        """Return the question whose yes opens the latch."""
        if self.latch is None:
            return Refused(NothingToResume(self.robot))
        self._question = Question(f"q{self.epoch}-resume-{now:.3f}", now)
        return self._record("ask", now, question=self._question.question_id) or self._question

    def answer(self, question_id: str, *, yes: bool, by: Source, now: float) -> Admitted | Resumed | Refused:
        """Take the answer to the open question; only the user's own, given in time, counts."""
        question, problem = self._question, self._answer_problem(question_id, yes=yes, by=by, now=now)
        if question is None or problem is not None:
            return self._refuse("answer", problem or QuestionNotOpen(), now, question=question_id)
        self._question = None
        return self._open(now) if question.call is None else self._admit(question.call, now)

    def release(self, release: Release, world: World, now: float) -> Refused | None:
        """Send how far a task may be carried out, if it keeps all limits."""
        problem = next(self._release_problems(release, world, now), None)
        facts = {"ticket": release.ticket, "number": release.number, "points": len(release.points)}
        if problem is not None:
            return self._refuse("release", problem, now, **facts)
        return self._record("release", now, **facts) or self._put(release, now)

    def act(self, deed: Deed, world: World, now: float) -> Refused | None:
        """Send a deed that was admitted as a call."""
        facts = {"skill": deed.skill, "ticket": deed.ticket}
        if self.latch is not None:
            return self._refuse("act", self._latched(), now, **facts)
        problem = self._deed_problem(deed, self._tickets.get(deed.ticket)) or world.unfit(now, self.site.limits)
        if problem is not None:
            return self._refuse("act", problem, now, **facts)
        return self._record("act", now, **facts) or self._put(deed, now)

    def inquire(self, wanted: Wanted, command_id: str, now: float) -> None:
        """Ask the robot for its report or for what it can do."""
        self._put(Inquiry(wanted, command_id), now)

    def unpause(self, command_id: str, now: float) -> Refused | None:
        """End the robot's pause; only while no latch is set."""
        if self.latch is not None:
            return self._refuse("unpause", self._latched(), now, id=command_id)
        return self._record("unpause", now, id=command_id) or self._put(Unpause(command_id), now)

    def stop(self, command: StopCommand, now: float) -> None:
        """Send a step of a stop; nothing can refuse it."""
        self.publisher.put_stop(command)
        if command.command_id != self._stopped_with:
            self._stopped_with = command.command_id
            self._record("stop", now, step=command.step, id=command.command_id)

    def keep(self, event: str, fact: Fact, now: float, **facts: object) -> None:
        """Write into the audit log what the robot's messages were taken for; nothing depends on it."""
        self._record(event, now, why=fact.record(), **facts)

    def close(self, latch: Latch, why: str, now: float) -> None:
        """Set the latch and drop what waits. STOPPED also makes every earlier call stale."""
        dropped = self.publisher.drop_motions()
        self._question = None
        if latch is Latch.STOPPED or self.latch is None:
            self.latch = latch
        if latch is Latch.STOPPED:
            self.epoch += 1
            self._tickets.clear()
        self._record("latch", now, latch=self.latch, epoch=self.epoch, dropped=dropped, why=why)

    def _answer_problem(self, question_id: str, *, yes: bool, by: Source, now: float) -> Fact | None:
        question = self._question
        if question is None or question.question_id != question_id:
            return QuestionNotOpen()
        if by is not Source.USER:
            return OnlyUserConfirms()
        if not question.asked_at < now <= question.asked_at + ANSWER_WITHIN_S:
            self._question = None
            return AnswerLate()
        if not yes:
            self._question = None
            return UserDeclined()
        return None

    def _open(self, now: float) -> Resumed | Refused:
        latch = self.latch
        if latch is None:
            return Refused(NothingToResume(self.robot))
        refused = self._record("resume", now, after=latch)
        if refused:
            return refused
        self.latch = None
        self.epoch += latch is Latch.STOPPED
        return Resumed(latch)

    def _call_problems(self, call: SkillCall, skills: Mapping[str, Skill], world: World, now: float) -> Iterator[Fact]:
        limits = self.site.limits
        if self.latch is not None:
            yield self._latched()
        if call.epoch != self.epoch:
            yield CallStale()
        if call.call_id in self._seen:
            yield CallRepeated()
        if limits.allow is not None and call.skill not in limits.allow:
            yield SkillForbidden(plain(call.skill, TOLD), tuple(sorted(limits.allow)))
        try:
            check_arguments(call, skills)
        except BadCall as bad:
            yield bad.fact
        unfit = world.unfit(now, limits)
        if unfit is not None:
            yield unfit
        elif world.report and world.report.battery_percent < limits.min_battery_percent:
            yield BatteryLow(round(world.report.battery_percent))
        while self._recent and self._recent[0] <= now - _MINUTE_S:
            self._recent.popleft()
        if len(self._recent) >= limits.calls_per_minute:
            yield CallsTooMany(limits.calls_per_minute)

    def _release_problems(self, release: Release, world: World, now: float) -> Iterator[Fact]:
        limits = self.site.limits
        if self.latch is not None:
            yield self._latched()
        call = self._tickets.get(release.ticket)
        if call is None:
            yield OrderNotAdmitted()
            return
        unfit = world.unfit(now, limits)
        if unfit is not None or world.position is None:
            yield unfit or PositionUnknown()
            return
        points = release.points
        if release.map != self.site.map or not all(math.isfinite(x + y) for x, y in points):
            yield OffMap(plain(release.map, TOLD), self.site.map)
        problem = None if release.deed is None else self._deed_problem(release.deed, call)
        if problem is not None:
            yield problem
        for a, b in pairwise([world.position, *points] if release.number == 0 else points):
            if not self.site.clear(a, b):
                yield WayLeavesFence(*(round(value, 1) for value in (*a, *b)))
        if not release.max_speed_m_s <= limits.max_speed_m_s:
            yield TooFast(limits.max_speed_m_s)
        yield from self._base_problems([world.position, *points[: release.free]], now - world.report_at)

    def _deed_problem(self, deed: Deed, call: SkillCall | None) -> Fact | None:
        """Return what is wrong with a deed: it is the call that was admitted, to the letter."""
        wanted = {} if call is None else {key: value for key, value in call.arguments.items() if key != PLACE}
        same = call is not None and self._tickets.get(deed.ticket) is call and deed.skill == call.skill
        return None if same and deed.arguments == wanted else ActionNotAdmitted(plain(deed.skill, TOLD))

    def _base_problems(self, base: Sequence[Point], silence_s: float) -> Iterator[Fact]:
        """Judge the released way from where the robot stands, and whether it may be released now."""
        limits = self.site.limits
        if path_length(base) > limits.base_m + _ROUNDING_M:
            yield BaseTooLong(round(path_length(base), 2), round(limits.base_m, 2))
        # A robot that stands reports seldom; but on a connection that is stuck, what is sent now would arrive late.
        # The first two points are where it stands and the first one of the way.
        if len(base) > 2 and silence_s > limits.state_age_s:
            yield RobotUnheard(round(silence_s))

    def _admit(self, call: SkillCall, now: float) -> Admitted | Refused:
        ticket = f"e{self.epoch}-{call.call_id}"
        refused = self._record("admit", now, ticket=ticket, skill=call.skill, arguments=dict(call.arguments))
        if refused:
            return refused
        self._tickets[ticket] = call
        return Admitted(call, ticket)

    def _latched(self) -> Fact:
        return StillStopped(self.robot) if self.latch is Latch.STOPPED else StillHeld(self.robot)

    def _put(self, command: RobotCommand, now: float) -> Refused | None:
        if self.publisher.put(command, now):
            return None
        return Refused(CommandsWait())

    def _refuse(self, what: str, why: Fact, now: float, **facts: object) -> Refused:
        self._record("refuse", now, what=what, why=why.record(), **facts)
        return Refused(why)

    def _record(self, event: str, now: float, **facts: object) -> Refused | None:
        """Write the audit log; return the refusal that follows where it cannot be written."""
        try:
            self.audit({"event": event, "robot": self.robot, "t": round(now, 3), "epoch": self.epoch, **facts})
        except AuditFailed as error:
            return Refused(error.fact)
        return None
