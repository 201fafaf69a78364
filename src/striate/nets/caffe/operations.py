"""What Caffe's layers compute, where torch has no module that computes the same.

Axes are counted as Caffe counts them, the batch being axis 0. Formulas are those of Caffe's layer catalogue.
"""

import math
from collections.abc import Sequence
from functools import reduce
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from striate.arithmetic import DoesNotFit

__all__ = [
    "BNLL",
    "AbsVal",
    "BatchNorm",
    "Bias",
    "BiasBy",
    "Concat",
    "Crop",
    "Eltwise",
    "Exp",
    "InnerProduct",
    "Log",
    "Power",
    "Reshape",
    "Scale",
    "ScaleBy",
    "Slice",
    "Split",
    "WithinChannelNorm",
]


class InnerProduct(nn.Module):
    """y = W·x + b over all axes from `axis` on; those before it are kept. `seen` is the shape that W was made for."""

    def __init__(self, seen: Sequence[int], outputs: int, *, axis: int, bias: bool, transpose: bool) -> None:
        super().__init__()
        self.seen, self.axis = tuple(seen), axis
        self.transpose = transpose  # how Caffe's files hold W; here it is always [outputs, inputs]
        self.weight = nn.Parameter(torch.empty(outputs, math.prod(seen)))
        self.bias = nn.Parameter(torch.empty(outputs)) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        if tuple(x.shape[self.axis :]) != self.seen:  # as many values in another order would be taken without a word
            seen, got = ("×".join(map(str, s)) for s in (self.seen, x.shape[self.axis :]))
            raise DoesNotFit(f"takes {seen} and would get {got}")
        return F.linear(x.flatten(self.axis), self.weight, self.bias)

    def extra_repr(self) -> str:
        return f"{self.seen} → {len(self.weight)}, axis={self.axis}"


class BatchNorm(nn.Module):
    """(x − mean) / √(variance + eps) per channel; gain and offset are a Scale layer's. `frozen`: also when training."""

    running_mean: Tensor
    running_var: Tensor

    def __init__(self, channels: int, *, eps: float, momentum: float, frozen: bool) -> None:
        super().__init__()
        self.eps, self.momentum, self.frozen = eps, momentum, frozen
        self.register_buffer("running_mean", torch.zeros(channels))
        self.register_buffer("running_var", torch.ones(channels))

    def forward(self, x: Tensor) -> Tensor:
        fresh = self.training and not self.frozen
        return F.batch_norm(
            x, self.running_mean, self.running_var, training=fresh, momentum=self.momentum, eps=self.eps
        )


class Scale(nn.Module):
    """x · weight [+ bias], both of `shape`, beginning at `axis`."""

    def __init__(self, shape: Sequence[int], *, axis: int, bias: bool) -> None:
        super().__init__()
        self.axis = axis
        self.weight = nn.Parameter(torch.ones(tuple(shape)))
        self.bias = nn.Parameter(torch.zeros(tuple(shape))) if bias else None

    def forward(self, x: Tensor) -> Tensor:
        y = x * _beside(self.weight, x, self.axis)
        return y if self.bias is None else y + _beside(self.bias, x, self.axis)


class ScaleBy(nn.Module):
    """The first blob times the second, which begins at `axis` of the first."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x: Tensor, by: Tensor) -> Tensor:
        return x * _beside(by, x, self.axis)


class Bias(nn.Module):
    """x + bias of `shape`, beginning at `axis`."""

    def __init__(self, shape: Sequence[int], *, axis: int) -> None:
        super().__init__()
        self.axis = axis
        self.bias = nn.Parameter(torch.zeros(tuple(shape)))

    def forward(self, x: Tensor) -> Tensor:
        return x + _beside(self.bias, x, self.axis)


class BiasBy(nn.Module):
    """The first blob plus the second, which begins at `axis` of the first."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, x: Tensor, by: Tensor) -> Tensor:
        return x + _beside(by, x, self.axis)


def _beside(small: Tensor, large: Tensor, axis: int) -> Tensor:
    """`small` with ones behind it, so that its first axis lies on `axis` of `large`."""
    return small.reshape(*small.shape, *[1] * (large.ndim - axis - small.ndim))


class Eltwise(nn.Module):
    """Blobs of one shape into one: "SUM" (each times its coefficient), "PROD" or "MAX"."""

    def __init__(self, operation: str, coefficients: Sequence[float] = ()) -> None:
        super().__init__()
        self.operation, self.coefficients = operation, tuple(coefficients)

    def forward(self, *blobs: Tensor) -> Tensor:
        if len({blob.shape for blob in blobs}) > 1:  # torch would stretch the smaller one
            raise DoesNotFit("takes blobs of one shape and would get " + ", ".join(map(_by, blobs)))
        if self.operation == "PROD":
            return reduce(torch.mul, blobs)
        if self.operation == "MAX":
            return reduce(torch.maximum, blobs)
        if self.coefficients:
            blobs = tuple(c * blob for c, blob in zip(self.coefficients, blobs, strict=True))
        return reduce(torch.add, blobs)

    def extra_repr(self) -> str:
        return self.operation


class Concat(nn.Module):
    """Blobs one after another along `axis`."""

    def __init__(self, axis: int) -> None:
        super().__init__()
        self.axis = axis

    def forward(self, *blobs: Tensor) -> Tensor:
        return torch.cat(blobs, self.axis)


class Slice(nn.Module):
    """One blob cut along `axis` into pieces of `sizes`."""

    def __init__(self, sizes: Sequence[int], axis: int) -> None:
        super().__init__()
        self.sizes, self.axis = list(sizes), axis

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return torch.split(x, self.sizes, self.axis)


class Split(nn.Module):
    """The same blob several times."""

    def __init__(self, times: int) -> None:
        super().__init__()
        self.times = times

    def forward(self, x: Tensor) -> tuple[Tensor, ...]:
        return (x,) * self.times


class Reshape(nn.Module):
    """The axes from `axis` on, `num_axes` of them or all (−1), become `dims`: 0 keeps a side, −1 follows from the rest.

    A net here takes any number of images, so a side given for the batch is read as 0.
    """

    def __init__(self, dims: Sequence[int], *, axis: int, num_axes: int) -> None:
        super().__init__()
        self.dims, self.axis, self.num_axes = tuple(dims), axis, num_axes

    def forward(self, x: Tensor) -> Tensor:
        start = self.axis if self.axis >= 0 else x.ndim + self.axis + 1
        end = x.ndim if self.num_axes == -1 else start + self.num_axes
        dims = [x.shape[start + i] if dim == 0 else dim for i, dim in enumerate(self.dims)]
        if start == 0 and dims and dims[0] > 0:
            dims[0] = x.shape[0]
        return x.reshape(*x.shape[:start], *dims, *x.shape[end:])


class Crop(nn.Module):
    """The first blob cut to the second's sides from `axis` on, beginning at `offsets`."""

    def __init__(self, offsets: Sequence[int], axis: int) -> None:
        super().__init__()
        self.offsets, self.axis = tuple(offsets), axis

    def forward(self, x: Tensor, like: Tensor) -> Tensor:
        for axis, offset in enumerate(self.offsets, start=self.axis):
            x = x.narrow(axis, offset, like.shape[axis])
        return x


class WithinChannelNorm(nn.Module):
    """x / (1 + α·m)^β, m the mean of x² over the size×size window around it; Caffe's k is not used here."""

    def __init__(self, size: int, *, alpha: float, beta: float) -> None:
        super().__init__()
        self.size, self.alpha, self.beta = size, alpha, beta

    def forward(self, x: Tensor) -> Tensor:
        mean = F.avg_pool2d(x.square(), self.size, 1, (self.size - 1) // 2)  # what lies outside counts as zeros
        return x * (1 + self.alpha * mean).pow(-self.beta)


class Power(nn.Module):
    """(shift + scale·x)^power."""

    def __init__(self, *, power: float, scale: float, shift: float) -> None:
        super().__init__()
        self.power, self.scale, self.shift = power, scale, shift

    def forward(self, x: Tensor) -> Tensor:
        y = self.shift + self.scale * x
        return y if self.power == 1 else y.pow(self.power)


class Exp(nn.Module):
    """base^(shift + scale·x); a base of −1 is e."""

    def __init__(self, *, base: float, scale: float, shift: float) -> None:
        super().__init__()
        self.log_base, self.scale, self.shift = _log_base(base), scale, shift

    def forward(self, x: Tensor) -> Tensor:
        return torch.exp(self.log_base * (self.shift + self.scale * x))


class Log(nn.Module):
    """log_base(shift + scale·x); a base of −1 is e."""

    def __init__(self, *, base: float, scale: float, shift: float) -> None:
        super().__init__()
        self.log_base, self.scale, self.shift = _log_base(base), scale, shift

    def forward(self, x: Tensor) -> Tensor:
        return torch.log(self.shift + self.scale * x) / self.log_base


def _log_base(base: float) -> float:
    if base != -1 and not base > 0:
        raise ValueError(f"a base of {base:g} has no logarithm")
    return 1.0 if base == -1 else math.log(base)


class AbsVal(nn.Module):
    """|x|."""

    def forward(self, x: Tensor) -> Tensor:
        return x.abs()


class BNLL(nn.Module):
    """log(1 + eˣ), the binomial normal log likelihood."""

    def forward(self, x: Tensor) -> Tensor:
        return F.softplus(x)


def _by(blob: Any) -> str:
    return "×".join(map(str, blob.shape[1:]))
