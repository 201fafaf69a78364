"""Are the gradients right? Held against differences of the function itself, for any module and any loss.

For every parameter and every input θ of the size s = rms(θ), the function is followed along lines θ + t·s·d:

    random directions   every |d_i| in [½, 1½]: one wrong coordinate among millions changes the slope, and is then
                        found by halving
    worst coordinates   those with the largest gradients, and some at random

A slope agrees when it lies within a bound of the gradient's own: noise of the values (measured) / h, the difference
between the steps h and h/2, and the rounding of the gradient. One agreeing step is proof, since a step's bound is used
only where it is under 1e-5 of the slope. Where no step agrees and the slopes to the left and to the right differ
however short the step, the function has a kink there (ReLU at 0, a tie in a maximum): there is no gradient to be right
or wrong. A kink is counted, not blamed, and the line is compared once more at a point a thousandth beside, where no tie
is left; only what disagrees there is wrong. (A black patch and a bias of zero put thousands of ReLUs at 0 at once.)

Differences are taken in float64. The gradient is computed in `dtype`: kernels that know float32 only are held against
the float64 function, which is what it means for them to be right.
"""

import math
from collections.abc import Callable, Collection
from dataclasses import dataclass, field
from typing import Any, Literal, TypeAlias

import torch
from torch import Tensor

from striate.errors import StriateError
from striate.train.check.function import Function, Loss, Point
from striate.train.check.slope import Line, Step

__all__ = ["GradientCheck", "GradientRow", "Wrong", "check_gradients"]

Verdict: TypeAlias = Literal["right", "wrong", "unresolved"]

RELATIVE = 1e-5  # a bound wider than this share of the slope proves nothing; a factor of 1.0001 is found
NEGLIGIBLE = 1e-8  # of the largest slope of any tensor: what is smaller need only be small
GROWTH = 1e3  # times eps: rounding of a gradient that was summed over up to a million terms of either sign
MOST_WRONG = 2  # values of a tensor that are looked for: where all are wrong, one tells as much
HALVING = 1e-6  # step, in the size of the tensor: 10 digits of the slope, and few kinks in reach
TRIES = 4  # coordinates that a direction steps around: those wrong already, and kinks within the shortest step


@dataclass(frozen=True, kw_only=True)
class Wrong:
    """A value whose gradient is not the slope there. `index` is its place in the tensor."""

    index: tuple[int, ...]
    analytic: float
    numeric: float

    @property
    def relative_error(self) -> float:
        """|a − n| / max(|a|, |n|)."""
        return _relative(self.analytic, self.numeric)


@dataclass(frozen=True, kw_only=True)
class GradientRow:
    """One parameter or input: what was compared, how far apart it was at most, and the bound that this was held to.

    Both are relative to the slope. Slopes that are negligible beside the net's largest have no relative error worth
    the name and count in neither. `unresolved`: lines on which no step was precise enough to judge.
    """

    name: str
    shape: tuple[int, ...]
    directions: int
    coordinates: int
    error: float | None
    bound: float | None
    kinks: int
    unresolved: int
    wrong: tuple[Wrong, ...]

    @property
    def verdict(self) -> Verdict:
        """Wrong where one value is; unresolved where nothing could be judged."""
        if self.wrong:
            return "wrong"
        return "unresolved" if self.unresolved and self.error is None and not self.kinks else "right"


@dataclass(frozen=True, kw_only=True)
class GradientCheck:
    """What came out, a row for each tensor; as text a table."""

    rows: tuple[GradientRow, ...]
    noise: float  # of the loss, absolute
    loss: float

    @property
    def ok(self) -> bool:
        """No gradient is wrong."""
        return all(row.verdict != "wrong" for row in self.rows)

    @property
    def kinks(self) -> int:
        """Lines along which there is no gradient to be right."""
        return sum(row.kinks for row in self.rows)

    @property
    def error(self) -> float:
        """The largest relative error of all rows, 0 where none has one."""
        return max((row.error for row in self.rows if row.error is not None), default=0.0)

    def raise_if_wrong(self) -> "GradientCheck":
        """Itself; raises StriateError with the first wrong value when there is one."""
        for row in self.rows:
            for wrong in row.wrong:
                raise StriateError(
                    f"the gradient of {row.name}{_place(wrong.index)} is {wrong.analytic:.6g} and the slope there is "
                    f"{wrong.numeric:.6g}; look at the backward pass of what computes with it"
                )
        return self

    def __str__(self) -> str:
        head = ("tensor", "shape", "compared", "error", "bound", "kinks", "verdict")
        body = [_cells(row) for row in self.rows]
        widths = [max(map(len, column)) for column in zip(head, *body, strict=True)]
        lines = [
            "  ".join(cell.ljust(width) for cell, width in zip(cells, widths, strict=True)) for cells in (head, *body)
        ]
        return "\n".join(line.rstrip() for line in lines)


def check_gradients(
    module: Callable[..., Any],
    *inputs: Any,
    loss: Loss | None = None,
    directions: int = 2,
    coordinates: int = 4,
    seed: int = 0,
    dtype: torch.dtype = torch.float64,
    wrt_inputs: bool = True,
    only: Collection[str] | None = None,
) -> GradientCheck:
    """Hold the gradients of `loss(module(*inputs))` against differences, for every parameter and float input.

    `module` is a module or any function of tensors, and is left as it is. `loss` makes a scalar of what it returns;
    without one it is a weighted sum, with random weights, of all that it returns. The module stays in its mode: batch
    norm is differentiated through its batch in training, and dropout draws the same at every evaluation (torch's
    generators are seeded anew by `seed`). `dtype` is what the gradient is computed in; `only`, the names of parameters,
    leaves out all others.

    Raises StriateError where the loss is no finite scalar, is not the same twice, or cannot be computed in float64.

    >>> net = torch.nn.Sequential(torch.nn.Linear(4, 3), torch.nn.Tanh(), torch.nn.Linear(3, 2))
    >>> check_gradients(net, torch.randn(5, 4, generator=torch.Generator().manual_seed(0))).ok
    True
    """
    subject = Function(module, inputs, loss, seed, wrt_inputs, only)
    here = subject.point(dtype)
    beside = subject.beside(dtype)
    some = list(subject.tensors)[:: max(1, len(subject.tensors) // 3)]
    scale = max(subject.sizes[name] * float(gradient.norm()) for name, gradient in here.gradients.items())
    noise = max(subject.noise(name, beside) for name in some)
    judge = _Judge(noise=noise, scale=scale, rounding=GROWTH * torch.finfo(dtype).eps)
    generator = torch.Generator().manual_seed(seed)
    rows = tuple(
        _Tensor(subject, judge, name, here, beside, generator).check(directions, coordinates)
        for name in subject.tensors
    )
    return GradientCheck(rows=rows, noise=judge.noise, loss=here.value)


@dataclass(frozen=True, kw_only=True)
class _Found:
    """What a line showed; values and `bound` are slopes along it. `relative` is None where both are negligible."""

    verdict: Literal["right", "wrong", "kink", "unresolved"]
    analytic: float
    numeric: float
    bound: float
    relative: float | None


@dataclass(frozen=True, kw_only=True)
class _Judge:
    """Whether an analytic slope is that of a line."""

    noise: float
    scale: float  # the largest slope of any tensor
    rounding: float  # of the gradient, relative

    def compare(self, line: Line, analytic: float, rounded: float) -> _Found:
        """`rounded`: ‖g ∘ d‖, what the analytic slope's own rounding is a share of."""
        own = self.rounding * (rounded + 0.01 * self.scale)
        widest = max(RELATIVE, 2 * self.rounding)
        best: tuple[Step, float] | None = None
        for step in line.steps():
            size = max(abs(analytic), abs(step.value))
            bound = step.bound + own
            if step.bound > max(widest * size, NEGLIGIBLE * self.scale, own):
                continue
            if best is None or bound < best[1]:
                best = step, bound
            if abs(step.value - analytic) <= bound:
                negligible = size <= max(NEGLIGIBLE * self.scale, 2 * own)
                return _Found(
                    verdict="right",
                    analytic=analytic,
                    numeric=step.value,
                    bound=bound,
                    relative=None if negligible else _relative(analytic, step.value),
                )
        least = NEGLIGIBLE * self.scale
        precise = [s for s in line.steps() if s.rounding <= max(widest * max(map(abs, (s.left, s.right))), least)]
        kink = bool(precise) and line.bends(min(precise, key=lambda step: step.h))
        step, bound = best if best is not None else (line.step(1e-6), math.inf)
        return _Found(
            verdict="kink" if kink else "wrong" if best is not None else "unresolved",
            analytic=analytic,
            numeric=step.value,
            bound=bound,
            relative=None,
        )


@dataclass
class _Tensor:
    """One tensor under test."""

    subject: Function
    judge: _Judge
    name: str
    here: Point
    beside: Point
    generator: torch.Generator
    kinks: int = 0
    unresolved: int = 0
    worst: _Found | None = None
    wrong: dict[int, Wrong] = field(default_factory=dict)

    def check(self, directions: int, coordinates: int) -> GradientRow:
        gradient = self.here.gradients[self.name]
        broken = (~gradient.isfinite()).flatten().nonzero()[:, 0].tolist()
        for i in broken[:coordinates]:
            self._blame(i, self._along(self.here, *_coordinate(i)))
        for _ in range(0 if broken else directions):
            if len(self.wrong) < MOST_WRONG:
                self._direction()
        chosen = [] if broken else self._chosen(coordinates)
        for i in chosen:
            if i not in self.wrong:
                self._value(i)
        worst = self.worst
        return GradientRow(
            name=self.name,
            shape=tuple(gradient.shape),
            directions=0 if broken else directions,
            coordinates=len(chosen) or len(broken[:coordinates]),
            error=None if worst is None else worst.relative,
            bound=None if worst is None else worst.bound / max(abs(worst.analytic), abs(worst.numeric)),
            kinks=self.kinks,
            unresolved=self.unresolved,
            wrong=tuple(sorted(self.wrong.values(), key=lambda wrong: -abs(wrong.analytic - wrong.numeric))),
        )

    def _direction(self) -> None:
        """Compare along one random direction; a wrong coordinate is looked for, blamed and stepped around."""
        n = self.here.gradients[self.name].numel()
        signs = torch.randint(0, 2, (n,), generator=self.generator, dtype=torch.float64) * 2 - 1
        d = signs * (0.5 + torch.rand(n, generator=self.generator, dtype=torch.float64))
        left_out = torch.tensor(sorted(self.wrong), dtype=torch.int64)
        for attempt in range(TRIES):
            d[left_out] = 0
            places = d.nonzero()[:, 0]
            if len(places) == 0:
                return
            if attempt == 0:
                found = self._along(self.here, places, d[places])
                if found.verdict == "right":
                    self._note(found)
                    return
            found = self._along(self.beside, places, d[places])
            if found.verdict == "right":
                self.kinks += attempt == 0
                self._note(found)
                return
            if found.verdict == "unresolved" or len(self.wrong) >= MOST_WRONG:
                break
            i = self._locate(places, d)
            alone = self._along(self.beside, *_coordinate(i))
            if alone.verdict == "wrong":
                self._blame(i, alone)
            left_out = torch.tensor([i])
        self.unresolved += not self.wrong

    def _locate(self, places: Tensor, d: Tensor) -> int:
        """The coordinate that makes a direction disagree, by halving: into the half that is further apart."""
        while len(places) > 1:
            places = max(places.tensor_split(2), key=lambda half: self._apart(half, d[half]))
        return int(places)

    def _apart(self, places: Tensor, d: Tensor) -> float:
        """How far the slope along a direction is from the gradient's, by one step that is short and precise enough."""
        direction, parts = self._direct(self.beside, places, d)
        self.subject.go(self.beside.tensors)
        with self.subject.moved(self.name, direction) as f:
            return abs((f(HALVING) - f(-HALVING)) / (2 * HALVING) - float(parts.sum()))

    def _value(self, i: int) -> None:
        """Compare one value; beside the point where at the point itself there is a kink."""
        found = self._along(self.here, *_coordinate(i))
        if found.verdict in ("kink", "wrong"):
            again = self._along(self.beside, *_coordinate(i))
            if again.verdict == "wrong":
                self._blame(i, again)
                return
            self.kinks += 1  # ties of several units may bend together so that left and right agree
            found = again
        self._note(found)
        self.unresolved += found.verdict == "unresolved"

    def _blame(self, i: int, found: _Found) -> None:
        shape, size = self.here.gradients[self.name].shape, self.subject.sizes[self.name]
        index = tuple(int(k) for k in torch.unravel_index(torch.tensor(i), shape))
        self.wrong[i] = Wrong(index=index, analytic=found.analytic / size, numeric=found.numeric / size)

    def _note(self, found: _Found) -> None:
        if found.relative is not None and (self.worst is None or found.relative > (self.worst.relative or 0.0)):
            self.worst = found

    def _chosen(self, count: int) -> list[int]:
        """Half of them with the largest gradients, half at random; each once."""
        size = self.here.gradients[self.name].abs().flatten()
        largest = size.topk(min(len(size), (count + 1) // 2)).indices.tolist()
        drawn = torch.randint(0, len(size), (count // 2,), generator=self.generator).tolist()
        return list(dict.fromkeys([*largest, *drawn]))

    def _along(self, point: Point, places: Tensor, d: Tensor) -> _Found:
        """Compare along the direction that is `d` at `places` and zero elsewhere."""
        direction, parts = self._direct(point, places, d)
        self.subject.go(point.tensors)
        with self.subject.moved(self.name, direction) as f:
            return self.judge.compare(Line(f, point.value, self.judge.noise), float(parts.sum()), float(parts.norm()))

    def _direct(self, point: Point, places: Tensor, d: Tensor) -> tuple[Tensor, Tensor]:
        """The direction, of the tensor's shape, and the terms of the gradient's slope along it."""
        gradient = point.gradients[self.name]
        direction = torch.zeros(gradient.numel(), dtype=torch.float64)
        direction[places] = d * self.subject.sizes[self.name]
        return direction.view(gradient.shape), gradient.flatten()[places] * direction[places]


def _coordinate(i: int) -> tuple[Tensor, Tensor]:
    return torch.tensor([i]), torch.ones(1, dtype=torch.float64)


def _relative(a: float, b: float) -> float:
    largest = max(abs(a), abs(b))
    return abs(a - b) / largest if largest > 0 else 0.0


def _place(index: tuple[int, ...]) -> str:
    return f"[{', '.join(map(str, index))}]"


def _cells(row: GradientRow) -> tuple[str, ...]:
    compared = f"{row.directions} directions, {row.coordinates} values"
    error, bound = (f"{x:.1e}" if x is not None else "–" for x in (row.error, row.bound))
    verdict: str = row.verdict
    if row.wrong:
        first = row.wrong[0]
        verdict += f" at {_place(first.index)}: {first.analytic:.6g}, the slope is {first.numeric:.6g}"
    return row.name, "×".join(map(str, row.shape)) or "()", compared, error, bound, str(row.kinks or "–"), verdict
