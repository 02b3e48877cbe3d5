"""One robot under command: calls become orders, states become events, stop wins. Sans-I/O.

`Robot` wires the gate, the task, the stop sequence and the world picture. It owns no socket and no clock: messages and
monotonic seconds come in, commands leave through the gate's publisher, and `events` tells what happened as codes and
facts.
"""

from __future__ import annotations

import math
from collections import deque
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Final

from robots.core.instants import InstantActionsUnderWay
from robots.core.planning import action_of, plan_of
from robots.core.tasks import OrderPhase, OrderTask
from robots.core.world import World
from robots.events import Event, Happening
from robots.facts.fitness import CommandsDenied, EmergencyStop
from robots.facts.messages import MessageOvertaken
from robots.facts.refusals import ForeignOrder, StopUnconfirmed, TasksTooMany
from robots.facts.tasks import (
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
from robots.protocols.vda5050.codec import COMMAND_TOPICS
from robots.protocols.vda5050.messages import (
    ActionStatus,
    Connection,
    ConnectionState,
    EStop,
    InstantActions,
    Order,
    State,
)
from robots.safety.gate import HARMLESS, Admitted, Gate, Latch, Question, Refused, Resumed, Source
from robots.safety.packet import WILL
from robots.safety.stop import CANCEL_STEPS, HOLD_STEPS, STOP_STEPS, Outcome, StopSequence, StopStep, refuses
from robots.site import NOWHERE
from robots.skills import STOP, Skill, SkillCall, SkillScope, skills_of

if TYPE_CHECKING:
    from collections.abc import Callable, Sequence

    from robots.core.instants import InstantEnd
    from robots.facts.fact import Fact
    from robots.facts.messages import ValueRead
    from robots.protocols.vda5050.codec import Received

QUEUE: Final = 8
"""Tasks that may wait for the one being carried out."""
LEASE_S: Final = 1.5
"""The base is extended only if `renew` was called this recently, s."""
ASK_STATE_S: Final = 1.5
"""A driving robot that is silent this long is asked for its state, s."""
SILENT_S: Final = 5.0
"""A robot with a task that is silent this long, although asked, is lost, s."""
BLOCKED_S: Final = 5.0
"""A robot with a free base that stands this long is reported as blocked, s."""
REPEAT_S: Final = 0.5
"""Time between two transmissions of `stopPause` or a request, s."""
RELEASE_TRIES: Final = 6
"""Transmissions of `stopPause` before the user is told that the robot stays paused."""
SETTLE_S: Final = 4.0
"""A pause is not ended sooner after an order was sent, s: what is still on its way must arrive at a standing robot."""
FACTSHEET_TRIES: Final = 3
"""Some robots have no factsheet; they are asked this often."""
MISREAD_KEPT: Final = 64
"""Unknown words of a robot that are told; further ones are read as carefully and told no more."""


@dataclass(slots=True)
class Robot:
    """The commander of one robot."""

    name: str
    gate: Gate
    new_id: Callable[[], str]
    """Makes unique identifiers."""
    world: World = field(default_factory=World)
    events: deque[Event] = field(default_factory=lambda: deque(maxlen=256))
    """Taken from the left by whoever listens."""
    task: OrderTask | None = None
    stopping: StopSequence | None = None
    _call: Admitted | None = None
    _queue: deque[Admitted] = field(default_factory=deque)
    _instants: InstantActionsUnderWay = field(default_factory=InstantActionsUnderWay)
    _lease: float = -math.inf
    _asked_at: float = -math.inf
    _release: tuple[str, float, int] | None = None
    """`stopPause` under way: action id, last sent at, times sent."""
    _moved_at: float = -math.inf
    _blocked: bool = False
    _refused_at: float = -math.inf
    _ordered_at: float = -math.inf
    _asked_facts: int = 0
    _last_why: Fact | None = None
    """Why the link could not be made; told once."""
    _held_by: Fact | None = None
    """Why the robot is being paused."""
    _misread: set[tuple[str, str]] = field(default_factory=set)
    """Unknown words that were told."""

    def __post_init__(self) -> None:
        """Know the map on which positions count."""
        if self.gate.site is not NOWHERE:
            self.world.map_id = self.gate.site.map

    @property
    def skills(self) -> dict[str, Skill]:
        """What can be asked of the robot now."""
        return skills_of(self.world.factsheet, self.gate.site)

    @property
    def idle(self) -> bool:
        """Whether nothing is under way or waits."""
        return self.task is None and not self._queue and not self._instants.actions

    # What comes in --------------------------------------------------------------------------------------------------

    def linked(self, *, up: bool, why: Fact | None, now: float) -> None:
        """Take in that the broker was reached or lost. After an outage nothing moves before a confirmed resume."""
        before = self.world.linked
        if before and up:
            return
        self.world.linked, self.world.denied = up, False
        self.world.unlinked = self.world.unlinked if why is None else why
        if up:
            self._last_why, self._asked_at = None, -math.inf
        elif before:
            self.world.presence = None
            self.world.forget_state()
            self._outage(LinkLostTo(self.name, why) if why is not None else RobotSilent(self.name), now)
        elif why is not None and why != self._last_why:
            self._last_why = why
            self._tell(Happening.OFFLINE, NoLinkTo(self.name, why))

    def denied(self, why: Fact, now: float) -> None:
        """Take in that the broker does not let us command this robot: said once, and nothing is under way."""
        if self.world.denied:
            return
        self.world.denied = True
        self._tell(Happening.DENIED, why, self._call)
        self._outage(CommandsDenied(), now)

    def refused(self, why: Fact, now: float) -> None:
        """Take in that a message of the robot cannot be used: counted by reason, told once, logged ever more seldom."""
        times = self.world.refused.add(why)
        if times == 1 and not isinstance(why, MessageOvertaken):
            self._tell(Happening.REFUSED, why)
        if times & (times - 1) == 0:
            self.gate.keep("unusable", why, now, times=times)
        # The robot may understand what another program sends, though nobody does here.
        if dict(why.items()).get("topic") in COMMAND_TOPICS and self.gate.latch is not Latch.STOPPED:
            self._hold_back(now)

    def receive(self, received: Received, now: float) -> None:
        """Take in what the robot published."""
        before = self.world.presence
        if isinstance(received.message, Order | InstantActions):
            self._overhear(received.message, now)
            return
        if not self.world.receive(received, now):
            self.refused(MessageOvertaken(received.topic), now)
            return
        self._tell_misread(received.misread, now)
        match received.message:
            case Connection(connection_state=presence) if presence is not before:
                self._presence(presence, now)
            case State() as state:
                self._state(state, now)
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
            self._release = (self.new_id(), -math.inf, 0)
            if self.task is not None:
                self.task.resend_allowed()
        return verdict

    def stop(self, why: str, now: float) -> None:
        """Stop, forget all tasks, and stay stopped until a confirmed resume."""
        self.gate.close(Latch.STOPPED, why, now)
        if self._call is not None or self._queue:
            waiting = len(self._queue) - (self._call is None)
            self._tell(Happening.FAILED, ToldToStop(), self._call or self._queue[0], dropped=waiting)
        self.task, self._call, self._release = None, None, None
        self._queue.clear()
        self._instants.actions.clear()
        self.stopping = StopSequence(STOP_STEPS, now, self.new_id)
        self._send_stops(now)

    def hold(self, why: Fact, now: float) -> None:
        """Pause, keep the task, and stay paused until a confirmed resume."""
        if self.gate.latch is Latch.STOPPED:
            return
        self.gate.close(Latch.HELD, why.code, now)
        self._release, self._held_by = None, why
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
            self._send_release(now)
        self._act(now)
        self._advance(now)
        self._watch(now)

    def _overhear(self, command: Order | InstantActions, now: float) -> None:
        """Another program commands the robot: a stop is everybody's right; who moves it is in charge."""
        kinds = {"order"} if isinstance(command, Order) else {action.action_type for action in command.actions}
        wills = isinstance(command, InstantActions) and all(a.action_id.startswith(WILL) for a in command.actions)
        if kinds <= HARMLESS or wills or self.gate.latch is Latch.STOPPED:
            return
        if kinds <= set(StopStep):
            self.stop("another program", now)
            return
        self._hold_back(now)

    def _hold_back(self, now: float) -> None:
        """Leave the robot to the other program that moves it, until a person lets this one go on."""
        first = self.gate.latch is None
        self.gate.close(Latch.HELD, OthersCommand().code, now)
        self._release = None
        if self.task is not None:
            self.task.lost(OthersCommand())
        if first:
            self._tell(Happening.OTHER, about=self._call)

    # How it goes on -------------------------------------------------------------------------------------------------

    def _presence(self, presence: ConnectionState, now: float) -> None:
        if presence is ConnectionState.ONLINE:
            self._asked_at = -math.inf
            self._tell(Happening.ONLINE)
            return
        self.world.forget_state()
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

    def _state(self, state: State, now: float) -> None:
        if state.driving:
            self._moved_at, self._blocked = now, False
        if self.stopping is not None:
            self._follow_stop(self.stopping, state)
        if self._release is not None and self._released(self._release[0], state):
            self._release = None
            self._tell(Happening.RESUMED)
        elif state.paused and self.gate.latch is None and self._release is None and self.stopping is None:
            # By a last will, a button, or another program: it takes a person to end it.
            self.gate.close(Latch.HELD, PausedThere().code, now)
            self._tell(Happening.HELD, PausedThere())
        self._tell_ended(self._instants.follow(state))
        self._act(now)
        if self.task is not None:
            if state.safety_state.e_stop is not EStop.NONE and self.gate.latch is None:
                # Some robots drive on by themselves once it is released.
                self.hold(EmergencyStop(), now)
            self.task.receive(state, now)
            self._judge(self.task, now)
        elif self._foreign() and self.stopping is None and (self.gate.latch is Latch.STOPPED or self._release):
            # An order that was on its way when the stop was confirmed.
            self.stopping = StopSequence(STOP_STEPS, now, self.new_id)

    @staticmethod
    def _released(action_id: str, state: State) -> bool:
        """Whether the pause has ended, or there was none to end."""
        ended = state.action(action_id) is ActionStatus.FINISHED
        return ended or (refuses(state, [action_id]) and not state.paused)

    def _foreign(self) -> bool:
        """Whether the robot has an order that is not the present task's."""
        state = self.world.state
        ours = self.task.plan.order_id if self.task else None
        return state is not None and bool(state.node_states) and state.order_id != ours

    def _follow_stop(self, stopping: StopSequence, state: State) -> None:
        stopping.receive(state)
        if stopping.outcome is not Outcome.STOPPED:
            return
        self.stopping = None
        if self.gate.latch is Latch.STOPPED:
            self._tell(Happening.STOPPED)
        elif self.gate.latch is Latch.HELD:
            self._tell(Happening.HELD, self._held_by)

    def _judge(self, task: OrderTask, now: float) -> None:
        call = self._call
        if not task.phase.ended or call is None:
            return
        self.task, self._call = None, None
        if task.phase is OrderPhase.DONE:
            self._tell(Happening.DONE, about=call)
            return
        dropped = len(self._queue)
        self._queue.clear()
        self._tell(Happening.FAILED, task.reason, call, dropped=dropped)
        if task.needs_cancel and self.stopping is None:
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
        """Send the instant actions that were asked for before the newest state."""
        for admitted in self._instants.ready(self.world.state_at):
            refused = self.gate.act(action_of(admitted, self.world.factsheet), self.world, now)
            if refused is None:
                self._instants.sent(admitted, now)
            else:
                self._tell_ended([self._instants.refused(admitted, refused.reason)])

    def _advance(self, now: float) -> None:
        """Begin the next task, or send what the present one has due; not while a stop or a resume is under way."""
        if self.gate.latch is not None or self._release is not None or self.stopping is not None:
            return
        if self.task is None and self._queue and self.world.state is not None and not self.world.state.node_states:
            self._call = self._queue.popleft()
            self._start(self._call, now)
        task = self.task
        if task is None or now < self._refused_at + REPEAT_S or self.world.unfit(now, self.gate.site.limits):
            return
        order = task.due(self.world.position, now, extend=now < self._lease)
        if task.phase is OrderPhase.UNKNOWN:
            self._outage(RobotSilent(self.name), now)
        if order is None:
            return
        refused = self.gate.order(order, self.world, now)
        if refused is None:
            task.sent(order, self.world.state, now)
            self._moved_at = self._ordered_at = now
        elif order.order_update_id == 0:
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
        self.task = OrderTask(plan)
        self._moved_at, self._blocked = now, False
        self._tell(Happening.STARTED, about=admitted)

    # What is sent ---------------------------------------------------------------------------------------------------

    def _send_stops(self, now: float) -> None:
        if self.stopping is None:
            return
        before = self.stopping.outcome
        for send in self.stopping.due(now):
            self.gate.stop(send.step, send.action_id, now)
        if self.stopping.outcome is Outcome.UNCONFIRMED and before is Outcome.PENDING:
            self._tell(Happening.UNCONFIRMED, self.world.unheard(now, self.gate.site.limits))

    def _send_requests(self, now: float) -> None:
        state = self.world.state
        busy = self.task is not None or self.stopping is not None or (state is not None and state.driving)
        silent = now > self.world.state_at + ASK_STATE_S
        waited = self.world.doubtful or self._instants.waiting
        # The first request also proves that the broker lets us command this robot.
        first = state is None or self._asked_at == -math.inf
        wanted = "stateRequest" if first or waited or (busy and silent) else None
        if wanted is None and self.world.factsheet is None and self._asked_facts < FACTSHEET_TRIES:
            wanted = "factsheetRequest"
        if wanted is not None and now >= self._asked_at + (ASK_STATE_S if state and not waited else REPEAT_S):
            self._asked_at = now
            self._asked_facts += wanted == "factsheetRequest"
            self.gate.request(wanted, self.new_id(), now)

    def _send_release(self, now: float) -> None:
        if self._release is None or self.stopping is not None or now < self._ordered_at + SETTLE_S:
            return
        action_id, sent_at, times = self._release
        if now < sent_at + REPEAT_S:
            return
        if times >= RELEASE_TRIES:
            self._release = None
            self.hold(ResumeUnconfirmed(), now)
            self._tell(Happening.HELD, ResumeUnconfirmed())
            return
        self.gate.unpause(action_id, now)
        self._release = (action_id, now, times + 1)

    def _watch(self, now: float) -> None:
        """Notice a robot that stands although it may drive, and instant actions that are never listed."""
        self._tell_ended(self._instants.overdue(now))
        if (
            self.task is not None
            and self.gate.latch is None
            and now > max(self.world.state_at, self._moved_at) + SILENT_S
        ):
            self._outage(RobotSilent(self.name), now)
        state = self.world.state
        waits = state is not None and not state.driving and any(node.released for node in state.node_states)
        acts = state is not None and any(not a.action_status.ended for a in state.action_states)
        if self.task is None or self.gate.latch is not None or not waits or acts or self._blocked:
            return
        if now > self._moved_at + BLOCKED_S:
            self._blocked = True
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
