"""What of a net learns, when, and how fast: the settings of fine-tuning, made into what the training loop asks.

    freeze           up to a stage nothing moves: no weight, and no batch norm's statistics
    unfreeze_epochs  the frozen border starts at the scores and moves back a stage at a time (Howard & Ruder 2018, §3.3)
    depth_decay      each stage learns slower than the one behind it (§3.2 there)
    anchor            weights are pulled back to where they began (Li et al. 2018, "L2-SP", eq. 2), not to zero
    freeze_norms      batch norms normalise by their running statistics, as in evaluation; gains and offsets still learn

All is a function of the settings and the epoch, so a resumed run goes on as if it had never stopped.
"""

from collections.abc import Sequence
from typing import Any, final

import torch
from torch import nn

from striate.nets import Net
from striate.nets.batch_norms import batch_norms
from striate.train.settings import Settings
from striate.train.transfer.depth import depth_of

__all__ = ["Tuning"]


@final
class Tuning:
    """Asked by the loop: `begin_epoch` before training one, `pull` before each step of the optimiser.

    Made before a checkpoint is restored: the weights that `net` has now are those that `anchor` pulls back to. Raises
    StriateError for a stage to freeze that the net has not.
    """

    def __init__(self, net: Net, settings: Settings) -> None:
        self._net = net
        self._unfreeze_epochs = settings.unfreeze_epochs
        self._anchor = settings.anchor
        self._norms = list(batch_norms(net).values()) if settings.freeze_norms else []
        self._plain = not (settings.freeze or settings.unfreeze_epochs or settings.anchor or settings.depth_decay != 1)
        if self._plain:
            return
        depth = depth_of(net)
        named = dict(net.named_modules())
        self._groups = [[named[name] for name in modules] for _, modules in depth.groups]
        self._frozen = depth.frozen(settings.freeze)
        last = len(self._groups) - 1
        grouped = {p: i for i, group in enumerate(self._groups) for p in _parameters(group)}
        self._owner = {p: grouped.get(p, last) for p in net.parameters()}  # what a walk misses (auxiliary heads) is new
        for parameter, group in self._owner.items():
            parameter.requires_grad_(group >= self._frozen)
        self._scales = {p: settings.depth_decay ** (last - group) for p, group in self._owner.items()}
        moving = [p for p, group in self._owner.items() if self._frozen <= group < last and settings.anchor]
        self._anchors = {parameter: parameter.detach().clone() for parameter in moving}

    def begin_epoch(self, epoch: int) -> None:
        """The net in training mode, what is frozen in this epoch in evaluation mode and without gradients."""
        self._net.train()
        for module in self._norms:
            module.eval()
        if self._plain:
            return
        border = self._border(epoch)
        for parameter, group in self._owner.items():
            parameter.requires_grad_(group >= border)
        for group_modules in self._groups[:border]:
            for module in group_modules:
                module.eval()

    def scale_of(self, parameter: nn.Parameter) -> float:
        """The share of the learning rate at which it learns."""
        return 1.0 if self._plain else self._scales[parameter]

    def decays(self, parameter: nn.Parameter) -> bool:
        """Whether weight decay shall draw it to zero: not where `anchor` draws it to where it began."""
        return self._plain or parameter not in self._anchors

    @torch.no_grad()
    def pull(self) -> None:
        """Add anchor · (weight − its beginning) to the gradients that are there."""
        if self._plain or not self._anchor:
            return
        for parameter, anchor in self._anchors.items():
            if parameter.grad is not None:
                parameter.grad.add_(parameter - anchor, alpha=self._anchor)

    def _border(self, epoch: int) -> int:
        """The first group that learns in `epoch` (from 0)."""
        if not self._unfreeze_epochs:
            return self._frozen
        return max(self._frozen, len(self._groups) - 1 - epoch // self._unfreeze_epochs)


def _parameters(modules: Sequence[nn.Module]) -> list[Any]:
    return [parameter for module in modules for parameter in module.parameters(recurse=False)]
