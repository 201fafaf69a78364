"""Pad the image on every side, then crop at a uniformly drawn place.

The CIFAR recipe of He 2015, §4.2 (4 pixels of padding, 32×32 crops), and with no padding the random patches of
Krizhevsky 2012, §4.1. Along a side of n pixels a crop of m can stand at n + 2·padding − m + 1 places; each is equally
likely, the first and the last included. An image longer than the crop is slid along as well.
"""

from dataclasses import dataclass
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from striate.augment import matrix
from striate.augment.checks import check_pixels
from striate.augment.draw import below
from striate.augment.noise import WindowNoise, Words
from striate.augment.places import corners_and_centre
from striate.augment.scene import Scene
from striate.augment.view import View
from striate.errors import StriateError

__all__ = ["PadCrop"]


@final
@dataclass(frozen=True)
class PadCrop(WindowNoise):
    """A uniformly placed crop of the resized image with `padding` pixels around it.

    Testing averages the four corners and the centre of the image itself, a fifth each (Krizhevsky 2012, §4.1): never
    the padding, which is no part of any image. An image that is already as large as the crop has one such view.

    Raises StriateError when the padding is not a whole number of pixels, or an image stays smaller than the crop.
    """

    padding: int
    stream: ClassVar[int] = 16

    def __post_init__(self) -> None:
        check_pixels(self, "padding", 0)

    def window(self, windows: NDArray[np.int32], words: Words, sizes: NDArray[np.int32], out: tuple[int, int]) -> None:
        windows[:, :2] = self._corners(words, sizes.astype(np.int64), out)

    def draw(self, scene: Scene, words: Words) -> None:
        bases = scene.base_sizes
        moved = self._corners(words, bases, scene.out) - (bases - np.array(scene.out)) // 2
        moved = np.where(scene.mirrored, -moved, moved)  # the same place of the image, whichever way round it is
        scene.move(matrix.shift(moved[:, 1], moved[:, 0]))

    def views(self, view: View, out: tuple[int, int]) -> tuple[View, ...]:
        return corners_and_centre(view)

    def _corners(self, words: Words, sizes: NDArray[np.int64], out: tuple[int, int]) -> NDArray[np.int64]:
        """[B, 2]: (top, left) of each crop in its base image."""
        places = sizes + (2 * self.padding + 1 - np.array(out))  # [B, 2]: rows, columns
        if places.size and places.min() < 1:
            height, width = sizes[places.min(axis=1).argmin()]
            raise StriateError(
                f"PadCrop: an image of {height}×{width} px with {self.padding} px of padding does not cover a crop of "
                f"{out[0]}×{out[1]} px; resize it first or pad more"
            )
        return below(words[:, :2], places) - self.padding
