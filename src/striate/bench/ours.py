"""Our own convolution, timed as peers are: images and result in a layout it takes as it is, weights packed beforehand.

What is timed is the fastest of the algorithms and layouts, as two short looks find it. The looks are not part of the
table: what they chose is measured again, among the peers.
"""

import math
import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

import torch

from striate import conv
from striate.bench.layer import Layer
from striate.bench.peers.pytorch import TYPES
from striate.bench.problem import Floats, Pass, Precision, Problem
from striate.bench.subject import CannotDo, Subject
from striate.conv.choose import MAX_RELATIVE_ERROR, MAX_RELATIVE_ERROR_BF16, possible
from striate.conv.plans import Element, Layout
from striate.conv.plans import Pass as ConvPass
from striate.conv.race import race, typical
from striate.errors import StriateError, unknown

__all__ = ["LAYOUTS", "Ours", "candidates", "conv_shape", "fastest", "named"]

LAYOUTS: tuple[Layout, ...] = ("nchw", "channels_last", "blocked")
NAMES: dict[Pass, ConvPass] = {"forward": "forward", "data": "backward_data", "weights": "backward_weights"}
ELEMENTS: dict[Precision, Element] = {"fp32": "float32", "bf16": "bfloat16"}
ORACLE = "reference"  # its obvious loops would take minutes
SLOW = 2.0  # times the fastest, by two runs in another layout, perhaps disturbed: out of the race
APART = 2.0  # seconds between the looks: a shared core's AMX has slow moments that last about as long


@dataclass(frozen=True)
class Candidate:
    """An algorithm and the layout of images and result."""

    algorithm: str
    layout: Layout


class Ours(Subject):
    """One algorithm in one layout. Making it raises CannotDo where the algorithm refuses."""

    def __init__(self, problem: Problem, candidate: Candidate) -> None:
        self.problem, self.candidate = problem, candidate
        self.takes, element = candidate.layout, ELEMENTS[problem.precision]
        shape, layout = conv_shape(problem.layer, problem.batch), candidate.layout
        why = conv.refusal(candidate.algorithm, NAMES[problem.which], shape, layout, layout, element)
        if why:
            raise CannotDo(f"{candidate.algorithm} {why}")
        self.plan = conv.plan(
            shape,
            candidate.algorithm,
            NAMES[problem.which],
            from_layout=layout,
            to_layout=layout,
            threads=problem.threads,
            element=element,
        )
        self.compute = self._prepared()

    @property
    def workspace_bytes(self) -> int:
        """Beside images, weights and result."""
        return self.plan.workspace_bytes

    @property
    def packed_bytes(self) -> int:
        """Of the weights as the algorithm reads them."""
        return self.plan.packed_bytes

    def run(self) -> None:
        self.y = self.compute()

    def result(self) -> Floats:
        values: Floats
        if self.problem.which == "weights":
            values = self.y.numpy()
            return values
        part = self.y[list(self.problem.checked_images)]
        if self.candidate.layout == "blocked":
            part = conv.from_blocked(part, self.problem.result_shape[1])
        values = part.float().numpy()
        return values

    def _prepared(self) -> Callable[[], torch.Tensor]:
        problem, plan = self.problem, self.plan
        if problem.which == "weights":
            x, dy = self._lying(problem.x), self._lying(problem.gradient)
            return lambda: plan.gradient(x, dy)
        images = self._lying(problem.x if problem.which == "forward" else problem.gradient)
        packed, out = plan.pack(self._tensor(problem.weight)), plan.empty()
        return lambda: plan.run(images, packed, out=out)

    def _tensor(self, array: Floats) -> torch.Tensor:
        return torch.from_numpy(array).to(TYPES[self.problem.precision])

    def _lying(self, array: Floats) -> torch.Tensor:
        x = self._tensor(array)
        if self.candidate.layout == "blocked":
            return conv.to_blocked(x)
        wanted = torch.channels_last if self.candidate.layout == "channels_last" else torch.contiguous_format
        return x.contiguous(memory_format=wanted)


def conv_shape(layer: Layer, batch: int) -> conv.ConvShape:
    """The layer as striate.conv says it."""
    return conv.ConvShape.of(
        (batch, layer.in_maps, *layer.size),
        layer.weight_shape,
        stride=layer.stride,
        padding=layer.padding,
        dilation=layer.dilation,
        groups=layer.groups,
    )


def named(algorithm: str) -> str:
    """`algorithm`, if there is such a one. Raises StriateError with the nearest name otherwise."""
    if algorithm not in conv.algorithms():
        raise StriateError(unknown("algorithm", algorithm, conv.algorithms()))
    return algorithm


def candidates(problem: Problem, algorithm: str = "auto", layouts: Sequence[Layout] = LAYOUTS) -> list[Candidate]:
    """The algorithms and layouts that can do it. Raises CannotDo, with the reason, when there is none.

    Of all algorithms ("auto") those that `striate.conv`'s cost model does not call hopeless.
    """
    shape, which = conv_shape(problem.layer, problem.batch), NAMES[problem.which]
    element = ELEMENTS[problem.precision]
    if algorithm != "auto":
        whys = {layout: conv.refusal(named(algorithm), which, shape, layout, layout, element) for layout in layouts}
        found = [Candidate(algorithm, layout) for layout, why in whys.items() if not why]
        if not found:
            raise CannotDo(f"{algorithm} {next(iter(whys.values()))}")
        return found
    found = [Candidate(name, layout) for layout in layouts for name in possible(shape, which, layout, layout, element)]
    found = [candidate for candidate in found if candidate.algorithm != ORACLE]
    if not found:
        raise CannotDo(f"none of our fast algorithms can in {element}")
    return found


def fastest(problem: Problem, algorithm: str = "auto", layouts: Sequence[Layout] = LAYOUTS) -> Ours:
    """The fastest of our ways by the better of two looks, among those as near to float64 as `striate.conv` asks for."""
    found = candidates(problem, algorithm, layouts)
    if len(found) == 1:
        return Ours(problem, found[0])
    first = _look(problem, found)
    time.sleep(APART)
    seconds = {**first, **{one: min(s, first.get(one, s)) for one, s in _look(problem, found).items()}}
    return Ours(problem, min(seconds, key=lambda one: seconds[one]))


def _look(problem: Problem, found: Sequence[Candidate]) -> dict[Candidate, float]:
    """Typical seconds: two runs of every algorithm in its last layout, then the fast ones race in all of theirs."""
    one_layout = {candidate.algorithm: candidate for candidate in found}
    once = {name: _first_runs(problem, candidate) for name, candidate in one_layout.items()}
    near = [one for one in found if once[one.algorithm] <= SLOW * min(once.values())]
    subjects = {one: Ours(problem, one) for one in near}
    for subject in subjects.values():
        subject.run()  # finds its memory
    times = race({one: subject.run for one, subject in subjects.items()})
    return {one: typical(times[one]) for one in near}


def _first_runs(problem: Problem, candidate: Candidate) -> float:
    """Seconds of the better of two runs after the first; infinite when the result is not near enough."""
    subject = Ours(problem, candidate)
    subject.run()
    limit = MAX_RELATIVE_ERROR if problem.precision == "fp32" else MAX_RELATIVE_ERROR_BF16
    if problem.error(subject.result()) > limit:
        return math.inf
    return min(min(times) for times in race({candidate: subject.run}, rounds=2).values())
