"""The site map: named places, the fence, and the limits within which a robot may be commanded.

One YAML file per site; `docs/robots.md` shows a complete one. This module plans straight legs between places and
knows nothing of orders.
"""

from __future__ import annotations

import heapq
import math
import re
from typing import TYPE_CHECKING, Annotated, Any, Final

import yaml
from pydantic import BaseModel, ConfigDict, Field, ValidationError, model_validator

from robots.errors import BadMap
from robots.geometry import Point, clearance, inside

if TYPE_CHECKING:
    from collections.abc import Hashable
    from pathlib import Path

Angle = Annotated[float, Field(ge=-3.14159265359, le=3.14159265359)]
Metres = Annotated[float, Field(allow_inf_nan=False)]
Polygon = Annotated[tuple[tuple[Metres, Metres], ...], Field(min_length=3, max_length=256)]
HERE: Final = "here"
"""Where the robot stands; the name of no place."""

PlaceName = Annotated[str, Field(pattern=r"^[\p{Ll}0-9][\p{Ll}0-9 _-]{0,39}$")]
"""As it is said, in the letters of its language: "küche"."""


def spoken(name: str) -> str:
    """Give a place's name as it is said: "front_door" is "front door"."""
    return " ".join(part for part in re.split(r"[ _-]+", name) if part)


class _OnceOnly(yaml.SafeLoader):
    """Reads YAML in which no key stands twice: the second of two places of one name would hide the first."""

    def construct_mapping(self, node: yaml.MappingNode, deep: bool = False) -> dict[Hashable, Any]:  # noqa: FBT001, FBT002
        """Read a mapping.

        Raises:
            yaml.YAMLError: a key stands in it twice.

        """
        seen: set[str] = set()
        for key, _ in node.value:
            if isinstance(key, yaml.ScalarNode) and key.value in seen:
                raise yaml.constructor.ConstructorError(None, None, f"{key.value!r} stands here twice", key.start_mark)
            seen.add(str(key.value))
        return super().construct_mapping(node, deep=deep)


class _Section(BaseModel):
    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)


class Place(_Section):
    """A named place: metres and radians in the map's frame."""

    x: float
    y: float
    theta: Angle | None = None
    """Heading on arrival; None: any."""

    @property
    def point(self) -> Point:
        """Where it is."""
        return self.x, self.y


class SiteLimits(_Section):
    """What the gate lets pass; the defaults suit a small indoor robot moved by voice."""

    max_speed_m_s: Annotated[float, Field(gt=0, le=2)] = 0.5
    """Cap on every edge, m/s."""
    base_s: Annotated[float, Field(gt=0, le=10)] = 2.0
    """How long the robot may drive on what is released, s at full speed: the dead-man time."""
    margin_m: Annotated[float, Field(ge=0)] = 0.2
    """Distance kept from the fence and from keep-out areas, m."""
    calls_per_minute: Annotated[int, Field(gt=0)] = 30
    """Skill calls let through; stops are never counted."""
    state_age_s: Annotated[float, Field(gt=0)] = 3.0
    """Oldest state on which a moving robot is commanded, s."""
    idle_state_age_s: Annotated[float, Field(gt=0)] = 35.0
    """The same for a standing robot, s: it reports at least every 30 s."""
    min_battery_percent: Annotated[float, Field(ge=0, le=100)] = 10.0
    """Below this charge no new task begins."""
    allow: frozenset[str] | None = None
    """Skills that may be called; None: all that the factsheet declares."""
    confirm: frozenset[str] = frozenset({"pick", "drop"})
    """Skills that need a spoken yes."""
    confirm_places: frozenset[str] = frozenset()
    """Places that need one, whatever is to be done there: where a misheard name would matter."""
    ranges: dict[str, tuple[float, float]] = Field(default_factory=dict)
    """Least and greatest value of a numeric parameter, by `skill.parameter`."""

    def asks(self, skill: str, place: object) -> bool:
        """Whether a skill needs a spoken yes at a place."""
        return skill in self.confirm or place in self.confirm_places

    @property
    def base_m(self) -> float:
        """Longest released base, m."""
        return self.max_speed_m_s * self.base_s


class Site(_Section):
    """Where robots may go, and how."""

    map: Annotated[str, Field(pattern=r"^[A-Za-z0-9_.:-]{1,64}$")]
    """The `mapId` of all positions."""
    fence: Polygon
    keep_out: tuple[Polygon, ...] = ()
    places: Annotated[dict[PlaceName, Place], Field(min_length=1, max_length=256)]
    waypoints: Annotated[tuple[tuple[Metres, Metres], ...], Field(max_length=256)] = ()
    """Points to bend at where there is no straight way between two places."""
    limits: SiteLimits = SiteLimits()

    @model_validator(mode="after")
    def _places_lie_inside(self) -> Site:
        if HERE in self.places:
            raise ValueError(f"no place can be called {HERE!r}: that is where the robot stands")
        said: dict[str, str] = {}
        for name in self.places:
            before = said.setdefault(spoken(name).replace(" ", ""), name)
            if before != name:
                raise ValueError(
                    f"places {before!r} and {name!r} are one name when they are said: give one another name"
                )
        unknown = sorted(self.limits.confirm_places - self.places.keys())
        if unknown:
            raise ValueError(f"limits.confirm_places names {unknown[0]!r}, and there is no such place")
        for name, place in self.places.items():
            if not self.clear(place.point, place.point):
                raise ValueError(
                    f"place {name!r} lies outside the fence, in a keep-out area or closer than margin_m to one"
                )
        return self

    @classmethod
    def load(cls, path: Path) -> Site:
        """Read a site map.

        Raises:
            BadMap: the file is missing, not YAML, or a value is wrong; the text names it.

        """
        try:
            text = path.read_text(encoding="utf-8")
            return cls.model_validate(yaml.load(text, Loader=_OnceOnly))  # noqa: S506 - a safe loader
        except OSError as error:
            raise BadMap(f"site map {path}: {error.strerror or error}") from None
        except (yaml.YAMLError, UnicodeDecodeError) as error:
            raise BadMap(f"site map {path} is not YAML: {error}") from None
        except ValidationError as error:
            first = error.errors(include_url=False)[0]
            where = ".".join(str(step) for step in first["loc"]) or "file"
            raise BadMap(f"site map {path}: {where}: {first['msg']}") from None

    def clear(self, a: Point, b: Point) -> bool:
        """Whether the straight leg from a to b keeps its margin inside the fence and outside keep-out areas."""
        margin = self.limits.margin_m
        return (
            inside(a, self.fence)
            and clearance(a, b, self.fence) >= margin
            and not any(inside(a, area) or clearance(a, b, area) < margin for area in self.keep_out)
        )

    def route(self, start: Point, goal: Point) -> tuple[Point, ...] | None:
        """Return the shortest way over places and waypoints, both ends included; None where there is none."""
        stops = [start, goal, *self.waypoints, *(place.point for place in self.places.values())]
        best = {0: 0.0}
        came: dict[int, int] = {}
        frontier = [(0.0, 0)]
        while frontier:
            length, here = heapq.heappop(frontier)
            if here == 1:
                way = [1]
                while way[-1] != 0:
                    way.append(came[way[-1]])
                return tuple(stops[index] for index in reversed(way))
            if length > best[here]:
                continue
            for there, point in enumerate(stops):
                longer = length + math.dist(stops[here], point)
                if there != here and longer < best.get(there, math.inf) and self.clear(stops[here], point):
                    best[there], came[there] = longer, here
                    heapq.heappush(frontier, (longer, there))
        return None


NOWHERE = Site(map="nowhere", fence=((0, 0), (1, 0), (0, 1)), places={"nowhere": Place(x=0.25, y=0.25)})
"""A site without a place to go, for a program that only stops."""
