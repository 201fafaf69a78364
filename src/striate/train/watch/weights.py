"""What one update does to each layer's weights: its gradient, and its size beside the weights'.

The ratio ‖Δw‖ / ‖w‖ of an update to the weights it changes is about 1e-3 where training goes well (the lectures' rule
of thumb, LECTURES F1): at 1e-1 a layer forgets itself in ten steps, at 1e-6 it would need a million.

Weights are what a layer multiplies by: biases and gains, which begin at zero or one, have no such ratio. Only a sample
of each (65,536 values, evenly spread) is copied before the step and compared after it, so that the memory and the time
of a look do not grow with the net.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from striate.nets.parameters import is_weight
from striate.train.watch.histogram import Histogram, histogram, spread
from striate.train.watch.length import lengths

__all__ = ["LayerWeights", "UpdateLook"]


@dataclass(frozen=True, kw_only=True)
class LayerWeights:
    """One layer's weights at one update. gradient: its L2 norm; rms: of the weights, after the step; count: of them.

    ratio: of the update's norm to the weights' before it, None where those are all zero.
    """

    name: str
    count: int
    gradient: float
    rms: float
    ratio: float | None
    histogram: Histogram


class UpdateLook:
    """Sees one update: made when the gradients are there, asked when the step is done."""

    @torch.no_grad()
    def __init__(self, net: nn.Module, *, scale: float = 1.0) -> None:
        """scale: of the loss, by which fp16's gradients are too large."""
        self._names, self._weights = _trained_weights(net)
        gradients = [weight.grad for weight in self._weights if weight.grad is not None]
        every = [p.grad for p in net.parameters() if p.grad is not None]
        norms = lengths(every)
        self.total = math.hypot(*norms) / scale
        by_id = {id(gradient): norm for gradient, norm in zip(every, norms, strict=True)}
        self._gradients = [by_id[id(gradient)] / scale for gradient in gradients]
        self._before = [spread(weight.detach()).clone() for weight in self._weights]

    @torch.no_grad()
    def layers(self) -> tuple[LayerWeights, ...]:
        """In the net's order of definition, once the optimiser has stepped."""
        told = []
        for name, weight, gradient, before in zip(
            self._names, self._weights, self._gradients, self._before, strict=True
        ):
            after = spread(weight.detach())
            was, moved = float(before.norm()), float((after - before).norm())
            told.append(
                LayerWeights(
                    name=name,
                    count=weight.numel(),
                    gradient=gradient,
                    rms=float(after.norm()) / max(1, after.numel()) ** 0.5,
                    ratio=moved / was if was > 0 else None,
                    histogram=histogram(after[after.isfinite()]),
                )
            )
        return tuple(told)


def _trained_weights(net: nn.Module) -> tuple[list[str], Sequence[Tensor]]:
    """Names (of the layer, where it has one weight) and weights that have a gradient now."""
    named = [(name, p) for name, p in net.named_parameters() if is_weight(name, p) and p.grad is not None]
    return [name.removesuffix(".weight") for name, _ in named], [p for _, p in named]
