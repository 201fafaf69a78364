"""A net cut off behind one of its layers, with a linear layer on what is seen there: a probe that can be deployed.

    image ─ the net as far as `place` ─ pooled ─ (divided by its length) ─ centred and scaled ─ linear ─ scores

Centre and scale belong to the data that the linear layer was fitted to. With them it can go on learning at rates that
are usual: SqueezeNet's features are ninety long, and a gradient is as long as they are.

What lies behind the cut is gone, its weights too. The cut is made in the graph that torch.fx draws of the net as far as
the place, in which every module that does not hold it is one node: branches inside layers need not be drawable. Of a
module that is called twice the first call counts.
"""

import dataclasses
from collections.abc import Mapping
from typing import Any, Literal, final

import torch
from torch import Tensor, fx, nn

from striate.errors import StriateError, UnknownName, unknown
from striate.nets.net import Net, NetSpec

__all__ = ["INPUT", "WITHIN", "CutNet", "cut"]

INPUT = ":in"  # behind a module's name: what it is given, in place of what it gives
WITHIN = "base.net."  # before the name that a module has in the whole net
Pool = Literal["mean", "max", "flatten"]


@final
class CutNet(Net):
    """x [N, C, H, W] → features [N, D] → scores [N, num_classes].

    `stages` are those of the whole net that lie before the cut.

    Settings: the `net`, its own settings and how many classes it was made for; the `place`, a module's name, or that
    and ":in"; how maps are pooled; whether features are divided by their length. Raises StriateError for a place that
    the net has not.
    """

    fixed_size = True
    centre: Tensor
    scale: Tensor

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
        width = _width(self.base, spec, pool)
        self.register_buffer("centre", torch.zeros(width))
        self.register_buffer("scale", torch.ones(()))
        self.linear = nn.Linear(width, spec.num_classes)
        held = {name for name, _ in self.base.named_modules()}
        behind = place.removesuffix(INPUT)  # of a stage that the cut goes through only a part is there
        self.stages = tuple(
            dataclasses.replace(stage, name=WITHIN + stage.name)
            for stage in whole.stages
            if f"net.{stage.name}" in held and not behind.startswith(stage.name + ".")
        )

    def features(self, x: Tensor) -> Tensor:
        """[N, D]: what the linear layer is given."""
        maps: Tensor = self.base(x)
        if maps.ndim == 2 or self.pool == "flatten":
            f = maps.flatten(1)
        else:
            f = maps.mean((2, 3)) if self.pool == "mean" else maps.amax((2, 3))
        if self.unit:
            f = nn.functional.normalize(f, dim=1)
        return (f - self.centre) * self.scale

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
        raise UnknownName(unknown(f"layer of {net.spec.name}", place, names))
    root = _Whole(net)
    tracer = _AsFarAs(target, place.endswith(INPUT))
    try:
        graph = tracer.trace(root)
    except fx.proxy.TraceError as error:
        reason = str(error).partition(".")[0]
        raise StriateError(f"{net.spec.name} cannot be cut at {place!r}: {reason}; choose another layer") from error
    if not tracer.reached:
        raise StriateError(f"no image comes by layer {place!r} of {net.spec.name}; choose another")
    module = fx.GraphModule(root, graph)
    module.graph.eliminate_dead_code()
    module.recompile()
    module.delete_all_unused_submodules()
    return module


class _Whole(nn.Module):
    """Features, then head, of one argument; what is seen at the target, where a tracer stops there."""

    def __init__(self, net: Net) -> None:
        super().__init__()
        self.net = net

    def forward(self, x: Tensor) -> Any:
        try:
            return self.net.head(self.net.features(x))
        except _Reached as reached:
            return reached.value


class _Reached(Exception):  # no error: the way out of a net that is not wanted to its end
    def __init__(self, value: Any) -> None:
        super().__init__()
        self.value = value


class _AsFarAs(fx.Tracer):
    """Sees through the modules that hold the target, takes every other for one operation, and ends at the target."""

    def __init__(self, target: str, before: bool) -> None:
        super().__init__()
        self._target, self._before = target, before
        self.reached = False

    def is_leaf_module(self, module: nn.Module, name: str) -> bool:
        return not self._target.startswith(name + ".")

    def call_module(self, module: nn.Module, forward: Any, args: Any, kwargs: Any) -> Any:
        if self.path_of_module(module) != self._target:
            return super().call_module(module, forward, args, kwargs)
        self.reached = True
        raise _Reached(args[0] if self._before else super().call_module(module, forward, args, kwargs))


def _width(base: nn.Module, spec: NetSpec, pool: Pool) -> int:
    """Features of an image, found without numbers."""
    from striate.nets.fit import feature_shape

    shape = feature_shape(base, spec.in_chans, spec.input_size)
    if pool == "flatten":
        return int(torch.Size(shape).numel())
    return shape[0]
