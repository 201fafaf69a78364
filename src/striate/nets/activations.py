"""Activation functions by name: a net's `activation` is a setting, or takes the place of its ReLUs.

name         f(x)                          gain 1 / √E f(z)², z ~ N(0, 1): see `striate.nets.initialise`
relu         max(0, x)                     √2
leaky_relu   x, 0.01 x below 0             1.4141
prelu        x, a x below 0, a learnt      1.3720 at the first a, 0.25 (He 2015)
elu          x, eˣ − 1 below 0             1.2452 (Clevert 2016)
selu         λ elu with α                  1 (Klambauer 2017)
gelu         x Φ(x)                        1.5335 (Hendrycks 2016)
silu         x σ(x)                        1.6765 ("swish")
softplus     log(1 + eˣ)                   1.0419
tanh         tanh x                        1.5925
lecun_tanh   1.7159 tanh(2x/3)             1.1544 (LeCun 1998, "Efficient backprop")
sigmoid      1 / (1 + e⁻ˣ)                 1.8462
maxout       the larger of two pieces      1 (Goodfellow 2013)
"""

import math
from collections.abc import Callable, Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from striate.errors import StriateError, UnknownName, unknown
from striate.nets.layers.maxout import Maxout

__all__ = ["ACTIVATIONS", "GAINS", "LeCunTanh", "activation_of", "pieces_of", "replace_relus"]


class LeCunTanh(nn.Module):
    """1.7159 tanh(2x/3), which is ±1 at ±1: LeCun, Bottou, Orr and Müller 1998, "Efficient backprop", §4.4."""

    def forward(self, x: Tensor) -> Tensor:
        return 1.7159 * torch.tanh(2 / 3 * x)


ACTIVATIONS: Mapping[str, Callable[[], nn.Module]] = MappingProxyType(
    {
        "relu": nn.ReLU,
        "leaky_relu": nn.LeakyReLU,
        "prelu": nn.PReLU,
        "elu": nn.ELU,
        "selu": nn.SELU,
        "gelu": nn.GELU,
        "silu": nn.SiLU,
        "softplus": nn.Softplus,
        "tanh": nn.Tanh,
        "lecun_tanh": LeCunTanh,
        "sigmoid": nn.Sigmoid,
        "maxout": Maxout,
    }
)


# To 4 digits, so that a net can be built on the meta device; `striate.nets.initialise.gain` computes them.
GAINS: Mapping[str, float] = MappingProxyType(
    {
        "relu": math.sqrt(2),
        "leaky_relu": 1.4141,
        "prelu": 1.3720,
        "elu": 1.2452,
        "selu": 1.0,
        "gelu": 1.5335,
        "silu": 1.6765,
        "softplus": 1.0419,
        "tanh": 1.5925,
        "lecun_tanh": 1.1544,
        "sigmoid": 1.8462,
        "maxout": 1.0,
    }
)


def activation_of(name: str) -> Callable[[], nn.Module]:
    """What makes a module of the activation of that name. Raises StriateError for a name that is none."""
    if name not in ACTIVATIONS:
        raise UnknownName(unknown("activation", str(name), ACTIVATIONS))
    return ACTIVATIONS[name]


def pieces_of(name: str) -> int:
    """Values that a unit of this activation takes from the layer before it: two for maxout, one for the others."""
    return 2 if name == "maxout" else 1


def replace_relus(net: nn.Module, name: str) -> None:
    """Put the activation `name` where `net` has a ReLU, in place; its weights stay as they were drawn.

    A ReLU behind the scores, as NIN and SqueezeNet have one, stays: scores are not to be squashed. Raises StriateError
    for a name that is none, for a net without a ReLU, and for an activation that takes more values than it gives: the
    layers before it would have to be larger.
    """
    make, behind = activation_of(name), _behind_scores(net)
    places = [
        (module, child)
        for module in net.modules()
        for child, old in module.named_children()
        if isinstance(old, nn.ReLU) and old not in behind
    ]
    if not places:
        raise StriateError("there is no ReLU in this net for another activation to replace")
    if pieces_of(name) > 1:
        raise StriateError(f"{name} takes {pieces_of(name)} values for each it gives, and this net's layers give one")
    for module, child in places:
        setattr(module, child, make())


def _behind_scores(net: nn.Module) -> list[nn.Module]:
    """What follows the last layer with weights in the net's `classifier`."""
    layers = list(getattr(net, "classifier", nn.Sequential()).children())
    weighted = [i for i, layer in enumerate(layers) if hasattr(layer, "weight")]
    return layers[weighted[-1] + 1 :] if weighted else []
