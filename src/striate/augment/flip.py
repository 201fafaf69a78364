"""Mirror the image: a cat seen from the other side is still a cat (a "3" is not a "3")."""

from dataclasses import dataclass, replace
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from striate.augment.checks import check_probability
from striate.augment.draw import chance
from striate.augment.noise import Noise, WindowNoise, Words
from striate.augment.scene import Scene
from striate.augment.view import View

__all__ = ["HorizontalFlip", "VerticalFlip"]


@final
@dataclass(frozen=True)
class HorizontalFlip(WindowNoise):
    """Mirrored left to right with probability `p`.

    Testing averages the image with weight 1 − p and its mirror with weight p, which is the exact expectation over
    what training draws; Krizhevsky 2012, §4.1, has p = 1/2.

    Raises StriateError when `p` is not a probability.
    """

    p: float = 0.5
    stream: ClassVar[int] = 17

    def __post_init__(self) -> None:
        check_probability(self, "p")

    def window(self, windows: NDArray[np.int32], words: Words, sizes: NDArray[np.int32], out: tuple[int, int]) -> None:
        windows[:, 2] ^= chance(words[:, 0], self.p)

    def draw(self, scene: Scene, words: Words) -> None:
        scene.mirror(chance(words[:, 0], self.p))

    def views(self, view: View, out: tuple[int, int]) -> tuple[View, ...]:
        looks = ((view.flip, 1 - self.p), (not view.flip, self.p))
        return tuple(replace(view, flip=flip, weight=view.weight * share) for flip, share in looks if share > 0)


@final
@dataclass(frozen=True)
class VerticalFlip(Noise):
    """Upside down with probability `p`: for pictures without an up, such as cells and satellites' views.

    Testing sees the image as it stands; a View knows no upside-down.

    Raises StriateError when `p` is not a probability.
    """

    p: float = 0.5
    stream: ClassVar[int] = 18

    def __post_init__(self) -> None:
        check_probability(self, "p")

    def draw(self, scene: Scene, words: Words) -> None:
        scene.mirror(chance(words[:, 0], self.p), axis=1)

    def views(self, view: View, out: tuple[int, int]) -> tuple[View, ...]:
        return (view,)
