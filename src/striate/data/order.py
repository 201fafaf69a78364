"""The order of an epoch, a function of (seed, epoch) and of nothing else.

Every sample gets 64 random bits, Philox4x32-10 of (seed, epoch, sample) (Salmon 2011), and the samples are sorted by
them: a uniformly random permutation that no generator's state, batch size or number of threads can change. (Two equal
keys, once in 10⁷ epochs of a million images, stay in the order of the samples.)
"""

import numpy as np
from numpy.typing import NDArray

from striate import _native

__all__ = ["epoch_order"]

STREAM = 0  # Philox streams below 16 belong to the data room; the noises of `augment` count from 16


def epoch_order(count: int, seed: int, epoch: int) -> NDArray[np.int64]:
    """A permutation of 0..count-1."""
    words = _native.philox(seed, epoch, np.arange(count, dtype=np.int64), STREAM).astype(np.uint64)
    keys = words[:, 0] << np.uint64(32) | words[:, 1]
    return np.argsort(keys, kind="stable")
