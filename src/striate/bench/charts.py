"""Tables as pictures, whole SVG documents for light and dark pages: lines over a number, and dots in rows.

One colour is one subject. Of dots, the first subject is filled and lies on top of the others.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from striate.look import bubbles
from striate.pages.axes import Axis, fit_axis, x_grid, y_grid
from striate.pages.svg import escape, frame, label, number

__all__ = ["COLOURS", "Dots", "Line", "dot_chart", "line_chart", "whole_document"]

COLOURS = (*bubbles.COLOURS[:4], *bubbles.COLOURS[5:])  # without the brown, which on a small ring is the orange
WIDTH = 760
LEFT, RIGHT, TOP, BOTTOM = 62, 24, 56, 50
HEIGHT = 430
LETTER = 7.4  # px that a letter is wide, generously
ROW = 18  # px a row of dots is high

STYLE = (
    "<style>svg{background:#fff;color:#222;font-family:system-ui,sans-serif;font-size:13px}"
    ".grid{stroke:#8884;stroke-width:1}.limit{stroke:currentColor;stroke-width:1.2;stroke-dasharray:5 4;fill:none}"
    ".line{fill:none;stroke-width:2}.small{font-size:11px}"
    "@media(prefers-color-scheme:dark){svg{background:#16191d;color:#e4e6e8}}</style>"
)


@dataclass(frozen=True, kw_only=True)
class Line:
    """One curve. low, high: the quartiles around each point, or nothing."""

    name: str
    points: Sequence[tuple[float, float]]
    low: Sequence[float] = ()
    high: Sequence[float] = ()


@dataclass(frozen=True, kw_only=True)
class Dots:
    """One row: a name and a value for each subject that has one. `heading` begins a group of rows."""

    name: str
    values: Mapping[str, float]
    heading: str = ""


def line_chart(
    title: str,
    lines: Sequence[Line],
    *,
    x_name: str,
    y_name: str,
    limit: float | None = None,
    limit_name: str = "",
    log: bool = False,
) -> str:
    """Curves over a number that grows evenly; `limit`: a value of y worth a dashed line. Raises ValueError for none."""
    values = [y for line in lines for _, y in line.points] + [y for line in lines for y in (*line.low, *line.high)]
    if not values:
        raise ValueError("no points to draw")
    xs = sorted({x for line in lines for x, _ in line.points})
    x = fit_axis(xs, LEFT, WIDTH - RIGHT, count=8, tight=True)
    y = fit_axis([*values, *([] if limit is None else [limit])], HEIGHT - BOTTOM, TOP, log=log)
    body = [STYLE, _legend([line.name for line in lines]), y_grid(y, LEFT, WIDTH - RIGHT)]
    ticks = xs if len(xs) <= 16 else x.ticks
    body += [label(x.at(tick), HEIGHT - BOTTOM + 18, f"{tick:g}", anchor="middle") for tick in ticks]
    body.append(label((LEFT + WIDTH - RIGHT) / 2, HEIGHT - 10, x_name, anchor="middle"))
    body.append(label(15, (TOP + HEIGHT - BOTTOM) / 2, y_name, anchor="middle", turn=-90))
    if limit is not None:
        at = number(y.at(limit))
        body.append(f'<line class="limit" x1="{LEFT}" x2="{WIDTH - RIGHT}" y1="{at}" y2="{at}"/>')
        body.append(label(WIDTH - RIGHT, y.at(limit) - 5, limit_name, anchor="end", kind="small"))
    for index, line in enumerate(lines):
        body.append(_curve(line, COLOURS[index % len(COLOURS)], x, y))
    told = "; ".join(_ends(line) for line in lines if line.points)
    return whole_document("lines", title, f"{y_name} over {x_name}. {told}.", (WIDTH, HEIGHT), body)


def dot_chart(
    title: str, rows: Sequence[Dots], *, x_name: str, limit: float | None = None, limit_name: str = ""
) -> str:
    """Rows of dots, one for each subject, on an axis from zero. Raises ValueError when there is nothing to draw."""
    names = list(dict.fromkeys(name for row in rows for name in row.values))
    values = [value for row in rows for value in row.values.values()]
    if not values:
        raise ValueError("no values to draw")
    left = 18 + LETTER * max(len(row.name) for row in rows)
    top = TOP + (16 if limit is not None else 0)
    height = top + ROW * (len(rows) + sum(bool(row.heading) for row in rows)) + BOTTOM
    x = fit_axis([0.0, *values, *([] if limit is None else [limit])], left, WIDTH - RIGHT, count=7)
    base = height - BOTTOM + 4
    body = [STYLE, _legend(names), x_grid(x, top - 4, base)]
    body.append(label((left + WIDTH - RIGHT) / 2, height - 8, x_name, anchor="middle"))
    if limit is not None:
        at = number(x.at(limit))
        body.append(f'<line class="limit" x1="{at}" x2="{at}" y1="{top - 4}" y2="{base}"/>')
        body.append(label(x.at(limit), top - 9, limit_name, anchor="middle", kind="small"))
    y = top + ROW / 2
    for row in rows:
        if row.heading:
            body.append(label(6, y + 4, row.heading))
            y += ROW
        body.append(label(left - 10, y + 4, row.name, anchor="end", kind="small"))
        body.append(f'<line class="grid" x1="{number(left)}" x2="{WIDTH - RIGHT}" y1="{number(y)}" y2="{number(y)}"/>')
        for name in sorted(row.values, key=names.index, reverse=True):
            body.append(
                _dot(x.at(row.values[name]), y, names.index(name), f"{row.name}, {name}: {row.values[name]:,.4g}")
            )
        y += ROW
    told = "; ".join(
        f"{name} from {min(known):,.4g} to {max(known):,.4g}"
        for name in names
        if (known := [row.values[name] for row in rows if name in row.values])
    )
    return whole_document("dots", title, f"{x_name}. {told}.", (WIDTH, height), body)


def whole_document(key: str, title: str, description: str, size: tuple[float, float], body: Sequence[str]) -> str:
    """An SVG file of these marks, with the title above them."""
    heading = label(6, 18, title)
    svg = frame(key, title, description, size, "".join([*body[:1], heading, *body[1:]]))
    return svg.replace("<svg ", '<svg xmlns="http://www.w3.org/2000/svg" ', 1) + "\n"


def _legend(names: Sequence[str]) -> str:
    x, parts = 12.0, []
    for index, name in enumerate(names):
        parts.append(_dot(x, 36, index, name))
        parts.append(label(x + 9, 40, name, kind="small"))
        x += 26 + LETTER * 0.9 * len(name)
    return "".join(parts)


def _dot(x: float, y: float, index: int, tip: str) -> str:
    colour = COLOURS[index % len(COLOURS)]
    radius, fill = ("5.5", colour) if index == 0 else ("4", "none")
    return (
        f'<circle cx="{number(x)}" cy="{number(y)}" r="{radius}" fill="{fill}" stroke="{colour}" stroke-width="1.8">'
        f"<title>{escape(tip)}</title></circle>"
    )


def _curve(line: Line, colour: str, x: Axis, y: Axis) -> str:
    places = [(number(x.at(a)), number(y.at(b))) for a, b in line.points]
    parts = [
        f'<polyline class="line" stroke="{colour}" points="{" ".join(f"{a},{b}" for a, b in places)}"/>',
        *(
            f'<circle cx="{a}" cy="{b}" r="3.5" fill="{colour}">'
            f"<title>{escape(line.name)} at {at:g}: {value:,.4g}</title></circle>"
            for (a, b), (at, value) in zip(places, line.points, strict=True)
        ),
    ]
    if line.low and line.high:
        upper = [f"{number(x.at(a))},{number(y.at(b))}" for (a, _), b in zip(line.points, line.high, strict=True)]
        lower = [f"{number(x.at(a))},{number(y.at(b))}" for (a, _), b in zip(line.points, line.low, strict=True)]
        parts.insert(0, f'<polygon fill="{colour}" fill-opacity="0.15" points="{" ".join(upper + lower[::-1])}"/>')
    return "".join(parts)


def _ends(line: Line) -> str:
    (first, low), (last, high) = line.points[0], line.points[-1]
    best = max(value for _, value in line.points)
    return f"{line.name}: {low:,.3g} at {first:g}, {high:,.3g} at {last:g}, at most {best:,.3g}"
