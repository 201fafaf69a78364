"""Where a value lies on an axis, and which round values to write beside it.

Steps are 1, 2 or 5 times a power of ten (Wilkinson 2005, ch. 6); a logarithmic axis is marked at decades, at 2 and 5 of
each when it spans few, and at even steps where not even two of these lie in it.
"""

import math
from collections.abc import Iterable
from dataclasses import dataclass

from striate.pages.svg import label, number
from striate.pages.wording import GAP, decimal

__all__ = ["Axis", "fit_axis", "worth_log", "x_grid", "y_grid"]

LARGEST = 1e307  # the difference of two values, and a rounded end of the axis, are numbers still
SMALLEST = 1e-300  # what is smaller is zero: a fifth of it could be
LOG_RATIO = 30  # values this much smaller than the largest lie flat on a linear axis
LOG_SHARE = 0.2  # of the values; a cosine schedule has 12 % of them below a 30th of its peak
ROUNDING = 1e-9  # values this near each other, relative to their size, are one value: no ticks fit between them
LEAST_STEPS = 5  # of which two and a half may make a round one: so there are two marks at least
WIDE_DECADES = 2.5  # a logarithmic axis that spans more than this is marked at the powers of ten only


@dataclass(frozen=True, kw_only=True)
class Axis:
    """Values from `low` to `high` laid on the pixels from `start` to `end` (which may be the smaller: up is less y)."""

    low: float
    high: float
    start: float
    end: float
    ticks: tuple[float, ...]
    log: bool = False
    percent: bool = False

    def at(self, value: float) -> float:
        """The pixel of `value`."""
        low, high = self.low, self.high
        if self.log:
            low, high, value = math.log(low), math.log(high), math.log(value)
        return self.start + (value - low) / (high - low) * (self.end - self.start)

    def name(self, tick: float) -> str:
        """What stands beside a tick."""
        if self.percent:
            return f"{100 * tick:.10g}{GAP}%"
        for power, prefix in ((1e12, "T"), (1e9, "G"), (1e6, "M"), (1e3, "k")):
            if abs(tick) >= max(power, 1e5):
                return f"{tick / power:,.10g}{GAP}{prefix}"
        if 0 < abs(tick) < 1e-4:
            return decimal(tick, 10)
        return f"{tick:,.10g}"


def fit_axis(
    values: Iterable[float],
    start: float,
    end: float,
    *,
    count: int = 5,
    log: bool = False,
    percent: bool = False,
    whole: bool = False,
    tight: bool = False,
) -> Axis:
    """The axis that holds `values` (finite ones; for `log` positive ones), with about `count` ticks.

    percent: shares of 1, and the axis never leaves [0, 1]. whole: only whole numbers are marked. tight: the axis ends
    at the values, and not at the round values around them.
    """
    known = sorted(values) or [0.0]
    low, high = (_held(float(value)) for value in (known[0], known[-1]))
    if log and known[0] > 0:
        low, high = max(low, SMALLEST), max(high, SMALLEST)
        return _log_axis(low, high, start, end, count, whole=whole)
    if high - low <= ROUNDING * max(abs(low), abs(high)):
        if tight:
            return Axis(low=low - 1, high=high + 1, start=start, end=end, ticks=(low,))
        low, high = _around(low, percent=percent)
    elif not percent and not tight and 0 < low < 0.4 * high:
        low = 0.0  # zero is near: show it, and the eye may compare heights
    step = _round_step((high - low) / count, whole=whole)
    first, last = math.floor(low / step + 1e-9), math.ceil(high / step - 1e-9)
    if tight:
        first, last = math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9)
    else:
        low, high = first * step, last * step
    if percent:
        low, high = max(low, 0.0), min(high, 1.0)
    ticks = _multiples(step, first, last)
    ticks = tuple(tick for tick in ticks if low - 1e-6 * step <= tick <= high + 1e-6 * step)
    return Axis(low=low, high=high, start=start, end=end, ticks=ticks, percent=percent)


def _held(value: float) -> float:
    """`value`, where numbers of its size can be reckoned with."""
    return max(-LARGEST, min(value, LARGEST)) if abs(value) >= SMALLEST else 0.0


def worth_log(values: Iterable[float]) -> bool:
    """Whether these (finite) values are positive, and so many of them so small that only a logarithmic axis shows them.

    One tiny value is not enough: a cosine schedule ends at one, and is best seen as the cosine that it is.
    """
    known = list(values)
    small = sum(LOG_RATIO * value <= max(known) for value in known)
    return bool(known) and min(known) > 0 and small >= LOG_SHARE * len(known)


def x_grid(x: Axis, top: float, base: float) -> str:
    """A line up from `base` at every tick, and the tick's name below."""
    return "".join(
        f'<line class="grid" x1="{number(at)}" x2="{number(at)}" y1="{number(top)}" y2="{number(base)}"/>'
        + label(at, base + 18, name, anchor="middle")
        for at, name in ((x.at(tick), x.name(tick)) for tick in x.ticks)
    )


def y_grid(y: Axis, left: float, right: float, *, kind: str = "") -> str:
    """A line across from `left` at every tick, and the tick's name before it. kind: the names' class."""
    return "".join(
        f'<line class="grid" x1="{number(left)}" x2="{number(right)}" y1="{number(at)}" y2="{number(at)}"/>'
        + label(left - 7, at + 4, name, anchor="end", kind=kind)
        for at, name in ((y.at(tick), y.name(tick)) for tick in y.ticks)
    )


def _log_axis(low: float, high: float, start: float, end: float, count: int, *, whole: bool) -> Axis:
    if high - low <= ROUNDING * high:
        low, high = low / 2, high * 2
    decades = math.log10(high / low)
    first, last = math.floor(math.log10(low)), math.ceil(math.log10(high))
    stride = max(1, math.ceil((last - first) / count))
    mantissas = (1,) if decades > WIDE_DECADES else (1, 2, 5)
    marks = [m * 10.0**power for power in range(first, last + 1, stride) for m in mantissas]
    ticks = tuple(mark for mark in marks if 0.999 * low <= mark <= 1.001 * high)
    if len(ticks) < 2:  # 0.003 to 0.0045: part of a decade, where a logarithm is nearly straight
        step = _round_step((high - low) / max(count, LEAST_STEPS), whole=whole)
        ticks = _multiples(step, math.ceil(low / step - 1e-9), math.floor(high / step + 1e-9))
    return Axis(low=low, high=high, start=start, end=end, ticks=ticks, log=True)


def _multiples(step: float, first: int, last: int) -> tuple[float, ...]:
    """From first · step to last · step. Multiples, not sums, and their twelfth digit dropped: 0.1 added thrice is not
    0.3."""
    return tuple(float(f"{i * step:.12g}") for i in range(first, last + 1))


def _around(value: float, *, percent: bool) -> tuple[float, float]:
    """A range around a single value."""
    if percent:
        return max(0.0, value - 0.05), min(1.0, value + 0.05)
    return (0.0, 1.2 * value) if value > 0 else (1.2 * value, 0.0) if value < 0 else (0.0, 1.0)


def _round_step(rough: float, *, whole: bool) -> float:
    """The smallest of 1, 2, 5 × 10^k that is no less than `rough`."""
    power = 10.0 ** math.floor(math.log10(rough))
    step = next(m * power for m in (1, 2, 5, 10) if m * power >= rough * (1 - 1e-9))
    return max(1.0, step) if whole else step
