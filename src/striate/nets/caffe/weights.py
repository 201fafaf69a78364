"""A caffemodel's numbers into a net's tensors, layer by layer and by name, and a report of every layer.

Caffe matches layers by name alone and passes over what it does not find. Here a layer of the net that the file lacks,
or holds in another shape, is an error; a layer of the file that the net lacks is reported.
"""

import math
from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from numpy.typing import NDArray
from torch import Tensor, nn

from striate.errors import StriateError
from striate.nets.caffe.layer import Layer, layers_of
from striate.nets.caffe.net import CaffeNet
from striate.nets.caffe.operations import BatchNorm, InnerProduct

__all__ = ["LayerReport", "Statistics", "report_extra", "tensors_of"]

LISTED = 4  # layers named in a message; the rest are counted


@dataclass(frozen=True, kw_only=True)
class Statistics:
    """Of all numbers of a layer: enough to see weights that are missing, dead or exploded."""

    count: int
    least: float
    mean: float
    greatest: float
    deviation: float


@dataclass(frozen=True, kw_only=True)
class LayerReport:
    """What became of one layer. `shapes` are those of its tensors; `output` is per image."""

    name: str
    type: str
    status: str
    output: tuple[int, ...] = ()
    shapes: tuple[tuple[int, ...], ...] = ()
    statistics: Statistics | None = None


def tensors_of(net: CaffeNet, weights: Any, path: object) -> tuple[dict[str, Tensor], dict[str, Statistics]]:
    """The state of `net` (all but its input's) from the layers of a caffemodel, and statistics by the key of a module.

    Raises StriateError listing what is missing, or naming the first layer of another shape or with numbers that are not
    finite.
    """
    held = {layer.name: layer for layer in layers_of(weights)}
    state: dict[str, Tensor] = {}
    statistics: dict[str, Statistics] = {}
    missing = []
    for call in net.calls:
        module = net.layers.get_submodule(call.key)
        if call.key in statistics or not module.state_dict():
            continue
        layer = held.get(call.layer.name)
        if layer is None or not layer.message.blobs:
            missing.append(call.layer.name)
            continue
        blobs = layer.blobs(path)
        found = _statistics_of_batch_norm(module, blobs) if isinstance(module, BatchNorm) else blobs
        state |= _named(f"layers.{call.key}", module, found, layer, path)
        statistics[call.key] = _describe(found)
    if missing:
        more = f" and {len(missing) - LISTED} more" if len(missing) > LISTED else ""
        raise StriateError(f"{path} has no weights for {', '.join(missing[:LISTED])}{more}; is it of another net?")
    return state, statistics


def report_extra(net: CaffeNet, weights: Any) -> list[LayerReport]:
    """Layers of the file with numbers that neither the net nor what was dropped from it knows."""
    known = {call.layer.name for call in net.calls} | {out.layer.name for out in net.graph.dropped}
    return [
        LayerReport(name=layer.name, type=layer.type, status="in the file only, not used")
        for layer in layers_of(weights)
        if layer.message.blobs and layer.name not in known
    ]


def _statistics_of_batch_norm(module: BatchNorm, blobs: list[NDArray[np.float32]]) -> list[NDArray[np.float32]]:
    """Mean and variance out of Caffe's three blobs: both sums, and the factor that they are to be divided by."""
    if len(blobs) != 3 or blobs[2].size != 1:
        return blobs  # the count or the shape will be refused
    factor = float(blobs[2].reshape(()))
    with np.errstate(over="ignore", invalid="ignore"):  # what comes of it is refused
        scale = np.float32(0 if factor == 0 else 1 / factor)
        return [blobs[0] * scale, blobs[1] * scale]


def _named(
    prefix: str, module: nn.Module, blobs: list[NDArray[np.float32]], layer: Layer, path: object
) -> dict[str, Tensor]:
    wanted = module.state_dict()
    if len(blobs) != len(wanted):
        raise StriateError(
            f"{path}: layer {layer.name!r} holds {len(blobs)} blobs where the net has {len(wanted)} "
            f"({', '.join(wanted)}); is it of another net?"
        )
    named = {}
    for (name, tensor), numbers in zip(wanted.items(), blobs, strict=True):
        turned = isinstance(module, InnerProduct) and module.transpose and name == "weight"
        shape = tuple(tensor.shape[::-1] if turned else tensor.shape)
        if _four(numbers.shape) != _four(shape):
            raise StriateError(
                f"{path}: {name} of layer {layer.name!r} is {_by(numbers.shape)} in the file "
                f"and {_by(shape)} in the net"
            )
        finite = int(np.isfinite(numbers).sum())
        if finite < numbers.size:
            raise StriateError(
                f"{path}: {name} of layer {layer.name!r} has {numbers.size - finite} of {numbers.size} numbers "
                "that are NaN or infinite; is the file damaged?"
            )
        values = torch.from_numpy(numbers).reshape(shape)
        named[f"{prefix}.{name}"] = values.T.contiguous() if turned else values
    return named


def _four(shape: tuple[int, ...]) -> tuple[int, ...]:
    """A shape with ones before it up to four sides, as old files write it."""
    return (1,) * (4 - len(shape)) + shape


def _describe(blobs: list[NDArray[np.float32]]) -> Statistics:
    count = sum(numbers.size for numbers in blobs)
    total = sum(float(numbers.sum(dtype=np.float64)) for numbers in blobs)
    mean = total / count
    squares = sum(float(np.square(numbers - np.float64(mean)).sum()) for numbers in blobs)
    return Statistics(
        count=count,
        least=float(min(numbers.min() for numbers in blobs)),
        mean=mean,
        greatest=float(max(numbers.max() for numbers in blobs)),
        deviation=math.sqrt(squares / count),
    )


def _by(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape)) or "a number"
