"""Batches of samples, in an order and with a noise that are functions of (seed, epoch, sample).

    samples ─ bases (made once, kept) ─ policy draws windows ─ one native pass ─▶ Batch, made ahead in threads
    samples ─ sources ─ policy draws maps ─ one resampling, straight into ──────▶ Batch, where it is more than windows
    samples ─ on the device ─ policy draws either ─ gathers or resamples there ─▶ Batch, where they fit there

Neither the number of threads, nor how far they work ahead, nor the batch an epoch is resumed at changes a bit of any
batch. How it was designed, and what was measured: docs/design/loader.md.
"""

import contextlib
from collections.abc import Callable, Generator, Iterator
from time import perf_counter
from typing import Any, TypeAlias, cast, final

import numpy as np
import torch
from numpy.typing import NDArray

from striate.data.bases import KeptBases, default_budget, one_array
from striate.data.batches import Batch, BatchForm, FromArray, FromBases
from striate.data.buffers import Buffers
from striate.data.noise import DrawsMaps, DrawsWindows
from striate.data.prefetch import Ahead, Job
from striate.data.preprocess import Preprocess, centre_windows
from striate.data.resident import FromDevice, Resident, WarpedThere, fits, in_one_array
from striate.data.samples import ArraySamples, Samples
from striate.data.sampling import Sampling, check_sampling, drawn, noise_keys
from striate.data.stages import Stages
from striate.data.transfer import to_device
from striate.data.warped import Draw, FromSources, Sources
from striate.errors import StriateError, given
from striate.plain import check_whole, whole

__all__ = ["DrawsWindows", "Loader"]

INLINE_VALUES = 1 << 21  # floats a batch; see _ahead
PART_VALUES = 1 << 17  # floats: drawing for a part takes half a millisecond, however few images it has
PARTS = 8  # per worker and batch: enough to share out the first batch evenly, few enough to cost nothing

Origin: TypeAlias = NDArray[np.uint8] | KeptBases | Sources | Resident


@final
class Loader:
    """Batches of `samples`, preprocessed, epoch after epoch.

    - `policy` draws windows or maps; without one every image is seen through its centre window.
    - `shuffle`: each epoch in its own order; otherwise the samples' own.
    - `sampling`: "all" once, every class alike ("balanced"), or a weight for each sample (`striate.data.sampling`).
    - `rank` of `ranks` processes: a batch is this rank's share of the batch of `ranks` · `batch_size` that one process
      would have made; together they see every sample of the epoch once. With `drop_last` all have as many batches.
    - `workers` threads make up to `prefetch` batches ahead; 0 makes each batch when it is asked for.
    - `drop_last` leaves out the samples that do not fill a batch; otherwise the last batch is smaller.
    - `channels_last`: the images' memory format; `pin_memory`: in page-locked memory, which a GPU copies from faster.
    - `cache_nbytes`: memory for images that were read once; None is min(2 GiB, a quarter of what is available).
    - `device`: where the batches are wanted. A set in memory that fits there is kept there, and its batches are made
      there, by the same draws; all else is copied, on a GPU one batch ahead on a stream of its own. ("cpu" makes maps
      with torch, too, which is for comparing: without a device they are made many times as fast.)

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
        sampling: Sampling = "all",
        seed: int = 0,
        rank: int = 0,
        ranks: int = 1,
        workers: int = 2,
        prefetch: int = 4,
        drop_last: bool = False,
        channels_last: bool = False,
        pin_memory: bool = False,
        cache_nbytes: int | None = None,
        device: str | torch.device | None = None,
    ) -> None:
        self.batch_size = check_whole("loader: batch_size", batch_size, 1)
        self._seed = check_whole("loader: seed", seed, 0, 2**64 - 1)
        self._ranks = check_whole("loader: ranks", ranks, 1)
        self._rank = check_whole("loader: rank", rank, 0, self._ranks - 1)
        self._workers = check_whole("loader: workers", workers, 0)
        self._prefetch = check_whole("loader: prefetch", prefetch, 1)
        nbytes = default_budget() if cache_nbytes is None else cache_nbytes
        self._budget = check_whole("loader: cache_nbytes", nbytes, 0)
        if policy is not None and not callable(getattr(policy, "windows", None)):
            raise StriateError(f"loader: policy is {given(policy)}; give a striate.augment.Policy, or none")
        if pin_memory and not torch.cuda.is_available():
            raise StriateError("loader: pin_memory needs a CUDA device, and there is none; leave it out")
        self._law = check_sampling(sampling, samples.labels)
        if isinstance(sampling, str) and sampling == "all":
            self._sampled = False
        elif shuffle:
            self._sampled = True
        else:
            raise StriateError("loader: sampling other than 'all' is drawn at random; give shuffle=True as well")
        self.samples = samples
        self.preprocess = preprocess
        self.waited_seconds = 0.0  # how long `next` has kept its callers, over all epochs so far
        self.stages = Stages()  # where the threads' time went
        self._policy = policy
        self._shuffle = shuffle
        self._drop_last = drop_last
        self._channels_last = channels_last
        self._device = None if device is None else _device(device)
        self._pin_memory = pin_memory or (self._device is not None and self._device.type == "cuda")
        self._origin: Origin | None = None  # made by the first epoch

    def __getstate__(self) -> dict[str, Any]:
        """A process that this is sent to, and a copy, read the images themselves and count their own time."""
        return {**vars(self), "_origin": None, "stages": Stages(), "waited_seconds": 0.0}

    def __repr__(self) -> str:
        noise = "no noise" if self._policy is None else f"{self._policy!r}"
        return f"<Loader: {len(self):,} batches of {self.batch_size} from {self.samples!r}, {noise}>"

    def __len__(self) -> int:
        """Batches in an epoch, of this rank."""
        whole, tail = self._whole_batches()
        return whole + (len(tail) > 0 and not self._drop_last)

    @property
    def kept_nbytes(self) -> int:
        """Bytes of the images that were read once and kept."""
        return self._origin.nbytes if isinstance(self._origin, KeptBases | Sources) else 0

    @property
    def place(self) -> str:
        """Where batches for `device` are made, and why there: a line for a person."""
        device = "cpu" if self._device is None else str(self._device)
        origin = self._made_origin()
        if isinstance(origin, Resident):
            made = "noise is computed" if self._draws_maps else "windows are cut"
            return f"the images, {origin.images.nbytes / 1e6:,.0f} MB, stay on {device}, and {made} there"
        if self._device is None or device == "cpu":
            return "batches are made by the processor"
        if isinstance(self.samples, ArraySamples):
            return f"the images take more than a quarter of what {device} has free: batches are made here and copied"
        return f"the images lie in files: batches are made here, and copied to {device} one ahead"

    def images_in(self, batch: int) -> int:
        """Images in a batch of this rank, by its number in the epoch."""
        whole, tail = self._whole_batches()
        return self.batch_size if batch < whole else len(tail)

    def epoch(self, epoch: int, start: int = 0) -> Generator[Batch, None, None]:
        """The batches of an epoch from batch `start` on; what was before it costs nothing.

        Its threads end with it: after the last batch, at an error, when it is dropped, and when it is closed
        (`with contextlib.closing(loader.epoch(0)) as batches:` where an error elsewhere may keep it alive).

        Raises StriateError when `start` lies beyond the epoch's end.
        """
        epoch = check_whole("loader: epoch", epoch, 0, 2**32 - 1)
        begin = whole(start)
        if begin is None or not 0 <= begin <= len(self):
            raise StriateError(f"loader: cannot start at batch {given(start)} of an epoch of {len(self)} batches")
        return self._iterate(epoch, begin)

    def keys(self, epoch: int, start: int = 0) -> Iterator[torch.Tensor]:
        """For the batches of `epoch(epoch, start)`, int64 [B]: the numbers that the noise of their images is drawn by.

        They are the batch's `indices`, but where `sampling` has an image come again: then it has another number, and
        what else is drawn for it (as mixing) should go by that.
        """
        _, keys = self._order(epoch, start)
        return iter(torch.split(torch.from_numpy(keys), self.batch_size))

    def _iterate(self, epoch: int, start: int) -> Generator[Batch, None, None]:
        begun = perf_counter()
        jobs = self._jobs(epoch, start)
        count = len(self) - start
        made: Iterator[Batch]
        if count and self._ahead():
            made = Ahead(jobs, count, self._workers, self._prefetch)
        else:
            made = (jobs(k).run() for k in range(count))
        with contextlib.ExitStack() as stack:
            if isinstance(made, Ahead):
                stack.callback(made.close)
            if self._device is not None and not isinstance(self._origin, Resident):
                made = stack.enter_context(contextlib.closing(to_device(made, self._device, self.stages)))
            for _ in range(count):
                batch = next(made)
                if self.preprocess.whitening is not None:
                    batch = batch._replace(images=self.preprocess.finished(batch.images))
                self.waited_seconds += perf_counter() - begun
                yield batch
                del batch  # or it would live until the next one is there
                begun = perf_counter()

    def _ahead(self) -> bool:
        """Whether threads make the batches.

        Files always: decoding is most of the work. Cutting a batch from an array takes 10 µs to a few milliseconds,
        less than two threads lose to each other and to the training step when they share its cores and its GIL; below
        INLINE_VALUES floats a batch it is done when asked for (measured in docs/design/loader.md). Maps cost some four
        times as much, so from a fourth of that on. On a device, it is a handful of calls that wait for nothing.
        """
        if self._workers == 0 or isinstance(self._origin, Resident):
            return False
        maps = isinstance(self._origin, Sources)
        if isinstance(self._origin, KeptBases) or (isinstance(self._origin, Sources) and self._origin.array is None):
            return True
        height, width = self.preprocess.size
        return self.batch_size * self.preprocess.channels * height * width > INLINE_VALUES // (4 if maps else 1)

    def _jobs(self, epoch: int, start: int) -> Callable[[int], Job[Batch]]:
        """The k-th job makes batch start + k."""
        order, keys = self._order(epoch, start)
        labels, origin = self.samples.labels, self._made_origin()

        def rows(k: int) -> slice:
            return slice(k * self.batch_size, (k + 1) * self.batch_size)

        def indices(k: int) -> NDArray[np.int64]:
            return order[rows(k)].copy()  # a kept batch keeps no whole order

        chunk = max(1, self.batch_size // (PARTS * max(1, self._workers)))
        last = self._channels_last
        if isinstance(origin, Resident) and self._draws_maps:
            noise = self._maps(epoch)
            return lambda k: WarpedThere(
                origin, self.preprocess, noise, (i := indices(k)), keys[rows(k)], labels[i], channels_last=last
            )
        if isinstance(origin, Sources):
            form, noise = self._form(), self._maps(epoch)
            if origin.array is not None:  # nothing is read or decoded: a part is worth its call from some size on
                chunk = max(chunk, PART_VALUES // form.values) if self._ahead() else self.batch_size
            return lambda k: FromSources(form, origin, noise, (i := indices(k)), keys[rows(k)], labels[i], chunk)
        if isinstance(origin, KeptBases):
            form = self._form()

            def draw(samples: NDArray[np.int64], sizes: NDArray[np.int32]) -> NDArray[np.int32]:
                return self._windows(epoch, samples, sizes)

            return lambda k: FromBases(form, origin, (i := indices(k)), keys[rows(k)], labels[i], draw, chunk)

        # All images have one size, so the epoch is drawn at once: under 100 ns an image, not 17 µs and more a batch.
        size = (origin.images if isinstance(origin, Resident) else origin).shape[1:3]
        windows = self._windows(epoch, keys, np.broadcast_to(np.array(size, np.int32), (len(order), 2)))
        if isinstance(origin, Resident):
            fill = torch.from_numpy(self._fill()).to(origin.device)
            return lambda k: FromDevice(
                origin, fill, (i := indices(k)), windows[rows(k)], labels[i], channels_last=last
            )
        form = self._form()
        return lambda k: FromArray(form, origin, (i := indices(k)), windows[rows(k)], labels[i])

    def _order(self, epoch: int, start: int) -> tuple[NDArray[np.int64], NDArray[np.int64]]:
        """This rank's samples from its batch `start` on, and what their noise is drawn by."""
        labels = self.samples.labels
        order = np.arange(len(labels), dtype=np.int64)
        if self._shuffle:
            order = drawn(self._law, labels, self._seed, epoch)
        keys = noise_keys(order, len(labels)) if self._sampled else order
        whole, tail = self._whole_batches()
        shared = whole * self._ranks * self.batch_size
        own = np.arange(shared).reshape(whole, self._ranks, self.batch_size)[start:, self._rank].ravel()
        if self._ranks > 1 or start:
            places = np.concatenate([own, np.arange(tail.start, tail.stop)])
            order, keys = order[places], keys[places]
        return order, keys

    def _whole_batches(self) -> tuple[int, range]:
        """Full batches of each rank, and this rank's share of the places that are left: as equal as can be."""
        count, together = len(self.samples), self.batch_size * self._ranks
        whole, left = divmod(count, together)
        begin = whole * together
        return whole, range(begin + left * self._rank // self._ranks, begin + left * (self._rank + 1) // self._ranks)

    def _maps(self, epoch: int) -> Draw:
        policy = cast(DrawsMaps, self._policy)
        return Draw(policy=policy, seed=self._seed, epoch=epoch, fill=self._fill().astype(np.float32))

    def _windows(self, epoch: int, samples: NDArray[np.int64], sizes: NDArray[np.int32]) -> NDArray[np.int32]:
        if self._policy is not None:
            return self._policy.windows(self._seed, epoch, samples, sizes, self.preprocess.size)
        return centre_windows(sizes, self.preprocess.size)

    def _form(self) -> BatchForm:
        shape = (self.batch_size, self.preprocess.channels, *self.preprocess.size)
        buffers = Buffers(shape, channels_last=self._channels_last, pin_memory=self._pin_memory)
        return BatchForm(preprocess=self.preprocess, fill=self._fill(), buffers=buffers, stages=self.stages)

    def _made_origin(self) -> Origin:
        if self._origin is None:
            self._origin = self._make_origin()
        return self._origin

    def _make_origin(self) -> Origin:
        if self._draws_maps:
            array = None if self._device is None else in_one_array(self.samples, self.preprocess.channels)
            there = self._kept_there(array)
            return Sources(self.samples, self.preprocess.channels, self._budget) if there is None else there
        array = one_array(self.samples, self.preprocess, self._budget, self._workers)
        if array is None:
            return KeptBases(self.samples, self.preprocess, self._budget)
        there = self._kept_there(array)
        return array if there is None else there

    def _kept_there(self, array: NDArray[np.uint8] | None) -> Resident | None:
        """The images on the device, where there is one and they fit."""
        if array is None or self._device is None or not fits(array.nbytes, self._device, self._budget):
            return None
        return Resident(array, self.preprocess, self._device)

    @property
    def _draws_maps(self) -> bool:
        return not getattr(self._policy, "only_windows", True)

    def _fill(self) -> NDArray[np.uint8]:
        """[C]: what stands outside an image."""
        policy, channels = self._policy, self.preprocess.channels
        if policy is None or policy.fill != "mean":
            return np.full(channels, 0 if policy is None else policy.fill, np.uint8)
        return self.preprocess.mean_colour


def _device(name: str | torch.device) -> torch.device:
    try:
        return torch.device(name)
    except RuntimeError as error:
        raise StriateError(
            f"loader: device is {name!r}, which torch does not know; give cpu, cuda or cuda:1"
        ) from error
