"""A histogram of many numbers from a few of them."""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor

from striate.train.watch.length import flat

__all__ = ["BINS", "Histogram", "histogram", "spread"]

BINS = 24  # enough to tell one hump from two and to see a spike, few enough to stand in a line of the log
SAMPLE = 1 << 16  # values a histogram is made of: 65,536 place every bin's share within 0.4 % (two deviations)


@dataclass(frozen=True, kw_only=True)
class Histogram:
    """How often values fall in each of equally wide bins from `low` to `high`; what lies outside counts at the ends."""

    low: float
    high: float
    counts: tuple[int, ...]

    @property
    def shares(self) -> tuple[float, ...]:
        """Of all values, by bin."""
        total = max(1, sum(self.counts))
        return tuple(count / total for count in self.counts)

    def with_counts(self, more: Sequence[int]) -> "Histogram":
        """The same bins with these counts added."""
        counts = tuple(a + b for a, b in zip(self.counts, more, strict=True))
        return Histogram(low=self.low, high=self.high, counts=counts)


def histogram(values: Tensor, *, low: float | None = None, high: float | None = None) -> Histogram:
    """Of finite values, over their own range or the one given; a range of no width is widened by a hair.

    >>> histogram(torch.tensor([0.0, 0.0, 1.0])).counts[0], histogram(torch.tensor([0.0, 0.0, 1.0])).counts[-1]
    (2, 1)
    """
    few = values.float()
    if low is None or high is None:
        least, largest = few.aminmax() if few.numel() else (torch.zeros(()), torch.zeros(()))
        low, high = least.item(), largest.item()
    if not high > low:
        hair = max(1e-6, 1e-3 * abs(low))
        low, high = low - hair, high + hair
    counts = torch.histc(few.clamp(low, high), bins=BINS, min=low, max=high)
    return Histogram(low=low, high=high, counts=tuple(int(count) for count in counts.tolist()))


def spread(values: Tensor, most: int = SAMPLE) -> Tensor:
    """A view [n] of at most `most` of the values, evenly spread in memory: no copy where the tensor is dense.

    An odd stride, so that it does not beat with rows and channels, whose sizes are mostly even.
    """
    line = flat(values)
    stride = -(-line.numel() // most) | 1
    return line[::stride] if line.numel() > most else line
