"""Curves over epochs or steps: one or two series, named at their ends, with the best epoch marked.

A value may be missing (None: there was no validation) or not finite (NaN: the run diverged). The line is broken at
both; the first value that is not finite gets a cross, because it is what the reader is looking for.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise

from striate.pages.axes import Axis, fit_axis, worth_log, y_grid
from striate.pages.svg import frame, label, number
from striate.pages.wording import decimal, percent, plural

__all__ = ["Series", "line_chart", "spans"]

WIDTH, HEIGHT = 440, 260  # near the width of a phone, so that text keeps its size there; two fit beside each other
LEFT, TOP, BOTTOM = 46, 34, 40
LETTER = 7.8  # the width of a letter at 14 px, generously: room for the names at the right
LINE = 16  # the least distance of two names


@dataclass(frozen=True, kw_only=True)
class Series:
    """One curve. name: written at its end, "" for a curve that is alone; kind: its colour, "a" to "e".

    low, high: the borders of a band around it, where each point stands for several values; empty where it does not.
    """

    name: str
    x: Sequence[float]
    y: Sequence[float | None]
    kind: str = "a"
    low: Sequence[float] = ()
    high: Sequence[float] = ()


Run = list[tuple[float, float]]  # neighbouring (x, y) that a line may join


def line_chart(
    key: str,
    title: str,
    series: Sequence[Series],
    *,
    x_name: str,
    y_name: str,
    best: float | None = None,
    shares: bool = False,
    log: bool | None = None,
    x_log: bool = False,
) -> str:
    """The chart as SVG. key: an id unique in the page; y_name: with its unit; best: the x to mark.

    shares: the values are shares of 1, shown as per cent. log: a logarithmic y axis; None: where it is worth it. x_log:
    a logarithmic x axis, marked at the values themselves, which are then few.
    """
    runs = [_finite_runs(one) for one in series]
    values = [y for one in runs for run in one for _, y in run]
    values += [bound for one in series for bound in (*one.low, *one.high) if math.isfinite(bound)]
    if log is None:
        log = not shares and worth_log(values)
    right = WIDTH - 14 - max((len(one.name) for one in series), default=0) * LETTER
    xs = [x for one in series for x in one.x]
    if x_log and xs and min(xs) < max(xs):
        x_axis = Axis(low=min(xs), high=max(xs), start=LEFT, end=right, ticks=tuple(sorted(set(xs))), log=True)
    else:
        x_axis = fit_axis(xs, LEFT, right, count=6, whole=True, tight=True)
    y_axis = fit_axis(values, HEIGHT - BOTTOM, TOP, log=log and bool(values) and min(values) > 0, percent=shares)
    y_name = f"{y_name}, log scale" if y_axis.log else y_name
    body = [_axes(x_axis, y_axis, x_name, y_name)]
    if best is not None:
        body.append(_best_line(x_axis, best, x_name))
    for one, finite in zip(series, runs, strict=True):
        body += [_band(one, x_axis, y_axis), *(_line(run, one.kind, x_axis, y_axis) for run in finite)]
        body.append(_first_broken(one, x_axis, x_name))
    if best is not None:
        body += [_best_dot(one, best, x_axis, y_axis) for one in series[-1:]]
    body.append(_names(series, runs, x_axis, y_axis))
    described = " ".join(_describe(one, x_name, shares=shares) for one in series)
    if best is not None:
        described += f" The best {x_name} is {best:,.10g}."
    return frame(key, title, f"{y_name}, over {x_name}s. {described}", (WIDTH, HEIGHT), "".join(body))


def spans(name: str, points: Sequence[tuple[int, float]], count: int, kind: str = "a") -> Series:
    """At most `count` points for a long log of (step, value): the mean of each of `count` equally long stretches, with
    a band from its lowest to its highest value. A short log is kept as it is. A stretch with a value that is not finite
    is NaN, at the first such step.
    """
    if len(points) <= count:
        return Series(name=name, x=[x for x, _ in points], y=[y for _, y in points], kind=kind)
    edges = [round(i * len(points) / count) for i in range(count + 1)]
    x, y, low, high = ([math.nan] * count for _ in range(4))
    for i, (start, stop) in enumerate(pairwise(edges)):
        stretch = points[start:stop]
        broken = next((step for step, value in stretch if not math.isfinite(value)), None)
        # The ends of the axis are the first and the last step, not the middles of their stretches.
        x[i] = stretch[0][0] if i == 0 else stretch[-1][0] if i == count - 1 else stretch[len(stretch) // 2][0]
        if broken is not None:
            x[i] = broken
        else:
            held = [value for _, value in stretch]
            y[i], low[i], high[i] = math.fsum(held) / len(held), min(held), max(held)
    return Series(name=name, x=x, y=y, kind=kind, low=low, high=high)


def _finite_runs(one: Series) -> list[Run]:
    """The stretches of neighbours that can be joined."""
    found: list[Run] = [[]]
    for x, y in zip(one.x, one.y, strict=True):
        if y is not None and math.isfinite(y):
            found[-1].append((x, y))
        elif found[-1]:
            found.append([])
    return [run for run in found if run]


def _axes(x_axis: Axis, y_axis: Axis, x_name: str, y_name: str) -> str:
    parts = [label(0, 12, y_name, kind="axis"), y_grid(y_axis, LEFT, x_axis.end, kind="axis")]
    base = HEIGHT - BOTTOM
    for tick in x_axis.ticks:
        x = number(x_axis.at(tick))
        parts.append(f'<line class="tick" x1="{x}" x2="{x}" y1="{base}" y2="{base + 4}"/>')
        parts.append(label(x_axis.at(tick), base + 18, x_axis.name(tick), anchor="middle", kind="axis"))
    parts.append(label(x_axis.end, HEIGHT - 4, x_name, anchor="end", kind="axis"))
    return "".join(parts)


def _line(run: Run, kind: str, x_axis: Axis, y_axis: Axis) -> str:
    places = [(number(x_axis.at(x)), number(y_axis.at(y))) for x, y in run]
    if len(places) == 1:
        ((x, y),) = places
        return f'<circle class="dot {kind}" cx="{x}" cy="{y}" r="3.5"/>'
    points = " ".join(f"{x},{y}" for x, y in places)
    return f'<polyline class="line {kind}" fill="none" stroke="currentColor" points="{points}"/>'


def _band(one: Series, x_axis: Axis, y_axis: Axis) -> str:
    if not one.low:
        return ""
    held = [
        (x_axis.at(x), y_axis.at(low), y_axis.at(high))
        for x, low, high in zip(one.x, one.low, one.high, strict=True)
        if math.isfinite(low)
    ]
    there = [f"{number(x)},{number(low)}" for x, low, _ in held]
    back = [f"{number(x)},{number(high)}" for x, _, high in reversed(held)]
    return f'<polygon class="band {one.kind}" points="{" ".join(there + back)}"/>'


def _first_broken(one: Series, x_axis: Axis, x_name: str) -> str:
    """A cross at the top where the first value that is no number would have been."""
    x = next((x for x, y in zip(one.x, one.y, strict=True) if y is not None and not math.isfinite(y)), None)
    if x is None:
        return ""
    at, size = x_axis.at(x), 5
    arms = f"M{number(at - size)} {TOP - size}l{2 * size} {2 * size}m0 {-2 * size}l{-2 * size} {2 * size}"
    told = label(at, TOP + 20, f"no number at {x_name} {x:,.10g}", anchor=_inward(at, x_axis), kind=f"name {one.kind}")
    return f'<path class="broken {one.kind}" d="{arms}"/>{told}'


def _inward(x: float, x_axis: Axis) -> str:
    """The anchor that makes a text at `x` run towards the middle of the chart."""
    return "end" if x > (x_axis.start + x_axis.end) / 2 else "start"


def _best_line(x_axis: Axis, best: float, x_name: str) -> str:
    x = x_axis.at(best)
    anchor = _inward(x, x_axis)
    aside = -6 if anchor == "end" else 6
    text = label(x + aside, TOP - 5, f"best {x_name}: {best:,.10g}", anchor=anchor, kind="best")
    return f'<line class="best" x1="{number(x)}" x2="{number(x)}" y1="{TOP - 14}" y2="{HEIGHT - BOTTOM}"/>{text}'


def _best_dot(one: Series, best: float, x_axis: Axis, y_axis: Axis) -> str:
    y = next((y for x, y in zip(one.x, one.y, strict=True) if x == best), None)
    if y is None or not math.isfinite(y):
        return ""
    return f'<circle class="dot {one.kind}" cx="{number(x_axis.at(best))}" cy="{number(y_axis.at(y))}" r="4.5"/>'


def _names(series: Sequence[Series], runs: Sequence[list[Run]], x_axis: Axis, y_axis: Axis) -> str:
    """Each name beside the last point of its line, moved apart where they would touch."""
    wanted = sorted(
        (y_axis.at(finite[-1][-1][1]), one.name, one.kind)
        for one, finite in zip(series, runs, strict=True)
        if finite and one.name
    )
    parts = []
    floor = -math.inf
    for y, name, kind in wanted:
        floor = max(y, floor + LINE)
        parts.append((floor, name, kind))
    over = max(0.0, floor - (HEIGHT - BOTTOM))  # pushed below the axis: lift all of them
    return "".join(label(x_axis.end + 7, y - over + 4, name, kind=f"name {kind}") for y, name, kind in parts)


def _describe(one: Series, x_name: str, *, shares: bool) -> str:
    """What the curve does, in a sentence."""
    say, name = percent if shares else decimal, f"{one.name}: " if one.name else ""
    seen = [(y, x) for x, y in zip(one.x, one.y, strict=True) if y is not None and math.isfinite(y)]
    if not seen:
        return f"{name}no values."
    (first, start), (last, end) = seen[0], seen[-1]
    lowest, highest = min(seen, key=lambda p: p[0]), max(seen, key=lambda p: p[0])
    top, word = (highest, "highest") if shares else (lowest, "lowest")
    broken = len([y for y in one.y if y is not None]) - len(seen)
    return (
        f"{name}{say(first)} at {x_name} {start:,.10g}, {word} {say(top[0])} at {x_name} {top[1]:,.10g}, "
        f"{say(last)} at {x_name} {end:,.10g}."
        + (f" {plural(broken, 'value is', 'values are')} not finite." if broken else "")
    )
