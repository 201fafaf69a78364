"""Stochastic depth: a whole residual branch is there, or it is not.

    training:  y = shortcut + b · F(x),          b ~ Bernoulli(1 − p)
    testing:   y = shortcut + (1 − p) · F(x)

Huang, Sun, Liu, Sedra and Weinberger 2016, "Deep networks with stochastic depth", eqs. 2 and 5: one b for a mini-batch
and a block (`per="batch"`); a b for each image is what most code since then does (`per="sample"`). p grows linearly
from the first block to the last (their eq. 4). Scaling at test time is the paper's; `scale="train"` divides by 1 − p
while training instead, which has the same mean and leaves nothing to do at test time.
"""

from collections.abc import Mapping
from types import MappingProxyType

from torch import Tensor, nn

from striate.errors import StriateError, unknown

__all__ = ["DropPath", "linear_decay"]

PER: Mapping[str, bool] = MappingProxyType({"batch": False, "sample": True})
SCALE: Mapping[str, bool] = MappingProxyType({"test": False, "train": True})


def linear_decay(p_last: float, block: int, blocks: int) -> float:
    """The probability to drop block number `block` (from 1) of `blocks`: p_l = (l / L) · p_L (Huang 2016, eq. 4).

    >>> [linear_decay(0.5, block, 4) for block in (1, 2, 3, 4)]
    [0.125, 0.25, 0.375, 0.5]
    """
    return p_last * block / blocks


class DropPath(nn.Module):
    """A branch [N, …] → the same, dropped with probability p while training.

    The branch has been computed by then: this is the noise of stochastic depth, not the time it saves. Raises
    StriateError for a p outside [0, 1) or an unknown `per` or `scale`.
    """

    def __init__(self, p: float, *, per: str = "batch", scale: str = "test") -> None:
        super().__init__()
        if not 0 <= p < 1:
            raise StriateError(f"the probability to drop a path is at least 0 and below 1, got {p!r}")
        for setting, given, known in (("per", per, list(PER)), ("scale", scale, list(SCALE))):
            if given not in known:
                raise StriateError(unknown(setting, given, known))
        self.p, self.per, self.scale = p, per, scale

    def forward(self, x: Tensor) -> Tensor:
        survives, early = 1 - self.p, SCALE[self.scale]
        if not self.training:
            return x if early else x * survives
        gates = (len(x) if PER[self.per] else 1, *(1 for _ in x.shape[1:]))
        alive = x.new_empty(gates).bernoulli_(survives)
        return x * (alive / survives if early else alive)

    def extra_repr(self) -> str:
        return f"p={self.p:.3g}, per={self.per!r}, scale={self.scale!r}"
