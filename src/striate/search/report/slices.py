"""Accuracy against one dimension: every trial's shadow on one wall of the space."""

from collections.abc import Sequence

from striate.pages.axes import fit_axis
from striate.pages.svg import frame
from striate.pages.wording import percent
from striate.search.ledger import Record
from striate.search.report.plane import BOTTOM, HEIGHT, KINDS, LEFT, RIGHT, TOP, WIDTH, Point, axes, cross, dots
from striate.search.report.scale import scale_for
from striate.search.space import Choices, Dimension, value_text

__all__ = ["slice_chart"]

SPREAD = 0.25  # of an option's share: how far its trials are moved apart, so that they do not hide each other


def slice_chart(name: str, spaces: Sequence[Dimension], records: Sequence[Record], best: Record) -> str:
    """The chart as SVG. spaces: the dimension in each stage; trials that exploded stand at the floor."""
    scale = scale_for(name, spaces, LEFT + 8, WIDTH - RIGHT - 8)
    known = [one for one in records if one.value is not None]
    y_axis = fit_axis([one.value for one in known if one.value is not None], HEIGHT - BOTTOM, TOP, percent=True)
    aside = SPREAD * (scale.end - scale.start) / len(scale.one.options) if isinstance(scale.one, Choices) else 0.0
    points, lost = [], []
    for i, one in enumerate(records):
        if name not in one.values:
            continue
        x = scale.at(one.values[name]) + aside * (((i * 0.618034) % 1) * 2 - 1)  # golden ratio: evenly, in any order
        tip = f"trial {one.name}: {value_text(one.values[name])}"
        if one.value is not None:
            kind = KINDS[one.stage % len(KINDS)]
            tip = f"{tip}, {percent(one.value)}"
            points.append(Point(x=x, y=y_axis.at(one.value), kind=kind, tip=tip, best=one == best))
        elif one.outcome in ("exploded", "failed"):
            lost.append(cross(x, HEIGHT - BOTTOM - 6, f"{tip}, {one.outcome}"))
    y_ticks = [(y_axis.at(t), y_axis.name(t)) for t in y_axis.ticks]
    body = axes(scale.ticks, y_ticks, scale.title, "validation accuracy") + "".join(lost) + dots(points)
    told = f"{len(points)} trials; the best, {percent(best.value)}, has {name} {value_text(best.values[name])}."
    told += f" {len(lost)} exploded or failed." if lost else ""
    key = "slice-" + "".join(letter if letter.isalnum() else "-" for letter in name)
    return frame(key, f"Validation accuracy against {name}", told, (WIDTH, HEIGHT), body)
