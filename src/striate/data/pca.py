"""The principal components of a training set's colours, which `PCAColor` adds to images (Krizhevsky 2012, §4.1)."""

from concurrent.futures import ThreadPoolExecutor

import numpy as np
from numpy.typing import NDArray

from striate.data.samples import Samples
from striate.errors import StriateError

__all__ = ["fit_pca"]

CHUNK = 16  # images a thread sums at a time
BLOCK = 1 << 20  # pixels made float64 at a time: 24 MB


def fit_pca(
    samples: Samples, channels: int, *, limit: int | None = None, threads: int = 2
) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Eigenvalues [C], largest first, and eigenvectors (rows, [C, C]) of all pixels' covariance, in units of 0..1.

    One pass over every pixel of every image as decoded, so a large image counts for more than a small one. Sums of
    bytes and of their products are whole numbers and are added as such: the result does not depend on `threads`. An
    eigenvector's largest component is positive. `limit` looks at so many images, evenly spread, instead of all.

    Raises StriateError when there are no samples.
    """
    if len(samples) == 0:
        raise StriateError("fit_pca: no images to fit to; the training part is empty")
    count = len(samples) if limit is None else min(limit, len(samples))
    chosen = np.arange(count, dtype=np.int64) * len(samples) // count

    def sums(start: int) -> tuple[int, list[int], list[int]]:
        pixels, first, second = 0, [0] * channels, [0] * channels**2
        for i in chosen[start : start + CHUNK]:
            values = samples.pixels(int(i), channels).reshape(-1, channels)
            pixels += len(values)
            for begin in range(0, len(values), BLOCK):  # float64 holds such sums of products exactly
                block = values[begin : begin + BLOCK].astype(np.float64)
                first = _added(first, block.sum(0))
                second = _added(second, block.T @ block)
        return pixels, first, second

    n, total, products = 0, [0] * channels, [0] * channels**2
    with ThreadPoolExecutor(max(1, threads), "striate-pca") as pool:
        for pixels, first, second in pool.map(sums, range(0, count, CHUNK)):
            n += pixels
            total = _added(total, first)
            products = _added(products, second)
    # n² · covariance = n · Σxy − Σx Σy, whole numbers: nothing cancels before the one division
    scaled = [n * products[i * channels + j] - total[i] * total[j] for i in range(channels) for j in range(channels)]
    covariance = np.array([entry / n**2 for entry in scaled]).reshape(channels, channels) / 255**2
    values, vectors = np.linalg.eigh(covariance)  # columns, smallest first
    values, rows = values[::-1], vectors.T[::-1]
    largest = rows[np.arange(channels), np.abs(rows).argmax(1)]
    return np.maximum(values, 0.0), rows * np.sign(largest)[:, None]


def _added(total: list[int], more: NDArray[np.float64] | list[int]) -> list[int]:
    return [a + int(b) for a, b in zip(total, np.ravel(more), strict=True)]
