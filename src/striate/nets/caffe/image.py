"""What Caffe does to an image before the first layer sees it: order of channels, mean, scale; and how it was cut.

    x = (bytes − mean) · scale

Images read by OpenCV, as nearly all of the Model Zoo's were, have their channels in the order blue, green, red. The
mean is one value per channel, or an image of which the middle is subtracted.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor, nn

from striate.errors import StriateError
from striate.nets.caffe.layer import Layer

__all__ = ["CaffeInput", "Mean", "Transform", "input_shape", "middle", "transform"]

Mean: TypeAlias = Literal["none", "channel", "image"]
LARGEST_SIDE = 1 << 16  # px


class CaffeInput(nn.Module):
    """Images RGB (or grey) in units of bytes, 0…255, to what the first layer takes. The mean is in Caffe's order."""

    mean: Tensor

    def __init__(self, channels: int, size: Sequence[int], *, bgr: bool, mean: Mean, scale: float) -> None:
        super().__init__()
        self.bgr, self.scale = bgr, scale
        shape = {"none": None, "channel": (channels, 1, 1), "image": (channels, *size)}[mean]
        if shape is not None:
            self.register_buffer("mean", torch.zeros(shape))
        self.subtracts = shape is not None

    def forward(self, x: Tensor) -> Tensor:
        if self.bgr:
            x = x.flip(1)
        if self.subtracts:
            x = x - self.mean
        return x * self.scale if self.scale != 1 else x

    def extra_repr(self) -> str:
        return f"{'BGR' if self.bgr else 'RGB or grey'}, scale {self.scale:g}"


@dataclass(frozen=True, kw_only=True)
class Transform:
    """What the data layer of a prototxt says of its images; 0, () and "" where it says nothing."""

    scale: float = 1.0
    mean_values: tuple[float, ...] = ()
    mean_file: str = ""
    crop_size: int = 0
    resize: tuple[int, int] | None = None  # (height, width) in px, before the crop


def transform(layer: Layer | None) -> Transform:
    """What `layer` does to its images; nothing for a net that declares its input without a data layer."""
    if layer is None:
        return Transform()
    settings = layer.settings("transform")
    kinds = {"Data": "data", "ImageData": "image_data", "WindowData": "window_data"}
    older = layer.settings(kinds[layer.type]) if layer.type in kinds else settings  # where it once was said
    images = layer.settings("image_data")
    resize = (images.new_height, images.new_width) if images.new_height and images.new_width else None
    return Transform(
        scale=settings.scale if settings.HasField("scale") else older.scale,
        mean_values=tuple(settings.mean_value),
        mean_file=settings.mean_file or older.mean_file,
        crop_size=settings.crop_size or older.crop_size,
        resize=resize,
    )


def input_shape(net: Any, layer: Layer | None, name: str, path: object) -> tuple[int, int, int] | None:
    """(channels, height, width) that the net says of its input blob; None when it says nothing (a database does).

    Raises StriateError for an input that is not a batch of images.
    """
    shape: list[int] = []
    if layer is None:
        which = list(net.input).index(name)
        if len(net.input_shape) > which:
            shape = list(net.input_shape[which].dim)
        elif len(net.input_dim) >= 4 * (which + 1):
            shape = list(net.input_dim[4 * which : 4 * which + 4])
    elif layer.type in ("Input", "DummyData"):
        settings, which = layer.settings("input" if layer.type == "Input" else "dummy_data"), layer.tops.index(name)
        if settings.shape:
            shape = list(_of(settings.shape, which).dim)
        elif layer.type == "DummyData" and settings.num:  # as it was said before there were shapes
            sides = (settings.num, settings.channels, settings.height, settings.width)
            shape = [_of(side, which) for side in sides if side]
    elif layer.type == "MemoryData":
        memory = layer.settings("memory_data")
        shape = [memory.batch_size, memory.channels, memory.height, memory.width]
    elif transform(layer).crop_size:
        said, crop = transform(layer), transform(layer).crop_size
        grey = layer.settings("transform").force_gray or len(said.mean_values) == 1
        shape = [1, 1 if grey else 3, crop, crop]
    if not shape:
        return None
    if len(shape) == 2:  # rows of values: maps of one pixel
        shape += [1, 1]
    if len(shape) != 4 or not all(0 < side <= LARGEST_SIDE for side in shape[1:]):
        raise StriateError(f"{path}: input {name!r} is {'×'.join(map(str, shape))}; a batch of images is N×C×H×W")
    return shape[1], shape[2], shape[3]


def _of(said: Sequence[Any], which: int) -> Any:
    """What is said of one of several blobs: its own, or the one that is said for all."""
    return said[min(which, len(said) - 1)]


def middle(mean: Tensor, size: tuple[int, int]) -> Tensor:
    """The middle h×w of a mean image [C, H, W], where Caffe's crop of an image in testing lies."""
    top, left = ((have - want) // 2 for have, want in zip(mean.shape[1:], size, strict=True))
    if min(top, left) < 0:
        raise StriateError(
            f"a mean of {mean.shape[1]}×{mean.shape[2]} px is smaller than images of {size[0]}×{size[1]}"
        )
    return mean[:, top : top + size[0], left : left + size[1]].contiguous()
