"""Mirror the image left to right: a cat seen from the other side is still a cat (a "3" is not a "3")."""

from dataclasses import dataclass, replace
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from striate.augment.draw import chance
from striate.augment.noise import Noise, Size, View, Windows, Words
from striate.errors import StriateError

__all__ = ["HorizontalFlip"]


@final
@dataclass(frozen=True)
class HorizontalFlip(Noise):
    """Mirrored with probability `p`.

    Testing averages the image with weight 1 − p and its mirror with weight p, which is the exact expectation over
    what training draws; Krizhevsky 2012, §4.1, has p = 1/2.

    Raises StriateError when `p` is not a probability.
    """

    p: float = 0.5
    stream: ClassVar[int] = 17

    def __post_init__(self) -> None:
        if not 0 <= self.p <= 1:
            raise StriateError(f"HorizontalFlip: p is {self.p!r}; give a probability from 0 to 1")

    def draw(self, windows: Windows, words: Words, sizes: NDArray[np.int32], out: Size) -> None:
        windows[:, 2] ^= chance(words[:, 0], self.p)

    def views(self, view: View, size: Size, out: Size) -> tuple[View, ...]:
        kept = replace(view, weight=view.weight * (1 - self.p))
        mirrored = replace(view, flip=not view.flip, weight=view.weight * self.p)
        return tuple(each for each in (kept, mirrored) if each.weight > 0)
