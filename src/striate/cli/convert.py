"""`striate convert`: nets that others trained, into model files."""

from pathlib import Path
from typing import TYPE_CHECKING, Annotated

import typer

from striate.cli.failure import UsageError
from striate.cli.files import check_output
from striate.cli.lists import sides
from striate.cli.table import print_json, print_table
from striate.errors import StriateError

if TYPE_CHECKING:
    from striate.nets import Net
    from striate.nets.caffe.weights import LayerReport

__all__ = ["convert"]


def convert(
    source: Annotated[
        Path, typer.Argument(metavar="SOURCE", help="A Caffe .prototxt, or weights: .pth, .th, .safetensors.")
    ],
    weights: Annotated[Path | None, typer.Argument(metavar="WEIGHTS", help="The .caffemodel of a prototxt.")] = None,
    output: Annotated[Path | None, typer.Option("--output", "-o", help="The model file to write.")] = None,
    model: Annotated[str | None, typer.Option(metavar="NET", help="The net that weights belong to.")] = None,
    classes: Annotated[Path | None, typer.Option(metavar="FILE", help="Class names, one a line.")] = None,
    mean: Annotated[
        str | None, typer.Option(help="Caffe: a mean .binaryproto, or values such as 104,117,123 in the net's order.")
    ] = None,
    scale: Annotated[float | None, typer.Option(help="Caffe: what bytes less the mean are multiplied by.")] = None,
    rgb: Annotated[bool, typer.Option("--rgb", help="Caffe: the net takes red first, not blue.")] = False,
    image: Annotated[
        str | None, typer.Option(metavar="CxHxW", help="What the net takes, where the file does not say.")
    ] = None,
    resize: Annotated[
        str | None, typer.Option(metavar="HxW", help="Size of images before their middle is cut out.")
    ] = None,
    blob: Annotated[str, typer.Option(help="Caffe: the blob that holds the scores.  [default: the last]")] = "",
    as_json: Annotated[bool, typer.Option("--json", help="Print JSON instead of a table.")] = False,
) -> None:
    """Turn a Caffe net, or weights of a net of ours, into a model file; report every layer.

    Without --output, only report.
    """
    check_output(output)
    names = _classes(classes)
    cover = _cover(resize)
    net: Net
    if source.suffix == ".prototxt":
        from striate.nets.caffe.convert import convert as from_caffe

        made = from_caffe(
            source,
            weights,
            mean=_mean(mean),
            scale=scale,
            bgr=False if rgb else None,
            image=_image(image),
            resize=cover,
            classes=names,
            output=blob,
        )
        _report(made.layers, made.notes, as_json)
        net, card = made.net, made.card
    else:
        if model is None:
            raise UsageError("weights do not say which net they belong to; give it: --model resnet50")
        from striate.nets.imported import import_weights

        found = import_weights(source, model, classes=names, image=_image(image), resize=cover)
        _report((), found.notes, as_json)
        net, card = found.net, found.card
    if output is not None:
        from striate.nets.weights import save_model

        save_model(output, net, card)
        if not as_json:
            print(f"{output}: {card.net}, {len(card.classes):,} classes, {_by(card.input_size)} px")


def _report(layers: tuple["LayerReport", ...], notes: tuple[str, ...], as_json: bool) -> None:
    import dataclasses

    if as_json:
        print_json({"layers": [dataclasses.asdict(row) for row in layers], "notes": notes})
        return
    rows = []
    for row in layers:
        found = row.statistics
        told = [found.least, found.mean, found.greatest, found.deviation] if found else []
        numbers: list[str | None] = [f"{value:.3g}" for value in told] or [None] * 4
        shapes = " ".join(map(_by, row.shapes)) or None
        rows.append([row.name, row.type, _by(row.output) or None, shapes, *numbers, row.status])
    columns = ["layer", "type", "output", "weights", "min", "mean", "max", "std", "what became of it"]
    if rows:
        print_table(columns, rows, right=["min", "mean", "max", "std"])
    for note in notes:
        print(f"note: {note}")


def _classes(path: Path | None) -> tuple[str, ...] | None:
    if path is None:
        return None
    from striate.nets.trained import read_classes

    return read_classes(path)


def _mean(given: str | None) -> str | tuple[float, ...] | None:
    """A file, or values with commas between them."""
    if given is None or Path(given).exists():
        return given
    try:
        return tuple(float(value) for value in given.split(","))
    except ValueError as error:
        raise StriateError(f"--mean {given}: no such file, and no values such as 104,117,123") from error


def _image(given: str | None) -> tuple[int, int, int] | None:
    if given is None:
        return None
    channels, height, width = sides("--image", given, "3x224x224")
    return channels, height, width


def _cover(given: str | None) -> tuple[int, int] | None:
    if given is None:
        return None
    height, width = sides("--resize", given, "256x256")
    return height, width


def _by(shape: tuple[int, ...]) -> str:
    return "×".join(map(str, shape))
