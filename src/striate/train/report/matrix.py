"""The confusion matrix as a heat map: rows are the true class, columns what the net said.

What is right lies on the diagonal, in one colour; what is wrong lies off it, in another, so that a few mistakes stand
out from many images. Strength grows with the square root of a cell's share of its row: on a linear scale a class
confused in 2 % of cases would be as white as one never confused.
"""

import math
from collections.abc import Sequence

import numpy as np
import numpy.typing as npt

from striate.pages.svg import escape, frame, label, number
from striate.pages.wording import columns_of, elide, percent, plural, whole
from striate.train.report.scores import most_confused

__all__ = ["MOST_CLASSES", "NUMBERED", "confusion_chart", "most_confused_classes"]

MOST_CLASSES = 40  # more than this are not drawn: see most_confused_classes
NUMBERED = 20  # up to here the cells have room for their counts
WIDEST = 14  # columns of a name before it is cut; the whole name is in the cells' tooltips
LETTER = 7.8  # the width of a letter at 14 px
SIDE = 400  # of the square that holds the cells
FEWER = 16  # classes drawn of a matrix that is too large
# A count is read against its cell: ink on weak ones, paper on strong ones. Ink and paper are equally far from the cell
# at these strengths (WCAG contrast, checked in the tests): on the dark page, and on the light one for either colour.
DARK_TURN = 0.58
LIGHT_TURN = {"right": 0.79, "wrong": 0.88, "rest": 0.79}
LARGEST = 84  # px: two classes need no more
FAINTEST = 0.07  # so that a cell that is not zero never looks as if it were


def confusion_chart(key: str, names: Sequence[str], confusion: npt.NDArray[np.int64]) -> str:
    """The chart as SVG. Of more than `MOST_CLASSES` classes it shows the `FEWER` of the commonest mistakes."""
    described = _describe(names, confusion)
    rest = len(names) > MOST_CLASSES
    if rest:
        names, confusion = most_confused_classes(names, confusion, FEWER)
        described += f" Drawn are the {FEWER} classes of the commonest mistakes, and all others as one."
    shown = [elide(name, WIDEST) for name in names]
    cell = min(LARGEST, SIDE / len(names))
    size = 14.0 if cell >= 16 else max(6.0, 0.85 * cell)
    widest = max(size / 14 * LETTER * sum(map(columns_of, name)) for name in shown)
    upright = widest > cell - 4  # the names above the columns are too wide to lie flat
    left, top = widest + 30, (widest if upright else 16) + 26
    side = len(names) * cell
    body = (
        label(left + side / 2, 13, "predicted", anchor="middle", kind="axis")
        + label(13, top + side / 2, "true", anchor="middle", kind="axis", turn=-90)
        + _names(shown, left, top, cell, size, upright=upright)
        + f'<rect class="plate" x="{number(left)}" y="{number(top)}" width="{number(side)}" height="{number(side)}"/>'
        + _cells(names, confusion, left, top, cell, rest=rest)
    )
    return frame(key, "Confusion matrix", described, (left + side + 1, top + side + 1), body)


def most_confused_classes(
    names: Sequence[str], confusion: npt.NDArray[np.int64], limit: int
) -> tuple[list[str], npt.NDArray[np.int64]]:
    """The part of a large matrix worth looking at: `limit` classes, those of the commonest mistakes first, in class
    order, and as the last row and column all others together. Every image is still counted once.
    """
    seen: list[int] = []
    for pair in most_confused(confusion, limit):
        seen += [c for c in (pair.truth, pair.predicted) if c not in seen]
    seen += [c for c in range(limit) if c not in seen]  # fewer mistakes than that: fill up with the first classes
    chosen = np.array(sorted(seen[:limit]))
    others = np.setdiff1d(np.arange(len(confusion)), chosen)
    small = np.zeros((limit + 1, limit + 1), dtype=np.int64)
    small[:-1, :-1] = confusion[np.ix_(chosen, chosen)]
    small[:-1, -1] = confusion[np.ix_(chosen, others)].sum(axis=1)
    small[-1, :-1] = confusion[np.ix_(others, chosen)].sum(axis=0)
    small[-1, -1] = confusion[np.ix_(others, others)].sum()
    return [*(names[c] for c in chosen.tolist()), "all others"], small


def _names(shown: Sequence[str], left: float, top: float, cell: float, size: float, *, upright: bool) -> str:
    parts = [f'<g font-size="{number(size)}">']
    for i, name in enumerate(shown):
        middle = (i + 0.5) * cell
        parts.append(label(left - 6, top + middle + size / 3, name, anchor="end"))
        if upright:
            parts.append(label(left + middle + size / 3, top - 6, name, turn=-90))
        else:
            parts.append(label(left + middle, top - 6, name, anchor="middle"))
    return "".join(parts) + "</g>"


def _cells(
    names: Sequence[str], confusion: npt.NDArray[np.int64], left: float, top: float, cell: float, *, rest: bool
) -> str:
    """A square for every count that is not zero. rest: the last class is all others, which may be wrong among them."""
    support = confusion.sum(axis=1)
    parts = []
    for truth, predicted in np.argwhere(confusion).tolist():
        count, share = int(confusion[truth, predicted]), float(confusion[truth, predicted] / support[truth])
        x, y = left + predicted * cell, top + truth * cell
        strength = max(FAINTEST, math.sqrt(share))
        kind = "wrong" if truth != predicted else "rest" if rest and truth == len(names) - 1 else "right"
        told = f"{names[truth]} taken for {names[predicted]}: {whole(count)} of {whole(int(support[truth]))}"
        parts.append(
            f'<g><title>{escape(told)}</title><rect class="cell {kind}" x="{number(x)}" y="{number(y)}" '
            f'width="{number(cell)}" height="{number(cell)}" fill-opacity="{strength:.2f}"/>'
        )
        if len(names) <= NUMBERED:
            shown = whole(count)
            size = min(15.0, cell / (0.68 * max(2, len(shown))))
            turn = "over" if strength >= LIGHT_TURN[kind] else "middle" if strength >= DARK_TURN else "under"
            written = label(x + cell / 2, y + cell / 2 + size / 3, shown, anchor="middle", kind=turn)
            parts.append(f'<g font-size="{number(size)}">{written}</g>')
        parts.append("</g>")
    return "".join(parts)


def _describe(names: Sequence[str], confusion: npt.NDArray[np.int64]) -> str:
    total, right = int(confusion.sum()), int(np.trace(confusion))
    worst = most_confused(confusion, 3)
    told = "; ".join(f"{names[w.truth]} taken for {names[w.predicted]}, {whole(w.count)}" for w in worst)
    return (
        f"{plural(len(names), 'class', 'classes')}, {plural(total, 'image')}, {percent(right / total, total)} on the "
        f"diagonal. {f'Confused most: {told}.' if worst else 'Nothing was confused.'}"
        if total
        else "No images."
    )
