"""Results of a few operators on tensors without numbers, said here instead of asked of torch.

torch answers for these through Python decompositions whose first use imports its compiler: more than a second, longer
than the rest of an inspection. A rule returns None for arguments that it does not speak of, and torch is asked after
all. A test holds each rule to torch's own answer.
"""

from collections.abc import Callable, Sequence
from typing import Any

import torch
from torch import Tensor

from striate.arithmetic import DoesNotFit, TransposedWindow, Window
from striate.nets.mode import Mode

__all__ = ["Shapes", "like", "result"]


class Shapes(Mode):
    """While this mode is on, the rules answer before torch does."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        kwargs = kwargs or {}
        found = result(func._schema.name.removeprefix("aten::"), args, kwargs)
        return func(*args, **kwargs) if found is None else found


def result(name: str, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Any:
    """What operator `name` gives on the meta device; None when torch is to be asked."""
    rule = _RULES.get(name)
    return rule(*args, **kwargs) if rule else None


def like(tensor: Tensor, dtype: torch.dtype | None = None) -> Tensor:
    """Shape, type and memory order of `tensor`, without numbers: `torch.empty_like`, itself a decomposition.

    A tensor with holes (a slice, an expansion) becomes a dense one.
    """
    return torch.empty(tensor.shape, dtype=dtype or tensor.dtype, device="meta", memory_format=_order(tensor))


def _order(tensor: Tensor) -> torch.memory_format:
    last = tensor.ndim == 4 and tensor.is_contiguous(memory_format=torch.channels_last) and tensor.shape[1] > 1
    return torch.channels_last if last else torch.contiguous_format


def _alike(input: Tensor, *settings: Any, **named: Any) -> Tensor:
    """An operator whose result has the shape and the type of what it is given."""
    return like(input)


def _empty_like(input: Tensor, dtype: torch.dtype | None = None, **named: Any) -> Tensor | None:
    """Room for as much again."""
    return like(input, dtype) if input.is_meta and not any(named.get(key) for key in ("layout", "device")) else None


def _itself(input: Tensor, *settings: Any, **named: Any) -> Tensor:
    """An operator that writes over what it is given."""
    return input


def _broadcast(a: Tensor, b: Tensor) -> torch.Size:
    shape: torch.Size = torch.broadcast_shapes(a.shape, b.shape)  # type: ignore[no-untyped-call]  # torch has no types
    return shape


def _elementwise(a: Any, b: Any, **named: Any) -> Tensor | None:
    """Two tensors of one type, broadcast; or a floating-point tensor and a number."""
    if not isinstance(a, Tensor) or named.get("rounding_mode") or not a.is_floating_point():
        return None
    if not isinstance(b, Tensor):
        return like(a)
    if a.dtype != b.dtype:
        return None
    if a.shape == b.shape:
        return like(a)
    shape = _broadcast(a, b)
    full = b if b.shape == shape else a
    return torch.empty(shape, dtype=a.dtype, device="meta", memory_format=_order(full))


def _elementwise_in_place(a: Any, b: Any, **named: Any) -> Tensor | None:
    """The same, written over the first."""
    fits = isinstance(b, Tensor) and _broadcast(a, b) != a.shape
    return None if fits else a


def _mm(a: Tensor, b: Tensor) -> Tensor | None:
    """A product of matrices."""
    return a.new_empty(a.shape[0], b.shape[1]) if a.shape[1] == b.shape[0] else None


def _addmm(bias: Tensor, a: Tensor, b: Tensor, **scales: Any) -> Tensor | None:
    """A product of matrices, plus a bias."""
    return _mm(a, b)


def _mean(input: Tensor, dim: Any = None, keepdim: bool = False, **named: Any) -> Tensor | None:
    """A mean over dimensions."""
    if dim is None or named or not input.is_floating_point():
        return None
    gone = {d % input.ndim for d in ([dim] if isinstance(dim, int) else dim)}
    kept = [1 if d in gone else n for d, n in enumerate(input.shape) if keepdim or d not in gone]
    return input.new_empty(kept)


def _convolution(
    input: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    transposed: bool,
    output_padding: Sequence[int],
    groups: int,
) -> Tensor | None:
    """Sizes by our own windows; what does not fit is left to torch, to refuse in its own words."""
    axes, expected = input.ndim - 2, weight.shape[0] if transposed else weight.shape[1] * groups
    if axes < 1 or input.shape[1] != expected or weight.ndim != input.ndim:
        return None
    given = (_each(setting, axes) for setting in (stride, padding, dilation, output_padding))
    try:
        sides = [
            (
                TransposedWindow(kernel, stride=s, padding=p, dilation=d, output_padding=o)
                if transposed
                else Window(kernel, stride=s, padding=p, dilation=d)
            ).out(n)
            for n, kernel, s, p, d, o in zip(input.shape[2:], weight.shape[2:], *given, strict=True)
        ]
    except (DoesNotFit, ValueError):
        return None
    channels = weight.shape[1] * groups if transposed else weight.shape[0]
    shape = (input.shape[0], channels, *sides)
    return torch.empty(shape, dtype=input.dtype, device="meta", memory_format=_order(input))


def _max_pool(
    input: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    dilation: Sequence[int] = (1,),
    ceil_mode: bool = False,
) -> tuple[Tensor, Tensor] | None:
    """The largest of each window, and where it was."""
    pooled = _pool(input, kernel, stride, padding, dilation, ceil_mode)
    return None if pooled is None else (pooled, like(pooled, torch.int64))


def _avg_pool(
    input: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int] = (),
    padding: Sequence[int] = (0,),
    ceil_mode: bool = False,
    *settings: Any,
) -> Tensor | None:
    """The mean of each window."""
    return _pool(input, kernel, stride, padding, (1,), ceil_mode)


def _pool(
    input: Tensor,
    kernel: Sequence[int],
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    ceil_mode: bool,
) -> Tensor | None:
    axes = input.ndim - 2
    if axes < 1:
        return None
    given = (_each(setting, axes) for setting in (kernel, stride or kernel, padding, dilation))
    try:
        sides = []
        for n, f, s, p, d in zip(input.shape[2:], *given, strict=True):
            if 2 * p > f:
                return None
            sides.append(Window(f, stride=s, padding=p, dilation=d, ceil_mode=ceil_mode).out(n))
    except (DoesNotFit, ValueError):
        return None
    return torch.empty((*input.shape[:2], *sides), dtype=input.dtype, device="meta", memory_format=_order(input))


def _adaptive_avg_pool(input: Tensor, output_size: Sequence[int]) -> Tensor | None:
    """As many means as are asked for."""
    if input.ndim != 4 or min(*input.shape[2:], *output_size) < 1:
        return None
    shape = (*input.shape[:2], *output_size)
    return torch.empty(shape, dtype=input.dtype, device="meta", memory_format=_order(input))


def _each(setting: Sequence[int], axes: int) -> list[int]:
    """A setting for every axis, which torch may have given once for all."""
    return list(setting) * axes if len(setting) == 1 else list(setting)


def _batch_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    training: bool,
    momentum: float,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """The output, and the statistics that the backward pass of training wants."""
    channels = input.shape[1] if training else 0
    return like(input), input.new_empty(channels), input.new_empty(channels)


_RULES: dict[str, Callable[..., Any]] = {
    **dict.fromkeys(("relu", "gelu", "silu", "elu", "leaky_relu", "hardtanh", "hardswish", "hardsigmoid"), _alike),
    **dict.fromkeys(("tanh", "sigmoid"), _alike),
    **dict.fromkeys(("bernoulli_", "uniform_", "normal_"), _itself),
    **dict.fromkeys(("add", "sub", "mul", "div", "pow"), _elementwise),
    **dict.fromkeys(("add_", "sub_", "mul_", "div_"), _elementwise_in_place),
    "convolution": _convolution,
    "_adaptive_avg_pool2d": _adaptive_avg_pool,
    "avg_pool2d": _avg_pool,
    "avg_pool3d": _avg_pool,
    "max_pool2d_with_indices": _max_pool,
    "empty_like": _empty_like,
    "mean": _mean,
    "mm": _mm,
    "addmm": _addmm,
    "native_batch_norm": _batch_norm,
}
