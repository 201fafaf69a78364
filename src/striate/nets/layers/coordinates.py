"""A fully connected layer whose units have places, and a penalty that grows with distance.

    penalty = Σ_oi |W_oi| · d(o, i)^power

A convolution is told to look nearby; this layer may look anywhere and is charged for it, so that local connectivity
emerges where the data allow it (the "project idea" of the UMass lectures, 2024, lecture 10). The absolute value makes
far weights exactly useless, as the lasso does; with `square` they only shrink. Coordinates are px of the input's grid,
both grids laid over each other.
"""

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from striate.errors import StriateError

__all__ = ["CoordinateLinear", "grid_coordinates"]


def grid_coordinates(grid: tuple[int, int], extent: tuple[int, int]) -> Tensor:
    """The centres [h·w, 2] of a grid of h×w units spread over `extent` = (height, width) px, row by row.

    >>> grid_coordinates((1, 2), (4, 4)).tolist()
    [[2.0, 1.0], [2.0, 3.0]]
    """
    rows, columns = ((torch.arange(units) + 0.5) * (px / units) for units, px in zip(grid, extent, strict=True))
    return torch.cartesian_prod(rows, columns).reshape(-1, 2)


class CoordinateLinear(nn.Module):
    """x [N, H·W] → [N, maps·h·w]: `maps` output units at each place of `output_grid`, over `input_grid` px.

    `weight` [maps·h·w, H·W], map by map. `penalty()` is what to add to the loss, times a strength of your choosing;
    `mass_within(radius)` is the share of Σ |W| between units no further apart than `radius` px. Raises StriateError for
    a grid without units or a power that is not positive.
    """

    distance: Tensor

    def __init__(
        self,
        input_grid: tuple[int, int],
        output_grid: tuple[int, int],
        *,
        maps: int = 1,
        power: float = 2.0,
        square: bool = False,
    ) -> None:
        super().__init__()
        if min(*input_grid, *output_grid, maps) < 1 or power <= 0:
            raise StriateError(
                f"grids and maps are at least 1 and the power is positive, got {input_grid}, {output_grid}, "
                f"maps={maps}, power={power}"
            )
        self.power, self.square = power, square
        here = grid_coordinates(output_grid, input_grid).repeat(maps, 1)
        there = grid_coordinates(input_grid, input_grid)
        self.register_buffer("distance", torch.cdist(here, there), persistent=False)  # px, maps·h·w × H·W
        self.weight = nn.Parameter(torch.empty_like(self.distance))
        self.bias = nn.Parameter(torch.zeros(len(here)))
        nn.init.kaiming_normal_(self.weight, mode="fan_in", nonlinearity="relu")

    def forward(self, x: Tensor) -> Tensor:
        return F.linear(x, self.weight, self.bias)

    def penalty(self) -> Tensor:
        """Σ |W| d^power, or Σ W² d^power with `square`: a scalar."""
        size = self.weight.square() if self.square else self.weight.abs()
        return (size * self.distance**self.power).sum()

    def mass_within(self, radius: float) -> float:
        """The share, 0 to 1, of Σ |W| that lies within `radius` px."""
        size = self.weight.detach().abs()
        return float(size[self.distance <= radius].sum() / size.sum())

    def extra_repr(self) -> str:
        outputs, inputs = self.weight.shape
        return f"{inputs}, {outputs}, power={self.power}, square={self.square}"
