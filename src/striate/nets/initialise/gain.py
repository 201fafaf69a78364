"""What an activation takes from the size of a signal, and so what the weights before it have to give back.

    gain(f) = 1 / √E f(z)²,          z ~ N(0, 1)

With weights of variance gain² / n (n the fan in) before f, unit inputs come out of f with a mean square of 1 again:
He 2015, eq. 10, whose ReLU halves the square (gain √2), for any f. The integral is a sum over 40,001 points of ±10
against the normal density, to ten digits for smooth f and seven for kinked ones.
"""

import math

import torch
from torch import nn

from striate.nets.layers.maxout import Maxout

__all__ = ["gain"]

REACH, POINTS = 10.0, 40_001


@torch.no_grad()
def gain(activation: nn.Module | None) -> float:
    """Of a module that acts on each value alone, or of a maxout; 1 for None.

    >>> round(gain(nn.ReLU()), 6), round(gain(nn.Tanh()), 4), gain(None)
    (1.414214, 1.5925, 1.0)
    """
    if activation is None:
        return 1.0
    z = torch.linspace(-REACH, REACH, POINTS, dtype=torch.float64)
    density = torch.exp(-z.square() / 2) / math.sqrt(2 * math.pi)
    if isinstance(activation, Maxout):  # the largest of k: density k φ Φ^(k − 1)
        k = activation.pieces
        density, values = k * density * torch.special.ndtr(z) ** (k - 1), z
    elif isinstance(activation, nn.PReLU):  # a slope for each channel: their mean, for the gain is one number
        slope = float(activation.weight.double().mean())
        values = torch.where(z > 0, z, slope * z)
    else:
        values = activation(z)
    square = float(torch.trapezoid(density * values.square(), z))
    return 1 / math.sqrt(square) if square > 0 else 1.0
