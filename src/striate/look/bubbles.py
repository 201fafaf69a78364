"""Accuracy against operations, a net a bubble, its area the parameters: the chart of Canziani, Paszke and Culurciello
2016 ("An analysis of deep neural network models for practical applications", figure 2), which the lectures show.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

from striate.pages.axes import Axis, fit_axis, x_grid, y_grid
from striate.pages.svg import escape, frame, label, number

__all__ = ["Bubble", "bubble_chart"]

WIDTH, HEIGHT = 760, 500
LEFT, RIGHT, TOP, BOTTOM = 70, 40, 24, 52
RADIUS = 34  # px of the largest bubble
LETTER, LINE = 6.6, 13  # px that a letter of a name is wide, generously, and a line high
COLOURS = ("#2563a8", "#c2571a", "#2f855a", "#8250a8", "#a86a25", "#3f7f8c", "#9c2f4f", "#5c6470")
REACH = 9  # lines up or down that a name may be moved away from its bubble
SIZES = (5e6, 50e6, 140e6)  # parameters of the bubbles in the key

STYLE = (
    "<style>svg{background:#fff;color:#222;font-family:system-ui,sans-serif}.grid{stroke:#8884;stroke-width:1}"
    ".names{font-size:11px}.lead{stroke:#8888;stroke-width:1}"
    "@media(prefers-color-scheme:dark){svg{background:#16191d;color:#e4e6e8}}</style>"
)


@dataclass(frozen=True, kw_only=True)
class Bubble:
    """One net. macs: for one image; top1: a share of 1; family: nets of one family share a colour."""

    name: str
    family: str
    macs: int
    params: int
    top1: float
    one_crop: bool = True  # hollow otherwise: ten crops are worth some points


_Box = tuple[float, float, float, float]  # left, top, right, bottom in px


def bubble_chart(bubbles: Sequence[Bubble]) -> str:
    """The chart as a whole SVG document, for light and dark pages. Raises ValueError when there is no net."""
    if not bubbles:
        raise ValueError("no nets to draw: give at least one bubble")
    x = fit_axis((0.0, *(b.macs / 1e9 for b in bubbles)), LEFT, WIDTH - RIGHT, count=8)
    y = fit_axis((b.top1 for b in bubbles), HEIGHT - BOTTOM, TOP, count=6, percent=True)
    largest = max(max(b.params for b in bubbles), SIZES[-1])
    families = list(dict.fromkeys(b.family for b in bubbles))
    body = [STYLE, *_grid(x, y), *_key(largest)]
    placed: list[_Box] = []
    for bubble in sorted(bubbles, key=lambda b: -b.params):  # small ones on top
        colour = COLOURS[families.index(bubble.family) % len(COLOURS)]
        cx, cy = x.at(bubble.macs / 1e9), y.at(bubble.top1)
        fill = f'fill="{colour}" fill-opacity="0.35"' if bubble.one_crop else 'fill="none" stroke-dasharray="3 2"'
        size = f"{bubble.macs / 1e9:.2f}e9 MACs, {bubble.params / 1e6:.1f}M parameters"
        tip = f"{escape(bubble.name)}: {bubble.top1:.1%}, {size}"
        body.append(
            f'<circle cx="{number(cx)}" cy="{number(cy)}" r="{number(_radius(bubble.params, largest))}" {fill} '
            f'stroke="{colour}"><title>{tip}</title></circle>'
        )
    for bubble in sorted(bubbles, key=lambda b: -b.top1):
        cx, cy = x.at(bubble.macs / 1e9), y.at(bubble.top1)
        body.append(_name(bubble.name, cx, cy, _radius(bubble.params, largest), placed))
    best = max(bubbles, key=lambda b: b.top1)
    fewest = min(bubbles, key=lambda b: b.macs)
    description = (
        f"{len(bubbles)} nets. The most accurate is {best.name} with {best.top1:.1%} at {best.macs / 1e9:.1f} billion "
        f"multiply-adds; the cheapest is {fewest.name} with {fewest.top1:.1%} at {fewest.macs / 1e9:.2f} billion."
    )
    svg = frame("bubbles", "Top-1 accuracy against operations", description, (WIDTH, HEIGHT), "".join(body))
    return svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"


def _radius(params: float, largest: float) -> float:
    """The area is proportional to the parameters, and never so small that it cannot be seen."""
    return max(2.5, RADIUS * math.sqrt(params / largest))


def _grid(x: Axis, y: Axis) -> list[str]:
    return [
        x_grid(x, TOP, HEIGHT - BOTTOM),
        y_grid(y, LEFT, WIDTH - RIGHT),
        label((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, "multiply-adds for one image, ×10⁹", anchor="middle"),
        label(16, (TOP + HEIGHT - BOTTOM) / 2, "top-1 accuracy, ImageNet", anchor="middle", turn=-90),
    ]


def _key(largest: float) -> list[str]:
    """Bubbles of known sizes at the lower right, where slow and inaccurate nets would be."""
    marks = [label(WIDTH - RIGHT - 150, HEIGHT - BOTTOM - 96, "parameters", anchor="middle", kind="names")]
    at = WIDTH - RIGHT - 210.0
    for params in SIZES:
        radius = _radius(params, largest)
        at += radius + 14
        marks.append(
            f'<circle cx="{number(at)}" cy="{HEIGHT - BOTTOM - 54}" r="{number(radius)}" '
            'fill="none" stroke="currentColor" stroke-opacity="0.5"/>'
        )
        marks.append(label(at, HEIGHT - BOTTOM - 8, f"{params / 1e6:.0f}M", anchor="middle", kind="names"))
        at += radius
    marks.append(
        label(WIDTH - RIGHT - 150, HEIGHT - BOTTOM - 112, "dashed: over ten crops", anchor="middle", kind="names")
    )
    return marks


def _name(name: str, cx: float, cy: float, radius: float, placed: list[_Box]) -> str:
    """The name beside its bubble, or as near as other names leave room for, with a line back to it."""
    width = LETTER * len(name)
    for step in sorted(range(-REACH, REACH + 1), key=abs):
        for left in (cx + radius + 4, cx - radius - 4 - width):
            top = cy - LINE / 2 + step * LINE * 0.75
            box = (left, top, left + width, top + LINE)
            inside = left >= LEFT and left + width <= WIDTH and top >= TOP - LINE and top + LINE <= HEIGHT - BOTTOM
            if inside and not any(_overlap(box, other) for other in placed):
                placed.append(box)
                text = label(left, top + LINE - 3, name, kind="names")
                if abs(step) < 2:
                    return text
                near = left if left > cx else left + width
                ends = f'x1="{number(cx)}" y1="{number(cy)}" x2="{number(near)}" y2="{number(top + LINE / 2)}"'
                return f'<line class="lead" {ends}/>{text}'
    return ""  # no room: the bubble's own title still says it


def _overlap(a: _Box, b: _Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]
