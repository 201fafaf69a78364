"""What a batch should be called: its labels, or those of two images mixed."""

from dataclasses import dataclass

import torch
from torch import Tensor

from striate.tasks import Task

__all__ = ["Target"]


@dataclass(frozen=True)
class Target:
    """`labels` [B]; where images were mixed, label i counts `share[i]` and `other[i]` the rest."""

    labels: Tensor
    other: Tensor | None = None
    share: Tensor | None = None

    def loss(self, task: Task, prediction: Tensor) -> Tensor:
        """The mean loss over the batch."""
        if self.other is None or self.share is None:
            return task.loss(prediction, self.labels)
        return task.mixed_loss(prediction, self.labels, self.other, self.share)

    @property
    def likelier(self) -> Tensor:
        """[B]: the label that counts more."""
        if self.other is None or self.share is None:
            return self.labels
        return torch.where(self.share >= 0.5, self.labels, self.other)
