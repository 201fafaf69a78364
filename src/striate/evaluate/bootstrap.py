"""How much of a difference between two ways of answering is the luck of which images were asked.

The same images are answered both ways, so what is resampled is the difference of each image (paired: most of the noise,
which images are hard, is in both and cancels). The interval is the percentiles of the resampled means (Efron and
Tibshirani 1993, §13.3).

An image is answered worse, alike or better: the difference of two errors is 1, 0 or −1. Drawing N images with
replacement is then drawing the three counts from a multinomial: the same law exactly, in 10,000 draws instead of
10,000 × N.
"""

import dataclasses

import numpy as np
from numpy.typing import NDArray

__all__ = ["Interval", "paired_interval"]

RESAMPLES = 10_000
LEVEL = 0.95


@dataclasses.dataclass(frozen=True, kw_only=True)
class Interval:
    """A difference of error rates (shares of 1) and where 95 of 100 resampled ones lie."""

    difference: float
    low: float
    high: float


def paired_interval(
    wrong: NDArray[np.bool_], than: NDArray[np.bool_], *, resamples: int = RESAMPLES, seed: int = 0
) -> Interval:
    """How much larger the error of `wrong` is than that of `than`, both [N], of the same images in the same order."""
    n = len(wrong)
    more, less = int((wrong & ~than).sum()), int((than & ~wrong).sum())
    counts = np.random.default_rng(seed).multinomial(n, [more / n, less / n, (n - more - less) / n], size=resamples)
    tail = (1 - LEVEL) / 2
    low, high = np.quantile(counts[:, 0] - counts[:, 1], [tail, 1 - tail]) / n
    return Interval(difference=(more - less) / n, low=float(low), high=float(high))
