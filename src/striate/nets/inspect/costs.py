"""What a module costs and sees: one trace, told in widening views.

by layer (every call of a layer, and what happens between layers), by stage, by operator, total. FLOPs are 2 × MACs.
"""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Literal

from torch import nn

from striate.arithmetic import DoesNotFit, Field
from striate.errors import UnknownName, unknown
from striate.nets.describe import describe
from striate.nets.fit import misfit
from striate.nets.inspect.count import MOVES_NOTHING, macs_of
from striate.nets.inspect.follow import follow
from striate.nets.inspect.given import Input, inputs_for, spatial_axes
from striate.nets.inspect.graph import Graph, Operation
from striate.nets.inspect.record import record
from striate.nets.net import Net
from striate.pages.wording import plural

__all__ = ["NOT_USED", "VIEWS", "CostRow", "ModuleCost", "UnknownOperator", "cost"]

View = Literal["layer", "stage", "operator", "total"]
VIEWS: tuple[View, ...] = ("layer", "stage", "operator", "total")
NOT_USED = "(not used)"


@dataclass(frozen=True, kw_only=True)
class CostRow:
    """A layer, a stage, an operator or all of them, for the whole input given.

    `output_shape` is without the batch. Bytes: `made_nbytes` of tensors that the forward pass makes, `kept_nbytes` of
    those that autograd keeps for the backward pass, `moved_nbytes` read and written. `field` is the receptive field
    along each axis of the input; empty where the output does not depend on the input, or belongs to no one place.
    """

    name: str
    kind: str
    functional: bool = False  # not a layer of its own, but what a module's forward does between its layers
    calls: int = 1
    output_shape: tuple[int, ...] = ()
    params: int = 0
    macs: int = 0
    made_nbytes: int = 0
    kept_nbytes: int = 0
    moved_nbytes: int = 0
    field: tuple[Field, ...] = ()

    @property
    def flops(self) -> int:
        """Floating-point operations of the multiply-adds: two for each."""
        return 2 * self.macs

    @property
    def intensity(self) -> float:
        """FLOPs for every byte moved; below some tens, memory is what a machine waits for (Williams 2009)."""
        return self.flops / self.moved_nbytes if self.moved_nbytes else 0.0


@dataclass(frozen=True, kw_only=True)
class UnknownOperator:
    """An operator of which it is not known what it costs, or sees, so that it is taken to see everything: its name, how
    often it ran, the modules it ran in.
    """

    name: str
    calls: int
    modules: tuple[str, ...]


@dataclass(frozen=True, kw_only=True)
class ModuleCost:
    """What `cost` found. `layers`, `stages` and `operators` each add up to `total`; but what autograd keeps, it keeps
    for a layer, and no operator has a share of it.

    `unused` are the parameters that no operator touched; they are in the total, in a row of their own.
    """

    name: str
    input_shape: tuple[int, ...]
    layers: tuple[CostRow, ...]
    stages: tuple[CostRow, ...]
    operators: tuple[CostRow, ...]
    total: CostRow
    unknown: tuple[UnknownOperator, ...]
    unused: tuple[str, ...]

    params = property(lambda self: self.total.params)
    macs = property(lambda self: self.total.macs)
    flops = property(lambda self: self.total.flops)

    def by(self, view: str) -> tuple[CostRow, ...]:
        """The rows of one view. Raises StriateError for a view that does not exist."""
        rows = {"layer": self.layers, "stage": self.stages, "operator": self.operators, "total": (self.total,)}
        if view not in rows:
            raise UnknownName(unknown("view", view, VIEWS))
        return rows[view]

    def __str__(self) -> str:
        lines = [f"{self.name}, input {'×'.join(map(str, self.input_shape))}"]
        for row in [*self.stages, self.total]:
            shape = "×".join(map(str, row.output_shape)) or "–"
            lines.append(f"{row.name:<16} {shape:>14} {row.params:>13,} params {row.macs:>17,} MACs")
        lines += [f"unknown cost: {op.name} ×{op.calls} in {', '.join(op.modules)}" for op in self.unknown]
        return "\n".join(lines)


def cost(module: nn.Module, input: Input, *, training: bool = False) -> ModuleCost:
    """What `module` costs and sees on `input`: a shape (C, H, W) of one image, a shape with its batch, a tensor, or a
    tuple of them. Nothing is computed and nothing allocated; the module may be on any device and stays as it is.

    `training` walks it as it trains (dropout, auxiliary heads); otherwise as it answers.

    Raises DoesNotFit, naming the layer, where the module refuses the input.

    >>> from striate.nets import create_model
    >>> found = cost(create_model("lenet5", num_classes=10, in_chans=1), (1, 32, 32))
    >>> found.params, found.macs, found.flops
    (61706, 416520, 833040)
    >>> found.layers[3].name, found.layers[3].kind, found.layers[3].field[0].pixels
    ('features.c3', 'conv 5×5', 14)
    """
    inputs = inputs_for(module, input)
    try:
        graph = record(module, inputs, training=training)
    except DoesNotFit as refused:
        shape = tuple(inputs[0].shape[1:])
        raise _explained(module, shape, refused) from refused.__cause__
    return _told(module, graph, spatial_axes(module, inputs[0]))


def _explained(module: nn.Module, shape: tuple[int, ...], refused: DoesNotFit) -> DoesNotFit:
    """For images, the same words as everywhere else."""
    if len(shape) != 3:
        return refused
    reason = misfit(module, (shape[0], shape[1], shape[2]))
    images = f"{shape[1]}×{shape[2]} images with {plural(shape[0], 'channel')}"
    return DoesNotFit(f"{_name(module)} cannot take {images}: {reason}") if reason else refused


def _name(module: nn.Module) -> str:
    return module.spec.name if isinstance(module, Net) else type(module).__name__


def _told(module: nn.Module, graph: Graph, axes: Sequence[int]) -> ModuleCost:
    fields = follow(graph, axes)
    within: dict[int, list[Operation]] = {}
    ended: dict[int, int] = {}  # by the row's index: when its last operator ran
    for op in graph.operations:
        within.setdefault(op.call, []).append(op)
    order = {id(op): time for time, op in enumerate(graph.operations)}
    first_read = _first_read(graph)
    used = {storage for storages in first_read.values() for storage in storages}
    layers: list[CostRow] = []
    for index, call in enumerate(graph.calls):
        ops = within.get(index, [])
        working = [op for op in ops if op.name.rstrip("_") not in MOVES_NOTHING]
        if not call.is_layer and not working:
            continue
        outputs = call.outputs or () if call.is_layer or not working else working[-1].outputs
        first = next((value for value in outputs), None)
        ended[len(layers)] = order[id(ops[-1])] if ops else -1
        layers.append(
            CostRow(
                name=call.path,
                kind=describe(call.layer) if call.is_layer else ", ".join(dict.fromkeys(op.name for op in working)),
                functional=not call.is_layer,
                output_shape=first.shape[1:] if first else (),
                params=sum(graph.parameters[storage].numel for storage in first_read.get(index, ())),
                macs=sum(macs_of(op) or 0 for op in ops),
                made_nbytes=sum(op.made for op in ops),
                kept_nbytes=call.kept,
                moved_nbytes=sum(map(_moved, ops)),
                field=fields.get(first, ()) if first else (),
            )
        )
    unused = [graph.parameters[storage] for storage in graph.parameters if storage not in used]
    spare = [CostRow(name=NOT_USED, kind="parameters", calls=0, params=sum(p.numel for p in unused))] if unused else []
    layers += spare
    out = next((value for value in graph.outputs), None)
    total = replace(
        _sum("total", "everything", layers),
        output_shape=out.shape[1:] if out else (),
        field=fields.get(out, ()) if out else (),
    )
    return ModuleCost(
        name=_name(module),
        input_shape=graph.inputs[0].shape if graph.inputs else (),
        layers=tuple(layers),
        stages=tuple(_stages(module, layers, ended)),
        operators=(*_operators(graph), *spare),
        total=total,
        unknown=tuple(_unknown(graph)),
        unused=tuple(parameter.name for parameter in unused),
    )


def _first_read(graph: Graph) -> dict[int, list[int]]:
    """The parameters by the call that read them first."""
    first: dict[int, int] = {}
    for op in graph.operations:
        for value in op.inputs:
            if value.storage in graph.parameters:
                first.setdefault(value.storage, op.call)
    calls: dict[int, list[int]] = {}
    for storage, call in first.items():
        calls.setdefault(call, []).append(storage)
    return calls


def _params(graph: Graph, ops: Sequence[Operation], used: set[int]) -> int:
    """Parameters that these operators read and none in `used`, to which they are added."""
    read = {value.storage for op in ops for value in op.inputs if value.storage in graph.parameters} - used
    used |= read
    return sum(graph.parameters[storage].numel for storage in read)


def _moved(op: Operation) -> int:
    """Bytes read and written; a view does neither."""
    if op.name.rstrip("_") in MOVES_NOTHING:
        return 0
    return sum(value.nbytes for value in op.inputs) + sum(value.nbytes for value in op.outputs)


def _stages(module: nn.Module, layers: Sequence[CostRow], ended: Mapping[int, int]) -> list[CostRow]:
    """Rows put together by the net's stages, or by the module's children where it has none.

    What a stage gives is what the last of its operators gave: a residual block's addition has its row before the
    layers that it adds up.
    """
    rows = [row for row in layers if row.name != NOT_USED]
    groups: dict[str, list[tuple[int, CostRow]]] = {}
    if isinstance(module, Net) and module.stages:
        ends = [max((i for i, row in enumerate(rows) if _inside(row.name, s.name)), default=-1) for s in module.stages]
        begin = next((i for i, row in enumerate(rows) if row.name.startswith(f"{module.stages[0].name}.")), 0)
        for i, row in enumerate(rows):
            name = next((s.name for s, end in zip(module.stages, ends, strict=True) if i <= end), "head")
            name = "stem" if i < begin else name
            groups.setdefault(name, []).append((i, row))
    else:
        depth = 1
        while rows and len({_first(row.name, depth) for row in rows}) == 1 and rows[0].name.count(".") >= depth:
            depth += 1
        for i, row in enumerate(rows):
            groups.setdefault(_first(row.name, depth) or "(itself)", []).append((i, row))
    stages = []
    for name, group in groups.items():
        _, last = max(group, key=lambda numbered: (ended.get(numbered[0], -1), numbered[0]))
        whole = _sum(name, "stage", [row for _, row in group])
        stages.append(replace(whole, output_shape=last.output_shape, field=last.field))
    return stages + [row for row in layers if row.name == NOT_USED]


def _inside(name: str, stage: str) -> bool:
    return name == stage or name.startswith(f"{stage}.")


def _first(name: str, depth: int) -> str:
    return ".".join(name.split(".")[:depth])


def _sum(name: str, kind: str, rows: Sequence[CostRow]) -> CostRow:
    return CostRow(
        name=name,
        kind=kind,
        calls=sum(row.calls for row in rows),
        params=sum(row.params for row in rows),
        macs=sum(row.macs for row in rows),
        made_nbytes=sum(row.made_nbytes for row in rows),
        kept_nbytes=sum(row.kept_nbytes for row in rows),
        moved_nbytes=sum(row.moved_nbytes for row in rows),
    )


def _operators(graph: Graph) -> list[CostRow]:
    groups: dict[str, list[Operation]] = {}
    for op in graph.operations:
        if op.name.rstrip("_") not in MOVES_NOTHING:
            groups.setdefault(op.name, []).append(op)
    used: set[int] = set()
    rows = [
        CostRow(
            name=name,
            kind="operator",
            calls=len(ops),
            params=_params(graph, ops, used),
            macs=sum(macs_of(op) or 0 for op in ops),
            made_nbytes=sum(op.made for op in ops),
            moved_nbytes=sum(map(_moved, ops)),
        )
        for name, ops in groups.items()
    ]
    return sorted(rows, key=lambda row: (-row.macs, -row.moved_nbytes))


def _unknown(graph: Graph) -> list[UnknownOperator]:
    groups: dict[str, list[str]] = {}
    for op in graph.operations:
        if macs_of(op) is None:
            groups.setdefault(op.name, []).append(graph.calls[op.call].path or "the module itself")
    return [UnknownOperator(name=n, calls=len(at), modules=tuple(dict.fromkeys(at))) for n, at in groups.items()]
