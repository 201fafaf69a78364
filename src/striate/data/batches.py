"""A batch, and the two ways to make one: out of one array, or image by image."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import NamedTuple, TypeAlias, final

import numpy as np
import torch
from numpy.typing import NDArray

from striate import _native
from striate.data.bases import KeptBases
from striate.data.buffers import Buffers
from striate.data.prefetch import Job
from striate.data.preprocess import Preprocess
from striate.data.stages import Lap, Stages

__all__ = ["Batch", "BatchForm", "FromArray", "FromBases"]

Draw: TypeAlias = Callable[[NDArray[np.int64], NDArray[np.int32]], NDArray[np.int32]]  # keys, sizes → windows

NOT_YET = np.empty((0, 0, 0), np.uint8)


class Batch(NamedTuple):
    """What a step trains on. Every batch has memory of its own: it may be kept, and changed."""

    images: torch.Tensor  # float32 [B, C, h, w]
    labels: torch.Tensor  # int64 [B]
    indices: torch.Tensor  # int64 [B]: positions in the samples


@final
@dataclass(frozen=True, kw_only=True)
class BatchForm:
    """What the batches of one epoch have in common."""

    preprocess: Preprocess
    fill: NDArray[np.uint8]  # [C]: what stands outside an image
    buffers: Buffers
    stages: Stages

    @property
    def values(self) -> int:
        """Floats an image."""
        return self.preprocess.channels * self.preprocess.size[0] * self.preprocess.size[1]


@final
class FromArray(Job[Batch]):
    """A batch cut from one array of bases [N, H, W, C] in a single native call."""

    parts = 1

    def __init__(
        self,
        form: BatchForm,
        bases: NDArray[np.uint8],
        indices: NDArray[np.int64],
        windows: NDArray[np.int32],
        labels: NDArray[np.int64],
    ) -> None:
        self._form = form
        self._bases = bases
        self._indices = indices
        self._windows = windows
        self._labels = labels

    def part(self, j: int) -> None:
        """Nothing to do before the one call."""

    def finish(self) -> Batch:
        form, lap = self._form, Lap()
        images = form.buffers.take(len(self._indices))
        _native.batch_from_array(
            self._bases,
            self._indices,
            self._windows,
            form.fill,
            form.preprocess.scale,
            form.preprocess.shift,
            images.numpy(),
            1,  # made inline it is too small to share out, and otherwise other threads are at other batches
        )
        lap("augment")
        form.stages.add(lap.seconds)
        return Batch(images, torch.from_numpy(self._labels), torch.from_numpy(self._indices))


@final
class FromBases(Job[Batch]):
    """A batch of images that are read one by one, `chunk` of them a part."""

    def __init__(
        self,
        form: BatchForm,
        bases: KeptBases,
        indices: NDArray[np.int64],
        keys: NDArray[np.int64],
        labels: NDArray[np.int64],
        draw: Draw,
        chunk: int,
    ) -> None:
        self.parts = -(-len(indices) // chunk)
        self._form = form
        self._bases = bases
        self._indices = indices
        self._keys = keys  # what the noise is drawn by
        self._labels = labels
        self._draw = draw
        self._chunk = chunk
        self._images = [NOT_YET] * len(indices)

    def part(self, j: int) -> None:
        lap = Lap()
        for row in range(j * self._chunk, min((j + 1) * self._chunk, len(self._images))):
            self._images[row] = self._bases.base(int(self._indices[row]), lap)
        self._form.stages.add(lap.seconds)

    def finish(self) -> Batch:
        form, lap = self._form, Lap()
        sizes = np.array([base.shape[:2] for base in self._images], np.int32)
        images = form.buffers.take(len(self._images))
        _native.batch_from_list(
            self._images,
            self._draw(self._keys, sizes),
            form.fill,
            form.preprocess.scale,
            form.preprocess.shift,
            images.numpy(),
            1,  # other batches are being made on the other threads
        )
        lap("augment")
        form.stages.add(lap.seconds)
        return Batch(images, torch.from_numpy(self._labels), torch.from_numpy(self._indices))
