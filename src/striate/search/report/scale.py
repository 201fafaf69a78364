"""A dimension of the space as an axis: numbers on a line, straight or logarithmic; options side by side."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

from striate.pages.axes import fit_axis
from striate.pages.wording import elide
from striate.search.space import Choices, Dimension, Range

__all__ = ["Scale", "scale_for"]

LETTERS = 10  # of an option's name beside the axis


@dataclass(frozen=True, kw_only=True)
class Scale:
    """Values of one dimension laid on the pixels from `start` to `end`. ticks: (pixel, what stands there)."""

    name: str
    start: float
    end: float
    one: Dimension
    ticks: tuple[tuple[float, str], ...]

    @property
    def title(self) -> str:
        """What stands beside the axis."""
        return f"{self.name}, log scale" if isinstance(self.one, Range) and self.one.log else self.name

    def at(self, value: Any) -> float:
        """The pixel of `value`; options stand in the middle of their share."""
        return self.start + self.place(value) * (self.end - self.start)

    def place(self, value: Any) -> float:
        """The same in the unit interval."""
        if isinstance(self.one, Choices):
            return (self.one.options.index(value) + 0.5) / len(self.one.options)
        return self.one.place(value)


def scale_for(name: str, spaces: Sequence[Dimension], start: float, end: float, *, count: int = 4) -> Scale:
    """The axis that holds a dimension of every stage: ranges may have widened, or the plan gives a stage its own."""
    whole = _whole(spaces)
    if isinstance(whole, Choices):
        share = 1 / len(whole.options)
        ticks = tuple(
            (start + (i + 0.5) * share * (end - start), elide(str(option), LETTERS))
            for i, option in enumerate(whole.options)
        )
        return Scale(name=name, start=start, end=end, one=whole, ticks=ticks)
    axis = fit_axis(
        (whole.low, whole.high), start, end, count=count, log=whole.log, whole=whole.whole, tight=not whole.log
    )
    ticks = tuple((start + whole.place(tick) * (end - start), axis.name(tick)) for tick in axis.ticks)
    return Scale(name=name, start=start, end=end, one=whole, ticks=ticks)


def _whole(spaces: Sequence[Dimension]) -> Dimension:
    """A range as soon as one stage has one: options beside it are numbers, as `Plan` makes sure."""
    options = [option for one in spaces if isinstance(one, Choices) for option in one.options]
    ranges = [one for one in spaces if isinstance(one, Range)]
    if not ranges:
        return Choices(options=tuple({repr(option): option for option in options}.values()))
    low = min(*options, *(one.low for one in ranges), ranges[0].low)
    high = max(*options, *(one.high for one in ranges), ranges[0].high)
    whole = all(one.whole for one in ranges) and all(isinstance(option, int) for option in options)
    return Range(low=low, high=high, log=ranges[0].log and low > 0, whole=whole)
