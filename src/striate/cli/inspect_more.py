"""What `striate inspect` says beyond costs: cheaper layers (`--suggest`), and where a unit looks (`--field`)."""

import dataclasses
import io
from pathlib import Path
from typing import TYPE_CHECKING, Any

from striate.cli.table import print_table
from striate.errors import StriateError

if TYPE_CHECKING:
    from torch import nn

    from striate.nets.measured_field import MeasuredField
    from striate.nets.rewrite import Suggestion

__all__ = ["draw", "field_dict", "print_field", "print_suggestions", "suggestion_dict", "suggestions"]

MOST = 20  # suggestions shown; --json has them all


def suggestions(net: "nn.Module", shape: tuple[int, ...]) -> "list[Suggestion]":
    """What rewriters would save. Raises StriateError for an input that is no image."""
    from striate.nets.rewrite import suggest

    channels, height, width = _image(shape, "--suggest")
    return suggest(net, (channels, height, width))


def print_suggestions(name: str, found: "list[Suggestion]") -> None:
    """A table of those that save most."""
    if not found:
        print(f"\n{name}: no rewriter would save multiply-adds")
        return
    print(f"\n{name}: cheaper layers, most multiply-adds first\n")
    rows = [
        [s.layer, s.rewrite, s.params, s.new_params, s.macs, s.new_macs, f"{1 - s.new_macs / s.macs:.0%}", s.note]
        for s in found[:MOST]
    ]
    columns = ["layer", "rewrite", "params", "then", "MACs", "then ", "saved", ""]
    print_table(columns, rows, right=columns[2:7])
    if len(found) > MOST:
        print(f"and {len(found) - MOST} more; --json lists all")


def suggestion_dict(suggestion: "Suggestion") -> dict[str, Any]:
    """As JSON has it."""
    return dataclasses.asdict(suggestion)


def draw(net: "nn.Module", shape: tuple[int, ...], layer: str, path: Path) -> "MeasuredField":
    """Measure the field of the middle unit of `layer` and draw it to `path`.

    Raises StriateError for a layer without maps, a file that cannot be written, an ending that names no picture.
    """
    from PIL import Image

    from striate.atomic import write_bytes
    from striate.look import draw_field
    from striate.nets.measured_field import measured_field

    channels, height, width = _image(shape, "--field")
    kind = Image.registered_extensions().get(path.suffix.lower())
    if kind is None or kind not in Image.SAVE:
        raise StriateError(f"cannot draw to {path}: its ending names no kind of picture; try {path.stem}.png")
    field = measured_field(net, (channels, height, width), layer)
    picture = io.BytesIO()
    draw_field(field).save(picture, kind)
    write_bytes(path, picture.getvalue())
    return field


def print_field(name: str, field: "MeasuredField", path: Path) -> None:
    """What was measured, in a sentence."""
    height, width = field.support_size
    row, column = field.unit
    seen = f"{height}×{width} px have any influence" if field.support else "no pixel has any influence"
    print(
        f"\n{name}: unit ({row}, {column}) of {field.layer}: {seen}, the effective field is as large as "
        f"{field.effective_size:.0f}×{field.effective_size:.0f} px; drawn to {path}"
    )


def field_dict(field: "MeasuredField") -> dict[str, Any]:
    """As JSON has it, without the picture."""
    return {
        "layer": field.layer,
        "unit": field.unit,
        "support": field.support,
        "effective_px": field.effective_size,
    }


def _image(shape: tuple[int, ...], option: str) -> tuple[int, int, int]:
    if len(shape) != 3:
        raise StriateError(f"{option} is for images: give --input as channels×height×width, 3x224x224")
    return shape[0], shape[1], shape[2]
