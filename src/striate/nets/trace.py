"""Walk through a net layer by layer on the meta device: shapes without numbers, so nothing is computed or allocated.

Works on any module, whatever device its weights are on, and leaves it alone. Two images are walked through at once,
because batch norm in training refuses the single value per channel that one tiny image can leave.
"""

import copy
from collections import OrderedDict
from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor, nn

from striate.nets.net import Net
from striate.nets.shapes import Shapes, like

__all__ = ["Path", "Visit", "Walk", "hollow", "walk"]

WALKED_IMAGES = 2


@dataclass(kw_only=True)
class Visit:
    """One call of one layer; shapes are per image. `output_shape` is None where the layer refused its input."""

    name: str
    layer: nn.Module
    input_shape: tuple[int, ...]
    output_shape: tuple[int, ...] | None = None


@dataclass(frozen=True, kw_only=True)
class Walk:
    """Every layer called, in order. With `error`, the last visit without an output shape is where it happened."""

    visits: list[Visit]
    output_shape: tuple[int, ...] | None
    error: Exception | None


def walk(net: nn.Module, shape: tuple[int, int, int]) -> Walk:
    """Walk images of `shape` (C, H, W) through a copy of `net` without numbers.

    A layer is a module without children, or one with parameters of its own.
    """
    copied = hollow(net)
    visits: list[Visit] = []
    for name, module in copied.named_modules():
        if not any(True for _ in module.children()) or any(True for _ in module.parameters(recurse=False)):
            module.register_forward_pre_hook(_entering(name, visits))
            module.register_forward_hook(_leaving(visits))
    output: Any = None
    error: Exception | None = None
    try:
        with torch.no_grad(), Shapes():
            output = Path(copied)(torch.empty(WALKED_IMAGES, *shape, device="meta"))
    except (RuntimeError, ValueError) as refused:
        error = refused
    return Walk(visits=visits, output_shape=_shape(output), error=error)


def hollow(net: nn.Module) -> nn.Module:
    """A copy of `net` on the meta device and without its hooks; no parameter of it asks for a gradient.

    A copy, because `net` may be answering in another thread. What deepcopy finds in its memo it takes as copied: so no
    weight is ever copied, and hooks are left behind with whatever they hold on to.
    """
    memo: dict[int, Any] = {}
    for parameter in net.parameters():
        memo[id(parameter)] = nn.Parameter(like(parameter), requires_grad=False)
    for buffer in net.buffers():
        memo[id(buffer)] = like(buffer)
    for module in net.modules():
        for value in vars(module).values():  # a tensor that is neither parameter nor buffer
            if isinstance(value, Tensor):
                memo[id(value)] = like(value)
        memo[id(module._forward_hooks)] = OrderedDict()
        memo[id(module._forward_pre_hooks)] = OrderedDict()
    return copy.deepcopy(net, memo)


class Path(nn.Module):
    """Features, then head: a Net's forward without its own diagnosis, which is what a walk is for."""

    def __init__(self, net: nn.Module) -> None:
        super().__init__()
        self.net = net

    def forward(self, *inputs: Tensor) -> Any:
        if isinstance(self.net, Net):
            return self.net.head(self.net.features(*inputs))
        return self.net(*inputs)


def _entering(name: str, visits: list[Visit]) -> Any:
    def hook(layer: nn.Module, inputs: tuple[Any, ...]) -> None:
        visits.append(Visit(name=name, layer=layer, input_shape=_shape(inputs[0] if inputs else None) or ()))

    return hook


def _leaving(visits: list[Visit]) -> Any:
    def hook(layer: nn.Module, inputs: tuple[Any, ...], output: Any) -> None:
        for visit in reversed(visits):  # the innermost open call of this layer
            if visit.layer is layer and visit.output_shape is None:
                visit.output_shape = _shape(output) or ()
                return

    return hook


def _shape(value: Any) -> tuple[int, ...] | None:
    return tuple(value.shape[1:]) if isinstance(value, Tensor) else None
