"""One robot under command: calls become tasks, reports become events, stop wins. Sans-I/O.

`Robot` wires the gate, the task, the stop sequence and the world picture. It owns no socket and no clock, and knows no
protocol: an adapter's news and monotonic seconds come in, commands leave through the gate's publisher, and `events`
tells what happened as codes and facts.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from robots.core.asking import Asking
from robots.core.instants import InstantActionsUnderWay
from robots.core.motion import MotionWatch
from robots.core.planning import deed_of, plan_of
from robots.core.role import CommandRole
from robots.core.tasks import TaskPhase, TaskRun
from robots.core.unpausing import Unpausing
from robots.events import Event, Happening
from robots.facts.fitness import CommandsDenied, EmergencyStop
from robots.facts.messages import MessageOvertaken
from robots.facts.refusals import ForeignOrder, StopUnconfirmed, TasksTooMany
from robots.facts.tasks import (
    CommandsUnanswered,
    LinkLostTo,
    NoLinkTo,
    NoWay,
    OthersCommand,
    PausedThere,
    ResumeUnconfirmed,
    RobotOffline,
    RobotSilent,
    ToldToStop,
)
from robots.safety.gate import Admitted, Gate, Latch, Question, Refused, Resumed, Source
from robots.safety.stop import CANCEL_STEPS, HOLD_STEPS, STOP_STEPS, Outcome, StopSequence
from robots.site import NOWHERE
from robots.skills import STOP, Skill, SkillCall, shortfall, skills_of
from robots.terms.capabilities import SkillScope
from robots.terms.heard import (
    About,
    Denied,
    Described,
    Intent,
    LinkDown,
    LinkUp,
    Overheard,
    Presented,
    Reported,
    Unreadable,
)
from robots.terms.report import Presence
from robots.terms.world import World

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from robots.core.instants import InstantEnd
    from robots.facts.fact import Fact
    from robots.facts.messages import ValueRead
    from robots.terms.capabilities import Capabilities
    from robots.terms.heard import RobotNews
    from robots.terms.report import RobotReport

QUEUE: Final = 8
"""Tasks that may wait for the one being carried out."""
LEASE_S: Final = 1.5
"""The base is extended only if `renew` was called this recently, s."""
RETRY_S: Final = 0.5
"""A release that the gate refused is not made again sooner, s."""
MISREAD_KEPT: Final = 64
"""Unknown words of a robot that are told; further ones are read as carefully and told no more."""


@dataclass(slots=True)
class Robot:
    """The commander of one robot."""

    name: str
    gate: Gate
    new_id: Callable[[], str]
    """Makes unique identifiers."""
    role: CommandRole = CommandRole.COMMANDER
    world: World = field(default_factory=World)
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=256))
    """Taken from the left by whoever listens."""
    task: TaskRun | None = None
    stopping: StopSequence | None = None
    _call: Admitted | None = None
    _queue: deque[Admitted] = field(default_factory=deque)
    _instants: InstantActionsUnderWay = field(default_factory=InstantActionsUnderWay)
    _asking: Asking = field(default_factory=Asking)
    _lease: float = -math.inf
    _unpausing: Unpausing | None = None
    _motion: MotionWatch = field(default_factory=MotionWatch)
    _refused_at: float = -math.inf
    _released_at: float = -math.inf
    _last_why: Fact | None = None
    """Why the link could not be made; told once."""
    _held_by: Fact | None = None
    """Why the robot is being paused."""
    _described: Capabilities | None = None
    """What the robot said last that it can do."""
    _misread: set[tuple[str, str]] = field(default_factory=set)
    """Unknown words that were told."""

    def __post_init__(self) -> None:
        """Know the map on which positions count."""
        if self.gate.site is not NOWHERE:
            self.world.map_id = self.gate.site.map

    @property
    def skills(self) -> dict[str, Skill]:
        """What can be asked of the robot now."""
        return skills_of(self.world.capabilities, self.gate.site)

    @property
    def idle(self) -> bool:
        """Whether nothing is under way or waits."""
        return self.task is None and not self._queue and not self._instants.actions

    # What comes in --------------------------------------------------------------------------------------------------

    def linked(self, *, up: bool, why: Fact | None, now: float) -> None:
        """Take in that the link was made or lost. After an outage nothing moves before a confirmed resume."""
        before = self.world.linked
        if before and up:
            return
        self.world.linked, self.world.denied = up, False
        self.world.unlinked = self.world.unlinked if why is None else why
        if up:
            self._last_why = None
            self._asking.anew()
        elif before:
            self.world.presence = None
            self.world.forget_report()
            self._outage(LinkLostTo(self.name, why) if why is not None else RobotSilent(self.name), now)
        elif why is not None and why != self._last_why:
            self._last_why = why
            self._tell(Happening.OFFLINE, NoLinkTo(self.name, why))

    def denied(self, why: Fact, now: float) -> None:
        """Take in that commands to this robot are not let through: said once, and nothing is under way."""
        if self.world.denied:
            return
        self.world.denied = True
        self._tell(Happening.DENIED, why, self._call)
        self._outage(CommandsDenied(), now)

    def refused(self, message: Unreadable, now: float) -> None:
        """Take in that a message of the robot cannot be used: counted by reason, told once, logged ever more seldom."""
        why, times = message.why, self.world.refuse(message)
        if times == 1 and not isinstance(why, MessageOvertaken):
            self._tell(Happening.REFUSED, why)
        if times & (times - 1) == 0:
            self.gate.keep("unusable", why, now, times=times)
        # The robot may understand what another program sends, though nobody does here.
        if message.about is About.COMMAND:
            self._overhear(Intent.MOVE, now)

    def receive(self, news: RobotNews, now: float) -> None:
        """Take in what an adapter tells."""
        match news:
            case LinkUp():
                self.linked(up=True, why=None, now=now)
            case LinkDown(why):
                self.linked(up=False, why=why, now=now)
            case Denied(why):
                self.denied(why, now)
            case Unreadable():
                self.refused(news, now)
            case Overheard(intent):
                self._overhear(intent, now)
            case Reported() | Presented() | Described():
                self._said(news, now)

    def _said(self, news: Reported | Presented | Described, now: float) -> None:
        before = self.world.presence
        self.world.take(news, now)
        self._tell_misread(news.misread, now)
        match news:
            case Reported(report):
                self._reported(report, now)
            case Presented(presence) if presence is not before:
                self._presented(presence, now)
            case Described(capabilities) if capabilities != self._described:
                self._described = capabilities
                short = shortfall(capabilities, self.gate.site)
                if short is not None:
                    self._tell(Happening.LIMITED, short)
            case _:
                pass

    def renew(self, now: float) -> None:
        """Renew the lease: the agent is alive and still wants what it asked for."""
        self._lease = now + LEASE_S

    # What is asked --------------------------------------------------------------------------------------------------

    def call(self, call: SkillCall, now: float) -> Admitted | Question | Refused:
        """Carry out a call of the model, if the gate admits it."""
        if call.skill == STOP:
            self.stop("model", now)
        elif self._foreign():
            return Refused(ForeignOrder(self.name))
        if len(self._queue) >= QUEUE:
            return Refused(TasksTooMany(QUEUE))
        verdict = self.gate.admit(call, self.skills, self.world, now)
        return self._begin(verdict, now) if isinstance(verdict, Admitted) else verdict

    def answer(self, question_id: str, *, yes: bool, by: Source, now: float) -> Admitted | Resumed | Refused:
        """Take the user's answer to a question of the gate."""
        verdict = self.gate.answer(question_id, yes=yes, by=by, now=now)
        if isinstance(verdict, Admitted):
            return self._begin(verdict, now)
        if isinstance(verdict, Resumed):
            self._unpausing = Unpausing(self.new_id())
            if self.task is not None:
                self.task.resend_allowed()
        return verdict

    def stop(self, why: str, now: float) -> None:
        """Stop, forget all tasks, and stay stopped until a confirmed resume."""
        self.gate.close(Latch.STOPPED, why, now)
        if self._call is not None or self._queue:
            waiting = len(self._queue) - (self._call is None)
            self._tell(Happening.FAILED, ToldToStop(), self._call or self._queue[0], dropped=waiting)
        self.task, self._call, self._unpausing = None, None, None
        self._queue.clear()
        self._instants.actions.clear()
        self.stopping = StopSequence(STOP_STEPS, now, self.new_id)
        self._send_stops(now)

    def hold(self, why: Fact, now: float) -> None:
        """Pause, keep the task, and stay paused until a confirmed resume."""
        if self.gate.latch is Latch.STOPPED:
            return
        self.gate.close(Latch.HELD, why.code, now)
        self._unpausing, self._held_by = None, why
        self.stopping = StopSequence(HOLD_STEPS, now, self.new_id)
        self._send_stops(now)

    def ask_to_resume(self, now: float) -> Question | Refused:
        """Return the question whose yes lets the robot move again."""
        if self.stopping is not None and self.stopping.active and self.world.online:
            return Refused(StopUnconfirmed(self.name))
        return self.gate.ask_to_resume(now)

    def tick(self, now: float) -> None:
        """Do what is due; to be called some ten times a second."""
        self._send_stops(now)
        if not self.world.online:
            return
        self._send_requests(now)
        if self.gate.latch is None:
            self._send_unpause(now)
        self._act(now)
        self._advance(now)
        self._watch(now)

    def _overhear(self, intent: Intent, now: float) -> None:
        """Another program commands the robot: a stop is everybody's right; who moves it is in charge."""
        if intent is Intent.HARMLESS or self.gate.latch is Latch.STOPPED or self.role is CommandRole.BYSTANDER:
            return
        if intent is Intent.STOP:
            self.stop("another program", now)
        else:
            self._hold_back(now)

    def _hold_back(self, now: float) -> None:
        """Leave the robot to the other program that moves it, until a person lets this one go on."""
        first = self.gate.latch is None
        self.gate.close(Latch.HELD, OthersCommand().code, now)
        self._unpausing = None
        if self.task is not None:
            self.task.lost(OthersCommand())
        if first:
            self._tell(Happening.OTHER, about=self._call)

    # How it goes on -------------------------------------------------------------------------------------------------

    def _presented(self, presence: Presence, now: float) -> None:
        if presence is Presence.ONLINE:
            self._asking.anew()
            self._tell(Happening.ONLINE)
            return
        self.world.forget_report()
        self._outage(RobotOffline(self.name), now)

    def _outage(self, why: Fact, now: float) -> None:
        """Nothing is known any more: the task becomes unknown and waits for a person."""
        self._tell_ended(self._instants.outage(why))
        if self.task is not None:
            self.task.lost(why)
            self._tell(Happening.UNKNOWN, why, self._call)
        else:
            self._tell(Happening.OFFLINE, why)
        if self.task is not None or self.stopping is not None or self._queue:
            self.hold(why, now)

    def _reported(self, report: RobotReport, now: float) -> None:
        if report.drives:
            self._motion.begins(now)
        if self.stopping is not None:
            self._follow_stop(self.stopping, report)
        if self._unpausing is not None and self._unpausing.ended(report):
            self._unpausing = None
            self._tell(Happening.RESUMED)
        elif report.paused and self.gate.latch is None and self._unpausing is None and self.stopping is None:
            # By a last will, a button, or another program: it takes a person to end it.
            self.gate.close(Latch.HELD, PausedThere().code, now)
            self._tell(Happening.HELD, PausedThere())
        self._tell_ended(self._instants.follow(report))
        self._act(now)
        if self.task is not None:
            if report.emergency_stop and self.gate.latch is None:
                # Some robots drive on by themselves once it is released.
                self.hold(EmergencyStop(), now)
            self.task.receive(report, now)
            self._judge(self.task, now)
        elif self._foreign() and self.stopping is None and (self.gate.latch is Latch.STOPPED or self._unpausing):
            # A task that was on its way when the stop was confirmed.
            self.stopping = StopSequence(STOP_STEPS, now, self.new_id)

    def _foreign(self) -> bool:
        """Whether the robot has a task that is not the present one."""
        report = self.world.report
        ours = self.task.plan.ticket if self.task else None
        return report is not None and bool(report.ahead) and report.task != ours

    def _follow_stop(self, stopping: StopSequence, report: RobotReport) -> None:
        stopping.receive(report)
        if stopping.outcome is not Outcome.STOPPED:
            return
        self.stopping = None
        if self.gate.latch is Latch.STOPPED:
            self._tell(Happening.STOPPED)
        elif self.gate.latch is Latch.HELD:
            self._tell(Happening.HELD, self._held_by)

    def _judge(self, task: TaskRun, now: float) -> None:
        call = self._call
        if not task.phase.ended or call is None:
            return
        self.task, self._call = None, None
        if task.phase is TaskPhase.DONE:
            self._tell(Happening.DONE, about=call)
            return
        dropped = len(self._queue)
        self._queue.clear()
        self._tell(Happening.FAILED, task.reason, call, dropped=dropped)
        if task.needs_stop and self.gate.latch is None:
            self.stop("" if task.reason is None else task.reason.code, now)
        elif task.needs_cancel and self.stopping is None:
            self.stopping = StopSequence(CANCEL_STEPS, now, self.new_id)

    def _begin(self, admitted: Admitted, now: float) -> Admitted | Refused:
        call = admitted.call
        if call.skill == STOP:
            return admitted
        if self.skills[call.skill].scope is SkillScope.AT_ONCE:
            self._instants.add(admitted, now)
            self._send_requests(now)
            return admitted
        self._queue.append(admitted)
        self._advance(now)
        return admitted

    def _act(self, now: float) -> None:
        """Send the instant actions that were asked for before the newest report."""
        for admitted in self._instants.ready(self.world.report_at):
            refused = self.gate.act(deed_of(admitted), self.world, now)
            if refused is None:
                self._instants.sent(admitted, now)
            else:
                self._tell_ended([self._instants.refused(admitted, refused.reason)])

    def _advance(self, now: float) -> None:
        """Begin the next task, or send what the present one has due; not while a stop or a resume is under way."""
        if self.gate.latch is not None or self._unpausing is not None or self.stopping is not None:
            return
        if self.task is None and self._queue and self.world.report is not None and not self.world.report.ahead:
            self._call = self._queue.popleft()
            self._start(self._call, now)
        task = self.task
        if task is None or now < self._refused_at + RETRY_S or self.world.unfit(now, self.gate.site.limits):
            return
        release = task.due(self.world.position, now, extend=now < self._lease)
        if task.phase is TaskPhase.UNKNOWN:
            # It is fit, so that it reports: what is sent to it does not arrive, or is not answered.
            self._outage(CommandsUnanswered(self.name), now)
        if release is None:
            return
        refused = self.gate.release(release, self.world, now)
        if refused is None:
            task.sent(release, self.world.report, now)
            self._released_at = now
            self._motion.released(now)
        elif release.number == 0:
            task.fail(refused.reason, cancel=task.begun)
            self._judge(task, now)
        else:
            self._refused_at = now

    def _start(self, admitted: Admitted, now: float) -> None:
        skill = self.skills[admitted.call.skill]
        plan = plan_of(admitted, skill, self.gate.site, self.world)
        if plan is None:
            self._call = None
            self._queue.clear()
            self._tell(Happening.FAILED, NoWay(), admitted)
            return
        self.task = TaskRun(plan)
        self._motion.begins(now)
        self._tell(Happening.STARTED, about=admitted)

    # What is sent ---------------------------------------------------------------------------------------------------

    def _send_stops(self, now: float) -> None:
        if self.stopping is None:
            return
        before = self.stopping.outcome
        for send in self.stopping.due(now):
            self.gate.stop(send, now)
        if self.stopping.outcome is Outcome.UNCONFIRMED and before is Outcome.PENDING:
            self._tell(Happening.UNCONFIRMED, self.world.unheard(now, self.gate.site.limits))

    def _send_requests(self, now: float) -> None:
        busy = self.task is not None or self.stopping is not None
        wanted = self._asking.due(self.world, now, busy=busy, waited=self._instants.waiting)
        if wanted is not None:
            self.gate.inquire(wanted, self.new_id(), now)

    def _send_unpause(self, now: float) -> None:
        unpausing = self._unpausing
        if unpausing is None or self.stopping is not None or not unpausing.due(now, self._released_at):
            return
        if unpausing.given_up:
            self._unpausing = None
            self.hold(ResumeUnconfirmed(), now)
            self._tell(Happening.HELD, ResumeUnconfirmed())
            return
        self.gate.unpause(unpausing.command_id, now)
        unpausing.sent(now)

    def _watch(self, now: float) -> None:
        """Notice instant actions that are never listed, a robot that is silent, and one that stands in its way."""
        self._tell_ended(self._instants.overdue(now))
        if self.task is None or self.gate.latch is not None:
            return
        if self._motion.silent(self.world.report_at, now):
            self._outage(RobotSilent(self.name), now)
        elif self._motion.blocked(self.world.report, now):
            self._tell(Happening.BLOCKED, about=self._call)

    def _tell_ended(self, ends: Sequence[InstantEnd]) -> None:
        for end in ends:
            self._tell(end.happening, end.reason, end.admitted)

    def _tell_misread(self, read: Sequence[ValueRead], now: float) -> None:
        """Name each unknown word of the robot once."""
        for one in read:
            if (one.field, one.value) not in self._misread and len(self._misread) < MISREAD_KEPT:
                self._misread.add((one.field, one.value))
                self._tell(Happening.MISREAD, one)
                self.gate.keep("misread", one, now)

    def _tell(
        self, happening: Happening, why: Fact | None = None, about: Admitted | None = None, *, dropped: int = 0
    ) -> None:
        self.events.append(Event(happening, why, about.call if about else None, dropped))
