"""From coarse to fine: the space of the next stage, from the trials of the one before.

The range of a number shrinks to where the best fifth of the trials lie, with a margin on both sides, and never below
a quarter of what it was: a few lucky trials are no proof. Where the best trial lies in the outer tenth of the range
the optimum may be outside (Karpathy, CS231n 2016, "the best is at the edge"): there the range grows instead. Options
that none of the best trials took are dropped. All of it happens in the unit interval, so in logarithms where the
range is one of logarithms.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from striate.errors import StriateError
from striate.pages.wording import decimal
from striate.search.space import Choices, Dimension, Range, Space, apply
from striate.train import Settings

__all__ = ["Narrowed", "Tried", "narrow"]

BEST_SHARE, BEST_LEAST = 0.2, 4  # the trials that say where to look next
MARGIN = 0.1  # of the range, added on either side of the best trials
LEAST_WIDTH = 0.25  # of the range that was
EDGE = 0.1  # the outer tenth: random trials rarely fall nearer to the end
WIDEN = 0.25  # of the range, added beyond the edge

Tried = tuple[Mapping[str, Any], float]  # a trial's values and what it reached; more is better


@dataclass(frozen=True, kw_only=True)
class Narrowed:
    """The next space, and a sentence for each dimension that says what became of it."""

    space: dict[str, Dimension]
    said: tuple[str, ...]


def narrow(space: Space, tried: Sequence[Tried]) -> Narrowed:
    """The space around the best of `tried`; the same space where nothing was tried."""
    ranked = sorted(tried, key=lambda one: -one[1])
    best = ranked[: max(BEST_LEAST, round(BEST_SHARE * len(ranked)))]
    if len(best) < 2:
        return Narrowed(space=dict(space), said=("no two trials came to an end: the space stays as it is",))
    found = {name: _next(name, one, [values[name] for values, _ in best]) for name, one in space.items()}
    return Narrowed(space={name: one for name, (one, _) in found.items()}, said=tuple(s for _, s in found.values()))


def _next(name: str, one: Dimension, best: Sequence[Any]) -> tuple[Dimension, str]:
    if isinstance(one, Choices):
        return _fewer(name, one, best)
    places = [one.place(value) for value in best]
    low, high = min(places) - MARGIN, max(places) + MARGIN
    if high - low < LEAST_WIDTH:
        middle = (low + high) / 2
        low, high = middle - LEAST_WIDTH / 2, middle + LEAST_WIDTH / 2
    first = places[0]
    edge = "lower" if first < EDGE else "upper" if first > 1 - EDGE else ""
    low = min(low, -WIDEN) if edge == "lower" else max(low, 0.0)
    high = max(high, 1 + WIDEN) if edge == "upper" else min(high, 1.0)
    found = _usable(name, one, low, high)
    why = f"the best, {decimal(best[0])}, lies at the {edge} edge"
    if edge and found.low >= one.low and found.high <= one.high:
        why += ", beyond which no value is allowed"
    elif edge:
        why += ": widened there"
    return found, f"{name} {_ends(one)} → {_ends(found)}" + (f"; {why}" if edge else "")


def _usable(name: str, one: Range, low: float, high: float) -> Range:
    """The range between two places, held back where a run would refuse what lies beyond the old end."""
    ends = [float(one.at(low)), float(one.at(high))]
    for i, old in enumerate((one.low, one.high)):
        try:
            apply(Settings(), {name: round(ends[i]) if one.whole else ends[i]})
        except StriateError:
            ends[i] = old
    if ends[0] >= ends[1]:  # whole numbers that have fallen together
        return one
    return Range(low=ends[0], high=ends[1], log=one.log, whole=one.whole)


def _fewer(name: str, one: Choices, best: Sequence[Any]) -> tuple[Dimension, str]:
    """The options that a best trial took; where only one is left, it and the next best stay, so that it is compared."""
    kept = [option for option in one.options if option in best]
    if len(kept) == 1:
        return one, f"{name}: all of the best took {kept[0]}; the others stay, to be compared with"
    if len(kept) == len(one.options):
        return one, f"{name}: every one of {one} is among the best"
    dropped = ", ".join(str(option) for option in one.options if option not in best)
    return Choices(options=tuple(kept)), f"{name}: {', '.join(map(str, kept))}; dropped {dropped}"


def _ends(one: Range) -> str:
    return f"{decimal(one.low)} … {decimal(one.high)}"
