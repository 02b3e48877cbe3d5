"""A picture of a simulated run, seen from above: PNG, or GIF with the robot moving. Needs Pillow."""

from __future__ import annotations

import math
from itertools import pairwise
from typing import TYPE_CHECKING, Final

from robots.errors import BadSetting
from robots.geometry import divide

if TYPE_CHECKING:
    from collections.abc import Iterable, Sequence
    from pathlib import Path

    from PIL.ImageDraw import ImageDraw

    from robots.geometry import Point
    from robots.simulator.simulation import TrailPoint
    from robots.site import Site

PIXELS_PER_METRE: Final = 60
BORDER_PX: Final = 40
FRAMES: Final = 60
"""Most frames of a GIF."""
FRAME_MS: Final = 120

_PAPER: Final = (250, 249, 246)
_FLOOR: Final = (255, 255, 255)
_FENCE: Final = (90, 98, 110)
_KEEP_OUT: Final = (244, 214, 210)
_KEEP_OUT_LINE: Final = (196, 92, 80)
_TEXT: Final = (60, 66, 76)
_PLACE: Final = (70, 110, 180)
_SLOW: Final = (190, 205, 235)
_FAST: Final = (20, 80, 200)
_HELD: Final = (220, 120, 20)
_ROBOT: Final = (30, 130, 90)
_BASE: Final = (30, 130, 90)
_DOT_M: Final = 0.12
"""Distance of the horizon's dots, m."""


_SIDES: Final = ((1, 0.25), (1, -1.25), (-1, 0.25), (-1, -1.25), (1, 1.25), (1, -2.25), (-1, 1.25), (-1, -2.25))
"""Where a label may stand by its point: right or left of it, and how far down, in its own heights."""


class _View:
    """From metres to pixels."""

    def __init__(self, site: Site) -> None:
        xs, ys = zip(*site.fence, strict=True)
        self._left, self._top = min(xs), max(ys)
        self.size = (
            round((max(xs) - min(xs)) * PIXELS_PER_METRE) + 2 * BORDER_PX,
            round((max(ys) - min(ys)) * PIXELS_PER_METRE) + 2 * BORDER_PX + 20,
        )

    def __call__(self, point: Point) -> tuple[float, float]:
        x, y = point
        return (x - self._left) * PIXELS_PER_METRE + BORDER_PX, (self._top - y) * PIXELS_PER_METRE + BORDER_PX


class _Labels:
    """Texts beside points, each where it covers no other text as long as there is such a side."""

    def __init__(self, draw: ImageDraw, view: _View) -> None:
        self._draw, self._view = draw, view
        self._boxes: list[tuple[float, float, float, float]] = []

    def put(self, point: Point, text: str, *, away: int, fill: tuple[int, ...], size: int) -> None:
        """Write a text, `away` pixels beside a point."""
        x, y = self._view(point)
        places = []
        for side, down in _SIDES:
            box = self._draw.textbbox((0, 0), text, font_size=size)
            left = x + away if side > 0 else x - away - box[2]
            top = y + down * size
            places.append((left, top, left + box[2], top + size * 1.2))
        width, height = self._view.size
        inside = [p for p in places if p[0] >= 0 and p[1] >= 0 and p[2] <= width and p[3] <= height]
        best = next((p for p in inside if not any(_overlap(p, other) for other in self._boxes)), (inside or places)[0])
        self._boxes.append(best)
        self._draw.text(best[:2], text, fill=fill, font_size=size)


def _overlap(one: tuple[float, ...], other: tuple[float, ...]) -> bool:
    return one[0] < other[2] and other[0] < one[2] and one[1] < other[3] and other[1] < one[3]


def check_drawing(path: Path) -> None:
    """Say before a run that it cannot be drawn, rather than after it.

    Raises:
        BadSetting: another file type, no such folder, or Pillow is not installed.

    """
    if path.suffix not in {".png", ".gif"}:
        raise BadSetting(f"drawing {path}: the name must end in .png or .gif")
    if not path.absolute().parent.is_dir():
        raise BadSetting(f"drawing {path}: there is no folder {path.parent}")
    try:
        import PIL.ImageDraw  # noqa: F401, PLC0415, an optional dependency
    except ImportError:
        raise BadSetting("drawing a run needs Pillow: pip install 'descant[drawing]'") from None


def draw_run(site: Site, trail: Sequence[TrailPoint], path: Path) -> None:
    """Draw a run into a file: `.png` shows the whole way, `.gif` the robot moving along it.

    Raises:
        BadSetting: as `check_drawing`, or the file cannot be written.

    """
    check_drawing(path)
    from PIL import Image, ImageDraw  # noqa: PLC0415, an optional dependency

    view = _View(site)
    scale = max((point.speed for point in trail), default=1.0) or 1.0

    def picture(points: Sequence[TrailPoint]) -> Image.Image:
        image = Image.new("RGB", view.size, _PAPER)
        draw = ImageDraw.Draw(image)
        labels = _Labels(draw, view)
        _draw_site(draw, view, site, labels)
        _draw_trail(draw, view, points, scale, labels)
        if points:
            _draw_ahead(draw, view, points[-1])
            _draw_robot(draw, view, points[-1])
        return image

    try:
        if path.suffix == ".png":
            picture(trail).save(path)
            return
        step = max(1, math.ceil(len(trail) / FRAMES))
        frames = [picture(trail[: end + 1]) for end in range(0, len(trail), step)] or [picture(trail)]
        frames.append(picture(trail))
        frames[0].save(path, save_all=True, append_images=frames[1:], duration=FRAME_MS, loop=0)
    except OSError as error:
        raise BadSetting(f"drawing {path}: {error.strerror or error}") from None


def _draw_site(draw: ImageDraw, view: _View, site: Site, labels: _Labels) -> None:
    draw.polygon([view(p) for p in site.fence], fill=_FLOOR, outline=_FENCE, width=3)
    for area in site.keep_out:
        draw.polygon([view(p) for p in area], fill=_KEEP_OUT, outline=_KEEP_OUT_LINE, width=2)
    for name, place in site.places.items():
        x, y = view(place.point)
        draw.ellipse((x - 5, y - 5, x + 5, y + 5), fill=_PLACE)
        labels.put(place.point, name, away=9, fill=_TEXT, size=15)


def _draw_trail(draw: ImageDraw, view: _View, trail: Iterable[TrailPoint], scale: float, labels: _Labels) -> None:
    previous: TrailPoint | None = None
    for point in trail:
        if previous is not None and previous.position != point.position:
            share = point.speed / scale
            colour = tuple(round(s + (f - s) * share) for s, f in zip(_SLOW, _FAST, strict=True))
            draw.line([view(previous.position), view(point.position)], fill=colour, width=4)
        if point.held and previous is not None and not previous.held:
            x, y = view(point.position)
            draw.ellipse((x - 8, y - 8, x + 8, y + 8), outline=_HELD, width=3)
            labels.put(point.position, f"stop {point.at:.1f} s", away=12, fill=_HELD, size=14)
        previous = point


def _draw_ahead(draw: ImageDraw, view: _View, point: TrailPoint) -> None:
    """Draw the released base as a line with its nodes, the horizon as dots."""
    base = [point.position, *point.base]
    draw.line([view(p) for p in base], fill=_BASE, width=2)
    for p in base[1:]:
        x, y = view(p)
        draw.ellipse((x - 3, y - 3, x + 3, y + 3), fill=_BASE)
    for a, b in pairwise([base[-1], *point.horizon]):
        for p in divide(a, b, _DOT_M):
            x, y = view(p)
            draw.ellipse((x - 1, y - 1, x + 1, y + 1), fill=_BASE)


def _draw_robot(draw: ImageDraw, view: _View, point: TrailPoint) -> None:
    corners = []
    for along, across in ((0.25, 0.0), (-0.18, 0.16), (-0.1, 0.0), (-0.18, -0.16)):
        cos, sin = math.cos(point.theta), math.sin(point.theta)
        corners.append(
            view((point.position[0] + along * cos - across * sin, point.position[1] + along * sin + across * cos))
        )
    draw.polygon(corners, fill=_HELD if point.held else _ROBOT)
    draw.text((BORDER_PX, view.size[1] - 28), f"{point.at:6.1f} s   {point.speed:4.2f} m/s", fill=_TEXT, font_size=15)
