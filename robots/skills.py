"""What the language model may ask of a robot: skills made from what it can do and the site map, as plain data.

A `Skill` carries a JSON schema for its arguments; `call_schema` is the schema of one call, made for constrained
decoding. `offered` gives the skills as a model is shown them: with little left to choose, and with `carry`, which
`parts` takes apart into what the gate knows. Whether a call is carried out is decided by
`robots.safety.gate`, not here.
"""

from __future__ import annotations

import json
import math
import re
import sys
from dataclasses import dataclass, replace
from enum import StrEnum
from typing import TYPE_CHECKING, Any, Final

from robots.errors import FactError
from robots.facts.fitness import ActionsTooMany, NoActions
from robots.facts.refusals import (
    ArgumentMissing,
    ArgumentNotAmong,
    ArgumentOfOtherType,
    ArgumentOutOfRange,
    ArgumentsNoObject,
    ArgumentTooLong,
    ArgumentUnknown,
    CallUnreadable,
    SkillUnknown,
)
from robots.site import HERE
from robots.terms.capabilities import SkillScope
from robots.untrusted import plain

if TYPE_CHECKING:
    from collections.abc import Callable, Mapping, Sequence

    from robots.facts.fact import Fact
    from robots.site import Site
    from robots.terms.capabilities import Capabilities, OfferedAction, OfferedArgument
    from robots.terms.commands import Argument

Schema = dict[str, Any]

CONTROL_ACTIONS: Final = frozenset(
    {
        *("startpause", "stoppause", "cancelorder", "staterequest", "factsheetrequest", "initposition", "logreport"),
        *("downloadmap", "enablemap", "deletemap"),
        # Version 3.0.
        *("starthibernation", "stophibernation", "shutdown", "updatecertificate", "clearinstantactions"),
        *("initializeposition", "downloadzoneset", "enablezoneset", "deletezoneset", "clearzoneset", "triggeraction"),
        *("retry", "skipretry", "cancelretry"),
        # What ends a stop or a pause is a person's to say, whatever a robot calls it.
        *("resume", "unpause", "continue", "proceed", "goon", "endpause", "endstop", "resumeorder"),
        *("resumerobot", "clearestop", "resetestop", "releaseestop", "acknowledgeestop", "cancelstop"),
    }
)
"""Actions of the protocol itself, and such as would end a stop: never skills, whatever a robot says."""

STOP: Final = "stop"
GO_TO: Final = "go_to"
GO_TO_POSE: Final = "go_to_pose"
OWN_SKILLS: Final = frozenset({STOP, GO_TO, GO_TO_POSE})
"""Skills that every driving robot has; a robot cannot redefine them."""

PLACE: Final = "place"
"""The argument that says where a node action happens; `HERE`, or left out: where the robot stands."""

CARRY: Final = "carry"
_FROM: Final = "from"
_TO: Final = "to"
_PICK: Final = "pick"
_DROP: Final = "drop"
"""Both are predefined actions (6.8.2)."""
_CARRY_TOLD: Final = "Take or bring a load somewhere: pick it up at one place, drive, and put it down at the other one."

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_DEFAULT_RANGE: Final = (-1000.0, 1000.0)
"""Bounds of a number for which the site map states none: a robot states none."""
MOST_ACTIONS: Final = 64
"""Of more actions a small model cannot choose, nor can it read them in time."""
_TEXT_LIMIT: Final = 64
"""Longest text argument, characters."""
_LARGEST: Final = sys.float_info.max
"""JSON's integers have no end, and the largest become no float."""
TOLD: Final = 60
"""Most characters of a foreign text in a fact."""


@dataclass(frozen=True, slots=True)
class Skill:
    """Something that can be asked of the robot."""

    name: str
    description: str
    parameters: Schema
    """JSON schema of the arguments, an object without additional properties."""
    scope: SkillScope | None = None
    """When its action is done; None: it has none (drive, stop)."""
    made_of: tuple[str, ...] = ()
    """Skills that it stands for; see `parts`."""


@dataclass(frozen=True, slots=True)
class SkillCall:
    """A skill that the model asks for."""

    call_id: str
    """Unique; a call is carried out at most once."""
    skill: str
    arguments: Mapping[str, Argument]
    epoch: int
    """The gate's epoch when the call was made; a stop makes it stale."""


class BadCall(FactError):
    """A call does not fit the schema; the fact lets the model mend it."""


def skills_of(capabilities: Capabilities | None, site: Site) -> dict[str, Skill]:
    """Return all skills by name: drive, stop, and each action of the robot that a model can call."""
    xs, ys = zip(*site.fence, strict=True)
    pose = {
        "x": {"type": "number", "minimum": min(xs), "maximum": max(xs), "description": "metres"},
        "y": {"type": "number", "minimum": min(ys), "maximum": max(ys), "description": "metres"},
        "theta": {"type": "number", "minimum": -3.14, "maximum": 3.14, "description": "heading, radians"},
    }
    found = {
        GO_TO: Skill(GO_TO, "Drive to a named place.", _object({PLACE: _place(site)}, [PLACE])),
        GO_TO_POSE: Skill(
            GO_TO_POSE, "Drive to a position that is given by the numbers x and y.", _object(pose, ["x", "y"])
        ),
        STOP: Skill(STOP, "Stop at once and stay stopped.", _object({}, [])),
    }
    for skill in _actions(capabilities, site):
        found.setdefault(skill.name, skill)
    return found


def shortfall(capabilities: Capabilities, site: Site) -> Fact | None:
    """Return why a robot can be asked for less than it might; None: all that it can do is asked for."""
    if not any(_from_action(action, site) is not None for action in capabilities.actions):
        return NoActions()
    if len(capabilities.actions) > MOST_ACTIONS and not _actions(capabilities, site):
        return ActionsTooMany(len(capabilities.actions), MOST_ACTIONS)
    return None


def offered(skills: Mapping[str, Skill], site: Site) -> dict[str, Skill]:
    """Return the skills as a model is shown them; `parts` leads back to what was given.

    Every place is to be named, and optional texts are left out: a small model fills in whatever it may, with anything.
    """
    shown = {name: replace(skill, parameters=_form(skill.parameters)) for name, skill in skills.items()}
    loads = [shown[name] for name in (_PICK, _DROP) if name in shown]
    if CARRY in shown or [skill.parameters["required"] for skill in loads] != 2 * [[PLACE]]:
        return shown
    way = {_FROM: _place(site, here=True), _TO: _place(site)}
    return {**shown, CARRY: Skill(CARRY, _CARRY_TOLD, _object(way, [_FROM, _TO]), made_of=(_PICK, _DROP))}


def parts(
    call: SkillCall, skills: Mapping[str, Skill], new_id: Callable[[], str], previous: SkillCall | None = None
) -> list[SkillCall]:
    """Return the calls that a model's call stands for, in order.

    `previous` is the model's call right before it, for the same request: a load that was just picked up is not picked
    up again to be carried, nor is one put down again where it was carried to.
    """
    if CARRY in skills:
        return [call]
    if previous is not None and (previous.skill, call.skill) == (CARRY, _DROP):
        return [] if call.arguments.get(PLACE, HERE) in {HERE, previous.arguments.get(_TO)} else [call]
    if call.skill != CARRY or not {_FROM, _TO} <= call.arguments.keys():
        return [call]
    origin = call.arguments[_FROM]
    way = [(_PICK, origin), (_DROP, call.arguments[_TO])]
    if previous is not None and previous.skill == _PICK and origin in {HERE, previous.arguments.get(PLACE, HERE)}:
        del way[0]
    return [SkillCall(new_id(), skill, {PLACE: place}, call.epoch) for skill, place in way]


class Senseless(StrEnum):
    """What makes no sense in calls, taken together."""

    DRIVES_TWICE = "drives_twice"
    """To the same place, one call after the other."""
    PUTS_DOWN_AT_ONCE = "puts_down_at_once"
    """Where it has just picked up."""
    PUTS_DOWN_TWICE = "puts_down_twice"


def senseless(calls: Sequence[SkillCall], skills: Mapping[str, Skill]) -> Senseless | None:
    """Return what makes no sense in a model's calls for one request; None where they can be meant."""
    here, picked_at, emptied, last = HERE, "", False, ""
    previous: SkillCall | None = None
    for call in calls:
        for part in parts(call, skills, lambda: "", previous):
            place = str(part.arguments.get(PLACE, HERE))
            if part.skill == last == GO_TO and place == here:
                return Senseless.DRIVES_TWICE
            here = f"{part.arguments}" if part.skill == GO_TO_POSE else here if place == HERE else place
            if part.skill == _DROP and picked_at == here:
                return Senseless.PUTS_DOWN_AT_ONCE
            if part.skill == _DROP and emptied and not picked_at:
                return Senseless.PUTS_DOWN_TWICE
            if part.skill in {_PICK, _DROP}:
                picked_at, emptied = (here, emptied) if part.skill == _PICK else ("", True)
            last = part.skill
        previous = call
    return None


def _form(parameters: Schema) -> Schema:
    required, every = parameters["required"], parameters["properties"]
    kept = {
        name: schema
        for name, schema in every.items()
        if name in required or name == PLACE or schema["type"] != "string"
    }
    return _object(kept, [name for name in kept if name in required or name == PLACE])


def call_schema(skills: Mapping[str, Skill]) -> Schema:
    """Return the JSON schema of one call, `{"skill": ..., "arguments": {...}}`."""
    return {
        "anyOf": [
            _object({"skill": {"const": skill.name}, "arguments": skill.parameters}, ["skill", "arguments"])
            for skill in skills.values()
        ]
    }


def read_call(text: str, call_id: str, epoch: int, skills: Mapping[str, Skill]) -> SkillCall:
    """Read one call from JSON.

    Raises:
        BadCall: not JSON, no such skill, or an argument does not fit.

    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise BadCall(CallUnreadable()) from None
    if not isinstance(data, dict) or data.keys() != {"skill", "arguments"}:
        raise BadCall(CallUnreadable())
    call = SkillCall(call_id, str(data["skill"]), data["arguments"], epoch)
    check_arguments(call, skills)
    return call


def check_arguments(call: SkillCall, skills: Mapping[str, Skill]) -> None:
    """Check a call against its skill's schema.

    Raises:
        BadCall: no such skill, or an argument is missing, unknown, of the wrong type or out of range.

    """
    skill = skills.get(call.skill)
    if skill is None:
        raise BadCall(SkillUnknown(plain(call.skill, TOLD), tuple(sorted(skills))))
    if not isinstance(call.arguments, dict):
        raise BadCall(ArgumentsNoObject(call.skill))
    properties: dict[str, Schema] = skill.parameters["properties"]
    for name in skill.parameters["required"]:
        if name not in call.arguments:
            raise BadCall(ArgumentMissing(call.skill, name))
    for name, value in call.arguments.items():
        if name not in properties:
            raise BadCall(ArgumentUnknown(call.skill, plain(name, TOLD)))
        problem = _problem(call.skill, name, value, properties[name])
        if problem is not None:
            raise BadCall(problem)


def _problem(skill: str, name: str, value: object, schema: Schema) -> Fact | None:
    """Return what is wrong with a value under the few schema words that this module writes."""
    kind = schema["type"]
    right = {
        "boolean": isinstance(value, bool),
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "number": isinstance(value, int | float) and not isinstance(value, bool) and abs(value) <= _LARGEST,
        "string": isinstance(value, str),
    }[kind]
    if not right:
        return ArgumentOfOtherType(skill, name, plain(str(value), TOLD), kind)
    if "enum" in schema and value not in schema["enum"]:
        return ArgumentNotAmong(skill, name, plain(str(value), TOLD), tuple(schema["enum"]))
    if isinstance(value, str) and len(value) > schema.get("maxLength", math.inf):
        return ArgumentTooLong(skill, name, schema["maxLength"])
    if isinstance(value, int | float) and not (
        schema.get("minimum", -math.inf) <= value <= schema.get("maximum", math.inf)
    ):
        return ArgumentOutOfRange(skill, name, value, schema.get("minimum", -math.inf), schema.get("maximum", math.inf))
    return None


def _bare(name: str) -> str:
    """Return a name as it is compared: "Stop_Pause" is "stopPause"."""
    return name.replace("_", "").lower()


_OWN: Final = frozenset(map(_bare, OWN_SKILLS))


def _actions(capabilities: Capabilities | None, site: Site) -> list[Skill]:
    """Return the skills of a robot's actions: of too many none, or those that the site allows by name."""
    actions, allowed = capabilities.actions if capabilities else (), site.limits.allow
    if len(actions) > MOST_ACTIONS:
        actions = tuple(action for action in actions if allowed is not None and action.name in allowed)[:MOST_ACTIONS]
    return [skill for action in actions if (skill := _from_action(action, site)) is not None]


def is_control(name: str) -> bool:
    """Whether an action of this name is the protocol's or this room's own, and so never a skill of the robot."""
    return _bare(name) in CONTROL_ACTIONS | _OWN


def _from_action(action: OfferedAction, site: Site) -> Skill | None:
    """Return the skill of a robot's action, or None where a model cannot or must not call it."""
    if action.scope is None or not _NAME.fullmatch(action.name) or is_control(action.name):
        return None
    properties: dict[str, Schema] = {}
    required: list[str] = []
    for argument in action.arguments:
        if argument.kind is None or not _NAME.fullmatch(argument.name):
            if not argument.optional:
                return None
            continue
        properties[argument.name] = _parameter(action.name, argument, site)
        if not argument.optional:
            required.append(argument.name)
    if action.scope is SkillScope.AT_PLACE:
        properties[PLACE] = _place(site, here=True)
    return Skill(action.name, plain(action.told) or action.name, _object(properties, required), action.scope)


def _parameter(action: str, argument: OfferedArgument, site: Site) -> Schema:
    schema: Schema = {"type": argument.kind}
    if argument.kind == "string":
        schema["maxLength"] = _TEXT_LIMIT
    if argument.kind in {"number", "integer"}:
        bounds = site.limits.ranges.get(f"{action}.{argument.name}", _DEFAULT_RANGE)
        schema["minimum"], schema["maximum"] = bounds
    if argument.told:
        schema["description"] = plain(argument.told)
    return schema


def _place(site: Site, *, here: bool = False) -> Schema:
    return {"type": "string", "enum": [*([HERE] if here else []), *sorted(site.places)]}


def _object(properties: dict[str, Any], required: list[str]) -> Schema:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
