"""`striate models`: the nets by name, and what each costs."""

from pathlib import Path
from typing import Annotated, Any

import typer

from striate.cli.files import check_drawing
from striate.cli.table import print_json, print_table
from striate.errors import StriateError

__all__ = ["models"]

RIGHT = ("input", "params", "macs", "memory MiB", "sees px", "top-1", "top-5")
CLASSES, CHANNELS = 1000, 3  # what the costs are stated for: ImageNet's, as the papers do


def models(
    pattern: Annotated[str, typer.Argument(metavar="PATTERN", help="Only names that match it, e.g. 'res*'.")] = "*",
    verbose: Annotated[
        bool,
        typer.Option(
            "--verbose", "-v", help="Also what each costs, needs and sees (RGB, 1,000 classes), and what was published."
        ),
    ] = False,
    plot: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="Draw accuracy against operations, as published.")
    ] = None,
    chart: Annotated[Path | None, typer.Option(hidden=True)] = None,  # as --plot was called
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the nets that can be trained."""
    plot = plot or chart
    check_drawing("--plot", plot)
    from striate.nets import list_models

    names = list_models(pattern)
    if not names:
        raise StriateError(f"no net matches {pattern!r}; `striate models` lists them all")
    if plot is not None:
        _draw(names, plot)
        return
    rows = [_describe(name, verbose) for name in names]
    if as_json:
        print_json(rows)
        return
    print_table(list(rows[0]), [[_show(*cell) for cell in row.items()] for row in rows], right=RIGHT)


def _describe(name: str, verbose: bool) -> dict[str, Any]:
    from striate.nets import model_info

    info = model_info(name)
    row: dict[str, Any] = {"net": name, "input": list(info.input_size)}
    if verbose:
        row |= _figures(name)
    return row | {"source": info.source} | ({"settings": dict(info.settings)} if verbose else {})


def _figures(name: str) -> dict[str, Any]:
    """What the net costs, needs and sees at its own size (RGB, 1,000 classes), and what was published of it.

    The memory is the peak of inference on one image; the field is that of the last feature maps.
    """
    from striate.nets import create_model
    from striate.nets.accuracies import published_accuracies
    from striate.nets.inspect import cost, memory
    from striate.nets.weightless import weightless
    from striate.nets.weights.published import PUBLISHED

    with weightless():
        net = create_model(name, num_classes=CLASSES, in_chans=CHANNELS)
    shape = (CHANNELS, *net.spec.input_size)
    found = cost(net, shape)
    accuracy = published_accuracies().get(name)
    stages = {stage.name for stage in net.stages}
    fields = [row.field[0].pixels for row in found.stages if row.name in stages and row.field]
    return {
        "params": found.params,
        "macs": found.macs,
        "memory MiB": round(memory(net, shape).peak_nbytes / 2**20, 1),
        "sees px": fields[-1] if fields else None,
        "top-1": accuracy.top1 if accuracy else None,
        "top-5": accuracy.top5 if accuracy else None,
        "weights": [weights.name for weights in PUBLISHED.get(name, ())],
    }


def _draw(names: list[str], path: Path) -> None:
    from striate.atomic import write_bytes
    from striate.look import Bubble, bubble_chart
    from striate.nets import create_model, model_info
    from striate.nets.accuracies import published_accuracies
    from striate.nets.inspect import cost
    from striate.nets.weightless import weightless

    bubbles = []
    for name in names:
        accuracy = published_accuracies().get(name)
        if accuracy is not None and accuracy.top1 is not None:
            info = model_info(name)
            with weightless():
                net = create_model(name, num_classes=CLASSES, in_chans=CHANNELS)
            counted = cost(net, (CHANNELS, *info.input_size))
            bubbles.append(
                Bubble(
                    name=name,
                    family=info.family,
                    macs=counted.macs,
                    params=counted.params,
                    top1=accuracy.top1,
                    one_crop=accuracy.one_crop,
                )
            )
    if not bubbles:
        raise StriateError(f"no accuracy on ImageNet was published of {', '.join(names)}; there is nothing to draw")
    write_bytes(path, bubble_chart(bubbles).encode("utf-8"))
    print(f"{path}: {len(bubbles)} nets")


def _show(column: str, value: Any) -> Any:
    if column == "input":
        return "×".join(map(str, value))
    if column == "settings":
        return ", ".join(f"{name}={default}" for name, default in value.items()) or None
    if column == "weights":
        return "published" if value else None
    if column in ("top-1", "top-5") and value is not None:
        return f"{value:.1%}"
    return value
