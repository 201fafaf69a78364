"""The layer that is charged for distance: its geometry, and that locality emerges from the charge."""

import math

import pytest
import torch

from striate.errors import StriateError
from striate.nets.layers import CoordinateLinear, grid_coordinates


def test_places() -> None:
    assert grid_coordinates((2, 2), (4, 6)).tolist() == [[1.0, 1.5], [1.0, 4.5], [3.0, 1.5], [3.0, 4.5]]
    layer = CoordinateLinear((1, 4), (1, 2), maps=2)
    assert layer.distance.tolist() == [[0.5, 0.5, 1.5, 2.5], [2.5, 1.5, 0.5, 0.5]] * 2
    assert layer(torch.zeros(3, 4)).shape == (3, 4)


def test_penalty_and_mass() -> None:
    layer = CoordinateLinear((1, 3), (1, 1), power=2.0)  # one unit in the middle: distances 1, 0, 1
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[-2.0, 5.0, 3.0]]))
    assert float(layer.penalty().detach()) == 5.0
    assert layer.mass_within(0.5) == 0.5
    assert layer.mass_within(1.0) == 1.0
    squared = CoordinateLinear((1, 3), (1, 1), power=1.0, square=True)
    squared.load_state_dict(layer.state_dict())
    assert float(squared.penalty().detach()) == 13.0
    with pytest.raises(StriateError, match=r"grids and maps are at least 1 and the power is positive, got \(0, 3\)"):
        CoordinateLinear((0, 3), (1, 1))


def test_locality_emerges() -> None:
    """A local average, told from 32 images of 49 px: they do not say where to look, and the charge does."""

    def trained(strength: float) -> float:
        torch.manual_seed(0)
        layer = CoordinateLinear((7, 7), (7, 7))
        optimiser = torch.optim.Adam(layer.parameters(), lr=0.01)
        x = torch.randn(32, 1, 7, 7)
        target = torch.nn.functional.avg_pool2d(x, 3, stride=1, padding=1).flatten(1)
        for _ in range(400):
            loss = (layer(x.flatten(1)) - target).square().mean() + strength * layer.penalty()
            optimiser.zero_grad()
            loss.backward()
            optimiser.step()
        return layer.mass_within(math.sqrt(2) + 0.01)

    assert trained(1e-4) > 0.8
    assert trained(0.0) < 0.5
