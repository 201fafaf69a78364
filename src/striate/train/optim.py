"""Which parameters an optimiser sees, with which decay, and at which share of the learning rate."""

from collections.abc import Iterable

import torch
from torch import nn

from striate.nets.parameters import is_weight
from striate.train.settings import Settings
from striate.train.transfer.tuning import Tuning

__all__ = ["RATE_SHARE", "build_optimizer", "parameter_groups"]

RATE_SHARE = "rate_share"  # of a group: what the learning rate is multiplied by; 1 where it is not said


def parameter_groups(
    net: nn.Module, weight_decay: float, *, decay_all: bool = False, tuning: Tuning | None = None
) -> list[dict[str, object]]:
    """Weights, which decay, and the others (biases, gains and offsets of normalisations), which do not.

    Decaying those does not simplify the function a net computes (He 2019, "Bag of tricks", section 3.1).
    `decay_all` puts everything in one group, as the older papers trained. `tuning` says what learns more slowly, and
    what it draws to its beginning instead.
    """
    trainable = [(name, parameter) for name, parameter in net.named_parameters() if parameter.requires_grad]
    groups: dict[tuple[bool, float, float], list[nn.Parameter]] = {}
    for decaying in (True, False):
        for name, parameter in trainable:
            if (decay_all or is_weight(name, parameter)) == decaying:
                decay = weight_decay if decaying and (tuning is None or tuning.decays(parameter)) else 0.0
                share = 1.0 if tuning is None else tuning.scale_of(parameter)
                groups.setdefault((decaying, decay, share), []).append(parameter)
    return [
        {"params": parameters, "weight_decay": decay} | ({RATE_SHARE: share} if share != 1 else {})
        for (_, decay, share), parameters in groups.items()
    ]


def build_optimizer(net: nn.Module, settings: Settings, tuning: Tuning | None = None) -> torch.optim.Optimizer:
    """SGD with momentum or AdamW, in torch's fused form, with its state laid out from the start.

    Momentum buffers start as zeros in the memory format of their parameter: the first step then computes what torch's
    own lazy start computes (0·m + g = g), and a resumed run has the same layout, hence the same rounding, as a run
    that was never stopped.
    """
    groups = parameter_groups(net, settings.weight_decay, decay_all=settings.decay_all, tuning=tuning)
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
