"""What a module did, written down: tensors, the operators between them, and the module calls these happened in.

A graph holds no torch tensors. Its values know shapes, bytes and storages (a view shares its base's); an operation
keeps the operator's name and arguments as torch gave them, with values in the tensors' places.
"""

from collections.abc import Iterator
from dataclasses import dataclass, field
from typing import Any

from torch import nn

__all__ = ["Call", "Graph", "Operation", "Parameter", "Value", "values_in"]


@dataclass(frozen=True, kw_only=True, eq=False)
class Value:
    """One tensor. `storage` is a number for the memory it lies in, of which it covers `nbytes` (an expanded tensor has
    more elements than that).
    """

    shape: tuple[int, ...]
    nbytes: int
    storage: int


@dataclass(frozen=True, kw_only=True, eq=False)
class Operation:
    """One aten operator that ran, in call number `call`. `made` are the bytes of storages that are new."""

    name: str
    call: int
    args: tuple[Any, ...]
    kwargs: dict[str, Any]
    outputs: tuple[Value, ...]
    made: int

    @property
    def inputs(self) -> Iterator[Value]:
        """The tensors it read."""
        yield from values_in(self.args)
        yield from values_in(self.kwargs)


@dataclass(kw_only=True, eq=False)
class Call:
    """One call of one module. `kept` are the bytes that autograd saved first in it, not in a module below it."""

    path: str
    layer: nn.Module
    parent: int | None
    inputs: tuple[Value, ...] = ()
    outputs: tuple[Value, ...] | None = None
    kept: int = 0

    @property
    def is_layer(self) -> bool:
        """A module without children, or one with parameters of its own."""
        childless = next(self.layer.children(), None) is None
        return childless or next(self.layer.parameters(recurse=False), None) is not None


@dataclass(frozen=True, kw_only=True)
class Parameter:
    """A distinct parameter under the first of its names."""

    name: str
    numel: int
    nbytes: int


@dataclass(kw_only=True, eq=False)
class Graph:
    """Everything one walk recorded. Call 0 is the module itself; parameters and buffers are known by their storage."""

    inputs: tuple[Value, ...] = ()
    outputs: tuple[Value, ...] = ()
    calls: list[Call] = field(default_factory=list)
    operations: list[Operation] = field(default_factory=list)
    parameters: dict[int, Parameter] = field(default_factory=dict)
    buffers: dict[int, int] = field(default_factory=dict)  # storage: bytes


def values_in(tree: Any) -> Iterator[Value]:
    """The values in nested tuples, lists and dicts."""
    if isinstance(tree, Value):
        yield tree
    elif isinstance(tree, tuple | list):
        for item in tree:
            yield from values_in(item)
    elif isinstance(tree, dict):
        for item in tree.values():
            yield from values_in(item)
