"""A robot that a conversation controls: calls of the model become orders, what the robot reports becomes words.

    plain request, read whole -> gate -> order     robot's event -> note in the input block, some with a turn of its own
    mind's calls -> question -> user's "yes" -> gate
    stop phrase or key -> stop path            what the robot's state says of a stop -> spoken, past any model
    user's "resume" -> question -> user's "yes" -> resume

The model can ask for skills and can stop. It cannot resume, confirm or answer the gate: only words that the user
said or typed do. Works with any `RobotConversation`; knows neither sound nor MQTT.
"""

from __future__ import annotations

import time
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from agent.robot.answers import UserAnswer, answer_of, asks_to_resume, bare, named, place_chosen
from agent.robot.misheard import alike, doubt
from agent.robot.proposal import Proposal, plan
from agent.robot.telling import sentences, told, told_calls, told_event, told_question
from languages.english import ENGLISH
from reasoning.tools.calls import Tool
from reasoning.tools.guards import CallGuard
from robots.core.robot import QUEUE
from robots.events import Happening
from robots.safety.gate import ANSWER_WITHIN_S, Admitted, Question, Refused, Resumed, Source
from robots.skills import STOP, SkillCall, offered, parts, senseless
from robots.terms.capabilities import SkillScope

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from agent.robot.misheard import Doubt
    from languages.language import Language
    from reasoning import events as loop_events
    from reasoning.tools.written import WrittenCall
    from robots.events import Event
    from robots.port import RobotPort
    from robots.site import Site
    from robots.skills import Skill

SAID: Final = frozenset(
    {
        *(Happening.STOPPED, Happening.UNCONFIRMED, Happening.RESUMED, Happening.HELD),
        *(Happening.UNKNOWN, Happening.DENIED, Happening.OTHER),
    }
)
"""Said by the robot's state, past any model."""
_TOLD: Final = frozenset({Happening.DONE, Happening.FAILED, Happening.BLOCKED})
"""The model is told, and replies though nobody asked."""


_UNDONE: Final = frozenset({Happening.FAILED, Happening.UNKNOWN, Happening.UNCONFIRMED, Happening.DENIED})


class RobotConversation(Protocol):
    """What a conversation offers to a robot."""

    def note(self, text: str, *, unprompted: bool) -> None:
        """Tell the model; `unprompted`: it replies as soon as nobody has the turn."""
        ...

    def announce(self, text: str) -> None:
        """Say these very words to the user."""
        ...


class RobotController:
    """One robot under command of one conversation."""

    def __init__(self, robot: RobotPort, conversation: RobotConversation, show: Callable[[str, str], None]) -> None:
        """`show` is told who (`robot`, `calls`, `gate`, `ears`, `stop`) and what, for the screen and the timeline."""
        self._robot, self._conversation, self._show = robot, conversation, show
        self.language: Language = ENGLISH
        """What is spoken with the user."""
        self._epoch = robot.epoch
        self._question: Question | None = None
        self._proposal: Proposal | None = None
        self._trusted = True
        """Whether what is called needs no question; until the user has said something."""
        self._wanted: Sequence[WrittenCall] = ()
        """What the model last wanted to call, all together."""
        self._later: deque[SkillCall] = deque()
        """What is done at once, but behind what is under way, and all that comes after it."""
        self._doubt: Doubt | None = None
        self._doubted_at = 0.0
        self._known = False
        """Whether a place was named in this conversation."""
        self._previous: SkillCall | None = None
        """What the model called last in this turn."""
        self._held: deque[SkillCall] = deque()
        """Calls behind one that waits for the user's yes: they keep their order."""
        self.undone = 0
        """Calls that were refused, and tasks that failed or whose outcome is unknown."""
        for one, other in alike(self._places):
            show("ears", f"the places {one!r} and {other!r} sound alike: one may be heard as the other")

    @property
    def tools(self) -> list[Tool]:
        """What the model may call now."""
        return tools_of(self._robot.skills, self._robot.site, self._want)

    @property
    def words(self) -> str:
        """Sentences with the names that a user may say to this robot."""
        return sentences(self._robot.skills, self._robot.site, self.language)

    @property
    def question(self) -> Question | None:
        """What waits for the user's yes."""
        return self._question

    @property
    def idle(self) -> bool:
        """Whether nothing is under way, nothing is being stopped, and no question waits."""
        return self._robot.idle and not self.asks and not self._later

    @property
    def proposal(self) -> Proposal | None:
        """What the user was asked to confirm before it goes to the gate."""
        return self._proposal

    @property
    def doubt(self) -> Doubt | None:
        """The place that the user was asked for."""
        return self._doubt

    @property
    def asks(self) -> bool:
        """Whether the user was asked something and has not answered."""
        return self._question is not None or self._doubt is not None or self._proposal is not None

    # --- what the user does ---

    def stop(self, why: str) -> None:
        """Stop the robot at once: a stop phrase was heard, or a key was pressed."""
        self._forget()
        self._show("stop", why)
        self._robot.stop(why)

    def _forget(self) -> None:
        """Drop what waits for an answer, or behind something else."""
        self._question = self._doubt = self._proposal = None
        self._held.clear()
        self._later.clear()

    def heard(self, text: str, confidence: Sequence[float] = (), other: str = "") -> str | None:
        """Take a whole turn of the user; give what is to be answered, None where it is done with that.

        confidence: that of the last words. other: what else they may be. What the model calls from here on was asked
        for after any stop that came before. A place that was perhaps misheard is asked for, and what is answered
        then is the request with the place that was meant.
        """
        self._epoch, self._previous, self._trusted = self._robot.epoch, None, False
        said = answer_of(text)
        proposal, self._proposal = self._proposal, None
        if proposal is not None and said is not None and time.monotonic() <= proposal.at + ANSWER_WITHIN_S:
            self._decide(proposal, yes=said is UserAnswer.YES)
            return None
        if self._question is not None and said is not None:
            question, self._question = self._question, None
            self._answer(question, yes=said is UserAnswer.YES)
            return None
        # Other words: the user is past the question, and what waited behind it with him.
        self._question = None
        self._held.clear()
        asked, self._doubt = self._doubt, None
        if asks_to_resume(text) and self._robot.latch is not None:
            self._ask(self._robot.resume())
            return None
        if asked is None or time.monotonic() > self._doubted_at + ANSWER_WITHIN_S:
            return self._understood(text, confidence, other)
        return self._place_told(asked, said, text, confidence, other)

    def _place_told(
        self, asked: Doubt, said: UserAnswer | None, text: str, confidence: Sequence[float], other: str
    ) -> str | None:
        """Take what the user says to a question for a place."""
        name = asked.name if said is UserAnswer.YES else place_chosen(text, asked, self._places)
        if name:
            return self._understood(asked.mended(name))
        if said is UserAnswer.NO and asked.otherwise:
            return self._planned(asked.otherwise)
        if said not in {UserAnswer.NO, UserAnswer.WITHDRAWN}:
            return self._understood(text, confidence, other)
        sayings = self.language.robot
        self._conversation.announce(sayings.say_again if said is UserAnswer.NO else sayings.unchanged)
        return None

    def _understood(self, text: str, confidence: Sequence[float] = (), other: str = "") -> str | None:
        """Give a request in which no place is doubtful; None: the user is asked for the place."""
        places = self._places
        skills = self._robot.skills
        words = set(bare(text).split())
        anywhere = any(skill.scope is SkillScope.AT_ONCE and skill.name in words for skill in skills.values())
        self._doubt = found = doubt(
            text,
            places,
            confidence,
            other=other,
            ordinary=(*skills, *self._place_words),
            known=self._known or anywhere,
            language=self.language,
        )
        if found is not None:
            self._ask_where(found, places)
            return None
        return self._planned(text, confidence, other)

    def _planned(self, text: str, confidence: Sequence[float] = (), other: str = "") -> str | None:
        """Do what a plain request asks for, or ask about it; give any other request."""
        places = self._places
        self._known = self._known or bool(named(text, places))
        made = plan(text, self._robot.skills, places, self.language, confidence=confidence, other=other)
        if made.doubt is not None:
            self._ask_where(made.doubt, made.choice or places)
            return None
        calls = [SkillCall(self._robot.new_id(), step.skill, step.arguments, self._epoch) for step in made.steps]
        if not calls:
            return text
        if made.certain:
            self._do(calls)
        else:
            self._propose(calls)
        return None

    def _ask_where(self, found: Doubt, names: Iterable[str]) -> None:
        self._doubt, self._doubted_at = found, time.monotonic()
        question = found.question(names)
        self._show("ears", f"asks: {question}")
        self._conversation.announce(question)

    def _propose(self, calls: Sequence[SkillCall]) -> None:
        """Ask the user whether that is to be done."""
        self._proposal = Proposal(tuple(calls), time.monotonic())
        name = self._robot.name
        self._show("gate", f"asks: {ENGLISH.robot.shall_it.format(robot=name, what=told_calls(calls, ENGLISH))}")
        self._conversation.announce(
            self.language.robot.shall_it.format(robot=name, what=told_calls(calls, self.language))
        )

    def _decide(self, proposal: Proposal, *, yes: bool) -> None:
        self._show("gate", "confirmed by the user" if yes else "declined by the user")
        sayings = self.language.robot
        self._conversation.announce(sayings.confirmed if yes else sayings.unchanged)
        if yes:
            self._carry_out_all(proposal.calls)

    def _do(self, calls: Sequence[SkillCall]) -> None:
        """Say what is about to be done, and do it; what the gate asks about is told by its question."""
        self._show("calls", told_calls(calls, ENGLISH))
        if self._carry_out_all(calls) and self._question is None:
            what = told_calls(calls, self.language)
            self._conversation.announce(self.language.robot.read_back.format(robot=self._robot.name, what=what))

    def _carry_out_all(self, calls: Sequence[SkillCall]) -> bool:
        """Put calls to the gate in order; False where one is refused, and nothing behind it is done.

        What a robot does at once would come before what was asked for first, so it waits until that is done.
        """
        self._later.clear()
        for number, call in enumerate(calls):
            if self._question is not None:
                self._held.append(call)
            elif number and self._at_once(call):
                self._later.extend(calls[number:])
                break
            elif not self._carry_out(call):
                return False
        return True

    def _at_once(self, call: SkillCall) -> bool:
        skill = self._robot.skills.get(call.skill)
        return skill is not None and skill.scope is SkillScope.AT_ONCE

    @property
    def _place_words(self) -> list[str]:
        """Words that stand for a place of the map without being its name."""
        commands = self.language.commands
        found = {} if commands is None else commands.places
        return [word for phrase, name in found.items() if name in self._places for word in phrase.split()]

    @property
    def _places(self) -> frozenset[str]:
        return frozenset(self._robot.site.places)

    def _answer(self, question: Question, *, yes: bool) -> None:
        verdict = self._robot.answer(question.question_id, yes=yes, by=Source.USER)
        match verdict:
            case Refused(reason):
                self._held.clear()
                self._show("gate", f"refused: {told(reason, ENGLISH)}")
                sayings, why = self.language.robot, told(reason, self.language)
                self._conversation.announce(sayings.impossible.format(reason=why) if yes else sayings.unchanged)
            case Admitted() | Resumed():
                self._show("gate", "confirmed by the user")
                self._conversation.announce(self.language.robot.confirmed)
                while self._held and self._question is None:
                    self._carry_out(self._held.popleft())

    def _ask(self, verdict: Question | Refused) -> None:
        match verdict:
            case Question():
                self._question = verdict
                name = self._robot.name
                self._show("gate", f"asks: {told_question(verdict, name, ENGLISH)}")
                self._conversation.announce(told_question(verdict, name, self.language))
            case Refused(reason):
                self._show("gate", f"refused: {told(reason, ENGLISH)}")
                self._conversation.announce(self.language.robot.not_now.format(reason=told(reason, self.language)))

    # --- what the model does ---

    def called(self, call: loop_events.ToolCall) -> None:
        """Carry out a call of the model, if the gate lets it pass; a stop at once, others in their order."""
        self._show("calls", f"{call.name}({_listed(call.arguments)})")
        if call.name == STOP:
            self._forget()
        elif not self._trusted:
            self._propose_wanted(call)
            return
        # The model counts its calls by conversation; the gate remembers them for good.
        asked = SkillCall(self._robot.new_id(), call.name, dict(call.arguments), self._epoch)
        previous, self._previous = self._previous, asked
        for part in parts(asked, self._robot.skills, self._robot.new_id, previous):
            if self._question is not None and len(self._held) < QUEUE:
                self._held.append(part)
            elif not self._carry_out(part):
                return

    def _want(self, calls: Sequence[WrittenCall]) -> None:
        self._wanted = calls

    def _propose_wanted(self, call: loop_events.ToolCall) -> None:
        """Ask about all calls that the model makes for one request, at the first of them."""
        if self._proposal is not None:
            return
        first = self._wanted[0] if self._wanted else None
        whole = first is not None and (first.name, dict(first.arguments)) == (call.name, dict(call.arguments))
        wanted = [(one.name, one.arguments) for one in self._wanted] if whole else [(call.name, call.arguments)]
        calls: list[SkillCall] = []
        previous: SkillCall | None = None
        for name, arguments in wanted:
            asked = SkillCall(self._robot.new_id(), name, dict(arguments), self._epoch)
            calls += parts(asked, self._robot.skills, self._robot.new_id, previous)
            previous = asked
        self._propose(calls)

    def _carry_out(self, call: SkillCall) -> bool:
        """Put a call to the gate; False where it is refused."""
        verdict = self._robot.execute(call)
        match verdict:
            case Question():
                self._ask(verdict)
            case Refused(reason):
                self.undone += 1
                self._show("gate", f"refused: {told(reason, ENGLISH)}")
                why = told(reason, self.language)
                text = self.language.robot.refused.format(what=call.skill, reason=why)
                self._conversation.note(f"[robot] {text}", unprompted=True)
            case Admitted():
                self._show("gate", "admitted")
        return not isinstance(verdict, Refused)

    # --- what the robot does ---

    async def follow(self) -> None:
        """Tell what happens to the robot, for ever."""
        async for event in self._robot.events():
            self.happened(event)

    def happened(self, event: Event) -> None:
        """Tell one event."""
        name = self._robot.name
        self._show("robot", told_event(event, name, ENGLISH))
        self.undone += event.happening in _UNDONE
        if event.happening in _UNDONE:
            self._later.clear()
        elif event.happening is Happening.DONE and self._later and self._robot.idle:
            later = tuple(self._later)
            self._carry_out_all(later)
        stopping = self._robot.latch is not None
        text = told_event(event, name, self.language)
        if event.happening in SAID:
            self._conversation.announce(text)
        unprompted = event.happening in _TOLD and not stopping
        self._conversation.note(f"[robot] {text}", unprompted=unprompted)


def tools_of(
    skills: Mapping[str, Skill], site: Site, want: Callable[[Sequence[WrittenCall]], None] = lambda _: None
) -> list[Tool]:
    """Give the model's tools for a robot's skills; `want` is told all calls that it makes for one request."""
    places = frozenset(site.places)

    def objection(calls: Sequence[WrittenCall]) -> str:
        want(calls)
        return senseless([SkillCall("", call.name, call.arguments, 0) for call in calls], skills) or ""

    return [
        Tool(
            skill.name,
            skill.description,
            skill.parameters,
            guard=CallGuard(
                named=places,
                does=frozenset(skill.made_of or ((skill.name,) if skill.scope is not None else ())),
                alone=skill.name == STOP,
                senseless=objection,
            ),
        )
        for skill in offered(skills, site).values()
    ]


def _listed(arguments: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())
