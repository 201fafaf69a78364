"""Weights of a net of ours, from wherever, into a net with a card.

The file says nothing of classes and images. The number of classes is read off the layer that gives the scores; images
are prepared as ImageNet's usually are, and the note says so, because nobody can see in a file whether that is right.
"""

import dataclasses
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from striate.errors import StriateError
from striate.nets.create import create_model
from striate.nets.net import Net
from striate.nets.registry import build, model_info
from striate.nets.weightless import weightless
from striate.nets.weights.model_file import ModelCard
from striate.nets.weights.published import IMAGENET, PUBLISHED
from striate.nets.weights.state import read_state
from striate.nets.weights.transfer import classes_in

__all__ = ["Imported", "import_weights"]

GREY = ((0.5,), (0.25,))  # mean and deviation; there is no usual one


@dataclasses.dataclass(frozen=True, kw_only=True)
class Imported:
    """A net in evaluation mode, the card it is saved with, and what was assumed."""

    net: Net
    card: ModelCard
    notes: tuple[str, ...]


def import_weights(
    path: str | Path,
    model: str,
    *,
    classes: Sequence[str] | None = None,
    image: tuple[int, int, int] | None = None,
    resize: tuple[int, int] | None = None,
) -> Imported:
    """The net called `model` with the weights in the file at `path` (safetensors, or of torch.save).

    `image` is (channels, height, width), by default in colour and the net's published size; `resize` is the (height,
    width) that images cover before their middle is cut out. Raises StriateError when the weights are of another net.
    """
    path = Path(path)
    channels, height, width = image or (3, *model_info(model).input_size)
    size = (height, width)
    state = read_state(path)
    with weightless():
        count = classes_in(build(model, in_chans=channels, input_size=size), state)
    names = tuple(classes) if classes else tuple(f"class {i}" for i in range(count))
    if len(names) != count:
        raise StriateError(f"{path} tells {count} classes apart and {len(names)} names were given")
    net = create_model(model, num_classes=count, in_chans=channels, input_size=size, pretrained=path)
    preprocess, notes = _preprocess(path, model, channels, size, resize)
    card = ModelCard(net=model, classes=names, in_chans=channels, input_size=size, preprocess=preprocess)
    return Imported(net=net.eval(), card=card, notes=(*net.notes, *notes))


def _preprocess(
    path: Path, model: str, channels: int, size: tuple[int, int], resize: tuple[int, int] | None
) -> tuple[dict[str, Any], tuple[str, ...]]:
    for published in PUBLISHED.get(model, ()):
        if path.stem == published.name and channels == 3 and size == (published.crop, published.crop):
            return dict(published.preprocess), ()
    mean, deviation = IMAGENET if channels == 3 else GREY
    preprocess = {
        "channels": channels,
        "size": list(size),
        "resize": "crop",
        "resize_size": None if resize is None else list(resize),
        "filter": "bilinear",
        "mean": list(mean),
        "std": list(deviation),
    }
    usual = "ImageNet's mean and deviation" if channels == 3 else "a mean of 0.5 and a deviation of 0.25"
    return preprocess, (f"{path.name} does not say how its images were prepared; {usual} are assumed",)
