"""How much there is to learn from: how long to train, with how much noise, when images are few or many.

Noise stands in for images that are not there, so the fewer there are of a class, the more of it: crops go down to a
smaller share of the image, and colours and shapes are changed more. It falls with the logarithm of the images a class,
from FEW on to MANY, where a plain crop and mirror are left.
"""

import dataclasses
import math
from typing import final

import numpy as np
from numpy.typing import NDArray

from striate.augment import Policy, RandAugment, RandomResizedCrop
from striate.augment.flip import HorizontalFlip
from striate.data.members import members_of

__all__ = ["Amount", "noise_for", "some_of_each"]

FEW = 10  # images a class: the least that a learning curve starts at
MANY = 5_000  # CIFAR-10's, which "light" is enough for
SMALLEST, LARGEST = 0.5, 0.8  # share of the image's area that a crop has at least, with few and with many
STRONGEST = 5.0  # RandAugment's magnitude, of 30, with few


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Amount:
    """Training images, of the class that has fewest, and of the one that has most (0: as many as of the others)."""

    images: int
    least: int
    classes: int
    most: int = 0

    @property
    def chance(self) -> float:
        """The share that a constant answer gets right."""
        return max(1 / max(2, self.classes), self.most / self.images)

    @property
    def per_class(self) -> float:
        """Images of a class, on average."""
        return self.images / self.classes


def noise_for(per_class: float, *, mirror: bool) -> Policy:
    """The policy for so many images of a class.

    >>> [type(noise).__name__ for noise in noise_for(10, mirror=False).noises]
    ['RandomResizedCrop', 'RandAugment']
    """
    share = math.log(max(FEW, min(per_class, MANY)) / FEW) / math.log(MANY / FEW)  # 0 with few, 1 with many
    area = SMALLEST + share * (LARGEST - SMALLEST)
    magnitude = round(STRONGEST * (1 - share))
    flips = (HorizontalFlip(),) if mirror else ()
    changes = (RandAugment(1, magnitude),) if magnitude else ()
    return Policy((RandomResizedCrop((round(area, 3), 1.0)), *flips, *changes), fill="mean")


def some_of_each(labels: NDArray[np.int64], count: int, seed: int) -> NDArray[np.int64]:
    """Indices, ascending, of `count` images of every class, or of all where it has fewer; another seed, others."""
    draw = np.random.default_rng(seed)
    chosen = [draw.permutation(own)[:count] for own in members_of(labels).values()]
    return np.sort(np.concatenate(chosen))
