"""The layers with weights in the order in which a net uses them, each with the activation that follows it."""

from dataclasses import dataclass

import torch
from torch import Tensor, nn

from striate.nets.activations import LeCunTanh
from striate.nets.layers import CoordinateLinear, DropConnect, LocallyConnected2d
from striate.nets.layers.maxout import Maxout
from striate.nets.net import Net

__all__ = ["Weighted", "weighted_layers"]

WEIGHTED = (nn.Conv1d, nn.Conv2d, nn.Conv3d, nn.Linear, CoordinateLinear, DropConnect, LocallyConnected2d)
ACTIVE = (
    *(nn.ReLU, nn.ReLU6, nn.LeakyReLU, nn.PReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Softplus),
    *(nn.Tanh, nn.Sigmoid, nn.Hardtanh, nn.Hardsigmoid, nn.Hardswish, nn.Softsign, LeCunTanh, Maxout),
)


@dataclass(frozen=True, kw_only=True)
class Weighted:
    """A layer with weights; `activation` is its own, or the first after it, before the next layer with weights."""

    name: str
    layer: nn.Module
    activation: nn.Module | None
    last: bool  # gives the scores

    @property
    def weight(self) -> Tensor:
        """Of the layer."""
        weight = self.layer.weight
        assert isinstance(weight, Tensor)
        return weight

    @property
    def filters(self) -> list[Tensor]:
        """What is drawn, each by its own fans: the weight, or the views of those that a layer has for each place."""
        if isinstance(self.layer, LocallyConnected2d):
            shape = (-1, self.layer.in_channels, *self.layer.kernel)
            return [place.view(shape) for place in self.weight]  # of each O × C × F × F
        return [self.weight]


@torch.no_grad()
def weighted_layers(net: nn.Module, images: Tensor | None = None) -> list[Weighted]:
    """Told by one pass in evaluation mode; layers that it does not use (auxiliary heads) are not among them.

    `images` may be left out for a net of the zoo, whose size is known.
    """
    if images is None:
        assert isinstance(net, Net), "which image size this net is for is not known: give images"
        images = torch.zeros(1, net.spec.in_chans, *net.spec.input_size)
    met: list[tuple[str, nn.Module]] = []
    hooks = [
        module.register_forward_hook(lambda module, _, __, name=name: met.append((name, module)))
        for name, module in net.named_modules()
        if isinstance(module, WEIGHTED + ACTIVE)
    ]
    training = net.training
    try:
        device = next(net.parameters()).device
        net.eval()(images[:1].to(device))
    finally:
        for hook in hooks:
            hook.remove()
        net.train(training)
    found: dict[nn.Module, Weighted] = {}
    layers = [i for i, (_, module) in enumerate(met) if isinstance(module, WEIGHTED)]
    for i in layers:
        name, layer = met[i]
        following = met[i + 1][1] if i + 1 < len(met) else None
        own = isinstance(layer, DropConnect) and layer.relu
        activation = nn.ReLU() if own else following if isinstance(following, ACTIVE) else None
        found.setdefault(layer, Weighted(name=name, layer=layer, activation=activation, last=i == layers[-1]))
    return list(found.values())
