"""Maps to one row of values, refusing maps of another shape.

A plain flatten takes 16×5×13 for 16×13×5, since the number of values is the same, and the net answers nonsense for an
image given sideways.
"""

from torch import Tensor, nn

from striate.arithmetic import DoesNotFit

__all__ = ["FlattenExactly"]


class FlattenExactly(nn.Module):
    """[N, *shape] → [N, values]. Raises DoesNotFit for any other shape."""

    def __init__(self, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.shape = shape

    def forward(self, x: Tensor) -> Tensor:
        if tuple(x.shape[1:]) != self.shape:
            raise DoesNotFit(f"takes {_by(self.shape)} and would get {_by(x.shape[1:])}")
        return x.flatten(1)

    def extra_repr(self) -> str:
        return _by(self.shape)


def _by(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
