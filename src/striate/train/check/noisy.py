"""Which layers of a net draw noise while training: told by what they do, not by their names."""

from typing import Any

import torch
from torch import Tensor, nn
from torch.nn.modules.batchnorm import _BatchNorm

from striate.train.check.subject import quietly

__all__ = ["Noisy", "noisy_layers", "silence"]


class Noisy:
    """A layer that draws, and what it was given in evaluation mode."""

    def __init__(self, name: str, layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        self.name, self.layer, self.inputs = name, layer, inputs


@torch.no_grad()
def noisy_layers(net: nn.Module, images: Tensor) -> list[Noisy]:
    """Layers without layers inside whose output, in training mode, depends on the seed. The net is left as it was."""
    seen: dict[str, tuple[Any, ...]] = {}
    leaves = {name: m for name, m in net.named_modules() if not any(True for _ in m.children())}
    hooks = [
        layer.register_forward_pre_hook(lambda _, inputs, name=name: seen.setdefault(name, inputs) and None)
        for name, layer in leaves.items()
        if not isinstance(layer, _BatchNorm | nn.Conv2d | nn.Linear)
    ]
    training = net.training
    try:
        net.eval()(images)
    finally:
        for hook in hooks:
            hook.remove()
        net.train(training)
    return [Noisy(name, leaves[name], inputs) for name, inputs in seen.items() if _draws(leaves[name], inputs)]


def silence(net: nn.Module, images: Tensor) -> list[str]:
    """Put the layers that draw into evaluation mode; their names."""
    found = noisy_layers(net, images)
    for noisy in found:
        noisy.layer.eval()
    return [noisy.name for noisy in found]


def _draws(layer: nn.Module, inputs: tuple[Any, ...]) -> bool:
    training = layer.training
    layer.train()
    try:
        answers = []
        for seed in (1, 2, 3):  # a whole branch that is dropped with 1/10 may well be kept twice
            with quietly(seed):
                answers.append(layer(*inputs))
    finally:
        layer.train(training)
    first, *others = (a for a in answers if isinstance(a, Tensor))
    return any(not torch.equal(first, other) for other in others)
