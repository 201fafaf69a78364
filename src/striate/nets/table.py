"""The layer table: what every layer of a net gives, holds and costs, for one image. A view of `nets.inspect.cost`."""

from dataclasses import dataclass

from torch import nn

from striate.nets.inspect.costs import NOT_USED, cost

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
    products of matrices, as papers count them. What a module does between its layers (additions, mostly) has no row;
    `cost` has them all. Raises DoesNotFit for images that the net cannot take.

    >>> from striate.nets import create_model
    >>> for row in layer_table(create_model("lenet5", num_classes=10, in_chans=1), (1, 32, 32))[:3]:
    ...     print(row.name, row.kind, row.output_shape, row.params, row.macs)
    features.c1 conv 5×5 (6, 28, 28) 156 117600
    features.act1 relu (6, 28, 28) 0 0
    features.s2 max-pool 2×2, stride 2 (6, 14, 14) 0 0
    """
    return [
        LayerRow(name=row.name, kind=row.kind, output_shape=row.output_shape, params=row.params, macs=row.macs)
        for row in cost(net, shape).layers
        if not row.functional and row.name != NOT_USED
    ]
