"""Crops of a random size: a random share of the image's area, or a random scale of the whole.

Both choose a rectangle of the source and leave the resampling to the one pass that follows, so nothing is resized
twice, and pixels just outside the rectangle still count where the filter reaches them.
"""

from dataclasses import dataclass, replace
from typing import ClassVar, final

import numpy as np
from numpy.typing import NDArray

from striate.augment import matrix
from striate.augment.checks import check_range
from striate.augment.draw import below, log_uniform, uniform
from striate.augment.noise import Framing, Words
from striate.augment.places import SIDES, corners_and_centre, in_proportion
from striate.augment.scene import Scene
from striate.augment.view import View
from striate.errors import StriateError, given
from striate.plain import whole

__all__ = ["RandomResizedCrop", "RandomScaleCrop"]

TRIES = 10  # torchvision's: then the largest allowed crop at the centre


@final
@dataclass(frozen=True)
class RandomResizedCrop(Framing):
    """A share `scale` of the area, of aspect `ratio` (width / height), anywhere; resized to the output.

    Inception's (Szegedy 2015, §6), by torchvision's law: area uniform, aspect log-uniform, sides rounded to pixels, ten
    tries to fit into the image (then the largest allowed rectangle, at the centre); each place equally likely, the
    last row and column included.

    Testing resizes the short side to 8/7 of the window (256 px for 224) and averages the corners and the centre.

    Raises StriateError when a range is none.
    """

    scale: tuple[float, float] = (0.08, 1.0)
    ratio: tuple[float, float] = (3 / 4, 4 / 3)
    stream: ClassVar[int] = 19
    blocks: ClassVar[int] = TRIES

    def __post_init__(self) -> None:
        check_range(self, "scale", 1e-6, 1.0)
        check_range(self, "ratio", 1e-3, 1e3)

    def draw(self, scene: Scene, words: Words) -> None:
        sizes = scene.sizes.astype(np.float64)
        rectangles = self._largest(sizes)  # [B, 4]: top, left, height, width
        waiting = np.arange(len(scene))
        for turn in range(TRIES):
            tried, fits = self._tried(words[waiting, 4 * turn : 4 * turn + 4], scene.sizes[waiting].astype(np.int64))
            rectangles[waiting[fits]] = tried[fits]
            waiting = waiting[~fits]
            if not len(waiting):
                break
        top, left, height, width = rectangles.T
        scene.frame(matrix.rectangle(top, left, height, width, scene.out))

    def views(self, view: View, out: tuple[int, int]) -> tuple[View, ...]:
        return corners_and_centre(replace(view, short_side=in_proportion(256, min(out))))

    def _tried(self, words: Words, sizes: NDArray[np.int64]) -> tuple[NDArray[np.float64], NDArray[np.bool_]]:
        """Rectangles [n, 4] from words [n, 4], and which of them fit."""
        area = uniform(words[:, 0], *self.scale) * sizes.prod(1)
        ratio = log_uniform(words[:, 1], *self.ratio)
        sides = np.rint(np.sqrt(np.stack([area / ratio, area * ratio], 1))).astype(np.int64)
        fits = ((sides > 0) & (sides <= sizes)).all(1)
        corners = below(words[:, 2:4], np.maximum(sizes - sides, 0) + 1)
        return np.concatenate([corners, sides], 1).astype(np.float64), fits

    def _largest(self, sizes: NDArray[np.float64]) -> NDArray[np.float64]:
        """[B, 4]: the whole image, or the middle of it that keeps the aspect within `ratio`."""
        height, width = sizes.T
        wide = np.maximum(1, np.minimum(width, np.rint(height * self.ratio[1])))
        high = np.maximum(1, np.minimum(height, np.rint(width / self.ratio[0])))
        return np.stack([(height - high) // 2, (width - wide) // 2, high, wide], 1)


@final
@dataclass(frozen=True)
class RandomScaleCrop(Framing):
    """ResNet's: the short side uniform in whole pixels from `short_side[0]` to `short_side[1]`, then a random crop.

    VGG's scale jittering (Simonyan 2014, §3.1) and He 2015, §3.4, have (256, 480) for a crop of 224. Each place is
    equally likely. Testing averages the corners and the centre at five short sides, {224, 256, 384, 480, 640} for a
    crop of 224 and in proportion for others: 25 views, 50 with mirrors. Where the range is one side, that side alone:
    a net that has seen things at one size knows them at no other (Krizhevsky 2012, §4.1, has (256, 256) and ten views).

    Raises StriateError when the range is none, or the crop is larger than the short side may become.
    """

    short_side: tuple[int, int] = (256, 480)
    stream: ClassVar[int] = 20

    def __post_init__(self) -> None:
        try:
            low, high = map(whole, self.short_side)
        except (TypeError, ValueError):  # no list, or not of two
            low = high = None
        if low is None or high is None or not 1 <= low <= high:
            raise StriateError(
                f"RandomScaleCrop: short_side is {given(self.short_side)}; "
                "give two whole numbers of pixels, the smaller first"
            )
        object.__setattr__(self, "short_side", (low, high))

    def draw(self, scene: Scene, words: Words) -> None:
        low, high = self.short_side
        if low < max(scene.out):
            raise StriateError(
                f"RandomScaleCrop: a short side of {low} px does not cover a crop of {scene.out[0]}×{scene.out[1]} px; "
                f"begin short_side at {max(scene.out)}"
            )
        short = low + below(words[:, 0], high - low + 1)
        sizes = scene.sizes.astype(np.int64)
        least = sizes.min(1)
        scaled = (2 * sizes * short[:, None] + least[:, None]) // (2 * least[:, None])  # [B, 2], rounded, halves up
        corners = below(words[:, 1:3], scaled - np.array(scene.out) + 1)
        per_pixel = sizes / scaled  # source px for one of the scaled image
        top, left = (corners * per_pixel).T
        height, width = (np.array(scene.out) * per_pixel).T
        scene.frame(matrix.rectangle(top, left, height, width, scene.out))

    def views(self, view: View, out: tuple[int, int]) -> tuple[View, ...]:
        low, high = self.short_side
        sides = [low] if low == high else [in_proportion(side, min(out)) for side in SIDES]
        scaled = [replace(view, short_side=side, weight=view.weight / len(sides)) for side in sides]
        return tuple(each for scale in scaled for each in corners_and_centre(scale))
