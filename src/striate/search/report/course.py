"""Trial after trial: what each reached, and the best so far as a line of steps."""

from collections.abc import Sequence

from striate.pages.axes import fit_axis
from striate.pages.svg import frame, label, number
from striate.pages.wording import percent
from striate.search.ledger import Record
from striate.search.report.plane import BOTTOM, HEIGHT, KINDS, LEFT, RIGHT, TOP, WIDTH, Point, axes, cross, dots

__all__ = ["course_chart"]


def course_chart(records: Sequence[Record], best: Record) -> str:
    """The chart as SVG; trials in the order of their numbers, stage after stage."""
    values = [one.value for one in records if one.value is not None]
    x_axis = fit_axis([1, max(2, len(records))], LEFT, WIDTH - RIGHT, count=6, whole=True, tight=True)
    y_axis = fit_axis(values, HEIGHT - BOTTOM, TOP, percent=True)
    base = HEIGHT - BOTTOM
    points, lost, steps, borders = [], [], [], []
    top: float | None = None
    for i, one in enumerate(records, start=1):
        x = x_axis.at(i)
        if i > 1 and one.stage != records[i - 2].stage:
            middle = number(x_axis.at(i - 0.5))
            borders.append(f'<line class="best" x1="{middle}" x2="{middle}" y1="{TOP - 8}" y2="{base}"/>')
            borders.append(label(x_axis.at(i - 0.5) + 5, TOP - 1, f"stage {one.stage + 1}", kind="axis"))
        if one.value is None:
            if one.outcome in ("exploded", "failed"):
                lost.append(cross(x, base - 6, f"trial {one.name} {one.outcome}: {one.cause}"))
            continue
        kind = KINDS[one.stage % len(KINDS)]
        tip = f"trial {one.name}: {percent(one.value)}"
        points.append(Point(x=x, y=y_axis.at(one.value), kind=kind, tip=tip, best=one == best))
        if top is None or one.value > top:
            steps += [(x, y_axis.at(one.value if top is None else top)), (x, y_axis.at(one.value))]
            top = one.value
    if top is not None:
        steps.append((x_axis.at(len(records)), y_axis.at(top)))
    line = " ".join(f"{number(x)},{number(y)}" for x, y in steps)
    body = [
        axes(
            [(x_axis.at(t), x_axis.name(t)) for t in x_axis.ticks],
            [(y_axis.at(t), y_axis.name(t)) for t in y_axis.ticks],
            "trial",
            "validation accuracy",
        ),
        *borders,
        f'<polyline class="line so-far" fill="none" stroke="currentColor" points="{line}"/>',
        *lost,
        dots(points),
    ]
    told = f"{len(values)} of {len(records)} trials reached a value; the best is trial {best.name} with {percent(top)}."
    return frame("course", "Validation accuracy of each trial", told, (WIDTH, HEIGHT), "".join(body))
