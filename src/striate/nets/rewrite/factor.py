"""A trained convolution as cheaper ones in a row, by least squares on its weights.

    1×M, N×1        W[o, i, n, m] ≈ Σ_r U[o, r, n] V[r, i, m]               SVD: Jaderberg et al. 2014, scheme 2
    1×1, N×M, 1×1   W[o, i, n, m] ≈ Σ_{p, q} U[o, p] G[p, q, n, m] V[q, i]  Tucker-2: Kim et al. 2016

Full rank is exact. The error of a lower rank is stated: ‖W − Ŵ‖ / ‖W‖ (Frobenius).
"""

import math
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from striate.errors import StriateError
from striate.nets.rewrite.plain import Pair, check_plain, pair

__all__ = ["Factored", "as_asymmetric", "as_bottleneck"]

SWEEPS = 8  # of the alternation; it has settled to three digits after two or three


@dataclass(frozen=True, kw_only=True)
class Factored:
    """Layers in a row that stand for one convolution, and the relative error of its weights in them.

    `error` is NaN where there are no weights to be wrong: on the meta device.
    """

    layers: nn.Sequential
    error: float


def as_asymmetric(conv: nn.Conv2d, *, rank: int | None = None, error: float | None = None) -> Factored:
    """1×M to `rank` maps, then N×1: [N, C, H, W] → what `conv` gives, up to the error.

    `rank` counts the maps between, over all groups; by default as many as come out, which makes 9C² into 6C² for a 3×3.
    With `error` instead, the smallest rank whose error is not above it.

    Raises StriateError for a rank that is not a multiple of the groups, or is more than exact.

    >>> conv = nn.Conv2d(8, 8, 3, padding=1)
    >>> as_asymmetric(conv, error=0.0).layers[0].out_channels      # full rank: exact
    24
    """
    check_plain(conv)
    groups, (rows, columns) = conv.groups, pair(conv.kernel_size)
    ins, outs = conv.in_channels // groups, conv.out_channels // groups
    weight = _by_group(conv)
    # [G, o, i, n, m] → [G, (i, m), (o, n)]
    matrix = weight.permute(0, 2, 4, 1, 3).reshape(groups, ins * columns, outs * rows)
    u, s, vt = torch.linalg.svd(matrix, full_matrices=False)
    most = s.shape[1]
    if error is not None:
        kept = _least_rank(s, error)
    else:
        kept = _per_group("rank", min(conv.out_channels, groups * most) if rank is None else rank, groups, most)
    root = s[:, :kept].sqrt()
    first = (u[:, :, :kept] * root[:, None]).reshape(groups, ins, columns, kept).permute(0, 3, 1, 2)
    second = (vt[:, :kept] * root[..., None]).reshape(groups, kept, outs, rows).permute(0, 2, 1, 3)
    stride, padding, dilation = (pair(size) for size in (conv.stride, conv.padding, conv.dilation))
    layers = nn.Sequential(
        _layer(conv, first[..., None, :], stride=(1, stride[1]), padding=(0, padding[1]), dilation=(1, dilation[1])),
        _layer(
            conv,
            second[..., None],
            stride=(stride[0], 1),
            padding=(padding[0], 0),
            dilation=(dilation[0], 1),
            bias=conv.bias,
        ),
    )
    return Factored(layers=layers, error=_ratio(s[:, kept:], s))


def as_bottleneck(conv: nn.Conv2d, *, ranks: Pair | None = None) -> Factored:
    """1×1 to `ranks[0]` maps, N×M to `ranks[1]` maps, 1×1: [N, C, H, W] → what `conv` gives, up to the error.

    The ranks count maps over all groups; by default half of what goes in and half of what comes out, which makes 9C²
    into 3.25C² for a 3×3.

    Raises StriateError for a rank that is not a multiple of the groups, or is more than there are maps.

    >>> conv = nn.Conv2d(64, 64, 3, padding=1, bias=False)
    >>> sum(p.numel() for p in as_bottleneck(conv).layers.parameters()) / 64**2
    3.25
    """
    check_plain(conv)
    groups = conv.groups
    ins, outs = conv.in_channels // groups, conv.out_channels // groups
    given = ranks or (groups * max(1, ins // 2), groups * max(1, outs // 2))
    q, p = _per_group("ranks[0]", given[0], groups, ins), _per_group("ranks[1]", given[1], groups, outs)
    weight = _by_group(conv)
    u, v = _tucker2(weight, p, q)  # [G, o, p], [G, i, q], orthonormal columns
    core = torch.einsum("goinm,gop,giq->gpqnm", weight, u, v)
    stride, padding, dilation = (pair(size) for size in (conv.stride, conv.padding, conv.dilation))
    layers = nn.Sequential(
        _layer(conv, v.transpose(1, 2)[..., None, None]),
        _layer(conv, core, stride=stride, padding=padding, dilation=dilation),
        _layer(conv, u[..., None, None], bias=conv.bias),
    )
    rebuilt = torch.einsum("gpqnm,gop,giq->goinm", core, u, v)
    return Factored(layers=layers, error=_ratio(weight - rebuilt, weight))


def _by_group(conv: nn.Conv2d) -> Tensor:
    """The weights as float64 [G, out / G, in / G, N, M]."""
    weight = conv.weight.detach().double()
    return weight.reshape(conv.groups, -1, *weight.shape[1:])


def _tucker2(weight: Tensor, p: int, q: int) -> tuple[Tensor, Tensor]:
    """Orthonormal U [G, o, p] and V [G, i, q] that keep most of W [G, o, i, n, m]: each the best for the other in turn
    (higher-order orthogonal iteration, De Lathauwer et al. 2000), starting from V alone."""
    v = _leading(weight.permute(0, 2, 1, 3, 4), q)
    for _ in range(SWEEPS):
        u = _leading(torch.einsum("goinm,giq->goqnm", weight, v), p)
        v = _leading(torch.einsum("goinm,gop->gipnm", weight, u), q)
    return u, v


def _leading(tensor: Tensor, count: int) -> Tensor:
    """The `count` leading left singular vectors of each [G, rows, …]: [G, rows, count]."""
    matrix = tensor.flatten(2)
    vectors: Tensor = torch.linalg.eigh(matrix @ matrix.transpose(1, 2)).eigenvectors  # eigenvalues rise
    return vectors.flip(2)[:, :, :count]


def _layer(
    conv: nn.Conv2d,
    weight: Tensor,
    *,
    stride: Pair = (1, 1),
    padding: Pair = (0, 0),
    dilation: Pair = (1, 1),
    bias: Tensor | None = None,
) -> nn.Conv2d:
    """A convolution in the groups of `conv` with `weight` [G, out / G, in / G, h, w]."""
    groups, outs, ins, height, width = weight.shape
    layer = nn.Conv2d(
        groups * ins,
        groups * outs,
        (height, width),
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
        bias=bias is not None,
        device="meta",
    )
    layer.weight = nn.Parameter(weight.reshape(groups * outs, ins, height, width).to(conv.weight.dtype).contiguous())
    if bias is not None:
        layer.bias = nn.Parameter(bias.detach().clone())
    return layer


def _per_group(name: str, rank: int, groups: int, most: int) -> int:
    if rank % groups or not groups <= rank <= groups * most:
        steps = f" in steps of {groups}, the groups" if groups > 1 else ""
        raise StriateError(f"{name} is {rank}; give a whole number from {groups} to {groups * most}{steps}")
    return rank // groups


def _least_rank(s: Tensor, error: float) -> int:
    """The smallest rank of every group whose error over all groups is at most `error`; s [G, R] falls along R."""
    if not 0 <= error < 1:
        raise StriateError(f"error is {error!r}; give a share of the weights' norm, from 0 to below 1")
    most = s.shape[1]
    return next((rank for rank in range(1, most) if _ratio(s[:, rank:], s) <= error), most)


def _ratio(lost: Tensor, whole: Tensor) -> float:
    """‖lost‖ / ‖whole‖; NaN without numbers, on the meta device."""
    if whole.is_meta:
        return math.nan
    norm = float(whole.norm())
    return float(lost.norm()) / norm if norm else 0.0
