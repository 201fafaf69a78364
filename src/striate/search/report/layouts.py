"""Random against grid (Bergstra and Bengio 2012, figure 1): the same number of trials, and their shadows on the axes.

Where one of two dimensions matters, k² trials on a grid try k values of it, and as many at random k².
"""

from collections.abc import Mapping, Sequence
from typing import Any

from striate.pages.svg import frame, label, number
from striate.search.report.scale import Scale, scale_for
from striate.search.space import Dimension

__all__ = ["layout_chart"]

SIDE, GAP, LEFT, TOP, BOTTOM = 176, 34, 22, 50, 30
WIDTH, HEIGHT = 440, TOP + SIDE + BOTTOM + 12
MOST = 60  # trials drawn: more would be a grey square
SHADOW = 9  # px, the length of a mark on the axis


def layout_chart(
    names: tuple[str, str],
    spaces: Mapping[str, Dimension],
    layouts: Mapping[str, Sequence[Mapping[str, Any]]],
) -> str:
    """Two squares as SVG. names: the dimension across (the one that matters more) and the one upwards; layouts: by
    their captions, the points of each.
    """
    parts = []
    said = []
    for number_, (caption, points) in enumerate(layouts.items()):
        left = LEFT + number_ * (SIDE + GAP)
        across = scale_for(names[0], [spaces[names[0]]], left, left + SIDE)
        upward = scale_for(names[1], [spaces[names[1]]], TOP + SIDE, TOP)
        shown = points[:MOST]
        distinct = len({repr(point[names[0]]) for point in shown})
        parts.append(_square(left, across, upward, names, shown))
        parts.append(label(left, 16, caption, kind="name"))
        parts.append(label(left, 34, f"{distinct} values of {names[0].rpartition('.')[2]}", kind="axis"))
        said.append(f"{caption}: {len(shown)} trials, {distinct} values of {names[0]}")
    return frame("layouts", "Random against grid", ". ".join(said) + ".", (WIDTH, HEIGHT), "".join(parts))


def _square(
    left: float, across: Scale, upward: Scale, names: tuple[str, str], points: Sequence[Mapping[str, Any]]
) -> str:
    parts = [f'<rect class="plot" x="{number(left)}" y="{TOP}" width="{SIDE}" height="{SIDE}"/>']
    base, wall = TOP + SIDE, left
    for point in points:
        x, y = across.at(point[names[0]]), upward.at(point[names[1]])
        parts.append(f'<line class="shadow" x1="{number(x)}" x2="{number(x)}" y1="{base}" y2="{base + SHADOW}"/>')
        parts.append(
            f'<line class="shadow" x1="{number(wall - SHADOW)}" x2="{number(wall)}" y1="{number(y)}" y2="{number(y)}"/>'
        )
        parts.append(f'<circle class="dot a" cx="{number(x)}" cy="{number(y)}" r="3.6"/>')
    parts.append(label(left + SIDE, base + SHADOW + 16, names[0].rpartition(".")[2], anchor="end", kind="axis"))
    parts.append(label(left + 4, TOP + 14, names[1].rpartition(".")[2], kind="axis halo"))
    return "".join(parts)
