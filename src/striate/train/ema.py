"""A running average of the weights: the net that is evaluated, while the noisy one goes on learning.

Polyak and Juditsky 1992; the short start-up (decay grows as (1 + n) / (10 + n)) lets early averages forget the random
start, as in Szegedy 2016's training.
"""

import copy

import torch
from torch import nn

__all__ = ["WeightAverage"]


class WeightAverage:
    """An averaged copy of a net: parameters are averaged, buffers (batch-norm statistics) are copied."""

    def __init__(self, net: nn.Module, decay: float) -> None:
        self.net = copy.deepcopy(net).eval().requires_grad_(False)
        self.updates = 0
        self._decay = decay

    @torch.no_grad()
    def update(self, net: nn.Module) -> None:
        """Move the average towards the net by one step's share."""
        decay = min(self._decay, (1 + self.updates) / (10 + self.updates))
        self.updates += 1
        averages, values = [list[torch.Tensor](n.parameters()) for n in (self.net, net)]
        torch._foreach_lerp_(averages, values, 1 - decay)
        for average, value in zip(self.net.buffers(), net.buffers(), strict=True):
            average.copy_(value)
