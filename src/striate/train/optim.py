"""Which parameters an optimiser sees, and with which decay."""

from collections.abc import Iterable

import torch
from torch import nn

from striate.train.settings import Settings

__all__ = ["build_optimizer", "parameter_groups"]


def parameter_groups(net: nn.Module, weight_decay: float, *, decay_all: bool = False) -> list[dict[str, object]]:
    """Two groups: weights, which decay, and vectors (biases, gains and offsets of normalisations), which do not.

    Decaying a vector does not simplify the function a net computes (He 2019, "Bag of tricks", section 3.1).
    `decay_all` puts everything in one group, as the older papers trained.
    """
    trainable = [parameter for parameter in net.parameters() if parameter.requires_grad]
    if decay_all:
        return [{"params": trainable, "weight_decay": weight_decay}]
    groups = [
        {"params": [p for p in trainable if p.ndim > 1], "weight_decay": weight_decay},
        {"params": [p for p in trainable if p.ndim <= 1], "weight_decay": 0.0},
    ]
    return [group for group in groups if group["params"]]


def build_optimizer(net: nn.Module, settings: Settings) -> torch.optim.Optimizer:
    """SGD with momentum or AdamW, in torch's fused form, with its state laid out from the start.

    Momentum buffers start as zeros in the memory format of their parameter: the first step then computes what torch's
    own lazy start computes (0·m + g = g), and a resumed run has the same layout, hence the same rounding, as a run
    that was never stopped.
    """
    groups = parameter_groups(net, settings.weight_decay, decay_all=settings.decay_all)
    if settings.optimizer == "adamw":
        return torch.optim.AdamW(groups, lr=settings.lr, fused=True)
    sgd = torch.optim.SGD(
        groups,
        lr=settings.lr,
        momentum=settings.momentum,
        nesterov=settings.nesterov and settings.momentum > 0,
        fused=True,
    )
    if settings.momentum > 0:
        for parameter in _parameters(sgd):
            sgd.state[parameter]["momentum_buffer"] = torch.zeros_like(parameter, memory_format=torch.preserve_format)
    return sgd


def _parameters(optimizer: torch.optim.Optimizer) -> Iterable[torch.Tensor]:
    for group in optimizer.param_groups:
        yield from group["params"]
