"""Images that stay on the device, and batches that are made of them there.

A set in memory that fits is copied once, as bytes. Where the noise is windows, a batch is then a gather and an affine
map on the device, and some hundred bytes of windows are all that is sent. Rounded after the product and after the sum,
as in `_native.batch_from_array`: the same bits. Where it is maps, what is sent are the draws, some kilobytes, and the
policy resamples there: the native resampling's values to a grey level (what is discrete, as posterised levels, may fall
on the other side where a value lies on an edge).
"""

from typing import final

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

from striate.data.batches import Batch
from striate.data.prefetch import Job
from striate.data.preprocess import Preprocess
from striate.data.samples import ArraySamples, Samples
from striate.data.warped import Draw

__all__ = ["FromDevice", "Resident", "WarpedThere", "fits", "in_one_array"]

DEVICE_SHARE = 4  # of what is free on a GPU: the net, its gradients and its activations come on top


def fits(nbytes: int, device: torch.device, budget: int) -> bool:
    """Whether so much may be kept on the device: a quarter of what a GPU has free; elsewhere `budget`."""
    if device.type != "cuda":
        return nbytes <= budget
    free, _ = torch.cuda.mem_get_info(device)
    return nbytes <= free // DEVICE_SHARE


@final
class Resident:
    """Images uint8 [N, H, W, C] on a device, bases or as they are, with what turns them into floats."""

    def __init__(self, images: NDArray[np.uint8], preprocess: Preprocess, device: torch.device) -> None:
        self.images = torch.tensor(images).to(device)  # a copy: the array may be read-only, or change
        self.size = preprocess.size
        self.device = device
        self.scale = torch.from_numpy(preprocess.scale).to(device)  # [C]
        self.shift = torch.from_numpy(preprocess.shift).to(device)

    def cut(self, indices: Tensor, windows: Tensor, fill: Tensor, *, channels_last: bool) -> Tensor:
        """float32 [B, C, h, w]: window b, (top, left, flip), of image indices[b], times scale plus shift."""
        (h, w), (height, width) = self.size, self.images.shape[1:3]
        top, left, flip = windows.long().unbind(1)
        rows = top[:, None] + torch.arange(h, device=self.device)  # [B, h]
        across = torch.arange(w, device=self.device)
        columns = left[:, None] + torch.where(flip[:, None] != 0, w - 1 - across, across)  # [B, w]
        inside = ((rows >= 0) & (rows < height))[:, :, None] & ((columns >= 0) & (columns < width))[:, None, :]
        rows, columns = rows.clamp(0, height - 1), columns.clamp(0, width - 1)
        pixels = self.images[indices[:, None, None], rows[:, :, None], columns[:, None, :]]  # [B, h, w, C]
        pixels = torch.where(inside[..., None], pixels, fill)
        images = pixels.permute(0, 3, 1, 2).float()  # [B, C, h, w], channels last in memory
        images = images.mul_(self.scale[:, None, None]).add_(self.shift[:, None, None])
        return _laid_out(images, channels_last)


@final
class FromDevice(Job[Batch]):
    """A batch cut on the device. All of it is asked for at once and nothing waited for."""

    parts = 1

    def __init__(
        self,
        resident: Resident,
        fill: Tensor,
        indices: NDArray[np.int64],
        windows: NDArray[np.int32],
        labels: NDArray[np.int64],
        *,
        channels_last: bool,
    ) -> None:
        self._resident = resident
        self._fill = fill
        self._indices = indices
        self._windows = windows
        self._labels = labels
        self._channels_last = channels_last

    def part(self, j: int) -> None:
        """Nothing to do before the one call."""

    def finish(self) -> Batch:
        device = self._resident.device
        indices, labels = torch.from_numpy(self._indices), torch.from_numpy(self._labels).to(device)
        at, windows = indices.to(device), torch.from_numpy(self._windows).to(device)
        images = self._resident.cut(at, windows, self._fill, channels_last=self._channels_last)
        return Batch(images, labels, at)


@final
class WarpedThere(Job[Batch]):
    """A batch of maps, drawn here and resampled on the device."""

    parts = 1

    def __init__(
        self,
        resident: Resident,
        preprocess: Preprocess,
        draw: Draw,
        indices: NDArray[np.int64],
        keys: NDArray[np.int64],
        labels: NDArray[np.int64],
        *,
        channels_last: bool,
    ) -> None:
        self._resident = resident
        self._preprocess = preprocess
        self._draw = draw
        self._indices = indices
        self._keys = keys  # what the noise is drawn by
        self._labels = labels
        self._channels_last = channels_last

    def part(self, j: int) -> None:
        """Nothing to do before the one call."""

    def finish(self) -> Batch:
        resident = self._resident
        sizes = np.full((len(self._indices), 2), resident.images.shape[1:3], np.int32)
        drawn = self._draw.maps(self._preprocess, self._keys, sizes)
        at, labels = (torch.from_numpy(values).to(resident.device) for values in (self._indices, self._labels))
        fill = torch.from_numpy(self._draw.fill).to(resident.device)
        images = self._draw.policy.warp(resident.images, at, drawn, resident.scale, resident.shift, fill, resident.size)
        return Batch(_laid_out(images, self._channels_last), labels, at)


def in_one_array(samples: Samples, channels: int) -> NDArray[np.uint8] | None:
    """The images of a set in memory, as they are, uint8 [N, H, W, channels]; None of any other set."""
    if not isinstance(samples, ArraySamples) or len(samples) == 0:
        return None
    if samples.channels == channels:
        return samples.images
    return np.stack([samples.pixels(i, channels) for i in range(len(samples))])


def _laid_out(images: Tensor, channels_last: bool) -> Tensor:
    return images.contiguous(memory_format=torch.channels_last if channels_last else torch.contiguous_format)
