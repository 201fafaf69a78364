"""Every convolution of a net under the machine's roof (Williams, Waterman and Patterson 2009).

A layer stands at its intensity: operations of the direct sum over the bytes that must be moved whatever the algorithm
(images, result and weights, once each). The roof is the lesser of the measured multiply-add peak and intensity ×
measured copy bandwidth. An algorithm that saves multiplications may stand above the roof of those who do not.
"""

from collections.abc import Sequence
from dataclasses import dataclass

from striate.bench.charts import COLOURS, LEFT, STYLE, WIDTH, whole_document
from striate.pages.axes import Axis, fit_axis, x_grid, y_grid
from striate.pages.svg import escape, label, number

__all__ = ["Point", "picture", "roof"]

HEIGHT, RIGHT, TOP, BOTTOM = 520, 24, 60, 52
MARGIN = 1.6  # room around the points, as a factor
RADIUS = 4.5
LINE, LETTER = 12, 6.2  # px of a line and of a letter of 11 px
_Box = tuple[float, float, float, float]  # left, top, right, bottom in px


@dataclass(frozen=True, kw_only=True)
class Point:
    """A layer: intensity in operations a byte; ours and the peer's rates in effective operations a second."""

    name: str
    kind: str  # the filter, "3×3"; what is coloured alike
    intensity: float
    rate: float
    peer_rate: float | None = None


def roof(intensity: float, peak: float, bandwidth: float) -> float:
    """Operations a second that no direct sum exceeds.

    >>> roof(2.0, peak=100.0, bandwidth=10.0), roof(50.0, peak=100.0, bandwidth=10.0)
    (20.0, 100.0)
    """
    return min(peak, intensity * bandwidth)


def picture(title: str, points: Sequence[Point], *, peak: float, bandwidth: float, peer: str) -> str:
    """The picture as an SVG document. Raises ValueError when there are no layers."""
    if not points:
        raise ValueError("no layers to draw")
    intensities = [point.intensity for point in points] + [peak / bandwidth]
    rates = [rate for point in points for rate in (point.rate, point.peer_rate) if rate] + [peak]
    x = fit_axis([min(intensities) / MARGIN, max(intensities) * MARGIN], LEFT, WIDTH - RIGHT, log=True, count=8)
    giga = [rate / 1e9 for rate in rates]
    y = fit_axis([min(giga) / MARGIN, max(giga) * MARGIN], HEIGHT - BOTTOM, TOP, log=True)
    kinds = list(dict.fromkeys(point.kind for point in points))
    body = [STYLE, _legend(kinds, peer), *_grid(x, y), _roof(x, y, peak, bandwidth)]
    for point in points:
        body.append(_marks(point, COLOURS[kinds.index(point.kind) % len(COLOURS)], x, y))
    taken = [_around(*_place(point, x, y)) for point in points]
    for point in sorted(points, key=lambda point: -point.rate):
        body.append(_name(point.name, *_place(point, x, y), taken))
    best = max(points, key=lambda point: point.rate)
    told = (
        f"{len(points)} layers; the peak is {peak / 1e9:,.0f} GFLOP/s, memory copies {bandwidth / 1e9:,.0f} GB/s. "
        f"The fastest is {best.name} with {best.rate / 1e9:,.0f} GFLOP/s at {best.intensity:,.0f} FLOP/byte."
    )
    return whole_document("roofline", title, told, (WIDTH, HEIGHT), body)


def _grid(x: Axis, y: Axis) -> list[str]:
    x_name = "operations for each byte that must move (FLOP/byte), log scale"
    return [
        x_grid(x, TOP, HEIGHT - BOTTOM),
        y_grid(y, LEFT, WIDTH - RIGHT),
        label((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 12, x_name, anchor="middle"),
        label(14, (TOP + HEIGHT - BOTTOM) / 2, "effective GFLOP/s, log scale", anchor="middle", turn=-90),
    ]


def _roof(x: Axis, y: Axis, peak: float, bandwidth: float) -> str:
    ridge = peak / bandwidth
    start = max(x.low, 1e9 * y.low / bandwidth)
    corners = [at for at in (start, ridge, x.high) if x.low <= at <= x.high]
    places = [(x.at(at), y.at(roof(at, peak, bandwidth) / 1e9)) for at in corners]
    points = " ".join(f"{number(a)},{number(b)}" for a, b in places)
    words = f"peak {peak / 1e9:,.0f} GFLOP/s; memory {bandwidth / 1e9:,.0f} GB/s"
    return f'<polyline class="limit" points="{points}"/>' + label(
        x.end - 2, y.at(peak / 1e9) - 6, words, anchor="end", kind="small"
    )


def _place(point: Point, x: Axis, y: Axis) -> tuple[float, float]:
    return x.at(point.intensity), y.at(point.rate / 1e9)


def _around(cx: float, cy: float) -> _Box:
    return cx - RADIUS, cy - RADIUS, cx + RADIUS, cy + RADIUS


def _name(name: str, cx: float, cy: float, taken: list[_Box]) -> str:
    """The name beside its mark, where neither a mark nor a name is; a name without room is in the mark's own title."""
    width = LETTER * len(name)
    for lines in (0.0, -0.8, 0.8, -1.6, 1.6):
        for left, anchor in ((cx + 8, "start"), (cx - 8 - width, "end")):
            box = (left, cy + (lines - 0.5) * LINE, left + width, cy + (lines + 0.5) * LINE)
            free = not any(_overlap(box, other) for other in taken)
            if free and box[0] >= LEFT and box[2] <= WIDTH - RIGHT and box[1] >= TOP and box[3] <= HEIGHT - BOTTOM:
                taken.append(box)
                return label(box[0] if anchor == "start" else box[2], box[3] - 2, name, anchor=anchor, kind="small")
    return ""


def _overlap(a: _Box, b: _Box) -> bool:
    return a[0] < b[2] and b[0] < a[2] and a[1] < b[3] and b[1] < a[3]


def _marks(point: Point, colour: str, x: Axis, y: Axis) -> str:
    cx, cy = _place(point, x, y)
    tip = f"{point.name}: {point.rate / 1e9:,.0f} GFLOP/s at {point.intensity:,.1f} FLOP/byte"
    parts = []
    if point.peer_rate:
        peer_y = y.at(point.peer_rate / 1e9)
        ends = f'x1="{number(cx)}" x2="{number(cx)}" y1="{number(cy)}" y2="{number(peer_y)}"'
        parts.append(f'<line {ends} stroke="{colour}" stroke-opacity="0.4"/>')
        parts.append(f'<circle cx="{number(cx)}" cy="{number(peer_y)}" r="3.5" fill="none" stroke="{colour}"/>')
    mark = f'cx="{number(cx)}" cy="{number(cy)}" r="{RADIUS}" fill="{colour}"'
    parts.append(f"<circle {mark}><title>{escape(tip)}</title></circle>")
    return "".join(parts)


def _legend(kinds: Sequence[str], peer: str) -> str:
    x, parts = 12.0, []
    for index, kind in enumerate(kinds):
        colour = COLOURS[index % len(COLOURS)]
        parts.append(f'<circle cx="{number(x)}" cy="36" r="4.5" fill="{colour}"/>')
        parts.append(label(x + 8, 40, kind, kind="small"))
        x += 26 + LETTER * len(kind)
    parts.append(label(x, 40, f"filled: striate; hollow: {peer}", kind="small"))
    return "".join(parts)
