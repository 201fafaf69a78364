"""From coarse to fine: the space of the next stage, from the trials of the one before.

The range of a number shrinks to where the best fifth of the trials lie, with a margin on both sides, and never below
a quarter of what it was: a few lucky trials are no proof. Where the best trial lies in the outer tenth of the range
the optimum may be outside (Karpathy, CS231n 2016, "the best is at the edge"): there the range grows instead, by as much
as a run and its net allow. Options that none of the best trials took are dropped. All of it happens in the unit
interval, so in logarithms where the range is one of logarithms.
"""

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from striate.errors import StriateError
from striate.pages.wording import decimal
from striate.search.nets import refusal
from striate.search.space import NET, Choices, Dimension, Range, Space, apply
from striate.train import Settings

__all__ = ["Narrowed", "Tried", "narrow"]

BEST_SHARE, BEST_LEAST = 0.2, 4  # the trials that say where to look next
MARGIN = 0.1  # of the range, added on either side of the best trials
LEAST_WIDTH = 0.25  # of the range that was
EDGE = 0.1  # the outer tenth: random trials rarely fall nearer to the end
WIDEN = tuple(0.25 / 2**halved for halved in range(6))  # of the range, added beyond the edge: the first that is allowed

Allowed = Callable[[str, float], bool]  # whether a run could take this value of that setting
Tried = tuple[Mapping[str, Any], float]  # a trial's values and what it reached; more is better


@dataclass(frozen=True, kw_only=True)
class Narrowed:
    """The next space, and a sentence for each dimension that says what became of it."""

    space: dict[str, Dimension]
    said: tuple[str, ...]


def narrow(space: Space, tried: Sequence[Tried], settings: Settings | None = None) -> Narrowed:
    """The space around the best of `tried`, trials of `settings`; the same space where nothing was tried."""
    ranked = sorted(tried, key=lambda one: -one[1])
    best = ranked[: max(BEST_LEAST, round(BEST_SHARE * len(ranked)))]
    if len(best) < 2:
        return Narrowed(space=dict(space), said=("no two trials came to an end: the space stays as it is",))
    base = apply(settings or Settings(), best[0][0])

    def allowed(name: str, value: float) -> bool:
        try:
            told = apply(base, {name: value})
        except StriateError:
            return False
        return not name.startswith(NET) or refusal(told) is None

    found = {name: _next(name, one, [values[name] for values, _ in best], allowed) for name, one in space.items()}
    return Narrowed(space={name: one for name, (one, _) in found.items()}, said=tuple(s for _, s in found.values()))


def _next(name: str, one: Dimension, best: Sequence[Any], allowed: Allowed) -> tuple[Dimension, str]:
    if isinstance(one, Choices):
        return _fewer(name, one, best)
    places = [one.place(value) for value in best]
    low, high = min(places) - MARGIN, max(places) + MARGIN
    if high - low < LEAST_WIDTH:
        middle = (low + high) / 2
        low, high = middle - LEAST_WIDTH / 2, middle + LEAST_WIDTH / 2
    edge = "lower" if places[0] < EDGE else "upper" if places[0] > 1 - EDGE else ""
    ends = [float(one.at(max(low, 0.0))), float(one.at(min(high, 1.0)))]
    if edge == "lower":
        ends[0] = _beyond(name, one, 0.0, -1, allowed)
    elif edge == "upper":
        ends[1] = _beyond(name, one, 1.0, 1, allowed)
    fallen_together = ends[0] >= ends[1]  # as whole numbers may
    found = one if fallen_together else Range(low=ends[0], high=ends[1], log=one.log, whole=one.whole)
    why = f"the best, {_number(one, best[0])}, lies at the {edge} edge"
    if edge and found.low >= one.low and found.high <= one.high:
        why += ", beyond which a run allows next to nothing"
    elif edge:
        why += ": widened there"
    return found, f"{name} {_ends(one)} → {_ends(found)}" + (f"; {why}" if edge else "")


def _beyond(name: str, one: Range, end: float, direction: int, allowed: Allowed) -> float:
    """The value as far beyond an end of the range as a run allows: the end itself where it allows nothing."""
    for step in WIDEN:
        value = one.at(end + direction * step)
        if allowed(name, value):
            return float(value)
    return float(one.at(end))


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
    return f"{_number(one, one.low)} … {_number(one, one.high)}"


def _number(one: Range, value: float) -> str:
    return f"{int(value):,}" if one.whole else decimal(value)
