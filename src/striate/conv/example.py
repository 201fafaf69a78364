"""What a model does with an example: the convolutions it calls, and a step that can be timed."""

import random
import sys
from collections.abc import Mapping
from dataclasses import dataclass, is_dataclass
from functools import cached_property
from typing import Any

import numpy as np
import torch
from torch import Tensor, nn
from torch.nn.parameter import is_lazy

from striate.conv.plans import Element, Layout, Pass, element_of, layout_of
from striate.conv.shape import ConvShape, WrongShape

__all__ = ["Call", "Example", "Untouched", "calls_of", "element_of_call"]


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


def element_of_call(x: Tensor, weight: Tensor) -> Element | None:
    """What a layer would compute in: autocast's type, else that of images and weights if it is one."""
    if torch.is_autocast_enabled("cpu"):
        narrow = torch.get_autocast_dtype("cpu") == torch.bfloat16 and x.dtype in (torch.float32, torch.bfloat16)
        return "bfloat16" if narrow else None
    return element_of(x) if x.dtype == weight.dtype else None


class Untouched:
    """Everything that running a model may change is put back: buffers, gradients, the random states.

    Raises WrongShape for what could not be: lazy layers that no call has made yet, optimisers in the backward pass, and
    steps that other processes have to take as well.
    """

    def __init__(self, model: nn.Module) -> None:
        if any(is_lazy(t) for t in (*model.parameters(), *model.buffers())):
            raise WrongShape("accelerate: the model has lazy layers that no call has made yet; call it once first")
        if model.training and any(_hooks_of(p) for p in model.parameters()):
            raise WrongShape(
                "accelerate: parameters have hooks that run within the backward pass, and measuring would call them; "
                "accelerate first, then register them"
            )
        if shared := [type(m).__name__ for m in model.modules() if isinstance(m, _many_processes())]:
            raise WrongShape(
                f"accelerate: a step of {shared[0]} waits for other processes, which measure in their own time; "
                "accelerate the model within it first, then wrap it"
            )
        self._model = model

    def __enter__(self) -> None:
        self._buffers = [
            (module, name, buffer, buffer.clone())
            for module in self._model.modules()
            for name, buffer in module._buffers.items()
            if buffer is not None
        ]
        self._gradients = [(p, p.grad) for p in self._model.parameters()]
        for parameter, _ in self._gradients:
            parameter.grad = None
        self._random = torch.get_rng_state(), random.getstate(), np.random.get_state(legacy=False)  # noqa: NPY002  the state of others

    def __exit__(self, *_: object) -> None:
        for module, name, buffer, value in self._buffers:
            with torch.inference_mode(buffer.is_inference()), torch.no_grad():  # where alone these may be written to
                module._buffers[name] = buffer.copy_(value)
        for parameter, gradient in self._gradients:
            parameter.grad = gradient
        torchs, pythons, numpys = self._random
        torch.set_rng_state(torchs)
        random.setstate(pythons)
        np.random.set_state(numpys)  # noqa: NPY002  as above


def _hooks_of(parameter: nn.Parameter) -> bool:
    """Of the kind that sees an accumulated gradient."""
    return bool(getattr(parameter, "_post_accumulate_grad_hooks", None))


def _many_processes() -> tuple[type, ...]:
    """The wrappers whose every step is taken by several processes together."""
    sharded = sys.modules.get("torch.distributed.fsdp")  # takes a second to import, and who has not needs none
    kinds = () if sharded is None else (sharded.FullyShardedDataParallel, sharded.FSDPModule)
    return (nn.parallel.DistributedDataParallel, *kinds)


class Example:
    """A model and what it is called with: tensors of its own, which the model may write to.

    `given` is a tensor, a tuple of arguments or a mapping of keywords. Raises WrongShape for a model that is not on the
    CPU.
    """

    def __init__(self, model: nn.Module, given: Tensor | tuple[Any, ...] | Mapping[str, Any]) -> None:
        if any(p.device.type != "cpu" for p in model.parameters()):
            raise WrongShape("accelerate: the model is not on the CPU; model.cpu() first")
        self.model = model
        own = _copied(given)
        self._keywords: dict[str, Any] = own if isinstance(own, dict) else {}
        self._arguments: tuple[Any, ...] = () if isinstance(own, dict) else own if isinstance(own, tuple) else (own,)

    def run(self) -> Any:
        """Call the model; with what a backward pass needs, if it is training."""
        with torch.set_grad_enabled(self.model.training):
            return self.model(*self._arguments, **self._keywords)

    def step(self) -> None:
        """Call the model, with the backward pass if it is training and anything of its result can be differentiated."""
        result = self.run()
        if self.model.training:
            with torch.enable_grad():
                sums = [_real(t).sum() for t in _tensors(result) if t.requires_grad]
            torch.autograd.backward(sums)


def calls_of(example: Example) -> list[Call]:
    """The first call of every plain Conv2d that the example reaches, in order.

    Raises WrongShape for an example that the model cannot take.
    """
    calls: dict[str, Call] = {}
    hooks = []
    for name, module in example.model.named_modules():
        if type(module) is not nn.Conv2d or module.padding_mode != "zeros" or element_of(module.weight) is None:
            continue
        if "forward" in vars(module):  # somebody's own, which a class of ours would not take the place of
            continue

        def seen(module: nn.Module, inputs: tuple[Any, ...], keywords: dict[str, Any], name: str = name) -> None:
            x = inputs[0] if inputs else keywords.get("input")
            assert isinstance(module, nn.Conv2d)
            if not isinstance(x, Tensor):
                return  # the layer says what is wrong with it
            element = element_of_call(x, module.weight)
            if x.ndim == 4 and element is not None and layout_of(x) is not None:
                given = x.detach().bfloat16() if element == "bfloat16" else x.detach()
                calls.setdefault(name, Call(name, module, given, x.requires_grad, element))

        hooks.append(module.register_forward_pre_hook(seen, with_kwargs=True))
    try:
        example.run()
    except Exception as error:  # whatever a model that somebody else wrote makes of it
        reason = (str(error) or type(error).__name__).splitlines()[0]
        raise WrongShape(f"accelerate: the model does not take the example: {reason}") from error
    finally:
        for hook in hooks:
            hook.remove()
    return list(calls.values())


def _copied(given: Any) -> Any:
    """The same with tensors of its own, leaves of whatever is differentiated."""
    if isinstance(given, Tensor):
        return given.detach().clone().requires_grad_(given.requires_grad)
    if isinstance(given, Mapping):
        return {name: _copied(part) for name, part in given.items()}
    if type(given) in (tuple, list):
        return type(given)(map(_copied, given))
    return given


def _real(t: Tensor) -> Tensor:
    """The numbers of a complex tensor, as real ones."""
    return torch.view_as_real(t) if t.is_complex() else t


def _tensors(result: Any) -> list[Tensor]:
    if isinstance(result, Tensor):
        return [result]
    if isinstance(result, Mapping):
        result = result.values()
    elif is_dataclass(result) and not isinstance(result, type):
        result = vars(result).values()
    if not isinstance(result, str) and hasattr(result, "__iter__"):
        return [t for part in result for t in _tensors(part)]
    return []
