"""Parallel coordinates (Inselberg 1985): an upright axis for each dimension and for the accuracy, a line a trial."""

from collections.abc import Mapping, Sequence

from striate.pages.axes import fit_axis
from striate.pages.svg import escape, frame, label, number
from striate.pages.wording import elide, percent
from striate.search.ledger import Record
from striate.search.report.scale import scale_for
from striate.search.space import Dimension

__all__ = ["parallel_chart"]

HEIGHT, TOP, BOTTOM = 320, 46, 20
SIDE, GAP = 74, 150  # px beside the outer axes, and between two
MOST_BEST, BEST_SHARE = 5, 5  # lines that stand out: at most five, and at most a fifth of all


def parallel_chart(
    spaces: Mapping[str, Sequence[Dimension]], records: Sequence[Record], order: Sequence[Record]
) -> str:
    """The chart as SVG. spaces: each dimension in every stage; order: the trials with a value, the best first."""
    names = list(spaces)
    width = 2 * SIDE + GAP * len(names)
    scales = [scale_for(name, spaces[name], HEIGHT - BOTTOM, TOP) for name in names]
    y_axis = fit_axis([one.value for one in order if one.value is not None], HEIGHT - BOTTOM, TOP, percent=True)
    parts = []
    best = max(1, min(MOST_BEST, len(order) // BEST_SHARE))
    for rank, one in reversed(list(enumerate(order))):
        if one.value is None or not set(names) <= set(one.values):
            continue
        places = [(SIDE + i * GAP, scale.at(one.values[scale.name])) for i, scale in enumerate(scales)]
        places.append((SIDE + len(names) * GAP, y_axis.at(one.value)))
        points = " ".join(f"{number(x)},{number(y)}" for x, y in places)
        strength = "" if rank < best else f' stroke-opacity="{0.5 - 0.4 * rank / max(1, len(order) - 1):.2f}"'
        kind = "way best-way" if rank < best else "way"
        tip = escape(f"trial {one.name}: {percent(one.value)}")
        parts.append(f'<polyline class="{kind}" points="{points}"{strength}><title>{tip}</title></polyline>')
    for i, scale in enumerate(scales):
        parts.append(_upright(SIDE + i * GAP, scale.name, scale.ticks))
    ticks = [(y_axis.at(tick), y_axis.name(tick)) for tick in y_axis.ticks]
    parts.append(_upright(SIDE + len(names) * GAP, "accuracy", ticks))
    told = f"{len(order)} trials through {', '.join(names)} to their accuracy; the best {best} stand out."
    return frame("parallel", "All trials at once", told, (width, HEIGHT), "".join(parts))


def _upright(x: float, name: str, ticks: Sequence[tuple[float, str]]) -> str:
    parts = [
        f'<line class="tick" x1="{number(x)}" x2="{number(x)}" y1="{TOP}" y2="{HEIGHT - BOTTOM}"/>',
        label(x, TOP - 16, elide(name.rpartition(".")[2], 18), anchor="middle", kind="name"),
    ]
    parts += [label(x + 6, y + 4, text, kind="axis halo") for y, text in ticks]
    return "".join(parts)
