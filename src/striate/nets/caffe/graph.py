"""Which layers compute a net's answer, and from what: the wiring of a prototxt without any shapes.

Caffe's layers name the blobs they take and give, and may overwrite one in place (`bottom: "conv1" top: "conv1"`).
Here every blob that is given gets a number of its own, so that nothing is overwritten and nobody reads the wrong one.
Layers of the other phase, losses, and whatever the wanted output does not need are left out, each with its reason.
"""

from collections.abc import Sequence
from dataclasses import dataclass, replace
from typing import Any

from striate.errors import StriateError, unknown
from striate.nets.caffe.layer import Layer, layers_of
from striate.nets.caffe.messages import choice

__all__ = ["Dropped", "Graph", "Step", "wire"]

SOURCES = {"Data", "DummyData", "HDF5Data", "ImageData", "Input", "MemoryData", "WindowData"}
SINKS = {  # what only trains or only tells; a softmax is one of them when nothing comes after it
    "Accuracy", "ArgMax", "ContrastiveLoss", "EuclideanLoss", "HDF5Output", "HingeLoss", "InfogainLoss",
    "MultinomialLogisticLoss", "SigmoidCrossEntropyLoss", "Silence", "SoftmaxWithLoss",
}  # fmt: skip
LAID_OUT = {"Dropout", "Flatten", "Reshape", "Split"}  # the same values, in another shape at most


@dataclass(frozen=True, kw_only=True)
class Step:
    """One layer at work: the numbers of the blobs it takes and of those it gives."""

    layer: Layer
    bottoms: tuple[int, ...]
    tops: tuple[int, ...]


@dataclass(frozen=True, kw_only=True)
class Dropped:
    """A layer that is not part of the net, and why."""

    layer: Layer
    reason: str


@dataclass(frozen=True, kw_only=True)
class Graph:
    """The steps from the one image blob `source` to `output`, in order."""

    steps: tuple[Step, ...]
    source: int
    output: int
    source_name: str
    output_name: str
    source_layer: Layer | None  # None where the net itself declares its input
    dropped: tuple[Dropped, ...]
    other_outputs: tuple[str, ...]


def wire(net: Any, path: object, *, output: str = "", stages: Sequence[str] = ()) -> Graph:
    """The graph of a NetParameter in its test phase, towards the blob `output` (by default the last one given).

    Raises StriateError for a blob that nobody gives, or two do, and for a net that takes more than one.
    """
    kept, dropped = [], []
    for layer in layers_of(net):
        reason = _excluded(layer, stages)
        if reason:
            dropped.append(Dropped(layer=layer, reason=reason))
        else:
            kept.append(layer)
    wiring = _Wiring(path, kept, [out.layer for out in dropped if out.layer.type in SOURCES])
    for name in net.input:
        wiring.give(name, None)
    for layer in kept:
        wiring.add(layer)
    return _towards(wiring, output, dropped, path)


class _Wiring:
    """Blobs numbered in the order in which they are given; `last` is the newest number of each name.

    `spare` are data layers that the test phase leaves out: where it has none of its own, they say what the image is.
    """

    def __init__(self, path: object, layers: Sequence[Layer], spare: Sequence[Layer]) -> None:
        self.path, self.layers = path, layers
        self.spare = {top: layer for layer in spare for top in layer.tops}
        self.names: list[str] = []
        self.givers: list[Layer | None] = []
        self.last: dict[str, int] = {}
        self.steps: list[Step] = []

    def give(self, name: str, giver: Layer | None) -> int:
        self.names.append(name)
        self.givers.append(giver)
        self.last[name] = len(self.names) - 1
        return self.last[name]

    def add(self, layer: Layer) -> None:
        for name in layer.bottoms:
            if name not in self.last and name in self.spare:
                self.give(name, self.spare[name])
            elif name not in self.last:
                raise StriateError(f"{self.path}: {self._missing(layer, name)}")
        bottoms = tuple(self.last[name] for name in layer.bottoms)
        for name in layer.tops:
            if name in self.last and name not in layer.bottoms:
                raise StriateError(
                    f"{self.path}: layer {layer.name!r} gives {name!r}, which {self._giver(name)} gives already"
                )
        if len(set(layer.tops)) < len(layer.tops):
            raise StriateError(f"{self.path}: layer {layer.name!r} gives one blob twice: {', '.join(layer.tops)}")
        tops = tuple(self.give(name, layer) for name in layer.tops)
        if layer.type not in SOURCES:
            self.steps.append(Step(layer=layer, bottoms=bottoms, tops=tops))

    def _missing(self, layer: Layer, name: str) -> str:
        later = next((other for other in self.layers if name in other.tops), None)
        takes = f"layer {layer.name!r} takes {name!r}, which "
        if later is None:
            return takes + "no layer gives"
        if later is layer:
            return takes + "only it gives itself: the graph runs in a circle"
        return takes + f"layer {later.name!r} gives only later: the graph runs in a circle, or its order is wrong"

    def _giver(self, name: str) -> str:
        giver = self.givers[self.last[name]]
        return f"layer {giver.name!r}" if giver else "the net's input"


def _towards(wiring: _Wiring, output: str, dropped: list[Dropped], path: object) -> Graph:
    taken = {bottom for step in wiring.steps if step.layer.type not in SINKS for bottom in step.bottoms}
    computing, softmaxes = [], []
    for step in wiring.steps:
        if step.layer.type in SINKS:
            dropped.append(Dropped(layer=step.layer, reason="only for training and testing"))
        elif step.layer.type == "Softmax" and not taken & set(step.tops):
            softmaxes.append(step)
        else:
            computing.append(step)
    used = {bottom for step in computing for bottom in step.bottoms}
    ends = [top for step in computing for top in step.tops if top not in used]
    if not ends:
        raise StriateError(f"{path}: no layer computes anything")
    if output and output not in wiring.last:
        raise StriateError(f"{path}: " + unknown("output", output, sorted(set(wiring.names))))
    end = wiring.last[output] if output else ends[-1]
    last = _softmax_before(end, [*computing, *softmaxes])
    if last is not None:  # a second one is taken wherever scores become probabilities
        softmaxes.append(last)
        (scores,), given = last.bottoms, set(last.tops)
        end = scores if end in given else end
        computing = [
            replace(step, bottoms=tuple(scores if b in given else b for b in step.bottoms))
            for step in computing
            if step is not last
        ]
    dropped += [Dropped(layer=step.layer, reason="the net gives scores") for step in wiring.steps if step in softmaxes]
    needed = {end}
    steps: list[Step] = []
    for step in reversed(computing):
        if needed & set(step.tops):
            steps.append(step)
            needed |= set(step.bottoms)
        else:
            dropped.append(Dropped(layer=step.layer, reason=f"{wiring.names[end]} does not need it"))
    steps.reverse()
    given = {top for step in steps for top in step.tops}
    sources = sorted(needed - given)
    if len(sources) != 1 or not steps:
        names = ", ".join(wiring.names[source] for source in sources) or "none"
        raise StriateError(f"{path}: a net here takes one batch of images, and {wiring.names[end]} is made of: {names}")
    return Graph(
        steps=tuple(steps),
        source=sources[0],
        output=end,
        source_name=wiring.names[sources[0]],
        output_name=wiring.names[end],
        source_layer=wiring.givers[sources[0]],
        dropped=tuple(dropped),
        other_outputs=tuple(wiring.names[other] for other in ends if other != end),
    )


def _softmax_before(end: int, steps: Sequence[Step]) -> Step | None:
    """The softmax over classes whose values `end` holds, in whatever shape; None where it holds others."""
    givers = {top: step for step in steps for top in step.tops}
    step = givers.get(end)
    while step is not None and step.layer.type in LAID_OUT and len(step.bottoms) == 1:
        step = givers.get(step.bottoms[0])
    is_last = step is not None and step.layer.type == "Softmax" and len(step.bottoms) == 1
    return step if step is not None and is_last and step.layer.settings("softmax").axis == 1 else None


def _excluded(layer: Layer, stages: Sequence[str]) -> str:
    """Why a layer is not in the net of the test phase; "" when it is (Caffe: any of the rules is enough)."""
    include, exclude = list(layer.message.include), list(layer.message.exclude)
    if include and not any(_met(rule, stages) for rule in include):
        return "not of the test phase"
    if any(_met(rule, stages) for rule in exclude):
        return "not of the test phase"
    return ""


def _met(rule: Any, stages: Sequence[str]) -> bool:
    level = 0  # of a net that is loaded, unless its creator says otherwise
    return (
        not (rule.HasField("phase") and choice(rule, "phase") == "TRAIN")
        and not (rule.HasField("min_level") and level < rule.min_level)
        and not (rule.HasField("max_level") and level > rule.max_level)
        and all(stage in stages for stage in rule.stage)
        and not any(stage in stages for stage in rule.not_stage)
    )
