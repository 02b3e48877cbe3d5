"""What the language model may ask of a robot: skills made from the factsheet and the site map, as plain data.

A `Skill` carries a JSON schema for its arguments; `call_schema` is the schema of one call, made for constrained
decoding. Whether a call is carried out is decided by `robots.gate`, not here.
"""

from __future__ import annotations

import json
import math
import re
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any, Final

from robots.errors import RobotInputError
from robots.untrusted import plain
from robots.vda5050.messages import ActionScope, AgvAction, Factsheet, ParameterDefinition, ValueType

if TYPE_CHECKING:
    from collections.abc import Mapping

    from robots.site import Site

Schema = dict[str, Any]
Argument = str | float | int | bool

CONTROL_ACTIONS: Final = frozenset(
    {
        "startPause",
        "stopPause",
        "cancelOrder",
        "stateRequest",
        "factsheetRequest",
        "initPosition",
        "logReport",
        "downloadMap",
        "enableMap",
        "deleteMap",
    }
)
"""Actions of the protocol itself: never skills, whatever a factsheet says."""

STOP: Final = "stop"
GO_TO: Final = "go_to"
GO_TO_POSE: Final = "go_to_pose"
OWN_SKILLS: Final = frozenset({STOP, GO_TO, GO_TO_POSE})
"""Skills that every driving robot has; a factsheet cannot redefine them."""

PLACE: Final = "place"
"""The argument that says where a node action happens; left out, it happens where the robot stands."""

_NAME: Final = re.compile(r"[A-Za-z][A-Za-z0-9_]{0,63}")
_TYPES: Final = {
    ValueType.BOOL: "boolean",
    ValueType.NUMBER: "number",
    ValueType.FLOAT: "number",
    ValueType.INTEGER: "integer",
    ValueType.STRING: "string",
}
_DEFAULT_RANGE: Final = (-1000.0, 1000.0)
"""Bounds of a number for which the site map states none: a factsheet cannot state any."""
_TEXT_LIMIT: Final = 64
"""Longest text argument, characters."""


@dataclass(frozen=True, slots=True)
class Skill:
    """Something that can be asked of the robot."""

    name: str
    description: str
    parameters: Schema
    """JSON schema of the arguments, an object without additional properties."""
    scope: ActionScope | None = None
    """Where its VDA action stands; None: it is no action (drive, stop)."""


@dataclass(frozen=True, slots=True)
class Call:
    """A skill that the model asks for."""

    call_id: str
    """Unique; a call is carried out at most once."""
    skill: str
    arguments: Mapping[str, Argument]
    epoch: int
    """The gate's epoch when the call was made; a stop makes it stale."""


class BadCall(RobotInputError):
    """A call does not fit the schema; the text lets the model mend it."""


def skills_of(factsheet: Factsheet | None, site: Site) -> dict[str, Skill]:
    """Return all skills by name: drive, stop, and each action of the factsheet that a model can call."""
    xs, ys = zip(*site.fence, strict=True)
    pose = {
        "x": {"type": "number", "minimum": min(xs), "maximum": max(xs), "description": "metres"},
        "y": {"type": "number", "minimum": min(ys), "maximum": max(ys), "description": "metres"},
        "theta": {"type": "number", "minimum": -math.pi, "maximum": math.pi, "description": "radians"},
    }
    found = {
        GO_TO: Skill(GO_TO, "Drive to a named place.", _object({PLACE: _place(site)}, [PLACE])),
        GO_TO_POSE: Skill(GO_TO_POSE, "Drive to a position on the map.", _object(pose, ["x", "y"])),
        STOP: Skill(STOP, "Stop at once and stay stopped.", _object({}, [])),
    }
    for action in factsheet.protocol_features.agv_actions if factsheet else ():
        skill = _from_action(action, site)
        if skill is not None and skill.name not in found:
            found[skill.name] = skill
    return found


def call_schema(skills: Mapping[str, Skill]) -> Schema:
    """Return the JSON schema of one call, `{"skill": ..., "arguments": {...}}`."""
    return {
        "anyOf": [
            _object({"skill": {"const": skill.name}, "arguments": skill.parameters}, ["skill", "arguments"])
            for skill in skills.values()
        ]
    }


def read_call(text: str, call_id: str, epoch: int, skills: Mapping[str, Skill]) -> Call:
    """Read one call from JSON.

    Raises:
        BadCall: not JSON, no such skill, or an argument does not fit.

    """
    try:
        data = json.loads(text)
    except (ValueError, RecursionError):
        raise BadCall("the call is not JSON") from None
    if not isinstance(data, dict) or data.keys() != {"skill", "arguments"}:
        raise BadCall('a call has exactly the keys "skill" and "arguments"')
    call = Call(call_id, str(data["skill"]), data["arguments"], epoch)
    check_arguments(call, skills)
    return call


def check_arguments(call: Call, skills: Mapping[str, Skill]) -> None:
    """Check a call against its skill's schema.

    Raises:
        BadCall: no such skill, or an argument is missing, unknown, of the wrong type or out of range.

    """
    skill = skills.get(call.skill)
    if skill is None:
        raise BadCall(f"there is no skill {call.skill!r}; there are {', '.join(sorted(skills))}")
    if not isinstance(call.arguments, dict):
        raise BadCall(f"the arguments of {call.skill} are not an object")
    properties: dict[str, Schema] = skill.parameters["properties"]
    for name in skill.parameters["required"]:
        if name not in call.arguments:
            raise BadCall(f"{call.skill} needs the argument {name!r}")
    for name, value in call.arguments.items():
        if name not in properties:
            raise BadCall(f"{call.skill} has no argument {name!r}")
        problem = _problem(value, properties[name])
        if problem:
            raise BadCall(f"{call.skill}.{name} is {value!r}: {problem}")


def _problem(value: object, schema: Schema) -> str | None:
    """Return what is wrong with a value under the few schema words that this module writes."""
    kind = schema["type"]
    right = {
        "boolean": isinstance(value, bool),
        "integer": isinstance(value, int) and not isinstance(value, bool),
        "number": isinstance(value, int | float) and not isinstance(value, bool) and math.isfinite(value),
        "string": isinstance(value, str),
    }[kind]
    if not right:
        return f"must be a {kind}"
    if "enum" in schema and value not in schema["enum"]:
        return f"must be one of {', '.join(schema['enum'])}"
    if isinstance(value, str) and len(value) > schema.get("maxLength", math.inf):
        return f"must have at most {schema['maxLength']} characters"
    if isinstance(value, int | float) and not (
        schema.get("minimum", -math.inf) <= value <= schema.get("maximum", math.inf)
    ):
        return f"must lie between {schema.get('minimum')} and {schema.get('maximum')}"
    return None


def _from_action(action: AgvAction, site: Site) -> Skill | None:
    """Return the skill of a factsheet's action, or None where a model cannot or must not call it."""
    if action.action_type in CONTROL_ACTIONS or not _NAME.fullmatch(action.action_type):
        return None
    scope = next((s for s in (ActionScope.NODE, ActionScope.INSTANT) if s in action.action_scopes), None)
    if scope is None:
        return None
    properties: dict[str, Schema] = {}
    required: list[str] = []
    for parameter in action.action_parameters or ():
        if parameter.value_data_type not in _TYPES or not _NAME.fullmatch(parameter.key):
            if not parameter.is_optional:
                return None
            continue
        properties[parameter.key] = _parameter(action.action_type, parameter, site)
        if not parameter.is_optional:
            required.append(parameter.key)
    if scope is ActionScope.NODE:
        properties[PLACE] = _place(site)
    name = action.action_type
    return Skill(name, plain(action.action_description) or name, _object(properties, required), scope)


def _parameter(action: str, parameter: ParameterDefinition, site: Site) -> Schema:
    schema: Schema = {"type": _TYPES[parameter.value_data_type]}
    if schema["type"] == "string":
        schema["maxLength"] = _TEXT_LIMIT
    if schema["type"] in {"number", "integer"}:
        bounds = site.limits.ranges.get(f"{action}.{parameter.key}", _DEFAULT_RANGE)
        schema["minimum"], schema["maximum"] = bounds
    if parameter.description:
        schema["description"] = plain(parameter.description)
    return schema


def _place(site: Site) -> Schema:
    return {"type": "string", "enum": sorted(site.places)}


def _object(properties: dict[str, Any], required: list[str]) -> Schema:
    return {"type": "object", "properties": properties, "required": required, "additionalProperties": False}
