"""What a plain request asks of a robot, read word by word. Pure.

A request is whole where every word of it is known, and all that has to be known is said: where, for how long, what.
Whoever is sent "to the kitchen, but only if it is open" is told by the words that are not known here that there is
more to it than driving. What is not whole is never carried out on this reading alone.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from languages.language import CommandPart
from robots.site import HERE
from robots.skills import GO_TO, GO_TO_POSE, PLACE, STOP
from robots.terms.capabilities import SkillScope

if TYPE_CHECKING:
    from collections.abc import Iterable, Mapping, Sequence

    from languages.language import CommandWords, Language
    from robots.skills import Skill
    from robots.terms.commands import Argument

_STOPS: Final = frozenset(".,;:!?")
_LONGEST: Final = 5
"""Most words of a phrase."""
_WAIT: Final = "wait"
_SECONDS: Final = "seconds"
_PICK: Final = "pick"
_DROP: Final = "drop"
_GUESSED: Final = "guessed number"
_ROLES: Final = frozenset({CommandPart.FROM, CommandPart.TO, CommandPart.AT})
_READ_OTHERWISE: Final = frozenset({_PICK, _DROP, _WAIT, GO_TO, GO_TO_POSE})
_OPENS: Final = frozenset({CommandPart.SAID, CommandPart.AND, CommandPart.NEXT, *_ROLES})
"""What may stand before an order."""
_VERBS: Final = frozenset(
    {CommandPart.GO, CommandPart.CARRY, CommandPart.PICK, CommandPart.DROP, CommandPart.WAIT, CommandPart.SHOW}
)


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


_Piece = tuple[CommandPart | str, Any]
"""A part of speech, or `place`, `skill`, `number`, `guessed number`, `unknown`; and what it says."""


@dataclass(slots=True)
class _Clause:
    verbs: list[CommandPart] = field(default_factory=list)
    skills: list[str] = field(default_factory=list)
    places: list[tuple[str, CommandPart | None]] = field(default_factory=list)
    """And what the words before them say: from there, to there or there; None: nothing."""
    seconds: float | None = None
    pose: tuple[float, float] | None = None
    there: bool = False
    here: bool = False


def read(text: str, skills: Mapping[str, Skill], places: Iterable[str], language: Language) -> Reading:
    """Read a request to a robot with these skills."""
    if language.commands is None:
        return Reading((), whole=False, ordered=False, matter=frozenset())
    pieces, matter = _pieces(text, skills, tuple(places), language.commands, language)
    reader = _Reader(skills, tells_roles=CommandPart.AT in language.commands.phrases.values())
    known = all(kind not in {"unknown", _GUESSED} for kind, _ in pieces)
    pieces = [("number", value) if kind == _GUESSED else (kind, value) for kind, value in pieces]
    clauses = _Clauses(pieces)
    for clause in clauses.found:
        reader.take(clause)
    spots = [value for kind, value in pieces if kind == "place"]
    open_choice = any(kind is CommandPart.OR for kind, _ in pieces) and len(set(spots)) > 1
    first = next((kind for kind, _ in pieces if kind not in _OPENS), "")
    return Reading(
        tuple(reader.steps),
        whole=known and clauses.clear and reader.clear and bool(reader.steps),
        ordered=first in _VERBS or first == "skill",
        matter=frozenset(matter),
        either=tuple(dict.fromkeys(spots)) if open_choice else (),
        nowhere=first is CommandPart.GO and not spots and not reader.steps,
    )


def _pieces(
    text: str, skills: Mapping[str, Skill], places: Sequence[str], words: CommandWords, language: Language
) -> tuple[list[_Piece], set[str]]:
    known: dict[str, _Piece] = {phrase: (part, None) for phrase, part in words.phrases.items()}
    known |= {name.replace("_", " ").lower(): ("skill", name) for name in skills if name not in _READ_OTHERWISE}
    known |= {phrase: ("skill", name) for phrase, name in words.skills.items() if name in skills}
    known |= {phrase: ("place", name) for phrase, name in words.places.items() if name in places}
    known |= {name.lower(): ("place", name) for name in places}
    tokens = [token.replace("’", "'") for token in _tokens(text.lower(), language.numbers.point)]
    found: list[_Piece] = []
    matter: set[str] = set()
    at = 0
    while at < len(tokens):
        if tokens[at] in _STOPS:
            found.append((CommandPart.AND, None))
            at += 1
            continue
        length, piece = 1, _guess(tokens, at, found, words)
        for length in range(min(_LONGEST, len(tokens) - at), 0, -1) if piece is None else ():
            piece = known.get(" ".join(tokens[at : at + length]))
            if piece is not None:
                break
        if piece is None:
            length, value = _number(tokens[at:], language)
            piece = ("unknown", None) if value is None else ("number", value)
        if piece[0] in _VERBS | {"place", "skill", "number"}:
            matter.update(tokens[at : at + length])
        found.append(piece)
        at += length
    return found, matter


def _tokens(text: str, point: str) -> list[str]:
    """Give words, numbers in figures and the marks that end a clause."""
    return re.findall(rf"[^\W\d_]+(?:['’][^\W\d_]+)*|\d+(?:{re.escape(point)}\d+)?|[.,;:!?]", text)


def _guess(tokens: Sequence[str], at: int, found: Sequence[_Piece], words: CommandWords) -> _Piece | None:
    """Take a word for a number that sounds like it, where nothing else can stand: "wait for seconds", "x to"."""
    value = words.sounds_like.get(tokens[at])
    behind = words.phrases.get(tokens[at + 1]) if at + 1 < len(tokens) else None
    counts = behind is CommandPart.SECONDS or (bool(found) and found[-1][0] in {CommandPart.X, CommandPart.Y})
    return (_GUESSED, value) if value is not None and counts else None


def _number(tokens: Sequence[str], language: Language) -> tuple[int, float | None]:
    """Read a number at the beginning; give how many words it has."""
    if tokens[0][0].isdecimal():
        return 1, language.numbers.figure(tokens[0])
    for length in range(min(_LONGEST, len(tokens)), 0, -1):
        run = tokens[:length]
        if all(word in language.numbers.values or word in language.numbers.points for word in run):
            value = language.numbers.read(" ".join(run))
            if value is not None:
                return length, value
    return 1, None


class _Clauses:
    """Cuts a request into clauses; what fits into none leaves something open."""

    def __init__(self, pieces: Sequence[_Piece]) -> None:
        self.clear = True
        """Whether everything fits."""
        self.found: list[_Clause] = [_Clause()]
        self._role: CommandPart | None = None
        """What was said of the next place."""
        self._axis: CommandPart | None = None
        self._pose: dict[CommandPart, float] = {}
        kinds = [kind for kind, _ in pieces]
        for (kind, value), before, behind in zip(pieces, ["", *kinds], [*kinds[1:], ""], strict=False):
            if kind in {CommandPart.X, CommandPart.Y, "number"}:
                self._measure(kind, value, timed=behind is CommandPart.SECONDS)
            elif kind is CommandPart.SECONDS:
                self.clear &= before == "number"
            elif kind not in {CommandPart.AND, CommandPart.NEXT}:
                self._say(kind, value)
            # "Go then to the hall" is one clause, and "x three, y two" one position.
            elif not (self._unfinished or (kind is CommandPart.NEXT and self._begun and behind not in _VERBS)):
                self.found.append(_Clause())
                self._role = None
        self.clear &= not self._unfinished

    @property
    def _begun(self) -> bool:
        """Whether the clause says what is to be done, and neither where nor how long."""
        clause = self.found[-1]
        return clause == _Clause(verbs=clause.verbs) and bool(clause.verbs)

    @property
    def _unfinished(self) -> bool:
        """Whether a position lacks a number."""
        return self._axis is not None or len(self._pose) == 1

    def _measure(self, kind: CommandPart | str, value: float, *, timed: bool) -> None:
        clause = self.found[-1]
        if isinstance(kind, CommandPart):
            self.clear &= self._axis is None
            self._axis = kind
        elif self._axis is not None:
            self._pose[self._axis] = value
            self._axis = None
            if len(self._pose) > 1:
                clause.pose, self._pose = (self._pose[CommandPart.X], self._pose[CommandPart.Y]), {}
        else:
            self.clear &= timed and clause.seconds is None
            clause.seconds = value if timed else None

    def _say(self, kind: CommandPart | str, value: str) -> None:
        clause = self.found[-1]
        if kind == "place":
            clause.places.append((value, self._role))
        elif kind == "skill" and value not in clause.skills:
            clause.skills.append(value)
        elif kind is CommandPart.AUDIENCE:
            self.clear &= bool(clause.verbs or clause.skills)
        elif kind in _VERBS and kind not in clause.verbs:
            clause.verbs.append(CommandPart(kind))
        clause.there = clause.there or kind is CommandPart.THERE
        clause.here = clause.here or kind is CommandPart.HERE
        if kind in {"place", CommandPart.HERE} or kind in _VERBS:
            self._role = None
        elif kind in _ROLES and not (kind is CommandPart.AT and self._role):
            self._role = CommandPart(kind)
        self.clear &= kind is not CommandPart.OR


class _Reader:
    """Makes steps of clauses, each of which begins where the one before has led."""

    def __init__(self, skills: Mapping[str, Skill], *, tells_roles: bool) -> None:
        """`tells_roles`: the language tells by its prepositions whether a place is one to go to or one to be at."""
        self._skills, self._tells_roles = skills, tells_roles
        self.steps: list[AskedStep] = []
        self.clear = True
        """Whether nothing was left open."""
        self._last = ""
        """The place that was named last."""
        self._loaded = False
        self._dropped = ""
        """Where a load was just carried to."""
        self._goes = False
        """Whether the clause before sent the robot somewhere."""

    def take(self, clause: _Clause) -> None:
        """Take the next clause."""
        verbs = [verb for verb in clause.verbs if verb is not CommandPart.SHOW]
        if len(verbs) > 1:
            verbs = [verb for verb in verbs if verb is not CommandPart.GO]
        doing = [*verbs, *clause.skills]
        if verbs == [CommandPart.GO] and clause.skills:
            doing = list(clause.skills)
        if len(doing) > 1:
            self.clear = False
        elif not doing:
            self._bare(clause)
        elif clause.skills:
            self._act(clause, clause.skills[0])
        else:
            self._do(clause, verbs[0])

    def _bare(self, clause: _Clause) -> None:
        """Take a clause without a verb: "then the hall"."""
        if clause.seconds is not None or (clause.there and not clause.places) or (clause.here and not clause.places):
            self.clear = False
        if clause.places or clause.pose:
            # A place alone names where to go only beside another order, or as all that is said.
            self.clear = self.clear and (self._goes or not self.steps) and CommandPart.SHOW not in clause.verbs
            self._go(clause)

    def _do(self, clause: _Clause, verb: CommandPart) -> None:
        match verb:
            case CommandPart.GO:
                self._go(clause)
            case CommandPart.WAIT:
                self._timed(clause)
            case CommandPart.PICK:
                self._at(_PICK, self._where(clause, CommandPart.AT, CommandPart.FROM))
                self._loaded = True
            case CommandPart.DROP:
                where = self._where(clause, CommandPart.AT, CommandPart.TO)
                if not (self._dropped and where in {HERE, self._dropped}):
                    self._at(_DROP, where)
                self._loaded = False
            case _:
                self._carry(clause)
        if verb is not CommandPart.WAIT:
            self.clear = self.clear and clause.seconds is None

    def _go(self, clause: _Clause, also: CommandPart = CommandPart.TO) -> None:
        if clause.pose is not None:
            self.clear = self.clear and not clause.places
            self._add(GO_TO_POSE, {"x": clause.pose[0], "y": clause.pose[1]})
            self._last = ""
        if not (clause.places or clause.pose):
            self.clear = False
        for name, role in clause.places:
            self.clear = self.clear and role in {None, CommandPart.TO, also} and name != self._last
            self._add(GO_TO, {PLACE: name})
            self._last = name
        self._dropped, self._goes = "", True

    def _timed(self, clause: _Clause) -> None:
        skill = self._skills.get(_WAIT)
        if skill is None or _SECONDS not in skill.parameters["properties"] or clause.seconds is None:
            self.clear = False
            return
        self._at(_WAIT, self._where(clause, CommandPart.AT), {_SECONDS: clause.seconds})

    def _carry(self, clause: _Clause) -> None:
        sources = [name for name, role in clause.places if role is CommandPart.FROM]
        goals = [name for name, role in clause.places if role is not CommandPart.FROM]
        self._play(clause, CommandPart.FROM, CommandPart.TO)
        if clause.there and not goals and self._last:
            goals = [self._last]
        if len(goals) != 1 or len(sources) > 1 or (sources and self._loaded):
            self.clear = False
            return
        if not self._loaded:
            self._at(_PICK, sources[0] if sources else HERE)
        self._at(_DROP, goals[0])
        self._loaded, self._dropped, self._last = False, goals[0], goals[0]

    def _act(self, clause: _Clause, name: str) -> None:
        skill = self._skills[name]
        needed = set(skill.parameters["required"]) - {PLACE}
        if name == STOP or needed or clause.seconds is not None or clause.pose is not None:
            self.clear = False
        elif skill.scope is SkillScope.AT_PLACE:
            self._at(name, self._where(clause, CommandPart.AT, CommandPart.TO))
        else:
            if clause.places:
                self._go(clause, CommandPart.AT)
            self._add(name, {})

    def _play(self, clause: _Clause, *roles: CommandPart) -> None:
        """Leave it open where a place plays another role: "hol das in die Küche" is no pick in the kitchen."""
        named = {role for _, role in clause.places}
        self.clear = self.clear and named <= {*roles, *(() if self._tells_roles else (None,))}

    def _where(self, clause: _Clause, *roles: CommandPart) -> str:
        """Give where a clause says that something is to be done."""
        self._play(clause, *roles)
        if len(clause.places) > 1:
            self.clear = False
        if clause.places:
            self._last = clause.places[-1][0]
            return self._last
        if clause.there:
            self.clear = self.clear and bool(self._last)
        return HERE if clause.here or not self._last else self._last

    def _at(self, skill: str, place: str, more: Mapping[str, Argument] | None = None) -> None:
        self._add(skill, {PLACE: place, **(more or {})})
        self._goes = False

    def _add(self, skill: str, arguments: Mapping[str, Argument]) -> None:
        # "Time to charge, go home and dock" says the same thing twice, the first time for no place in particular.
        self.clear = self.clear and (skill in _READ_OTHERWISE or all(step.skill != skill for step in self.steps))
        if skill in self._skills:
            self.steps.append(AskedStep(skill, arguments))
        else:
            self.clear = False
