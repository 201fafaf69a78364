"""`striate models`: the nets by name, and what each costs."""

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
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """List the nets that can be trained."""
    from striate.nets import list_models

    names = list_models(pattern)
    if not names:
        raise StriateError(f"no net matches {pattern!r}; `striate models` lists them all")
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
