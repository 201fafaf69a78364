"""The net that an argument of `striate inspect` names: of the zoo, a model file, a run folder, a Caffe prototxt."""

import contextlib
from collections.abc import Callable
from pathlib import Path
from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from torch import nn

__all__ = ["has_weights", "net_of"]


def net_of(
    name: str, shape: tuple[int, ...] | None, classes: int, *, weights: bool = False
) -> tuple["nn.Module", tuple[int, ...]]:
    """The net and the input it is made for, one image's; without its weights unless they are asked for.

    Raises StriateError for what is neither a net's name nor a file of one.
    """
    from striate.nets import create_model
    from striate.nets.weightless import weightless

    made = contextlib.nullcontext if weights else weightless
    if _is_file(name):
        return _of_file(Path(name), made, weights)
    channels, *sides = shape or (3,)
    size = (sides[0], sides[1]) if len(sides) == 2 else None
    with made():
        net = create_model(name, num_classes=classes, in_chans=channels, input_size=size)
    return net, (channels, *net.spec.input_size)


def _of_file(
    path: Path, made: Callable[[], contextlib.AbstractContextManager[None]], weights: bool
) -> tuple["nn.Module", tuple[int, ...]]:
    """Of a model file, a run folder (its best model) or a Caffe prototxt, whose weights are those it begins with."""
    if path.suffix == ".prototxt":
        from striate.nets.caffe.convert import convert

        with made():
            converted = convert(path)
        return converted.net, (converted.card.in_chans, *converted.card.input_size)
    from striate.nets.weights import load_model, read_card

    if path.is_dir():
        from striate.evaluate import model_path

        path = model_path(path)
    card = read_card(path)
    own = (card.in_chans, *card.input_size)
    if weights:
        return load_model(path)[0], own
    with made():
        return card.build(), own


def has_weights(name: str) -> bool:
    """Whether `name` is a file that holds trained weights."""
    return _is_file(name) and Path(name).suffix != ".prototxt"


def _is_file(name: str) -> bool:
    from striate.nets import list_models

    return name not in list_models() and (Path(name).exists() or bool(Path(name).suffix))
