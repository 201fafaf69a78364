"""Maxout: a unit that answers with the largest of its pieces.

    y_c = max_j x_(c·k + j)          j = 0 … k − 1

Goodfellow, Warde-Farley, Mirza, Courville and Bengio 2013, "Maxout networks", eq. 1: each unit is a convex function
that is learnt, made of k linear pieces. The layer before it gives k values for every unit, side by side.
"""

from torch import Tensor, nn

from striate.errors import StriateError

__all__ = ["Maxout"]


class Maxout(nn.Module):
    """x [N, k·C, …] → [N, C, …]. Raises StriateError for fewer than 2 pieces, or channels that they do not divide.

    >>> import torch
    >>> Maxout(2)(torch.tensor([[1.0, 3.0, -2.0, -5.0]]))
    tensor([[ 3., -2.]])
    """

    def __init__(self, pieces: int = 2) -> None:
        super().__init__()
        if pieces < 2:
            raise StriateError(f"maxout takes the largest of at least 2 pieces, got {pieces}")
        self.pieces = pieces

    def forward(self, x: Tensor) -> Tensor:
        channels = x.shape[1]
        if channels % self.pieces:
            raise StriateError(f"maxout of {self.pieces} pieces cannot share out {channels} channels")
        pieces = x.reshape(len(x), channels // self.pieces, self.pieces, *x.shape[2:])  # N × C × k × …
        return pieces.amax(2)

    def extra_repr(self) -> str:
        return f"pieces={self.pieces}"
