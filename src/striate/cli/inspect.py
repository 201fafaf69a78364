"""`striate inspect`: what nets cost, see and need, before they are built."""

import contextlib
import csv
import dataclasses
import gc
import sys
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING, Annotated, Any

import typer

from striate.cli import inspect_more
from striate.cli.failure import UsageError
from striate.cli.files import check_output
from striate.cli.inspect_net import has_weights, net_of
from striate.cli.lists import sides
from striate.cli.table import print_json, print_table
from striate.errors import few
from striate.pages.wording import plural

if TYPE_CHECKING:
    from striate.arithmetic import Field
    from striate.nets.inspect import CostRow, Memory, ModuleCost

__all__ = ["inspect"]

MIB = 2**20
RIGHT = ("params", "MACs", "FLOPs", "made MiB", "kept MiB", "FLOPs/byte", "sees px", "every px", "calls")


def inspect(
    nets: Annotated[
        list[str], typer.Argument(metavar="NET…", help="Nets by name, model files, run folders, prototxts.")
    ],
    input: Annotated[
        str | None, typer.Option("--input", metavar="CxHxW", help="Input of one image; the net's own size otherwise.")
    ] = None,
    by: Annotated[
        str | None, typer.Option("--by", help="total, stage, operator or layer; stage for one net, total for several.")
    ] = None,
    classes: Annotated[int, typer.Option("--classes", help="Classes of a net given by name.")] = 1000,
    batch_size: Annotated[int, typer.Option("--batch-size", "-b", help="Images at once, for the memory.")] = 1,
    optimizer: Annotated[
        str | None, typer.Option("--optimizer", help="sgd, momentum, adamw, …: the memory of training.")
    ] = None,
    precision: Annotated[str, typer.Option("--precision", help="fp32, bf16 or fp16.")] = "fp32",
    checkpointing: Annotated[
        bool, typer.Option("--checkpointing", help="Train with blocks computed twice instead of kept.")
    ] = False,
    device: Annotated[
        str, typer.Option("--device", help="cpu or cuda: whose memory; a CPU's convolutions copy what they work on.")
    ] = "cpu",
    fits: Annotated[
        str | None, typer.Option("--fits", metavar="16GB", help="The largest batch whose peak is within this much.")
    ] = None,
    suggest: Annotated[
        bool, typer.Option("--suggest", help="Also what cheaper layers would save, of a model file with their error.")
    ] = False,
    field: Annotated[
        tuple[str, Path] | None,
        typer.Option(
            "--field", metavar="LAYER FILE.png", help="Measure and draw where the middle unit of LAYER looks."
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
    as_csv: Annotated[bool, typer.Option("--csv", help="Print CSV instead of a table.")] = False,
    html: Annotated[
        Path | None, typer.Option("--html", metavar="FILE", help="Also write a page with a drawing.")
    ] = None,
) -> None:
    """Say what nets cost, see and need: parameters, multiply-adds, memory, receptive fields."""
    if as_json and as_csv:
        raise UsageError("--json and --csv exclude each other; give one of them")
    untold = "--suggest" if suggest else "--fits" if fits is not None and html is None else None
    if as_csv and untold is not None:
        raise UsageError(
            f"--csv holds the rows of the table alone, not what {untold} finds; leave out one, or give --json"
        )
    check_output(html)
    view = by or ("stage" if len(nets) == 1 else "total")
    shape = tuple(sides("--input", input, "3x224x224")) if input else None
    settings = {
        "optimizer": optimizer,
        "precision": precision,
        "checkpointing": checkpointing,
        "device": device,
    }
    with _no_collection():
        found = [_inspected(name, shape, classes, batch_size, fits, settings) for name in nets]
    if html is not None:
        from striate.cli.inspect_page import write_page

        write_page(html, [(cost, memory) for cost, memory in found])
    more = [_More(name, shape, classes, suggest, field, alone=len(nets) == 1) for name in nets]
    if as_json:
        print_json(
            [_as_dict(cost, memory, view) | one.as_dict() for (cost, memory), one in zip(found, more, strict=True)]
        )
    elif as_csv:
        _print_csv([(cost.name, row) for cost, _ in found for row in cost.by(view)])
    else:
        _print(found, view, fits)
        for one in more:
            one.print()


class _More:
    """What was asked beyond costs, of one net."""

    def __init__(
        self,
        name: str,
        shape: tuple[int, ...] | None,
        classes: int,
        suggest: bool,
        field: tuple[str, Path] | None,
        *,
        alone: bool,
    ) -> None:
        self.name = name
        self.suggestions = self.field = None
        if suggest:
            net, own = net_of(name, shape, classes, weights=has_weights(name))
            self.suggestions = inspect_more.suggestions(net, shape or own)
        if field is not None:
            if not alone:
                raise UsageError("--field draws one net; give one")
            net, own = net_of(name, shape, classes, weights=True)
            self.field, self.path = inspect_more.draw(net, shape or own, *field), field[1]

    def print(self) -> None:
        if self.suggestions is not None:
            inspect_more.print_suggestions(self.name, self.suggestions)
        if self.field is not None:
            inspect_more.print_field(self.name, self.field, self.path)

    def as_dict(self) -> dict[str, Any]:
        found: dict[str, Any] = {}
        if self.suggestions is not None:
            found["suggestions"] = [inspect_more.suggestion_dict(one) for one in self.suggestions]
        if self.field is not None:
            found["measured_field"] = inspect_more.field_dict(self.field)
        return found


@contextlib.contextmanager
def _no_collection() -> Iterator[None]:
    """A process of two seconds: going over everything that `import torch` made would be a tenth of them."""
    before = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if before:
            gc.enable()


def _inspected(
    name: str,
    shape: tuple[int, ...] | None,
    classes: int,
    batch_size: int,
    fits: str | None,
    settings: dict[str, Any],
) -> tuple["ModuleCost", "Memory"]:
    from striate.arithmetic import parse_nbytes
    from striate.nets.inspect import cost, largest_batch, memory

    net, own = net_of(name, shape, classes)
    found = cost(net, shape or own)
    if fits is not None:
        return found, largest_batch(net, shape or own, parse_nbytes(fits), **settings)
    return found, memory(net, shape or own, batch_size=batch_size, **settings)


def _print(found: list[tuple["ModuleCost", "Memory"]], view: str, fits: str | None) -> None:
    if view == "total":
        rows = [[cost.name, "×".join(map(str, cost.input_shape[1:])), *_cells(cost.total)[2:]] for cost, _ in found]
        columns = ["net", "input", *_columns()[2:]]
        print_table(
            [*columns, "peak MiB"],
            [[*r, _mib(m.peak_nbytes)] for r, (_, m) in zip(rows, found, strict=True)],
            right=[*RIGHT, "peak MiB"],
        )
    for cost, memory in found:
        if view != "total":
            print(f"{cost.name}, input {'×'.join(map(str, cost.input_shape[1:]))}\n")
            rows = [_cells(row) for row in (*cost.by(view), cost.total)]
            print_table(_columns(), rows, right=RIGHT)
            print()
        head = f"{cost.name}: " if len(found) > 1 else ""
        print(head + _memory_words(memory, fits))
        for op in cost.unknown:
            where = few(op.modules, 3)
            print(f"{head}the cost of {op.name} is unknown and not counted: {plural(op.calls, 'call')}, in {where}")


def _columns() -> list[str]:
    return ["name", "what", "output", *RIGHT[:-1]]


def _cells(row: "CostRow") -> list[Any]:
    what = plural(row.calls, "call") if row.kind in ("stage", "operator", "everything") else row.kind
    return [
        row.name or "(itself)",
        what,
        "×".join(map(str, row.output_shape)) or None,
        row.params,
        row.macs,
        row.flops,
        _mib(row.made_nbytes),
        _mib(row.kept_nbytes) if row.kind != "operator" else None,  # kept by calls; autograd does not say for whom
        f"{row.intensity:.1f}",
        _px([field.pixels for field in row.field]),
        _px([field.jump for field in row.field]) if any(field.jump for field in row.field) else None,
    ]


def _px(values: list[Any]) -> str | None:
    """One number where all axes agree."""
    if not values:
        return None
    return str(values[0]) if len(set(values)) == 1 else "×".join(map(str, values))


def _mib(nbytes: int) -> str:
    """Three digits at least: a small net's layers are hundredths of a MiB."""
    mib = nbytes / MIB
    return f"{mib:,.1f}" if mib >= 10 or nbytes == 0 else f"{mib:.3g}" if mib >= 0.001 else f"{mib:.1e}"


def _memory_words(memory: "Memory", fits: str | None) -> str:
    doing = "training" if memory.training else "inference"
    images = plural(memory.batch_size, "image")
    told = ", ".join(f"{name} {_mib(nbytes)}" for name, nbytes in memory.at_peak.items() if nbytes)
    sentence = f"{doing} on {images} in {memory.precision} needs {_mib(memory.peak_nbytes)} MiB at its peak ({told})"
    if not fits:
        return sentence
    from striate.nets.inspect import MOST_IMAGES

    if memory.batch_size == MOST_IMAGES:
        return f"{sentence}; more may fit {fits}, the search ends there"
    return f"{sentence}; one image more does not fit {fits}"


def _as_dict(cost: "ModuleCost", memory: "Memory", view: str) -> dict[str, Any]:
    return {
        "net": cost.name,
        "input": list(cost.input_shape),
        "total": _row_dict(cost.total),
        "rows": [_row_dict(row) for row in cost.by(view)],
        "unknown": [dataclasses.asdict(op) for op in cost.unknown],
        "unused": list(cost.unused),
        "memory": {**dataclasses.asdict(memory), "peak_nbytes": memory.peak_nbytes},
    }


def _row_dict(row: "CostRow") -> dict[str, Any]:
    fields = {field.name: getattr(row, field.name) for field in dataclasses.fields(row) if field.name != "field"}
    seen = [_field_dict(field) for field in row.field]
    return {
        **fields,
        "output_shape": list(row.output_shape),
        "flops": row.flops,
        "intensity": row.intensity,
        "field": seen,
    }


def _field_dict(field: "Field") -> dict[str, Any]:
    return {"size": float(field.size), "jump": float(field.jump), "start": float(field.start)}


def _print_csv(rows: list[tuple[str, "CostRow"]]) -> None:
    """One line a row; several axes are separated by ×."""
    writer = csv.writer(sys.stdout, lineterminator="\n")
    writer.writerow(
        [
            "net",
            "name",
            "kind",
            "calls",
            "output_shape",
            "params",
            "macs",
            "flops",
            "made_nbytes",
            "kept_nbytes",
            "moved_nbytes",
            "intensity",
            "field_px",
            "jump_px",
        ]
    )
    for net, row in rows:
        writer.writerow(
            [
                net,
                row.name,
                row.kind,
                row.calls,
                "×".join(map(str, row.output_shape)),
                row.params,
                row.macs,
                row.flops,
                row.made_nbytes,
                row.kept_nbytes,
                row.moved_nbytes,
                f"{row.intensity:.4f}",
                "×".join(str(field.pixels) for field in row.field),
                "×".join(str(field.jump) for field in row.field),
            ]
        )
