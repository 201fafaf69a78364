"""From a graph to modules and shapes: every layer built and walked through on the meta device, in order.

Nothing is computed and nothing allocated, whatever sizes a file claims; the layer that cannot take what it is given is
named. Where features end and the head begins is decided here as well: at the last layer that learns, when one blob
alone passes there, so that the features are what the scores are a linear function of.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from striate.errors import StriateError, unknown
from striate.nets.caffe.build import ACROSS_IMAGES, BUILDERS
from striate.nets.caffe.graph import Graph, Step
from striate.nets.caffe.layer import Layer
from striate.nets.net import Stage

__all__ = ["Assembly", "Call", "assemble"]

LEARN_SCORES = ("Convolution", "Deconvolution", "InnerProduct")
TAKES = {"Concat": (1, None), "Eltwise": (1, None), "Crop": (2, 2), "Scale": (1, 2), "Bias": (1, 2)}  # others: one
GIVE_SEVERAL = ("Slice", "Split")
IMAGES = 1  # walked through at once


@dataclass(frozen=True, kw_only=True)
class Call:
    """One step with the key of its module, and the blobs that nobody needs after it."""

    key: str
    layer: Layer
    bottoms: tuple[int, ...]
    tops: tuple[int, ...]
    done: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Assembly:
    """Modules (on the meta device) by key, the calls in order, each blob's shape, and where the head begins."""

    modules: dict[str, nn.Module]
    calls: tuple[Call, ...]
    shapes: dict[int, tuple[int, ...]]
    cut: int
    seen: int  # the blob that passes from the features to the head
    stages: tuple[Stage, ...]


def assemble(
    graph: Graph, image: tuple[int, int, int], path: object, *, num_classes: int | None = None, prefix: str = ""
) -> Assembly:
    """Build the modules for one `image` (C, H, W). `num_classes` gives the last layer that learns other outputs.

    `prefix` is put before the keys in the names of stages. Raises StriateError, naming `path` and the layer.
    """
    scoring = max((i for i, step in enumerate(graph.steps) if step.layer.type in LEARN_SCORES), default=None)
    modules: dict[str, nn.Module] = {}
    shared: dict[tuple[str, ...], str] = {}
    keys: list[str] = []
    blobs: dict[int, Tensor] = {graph.source: torch.empty(IMAGES, *image, device="meta")}
    for i, step in enumerate(graph.steps):
        module = _build(step, blobs, path, num_classes if i == scoring else None)
        key = _shared_key(step.layer, module, shared, modules, path)
        if key is None:
            key = _free_key(step.layer.name or step.layer.type, modules)
            modules[key] = module
            if any(step.layer.shared):
                shared[step.layer.shared] = key
        keys.append(key)
        for top, value in zip(step.tops, _run(step, modules[key], blobs, path), strict=True):
            blobs[top] = value
    shapes = {number: tuple(value.shape) for number, value in blobs.items()}
    cut = _cut(graph, scoring if scoring is not None else len(graph.steps))
    return Assembly(
        modules=modules,
        calls=_calls(graph, keys),
        shapes=shapes,
        cut=cut,
        seen=_passing(graph, cut)[0],
        stages=_stages(graph, keys, shapes, image, prefix),
    )


def _build(step: Step, blobs: dict[int, Tensor], path: object, outputs: int | None) -> nn.Module:
    layer = step.layer
    if layer.type not in BUILDERS:
        raise StriateError(f"{path}: layer {layer.name!r}: {unknown('type of layer', layer.type, BUILDERS)}")
    least, most = TAKES.get(layer.type, (1, 1))
    if len(step.bottoms) < least or (most is not None and len(step.bottoms) > most):
        raise StriateError(f"{path}: layer {_named(layer)} takes {len(step.bottoms)} blobs; it should take {least}")
    if not step.tops or (len(step.tops) > 1 and layer.type not in GIVE_SEVERAL):
        raise StriateError(f"{path}: layer {_named(layer)} gives {len(step.tops)} blobs; it should give 1")
    shapes = [tuple(blobs[bottom].shape) for bottom in step.bottoms]
    try:
        with torch.device("meta"):
            return BUILDERS[layer.type](layer, shapes, outputs).eval()
    except (RuntimeError, ValueError, TypeError, ArithmeticError, IndexError) as error:
        raise StriateError(f"{path}: layer {_named(layer)}: {_first_line(error)}") from error


def _run(step: Step, module: nn.Module, blobs: dict[int, Tensor], path: object) -> Sequence[Tensor]:
    try:
        with torch.no_grad():
            given = module(*(blobs[bottom] for bottom in step.bottoms))
    except (RuntimeError, ValueError, TypeError, ArithmeticError, IndexError, StriateError) as error:
        sides = " and ".join("×".join(map(str, blobs[bottom].shape[1:])) for bottom in step.bottoms)
        raise StriateError(f"{path}: layer {_named(step.layer)} cannot take {sides}: {_first_line(error)}") from error
    tops = given if isinstance(given, tuple) else (given,)
    if any(top.shape[:1] != (IMAGES,) for top in tops):  # a Reshape can say so without naming the batch
        raise StriateError(f"{path}: layer {_named(step.layer)}: {ACROSS_IMAGES}")
    return tops


def _shared_key(
    layer: Layer, module: nn.Module, shared: dict[tuple[str, ...], str], modules: dict[str, nn.Module], path: object
) -> str | None:
    """The key of the module whose parameters this layer shares; None when it has its own.

    Raises StriateError when it shares some and not all: one module could not be both.
    """
    names = {name for name in layer.shared if name}
    for others, key in shared.items():
        if not names & set(others):
            continue
        shapes, same = ([p.shape for p in m.parameters()] for m in (module, modules[key]))
        if layer.shared != others or repr(module) != repr(modules[key]) or shapes != same:
            raise StriateError(
                f"{path}: layer {_named(layer)} shares {', '.join(sorted(names))} with {key!r} and differs from it; "
                "only layers that are alike may share"
            )
        return key
    return None


def _free_key(name: str, taken: dict[str, nn.Module]) -> str:
    """A layer's name as torch allows it for a module, and not given to another."""
    base = name.replace(".", "_")
    if hasattr(nn.Module, base) or base in nn.Module().__dict__:
        base += "_"
    key, count = base, 1
    while key in taken:
        count += 1
        key = f"{base}_{count}"
    return key


def _calls(graph: Graph, keys: Sequence[str]) -> tuple[Call, ...]:
    last = {bottom: i for i, step in enumerate(graph.steps) for bottom in step.bottoms}
    return tuple(
        Call(
            key=key,
            layer=step.layer,
            bottoms=step.bottoms,
            tops=step.tops,
            done=tuple(b for b in dict.fromkeys(step.bottoms) if last[b] == i and b != graph.output),
        )
        for i, (step, key) in enumerate(zip(graph.steps, keys, strict=True))
    )


def _passing(graph: Graph, cut: int) -> list[int]:
    """The blobs given before step `cut` and wanted from it on."""
    before = {graph.source} | {top for step in graph.steps[:cut] for top in step.tops}
    wanted = {bottom for step in graph.steps[cut:] for bottom in step.bottoms} | {graph.output}
    return sorted(before & wanted)


def _cut(graph: Graph, scoring: int) -> int:
    """The first step, from the last that learns on, before which one blob alone passes."""
    return next(cut for cut in range(scoring, len(graph.steps) + 1) if len(_passing(graph, cut)) == 1)


def _stages(
    graph: Graph, keys: Sequence[str], shapes: dict[int, tuple[int, ...]], image: tuple[int, int, int], prefix: str
) -> tuple[Stage, ...]:
    """The last maps of every stride, where maps only ever shrink: strides multiply along the way."""
    strides = {graph.source: 1}
    found: dict[int, Stage] = {}
    for step, key in zip(graph.steps, keys, strict=True):
        stride = max(strides[bottom] for bottom in step.bottoms) * _stride(step.layer)
        strides |= dict.fromkeys(step.tops, stride)
        shape = shapes[step.tops[0]]
        if step.layer.type == "Deconvolution":
            return ()
        if len(shape) == 4 and stride > 1 and len(step.tops) == 1 and shape[2] * shape[3] > 1:
            found[stride] = Stage(name=f"{prefix}{key}", stride=stride, channels=shape[1])
    return tuple(found[stride] for stride in sorted(found))


def _stride(layer: Layer) -> int:
    if layer.type not in ("Convolution", "Pooling"):
        return 1
    settings = layer.settings("convolution" if layer.type == "Convolution" else "pooling")
    given = settings.stride if layer.type == "Pooling" else next(iter(settings.stride), 1)
    return int(settings.stride_h or given)


def _named(layer: Layer) -> str:
    return f"{layer.name!r} ({layer.type})"


def _first_line(error: Exception) -> str:
    return (str(error) or type(error).__name__).splitlines()[0]
