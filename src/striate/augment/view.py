"""One way to look at an image when testing: how large, where, which way round, and the share of the average it carries.

A view names no pixel, so one list serves images of every size: the place is a share of the range the window is free to
slide in, (0, 0) the upper left corner, (½, ½) the centre, (1, 1) the lower right. The weights of a list sum to 1, and
the average they weight is one of probabilities, not of logits.
"""

import math
from dataclasses import dataclass
from typing import final

from striate.errors import StriateError, given
from striate.plain import whole

__all__ = ["View"]


@final
@dataclass(frozen=True, kw_only=True)
class View:
    """One look at an image.

    `short_side` is the resized image's short side in px; None is the evaluator's own frame, what `Preprocess` covers.
    `place` is (down, across), each a share from 0 to 1 of the range the window is free to slide in. `flip` mirrors left
    to right. `weight` is the share of the average, more than 0 and at most 1.

    >>> View(short_side=256, place=(0, 1), weight=0.1)  # the upper right corner
    View(short_side=256, place=(0, 1), flip=False, weight=0.1)

    Raises StriateError for what is none of these.
    """

    short_side: int | None = None
    place: tuple[float, float] = (0.5, 0.5)
    flip: bool = False
    weight: float = 1.0

    def __post_init__(self) -> None:
        if self.short_side is not None:
            side = whole(self.short_side)
            if side is None or side < 1:
                raise StriateError(
                    f"View: short_side is {given(self.short_side)}; give whole pixels, 1 or more, or None"
                )
            object.__setattr__(self, "short_side", side)
        if len(self.place) != 2 or not all(0 <= share <= 1 for share in self.place):
            raise StriateError(f"View: place is {self.place!r}; give (down, across), each from 0 to 1")
        if not (math.isfinite(self.weight) and 0 < self.weight <= 1):
            raise StriateError(f"View: weight is {self.weight!r}; give a share of the average, above 0 and at most 1")
