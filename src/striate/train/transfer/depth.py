"""A net by depth: where features may be taken, and which layers belong to which stage.

    image ─ group 0 ─ stage 0 ─ group 1 ─ stage 1 ─ … ─ the head's own layers ─ scoring layer ─ scores
                       place              place            places             (the last group)

Yosinski et al. 2014: what is near the image is generic, what is near the scores specific. The order is that in which a
walk meets the layers, so any net of the zoo, one read from Caffe included, can be asked.
"""

import dataclasses
from typing import final

from torch import nn

from striate.errors import StriateError, UnknownName, unknown
from striate.nets import Net
from striate.nets.cut import INPUT
from striate.nets.trace import Visit, walk

__all__ = ["Depth", "depth_of"]

ALL = "all"  # everything but the layer that gives the scores


@final
@dataclasses.dataclass(frozen=True, kw_only=True)
class Depth:
    """`places`: names of where features may be taken, from the image on. `groups`: a name, and the modules of each.

    A group is named by the stage that ends it; the last is the scoring layer's.
    """

    places: tuple[str, ...]
    groups: tuple[tuple[str, tuple[str, ...]], ...]
    scoring: str

    def frozen(self, freeze: str) -> int:
        """How many groups are frozen when everything up to `freeze` is; "" freezes none, "all" all but the last.

        Raises StriateError for a name that is no group's.
        """
        if not freeze:
            return 0
        if freeze == ALL:
            return len(self.groups) - 1
        names = [name for name, _ in self.groups[:-1]]
        if freeze not in names:
            raise UnknownName(unknown("stage to freeze up to", freeze, (*names, ALL)))
        return names.index(freeze) + 1


def depth_of(net: Net) -> Depth:
    """The layers of `net` in order. Nets without stages (a multilayer perceptron) have one for each layer that learns.

    Raises StriateError where no layer learns.
    """
    walked = walk(net, (net.spec.in_chans, *net.spec.input_size))
    visits = _first(walked.visits)
    learning = [visit for visit in visits if _learns(visit.layer)]
    if walked.error is not None or not learning:
        raise StriateError(f"{net.spec.name} has no layer that learns; there is nothing to transfer")
    scoring = learning[-1].name
    stages = [stage.name for stage in net.stages] or [visit.name for visit in learning[:-1]]
    groups: list[tuple[str, tuple[str, ...]]] = []
    begin = 0
    for stage in stages:
        end = 1 + max((i for i, visit in enumerate(visits) if _within(visit.name, stage)), default=-1)
        if end > begin:
            groups.append((stage, tuple(visit.name for visit in visits[begin:end])))
            begin = end
    rest = [visit for visit in visits[begin:] if visit.name != scoring]
    hidden = [visit for visit in rest if _learns(visit.layer)]
    if hidden:
        groups.append((hidden[-1].name, tuple(visit.name for visit in rest)))
    elif rest and groups:  # a last norm, a pool: they end the last stage
        groups[-1] = (groups[-1][0], (*groups[-1][1], *(visit.name for visit in rest)))
    groups.append((scoring, (scoring,)))
    behind = [visit.name + INPUT for visit in (*hidden, learning[-1])][1:]  # the first is given the last stage's maps
    places = (*(name for name, _ in groups[: len(groups) - 1 - bool(hidden)]), *behind)
    return Depth(places=places or (scoring + INPUT,), groups=tuple(groups), scoring=scoring)


def _first(visits: list[Visit]) -> list[Visit]:
    """The first visit of every module."""
    found: dict[str, Visit] = {}
    for visit in visits:
        found.setdefault(visit.name, visit)
    return list(found.values())


def _learns(layer: nn.Module) -> bool:
    return any(parameter.ndim > 1 for parameter in layer.parameters(recurse=False))


def _within(name: str, stage: str) -> bool:
    return name == stage or name.startswith(stage + ".")
