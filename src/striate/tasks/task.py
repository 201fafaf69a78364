"""The frame of every task: features, then a predicted thing, against a desired thing; only this changes.

One training loop and one evaluation serve whatever keeps this contract.
"""

from collections.abc import Iterable
from typing import Any, Protocol

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor

__all__ = ["Metrics", "Task", "decode_all"]


class Task(Protocol):
    """What is predicted, how far it is from what is desired, and how to read it."""

    chance_loss: float  # the loss of a guess: what training should start near

    def loss(self, prediction: Tensor, target: Tensor) -> Tensor:
        """The scalar that training lowers; the mean over the batch, in float32."""

    def mixed_loss(self, prediction: Tensor, target: Tensor, other: Tensor, share: Tensor) -> Tensor:
        """The same for mixed images: `target` [B] counts `share` [B] of each one's loss, `other` [B] the rest."""

    def correct(self, prediction: Tensor, target: Tensor) -> Tensor:
        """How many of the batch are right: an int64 scalar on the prediction's device."""

    def decode(self, prediction: Tensor) -> Tensor:
        """The prediction as a person reads it (for classes: probabilities, float32 [B, K])."""

    def metrics(self, decoded: NDArray[Any], target: NDArray[Any]) -> "Metrics":
        """The measures of a whole part, from what `decode` gave for it."""


class Metrics(Protocol):
    """The measures every task has; each adds its own."""

    @property
    def samples(self) -> int:
        """How many images were measured."""

    @property
    def loss(self) -> float:
        """The mean loss over them."""

    @property
    def accuracy(self) -> float:
        """The share that is right."""


def decode_all(
    net: torch.nn.Module, task: Task, batches: Iterable[tuple[Tensor, Tensor, Tensor]], device: torch.device
) -> tuple[NDArray[Any], NDArray[Any]]:
    """What the net predicts for every batch, decoded, and what was desired: two arrays, in the batches' order.

    The net is put in evaluation mode for the while, computes in float32, and keeps no graph.
    """
    training = net.training
    net.eval()
    decoded, targets = [], []
    try:
        with torch.inference_mode():
            for images, labels, _ in batches:
                decoded.append(task.decode(net(images.to(device, non_blocking=True))).cpu())
                targets.append(labels.cpu())
    finally:
        net.train(training)
    if not decoded:
        return np.zeros((0,)), np.zeros((0,), np.int64)
    return torch.cat(decoded).numpy(), torch.cat(targets).numpy()
