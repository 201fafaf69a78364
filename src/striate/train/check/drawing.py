"""The pictures of the list, as SVG: what layers put out, a histogram each, and the loss over the learning rate."""

import math
import re
from collections.abc import Mapping, Sequence
from typing import Any

from striate.pages.axes import fit_axis, y_grid
from striate.pages.svg import frame, label, number
from striate.pages.wording import decimal, elide

__all__ = ["histograms", "rate_chart", "standalone"]

TILE, GAP, BARS = 172, 16, 64  # px: width of a histogram, between two, height of its bars
ROW = BARS + 66  # px: with two lines above and the range below
PER_ROW = 4
WIDTH, HEIGHT, LEFT, BOTTOM = 640, 300, 56, 44


def histograms(key: str, title: str, layers: Sequence[Mapping[str, Any]], *, per_row: int = PER_ROW) -> str:
    """One histogram for each layer, in the order of the net: its name, mean and deviation, and how it is.

    layers: `name`, `mean`, `deviation`, `low`, `high`, `counts` and `health` of each, as a finding's figures hold them.
    All start at their own range: the shape is what is looked at, and the numbers tell the scale.
    """
    columns = min(per_row, max(1, len(layers)))
    rows = -(-len(layers) // columns)
    body = []
    for i, layer in enumerate(layers):
        left, top = (i % columns) * (TILE + GAP), (i // columns) * ROW
        body.append(_histogram(layer, left, top))
    sick = sum(layer["health"] != "fine" for layer in layers)
    described = f"Values of {len(layers)} layers, from the first to the last; {sick} of them are not fine."
    return frame(key, title, described, (columns * (TILE + GAP) - GAP, rows * ROW), "".join(body))


def _histogram(layer: Mapping[str, Any], left: float, top: float) -> str:
    counts, sick = layer["counts"], layer["health"] != "fine"
    mean, deviation = layer["mean"], layer["deviation"]
    mean = 0.0 if abs(mean) < 0.01 * deviation else mean  # nothing that could be seen
    tallest = max(max(counts), 1)
    width = TILE / len(counts)
    base = top + 38 + BARS
    bars = "".join(
        f'<rect class="fill {"b" if sick else "a"}" fill="currentColor" x="{number(left + i * width)}" '
        f'y="{number(base - BARS * count / tallest)}" width="{number(width - 0.6)}" '
        f'height="{number(BARS * count / tallest)}"/>'
        for i, count in enumerate(counts)
        if count
    )
    return (
        label(left, top + 14, elide(layer["name"], 20))
        + label(left, top + 31, f"{_short(mean)} ± {_short(deviation)}", kind="axis")
        + (label(left + TILE, top + 31, layer["health"], anchor="end", kind="b") if sick else "")
        + bars
        + f'<line class="tick" x1="{number(left)}" x2="{number(left + TILE)}" y1="{number(base)}" y2="{number(base)}"/>'
        + label(left, base + 15, _short(layer["low"]), kind="axis")
        + label(left + TILE, base + 15, _short(layer["high"]), anchor="end", kind="axis")
    )


def _short(value: float) -> str:
    if not math.isfinite(value):
        return "?"
    sign = "−" if value < 0 else ""
    return sign + (f"{abs(value):.1e}" if 0 < abs(value) < 1e-3 or abs(value) >= 1e4 else f"{abs(value):.3g}")


def rate_chart(key: str, figures: Mapping[str, Any]) -> str:
    """The range test: loss, and smoothed loss, over the learning rate; the suggestion and the run's own rate marked."""
    points = [(r, loss) for r, loss in zip(figures["rates"], figures["losses"], strict=True) if loss is not None]
    smooth = [(r, loss) for r, loss in zip(figures["rates"], figures["smooth"], strict=True) if math.isfinite(loss)]
    top_loss = 1.6 * max(loss for _, loss in smooth[: max(1, len(smooth) // 3)])  # an explosion may leave the picture
    shown = [(r, min(loss, top_loss)) for r, loss in points]
    x_axis = fit_axis(figures["rates"], LEFT, WIDTH - 16, log=True, count=7)
    y_axis = fit_axis([loss for _, loss in shown] + [0.0], HEIGHT - BOTTOM, 24)
    body = [
        label(0, 12, "loss", kind="axis"),
        label(WIDTH - 16, HEIGHT - 4, "learning rate", anchor="end", kind="axis"),
        y_grid(y_axis, LEFT, WIDTH - 16, kind="axis"),
    ]
    for tick in x_axis.ticks:
        x = x_axis.at(tick)
        body.append(f'<line class="tick" x1="{number(x)}" x2="{number(x)}" y1="{HEIGHT - BOTTOM}" y2="{HEIGHT - 40}"/>')
        body.append(label(x, HEIGHT - BOTTOM + 18, x_axis.name(tick), anchor="middle", kind="axis"))
    body += [
        f'<circle class="dot a" fill="currentColor" opacity="0.35" cx="{number(x_axis.at(r))}" '
        f'cy="{number(y_axis.at(loss))}" r="2.2"/>'
        for r, loss in shown
    ]
    line = " ".join(f"{number(x_axis.at(r))},{number(y_axis.at(min(loss, top_loss)))}" for r, loss in smooth)
    body.append(f'<polyline class="line a" fill="none" stroke="currentColor" points="{line}"/>')
    for name, rate, kind, y in (("suggested", figures["suggested"], "b", 24), ("--lr", figures["lr"], "c", 42)):
        if rate is not None and x_axis.low <= rate <= x_axis.high:
            x = x_axis.at(rate)
            body.append(
                f'<line class="line {kind}" stroke="currentColor" x1="{number(x)}" x2="{number(x)}" y1="{y - 8}" '
                f'y2="{HEIGHT - BOTTOM}"/>'
            )
            side = 5 if name == "suggested" else -5  # on either side of its line: the two may be near each other
            body.append(label(x + side, y, f"{name} {rate:g}", anchor="start" if side > 0 else "end", kind=kind))
    suggested = figures["suggested"]
    told = f"{suggested:g} is suggested" if suggested is not None else "It does not fall anywhere"
    described = (
        f"From {figures['rates'][0]:.0e} to {figures['rates'][-1]:.2g}; {told}. First loss {decimal(points[0][1])}."
    )
    return frame(key, "Loss over the learning rate", described, (WIDTH, HEIGHT), "".join(body))


STYLE = """<style>
text { font-family: sans-serif; } .axis { fill: #5a616b; font-size: 12.5px; } .tick, .grid { stroke: #e2e5e9; }
.a { color: #0a5fa8; } .b { color: #b45309; } .c { color: #00785a; }
</style>"""


MARGIN = 16  # px around a picture in a file of its own


def standalone(svg: str) -> str:
    """A picture with its colours, on white and with a margin, for a file of its own."""
    opened, rest = svg.split(">", 1)
    width, height = (float(px) for px in re.findall(r' (?:width|height)="([\d.]+)"', opened))
    whole = f'width="{number(width + 2 * MARGIN)}" height="{number(height + 2 * MARGIN)}"'
    box = f'viewBox="{-MARGIN} {-MARGIN} {number(width + 2 * MARGIN)} {number(height + 2 * MARGIN)}"'
    opened = re.sub(r' (?:width|height|viewBox)="[^"]*"', "", opened)
    opened = opened.replace("<svg", '<svg xmlns="http://www.w3.org/2000/svg"')
    paper = f'<rect x="{-MARGIN}" y="{-MARGIN}" {whole} fill="#ffffff"/>'
    return f"{opened} {box} {whole}>{STYLE}{paper}{rest}\n"
