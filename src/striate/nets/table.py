"""The layer table: what every layer of a net gives, holds and costs, for one image."""

from collections.abc import Callable
from dataclasses import dataclass
from typing import cast

from torch import nn

from striate import arithmetic
from striate.arithmetic import DoesNotFit
from striate.nets.describe import describe
from striate.nets.fit import misfit
from striate.nets.net import Net
from striate.nets.trace import Visit, walk

__all__ = ["LayerRow", "layer_table"]


@dataclass(frozen=True, kw_only=True)
class LayerRow:
    """One call of one layer; `output_shape` is per image, `params` counts what is learnt, `macs` multiply-adds."""

    name: str
    kind: str
    output_shape: tuple[int, ...]
    params: int
    macs: int


def layer_table(net: nn.Module, shape: tuple[int, int, int]) -> list[LayerRow]:
    """A row for every layer that one image of `shape` (C, H, W) passes, in order; nothing is computed or allocated.

    A layer that is called twice has two rows and its parameters in the first. MACs are those of convolutions and
    linear layers, as papers count them. Raises DoesNotFit for images that the net cannot take.

    >>> from striate.nets import create_model
    >>> for row in layer_table(create_model("lenet5", num_classes=10, in_chans=1), (1, 32, 32))[:3]:
    ...     print(row.name, row.kind, row.output_shape, row.params, row.macs)
    features.c1 conv 5×5 (6, 28, 28) 156 117600
    features.act1 relu (6, 28, 28) 0 0
    features.s2 max-pool 2×2, stride 2 (6, 14, 14) 0 0
    """
    walked = walk(net, shape)
    if walked.error is not None:
        reason = misfit(net, shape)
        name = net.spec.name if isinstance(net, Net) else type(net).__name__
        images = f"{shape[1]}×{shape[2]} images with {shape[0]} channel{'s' if shape[0] != 1 else ''}"
        raise DoesNotFit(f"{name} cannot take {images}: {reason}") from walked.error
    rows: list[LayerRow] = []
    counted: set[nn.Parameter] = set()
    for visit in walked.visits:
        own = set(visit.layer.parameters(recurse=False)) - counted
        counted |= own
        count = _MACS.get(type(visit.layer))
        rows.append(
            LayerRow(
                name=visit.name,
                kind=describe(visit.layer),
                output_shape=visit.output_shape or (),
                params=sum(parameter.numel() for parameter in own),
                macs=count(visit) if count else 0,
            )
        )
    return rows


def _conv(visit: Visit) -> int:
    layer, shape = cast(nn.Conv2d, visit.layer), visit.output_shape or ()
    kernel, out = (layer.kernel_size[0], layer.kernel_size[1]), (shape[1], shape[2])
    return arithmetic.conv(layer.in_channels, layer.out_channels, kernel=kernel, out=out, groups=layer.groups).macs


def _linear(visit: Visit) -> int:
    layer = cast(nn.Linear, visit.layer)
    return arithmetic.linear(layer.in_features, layer.out_features).macs


_MACS: dict[type[nn.Module], Callable[[Visit], int]] = {nn.Conv2d: _conv, nn.Linear: _linear}
