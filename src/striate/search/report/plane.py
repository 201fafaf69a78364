"""Points between two axes: the frame that the charts of a search share."""

from collections.abc import Sequence
from dataclasses import dataclass

from striate.pages.svg import escape, label, number

__all__ = ["BOTTOM", "HEIGHT", "KINDS", "LEFT", "RIGHT", "TOP", "WIDTH", "Point", "axes", "cross", "dots"]

WIDTH, HEIGHT = 440, 260  # as the curves of a run: two stand beside each other, one fills a phone
LEFT, RIGHT, TOP, BOTTOM = 58, 14, 30, 40
KINDS = ("a", "b", "c")  # a colour for each stage, in turns

Ticks = Sequence[tuple[float, str]]  # (pixel, what stands there)


@dataclass(frozen=True, kw_only=True)
class Point:
    """One trial. tip: what a pointer over it is told; best: ringed."""

    x: float
    y: float
    kind: str
    tip: str
    best: bool = False


def axes(x_ticks: Ticks, y_ticks: Ticks, x_name: str, y_name: str, *, left: float = LEFT) -> str:
    """Grid, ticks and names: the y axis' name at the top left, the x axis' at the bottom right."""
    parts = [label(0, 12, y_name, kind="axis")]
    for y, text in y_ticks:
        parts.append(
            f'<line class="grid" x1="{number(left)}" x2="{WIDTH - RIGHT}" y1="{number(y)}" y2="{number(y)}"/>'
            + label(left - 7, y + 4, text, anchor="end", kind="axis")
        )
    base = HEIGHT - BOTTOM
    for x, text in x_ticks:
        parts.append(f'<line class="tick" x1="{number(x)}" x2="{number(x)}" y1="{base}" y2="{base + 4}"/>')
        parts.append(label(x, base + 18, text, anchor="middle", kind="axis"))
    parts.append(label(WIDTH - RIGHT, HEIGHT - 4, x_name, anchor="end", kind="axis"))
    return "".join(parts)


def dots(points: Sequence[Point]) -> str:
    """The points, the best one last and ringed."""
    parts = []
    for one in sorted(points, key=lambda point: point.best):
        radius = 6 if one.best else 3.6
        kind = f"dot {one.kind}{' found' if one.best else ''}"
        parts.append(
            f'<circle class="{kind}" cx="{number(one.x)}" cy="{number(one.y)}" r="{radius}">'
            f"<title>{escape(one.tip)}</title></circle>"
        )
    return "".join(parts)


def cross(x: float, y: float, tip: str, size: float = 3.5) -> str:
    """A trial that exploded or failed."""
    arms = f"M{number(x - size)} {number(y - size)}l{2 * size} {2 * size}m0 {-2 * size}l{-2 * size} {2 * size}"
    return f'<path class="lost" d="{arms}"><title>{escape(tip)}</title></path>'
