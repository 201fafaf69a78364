"""The noises of a training run together: one window an image in training, one weighted list of views in testing."""

from dataclasses import dataclass
from typing import Literal, final

import numpy as np
from numpy.typing import NDArray

from striate import _native
from striate.augment.noise import Noise, Size, View, Windows
from striate.errors import StriateError

__all__ = ["Policy"]


@final
@dataclass(frozen=True)
class Policy:
    """Noises applied one after another to the centre window; without any, the centre window it stays.

    `fill` is what stands where a window reaches beyond its image: a grey level from 0 to 255 for every channel, or
    "mean" for the training set's mean colour. Black is what everybody's CIFAR recipe pads with, and the background of
    digits.

    Raises StriateError when two noises are of one kind (they would draw the same numbers) or `fill` is neither.
    """

    noises: tuple[Noise, ...] = ()
    fill: int | Literal["mean"] = 0

    def __post_init__(self) -> None:
        object.__setattr__(self, "noises", tuple(self.noises))
        streams = [noise.stream for noise in self.noises]
        for noise in self.noises:
            if streams.count(noise.stream) > 1:
                raise StriateError(f"Policy: {type(noise).__name__} is given twice; give each kind of noise once")
        if self.fill != "mean" and not (isinstance(self.fill, int) and 0 <= self.fill <= 255):
            raise StriateError(f"Policy: fill is {self.fill!r}; give a grey level from 0 to 255, or 'mean'")

    def windows(
        self, seed: int, epoch: int, samples: NDArray[np.int64], sizes: NDArray[np.int32], out: Size
    ) -> Windows:
        """What training looks at: int32 [B, 3], rows of (top, left, flip).

        A row depends on its own sample, its image's size, the seed and the epoch: not on the batch it is drawn in.
        `samples` [B] are positions in the training set, `sizes` [B, 2] their images' (height, width) in px.
        """
        windows = np.zeros((len(samples), 3), np.int32)
        windows[:, :2] = (sizes - np.array(out)) // 2  # the centre, rounded up and left
        for noise in self.noises:
            noise.draw(windows, _native.philox(seed, epoch, samples, noise.stream), sizes, out)
        return windows

    def views(self, size: Size, out: Size) -> tuple[View, ...]:
        """What testing averages over for an image of `size`: distinct views whose weights sum to 1.

        >>> from striate.augment import HorizontalFlip, PadCrop
        >>> len(Policy((PadCrop(0), HorizontalFlip())).views((256, 341), out=(224, 224)))  # Krizhevsky's ten crops
        10
        """
        views: tuple[View, ...] = (View(top=(size[0] - out[0]) // 2, left=(size[1] - out[1]) // 2),)
        for noise in self.noises:
            views = tuple(new for view in views for new in noise.views(view, size, out))
        weights: dict[tuple[int, int, bool], float] = {}
        for view in views:
            window = (view.top, view.left, view.flip)
            weights[window] = weights.get(window, 0.0) + view.weight
        return tuple(View(top=t, left=l_, flip=f, weight=w) for (t, l_, f), w in weights.items())
