"""How long one algorithm takes for one pass of one shape, and how far its result is from float64.

Candidates race (`conv.race`): they are timed in turns, and the median time counts. `torch` is a candidate like any
other.
"""

import contextlib
import math
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor
from torch.nn import functional

from striate.conv.plans import Element, Layout, Pass, from_blocked, laid_out, plan
from striate.conv.race import race, typical
from striate.conv.shape import ConvShape
from striate.conv.team import team_size

__all__ = [
    "SAMPLE",
    "TORCH",
    "Measurement",
    "measure",
    "relative_difference",
    "torch_can",
    "torch_derivative",
]

TORCH = "torch"
SAMPLE = 4  # filters whose results are checked against float64
MANY_PIXELS = 1 << 13  # of a result: each weight then serves so many sums that packing it is a hundredth of the work


@dataclass(frozen=True)
class Measurement:
    """One candidate: seconds a run, its relative error, and the bytes it needs.

    `seconds` are with weights packed in the run, as in training; `packed_seconds` with weights packed before, as in a
    net that only answers. The error is the largest difference from float64 over a sample of the result, divided by the
    largest result, for normally distributed images and weights. `looks` tells how often it was measured, at different
    times.
    """

    seconds: float
    packed_seconds: float
    relative_error: float
    workspace_bytes: int
    looks: int = 1

    def and_later(self, other: "Measurement") -> "Measurement":
        """Of two looks, what disturbed the run less: the smaller times, the larger error.

        >>> Measurement(2.0, 1.0, 1e-6, 0).and_later(Measurement(1.0, 1.5, 2e-6, 0))
        Measurement(seconds=1.0, packed_seconds=1.0, relative_error=2e-06, workspace_bytes=0, looks=2)
        """
        return Measurement(
            min(self.seconds, other.seconds),
            min(self.packed_seconds, other.packed_seconds),
            max(self.relative_error, other.relative_error),
            self.workspace_bytes,
            self.looks + other.looks,
        )

    def of_more(self, times: float, workspace_bytes: int) -> "Measurement":
        """What so many times the images would take, in a workspace of its own size."""
        return replace(
            self,
            seconds=self.seconds * times,
            packed_seconds=self.packed_seconds * times,
            workspace_bytes=workspace_bytes,
        )

    def of(self, *, packed: bool) -> float:
        """Seconds of a run with weights packed before it, or in it."""
        return self.packed_seconds if packed else self.seconds


@dataclass(frozen=True)
class _Runs:
    """What is timed of one candidate."""

    whole: Callable[[], Tensor]
    packed: Callable[[], Tensor] | None  # None: as `whole`
    bytes_needed: int


class _Inputs:
    """The tensors of one pass, and its result in float64 for some of the filters."""

    def __init__(self, shape: ConvShape, pass_: Pass, from_layout: Layout, to_layout: Layout, element: Element) -> None:
        generator = np.random.default_rng(0)  # torch's refuses to draw where many gradients are taken at once
        self.shape, self.pass_, self.element = shape, pass_, element
        self.from_layout, self.to_layout = from_layout, to_layout
        dtype = torch.bfloat16 if element == "bfloat16" else torch.float32

        def noise(size: tuple[int, ...]) -> Tensor:
            return torch.from_numpy(generator.standard_normal(size, dtype=np.float32)).to(dtype)

        self.x, self.weight, self.gradient = noise(shape.images), noise(shape.filters), noise(shape.result)
        first = self.gradient if pass_ == "backward_data" else self.x
        self.first = laid_out(first, from_layout)
        self.second = laid_out(self.gradient, to_layout) if pass_ == "backward_weights" else self.weight

    def error(self, result: Tensor) -> float:
        """The largest error of a sample of `result` (NCHW), relative to the sample's largest value."""
        return relative_difference(result[self._sample], self._wanted)

    @property
    def _sample(self) -> tuple[slice, slice]:
        """Where the sample lies in the result."""
        if self.pass_ == "backward_weights":
            return self._filters, self._channels
        return slice(1), self._filters if self.pass_ == "forward" else self._channels

    @cached_property
    def _wanted(self) -> Tensor:
        """The sample in float64."""
        s, padding = self.shape, self._padding()
        group_in, group_out = s.in_channels // s.groups, s.out_channels // s.groups
        filters, channels = self._filters, self._channels
        if self.pass_ == "forward":
            padded = functional.pad(self.x[:1, :group_in].double(), padding)
            return functional.conv2d(padded, self.weight[filters].double(), **self._strides())
        if self.pass_ == "backward_data":
            left, _, top, _ = padding
            padded = functional.pad(self.x[:1, channels].double(), padding)
            weight = self.weight[:group_out, channels].double()
            wide = self._derivative(self.gradient[:1, :group_out].double(), padded, weight, data=True)
            return wide[:, :, top : top + s.height, left : left + s.width]
        padded = functional.pad(self.x[:, channels].double(), padding)
        weight = self.weight[filters, channels].double()
        return self._derivative(self.gradient[:, filters].double(), padded, weight, data=False)

    @property
    def _filters(self) -> slice:
        """Of the first group, so many."""
        return slice(min(SAMPLE, self.shape.out_channels // self.shape.groups))

    @property
    def _channels(self) -> slice:
        return slice(min(SAMPLE, self.shape.in_channels // self.shape.groups))

    def _padding(self) -> tuple[int, int, int, int]:
        rows, columns = self.shape.rows, self.shape.columns
        return (columns.low, columns.high, rows.low, rows.high)

    def _strides(self) -> dict[str, Any]:
        rows, columns = self.shape.rows, self.shape.columns
        return {"stride": (rows.stride, columns.stride), "dilation": (rows.dilation, columns.dilation)}

    def _derivative(self, gradient: Tensor, padded: Tensor, weight: Tensor, *, data: bool) -> Tensor:
        return torch_derivative(gradient, padded, weight, padding=(0, 0), groups=1, data=data, **self._strides())

    def runs(self, algorithm: str, threads: int) -> _Runs:
        """Calls that compute the pass, and the bytes they need (0 for torch, which does not say)."""
        if algorithm == TORCH:
            return _Runs(self._torch, None, 0)
        prepared = plan(
            self.shape,
            algorithm,
            self.pass_,
            from_layout=self.from_layout,
            to_layout=self.to_layout,
            threads=threads,
            element=self.element,
        )
        if self.pass_ == "backward_weights":
            return _Runs(lambda: prepared.gradient(self.first, self.second), None, prepared.bytes_needed)
        packed = prepared.pack(self.second)
        return _Runs(
            lambda: prepared.run(self.first, self.second),
            lambda: prepared.run(self.first, packed),
            prepared.bytes_needed,
        )

    def _torch(self) -> Tensor:
        s = self.shape
        strides = self._strides()
        padding = (s.rows.low, s.columns.low)
        if self.pass_ == "forward":
            return functional.conv2d(self.first, self.weight, None, padding=padding, groups=s.groups, **strides)
        data = self.pass_ == "backward_data"
        x, gradient = (self.x_like, self.first) if data else (self.first, self.second)
        return torch_derivative(gradient, x, self.weight, padding=padding, groups=s.groups, data=data, **strides)

    @property
    def x_like(self) -> Tensor:
        """x as torch wants it beside the gradient: only its size and layout matter."""
        return laid_out(self.x, self.to_layout)

    def planar(self, result: Tensor) -> Tensor:
        """A result as [N, C, H, W]."""
        if result.ndim != 5:
            return result
        return from_blocked(result, (self.shape.result if self.pass_ == "forward" else self.shape.images)[1])


def relative_difference(given: Tensor, wanted: Tensor) -> float:
    """max |given − wanted| / max |wanted|; infinite unless both have the same NaN and infinities, left out here.

    >>> relative_difference(torch.tensor([1.0, math.nan]), torch.tensor([2.0, math.nan]))
    0.5
    """
    given, is_number = given.to(wanted.dtype), wanted.isfinite()
    if not is_number.all():
        others, theirs = given[~is_number], wanted[~is_number]
        if not ((others == theirs) | (others.isnan() & theirs.isnan())).all():
            return math.inf
        given, wanted = given[is_number], wanted[is_number]
    if wanted.numel() == 0:
        return 0.0
    largest = wanted.abs().max().item()
    difference = (given - wanted).abs().max().item()
    if difference != difference:
        return math.inf
    return difference / largest if largest > 0 else difference


def torch_derivative(
    gradient: Tensor,
    x: Tensor,
    weight: Tensor,
    *,
    stride: tuple[int, int],
    padding: tuple[int, int],
    dilation: tuple[int, int],
    groups: int,
    data: bool,
) -> Tensor:
    """torch's own derivative of a convolution: with respect to x (`data`), or to the weights."""
    results = torch.ops.aten.convolution_backward(
        gradient, x, weight, None, stride, padding, dilation, False, [0, 0], groups, [data, not data, False]
    )
    result: Tensor = results[0 if data else 1]
    return result


def torch_can(shape: ConvShape, from_layout: Layout, to_layout: Layout) -> bool:
    """Whether torch has this as one operator: the same padding on both sides, and one of its own layouts."""
    same_sides = (shape.rows.low, shape.columns.low) == (shape.rows.high, shape.columns.high)
    return same_sides and from_layout == to_layout != "blocked"


def measure(
    shape: ConvShape,
    pass_: Pass,
    candidates: Sequence[str],
    *,
    from_layout: Layout = "nchw",
    to_layout: Layout = "nchw",
    threads: int | None = None,
    element: Element = "float32",
) -> dict[str, Measurement]:
    """Time every candidate in turns and check it; `candidates` are names of algorithms, or "torch"."""
    threads = threads or team_size()
    with torch.no_grad(), _torch_on(threads):
        return _measure(_Inputs(shape, pass_, from_layout, to_layout, element), candidates, threads)


@contextlib.contextmanager
def _torch_on(threads: int) -> Iterator[None]:
    """torch, a candidate as well, on as many threads as the others; and as it was, afterwards."""
    before = torch.get_num_threads()
    if threads != team_size():
        torch.set_num_threads(threads)
    try:
        yield
    finally:
        if torch.get_num_threads() != before:
            torch.set_num_threads(before)


def _measure(inputs: _Inputs, candidates: Sequence[str], threads: int) -> dict[str, Measurement]:
    runs = {name: inputs.runs(name, threads) for name in candidates}
    # the first run of each is not timed
    errors = {name: inputs.error(inputs.planar(run.whole())) for name, run in runs.items()}
    whole = race({name: run.whole for name, run in runs.items()})
    packed = whole
    if math.prod(inputs.shape.result[2:]) * inputs.shape.batch < MANY_PIXELS and _any_packs(runs):
        packed = race({name: run.packed or run.whole for name, run in runs.items()})
    return {
        name: Measurement(typical(whole[name]), typical(packed[name]), errors[name], runs[name].bytes_needed)
        for name in candidates
    }


def _any_packs(runs: Mapping[str, _Runs]) -> bool:
    return any(run.packed is not None for run in runs.values())
