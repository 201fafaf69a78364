"""Which parameters are weights, that a layer multiplies by: asked by what decays and what watches them."""

from torch import Tensor

__all__ = ["is_weight"]


def is_weight(name: str, parameter: Tensor) -> bool:
    """Whether a parameter of this name has rows and columns and is no bias, which a locally connected layer has one of
    for every place.

    >>> import torch
    >>> is_weight("conv.weight", torch.empty(6, 3, 5, 5)), is_weight("bn.weight", torch.empty(6))
    (True, False)
    >>> is_weight("local.bias", torch.empty(6, 28, 28))
    False
    """
    return parameter.ndim > 1 and name.rpartition(".")[2] != "bias"
