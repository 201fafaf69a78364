"""Our own convolution, timed as peers are: images and result in a layout it takes as it is, weights packed beforehand.

What is timed is the fastest of the algorithms and layouts, as a few short looks find it. The looks are not part of
the table: what they chose is measured again, among the peers.
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
from striate.conv.plans import Element, Layout, laid_out
from striate.conv.plans import Pass as ConvPass
from striate.conv.race import race, typical
from striate.errors import UnknownName, unknown

__all__ = ["LAYOUTS", "Ours", "candidates", "conv_shape", "fastest", "named"]

LAYOUTS: tuple[Layout, ...] = ("nchw", "channels_last", "blocked")
NAMES: dict[Pass, ConvPass] = {"forward": "forward", "data": "backward_data", "weights": "backward_weights"}
ELEMENTS: dict[Precision, Element] = {"fp32": "float32", "bf16": "bfloat16"}
ORACLE = "reference"  # its obvious loops would take minutes
SLOW = 2.0  # times the fastest, by two runs in another layout, perhaps disturbed: out of the race
LOOKS = 3
APART = 1.5  # seconds between them: a shared core's AMX has slow moments that last about as long


@dataclass(frozen=True)
class Candidate:
    """An algorithm and the layout of images and result."""

    algorithm: str
    layout: Layout


class Tensors:
    """A problem's images as tensors, in each layout made once: gigabytes, for the candidates of a race to share."""

    def __init__(self, problem: Problem) -> None:
        self._problem = problem
        self._x: dict[Layout, torch.Tensor] = {}
        self._gradient: dict[Layout, torch.Tensor] = {}
        self._results: dict[Layout, torch.Tensor] = {}

    def weight(self) -> torch.Tensor:
        """As the problem has it."""
        return self._tensor(self._problem.weight)

    def x(self, layout: Layout) -> torch.Tensor:
        """The images."""
        if layout not in self._x:
            self._x[layout] = laid_out(self._tensor(self._problem.x), layout)
        return self._x[layout]

    def gradient(self, layout: Layout) -> torch.Tensor:
        """The result's gradient."""
        if layout not in self._gradient:
            self._gradient[layout] = laid_out(self._tensor(self._problem.gradient), layout)
        return self._gradient[layout]

    def result(self, plan: conv.Plan) -> torch.Tensor:
        """Room for one, which whoever runs next overwrites."""
        if plan.to_layout not in self._results:
            self._results[plan.to_layout] = plan.empty()
        return self._results[plan.to_layout]

    def _tensor(self, array: Floats) -> torch.Tensor:
        return torch.from_numpy(array).to(TYPES[self._problem.precision])


class Ours(Subject):
    """One algorithm in one layout. Making it raises CannotDo where the algorithm refuses.

    Those that are given the same `tensors` share their images and their result.
    """

    def __init__(self, problem: Problem, candidate: Candidate, tensors: Tensors | None = None) -> None:
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
        self.compute = self._prepared(tensors or Tensors(problem))

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

    def _prepared(self, tensors: Tensors) -> Callable[[], torch.Tensor]:
        plan, layout = self.plan, self.candidate.layout
        if self.problem.which == "weights":
            x, dy = tensors.x(layout), tensors.gradient(layout)
            return lambda: plan.gradient(x, dy)
        images = tensors.x(layout) if self.problem.which == "forward" else tensors.gradient(layout)
        packed, out = plan.pack(tensors.weight()), tensors.result(plan)
        return lambda: plan.run(images, packed, out=out)


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
        raise UnknownName(unknown("algorithm", algorithm, conv.algorithms()))
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
    """The fastest of our ways by its best of some looks, among those as near to float64 as `striate.conv` asks for."""
    found = candidates(problem, algorithm, layouts)
    if len(found) == 1:
        return Ours(problem, found[0])
    tensors = Tensors(problem)
    seconds: dict[Candidate, float] = {}
    for look in range(LOOKS):
        if look > 0:
            time.sleep(APART)
        for one, took in _look(problem, found, tensors).items():
            seconds[one] = min(took, seconds.get(one, took))
    return Ours(problem, min(seconds, key=lambda one: seconds[one]))


def _look(problem: Problem, found: Sequence[Candidate], tensors: Tensors) -> dict[Candidate, float]:
    """Typical seconds: two runs of every algorithm in its last layout, then the fast ones race in all of theirs."""
    one_layout = {candidate.algorithm: candidate for candidate in found}
    once = {name: _first_runs(problem, candidate, tensors) for name, candidate in one_layout.items()}
    near = [one for one in found if once[one.algorithm] <= SLOW * min(once.values())]
    subjects = {one: Ours(problem, one, tensors) for one in near}
    for subject in subjects.values():
        subject.run()  # finds its memory
    times = race({one: subject.run for one, subject in subjects.items()})
    return {one: typical(times[one]) for one in near}


def _first_runs(problem: Problem, candidate: Candidate, tensors: Tensors) -> float:
    """Seconds of the better of two runs after the first; infinite when the result is not near enough."""
    subject = Ours(problem, candidate, tensors)
    subject.run()
    limit = MAX_RELATIVE_ERROR if problem.precision == "fp32" else MAX_RELATIVE_ERROR_BF16
    if problem.error(subject.result()) > limit:
        return math.inf
    return min(race({candidate: subject.run}, rounds=2)[candidate])
