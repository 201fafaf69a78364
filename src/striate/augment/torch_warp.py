"""The one resampling on any device that torch knows: the formulas of docs/design/augment.md, as tensors.

`striate._native.warp` is the same function for the CPU, and many times as fast there. Here a batch of sources of any
sizes lies end to end in one buffer, and every tap of the filter is one gather from it. On a GPU with Triton it is one
kernel (`triton_warp`).
"""

import os
from collections.abc import Sequence
from importlib.util import find_spec
from typing import NamedTuple

import numpy as np
import torch
from torch import Tensor

from striate.augment import radial
from striate.augment.policy import Border, Filter
from striate.augment.scene import Draws
from striate.errors import StriateError

__all__ = ["warp"]

RUN = 16  # output pixels of a row that share one scale of the filter
REACH = {"nearest": 0.5, "bilinear": 1.0, "bicubic": 2.0}


def warp(
    images: Sequence[Tensor] | Tensor,
    draws: Draws,
    scale: Tensor,
    shift: Tensor,
    fill: Tensor,
    out: tuple[int, int],
    *,
    filter: Filter = "bilinear",
    antialias: bool = True,
    border: Border = "constant",
    rows: Tensor | None = None,
) -> Tensor:
    """float32 [B, C, h, w] on the images' device, as `_native.warp` computes it: within a grey level · scale of it.

    `images` are uint8 [Hi, Wi, C], or one [N, H, W, C] of which `rows` int64 [B] are meant (all, when not given);
    scale, shift, fill float32 [C]. With steps among the draws, give scale 1 and shift 0 and normalise after
    `Policy.apply_steps`.

    Raises StriateError when a map sends part of the output to infinity.
    """
    _check_horizon(draws, out)
    sources = _Sources.of(images, rows)
    device, count, channels = sources.pixels.device, len(draws.geometry), sources.pixels.shape[1]
    scale, shift, fill = scale.to(device), shift.to(device), fill.to(device)
    geometry = torch.from_numpy(draws.geometry).to(device)
    lens = torch.zeros((count, 2), dtype=torch.float64, device=device)
    if draws.lens is not None:
        lens = torch.from_numpy(draws.lens).to(device)
    colour = None if draws.colour is None else torch.from_numpy(draws.colour).to(device)
    if (device.type == "cuda" or os.environ.get("TRITON_INTERPRET") == "1") and find_spec("triton") is not None:
        from striate.augment.triton_warp import resample

        shape = (count, channels, *out)
        result = torch.empty(shape, dtype=torch.float32, device=device, memory_format=torch.channels_last)
        resample(
            *sources, geometry, lens, colour, scale, shift, fill, result,
            filter=filter, antialias=antialias, border=border,
        )  # fmt: skip
        return result
    places = _places(geometry, lens, out)
    values = _sampled(sources, places, fill, filter, antialias, border)
    if colour is not None:
        values = torch.einsum("bhwc,bkc->bhwk", values, colour[:, :, :channels]) + colour[:, None, None, :, channels]
    return (values.clamp(0, 255) * scale + shift).permute(0, 3, 1, 2)  # [B, C, h, w], channels last in memory


class _Sources(NamedTuple):
    """Images end to end: `pixels` uint8 [Σ Hi·Wi, C]; where each begins, its height and width, int64 [B]."""

    pixels: Tensor
    begin: Tensor
    heights: Tensor
    widths: Tensor

    @classmethod
    def of(cls, images: Sequence[Tensor] | Tensor, rows: Tensor | None) -> "_Sources":
        if isinstance(images, Tensor):
            count, height, width, channels = images.shape
            rows = torch.arange(count, device=images.device) if rows is None else rows.to(images.device)
            heights, widths = (torch.full_like(rows, side) for side in (height, width))
            return cls(images.reshape(-1, channels), rows * (height * width), heights, widths)
        channels = images[0].shape[2]
        whole = torch.cat([image.reshape(-1, channels) for image in images])
        sizes = torch.tensor([image.shape[:2] for image in images], device=whole.device)
        heights, widths = sizes.T.contiguous()  # rows of their own: a kernel reads them one after another
        areas = heights * widths
        return cls(whole, areas.cumsum(0) - areas, heights, widths)


def _check_horizon(draws: Draws, out: tuple[int, int]) -> None:
    """The third coordinate is 0 nowhere in the output: it has one sign along its rim, which the lens bends."""
    height, width = out
    along = np.linspace(0, 1, 33)
    x = np.concatenate([along, along, 0 * along, 1 + 0 * along]) * width - width / 2
    y = np.concatenate([0 * along, 1 + 0 * along, along, along]) * height - height / 2
    u = (x * x + y * y) * radial.per_square(height, width)
    k1, k2 = np.zeros((2, len(draws.geometry), 1)) if draws.lens is None else draws.lens.T[..., None]
    f = radial.factor(u, k1, k2)
    g = draws.geometry[:, 2, :, None]
    third = g[:, 0] * (width / 2 + f * x) + g[:, 1] * (height / 2 + f * y) + g[:, 2]
    wrong = np.flatnonzero(~((third > 0).all(1) | (third < 0).all(1)))
    if len(wrong):
        raise StriateError(f"warp: map {wrong[0]} sends part of the output to infinity; draw milder perspectives")


def _sampled(
    sources: _Sources, places: "_Places", fill: Tensor, filter: Filter, antialias: bool, border: Border
) -> Tensor:
    """float32 [B, h, w, C], bytes: the filtered source, and the border where there is none."""
    pixels, begin, heights, widths = sources
    x, y = (_onto(places.x, widths, border), _onto(places.y, heights, border))
    sx, sy = (places.sx, places.sy) if antialias and filter != "nearest" else (torch.ones_like(x), torch.ones_like(y))
    columns, rows = _taps(x, sx, widths, filter), _taps(y, sy, heights, filter)
    values = torch.zeros((*x.shape, pixels.shape[1]), dtype=torch.float32, device=pixels.device)
    for row, down in zip(*rows, strict=True):
        for column, across in zip(*columns, strict=True):
            at = begin[:, None, None] + row * widths[:, None, None] + column
            values += (down * across)[..., None] * pixels[at]
    if border != "constant":
        return values
    inside = (places.x >= 0) & (places.x <= widths[:, None, None])
    inside &= (places.y >= 0) & (places.y <= heights[:, None, None])
    return torch.where(inside[..., None], values, fill)


class _Places(NamedTuple):
    """Where output pixels come from, and how far the filter reaches there: float64 and float32 [B, h, w]."""

    x: Tensor
    y: Tensor
    sx: Tensor
    sy: Tensor


def _places(g: Tensor, k: Tensor, out: tuple[int, int]) -> _Places:
    height, width = out
    column = torch.arange(width, dtype=torch.float64, device=g.device) + 0.5
    begin = torch.arange(0, width, RUN, dtype=torch.float64, device=g.device)
    middle = (begin + (begin + RUN).clamp(max=width)) / 2
    row = torch.arange(height, dtype=torch.float64, device=g.device)[:, None] + 0.5
    x, y = _mapped(g, k, column.expand(height, width), row.expand(height, width), out)[:2]
    runs = _mapped(g, k, middle.expand(height, len(middle)), row.expand(height, len(middle)), out)
    sx, sy = (scale.clamp(min=1).repeat_interleave(RUN, 2)[:, :, :width].float() for scale in (runs[2], runs[3]))
    return _Places(x, y, sx, sy)


def _mapped(
    g: Tensor, k: Tensor, ox: Tensor, oy: Tensor, out: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Source positions of output positions [h, n], and √(a² + b²), √(c² + d²) of the map's derivative there."""
    height, width = out
    per_square = radial.per_square(height, width)
    dx, dy = ox - width / 2, oy - height / 2
    u = (dx * dx + dy * dy) * per_square
    k1, k2 = k[:, 0, None, None], k[:, 1, None, None]
    f, df = radial.factor(u, k1, k2), radial.slope(u, k1, k2, per_square)
    lx, ly = width / 2 + f * dx, height / 2 + f * dy
    (g00, g01, g02), (g10, g11, g12), (g20, g21, g22) = ([g[:, i, j, None, None] for j in range(3)] for i in range(3))
    w = g20 * lx + g21 * ly + g22
    x, y = (g00 * lx + g01 * ly + g02) / w, (g10 * lx + g11 * ly + g12) / w
    derivatives = []
    for across, down, at in ((g00, g01, x), (g10, g11, y)):
        px, py = (across - at * g20) / w, (down - at * g21) / w  # by the bent position
        along = df * (px * dx + py * dy)
        derivatives.append(torch.hypot(f * px + along * dx, f * py + along * dy))
    return x, y, derivatives[0], derivatives[1]


def _onto(position: Tensor, sizes: Tensor, border: Border) -> Tensor:
    """Positions in [0, size]: those beyond the image clamped or folded back."""
    size = sizes[:, None, None].to(position)
    if border == "reflect":
        position = torch.remainder(position, 2 * size)
        return torch.minimum(position, 2 * size - position)
    return torch.minimum(position.clamp(min=0), size)


def _taps(position: Tensor, stretch: Tensor, sizes: Tensor, filter: Filter) -> tuple[list[Tensor], list[Tensor]]:
    """Along one axis, tap by tap: indices int64 [B, h, w] into it, and weights float32 that sum to 1."""
    last = sizes[:, None, None] - 1
    if filter == "nearest":
        return [torch.minimum(position.floor().long(), last)], [torch.ones_like(stretch)]
    reach = REACH[filter] * stretch
    first = torch.ceil(position - reach - 0.5).long().clamp(min=0)
    final = torch.minimum(torch.floor(position + reach - 0.5).long(), last)
    indices, weights = [], []
    for tap in range(int((final - first).max()) + 1):
        index = first + tap
        distance = ((index + 0.5 - position).float() / stretch).abs()
        weight = _triangle(distance) if filter == "bilinear" else _cubic(distance)
        weights.append(torch.where(index <= last, weight, 0.0))
        indices.append(torch.minimum(index, last))
    total = torch.stack(weights).sum(0)
    return indices, [weight / total for weight in weights]


def _triangle(distance: Tensor) -> Tensor:
    return (1 - distance).clamp(min=0)


def _cubic(distance: Tensor) -> Tensor:
    """Keys 1981, eq. 4, with a = −1/2."""
    near = (1.5 * distance - 2.5) * distance * distance + 1
    far = ((-0.5 * distance + 2.5) * distance - 4) * distance + 2
    return torch.where(distance < 1, near, torch.where(distance < 2, far, 0.0))
