"""A batch whose images go through one map each, from the decoded source straight into the batch's memory.

    read ─ head ─ draws of the part's rows ─ decode, in full or at a fraction ─ one resampling ─ steps ─ normalise

Every part of a batch does all of that for its own rows, so the parts run on any threads, and decoded images live no
longer than their part, but for those that the budget keeps.
"""

from dataclasses import dataclass
from typing import final

import numpy as np
import torch
from numpy.typing import NDArray

from striate import _native
from striate.data.bases import naming
from striate.data.batches import Batch, BatchForm
from striate.data.decoding import JpegHead, decode, decode_at, jpeg_head
from striate.data.kept import Kept
from striate.data.noise import DrawsMaps, Map
from striate.data.prefetch import Job
from striate.data.preprocess import Preprocess
from striate.data.samples import ArraySamples, EncodedSamples, Samples
from striate.data.stages import Lap

__all__ = ["Draw", "FromSources", "Sources"]


@final
class Sources:
    """The images of a set as their files hold them; those decoded in full are kept as far as `budget` bytes go."""

    def __init__(self, samples: Samples, channels: int, budget: int) -> None:
        self.samples = samples
        self.channels = channels
        self._kept = Kept(budget)

    @property
    def nbytes(self) -> int:
        """Bytes of the images kept so far."""
        return self._kept.nbytes

    @property
    def array(self) -> NDArray[np.uint8] | None:
        """All images [N, H, W, C] where they lie in memory as the batch wants them."""
        samples = self.samples
        return samples.images if isinstance(samples, ArraySamples) and samples.channels == self.channels else None

    def opened(self, i: int, lap: Lap) -> "_Source":
        """Sample `i`, of which the size is known; decoded only where that is the only way to know it."""
        kept = self._kept.get(i)
        if kept is not None:
            return _Source(i, kept.shape[0], kept.shape[1], pixels=kept)
        samples = self.samples
        if not isinstance(samples, EncodedSamples):
            pixels = samples.pixels(i, self.channels)
            lap("read")
            return _Source(i, pixels.shape[0], pixels.shape[1], pixels=pixels)
        data = samples.read(i)
        lap("read")
        head = jpeg_head(data, samples.name(i))
        if head is not None:
            return _Source(i, head.height, head.width, data=data, head=head)
        pixels = self._kept.keep(i, decode(data, self.channels, samples.name(i)))
        lap("decode")
        return _Source(i, pixels.shape[0], pixels.shape[1], pixels=pixels)

    def pixels(self, source: "_Source", factor: int, lap: Lap) -> tuple[NDArray[np.uint8], int]:
        """The picture and the fraction it was decoded at: 1/`factor`, or a greater one where the file demands it.

        What is kept does not matter: a file that is decoded at a fraction is so in every epoch that draws the same.
        """
        samples, i = self.samples, source.i
        if factor > 1 and isinstance(samples, EncodedSamples):
            data = source.data if source.data is not None else samples.read(i)
            lap("read")
            head = source.head or jpeg_head(data, samples.name(i))
            if head is not None and (factor := head.factor(factor)) > 1:
                small = decode_at(data, head, factor, self.channels, samples.name(i))
                if small is not None:
                    lap("decode")
                    return small, factor
        pixels = source.pixels
        if pixels is None:
            assert source.data is not None
            pixels = self._kept.keep(i, decode(source.data, self.channels, samples.name(i)))
            lap("decode")
        return pixels, 1


@dataclass(frozen=True, eq=False)
class _Source:
    """An image whose size is known: its pixels, or its bytes and what their head says."""

    i: int
    height: int
    width: int
    pixels: NDArray[np.uint8] | None = None
    data: bytes | None = None
    head: JpegHead | None = None


@dataclass(frozen=True, kw_only=True)
class Draw:
    """A policy in one epoch."""

    policy: DrawsMaps
    seed: int
    epoch: int
    fill: NDArray[np.float32]  # [C], bytes

    def maps(self, preprocess: Preprocess, keys: NDArray[np.int64], sizes: NDArray[np.int32]) -> Map:
        """What is drawn for samples by their `keys` [B], of images of `sizes` [B, 2]."""
        out, frames = preprocess.size, preprocess.frames(sizes)
        drawn: Map = self.policy.draws(self.seed, self.epoch, keys, sizes, out, frames, channels=preprocess.channels)
        return drawn


@final
class FromSources(Job[Batch]):
    """A batch of maps, `chunk` images a part."""

    def __init__(
        self,
        form: BatchForm,
        sources: Sources,
        draw: Draw,
        indices: NDArray[np.int64],
        keys: NDArray[np.int64],
        labels: NDArray[np.int64],
        chunk: int,
    ) -> None:
        self.parts = -(-len(indices) // chunk)
        self._form = form
        self._sources = sources
        self._draw = draw
        self._indices = indices
        self._keys = keys  # what the noise is drawn by
        self._labels = labels
        self._chunk = chunk
        self._images = form.buffers.take(len(indices))

    def part(self, j: int) -> None:
        rows = slice(j * self._chunk, min((j + 1) * self._chunk, len(self._indices)))
        lap = Lap()
        array = self._sources.array
        if array is not None:
            drawn = self._drawn(rows, np.full((len(self._indices[rows]), 2), array.shape[1:3], np.int32))
            if not self._cut(array, rows, drawn):
                images = [array[i] for i in self._indices[rows].tolist()]
                self._resample(images, drawn.geometry, drawn, self._images[rows])
        else:
            self._read_and_resample(rows, lap)
        lap("augment")
        self._form.stages.add(lap.seconds)

    def finish(self) -> Batch:
        images = self._images
        del self._images  # or a job that waits for its turn to be forgotten would hold the batch's memory
        return Batch(images, torch.from_numpy(self._labels), torch.from_numpy(self._indices))

    def _read_and_resample(self, rows: slice, lap: Lap) -> None:
        sources = [self._opened(i, lap) for i in self._indices[rows].tolist()]
        drawn = self._drawn(rows, np.array([(source.height, source.width) for source in sources], np.int32))
        geometry = np.array(drawn.geometry, np.float64)
        factors = np.ones(len(sources), np.int64)
        if isinstance(self._sources.samples, EncodedSamples) and self._draw.policy.antialias:
            factors = drawn.reductions(self._form.preprocess.size)
        lap("augment")
        images = []
        for b, (source, most) in enumerate(zip(sources, factors.tolist(), strict=True)):
            with naming(self._sources.samples, source.i):
                pixels, factor = self._sources.pixels(source, most, lap)
            images.append(pixels)
            if factor > 1:
                geometry[b] = reduced_map(geometry[b], factor)
        self._resample(images, geometry, drawn, self._images[rows])

    def _cut(self, array: NDArray[np.uint8], rows: slice, drawn: Map) -> bool:
        """Whether the maps were windows of whole pixels, and were cut as such; only where steps may follow.

        The bytes that steps work on are then the resampling's to the bit, and cheaper. (What is normalised at once
        differs in the last bit: one routine rounds the product, the other does not.)
        """
        if (
            not self._draw.policy.stepping
            or drawn.lens is not None
            or drawn.colour is not None
            or self._draw.policy.border != "constant"
        ):
            return False
        windows = whole_windows(drawn.geometry, self._form.preprocess.size[1])
        if windows is None:
            return False
        out, channels = self._images[rows], self._form.preprocess.channels
        one, zero = np.ones(channels, np.float32), np.zeros(channels, np.float32)
        fill = self._form.fill
        _native.batch_from_array(array, self._indices[rows], windows, fill, one, zero, out.numpy(), 1)
        self._stepped(out, drawn)
        return True

    def _drawn(self, rows: slice, sizes: NDArray[np.int32]) -> Map:
        return self._draw.maps(self._form.preprocess, self._keys[rows], sizes)

    def _opened(self, i: int, lap: Lap) -> _Source:
        with naming(self._sources.samples, i):
            return self._sources.opened(i, lap)

    def _resample(
        self, images: list[NDArray[np.uint8]], geometry: NDArray[np.float64], drawn: Map, out: torch.Tensor
    ) -> None:
        """Into `out` float32 [n, C, h, w], which is part of the batch."""
        preprocess, policy = self._form.preprocess, self._draw.policy
        scale, shift = preprocess.scale, preprocess.shift
        if policy.stepping:  # steps work on bytes; whether any was drawn is a matter of which rows are made together
            scale, shift = np.ones_like(scale), np.zeros_like(shift)
        _native.warp(
            images,
            geometry,
            drawn.lens,
            drawn.colour,
            scale,
            shift,
            self._draw.fill,
            out.numpy(),
            1,  # other parts are on the other threads
            filter=policy.filter,
            antialias=policy.antialias,
            border=policy.border,
        )
        if policy.stepping:
            self._stepped(out, drawn)

    def _stepped(self, out: torch.Tensor, drawn: Map) -> None:
        """Steps and normalisation of bytes, in place."""
        preprocess = self._form.preprocess
        self._draw.policy.apply_steps(out, drawn)
        out.mul_(torch.from_numpy(preprocess.scale)[:, None, None])
        out.add_(torch.from_numpy(preprocess.shift)[:, None, None])


def reduced_map(geometry: NDArray[np.float64], factor: int) -> NDArray[np.float64]:
    """`geometry` [3, 3] into a source of which each pixel covers factor × factor of the old one's."""
    return np.diag([1 / factor, 1 / factor, 1.0]) @ geometry


def whole_windows(geometry: NDArray[np.float64], width: int) -> NDArray[np.int32] | None:
    """int32 [B, 3], rows of (top, left, flip), where every map [B, 3, 3] is a window of whole pixels, mirrored or not.

    >>> whole_windows(np.array([[[-1, 0, 9], [0, 1, -2], [0, 0, 1.0]]]), width=8)   # x from 9 − x: columns 8 … 1
    array([[-2,  1,  1]], dtype=int32)
    >>> whole_windows(np.eye(3)[None] * [1.5, 1, 1], width=8) is None
    True
    """
    mirrored = geometry[:, 0, 0] < 0
    top, left = geometry[:, 1, 2], geometry[:, 0, 2] - np.where(mirrored, width, 0)
    plain = np.zeros_like(geometry)
    plain[:, 0, 0] = np.where(mirrored, -1, 1)
    plain[:, 1, 1] = plain[:, 2, 2] = 1
    plain[:, :2, 2] = np.rint(geometry[:, :2, 2])
    if not np.array_equal(plain, geometry):
        return None
    return np.stack([top, left, mirrored], axis=1).astype(np.int32)
