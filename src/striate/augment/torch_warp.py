"""The one resampling on any device that torch knows: the formulas of docs/design/augment.md, as tensors.

`striate._native.warp` is the same function for the CPU, and many times as fast there. Here a batch of sources of any
sizes lies end to end in one buffer, and every tap of the filter is one gather from it.
"""

import math
from collections.abc import Sequence
from typing import NamedTuple

import torch
from torch import Tensor

from striate.augment.policy import Border, Filter
from striate.augment.scene import Draws
from striate.errors import StriateError

__all__ = ["warp"]

RUN = 16  # output pixels of a row that share one scale of the filter
REACH = {"nearest": 0.5, "bilinear": 1.0, "bicubic": 2.0}


def warp(
    images: Sequence[Tensor],
    draws: Draws,
    scale: Tensor,
    shift: Tensor,
    fill: Tensor,
    out: tuple[int, int],
    *,
    filter: Filter = "bilinear",
    antialias: bool = True,
    border: Border = "constant",
) -> Tensor:
    """float32 [B, C, h, w] on the images' device, as `_native.warp` computes it: within a grey level · scale of it.

    `images` are uint8 [Hi, Wi, C]; scale, shift, fill float32 [C]. With steps among the draws, give scale 1 and shift 0
    and normalise after `Policy.apply_steps`.

    Raises StriateError when a map is singular or sends part of the output to infinity.
    """
    device, channels = images[0].device, images[0].shape[2]
    pixels = torch.cat([image.reshape(-1, channels) for image in images])  # [Σ Hi·Wi, C]
    heights = torch.tensor([image.shape[0] for image in images], device=device)
    widths = torch.tensor([image.shape[1] for image in images], device=device)
    begin = torch.cumsum(heights * widths, 0) - heights * widths
    places = _places(draws, out, device)
    x, y = (_onto(places.x, widths, border), _onto(places.y, heights, border))
    inside = (places.x >= 0) & (places.x <= widths[:, None, None])
    inside &= (places.y >= 0) & (places.y <= heights[:, None, None])
    sx, sy = (places.sx, places.sy) if antialias and filter != "nearest" else (torch.ones_like(x), torch.ones_like(y))
    columns, rows = _taps(x, sx, widths, filter), _taps(y, sy, heights, filter)
    values = torch.zeros((*x.shape, channels), device=device)  # [B, h, w, C]
    for row, down in zip(*rows, strict=True):
        for column, across in zip(*columns, strict=True):
            at = begin[:, None, None] + row * widths[:, None, None] + column
            values += (down * across)[..., None] * pixels[at]
    if border == "constant":
        values = torch.where(inside[..., None], values, fill.to(device))
    if draws.colour is not None:
        colour = torch.from_numpy(draws.colour).to(device)
        values = torch.einsum("bhwc,bkc->bhwk", values, colour[:, :, :channels]) + colour[:, None, None, :, channels]
    values = values.clamp(0, 255) * scale.to(device) + shift.to(device)
    return values.permute(0, 3, 1, 2)  # [B, C, h, w], channels last in memory


class _Places(NamedTuple):
    """Where output pixels come from, and how far the filter reaches there: float64 and float32 [B, h, w]."""

    x: Tensor
    y: Tensor
    sx: Tensor
    sy: Tensor


def _places(draws: Draws, out: tuple[int, int], device: torch.device) -> _Places:
    height, width = out
    g = torch.from_numpy(draws.geometry).to(device)
    k = torch.zeros((len(g), 2), dtype=torch.float64, device=device)
    if draws.lens is not None:
        k = torch.from_numpy(draws.lens).to(device)
    column = torch.arange(width, dtype=torch.float64, device=device) + 0.5
    begin = torch.arange(0, width, RUN, dtype=torch.float64, device=device)
    middle = (begin + (begin + RUN).clamp(max=width)) / 2
    row = torch.arange(height, dtype=torch.float64, device=device)[:, None] + 0.5
    x, y = _mapped(g, k, column.expand(height, width), row.expand(height, width), out)[:2]
    runs = _mapped(g, k, middle.expand(height, len(middle)), row.expand(height, len(middle)), out)
    if not bool(torch.isfinite(x).all() & torch.isfinite(y).all()):
        raise StriateError("warp: a map sends part of the output to infinity; draw milder perspectives")
    sx, sy = (scale.clamp(min=1).repeat_interleave(RUN, 2)[:, :, :width].float() for scale in (runs[2], runs[3]))
    return _Places(x, y, sx, sy)


def _mapped(
    g: Tensor, k: Tensor, ox: Tensor, oy: Tensor, out: tuple[int, int]
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Source positions of output positions [h, n], and √(a² + b²), √(c² + d²) of the map's derivative there."""
    height, width = out
    radius = math.hypot(height, width) / 2
    dx, dy = ox - width / 2, oy - height / 2
    u = (dx * dx + dy * dy) / radius**2
    k1, k2 = k[:, 0, None, None], k[:, 1, None, None]
    f, df = 1 + k1 * u + k2 * u * u, 2 * (k1 + 2 * k2 * u) / radius**2  # bent = centre + f · d; ∂bent = f I + df · d dᵀ
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
