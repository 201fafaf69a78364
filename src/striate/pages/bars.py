"""How many images each class has: a bar per class, or, for very many classes, their sizes from largest to smallest."""

from collections.abc import Mapping, Sequence

from striate.pages.axes import fit_axis, y_grid
from striate.pages.svg import escape, frame, label, number
from striate.pages.wording import columns_of, elide, plural, whole

__all__ = ["MOST_BARS", "count_chart"]

MOST_BARS = 40  # more classes than this are shown as a profile
WIDTH = 440
ROW, BAR = 22, 14
TOP = 26  # the legend
LETTER = 7.8  # the width of a letter at 14 px
LONGEST = 16  # columns of a name before it is cut; the whole name is in its tooltip
KINDS = ("a", "b", "c")  # a colour for each part: training, validation, test


def count_chart(key: str, names: Sequence[str], counts: Mapping[str, Sequence[int]]) -> str:
    """The chart as SVG. counts: for each part, by the name it is to be shown under, the images of every class."""
    totals = [sum(per_class) for per_class in zip(*counts.values(), strict=True)]
    described = f"{plural(len(names), 'class', 'classes')}. "
    if totals:
        smallest, largest = min(totals), max(totals)
        described += (
            f"The largest, {names[totals.index(largest)]}, has {plural(largest, 'image')}; "
            f"the smallest, {names[totals.index(smallest)]}, has {whole(smallest)}."
        )
    height, body = _bars(names, counts, totals) if len(names) <= MOST_BARS else _profile(totals)
    return frame(key, "Images of each class", described, (WIDTH, height), body)


def _bars(names: Sequence[str], counts: Mapping[str, Sequence[int]], totals: Sequence[int]) -> tuple[float, str]:
    shown = [elide(name, LONGEST) for name in names]
    left = 10 + LETTER * max((sum(map(columns_of, name)) for name in shown), default=0)
    right = WIDTH - 8 - LETTER * max((len(whole(total)) for total in totals), default=0)
    scale = (right - left) / max(totals, default=1) if any(totals) else 0.0
    parts = [_legend(counts, left)]
    for row, (name, total) in enumerate(zip(shown, totals, strict=True)):
        y, x = TOP + row * ROW, left
        pieces = []
        for kind, (part, of_class) in zip(KINDS, counts.items(), strict=False):
            width = scale * of_class[row]
            if width > 0:
                pieces.append(
                    f'<rect class="bar {kind}" x="{number(x)}" y="{y + 4}" width="{number(width)}" height="{BAR}">'
                    f"<title>{escape(f'{names[row]}, {part}: {whole(of_class[row])}')}</title></rect>"
                )
            x += width
        parts.append(
            f"<g><title>{escape(names[row])}</title>"
            + label(left - 7, y + 15, name, anchor="end")
            + "</g>"
            + "".join(pieces)
            + label(x + 6, y + 15, whole(total), kind="axis")
        )
    return TOP + len(names) * ROW + 4, "".join(parts)


def _profile(totals: Sequence[int]) -> tuple[float, str]:
    """All classes side by side, largest first: a step line, for a bar each would be thinner than a pixel."""
    ordered = sorted(totals, reverse=True)
    height, left, bottom = 220, 52, 40
    base = height - bottom
    x_axis = fit_axis([1, len(totals)], left, WIDTH - 12, count=5, whole=True, tight=True)
    y_axis = fit_axis([0, max(1, *ordered)], base, TOP + 6, count=4, whole=True)
    parts = [
        label(0, 12, "images", kind="axis"),
        label(WIDTH - 12, height - 4, "class, by size", anchor="end", kind="axis"),
        y_grid(y_axis, left, WIDTH - 12, kind="axis"),
    ]
    for tick in (1.0, *(tick for tick in x_axis.ticks if tick > 1)):
        parts.append(label(x_axis.at(tick), base + 18, x_axis.name(tick), anchor="middle", kind="axis"))
    points = [f"{number(x_axis.at(rank))},{number(y_axis.at(total))}" for rank, total in enumerate(ordered, start=1)]
    ends = f"{number(WIDTH - 12)},{base} {left},{base}"
    parts.append(f'<polygon class="bar a" points="{" ".join(points)} {ends}"/>')
    return height, "".join(parts)


def _legend(counts: Mapping[str, Sequence[int]], left: float) -> str:
    x, parts = left, []
    for kind, part in zip(KINDS, counts, strict=False):
        parts.append(f'<rect class="bar {kind}" x="{number(x)}" y="3" width="11" height="11"/>')
        parts.append(label(x + 16, 13, part, kind="axis"))
        x += 16 + LETTER * len(part) + 14
    return "".join(parts)
