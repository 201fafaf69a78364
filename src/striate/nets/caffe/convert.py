"""A prototxt and a caffemodel into a net with its card: the front door of the room.

What the prototxt does not say is asked for: the size of images that come from a database, the mean that lies in a
file of its own, the names of the classes, the order of the channels (blue first, where there are three, unless told).
"""

from collections.abc import Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from striate.errors import StriateError
from striate.nets.caffe.assemble import assemble
from striate.nets.caffe.graph import Graph, wire
from striate.nets.caffe.image import Mean, Transform, input_shape, middle, transform
from striate.nets.caffe.net import CaffeNet
from striate.nets.caffe.read import parse_net, read_blob, read_text, read_weights
from striate.nets.caffe.text import look_over
from striate.nets.caffe.weights import LayerReport, Statistics, report_extra, tensors_of
from striate.nets.weights.model_file import ModelCard

__all__ = ["Converted", "convert"]

MOST_CLASSES = 1 << 18  # ImageNet of 21 thousand is the largest known; each gets a name, so a claim would cost memory


@dataclass(frozen=True, kw_only=True)
class Converted:
    """A net in evaluation mode, the card it is saved with, what became of every layer, and what else is to be said."""

    net: CaffeNet
    card: ModelCard
    layers: tuple[LayerReport, ...]
    notes: tuple[str, ...] = field(default=())


def convert(
    prototxt: str | Path,
    weights: str | Path | None = None,
    *,
    mean: str | Path | Sequence[float] | None = None,
    scale: float | None = None,
    bgr: bool | None = None,
    image: tuple[int, int, int] | None = None,
    resize: tuple[int, int] | None = None,
    classes: Sequence[str] | None = None,
    output: str = "",
    test_stages: Sequence[str] = (),
) -> Converted:
    """The net of `prototxt` with the numbers of `weights`, or as its fillers begin without them.

    `mean` is a `.binaryproto` or one value per channel, subtracted from bytes 0…255; `scale` is multiplied then.
    `image` is (channels, height, width) where the prototxt does not say; `resize` is (height, width) that images are
    brought to before their middle is cut out. Names of `classes` default to "class 0" and so on.

    Raises StriateError, one line, for files that cannot be used and for what has to be said and was not.
    """
    path = Path(prototxt)
    text = read_text(path)
    message = parse_net(text, path)
    graph = wire(message, path, output=output, stages=test_stages)
    said = transform(graph.source_layer)
    shape = image or input_shape(message, graph.source_layer, graph.source_name, path)
    if shape is None:
        raise StriateError(f"{path} does not say the size of its images; give it: --image 3x32x32 (channels first)")
    if resize is not None and (resize[0] < shape[1] or resize[1] < shape[2]):
        raise StriateError(f"images brought to {resize[0]}×{resize[1]} px have no middle of {shape[1]}×{shape[2]} px")
    average, kind, whole = _mean(mean, said, shape)
    count = _classes(graph, shape, path)
    if count > MOST_CLASSES:
        raise StriateError(f"{path}: {graph.output_name} has {count:,} values, which are no class scores")
    names = tuple(classes) if classes is not None else tuple(f"class {i}" for i in range(count))
    if len(names) != count:
        raise StriateError(f"{path} gives {count} scores and {len(names)} class names were given")
    settings: dict[str, Any] = {
        "prototxt": text,
        "bgr": shape[0] == 3 if bgr is None else bgr,
        "mean": kind,
        "scale": said.scale if scale is None else scale,
        "output": output,
        "test_stages": tuple(test_stages),
    }
    card = ModelCard(
        net="caffe",
        classes=names,
        in_chans=shape[0],
        input_size=shape[1:],
        settings=settings,
        preprocess=_preprocess(shape, resize or said.resize or whole),
    )
    net, found, extra = _filled(card, None if weights is None else Path(weights), average)
    notes = [f"{path}, {line} is not known here and was not read" for line in look_over(text, path)]
    notes += [f"{name} is an output as well; --blob {name} gives it instead" for name in graph.other_outputs]
    if said.mean_file and mean is None:
        notes.append(f"the net was trained with the mean of {said.mean_file}; give it with --mean, or answers suffer")
    return Converted(net=net.eval(), card=card, layers=(*_reports(net, found, shape), *extra), notes=tuple(notes))


def _filled(
    card: ModelCard, weights: Path | None, average: Tensor | None
) -> tuple[CaffeNet, dict[str, Statistics], list[LayerReport]]:
    """The net of the card with its numbers, and what is to be said of them."""
    if weights is None:
        net = card.build()
        assert isinstance(net, CaffeNet)
        if average is not None:
            net.input.mean.copy_(average)
        return net, {}, []
    with torch.device("meta"):  # whatever sizes the prototxt claims, memory is taken only for numbers that are there
        net = card.build()
    assert isinstance(net, CaffeNet)
    message = read_weights(weights)
    state, statistics = tensors_of(net, message, weights)
    if average is not None:
        state["input.mean"] = average
    net.load_state_dict(state, assign=True)
    return net, statistics, report_extra(net, message)


def _mean(
    given: str | Path | Sequence[float] | None, said: Transform, shape: tuple[int, int, int]
) -> tuple[Tensor | None, Mean, tuple[int, int] | None]:
    """What is subtracted, of which kind, and the (height, width) of the whole mean image where the image is larger."""
    channels, size = shape[0], (shape[1], shape[2])
    if isinstance(given, str | Path):
        blob = torch.from_numpy(read_blob(Path(given)))
        whole = blob.reshape(blob.shape[-3:]) if blob.ndim > 3 and blob.shape[0] == 1 else blob
        if whole.ndim != 3 or whole.shape[0] != channels:
            raise StriateError(f"{given} is {'×'.join(map(str, blob.shape))}; the net takes {channels}×height×width")
        if tuple(whole.shape[1:]) == (1, 1):
            return whole, "channel", None
        larger = (whole.shape[1], whole.shape[2]) if tuple(whole.shape[1:]) != size else None
        return middle(whole, size), "image", larger
    values = tuple(said.mean_values if given is None else given)
    if not values:
        return None, "none", None
    if len(values) not in (1, channels):
        raise StriateError(f"{len(values)} mean values for {channels} channels; give one for all, or one for each")
    return torch.tensor(values * (channels // len(values))).view(channels, 1, 1), "channel", None


def _classes(graph: Graph, shape: tuple[int, int, int], path: Path) -> int:
    given = assemble(graph, shape, path).shapes[graph.output]
    if len(given) not in (2, 4):
        raise StriateError(f"{path}: {graph.output_name} is {'×'.join(map(str, given[1:]))}, which are no class scores")
    return given[1]


def _preprocess(shape: tuple[int, int, int], resize: tuple[int, int] | None) -> dict[str, Any]:
    """Bytes as they are (a mean of 0 and a deviation of 1/255 of 0…1), in the size that the net takes.

    Caffe's own tools squash an image to the size that its mean was taken over.
    """
    channels, height, width = shape
    return {
        "channels": channels,
        "size": [height, width],
        "resize": "crop" if resize is None else "squash",
        "resize_size": None if resize is None else list(resize),
        "filter": "bilinear",
        "mean": [0.0] * channels,
        "std": [1 / 255] * channels,
    }


def _reports(net: CaffeNet, found: dict[str, Statistics], shape: tuple[int, int, int]) -> list[LayerReport]:
    shapes = assemble(net.graph, shape, "the prototxt").shapes
    rows = []
    seen: set[str] = set()
    for call in net.calls:
        tensors = net.layers.get_submodule(call.key).state_dict()
        status = "computes" if not tensors else "shares" if call.key in seen else "matched" if found else "begins"
        seen.add(call.key)
        rows.append(
            LayerReport(
                name=call.layer.name,
                type=call.layer.type,
                status=status,
                output=shapes[call.tops[0]][1:],
                shapes=tuple(tuple(tensor.shape) for tensor in tensors.values()),
                statistics=found.get(call.key),
            )
        )
    rows += [
        LayerReport(name=out.layer.name, type=out.layer.type, status=f"left out: {out.reason}")
        for out in net.graph.dropped
    ]
    return rows
