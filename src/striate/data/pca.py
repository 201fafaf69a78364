"""The principal components of a training set's colours, which `PCAColor` adds to images (Krizhevsky 2012, §4.1)."""

from typing import TypeAlias, final

import numpy as np
from numpy.typing import NDArray

from striate.data.samples import Samples
from striate.data.sums import Sum, summed
from striate.errors import StriateError

__all__ = ["Components", "PixelSums", "components", "fit_pca"]

BLOCK = 1 << 20  # pixels made float64 at a time: 24 MB

Components: TypeAlias = tuple[NDArray[np.float64], NDArray[np.float64]]


def fit_pca(samples: Samples, channels: int, *, limit: int | None = None, threads: int = 2) -> Components:
    """Eigenvalues [C], largest first, and eigenvectors (rows, [C, C]) of all pixels' covariance, in units of 0..1.

    One pass over every pixel of every image as decoded, so a large image counts for more than a small one. Sums of
    bytes and of their products are whole numbers and are added as such: the result does not depend on `threads`. An
    eigenvector's largest component is positive. `limit` looks at so many images, evenly spread, instead of all.

    Raises StriateError when there are no samples.
    """
    _, (totals,) = summed(samples, channels, [lambda: PixelSums(channels)], limit=limit, threads=threads)
    return components(totals, channels)


def components(totals: list[int], channels: int) -> Components:
    """The components from the totals of `PixelSums`. Raises StriateError when there was no pixel."""
    n, total, products = totals[0], totals[1 : 1 + channels], totals[1 + channels :]
    if n == 0:
        raise StriateError("fit_pca: no images to fit to; the training part is empty")
    # n² · covariance = n · Σxy − Σx Σy, whole numbers: nothing cancels before the one division
    scaled = [n * products[i * channels + j] - total[i] * total[j] for i in range(channels) for j in range(channels)]
    covariance = np.array([entry / n**2 for entry in scaled]).reshape(channels, channels) / 255**2
    values, vectors = np.linalg.eigh(covariance)  # columns, smallest first
    values, rows = values[::-1], vectors.T[::-1]
    largest = rows[np.arange(channels), np.abs(rows).argmax(1)]
    return np.maximum(values, 0.0), rows * np.sign(largest)[:, None]


@final
class PixelSums(Sum):
    """How many pixels, Σx of each channel, Σxy of each two."""

    def __init__(self, channels: int) -> None:
        self._pixels = 0
        self._first, self._second = [0] * channels, [0] * channels**2

    def add(self, image: NDArray[np.uint8]) -> None:
        values = image.reshape(-1, image.shape[2])
        self._pixels += len(values)
        for begin in range(0, len(values), BLOCK):  # float64 holds such sums of products exactly
            block = values[begin : begin + BLOCK].astype(np.float64)
            self._first = _added(self._first, block.sum(0))
            self._second = _added(self._second, block.T @ block)

    def totals(self) -> list[int]:
        return [self._pixels, *self._first, *self._second]


def _added(total: list[int], more: NDArray[np.float64]) -> list[int]:
    return [a + int(b) for a, b in zip(total, np.ravel(more), strict=True)]
