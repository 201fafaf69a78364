"""A layer of a net exchanged for another, in a copy."""

import copy
from typing import TypeVar

from torch import nn

from striate.errors import UnknownName, unknown

__all__ = ["replace"]

AnyModule = TypeVar("AnyModule", bound=nn.Module)


def replace(net: AnyModule, layers: dict[str, nn.Module]) -> AnyModule:
    """A copy of `net` in which each named layer is the one given; `net` itself is left alone.

    Raises StriateError for a name that the net does not have.

    >>> net = nn.Sequential(nn.Linear(2, 3), nn.ReLU())
    >>> replace(net, {"1": nn.Tanh()})[1], net[1]
    (Tanh(), ReLU())
    """
    changed = copy.deepcopy(net)
    known = [name for name, _ in changed.named_modules() if name]
    for name, layer in layers.items():
        if name not in known:
            raise UnknownName(unknown("layer", name, known))
        parent, _, child = name.rpartition(".")
        setattr(changed.get_submodule(parent), child, layer)
    return changed
