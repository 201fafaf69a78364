"""What a model does with an example: the convolutions it calls, and a step that can be timed."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import torch
from torch import Tensor, nn

from striate.conv.plans import Element, Layout, Pass, element_of, layout_of
from striate.conv.shape import ConvShape, WrongShape

__all__ = ["Call", "Untouched", "calls_of", "element_of_call", "step_of"]


@dataclass(frozen=True)
class Call:
    """How a layer was called: its input, and whether a gradient of it is wanted."""

    name: str
    module: nn.Conv2d
    x: Tensor
    needs_data: bool
    element: Element

    @cached_property
    def shape(self) -> ConvShape:
        """Of the convolution."""
        m = self.module
        return ConvShape.of(
            self.x.shape, m.weight.shape, stride=m.stride, padding=m.padding, dilation=m.dilation, groups=m.groups
        )

    @property
    def x_layout(self) -> Layout:
        """How the images lie in memory."""
        layout = layout_of(self.x)
        assert layout is not None
        return layout

    @property
    def y_layout(self) -> Layout:
        """How torch lays out the result."""
        return "channels_last" if "channels_last" in (self.x_layout, layout_of(self.module.weight)) else "nchw"

    @property
    def wanted(self) -> list[tuple[Pass, Layout, Layout]]:
        """The passes of a step, each with the layouts it goes from and to."""
        x, y = self.x_layout, self.y_layout
        passes: list[tuple[Pass, Layout, Layout]] = [("forward", x, y)]
        if self.module.training and self.module.weight.requires_grad:
            passes.append(("backward_weights", x, y))
        if self.module.training and self.needs_data:
            passes.append(("backward_data", y, x))
        return passes


def element_of_call(module: nn.Conv2d, x: Tensor) -> Element | None:
    """What a layer would compute in: autocast's type, else that of images and weights if it is one."""
    if torch.is_autocast_enabled("cpu"):
        narrow = torch.get_autocast_dtype("cpu") == torch.bfloat16 and x.dtype in (torch.float32, torch.bfloat16)
        return "bfloat16" if narrow else None
    return element_of(x) if x.dtype == module.weight.dtype else None


class Untouched:
    """Everything that running the model may change is put back: buffers, gradients, the random state."""

    def __init__(self, model: nn.Module) -> None:
        self._model = model

    def __enter__(self) -> None:
        self._buffers = [(b, b.clone()) for b in self._model.buffers()]
        self._gradients = [(p, p.grad) for p in self._model.parameters()]
        self._random = torch.get_rng_state()

    def __exit__(self, *_: object) -> None:
        with torch.no_grad():
            for buffer, value in self._buffers:
                buffer.copy_(value)
        for parameter, gradient in self._gradients:
            parameter.grad = gradient
        torch.set_rng_state(self._random)


def calls_of(model: nn.Module, arguments: tuple[Any, ...]) -> list[Call]:
    """The first call of every plain Conv2d that the example reaches, in order.

    Raises WrongShape for an example that the model cannot take.
    """
    calls: dict[str, Call] = {}
    hooks = []
    for name, module in model.named_modules():
        if type(module) is not nn.Conv2d or module.padding_mode != "zeros" or element_of(module.weight) is None:
            continue

        def seen(module: nn.Module, inputs: tuple[Any, ...], name: str = name) -> None:
            (x,) = inputs
            assert isinstance(module, nn.Conv2d)
            element = element_of_call(module, x)
            if x.ndim == 4 and element is not None and layout_of(x) is not None:
                given = x.detach().bfloat16() if element == "bfloat16" else x.detach()
                calls.setdefault(name, Call(name, module, given, x.requires_grad, element))

        hooks.append(module.register_forward_pre_hook(seen))
    try:
        with torch.set_grad_enabled(model.training):
            model(*arguments)
    except (RuntimeError, ValueError, TypeError) as error:
        reason = str(error).splitlines()[0]
        raise WrongShape(f"accelerate: the model does not take the example: {reason}") from error
    finally:
        for hook in hooks:
            hook.remove()
    return list(calls.values())


def step_of(model: nn.Module, arguments: tuple[Any, ...]) -> Callable[[], None]:
    """The model on the example, with the backward pass if it is training."""

    def run() -> None:
        with torch.set_grad_enabled(model.training):
            result = model(*arguments)
        if model.training:
            tensors = [t for t in _tensors(result) if t.requires_grad]
            torch.autograd.backward([t.sum() for t in tensors])

    return run


def _tensors(result: Any) -> list[Tensor]:
    if isinstance(result, Tensor):
        return [result]
    if isinstance(result, dict):
        result = result.values()
    if not isinstance(result, str) and hasattr(result, "__iter__"):
        return [t for part in result for t in _tensors(part)]
    return []
