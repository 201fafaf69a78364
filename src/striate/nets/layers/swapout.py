"""Swapout: every unit decides for itself between nothing, the shortcut, the residual, and their sum.

    y = Θ1 ∘ x + Θ2 ∘ F(x),          Θ1 ~ Bernoulli(θ1),  Θ2 ~ Bernoulli(θ2), one draw per unit

Singh, Hoiem and Forsyth 2016, "Swapout: learning an ensemble of deep architectures", eq. 1. Dropout is θ1 = 0, a ResNet
is θ1 = θ2 = 1. Two test-time forms: *deterministic* takes expectations, y = θ1 x + θ2 F(x), which is not the mean of
the net's answers, since ReLUs and batch norms follow; *stochastic* goes on drawing, and the answers of several passes
(the paper takes 30) are averaged by whoever asks, as for dropout sampled at test time.
"""

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from striate.errors import StriateError, UnknownName, unknown

__all__ = ["Swapout"]

INFERENCES: Mapping[str, bool] = MappingProxyType({"deterministic": False, "stochastic": True})


class Swapout(nn.Module):
    """(shortcut, residual), both [N, …] → the same shape.

    `keep_shortcut` is θ1 and `keep_residual` θ2. Raises StriateError for one outside [0, 1] or another inference.
    """

    def __init__(self, keep_shortcut: float, keep_residual: float, *, inference: str = "deterministic") -> None:
        super().__init__()
        for name, given in (("keep_shortcut", keep_shortcut), ("keep_residual", keep_residual)):
            if not 0 <= given <= 1:
                raise StriateError(f"{name} is a probability, from 0 to 1, got {given!r}")
        if inference not in INFERENCES:
            raise UnknownName(unknown("inference", str(inference), INFERENCES))
        self.keep_shortcut, self.keep_residual, self.inference = keep_shortcut, keep_residual, inference

    def forward(self, shortcut: Tensor, residual: Tensor) -> Tensor:
        if self.training or INFERENCES[self.inference]:
            theta1 = torch.empty_like(shortcut).bernoulli_(self.keep_shortcut)
            theta2 = torch.empty_like(residual).bernoulli_(self.keep_residual)
            return theta1 * shortcut + theta2 * residual
        return self.keep_shortcut * shortcut + self.keep_residual * residual

    def extra_repr(self) -> str:
        return f"{self.keep_shortcut:.3g}, {self.keep_residual:.3g}, inference={self.inference!r}"
