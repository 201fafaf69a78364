"""What steps do to pixels: functions of images float32 [n, C, h, w] in bytes (0…255), on any device.

Each takes the images of its rows and the numbers [n, k] that were drawn for them, and gives new images; values are
clipped to 0…255 after every step.
"""

import math
from collections.abc import Callable, Mapping, Sequence
from typing import TypeAlias

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor

from striate import _native
from striate.augment.draw import normal
from striate.augment.scene import Step

__all__ = ["STEPS", "apply_steps"]

Function: TypeAlias = Callable[[Tensor, Tensor, Tensor], Tensor]  # images, numbers, mean [C] → images


def apply_steps(images: Tensor, steps: Sequence[Step], mean: Tensor) -> None:
    """Change `images` float32 [B, C, h, w], bytes, by the steps in order. `mean` [C] is what erased pixels become."""
    for step in steps:
        if step.kind == "erase" and images.device.type == "cpu":
            _erase_here(images, step, mean)
            continue
        rows = torch.from_numpy(step.rows).to(images.device)
        numbers = torch.from_numpy(step.numbers).to(images.device)
        images[rows] = STEPS[step.kind](images[rows], numbers, mean.to(images)).clamp_(0, 255)


def _column(numbers: Tensor, k: int = 0) -> Tensor:
    """[n, 1, 1, 1]: the k-th number of each image, in single precision."""
    return numbers[:, k].float()[:, None, None, None]


def _erase_here(images: Tensor, step: Step, mean: Tensor) -> None:
    """`_erase` without a pass over what stays: a store an image costs nothing on a CPU, and a launch each on a GPU."""
    pixels, colour = images.numpy(), mean.to(images).clamp(0, 255).numpy()[:, None, None]
    for row, (top, left, height, width) in zip(step.rows.tolist(), step.numbers.astype(np.int64).tolist(), strict=True):
        pixels[row, :, top : top + height, left : left + width] = colour


def _erase(images: Tensor, numbers: Tensor, mean: Tensor) -> Tensor:
    top, left, height, width = (_column(numbers, k) for k in range(4))
    y = torch.arange(images.shape[2], device=images.device)[None, None, :, None]
    x = torch.arange(images.shape[3], device=images.device)[None, None, None, :]
    inside = (y >= top) & (y < top + height) & (x >= left) & (x < left + width)
    return torch.where(inside, mean[None, :, None, None], images)


def _gamma(images: Tensor, numbers: Tensor, mean: Tensor) -> Tensor:
    return 255 * (images / 255) ** _column(numbers)


def _solarize(images: Tensor, numbers: Tensor, mean: Tensor) -> Tensor:
    return torch.where(images >= _column(numbers), 255 - images, images)


def _posterize(images: Tensor, numbers: Tensor, mean: Tensor) -> Tensor:
    level = 2.0 ** (8 - _column(numbers))
    return (images.round() / level).floor() * level


def _autocontrast(images: Tensor, numbers: Tensor, mean: Tensor) -> Tensor:
    low, high = images.amin((2, 3), keepdim=True), images.amax((2, 3), keepdim=True)
    span = high - low
    return torch.where(span > 0, (images - low) * (255 / span.clamp(min=1e-6)), images)


def _equalize(images: Tensor, numbers: Tensor, mean: Tensor) -> Tensor:
    """Pillow's ImageOps.equalize: step = (pixels − those of the last value present) // 255; value v becomes
    (step // 2 + pixels below v) // step."""
    count, channels, height, width = images.shape
    levels = images.round().long().reshape(count * channels, -1)
    histogram = torch.zeros((count * channels, 256), dtype=torch.long, device=images.device)
    histogram.scatter_add_(1, levels, torch.ones_like(levels))
    last = levels.amax(1, keepdim=True)
    step = (height * width - histogram.gather(1, last)) // 255
    below = histogram.cumsum(1) - histogram
    table = ((step // 2 + below) // step.clamp(min=1)).clamp(0, 255)
    table = torch.where(step > 0, table, torch.arange(256, device=images.device))
    return table.gather(1, levels).reshape(images.shape).to(images.dtype)


def _sharpness(images: Tensor, numbers: Tensor, mean: Tensor) -> Tensor:
    """Pillow's: away from (or towards) the image smoothed by [[1, 1, 1], [1, 5, 1], [1, 1, 1]] / 13, its rim kept."""
    if min(images.shape[2:]) < 3:
        return images
    kernel = torch.ones((1, 1, 3, 3), dtype=images.dtype, device=images.device)  # whatever torch's default is
    kernel[0, 0, 1, 1] = 5
    channels = images.shape[1]
    smooth = images.clone()
    smooth[:, :, 1:-1, 1:-1] = F.conv2d(images, (kernel / 13).expand(channels, 1, 3, 3), groups=channels)
    factor = _column(numbers)
    return smooth + factor * (images - smooth)


def _blur(images: Tensor, numbers: Tensor, mean: Tensor) -> Tensor:
    blurred = torch.empty_like(images)
    for row, sigma in enumerate(numbers[:, 0].tolist()):  # a kernel of each image's own length
        reach = math.ceil(3 * sigma)
        offsets = torch.arange(-reach, reach + 1, dtype=torch.float32, device=images.device)
        kernel = torch.exp(-0.5 * (offsets / sigma) ** 2)
        kernel = kernel / kernel.sum()
        image = images[row][:, None]  # [C, 1, h, w]
        image = F.conv2d(_mirrored(image, reach, 2), kernel[None, None, :, None])
        blurred[row] = F.conv2d(_mirrored(image, reach, 3), kernel[None, None, None, :])[:, 0]
    return blurred


def _mirrored(image: Tensor, reach: int, axis: int) -> Tensor:
    """`reach` pixels more at both ends of an axis, as a mirror shows them, however short the axis is."""
    length = image.shape[axis]
    index = torch.arange(-reach, length + reach, device=image.device) % (2 * length)
    return image.index_select(axis, torch.minimum(index, 2 * length - 1 - index))


def _grain(images: Tensor, numbers: Tensor, mean: Tensor) -> Tensor:
    values = images[0].numel()
    blocks = np.arange(-(-values // 4), dtype=np.int64)
    grain = []
    for low, high in numbers[:, 1:3].cpu().numpy().astype(np.int64).tolist():
        words = _native.philox(low | high << 32, 0, blocks, 0)  # a key of the image's own
        grain.append(normal(words).ravel()[:values].astype(np.float32).reshape(images.shape[1:]))
    return images + _column(numbers) * torch.from_numpy(np.stack(grain)).to(images.device)


STEPS: Mapping[str, Function] = {
    "autocontrast": _autocontrast,
    "blur": _blur,
    "equalize": _equalize,
    "erase": _erase,
    "gamma": _gamma,
    "grain": _grain,
    "posterize": _posterize,
    "sharpness": _sharpness,
    "solarize": _solarize,
}
