"""`striate models`: the nets by name, and what each costs."""

from pathlib import Path
from typing import Annotated, Any

import typer

from striate.cli.table import print_json, print_table
from striate.errors import StriateError

__all__ = ["models"]

CLASSES, CHANNELS = 1000, 3  # what the costs are stated for: ImageNet's, as the papers do


def models(
    pattern: Annotated[str, typer.Argument(metavar="PATTERN", help="Only names that match it, e.g. 'res*'.")] = "*",
    verbose: Annotated[
        bool, typer.Option("--verbose", "-v", help="Also parameters and multiply-adds (RGB, 1,000 classes), settings.")
    ] = False,
    chart: Annotated[
        Path | None, typer.Option(metavar="FILE.svg", help="Draw accuracy against operations, as published.")
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the nets that can be trained."""
    from striate.nets import list_models

    names = list_models(pattern)
    if not names:
        raise StriateError(f"no net matches {pattern!r}; `striate models` lists them all")
    if chart is not None:
        _draw(names, chart)
        return
    rows = [_describe(name, verbose) for name in names]
    if as_json:
        print_json(rows)
        return
    columns = list(rows[0])
    print_table(columns, [[_show(value) for value in row.values()] for row in rows], right=["input", "params", "macs"])


def _describe(name: str, verbose: bool) -> dict[str, Any]:
    from striate.nets import model_info

    info = model_info(name)
    row: dict[str, Any] = {"net": name, "input": list(info.input_size)}
    if verbose:
        row |= _cost(name, info.input_size)
    return row | {"source": info.source} | ({"settings": dict(info.settings)} if verbose else {})


def _draw(names: list[str], path: Path) -> None:
    from striate.atomic import write_bytes
    from striate.look import Bubble, bubble_chart
    from striate.nets import model_info
    from striate.nets.accuracies import published_accuracies

    bubbles = []
    for name in names:
        accuracy = published_accuracies().get(name)
        if accuracy is not None and accuracy.top1 is not None:
            info = model_info(name)
            cost = _cost(name, info.input_size)
            bubbles.append(
                Bubble(
                    name=name,
                    family=info.family,
                    macs=cost["macs"],
                    params=cost["params"],
                    top1=accuracy.top1,
                    one_crop=accuracy.one_crop,
                )
            )
    if not bubbles:
        raise StriateError(f"no accuracy on ImageNet was published of {', '.join(names)}; there is nothing to draw")
    write_bytes(path, bubble_chart(bubbles).encode("utf-8"))
    print(f"{path}: {len(bubbles)} nets")


def _cost(name: str, size: tuple[int, int]) -> dict[str, int]:
    """Parameters, and multiply-adds for one image; on the meta device, so nothing is allocated."""
    import torch

    from striate.nets import create_model, layer_table

    with torch.device("meta"):
        net = create_model(name, num_classes=CLASSES, in_chans=CHANNELS)
    layers = layer_table(net, (CHANNELS, *size))
    return {"params": sum(layer.params for layer in layers), "macs": sum(layer.macs for layer in layers)}


def _show(value: Any) -> Any:
    if isinstance(value, list):
        return "×".join(map(str, value))
    if isinstance(value, dict):
        return ", ".join(f"{name}={default}" for name, default in value.items()) or None
    return value
