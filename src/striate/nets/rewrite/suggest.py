"""What could be saved in a net, rewriter by rewriter, layer by layer."""

import math
from collections.abc import Callable, Mapping
from dataclasses import dataclass
from types import MappingProxyType

from torch import nn

from striate.errors import StriateError
from striate.nets.net import Net
from striate.nets.rewrite.factor import Factored, as_asymmetric, as_bottleneck
from striate.nets.rewrite.slide import fully_convolutional
from striate.nets.rewrite.stack import as_3x3_stack
from striate.nets.table import layer_table
from striate.nets.trace import walk

__all__ = ["Suggestion", "suggest"]


@dataclass(frozen=True, kw_only=True)
class Suggestion:
    """One rewriter on one layer: parameters and multiply-adds of the layer before and after.

    `error` is the relative error of the trained weights in the new ones; None where the new ones have to be trained,
    or where there are none yet (the meta device). `note` says what to expect.
    """

    layer: str
    rewrite: str
    params: int
    new_params: int
    macs: int
    new_macs: int
    error: float | None
    note: str


_Rewritten = tuple[nn.Module, float | None, str]


def _stack(conv: nn.Conv2d) -> _Rewritten:
    return as_3x3_stack(conv), None, "new weights: train it"


def _asymmetric(conv: nn.Conv2d) -> _Rewritten:
    if min(conv.kernel_size) < 2:
        raise StriateError("one row or one column already")
    return _factored(as_asymmetric(conv))


def _bottleneck(conv: nn.Conv2d) -> _Rewritten:
    return _factored(as_bottleneck(conv))


def _factored(factored: Factored) -> _Rewritten:
    return factored.layers, factored.error, ""


REWRITERS: Mapping[str, Callable[[nn.Conv2d], _Rewritten]] = MappingProxyType(
    {"3×3 stack": _stack, "1×N and N×1": _asymmetric, "bottleneck": _bottleneck}
)


def suggest(net: nn.Module, shape: tuple[int, int, int]) -> list[Suggestion]:
    """What each rewriter would save on each convolution for images of `shape` (C, H, W), most multiply-adds first.

    Only what saves is listed; and last, when the head of a Net can slide over larger images, that. Factoring trained
    weights takes an SVD for each layer: some seconds for a large net, nothing on the meta device.

    Raises DoesNotFit for images that the net cannot take.
    """
    layer_table(net, shape)  # says which layer refuses the images
    suggestions = []
    seen: set[nn.Module] = set()
    for visit in walk(net, shape).visits:
        layer = net.get_submodule(visit.name)
        if not isinstance(layer, nn.Conv2d) or max(layer.kernel_size) < 2 or layer in seen:
            continue
        seen.add(layer)
        for name in REWRITERS:
            found = _try(name, visit.name, layer, visit.input_shape)
            if found and found.new_macs < found.macs:
                suggestions.append(found)
    suggestions.sort(key=lambda found: found.new_macs - found.macs)
    return suggestions + _slides(net)


def _try(rewrite: str, name: str, conv: nn.Conv2d, seen: tuple[int, ...]) -> Suggestion | None:
    try:
        module, error, note = REWRITERS[rewrite](conv)
    except StriateError:
        return None
    before, after = _cost(conv, seen), _cost(module, seen)
    if error is not None:
        known = not math.isnan(error)
        note = f"weights off by {error:.1%}" if known else "load weights to know the error"
        error = error if known else None
    return Suggestion(
        layer=name,
        rewrite=rewrite,
        params=before[0],
        new_params=after[0],
        macs=before[1],
        new_macs=after[1],
        error=error,
        note=note,
    )


def _cost(module: nn.Module, shape: tuple[int, ...]) -> tuple[int, int]:
    channels, height, width = shape
    rows = layer_table(module, (channels, height, width))
    return sum(row.params for row in rows), sum(row.macs for row in rows)


def _slides(net: nn.Module) -> list[Suggestion]:
    if not isinstance(net, Net):
        return []
    try:
        trunk = set(fully_convolutional(net).trunk.modules())  # auxiliary heads among them, which answer nothing
    except StriateError:
        return []
    linear = [layer for layer in net.modules() if isinstance(layer, nn.Linear) and layer not in trunk]
    params = sum(p.numel() for layer in linear for p in layer.parameters())
    macs = sum(layer.in_features * layer.out_features for layer in linear)
    return [
        Suggestion(
            layer="head",
            rewrite="fully convolutional",
            params=params,
            new_params=params,
            macs=macs,
            new_macs=macs,
            error=0.0,
            note="exact; larger images slide",
        )
    ]
