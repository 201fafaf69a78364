"""A net cut off behind one of its layers, with a linear layer on what is seen there: a probe that can be deployed.

    image ─ the net as far as `place` ─ pooled ─ (divided by its length) ─ linear ─ scores

What lies behind the cut is gone, its weights too. The cut is made in the graph that torch.fx draws of the net, in which
every module that does not hold the place is one node, so that the branches inside layers need not be drawable.
"""

from collections.abc import Mapping
from typing import Any, Literal, final

import torch
from torch import Tensor, fx, nn

from striate.errors import StriateError, unknown
from striate.nets.net import Net, NetSpec

__all__ = ["INPUT", "CutNet", "cut"]

INPUT = ":in"  # behind a module's name: what it is given, in place of what it gives
Pool = Literal["mean", "max", "flatten"]


@final
class CutNet(Net):
    """x [N, C, H, W] → features [N, D] → scores [N, num_classes].

    Settings: the `net`, its own settings and how many classes it was made for; the `place`, a module's name, or that
    and ":in"; how maps are pooled; whether features are divided by their length. Raises StriateError for a place that
    the net has not.
    """

    stages = ()
    fixed_size = True

    def __init__(
        self,
        spec: NetSpec,
        *,
        net: str = "",
        place: str = "",
        pool: Pool = "mean",
        unit: bool = False,
        net_settings: Mapping[str, Any] | None = None,
        net_classes: int = 1000,
    ) -> None:
        from striate.nets.registry import build  # here, since the registry knows this class

        super().__init__(spec)
        if not net or not place:
            raise StriateError("a cut net is made of another one, and needs its name and a place: `striate transfer`")
        whole = build(
            net,
            num_classes=net_classes,
            in_chans=spec.in_chans,
            input_size=spec.input_size,
            **dict(net_settings or {}),
        )
        self.base = cut(whole, place)
        self.pool, self.unit = pool, unit
        self.linear = nn.Linear(_width(self.base, spec, pool), spec.num_classes)

    def features(self, x: Tensor) -> Tensor:
        """[N, D]: what the linear layer is given."""
        maps: Tensor = self.base(x)
        if maps.ndim == 2 or self.pool == "flatten":
            f = maps.flatten(1)
        else:
            f = maps.mean((2, 3)) if self.pool == "mean" else maps.amax((2, 3))
        if self.unit:
            f = nn.functional.normalize(f, dim=1)
        return f

    def head(self, f: Tensor) -> Tensor:
        """Scores [N, num_classes]."""
        scores: Tensor = self.linear(f)
        return scores


def cut(net: Net, place: str) -> fx.GraphModule:
    """The part of `net` up to `place`, as a module of its own that shares its weights.

    Raises StriateError for a place that no module has, or that an image does not come by.
    """
    target = "net." + place.removesuffix(INPUT)
    names = [name for name, _ in net.named_modules() if name]
    if place.removesuffix(INPUT) not in names:
        raise StriateError(unknown(f"layer of {net.spec.name}", place, names))
    root = _Whole(net)
    graph = _Coarse(target).trace(root)
    called = [node for node in graph.nodes if node.op == "call_module" and node.target == target]
    if not called:
        raise StriateError(f"no image comes by layer {place!r} of {net.spec.name}; choose another")
    value = called[-1].args[0] if place.endswith(INPUT) else called[-1]
    (old,) = [node for node in graph.nodes if node.op == "output"]
    old.args = (value,)
    module = fx.GraphModule(root, graph)
    module.graph.eliminate_dead_code()
    module.recompile()
    module.delete_all_unused_submodules()
    return module


class _Whole(nn.Module):
    """Features, then head, of one argument: as a graph is drawn of it."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Tensor:
        return self.net.head(self.net.features(x))


class _Coarse(fx.Tracer):
    """Sees through the modules that hold the target, and takes every other for one operation."""

    def __init__(self, target: str) -> None:
        super().__init__()
        self._target = target

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return not self._target.startswith(name + ".")


def _width(base: nn.Module, spec: NetSpec, pool: Pool) -> int:
    """Features of an image, found without numbers."""
    from striate.nets.fit import feature_shape

    shape = feature_shape(base, spec.in_chans, spec.input_size)
    if pool == "flatten":
        return int(torch.Size(shape).numel())
    return shape[0]
