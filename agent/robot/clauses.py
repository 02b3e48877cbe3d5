"""The words of a plain request, sorted into clauses: verbs, places, numbers and what stands before them. Pure.

Whatever fits into no clause leaves something open (`RequestClauses.clear`): a second number, a preposition without a
place, a word for the order of things where the order is not clear by it, a clause of which only the "and" was heard.
"""

from __future__ import annotations

import re
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Final

from languages.language import CommandPart
from robots.site import spoken
from robots.skills import GO_TO, GO_TO_POSE

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from languages.language import CommandWords, Language
    from robots.skills import Skill

WAIT: Final = "wait"
PICK: Final = "pick"
DROP: Final = "drop"
READ_OTHERWISE: Final = frozenset({PICK, DROP, WAIT, GO_TO, GO_TO_POSE})
"""Skills that verbs ask for, not their names."""
ROLES: Final = frozenset({CommandPart.FROM, CommandPart.TO, CommandPart.AT})
VERBS: Final = frozenset(
    {CommandPart.GO, CommandPart.CARRY, CommandPart.PICK, CommandPart.DROP, CommandPart.WAIT, CommandPart.SHOW}
)
JOINS: Final = frozenset({CommandPart.AND, CommandPart.NEXT, CommandPart.LAST})
MARK: Final = "mark"
UNKNOWN: Final = "unknown"
GUESSED: Final = "guessed number"
_MARKS: Final = frozenset(".,;:!?…—–")
_SPOTS: Final = frozenset({CommandPart.HERE, CommandPart.THERE})
_MEANT: Final = frozenset({*_SPOTS, CommandPart.OBJECT, CommandPart.AUDIENCE})
_LONGEST: Final = 5
"""Most words of a phrase."""

Piece = tuple[CommandPart | str, Any]
"""A part of speech, or `mark`, `place`, `skill`, `number`, `guessed number`, `unknown`; and what it says."""


@dataclass(slots=True)
class RequestClause:
    """What is said in one."""

    joined: bool = False
    """Whether a word such as "then" joins it to what was said before; a comma alone may as well begin a correction."""
    verbs: list[CommandPart] = field(default_factory=list)
    skills: list[str] = field(default_factory=list)
    places: list[tuple[str, CommandPart | None]] = field(default_factory=list)
    """And what the words before them say: from there, to there or there; None: nothing."""
    seconds: float | None = None
    pose: tuple[float, float] | None = None
    parts: set[CommandPart | str] = field(default_factory=set)
    """Which other words it has."""

    @property
    def begun(self) -> bool:
        """Whether it says what is to be done, and neither where nor how long."""
        return bool(self.verbs) and not (self.skills or self.places or self.measured or self.parts & _SPOTS)

    @property
    def here(self) -> bool:
        """Whether it names where the robot stands."""
        return CommandPart.HERE in self.parts

    @property
    def there(self) -> bool:
        """Whether it names the place that was named last."""
        return CommandPart.THERE in self.parts

    @property
    def loaded(self) -> bool:
        """Whether a load is named."""
        return CommandPart.OBJECT in self.parts

    @property
    def measured(self) -> bool:
        """Whether it has numbers."""
        return self.seconds is not None or self.pose is not None

    @property
    def empty(self) -> bool:
        """Whether it says nothing."""
        return not (self.verbs or self.skills or self.places or self.measured or self.parts & _MEANT)


def pieces_of(
    text: str, skills: Mapping[str, Skill], places: Sequence[str], words: CommandWords, language: Language
) -> tuple[list[Piece], set[str]]:
    """Sort words; give them, and those that say what is to be done, where and for how long."""
    known: dict[str, Piece] = {phrase: (part, None) for phrase, part in words.phrases.items()}
    known |= {name.replace("_", " ").lower(): ("skill", name) for name in skills if name not in READ_OTHERWISE}
    known |= {phrase: ("skill", name) for phrase, name in words.skills.items() if name in skills}
    known |= {phrase: ("place", name) for phrase, name in words.places.items() if name in places}
    known |= {spoken(name.lower()): ("place", name) for name in places}
    tokens = [token.replace("’", "'") for token in _tokens(text.lower(), language.numbers.point)]
    found: list[Piece] = []
    matter: set[str] = set()
    at = 0
    while at < len(tokens):
        if tokens[at] in _MARKS:
            found.append((MARK, None))
            at += 1
            continue
        length, piece = 1, _guess(tokens, at, found, words)
        for length in range(min(_LONGEST, len(tokens) - at), 0, -1) if piece is None else ():
            piece = known.get(" ".join(tokens[at : at + length]))
            if piece is not None:
                break
        if piece is None:
            length, value = _number(tokens[at:], language)
            piece = (UNKNOWN, None) if value is None else ("number", value)
        if piece[0] in VERBS | {"place", "skill", "number"}:
            matter.update(tokens[at : at + length])
        found.append(piece)
        if " ".join(tokens[at : at + length]) in words.loaded:
            found.append((CommandPart.OBJECT, None))
        at += length
    return found, matter


def _tokens(text: str, point: str) -> list[str]:
    """Give words, numbers in figures, the marks that end a clause, and any sign that says something: "-5", "50 %"."""
    letter = r"[^\W\d_]"
    word, number = rf"{letter}+(?:['’]{letter}+)*", rf"\d+(?:{re.escape(point)}\d+)?"
    # "Twenty-five" is two words.
    sign = rf"(?<!{letter})-|-(?!{letter})|[^\s\"'’“”„«»¿¡-]"
    return re.findall(f"{word}|{number}|{sign}", text)


def _guess(tokens: Sequence[str], at: int, found: Sequence[Piece], words: CommandWords) -> Piece | None:
    """Take a word for a number that sounds like it, where nothing else can stand: "wait for seconds", "x to"."""
    value = words.sounds_like.get(tokens[at])
    behind = words.phrases.get(tokens[at + 1]) if at + 1 < len(tokens) else None
    counts = behind is CommandPart.SECONDS or (bool(found) and found[-1][0] in {CommandPart.X, CommandPart.Y})
    return (GUESSED, value) if value is not None and counts else None


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


class RequestClauses:
    """Cuts a request into clauses."""

    def __init__(self, pieces: Sequence[Piece]) -> None:
        self.clear = True
        """Whether everything fits."""
        self.found: list[RequestClause] = [RequestClause()]
        self._role: CommandPart | None = None
        """What was said of the next place."""
        self._joined_by: CommandPart | None = None
        self._paused = False
        """Whether nothing but marks came behind the word that joins the newest clause."""
        self._last: RequestClause | None = None
        """The clause of which it was said that it is the last."""
        self._axis: CommandPart | None = None
        self._pose: dict[CommandPart, float] = {}
        kinds = [kind for kind, _ in pieces]
        for (kind, value), before, behind in zip(pieces, ["", *kinds], [*kinds[1:], ""], strict=False):
            if kind in {CommandPart.X, CommandPart.Y, "number"}:
                self._measure(kind, value, timed=behind is CommandPart.SECONDS)
            elif kind is CommandPart.SECONDS:
                self.clear &= before == "number"
            elif kind == MARK or kind in JOINS:
                self._join(kind, behind)
            else:
                self._say(kind, value)
        self._close()
        self.clear &= not (self._unfinished or self._cut_off)

    @property
    def _unfinished(self) -> bool:
        """Whether a position lacks a number."""
        return self._axis is not None or len(self._pose) == 1

    @property
    def _cut_off(self) -> bool:
        """Whether more was to come: "go to the hall and", or "and back"; "and home after that" is all."""
        last = self.found[-1]
        more = self._joined_by is CommandPart.AND or (bool(last.parts) and not self._paused)
        return last.joined and last.empty and more

    def _join(self, kind: CommandPart | str, behind: CommandPart | str) -> None:
        """Begin the next clause."""
        clause = self.found[-1]
        inside = (
            kind in {CommandPart.NEXT, CommandPart.LAST} and clause.begun and behind not in VERBS and not self._role
        )
        if inside and kind is CommandPart.LAST:
            self._last = clause
        # "Go then to the hall" is one clause, and "x three, y two" one position.
        if self._unfinished or inside:
            return
        self._close()
        if not clause.empty:
            self.found.append(RequestClause())
        elif clause.joined and clause.parts and not self._paused:
            self.clear = False
        self._paused = kind == MARK
        if kind != MARK and not (self.found[-1].joined and self._joined_by is CommandPart.AND):
            self.found[-1].joined, self._joined_by = True, CommandPart(kind)
        if kind is CommandPart.LAST:
            self._last = self.found[-1]

    def _close(self) -> None:
        """End a clause: what was said of a place that did not come says something else, but "wink ihnen zu"."""
        waved = self._role is CommandPart.TO and CommandPart.AUDIENCE in self.found[-1].parts
        self.clear &= self._role is None or waved
        self._role = None

    def _measure(self, kind: CommandPart | str, value: float, *, timed: bool) -> None:
        clause = self.found[-1]
        if isinstance(kind, CommandPart):
            self.clear &= self._axis is None and clause.pose is None
            self._axis, self._role = kind, None
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
        match kind:
            case "place":
                clause.places.append((value, self._role))
            case "skill":
                clause.skills += [value] if value not in clause.skills else []
            case CommandPart.FIRST:
                # "The kitchen, first the hall" turns the order round, and "to the first hall" there are several.
                self.clear &= all(one is clause or one.empty for one in self.found) and self._role is None
            case CommandPart.OR:
                self.clear = False
            case _ if kind in VERBS:
                # "Leave it be" is no drive.
                self.clear &= kind is not CommandPart.GO or set(clause.verbs) <= {CommandPart.SHOW, CommandPart.GO}
                clause.verbs += [CommandPart(kind)] if kind not in clause.verbs else []
            case _:
                # Guests before what is done do it themselves.
                self.clear &= kind is not CommandPart.AUDIENCE or bool(clause.verbs or clause.skills)
                clause.parts.add(kind)
        self._take_role(kind)

    def _take_role(self, kind: CommandPart | str) -> None:
        """Take what says what the next place is; other words than articles and the like end it."""
        if kind in ROLES:
            if not (kind is CommandPart.AT and self._role):
                self._role = CommandPart(kind)
        elif kind not in {CommandPart.SAID, CommandPart.FIRST}:
            self._role = None
            # Nothing follows what is said to come last.
            self.clear &= self._last is None or self._last is self.found[-1]
