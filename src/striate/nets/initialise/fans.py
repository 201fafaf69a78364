"""How many values a unit adds up, and how many units a value goes to."""

from torch import Tensor

__all__ = ["fans"]


def fans(weight: Tensor) -> tuple[float, float]:
    """(fan in, fan out) of weights [O, I, …]: I and O times the size of the window.

    Of a convolution in groups I is a group's share, and so is the fan out taken as O: as torch and Caffe count.

    >>> import torch
    >>> fans(torch.empty(16, 6, 5, 5))
    (150.0, 400.0)
    """
    fan_in = weight.numel() / weight.shape[0]
    fan_out = weight.numel() / (weight.shape[1] if weight.ndim > 1 else 1)
    return fan_in, fan_out
