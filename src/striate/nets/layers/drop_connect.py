"""DropConnect: dropout of weights instead of units.

    training:  y = ((M ∘ W) x + M_b ∘ b) / (1 − p),  each M ~ Bernoulli(1 − p), drawn anew for each image
    testing:   the mean, y = Wx + b; or, with a ReLU behind it, the mean of relu(y)

Wan, Zeiler, Zhang, LeCun and Fergus 2013, "Regularization of neural networks using DropConnect". The paper matches
moments (its eq. 5 and algorithm 2): y is a sum of many independent terms, hence nearly normal, with

    μ = Wx + b          σ² = p / (1 − p) · ((W ∘ W)(x ∘ x) + b ∘ b)

(1 / (1 − p)² of the paper's p(1 − p), because we scale while training and the paper does not), draws samples of it and
averages what the activation makes of them. For a ReLU that average has a closed form, which is used here and needs no
draws: E[relu(y)] = μ Φ(μ / σ) + σ φ(μ / σ).
"""

import math
from collections.abc import Mapping
from types import MappingProxyType

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from striate.errors import StriateError, unknown

__all__ = ["DropConnect"]

INFERENCES: Mapping[str, bool] = MappingProxyType({"mean": False, "gaussian": True})


class DropConnect(nn.Module):
    """x [N, in_features] → [N, out_features], through a ReLU when `relu`.

    `p` is the probability that a weight is dropped. Training holds a mask of N·out·in values: this is a layer for
    hundreds of units, not for VGG's classifier. `inference` is "mean" or "gaussian" (moment matching); without a ReLU
    the two are the same. Raises StriateError for a p outside [0, 1) or another inference.
    """

    def __init__(
        self, in_features: int, out_features: int, *, p: float = 0.5, relu: bool = False, inference: str = "mean"
    ) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise StriateError(f"p is a probability, at least 0 and below 1, got {p!r}")
        if inference not in INFERENCES:
            raise StriateError(unknown("inference", inference, INFERENCES))
        self.p, self.relu, self.inference = p, relu, inference
        self.weight = nn.Parameter(torch.empty(out_features, in_features))
        self.bias = nn.Parameter(torch.zeros(out_features))
        nn.init.kaiming_normal_(self.weight, mode="fan_in", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        if self.training:
            y = self._sample(x)
            return y.relu() if self.relu else y
        if self.relu and INFERENCES[self.inference]:
            return _mean_of_relu(*self.moments(x))
        y = F.linear(x, self.weight, self.bias)
        return y.relu() if self.relu else y

    def moments(self, x: Tensor) -> tuple[Tensor, Tensor]:
        """Mean and variance [N, out_features] of what training computes before the ReLU."""
        mean = F.linear(x, self.weight, self.bias)
        return mean, F.linear(x.square(), self.weight.square(), self.bias.square()) * (self.p / (1 - self.p))

    def _sample(self, x: Tensor) -> Tensor:
        kept = 1 - self.p
        mask = torch.empty(len(x), *self.weight.shape, device=x.device, dtype=x.dtype).bernoulli_(kept)
        mask_bias = torch.empty(len(x), *self.bias.shape, device=x.device, dtype=x.dtype).bernoulli_(kept)
        y = torch.bmm(mask * self.weight, x[:, :, None])[:, :, 0]  # N × out
        return (y + mask_bias * self.bias) / kept

    def extra_repr(self) -> str:
        out_features, in_features = self.weight.shape
        return f"{in_features}, {out_features}, p={self.p}, relu={self.relu}, inference={self.inference!r}"


def _mean_of_relu(mean: Tensor, variance: Tensor) -> Tensor:
    """E[max(0, y)] for y ~ N(mean, variance)."""
    deviation = variance.clamp_min(torch.finfo(variance.dtype).tiny).sqrt()
    z = mean / deviation
    density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)
    average: Tensor = mean * torch.special.ndtr(z) + deviation * density
    return average
