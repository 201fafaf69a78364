"""The laws that weights are drawn from, by their variance; all draws come from torch's generator."""

import math

from torch import Tensor, nn

__all__ = ["gaussian", "uniform"]


def gaussian(weight: Tensor, variance: float) -> None:
    """N(0, variance), in place."""
    nn.init.normal_(weight, 0.0, math.sqrt(variance))


def uniform(weight: Tensor, variance: float) -> None:
    """Uniform around zero with this variance, which is a third of the square of its half width; in place."""
    half = math.sqrt(3 * variance)
    nn.init.uniform_(weight, -half, half)
