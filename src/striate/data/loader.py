"""Batches of samples, in an order and with a noise that are functions of (seed, epoch, sample).

    samples ─ bases (made once, kept) ─ policy draws windows ─ one native pass ─▶ Batch, made ahead in threads

Neither the number of threads, nor how far they work ahead, nor the batch an epoch is resumed at changes a bit of any
batch. How it was designed, and what was measured: docs/design/loader.md.
"""

from collections.abc import Callable, Generator, Iterator
from time import perf_counter
from typing import Literal, Protocol, final

import numpy as np
import torch
from numpy.typing import NDArray

from striate.data.bases import KeptBases, default_budget, one_array
from striate.data.batches import Batch, BatchForm, FromArray, FromBases
from striate.data.buffers import Buffers
from striate.data.order import epoch_order
from striate.data.prefetch import Ahead, Job
from striate.data.preprocess import Preprocess, centre_windows
from striate.data.samples import Samples
from striate.errors import StriateError

__all__ = ["DrawsWindows", "Loader"]

INLINE_VALUES = 1 << 21  # floats a batch; see _ahead
PARTS = 8  # per worker and batch: enough to share out the first batch evenly, few enough to cost nothing


class DrawsWindows(Protocol):
    """What a loader asks of an augmentation; `striate.augment.Policy` is one."""

    @property
    def fill(self) -> int | Literal["mean"]:
        """The grey level outside an image, or "mean" for the training set's mean colour."""

    def windows(
        self, seed: int, epoch: int, samples: NDArray[np.int64], sizes: NDArray[np.int32], out: tuple[int, int]
    ) -> NDArray[np.int32]:
        """int32 [B, 3], rows of (top, left, flip)."""


@final
class Loader:
    """Batches of `samples`, preprocessed, epoch after epoch.

    - `policy` draws the windows; without one every image is seen through its centre window.
    - `shuffle`: each epoch in its own order; otherwise the samples' own.
    - `workers` threads make up to `prefetch` batches ahead; 0 makes each batch when it is asked for.
    - `drop_last` leaves out the samples that do not fill a batch; otherwise the last batch is smaller.
    - `channels_last`: the images' memory format; `pin_memory`: in page-locked memory, which a GPU copies from faster.
    - `cache_nbytes`: memory for resized images; None is min(2 GiB, a quarter of what is available).

    Raises StriateError when a setting is out of range; while iterating, with the file's name, when a file cannot be
    read.
    """

    def __init__(
        self,
        samples: Samples,
        preprocess: Preprocess,
        *,
        batch_size: int,
        policy: DrawsWindows | None = None,
        shuffle: bool = False,
        seed: int = 0,
        workers: int = 2,
        prefetch: int = 4,
        drop_last: bool = False,
        channels_last: bool = False,
        pin_memory: bool = False,
        cache_nbytes: int | None = None,
    ) -> None:
        _check("batch_size", batch_size, 1)
        _check("seed", seed, 0, 2**64 - 1)
        _check("workers", workers, 0)
        _check("prefetch", prefetch, 1)
        if cache_nbytes is not None:
            _check("cache_nbytes", cache_nbytes, 0)
        if pin_memory and not torch.cuda.is_available():
            raise StriateError("loader: pin_memory needs a CUDA device, and there is none; leave it out")
        self.samples = samples
        self.preprocess = preprocess
        self.batch_size = batch_size
        self.waited_seconds = 0.0  # how long `next` has kept its callers, over all epochs so far
        self._policy = policy
        self._shuffle = shuffle
        self._seed = seed
        self._workers = workers
        self._prefetch = prefetch
        self._drop_last = drop_last
        self._budget = default_budget() if cache_nbytes is None else cache_nbytes
        self._channels_last = channels_last
        self._pin_memory = pin_memory
        self._bases: NDArray[np.uint8] | KeptBases | None = None  # made by the first epoch

    def __len__(self) -> int:
        """Batches in an epoch."""
        if self._drop_last:
            return len(self.samples) // self.batch_size
        return -(-len(self.samples) // self.batch_size)

    def epoch(self, epoch: int, start: int = 0) -> Generator[Batch, None, None]:
        """The batches of an epoch from batch `start` on; what was before it costs nothing.

        Its threads end with it: after the last batch, at an error, when it is dropped, and when it is closed
        (`with contextlib.closing(loader.epoch(0)) as batches:` where an error elsewhere may keep it alive).

        Raises StriateError when `start` lies beyond the epoch's end.
        """
        _check("epoch", epoch, 0, 2**32 - 1)
        if not 0 <= start <= len(self):
            raise StriateError(f"loader: cannot start at batch {start} of an epoch of {len(self)} batches")
        return self._iterate(epoch, start)

    def _iterate(self, epoch: int, start: int) -> Generator[Batch, None, None]:
        begun = perf_counter()
        jobs = self._jobs(epoch, start)
        count = len(self) - start
        if count and self._ahead():
            made: Iterator[Batch] = Ahead(jobs, count, self._workers, self._prefetch)
        else:
            made = (jobs(k).run() for k in range(count))
        for _ in range(count):
            batch = next(made)
            self.waited_seconds += perf_counter() - begun
            yield batch
            del batch  # or it would live until the next one is there
            begun = perf_counter()

    def _ahead(self) -> bool:
        """Whether threads make the batches.

        Files always: decoding is most of the work. Cutting a batch from an array takes 10 µs to a few milliseconds,
        less than two threads lose to each other and to the training step when they share its cores and its GIL; below
        INLINE_VALUES floats a batch it is done when asked for (measured in docs/design/loader.md).
        """
        if self._workers == 0:
            return False
        if isinstance(self._bases, KeptBases):
            return True
        height, width = self.preprocess.size
        return self.batch_size * self.preprocess.channels * height * width > INLINE_VALUES

    def _jobs(self, epoch: int, start: int) -> Callable[[int], Job[Batch]]:
        """The k-th job makes batch start + k."""
        count = len(self.samples)
        order = epoch_order(count, self._seed, epoch) if self._shuffle else np.arange(count, dtype=np.int64)
        order = order[start * self.batch_size :]
        bases = self._made_bases()
        form = self._form()

        def indices(k: int) -> NDArray[np.int64]:
            return order[k * self.batch_size : (k + 1) * self.batch_size].copy()  # a kept batch keeps no whole order

        if isinstance(bases, KeptBases):
            chunk = max(1, self.batch_size // (PARTS * max(1, self._workers)))

            def draw(samples: NDArray[np.int64], sizes: NDArray[np.int32]) -> NDArray[np.int32]:
                return self._windows(epoch, samples, sizes)

            return lambda k: FromBases(form, bases, (i := indices(k)), self.samples.labels[i], draw, chunk)

        # All images have one size, so the epoch is drawn at once: under 100 ns an image, not 17 µs and more a batch.
        windows = self._windows(epoch, order, np.broadcast_to(np.array(bases.shape[1:3], np.int32), (len(order), 2)))

        def from_array(k: int) -> Job[Batch]:
            rows = slice(k * self.batch_size, (k + 1) * self.batch_size)
            return FromArray(form, bases, (i := indices(k)), windows[rows], self.samples.labels[i])

        return from_array

    def _windows(self, epoch: int, samples: NDArray[np.int64], sizes: NDArray[np.int32]) -> NDArray[np.int32]:
        if self._policy is not None:
            return self._policy.windows(self._seed, epoch, samples, sizes, self.preprocess.size)
        return centre_windows(sizes, self.preprocess.size)

    def _form(self) -> BatchForm:
        shape = (self.batch_size, self.preprocess.channels, *self.preprocess.size)
        buffers = Buffers(shape, channels_last=self._channels_last, pin_memory=self._pin_memory)
        return BatchForm(preprocess=self.preprocess, fill=_fill(self._policy, self.preprocess), buffers=buffers)

    def _made_bases(self) -> NDArray[np.uint8] | KeptBases:
        if self._bases is None:
            array = one_array(self.samples, self.preprocess, self._budget, self._workers)
            self._bases = KeptBases(self.samples, self.preprocess, self._budget) if array is None else array
        return self._bases


def _fill(policy: DrawsWindows | None, preprocess: Preprocess) -> NDArray[np.uint8]:
    """[C]: what stands outside an image."""
    if policy is None or policy.fill != "mean":
        return np.full(preprocess.channels, 0 if policy is None else policy.fill, np.uint8)
    return preprocess.mean_colour


def _check(name: str, value: int, least: int, most: int | None = None) -> None:
    if not isinstance(value, int | np.integer) or value < least or (most is not None and value > most):
        allowed = f"{least} or more" if most is None else f"{least} to {most}"
        raise StriateError(f"loader: {name} is {value!r}; give a whole number, {allowed}")
