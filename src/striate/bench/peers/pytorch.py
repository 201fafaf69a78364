"""PyTorch: as its users call it, and as `torch.compile` calls it for a net whose weights are frozen."""

from collections.abc import Callable
from typing import Any

import torch

from striate.bench.problem import Floats, Problem
from striate.bench.subject import CannotDo, Subject

__all__ = ["Eager", "Frozen"]

TYPES = {"fp32": torch.float32, "bf16": torch.bfloat16}


class Eager(Subject):
    """`torch.nn.functional.conv2d` and its derivatives on channels-last tensors."""

    takes = "channels-last"

    def __init__(self, problem: Problem) -> None:
        self.problem = problem
        torch.set_num_threads(problem.threads)
        layer = problem.layer
        x, w = _last(problem.x, problem), _last(problem.weight, problem)
        self.y = x
        self.compute: Callable[[], torch.Tensor]
        if problem.which == "forward":
            settings = (None, layer.stride, layer.padding, layer.dilation, layer.groups)
            self.compute = lambda: torch.nn.functional.conv2d(x, w, *settings)
            return
        dy = _last(problem.gradient, problem)
        wanted = [problem.which == "data", problem.which == "weights", False]
        at = wanted.index(True)
        pairs = (list(layer.stride), list(layer.padding), list(layer.dilation))
        backward: Any = torch.ops.aten.convolution_backward
        self.compute = lambda: backward(dy, x, w, None, *pairs, False, [0, 0], layer.groups, wanted)[at]

    def run(self) -> None:
        with torch.inference_mode():
            self.y = self.compute()

    def result(self) -> Floats:
        return _checked(self.y, self.problem)


class Frozen(Subject):
    """The operator that `torch.compile` makes of a convolution with `freezing=True`: weights in oneDNN's own order."""

    takes = "channels-last"

    def __init__(self, problem: Problem) -> None:
        if problem.which != "forward":
            raise CannotDo("frozen weights have no gradient")
        if not torch.backends.mkldnn.is_available():  # type: ignore[no-untyped-call]  # torch does not annotate it
            raise CannotDo("this torch has no oneDNN")
        self.problem = problem
        torch.set_num_threads(problem.threads)
        layer, ops = problem.layer, torch.ops.mkldnn
        self.x = _last(problem.x, problem)
        weight = torch.from_numpy(problem.weight).to(TYPES[problem.precision])
        pairs = [list(pair) for pair in (layer.padding, layer.stride, layer.dilation)]
        with torch.inference_mode():
            self.weight = ops._reorder_convolution_weight(weight, *pairs, layer.groups, list(self.x.shape))
        self.settings = (None, *pairs, layer.groups, "none", [], "")
        self.y = self.x

    def run(self) -> None:
        with torch.inference_mode():
            self.y = torch.ops.mkldnn._convolution_pointwise(self.x, self.weight, *self.settings)

    def result(self) -> Floats:
        return _checked(self.y, self.problem)


def _last(array: Floats, problem: Problem) -> torch.Tensor:
    return torch.from_numpy(array).to(TYPES[problem.precision]).contiguous(memory_format=torch.channels_last)


def _checked(y: torch.Tensor, problem: Problem) -> Floats:
    part: Any = y[list(problem.checked_images)] if problem.checked_images else y
    values: Floats = part.float().numpy()
    return values
