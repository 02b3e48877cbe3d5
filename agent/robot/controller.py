"""A robot that a conversation controls: calls of the model become orders, what the robot reports becomes words.

    mind's call -> gate -> order               robot's event -> note in the input block, some with a turn of its own
    stop phrase or key -> stop path            what the robot's state says of a stop -> spoken, past any model
    user's "resume" -> question -> user's "yes" -> resume

The model can ask for skills and can stop. It cannot resume, confirm or answer the gate: only words that the user
said or typed do. Works with any `RobotConversation`; knows neither sound nor MQTT.
"""

from __future__ import annotations

import asyncio
import re
import time
from collections import deque
from typing import TYPE_CHECKING, Final, Protocol

from agent.robot.misheard import alike, doubt
from agent.robot.telling import sentences, told, told_event, told_question
from audio.hearing.agreement import key
from languages.english import ENGLISH
from languages.known import known_languages
from reasoning.tools.calls import Tool
from reasoning.tools.guards import CallGuard
from robots.core.capabilities import SkillScope
from robots.core.robot import QUEUE
from robots.events import Happening
from robots.safety.gate import ANSWER_WITHIN_S, Admitted, Question, Refused, Resumed, Source
from robots.skills import STOP, SkillCall, offered, parts, senseless

if TYPE_CHECKING:
    from collections.abc import Callable, Iterable, Mapping, Sequence

    from agent.conversation.driver import ConversationDriver
    from agent.robot.misheard import Doubt
    from audio.messages import Words
    from languages.language import Language
    from reasoning import events as loop_events
    from reasoning.tools.written import WrittenCall
    from robots.events import Event
    from robots.port import RobotPort
    from robots.site import Site
    from robots.skills import Skill

_YES: Final = frozenset(word for language in known_languages().values() for word in language.answers.yes)
_NO: Final = frozenset(word for language in known_languages().values() for word in language.answers.no)
_RESUME: Final = frozenset(word for language in known_languages().values() for word in language.answers.resume)
_AMENDS: Final = frozenset(word for language in known_languages().values() for word in language.answers.amends)
_POLITE: Final = frozenset(word for language in known_languages().values() for word in language.answers.polite)
"""Answers of all languages: whatever is being spoken, a person in need takes the first word that comes."""

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
        return tools_of(self._robot.skills, self._robot.site)

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
        return self._robot.idle and not self.asks

    @property
    def doubt(self) -> Doubt | None:
        """The place that the user was asked for."""
        return self._doubt

    @property
    def asks(self) -> bool:
        """Whether the user was asked something and has not answered."""
        return self._question is not None or self._doubt is not None

    # --- what the user does ---

    def stop(self, why: str) -> None:
        """Stop the robot at once: a stop phrase was heard, or a key was pressed."""
        self._question = self._doubt = None
        self._held.clear()
        self._show("stop", why)
        self._robot.stop(why)

    def heard(self, text: str, confidence: Sequence[float] = (), other: str = "") -> str | None:
        """Take a whole turn of the user; give what is to be answered, None where it is done with that.

        confidence: that of the last words. other: what else they may be. What the model calls from here on was asked
        for after any stop that came before. A place that was perhaps misheard is asked for, and what is answered
        then is the request with the place that was meant.
        """
        self._epoch, self._previous = self._robot.epoch, None
        words = _bare(text)
        if self._question is not None and words in _YES | _NO:
            question, self._question = self._question, None
            self._answer(question, yes=words in _YES)
            return None
        # Other words: the user is past the question, and what waited behind it with him.
        self._question = None
        self._held.clear()
        if words in _RESUME and self._robot.latch is not None:
            self._doubt = None
            self._ask(self._robot.resume())
            return None
        asked, self._doubt = self._doubt, None
        if time.monotonic() > self._doubted_at + ANSWER_WITHIN_S:
            asked = None
        if asked is not None and (name := _answered(words, asked, self._places)):
            return self._understood(asked.mended(name))
        if asked is not None and words in _NO:
            if not asked.otherwise:
                self._conversation.announce(self.language.robot.say_again)
            return asked.otherwise or None
        return self._understood(text, confidence, other)

    def _understood(self, text: str, confidence: Sequence[float] = (), other: str = "") -> str | None:
        """Give a request in which no place is doubtful; None: the user is asked for the place."""
        places = self._places
        skills = self._robot.skills
        words = set(_bare(text).split())
        anywhere = any(skill.scope is SkillScope.AT_ONCE and skill.name in words for skill in skills.values())
        self._doubt = doubt(
            text,
            places,
            confidence,
            other=other,
            ordinary=skills,
            known=self._known or anywhere,
            language=self.language,
        )
        if self._doubt is not None:
            question = self._doubt.question(places)
            self._doubted_at = time.monotonic()
            self._show("ears", f"asks: {question}")
            self._conversation.announce(question)
            return None
        self._known = self._known or bool(_named(_bare(text), places))
        return text

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
            self._question = self._doubt = None
            self._held.clear()
        # The model counts its calls by conversation; the gate remembers them for good.
        asked = SkillCall(self._robot.new_id(), call.name, dict(call.arguments), self._epoch)
        previous, self._previous = self._previous, asked
        for part in parts(asked, self._robot.skills, self._robot.new_id, previous):
            if self._question is not None and len(self._held) < QUEUE:
                self._held.append(part)
            elif not self._carry_out(part):
                return

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
        stopping = self._robot.latch is not None
        text = told_event(event, name, self.language)
        if event.happening in SAID:
            self._conversation.announce(text)
        unprompted = event.happening in _TOLD and not stopping
        self._conversation.note(f"[robot] {text}", unprompted=unprompted)


class RobotAdapter:
    """A robot in a conversation at the desk, wired by the conversation's own hooks.

    `heard`, `called` and `stop` are its `on_turn`, `on_call` and `on_stop`. What is told before `serve` waits.
    """

    def __init__(self, robot: RobotPort, show: Callable[[str, str], None]) -> None:
        self._controller = RobotController(robot, self, show)
        self._notes: asyncio.Queue[tuple[str, bool]] = asyncio.Queue()
        self._conversation: ConversationDriver | None = None
        """None until it is served: what is told before waits."""
        self.called = self._controller.called

    @property
    def tools(self) -> list[Tool]:
        """What the model may call now."""
        return self._controller.tools

    @property
    def words(self) -> str:
        """Sentences with the names that a user may say to this robot."""
        return self._controller.words

    @property
    def idle(self) -> bool:
        """Whether the robot has nothing to do, and nothing about it is left to tell or to ask."""
        return self._controller.idle and self._notes.empty()

    @property
    def question(self) -> Question | None:
        """What waits for the user's yes."""
        return self._controller.question

    @property
    def doubt(self) -> Doubt | None:
        """The place that the user was asked for."""
        return self._controller.doubt

    def speak(self, language: Language) -> None:
        """Speak of the robot in a language."""
        self._controller.language = language

    def heard(self, words: Words) -> str | None:
        """Take a whole turn of the user; give what is to be answered, if anything is."""
        return self._controller.heard(words.committed, words.confidence, words.other)

    def stop(self, phrase: str) -> None:
        """Stop the robot: the user said so."""
        self._controller.stop(f"the user said {phrase!r}")

    def pressed(self) -> None:
        """Stop the robot: a key was pressed."""
        self._controller.stop("a key was pressed")

    def note(self, text: str, *, unprompted: bool) -> None:
        """Tell the conversation; it may be busy, so that this waits in line."""
        self._notes.put_nowait((text, unprompted))

    def announce(self, text: str) -> None:
        """Have it spoken."""
        if self._conversation is not None:
            self._conversation.announce(text)

    async def serve(self, conversation: ConversationDriver) -> None:
        """Tell the conversation what happens to the robot, for ever."""
        self._conversation = conversation
        async with asyncio.TaskGroup() as group:
            group.create_task(self._controller.follow(), name="robot events")
            while True:
                text, unprompted = await self._notes.get()
                await conversation.note(text, unprompted=unprompted)


def tools_of(skills: Mapping[str, Skill], site: Site) -> list[Tool]:
    """Give the model's tools for a robot's skills."""
    places = frozenset(site.places)

    def objection(calls: Sequence[WrittenCall]) -> str:
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


def _named(words: str, places: Iterable[str]) -> list[str]:
    """Give the places that bare words name."""
    return [name for name in places if f" {_bare(name)} " in f" {words} "]


def _answered(words: str, asked: Doubt, places: Iterable[str]) -> str:
    """Give the place with which bare words answer a question for it, or nothing."""
    if words in _YES:
        return asked.name
    named = _named(words, places)
    rest = set(words.split()) - {word for name in named for word in _bare(name).split()}
    return named[0] if len(named) == 1 and rest <= _AMENDS else ""


def _bare(text: str) -> str:
    """Return words without case, punctuation and politeness."""
    words = [key(word) for word in re.sub(r"[.,!?;:]", " ", text).split()]
    return " ".join(word for word in words if word not in _POLITE)


def _listed(arguments: Mapping[str, object]) -> str:
    return ", ".join(f"{name}={value!r}" for name, value in arguments.items())
