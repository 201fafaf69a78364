"""The three passes of one layer, each by an algorithm, by the best ("auto") or by torch; derivatives of any order.

What the operators compute (operators.py), without torch's dispatcher between, which layers of small images would feel.
"""

from dataclasses import dataclass, field
from typing import Any

import torch
from torch import Tensor
from torch.nn import functional

from striate import _native
from striate.conv import operators
from striate.conv.measure import TORCH, torch_derivative
from striate.conv.plans import Element, Layout, Plan
from striate.conv.shape import ConvShape
from striate.conv.team import team_size
from striate.conv.watched import is_watched

__all__ = ["Passes"]


@dataclass(frozen=True)
class Passes:
    """Algorithms by pass, for x and y of given layouts. Hashable: layers of one shape share it."""

    shape: ConvShape
    x_layout: Layout
    y_layout: Layout
    forward: str
    backward_data: str = TORCH
    backward_weights: str = TORCH
    threads: int = field(default_factory=team_size)
    element: Element = "float32"

    @property
    def names(self) -> tuple[str, str, str]:
        """Of the forward pass, backward to data, backward to weights."""
        return (self.forward, self.backward_data, self.backward_weights)

    def named(self) -> str:
        """For a table: one name where the backward passes are torch's."""
        if self.names[1:] == (TORCH, TORCH):
            return self.forward
        return f"{self.forward}, data {self.backward_data}, weights {self.backward_weights}"

    def apply(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The convolution, differentiable."""
        if torch.compiler.is_compiling():
            return self._traced(x, weight, bias)
        node: Any = _Passes  # torch leaves Function.apply without a type
        result: Tensor = node.apply(x, weight, bias, self)
        return result

    def infer(self, x: Tensor, packed: _native.PackedWeights, bias: Tensor | None) -> Tensor:
        """The convolution with weights that were packed by `forward_plan`."""
        return self.forward_plan().run(x, packed, bias=bias)

    def forward_plan(self) -> Plan:
        """Of the algorithm for the forward pass, which must not be torch's."""
        return operators.planned(
            self.shape, "forward", self.forward, self.x_layout, self.y_layout, self.threads, self.element
        )

    def compute(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        """The forward pass, weights packed on the way."""
        if self.forward == TORCH:
            return functional.conv2d(x, weight, bias, **self._torch_settings())
        return self.forward_plan().run(x, weight, bias=bias)

    def data(self, gradient: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        """The gradient with respect to x."""
        if self.backward_data == TORCH:
            return torch_derivative(gradient, x, weight, data=True, **self._torch_settings())
        if torch.is_grad_enabled() or is_watched(gradient, x, weight):  # it will be differentiated itself, say
            return operators.backward_data(gradient, weight, x.shape[2:], *self._settings(), self.backward_data)
        prepared = operators.planned(
            self.shape, "backward_data", self.backward_data, self.y_layout, self.x_layout, self.threads, self.element
        )
        return prepared.run(gradient, weight)

    def weights(self, gradient: Tensor, x: Tensor, weight: Tensor) -> Tensor:
        """The gradient with respect to the weights."""
        if self.backward_weights == TORCH:
            return torch_derivative(gradient, x, weight, data=False, **self._torch_settings())
        if torch.is_grad_enabled() or is_watched(gradient, x, weight):
            return operators.backward_weights(x, gradient, weight.shape[2:], *self._settings(), self.backward_weights)
        prepared = operators.planned(
            self.shape, "backward_weights", self.backward_weights, self.x_layout, self.y_layout, self.threads
        )
        return prepared.gradient(x, gradient)

    def _settings(self) -> tuple[tuple[int, ...], tuple[int, ...], tuple[int, ...], int]:
        rows, columns = self.shape.rows, self.shape.columns
        return (
            (rows.stride, columns.stride),
            (rows.low, rows.high, columns.low, columns.high),
            (rows.dilation, columns.dilation),
            self.shape.groups,
        )

    def _torch_settings(self) -> dict[str, Any]:
        (stride, (top, _, left, _), dilation, groups) = self._settings()
        return {"stride": stride, "padding": (top, left), "dilation": dilation, "groups": groups}

    def _traced(self, x: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
        if self.forward == TORCH:
            return functional.conv2d(x, weight, bias, **self._torch_settings())
        return operators.forward(x, weight, bias, *self._settings(), self.forward)


class _Passes(torch.autograd.Function):
    """The passes as one node of autograd."""

    @staticmethod
    def forward(context: Any, x: Tensor, weight: Tensor, bias: Tensor | None, passes: Passes) -> Tensor:
        context.save_for_backward(x, weight)
        context.passes = passes
        return passes.compute(x, weight, bias)

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor | None, Tensor | None, Tensor | None, None]:
        (gradient,) = gradients
        x, weight = context.saved_tensors
        passes: Passes = context.passes
        needs_x, needs_weight, needs_bias, _ = context.needs_input_grad
        return (
            passes.data(gradient, x, weight) if needs_x else None,
            passes.weights(gradient, x, weight) if needs_weight else None,
            gradient.sum((0, 2, 3)) if needs_bias else None,
            None,
        )
