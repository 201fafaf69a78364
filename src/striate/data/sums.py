"""Sums over a training part, of several kinds in one pass that decodes every image once.

All are whole numbers and are added as such, so no order, chunk or number of threads changes a bit of them.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable, Sequence
from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from striate.data.samples import Samples

__all__ = ["Sum", "summed"]

CHUNK = 16  # images a thread sums at a time: as windows, 19 MB of floats at 224×224×3


class Sum(ABC):
    """One kind of sum, over a chunk of images."""

    @abstractmethod
    def add(self, image: NDArray[np.uint8]) -> None:
        """Take in one decoded image [H, W, C]."""

    @abstractmethod
    def totals(self) -> list[int]:
        """The numbers, in an order of their own; asked for once, after the chunk's last image."""


def summed(
    samples: Samples, channels: int, kinds: Sequence[Callable[[], Sum]], *, limit: int | None = None, threads: int = 2
) -> tuple[int, list[list[int]]]:
    """How many images were looked at, and the totals of each kind.

    `limit` looks at so many images, evenly spread, instead of all.
    """
    count = len(samples) if limit is None else min(limit, len(samples))
    chosen = np.arange(count, dtype=np.int64) * len(samples) // max(1, count)

    def chunk(start: int) -> list[list[int]]:
        sums = [kind() for kind in kinds]
        for i in chosen[start : start + CHUNK]:
            image = samples.pixels(int(i), channels)
            for one in sums:
                one.add(image)
        return [one.totals() for one in sums]

    totals: list[list[int]] = [kind().totals() for kind in kinds]
    with ThreadPoolExecutor(max(1, threads), "striate-sums") as pool:
        for part in pool.map(chunk, range(0, count, CHUNK)):
            totals = [[a + b for a, b in zip(one, more, strict=True)] for one, more in zip(totals, part, strict=True)]
    return count, totals
