"""The safety gate: every command to a robot passes here, and nothing else can send one.

Pure and synchronous: no language model, no sockets, no clock (time comes in as monotonic seconds). The gate judges
twice: a *call* when the model makes it (allow-list, arguments, rate, confirmation), and each *message* when it is
about to be sent (fence, speed, length of the base, fitness of the robot, latch). What it decides goes to the audit
log first; when the log cannot be written no motion passes. Stops always pass.
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
    EdgeActs,
    EdgeTooFast,
    NodeOffMap,
    NothingToResume,
    OnlyUserConfirms,
    OrderNotAdmitted,
    QuestionNotOpen,
    RobotUnheard,
    SkillForbidden,
    StillHeld,
    StillStopped,
    UserDeclined,
    WayLeavesFence,
)
from robots.geometry import path_length
from robots.protocols.vda5050.messages import Action, BlockingType, Edge, InstantActions, Node, Order
from robots.safety.publisher import Publisher
from robots.skills import PLACE, STOP, TOLD, BadCall, Skill, SkillCall, check_arguments
from robots.untrusted import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Iterator, Mapping, Sequence

    from robots.core.world import World
    from robots.facts.fact import Fact
    from robots.geometry import Point
    from robots.site import Site

ANSWER_WITHIN_S: Final = 60.0
"""A yes later than this answers nothing."""
REMEMBERED_CALLS: Final = 1024
"""Call ids kept to refuse a second execution."""
HARMLESS: Final = frozenset({"stateRequest", "factsheetRequest"})
"""Requests that move nothing."""

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
    """A call that may become orders; its ticket is their order id or action id."""

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
    """Action id of the stop recorded last: repetitions are not recorded."""

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

    def order(self, order: Order, world: World, now: float) -> Refused | None:
        """Send an order or its update, if it keeps all limits."""
        problem = next(self._order_problems(order, world, now), None)
        facts = {"order": order.order_id, "update": order.order_update_id, "nodes": len(order.nodes)}
        if problem is not None:
            return self._refuse("order", problem, now, **facts)
        return self._record("order", now, **facts) or self._put(order, now)

    def act(self, action: Action, world: World, now: float) -> Refused | None:
        """Send an instant action that was admitted as a call."""
        call = self._tickets.get(action.action_id)
        facts = {"action": action.action_type, "id": action.action_id}
        if self.latch is not None:
            return self._refuse("act", self._latched(), now, **facts)
        if call is None or call.skill != action.action_type:
            return self._refuse("act", ActionNotAdmitted(plain(action.action_type, TOLD)), now, **facts)
        problem = world.unfit(now, self.site.limits)
        if problem is not None:
            return self._refuse("act", problem, now, **facts)
        return self._record("act", now, **facts) or self._put(InstantActions(actions=(action,)), now)

    def request(self, action_type: str, action_id: str, now: float) -> None:
        """Ask the robot for its state or its factsheet."""
        if action_type in HARMLESS:
            self._put(InstantActions(actions=(_instant(action_type, action_id, BlockingType.NONE),)), now)

    def unpause(self, action_id: str, now: float) -> Refused | None:
        """End the robot's pause; only while no latch is set."""
        if self.latch is not None:
            return self._refuse("unpause", self._latched(), now, id=action_id)
        actions = InstantActions(actions=(_instant("stopPause", action_id, BlockingType.HARD),))
        return self._record("unpause", now, id=action_id) or self._put(actions, now)

    def stop(self, action_type: str, action_id: str, now: float) -> None:
        """Send `startPause` or `cancelOrder`; nothing can refuse them."""
        action = _instant(action_type, action_id, BlockingType.HARD)
        self.publisher.put_stop(action, InstantActions(actions=(action,)))
        if action_id != self._stopped_with:
            self._stopped_with = action_id
            self._record("stop", now, action=action_type, id=action_id)

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
        elif world.state and world.state.battery_state.battery_charge < limits.min_battery_percent:
            yield BatteryLow(round(world.state.battery_state.battery_charge))
        while self._recent and self._recent[0] <= now - _MINUTE_S:
            self._recent.popleft()
        if len(self._recent) >= limits.calls_per_minute:
            yield CallsTooMany(limits.calls_per_minute)

    def _order_problems(self, order: Order, world: World, now: float) -> Iterator[Fact]:
        limits = self.site.limits
        if self.latch is not None:
            yield self._latched()
        call = self._tickets.get(order.order_id)
        if call is None:
            yield OrderNotAdmitted()
            return
        unfit = world.unfit(now, limits)
        if unfit is not None or world.position is None:
            yield unfit or PositionUnknown()
            return
        points = []
        for node in order.nodes:
            yield from self._node_problems(node, call)
            if node.node_position is not None:
                points.append((node.node_position.x, node.node_position.y))
        for a, b in pairwise([world.position, *points] if order.order_update_id == 0 else points):
            if not self.site.clear(a, b):
                yield WayLeavesFence(*(round(value, 1) for value in (*a, *b)))
        for edge in order.edges:
            yield from self._edge_problems(edge)
        base = [world.position, *(p for p, node in zip(points, order.nodes, strict=False) if node.released)]
        yield from self._base_problems(base, now - world.state_at)

    def _base_problems(self, base: Sequence[Point], silence_s: float) -> Iterator[Fact]:
        """Judge the released way from where the robot stands, and whether it may be released now."""
        limits = self.site.limits
        if path_length(base) > limits.base_m + _ROUNDING_M:
            yield BaseTooLong(round(path_length(base), 2), round(limits.base_m, 2))
        # A robot that stands reports seldom; but on a connection that is stuck, what is sent now would arrive late.
        # The first two points are where it stands and the first node, where the way begins.
        if len(base) > 2 and silence_s > limits.state_age_s:
            yield RobotUnheard(round(silence_s))

    def _node_problems(self, node: Node, call: SkillCall) -> Iterator[Fact]:
        position = node.node_position
        on_map = position is not None and position.map_id == self.site.map
        if position is None or not on_map or not math.isfinite(position.x + position.y):
            yield NodeOffMap(node.node_id, self.site.map)
        for action in node.actions:
            if action.action_type != call.skill:
                yield ActionNotAdmitted(plain(action.action_type, TOLD))

    def _edge_problems(self, edge: Edge) -> Iterator[Fact]:
        cap = self.site.limits.max_speed_m_s
        if edge.max_speed is None or edge.max_speed > cap:
            yield EdgeTooFast(edge.edge_id, cap)
        if edge.actions:
            yield EdgeActs(edge.edge_id)

    def _admit(self, call: SkillCall, now: float) -> Admitted | Refused:
        ticket = f"e{self.epoch}-{call.call_id}"
        refused = self._record("admit", now, ticket=ticket, skill=call.skill, arguments=dict(call.arguments))
        if refused:
            return refused
        self._tickets[ticket] = call
        return Admitted(call, ticket)

    def _latched(self) -> Fact:
        return StillStopped(self.robot) if self.latch is Latch.STOPPED else StillHeld(self.robot)

    def _put(self, message: Order | InstantActions, now: float) -> Refused | None:
        if self.publisher.put(message, now):
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


def _instant(action_type: str, action_id: str, blocking: BlockingType) -> Action:
    # vda-5050-lib refuses actions without a parameter array, which the specification makes optional.
    return Action(action_type=action_type, action_id=action_id, blocking_type=blocking, action_parameters=())
