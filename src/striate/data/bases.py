"""Where base images come from: all in one array, or one by one with those already made kept.

A base image (see `preprocess`) depends on its image alone, so it need be made only once. A set in memory becomes one
contiguous array, which a batch is cut from in a single native call; files are decoded when they are asked for, and
their bases kept until the budget is used up.
"""

import contextlib
from collections.abc import Iterator
from concurrent.futures import ThreadPoolExecutor
from typing import final

import numpy as np
from numpy.typing import NDArray

from striate.data.decoding import decode
from striate.data.kept import Kept
from striate.data.memory import available_nbytes
from striate.data.preprocess import Preprocess
from striate.data.samples import ArraySamples, EncodedSamples, Samples
from striate.data.stages import Lap
from striate.errors import StriateError

__all__ = ["KeptBases", "default_budget", "naming", "one_array"]

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
        self._kept = Kept(budget)

    @property
    def nbytes(self) -> int:
        """Bytes of the bases kept so far."""
        return self._kept.nbytes

    def base(self, i: int, lap: Lap) -> NDArray[np.uint8]:
        """Base image `i`. Raises StriateError with the name of a file that cannot be read."""
        kept = self._kept.get(i)
        if kept is not None:
            return kept
        with naming(self._samples, i):
            pixels = self._pixels(i, lap)
            base = self._preprocess.base(pixels)
            lap("decode")
        if self._samples.held and np.may_share_memory(base, pixels):
            return base  # it lies in memory as it is
        return self._kept.keep(i, base)

    def _pixels(self, i: int, lap: Lap) -> NDArray[np.uint8]:
        if not isinstance(self._samples, EncodedSamples):
            pixels = self._samples.pixels(i, self._preprocess.channels)
            lap("read")
            return pixels
        data = self._samples.read(i)
        lap("read")
        return decode(data, self._preprocess.channels, self._samples.name(i))


@contextlib.contextmanager
def naming(samples: Samples, i: int) -> Iterator[None]:
    """Errors of reading sample `i` name it."""
    try:
        yield
    except StriateError as error:
        if samples.name(i) in str(error):
            raise
        raise StriateError(f"{samples.name(i)}: {error}") from error
    except OSError as error:
        raise StriateError(f"cannot read {samples.name(i)}: {error.strerror or error}") from error
    except Exception as error:
        error.add_note(f"while reading {samples.name(i)}")  # a fault of ours: it keeps its traceback
        raise
