"""Plane geometry for fences: points, segments, simple polygons. Metres in, metres out; no robots in here."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Iterator, Sequence

Point = tuple[float, float]


def sides(polygon: Sequence[Point]) -> Iterator[tuple[Point, Point]]:
    """Yield the sides of a polygon, the closing one included."""
    yield from pairwise(polygon)
    yield polygon[-1], polygon[0]


def inside(point: Point, polygon: Sequence[Point]) -> bool:
    """Whether a point lies in a simple polygon (even-odd rule; on the border is undefined)."""
    x, y = point
    crossings = 0
    for (x1, y1), (x2, y2) in sides(polygon):
        if (y1 > y) != (y2 > y) and x < x1 + (y - y1) / (y2 - y1) * (x2 - x1):
            crossings += 1
    return crossings % 2 == 1


def point_to_segment(point: Point, a: Point, b: Point) -> float:
    """Return the distance of a point from a segment."""
    dx, dy = b[0] - a[0], b[1] - a[1]
    square = dx * dx + dy * dy
    along = 0.0 if square == 0 else ((point[0] - a[0]) * dx + (point[1] - a[1]) * dy) / square
    along = min(1.0, max(0.0, along))
    return math.dist(point, (a[0] + along * dx, a[1] + along * dy))


def segment_distance(a: Point, b: Point, c: Point, d: Point) -> float:
    """Return the distance between two segments; 0 where they cross."""

    def turn(p: Point, q: Point, r: Point) -> float:
        return (q[0] - p[0]) * (r[1] - p[1]) - (q[1] - p[1]) * (r[0] - p[0])

    if turn(a, b, c) * turn(a, b, d) < 0 and turn(c, d, a) * turn(c, d, b) < 0:
        return 0.0
    return min(
        point_to_segment(a, c, d),
        point_to_segment(b, c, d),
        point_to_segment(c, a, b),
        point_to_segment(d, a, b),
    )


def clearance(a: Point, b: Point, polygon: Sequence[Point]) -> float:
    """Return the distance of a segment from the border of a polygon."""
    return min(segment_distance(a, b, c, d) for c, d in sides(polygon))


def wrap_angle(radians: float) -> float:
    """Bring an angle into the range [-pi, pi]."""
    return math.remainder(radians, math.tau)


def path_length(points: Sequence[Point]) -> float:
    """Return the length of a polyline."""
    return sum(math.dist(a, b) for a, b in pairwise(points))


def divide(a: Point, b: Point, step: float) -> list[Point]:
    """Return the points after `a` up to `b`, at most `step` apart."""
    pieces = max(1, math.ceil(math.dist(a, b) / step - 1e-9))
    return [(a[0] + (b[0] - a[0]) * k / pieces, a[1] + (b[1] - a[1]) * k / pieces) for k in range(1, pieces + 1)]
