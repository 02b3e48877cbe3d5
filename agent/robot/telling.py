"""Codes and facts of a robot in the words of a language: the one place where they become sentences. Pure."""

from __future__ import annotations

import math
from typing import TYPE_CHECKING, Final

from robots.facts.fact import Fact
from robots.site import HERE
from robots.skills import PLACE, STOP, offered

if TYPE_CHECKING:
    from collections.abc import Mapping, Sequence

    from languages.language import Language
    from robots.events import Event
    from robots.safety.gate import Question
    from robots.site import Site
    from robots.skills import Skill, SkillCall

_LISTED: Final = 12
"""Most names that are told of many."""


def told(fact: Fact, language: Language) -> str:
    """Return the saying of a fact: a clause, with the sayings of its reasons in it."""
    return language.robot.facts[fact.code].format(**{name: _value(value, language) for name, value in fact.items()})


def told_call(call: SkillCall, language: Language) -> str:
    """Return what a call asks for; names of skills, places and arguments stay what map and factsheet call them."""
    sayings, arguments = language.robot, {name: _value(value, language) for name, value in call.arguments.items()}
    known = sayings.skills.get(call.skill)
    if known is not None:
        try:
            return known.format(**arguments)
        except KeyError:
            # The gate refuses it for what it lacks; it still has a name.
            arguments.pop(PLACE, None)
    place = arguments.pop(PLACE, None)
    form = sayings.action if place is None else sayings.here if place == HERE else sayings.action_at
    words = ", ".join(f"{name} {value}" for name, value in arguments.items())
    return form.format(skill=call.skill.replace("_", " "), place=place) + (f" ({words})" if words else "")


def told_calls(calls: Sequence[SkillCall], language: Language) -> str:
    """Return what several calls ask for, one after the other."""
    return language.robot.then.join(told_call(call, language) for call in calls)


def told_question(question: Question, robot: str, language: Language) -> str:
    """Return a question of the gate."""
    sayings = language.robot
    if question.call is None:
        return sayings.may_it_move.format(robot=robot)
    return sayings.shall_it.format(robot=robot, what=told_call(question.call, language))


def told_event(event: Event, robot: str, language: Language) -> str:
    """Return what happened, in whole sentences, with its reason where one is known."""
    sayings = language.robot
    form = sayings.because.get(event.happening) if event.reason is not None else None
    text = (form or sayings.happenings[event.happening]).format(
        robot=robot,
        what="" if event.call is None else told_call(event.call, language),
        reason="" if event.reason is None else told(event.reason, language),
    )
    if event.dropped:
        text = f"{text} {sayings.dropped.format(count=event.dropped)}"
    return text[:1].upper() + text[1:]


def sentences(skills: Mapping[str, Skill], site: Site, language: Language) -> str:
    """Return sentences with the names of all places and skills, for ears that are to know these words."""
    words = language.places
    *most, last = (words.one.format(name) for name in sorted(site.places))
    where = language.robot.go_to.format(f"{', '.join(most)}{words.either if most else ''}{last}")
    actions = ", ".join(name for name in sorted(offered(skills, site)) if name.isalpha() and name != STOP)
    return f"{where} {actions.capitalize()}." if actions else where


def _value(value: object, language: Language) -> str:
    match value:
        case Fact():
            return told(value, language)
        case float():
            return _number(value).replace(".", language.numbers.point)
        case tuple():
            most = [str(one) for one in value[:_LISTED]]
            return ", ".join(most) + (", …" if len(value) > _LISTED else "")
        case _:
            return str(value)


def _number(value: float) -> str:
    """Write a number with two decimals at most: figures that nobody needs are read aloud, too."""
    return str(round(value, 2)).removesuffix(".0") if math.isfinite(value) else str(value)
