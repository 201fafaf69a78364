"""Dropout as it was first published: units are dropped while training, and scaled when testing.

    training:  y = m ∘ x,            each m ~ Bernoulli(1 − p)
    testing:   y = (1 − p) x

Hinton et al. 2012 and Srivastava et al. 2014, "Dropout: a simple way to prevent neural networks from overfitting", §4.
`torch.nn.Dropout` is the *inverted* kind, y = m ∘ x / (1 − p) while training and y = x when testing: both have equal
means in training and testing, and what is learnt differs by the scale only. Papers' weights that were trained with the
vanilla kind need it (AlexNet's halving of its outputs).
"""

from torch import Tensor, nn

from striate.errors import StriateError

__all__ = ["Dropout"]


class Dropout(nn.Module):
    """x → the same shape, each value dropped with probability `p`. Raises StriateError for a p outside [0, 1).

    >>> import torch
    >>> Dropout(0.25).eval()(torch.ones(3))
    tensor([0.7500, 0.7500, 0.7500])
    """

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise StriateError(f"p is a probability, at least 0 and below 1, got {p!r}")
        self.p = p

    def forward(self, x: Tensor) -> Tensor:
        kept = 1 - self.p
        return x * x.new_empty(x.shape).bernoulli_(kept) if self.training else x * kept

    def extra_repr(self) -> str:
        return f"p={self.p}"
