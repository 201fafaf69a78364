"""Where base images come from: all in one array, or one by one with those already made kept.

A base image (see `preprocess`) depends on its image alone, so it need be made only once. A set in memory becomes one
contiguous array, which a batch is cut from in a single native call; files are decoded when they are asked for, and
their bases kept until the budget is used up. Nothing is ever thrown out again: every image comes once an epoch, so
any kept image is as good as any other, and memory stays flat from the second epoch on.
"""

import threading
from concurrent.futures import ThreadPoolExecutor
from typing import final

import numpy as np
from numpy.typing import NDArray

from striate.data.memory import available_nbytes
from striate.data.preprocess import Preprocess
from striate.data.samples import ArraySamples, Samples
from striate.errors import StriateError

__all__ = ["KeptBases", "default_budget", "one_array"]

BUDGET_NBYTES = 2 << 30  # the default never takes more than 2 GiB …
BUDGET_SHARE = 4  # … nor more than a quarter of what is available: training's own memory comes on top
FILL_CHUNK = 256  # images a thread resizes at a time when an array is made


def default_budget() -> int:
    """Bytes a loader may keep base images in when nothing else is said: min(2 GiB, a quarter of what is available)."""
    return min(BUDGET_NBYTES, available_nbytes() // BUDGET_SHARE)


def one_array(samples: Samples, preprocess: Preprocess, budget: int, threads: int) -> NDArray[np.uint8] | None:
    """Every base in one contiguous uint8 [N, H, W, C]; None when the samples are files or it would exceed `budget`.

    Images that are their own bases are not copied, and so need no budget.
    """
    if not isinstance(samples, ArraySamples) or len(samples) == 0:
        return None
    count, height, width, channels = samples.images.shape
    first = preprocess.base(samples.pixels(0, preprocess.channels))
    if channels == preprocess.channels and first.shape == (height, width, channels):
        return samples.images
    if count * first.nbytes > budget:
        return None
    bases = np.empty((count, *first.shape), np.uint8)

    def fill(start: int) -> None:
        for i in range(start, min(start + FILL_CHUNK, count)):
            bases[i] = preprocess.base(samples.pixels(i, preprocess.channels))

    with ThreadPoolExecutor(max(1, threads), "striate-resize") as pool:
        list(pool.map(fill, range(0, count, FILL_CHUNK)))
    return bases


@final
class KeptBases:
    """Bases made when asked for, from any thread, and kept as long as `budget` bytes allow."""

    def __init__(self, samples: Samples, preprocess: Preprocess, budget: int) -> None:
        self._samples = samples
        self._preprocess = preprocess
        self._budget = budget
        self._kept: dict[int, NDArray[np.uint8]] = {}
        self._nbytes = 0
        self._lock = threading.Lock()

    @property
    def nbytes(self) -> int:
        """Bytes of the bases kept so far."""
        return self._nbytes

    def __getitem__(self, i: int) -> NDArray[np.uint8]:
        """Base image `i`. Raises StriateError with the name of a file that cannot be read."""
        kept = self._kept.get(i)
        if kept is not None:
            return kept
        base = self._make(i)
        with self._lock:
            if self._nbytes + base.nbytes <= self._budget and i not in self._kept:
                if isinstance(base.base, np.ndarray):
                    base = base.copy()  # a view would keep the whole image it looks into
                self._kept[i] = base
                self._nbytes += base.nbytes
        return base

    def _make(self, i: int) -> NDArray[np.uint8]:
        try:
            return self._preprocess.base(self._samples.pixels(i, self._preprocess.channels))
        except StriateError as error:
            if self._samples.name(i) in str(error):
                raise
            raise StriateError(f"{self._samples.name(i)}: {error}") from error
        except OSError as error:
            raise StriateError(f"cannot read {self._samples.name(i)}: {error.strerror or error}") from error
        except Exception as error:
            error.add_note(f"while reading {self._samples.name(i)}")  # a fault of ours: it keeps its traceback
            raise
