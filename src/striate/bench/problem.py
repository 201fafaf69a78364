"""A convolution with numbers in it, and what float64 says of its result.

Images are standard normal numbers, weights normal ones of variance 2 / fan-in (He 2015, eq. 10), as in a net that has
just been initialised; both depend on the seed alone. The error of a result y is max |y − y₆₄| / max |y₆₄|.
"""

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Literal

import numpy as np
import torch
from numpy.typing import NDArray

from striate.bench.layer import Layer

__all__ = ["PASSES", "Floats", "Pass", "Precision", "Problem", "relative_error"]

Floats = NDArray[np.float32]
Pass = Literal["forward", "data", "weights"]
Precision = Literal["fp32", "bf16"]
PASSES: tuple[Pass, ...] = ("forward", "data", "weights")
SEED = 2015


@dataclass(frozen=True, kw_only=True)
class Problem:
    """One pass of a layer over a batch. x [N, C, H, W], weight [K, C / groups, h, w], gradient [N, K, P, Q]."""

    layer: Layer
    batch: int
    threads: int
    which: Pass = "forward"
    precision: Precision = "fp32"

    @cached_property
    def x(self) -> Floats:
        """The images."""
        return _normal(SEED, (self.batch, self.layer.in_maps, *self.layer.size))

    @cached_property
    def weight(self) -> Floats:
        """The weights."""
        shape = self.layer.weight_shape
        return _normal(SEED + 1, shape) * np.float32(math.sqrt(2 / math.prod(shape[1:])))

    @cached_property
    def gradient(self) -> Floats:
        """The loss's gradient with respect to the result."""
        return _normal(SEED + 2, (self.batch, self.layer.out_maps, *self.layer.out_size))

    @property
    def flops(self) -> int:
        """Operations of the direct sum. All three passes have the same number."""
        return 2 * self.layer.macs(self.batch)

    @property
    def result_shape(self) -> tuple[int, ...]:
        """Of y forward, of dx backward to data, of dw backward to weights."""
        layer = self.layer
        shapes: dict[Pass, tuple[int, ...]] = {
            "forward": (self.batch, layer.out_maps, *layer.out_size),
            "data": (self.batch, layer.in_maps, *layer.size),
            "weights": layer.weight_shape,
        }
        return shapes[self.which]

    @property
    def checked_images(self) -> tuple[int, ...]:
        """The images whose results are compared: the first and the last. A gradient of weights is compared whole."""
        return () if self.which == "weights" else tuple(sorted({0, self.batch - 1}))

    @cached_property
    def truth(self) -> NDArray[np.float64]:
        """Results in float64 of the images to be checked, or the gradient of the weights."""
        if self.which == "weights":
            return sum(self._float64([i])[0] for i in range(self.batch))  # type: ignore[return-value]  # not of nothing
        return np.concatenate([self._float64([i])[0][None] for i in self.checked_images])

    def error(self, result: Floats) -> float:
        """The relative error of the checked part of a result."""
        return relative_error(result, self.truth)

    def _float64(self, images: list[int]) -> list[NDArray[np.float64]]:
        layer = self.layer
        x, dy = (torch.from_numpy(array[images]).double() for array in (self.x, self.gradient))
        w = torch.from_numpy(self.weight).double()
        settings = (list(layer.stride), list(layer.padding), list(layer.dilation))
        if self.which == "forward":
            y = torch.nn.functional.conv2d(x, w, None, layer.stride, layer.padding, layer.dilation, layer.groups)
            return [y[0].numpy()]
        wanted = [self.which == "data", self.which == "weights", False]
        dx, dw, _ = torch.ops.aten.convolution_backward(dy, x, w, None, *settings, False, [0, 0], layer.groups, wanted)
        return [(dx[0] if dx is not None else dw).numpy()]


def relative_error(result: NDArray[np.floating], truth: NDArray[np.float64]) -> float:
    """max |result − truth| / max |truth|; infinite for a result of another shape or one that is not finite.

    >>> relative_error(np.array([1.0, 2.0]), np.array([1.0, 4.0]))
    0.5
    """
    if result.shape != truth.shape or not np.isfinite(result).all():
        return math.inf
    return float(np.abs(result - truth).max() / max(np.abs(truth).max(), np.finfo(np.float64).tiny))


def _normal(seed: int, shape: tuple[int, ...]) -> Floats:
    return np.random.default_rng(seed).standard_normal(shape, dtype=np.float32)
