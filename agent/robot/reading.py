"""What a plain request asks of a robot, read word by word. Pure.

A request is whole where every word of it is known, and all that has to be known is said: where, for how long, what.
Whoever is sent "to the kitchen, but only if it is open" is told by the words that are not known here that there is
more to it than driving. What is not whole is never carried out on this reading alone.
"""

from __future__ import annotations

from dataclasses import dataclass
from typing import TYPE_CHECKING, Final

from agent.robot.clauses import (
    DROP,
    GUESSED,
    JOINS,
    MARK,
    PICK,
    READ_OTHERWISE,
    ROLES,
    UNKNOWN,
    VERBS,
    WAIT,
    RequestClauses,
    pieces_of,
)
from languages.language import CommandPart
from robots.site import HERE
from robots.skills import GO_TO, GO_TO_POSE, PLACE, STOP
from robots.terms.capabilities import SkillScope

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from agent.robot.clauses import RequestClause
    from languages.language import CommandWords, Language
    from robots.skills import Skill
    from robots.terms.commands import Argument

_SECONDS: Final = "seconds"
_OPENS: Final = frozenset({CommandPart.SAID, CommandPart.FIRST, MARK, *JOINS, *ROLES})
"""What may stand before an order."""


@dataclass(frozen=True, slots=True)
class AskedStep:
    """One thing that is asked for."""

    skill: str
    arguments: Mapping[str, Argument]


@dataclass(frozen=True, slots=True)
class Reading:
    """What was made out."""

    steps: tuple[AskedStep, ...]
    whole: bool
    """Whether that is all, for certain."""
    ordered: bool
    """Whether it begins with what is to be done, as an order does."""
    matter: frozenset[str]
    """The words, in lower case, that say what is to be done, where and for how long."""
    either: tuple[str, ...] = ()
    """Places of which one is to be chosen."""
    nowhere: bool = False
    """Whether it sends the robot somewhere, and names no place that is known."""


def read(text: str, skills: Mapping[str, Skill], places: Iterable[str], language: Language) -> Reading:
    """Read a request to a robot with these skills."""
    if language.commands is None:
        return Reading((), whole=False, ordered=False, matter=frozenset())
    pieces, matter = pieces_of(text, skills, tuple(places), language.commands, language)
    reader = _Reader(skills, language.commands)
    known = all(kind not in {UNKNOWN, GUESSED} for kind, _ in pieces)
    pieces = [("number", value) if kind == GUESSED else (kind, value) for kind, value in pieces]
    clauses = RequestClauses(pieces)
    for clause in clauses.found:
        reader.take(clause)
    spots = [value for kind, value in pieces if kind == "place"]
    open_choice = any(kind is CommandPart.OR for kind, _ in pieces) and len(set(spots)) > 1
    first = next((kind for kind, _ in pieces if kind not in _OPENS), "")
    return Reading(
        tuple(reader.steps),
        whole=known and clauses.clear and reader.clear and not reader.shown and bool(reader.steps),
        ordered=first in VERBS or first == "skill",
        matter=frozenset(matter),
        either=tuple(dict.fromkeys(spots)) if open_choice else (),
        nowhere=first is CommandPart.GO and not spots and not reader.steps,
    )


class _Reader:
    """Makes steps of clauses, each of which begins where the one before has led."""

    def __init__(self, skills: Mapping[str, Skill], words: CommandWords) -> None:
        self._skills, self._words = skills, words
        self._also_at = (CommandPart.AT,) if words.goes_at else ()
        self._goal = (CommandPart.TO, *self._also_at, *((None,) if words.goes_at else ()))
        self.steps: list[AskedStep] = []
        self.clear = True
        """Whether nothing was left open."""
        self.shown = False
        """Whether a gesture was asked for, and not yet said which."""
        self._last = ""
        """The place that was named last."""
        self._loaded = False
        self._dropped = ""
        """Where a load was just carried to."""
        self._goes = False
        """Whether the clause before sent the robot somewhere."""

    def take(self, clause: RequestClause) -> None:
        """Take the next clause."""
        if clause.empty:
            return
        verbs = [verb for verb in clause.verbs if verb is not CommandPart.SHOW]
        if len(verbs) > 1:
            verbs = [verb for verb in verbs if verb is not CommandPart.GO]
        doing = [*verbs, *clause.skills]
        if verbs == [CommandPart.GO] and clause.skills:
            doing = list(clause.skills)
        gesture = any(self._skills[name].scope is SkillScope.AT_ONCE for name in clause.skills)
        # Guests are waved to, neither carried nor driven into, and only who carries has to do with things.
        self._need(gesture or CommandPart.AUDIENCE not in clause.parts, not (clause.skills and clause.loaded))
        if len(doing) > 1:
            self.clear = False
        elif not doing:
            self._bare(clause)
        elif clause.skills:
            self._act(clause, clause.skills[0])
        else:
            self._do(clause, verbs[0])

    def _need(self, *conditions: bool) -> None:
        """Leave it open unless all hold."""
        self.clear = self.clear and all(conditions)

    def _bare(self, clause: RequestClause) -> None:
        """Take a clause without a verb: "then the hall"."""
        shows = CommandPart.SHOW in clause.verbs
        self.shown = self.shown or shows
        self._need(clause.seconds is None, not clause.loaded, shows != bool(clause.places or clause.pose))
        if clause.places or clause.pose:
            # A place alone names where to go only beside another order, or as all that is said.
            self._need(self._goes or not self.steps)
            self._go(clause, None, CommandPart.TO, *(self._also_at if clause.joined else ()))

    def _do(self, clause: RequestClause, verb: CommandPart) -> None:
        self._need(verb is CommandPart.WAIT or clause.seconds is None, verb is CommandPart.GO or clause.pose is None)
        drives_it = verb is CommandPart.GO and self._loaded
        self._need(drives_it or clause.loaded == (verb not in {CommandPart.GO, CommandPart.WAIT}))
        match verb:
            case CommandPart.GO:
                self._go(clause, *self._goal)
            case CommandPart.WAIT:
                self._timed(clause)
            case CommandPart.PICK:
                self._at(PICK, self._where(clause, CommandPart.AT, CommandPart.FROM))
                self._loaded = True
            case CommandPart.DROP:
                where = self._where(clause, CommandPart.AT, CommandPart.TO)
                if not (self._dropped and where in {HERE, self._dropped}):
                    self._at(DROP, where)
                self._loaded = False
            case _:
                self._carry(clause)

    def _go(self, clause: RequestClause, *roles: CommandPart | None) -> None:
        # Of two places without a word between them the second is perhaps a correction, or says where the first one is,
        # and so is the second of two drives.
        self._need(len(clause.places) + (clause.pose is not None) == 1, clause.joined or not self._goes)
        if clause.pose is not None:
            self._add(GO_TO_POSE, {"x": clause.pose[0], "y": clause.pose[1]})
            self._last = ""
        for name, role in clause.places:
            self._need(self._fits(name, role, roles), name != self._last)
            self._add(GO_TO, {PLACE: name})
            self._last = name
        self._dropped, self._goes = "", True

    def _timed(self, clause: RequestClause) -> None:
        skill = self._skills.get(WAIT)
        if skill is None or _SECONDS not in skill.parameters["properties"] or clause.seconds is None:
            self.clear = False
            return
        self._at(WAIT, self._where(clause, CommandPart.AT), {_SECONDS: clause.seconds})

    def _carry(self, clause: RequestClause) -> None:
        sources = [name for name, role in clause.places if role is CommandPart.FROM]
        goals = [name for name, role in clause.places if role is not CommandPart.FROM]
        self._play(clause, CommandPart.FROM, CommandPart.TO)
        if clause.there and not goals and self._last:
            goals = [self._last]
        if len(goals) != 1 or len(sources) > 1 or (sources and self._loaded):
            self.clear = False
            return
        if not self._loaded:
            self._at(PICK, sources[0] if sources else HERE)
        self._at(DROP, goals[0])
        self._loaded, self._dropped, self._last = False, goals[0], goals[0]

    def _act(self, clause: RequestClause, name: str) -> None:
        skill = self._skills[name]
        needed = set(skill.parameters["required"]) - {PLACE}
        if name == STOP or needed or clause.measured:
            self.clear = False
        elif skill.scope is SkillScope.AT_PLACE:
            self._at(name, self._where(clause, CommandPart.AT, CommandPart.TO))
        else:
            if clause.places:
                going = self._goal if CommandPart.GO in clause.verbs else ()
                self._go(clause, CommandPart.AT, *going)
            self.shown = False
            self._add(name, {})

    def _play(self, clause: RequestClause, *roles: CommandPart) -> None:
        """Leave it open where a place plays another role: "hol das in die Küche" is no pick in the kitchen."""
        self._need(all(self._fits(name, role, roles) for name, role in clause.places))

    def _fits(self, name: str, role: CommandPart | None, roles: Sequence[CommandPart | None]) -> bool:
        """Whether a place may play its role; "home" needs no preposition."""
        return role in roles or (role is None and name in self._words.places.values())

    def _where(self, clause: RequestClause, *roles: CommandPart) -> str:
        """Give where a clause says that something is to be done."""
        self._play(clause, *roles)
        self._need(len(clause.places) + clause.here + clause.there <= 1, not clause.there or bool(self._last))
        if clause.places:
            self._last = clause.places[-1][0]
            return self._last
        return HERE if clause.here or not self._last else self._last

    def _at(self, skill: str, place: str, more: Mapping[str, Argument] | None = None) -> None:
        self._add(skill, {PLACE: place, **(more or {})})
        self._goes = False

    def _add(self, skill: str, arguments: Mapping[str, Argument]) -> None:
        # "Time to charge, go home and dock" says the same thing twice, the first time for no place in particular.
        self._need(skill in READ_OTHERWISE or all(step.skill != skill for step in self.steps))
        if skill in self._skills:
            self.steps.append(AskedStep(skill, arguments))
        else:
            self.clear = False
