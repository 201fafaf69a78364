"""LSUV: layer by layer, weights are scaled until a batch of real images comes out with unit variance.

Mishkin and Matas 2016, "All you need is a good init", algorithm 1: orthonormal weights first (Saxe 2014), then each
layer in the order of the forward pass, at most `TRIES` times, for a layer's output is nearly but not exactly in
proportion to its weights (they have biases). It makes no assumption about activations, pools, sums of branches.
"""

from collections.abc import Sequence

import torch
from torch import Tensor, nn

from striate.errors import StriateError
from striate.nets.initialise.order import Weighted, weighted_layers

__all__ = ["lsuv"]

TOLERANCE = 0.01  # of the variance; the paper takes 0.1
TRIES = 10


@torch.no_grad()
def lsuv(net: nn.Module, images: Tensor) -> list[tuple[str, float]]:
    """Initialise all layers of `net` in place; each one's name and the variance it ends with, in the net's order.

    The last layer, which gives the scores, is left as it is: scores of unit variance begin half a nat above a guess.
    Raises StriateError where a layer gives a constant, whose variance no scale makes one.
    """
    layers = weighted_layers(net, images)
    for one in layers:
        if not one.last:
            for weight in one.filters:
                nn.init.orthogonal_(weight)
            if isinstance(bias := getattr(one.layer, "bias", None), Tensor):
                nn.init.zeros_(bias)
    buffers = {buffer: buffer.clone() for buffer in net.buffers()}
    training = net.training
    try:
        return _scaled(net.train(), [one for one in layers if not one.last], images)
    finally:
        net.train(training)
        for buffer, value in buffers.items():
            buffer.copy_(value)


def _scaled(net: nn.Module, layers: Sequence[Weighted], images: Tensor) -> list[tuple[str, float]]:
    reached = []
    for one in layers:
        variance = _variance(net, one.layer, images)
        for _ in range(TRIES):
            if abs(variance - 1) <= TOLERANCE:
                break
            if not variance > 0:
                raise StriateError(f"lsuv: {one.name} gives a constant for these images; another batch, or --init he")
            one.weight.div_(variance**0.5)
            variance = _variance(net, one.layer, images)
        reached.append((one.name, variance))
    return reached


def _variance(net: nn.Module, layer: nn.Module, images: Tensor) -> float:
    """Of all values that a layer gives for a batch; dropout draws the same each time."""
    seen: list[Tensor] = []
    with layer.register_forward_hook(lambda _, __, output: seen.append(output)), torch.random.fork_rng(devices=[]):
        torch.manual_seed(0)
        net(images)
    return float(seen[0].double().var(correction=0))
