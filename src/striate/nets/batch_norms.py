"""Which layers are batch norms: asked by what averages, watches or freezes their statistics."""

from typing import TypeAlias

from torch import nn

__all__ = ["BatchNorm", "batch_norms"]

# torch's public types, named one by one: their common base is private
BatchNorm: TypeAlias = nn.BatchNorm1d | nn.BatchNorm2d | nn.BatchNorm3d | nn.SyncBatchNorm


def batch_norms(net: nn.Module) -> dict[str, BatchNorm]:
    """Every batch norm of `net`, by name."""
    return {name: module for name, module in net.named_modules() if isinstance(module, BatchNorm)}
