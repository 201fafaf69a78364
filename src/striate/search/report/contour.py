"""Accuracy over two dimensions at once: the trials, on a ground that is darker where trials nearby did better.

The ground is a weighted mean over the trials, by a Gaussian of their distance in the unit square (Nadaraya 1964), drawn
in bands so that their borders read as contours; where no trial is near, nothing is claimed.
"""

import math
from collections.abc import Sequence

from striate.pages.svg import frame
from striate.pages.wording import percent
from striate.search.ledger import Record
from striate.search.report.plane import BOTTOM, HEIGHT, KINDS, LEFT, RIGHT, TOP, WIDTH, Point, axes, cross, dots
from striate.search.report.scale import Scale, scale_for
from striate.search.space import Dimension, value_text

__all__ = ["contour_chart"]

CELLS_X, CELLS_Y = 46, 24
WIDTH_SHARE = 0.09  # of the unit interval: the Gaussian's deviation
LEAST_WEIGHT = 0.3  # of one trial's own: below that a place is empty
BANDS = 8
DARKEST = 0.62


def contour_chart(
    names: tuple[str, str],
    spaces: tuple[Sequence[Dimension], Sequence[Dimension]],
    records: Sequence[Record],
    best: Record,
) -> str:
    """The chart as SVG. names: the dimension across, and the one upwards."""
    across = scale_for(names[0], spaces[0], LEFT, WIDTH - RIGHT)
    upward = scale_for(names[1], spaces[1], HEIGHT - BOTTOM, TOP)
    known = [one for one in records if one.value is not None and set(names) <= set(one.values)]
    points, lost = [], []
    for one in records:
        if not set(names) <= set(one.values):
            continue
        x, y = across.at(one.values[names[0]]), upward.at(one.values[names[1]])
        tip = ", ".join(f"{name} {value_text(one.values[name])}" for name in names)
        if one.value is not None:
            kind = KINDS[one.stage % len(KINDS)]
            tip = f"trial {one.name}: {tip}, {percent(one.value)}"
            points.append(Point(x=x, y=y, kind=kind, tip=tip, best=one == best))
        elif one.outcome in ("exploded", "failed"):
            lost.append(cross(x, y, f"trial {one.name}: {tip}, {one.outcome}"))
    told = (
        f"{len(known)} trials over {names[0]} and {names[1]}. The best, {percent(best.value)}, lies at "
        f"{value_text(best.values[names[0]])} and {value_text(best.values[names[1]])}."
    )
    body = _ground(across, upward, names, known) + axes(across.ticks, upward.ticks, across.title, upward.title)
    return frame(
        "contour", f"{names[0]} and {names[1]} together", told, (WIDTH, HEIGHT), body + "".join(lost) + dots(points)
    )


def _ground(across: Scale, upward: Scale, names: tuple[str, str], known: Sequence[Record]) -> str:
    if len(known) < 4:
        return ""
    places = [
        (across.place(one.values[names[0]]), upward.place(one.values[names[1]]), one.value or 0.0) for one in known
    ]
    # Ranks, not values: the few per cent between good trials matter more than the abyss below the bad ones.
    order = {value: rank / (len(places) - 1) for rank, value in enumerate(sorted(value for *_, value in places))}
    step_x, step_y = (across.end - across.start) / CELLS_X, (upward.start - upward.end) / CELLS_Y
    cells = []
    for row in range(CELLS_Y):
        v = (row + 0.5) / CELLS_Y
        run_start, run_band = 0, -1
        for column in range(CELLS_X + 1):
            band = _band((column + 0.5) / CELLS_X, v, places, order) if column < CELLS_X else -2
            if band != run_band:
                if run_band > 0:
                    cells.append(_cell(across.start + run_start * step_x, upward.start - (row + 1) * step_y,
                                       (column - run_start) * step_x, step_y, run_band))  # fmt: skip
                run_start, run_band = column, band
    return "".join(cells)


def _band(u: float, v: float, places: Sequence[tuple[float, float, float]], order: dict[float, float]) -> int:
    """0 for nothing near, else 1 to BANDS."""
    weights = [math.exp(-((u - x) ** 2 + (v - y) ** 2) / (2 * WIDTH_SHARE**2)) for x, y, _ in places]
    total = sum(weights)
    if total < LEAST_WEIGHT:
        return 0
    mean = sum(weight * order[value] for weight, (_, _, value) in zip(weights, places, strict=True)) / total
    return 1 + min(int(mean * BANDS), BANDS - 1)


def _cell(x: float, y: float, width: float, height: float, band: int) -> str:
    strength = f"{DARKEST * band / BANDS:.2f}"
    return (
        f'<rect class="ground" x="{x:.2f}" y="{y:.2f}" width="{width:.2f}" height="{height:.2f}" '
        f'shape-rendering="crispEdges" fill-opacity="{strength}"/>'
    )
