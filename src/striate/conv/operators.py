"""The three passes as PyTorch operators: `striate::conv2d`, `…_backward_data`, `…_backward_weights`.

They are closed under differentiation: every derivative of one is made of the other two (and a sum for the bias), so
derivatives of any order exist. With c the convolution, linear in both of its arguments,

    y  = c(x, w) + b      dx = data(dy, w)       dw = weights(x, dy)      db = Σ dy
    data(dy, w):    d/ddy = c(g, w)              d/dw = weights(g, dy)
    weights(x, dy): d/dx = data(dy, g)           d/ddy = c(x, g)

float32 is computed by the algorithm that is named or chosen (a derivative that the named one lacks: chosen), float64
by the reference loops. bfloat16 is computed as it is by the algorithms that do so, but for the gradient of the weights;
by the others, and float16, in float32 and rounded once. Other devices get torch's own convolution: this room is about
the CPU.
"""

import math
from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.utils.flop_counter import register_flop_formula

from striate import _native
from striate.conv.choose import asked_for_ieee, best_algorithm, possible
from striate.conv.plans import Element, Layout, Pass, Plan, layout_of, plan, refusal
from striate.conv.shape import ConvShape, WrongShape
from striate.conv.team import team_size

__all__ = ["backward_data", "backward_weights", "forward", "planned", "result_layout"]

_SETTINGS = "int[] stride, int[] padding, int[] dilation, int groups, str algorithm"

_torch_library: Any = torch.library  # parts of it have no types
_library = _torch_library.Library("striate", "DEF")
_library.define(f"conv2d(Tensor x, Tensor weight, Tensor? bias, {_SETTINGS}) -> Tensor")
_library.define(f"conv2d_backward_data(Tensor gradient, Tensor weight, int[] size, {_SETTINGS}) -> Tensor")
_library.define(f"conv2d_backward_weights(Tensor x, Tensor gradient, int[] kernel, {_SETTINGS}) -> Tensor")

forward: Callable[..., Tensor] = torch.ops.striate.conv2d.default
backward_data: Callable[..., Tensor] = torch.ops.striate.conv2d_backward_data.default
backward_weights: Callable[..., Tensor] = torch.ops.striate.conv2d_backward_weights.default


@lru_cache(maxsize=4096)
def _shape(
    images: tuple[int, ...],
    filters: tuple[int, ...],
    stride: tuple[int, ...],
    padding: tuple[int, ...],
    dilation: tuple[int, ...],
    groups: int,
) -> ConvShape:
    return ConvShape.of(images, filters, stride=stride, padding=padding, dilation=dilation, groups=groups)


@lru_cache(maxsize=4096)
def planned(
    shape: ConvShape,
    pass_: Pass,
    algorithm: str,
    from_: Layout,
    to: Layout,
    threads: int,
    element: Element = "float32",
    *,
    ieee: bool = False,
) -> Plan:
    """The plan of an algorithm; of the best one for "auto", and for a derivative that the named one lacks.

    `ieee` as in `choose.possible`: of the choice, where there is one.
    """
    unable = pass_ != "forward" and algorithm != "auto" and refusal(algorithm, pass_, shape, from_, to, element)
    if algorithm == "auto" or unable:
        algorithm = best_algorithm(
            shape, pass_, from_layout=from_, to_layout=to, threads=threads, element=element, ieee=ieee
        )
    return plan(shape, algorithm, pass_, from_layout=from_, to_layout=to, threads=threads, element=element)


def _planned(
    shape: ConvShape, pass_: Pass, algorithm: str, from_: Layout, to: Layout, dtype: torch.dtype
) -> Plan | None:
    threads = team_size()
    if dtype == torch.bfloat16:
        return _narrow(shape, pass_, algorithm, from_, to, threads)
    return planned(shape, pass_, algorithm, from_, to, threads, ieee=asked_for_ieee())


@lru_cache(maxsize=4096)
def _narrow(shape: ConvShape, pass_: Pass, algorithm: str, from_: Layout, to: Layout, threads: int) -> Plan | None:
    """The plan in bfloat16; None where the algorithm that is named, or any ("auto"), computes in float32 only."""
    if algorithm == "auto":
        unable = shape.macs == 0 or not possible(shape, pass_, from_, to, "bfloat16")
    else:
        unable = bool(refusal(algorithm, pass_, shape, from_, to, "bfloat16"))
    return None if unable else planned(shape, pass_, algorithm, from_, to, threads, "bfloat16")


def result_layout(images: Tensor, weight: Tensor) -> Layout:
    """As torch does: channels-last if images or weights are."""
    either = "channels_last" in (layout_of(images), layout_of(weight))
    return "channels_last" if either else "nchw"


def _in_float32(compute: Callable[..., Tensor | None]) -> Callable[..., Tensor]:
    """Narrow floats in float32, with one rounding at the end; anything that is no float is refused.

    bfloat16 is first tried as it is: `compute` returns None where that has no way.
    """

    def computed(first: Tensor, second: Tensor, *rest: Any) -> Tensor:
        tensors = [first, second, *(t for t in rest if isinstance(t, Tensor))]
        dtypes = {t.dtype for t in tensors}
        if len(dtypes) > 1:
            listed = ", ".join(sorted(str(dtype).removeprefix("torch.") for dtype in dtypes))
            raise WrongShape(f"conv2d: images, weights and bias must have one dtype, not {listed}")
        dtype = first.dtype
        if dtype not in (torch.float32, torch.float64, torch.bfloat16, torch.float16):
            raise WrongShape(f"conv2d: computes floats, not {str(dtype).removeprefix('torch.')}")
        result = None if dtype == torch.float16 else compute(first, second, *rest)
        if result is not None:
            return result
        wide = [_widened(t) if isinstance(t, Tensor) else t for t in (first, second, *rest)]
        result = compute(*wide)
        assert result is not None  # what is wide is always computed
        return result.to(dtype)

    return computed


def _widened(t: Tensor) -> Tensor:
    """In float32, in its own layout; where it has none, in NCHW, which a tracer sees, too."""
    return t.float() if t.ndim != 4 or layout_of(t) is not None else t.contiguous().float()


def _double(function: Callable[..., Any], shape: ConvShape, layout: Layout, *arguments: Any) -> Tensor:
    """One of the reference's functions on float64 tensors; its result in `layout`."""
    arrays = [a.detach().contiguous().numpy() if isinstance(a, Tensor) else a for a in arguments]
    rows, columns = shape.rows, shape.columns
    result = torch.from_numpy(
        function(
            *arrays,
            stride=(rows.stride, columns.stride),
            padding=(rows.low, rows.high, columns.low, columns.high),
            dilation=(rows.dilation, columns.dilation),
            groups=shape.groups,
        )
    )
    if layout == "nchw":
        return result
    return torch.empty_like(result, memory_format=torch.channels_last).copy_(result)


@_in_float32
def _forward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
    algorithm: str,
) -> Tensor | None:
    shape = _shape(tuple(x.shape), tuple(weight.shape), tuple(stride), tuple(padding), tuple(dilation), groups)
    if bias is not None and bias.shape != (shape.out_channels,):
        raise WrongShape(f"conv2d: bias is {list(bias.shape)} for {shape.out_channels} filters")
    layout = result_layout(x, weight)
    if x.dtype == torch.float64:
        return _double(_native.reference_conv2d, shape, layout, x, weight, bias)
    prepared = _planned(shape, "forward", algorithm, layout_of(x) or layout, layout, x.dtype)
    return None if prepared is None else prepared.run(x, weight, bias=bias)


@_in_float32
def _backward_data(
    gradient: Tensor, weight: Tensor, size: Any, stride: Any, padding: Any, dilation: Any, groups: int, algorithm: str
) -> Tensor | None:
    images = (gradient.shape[0], weight.shape[1] * groups, *size)
    shape = _shape(images, tuple(weight.shape), tuple(stride), tuple(padding), tuple(dilation), groups)
    layout = result_layout(gradient, weight)
    if gradient.dtype == torch.float64:
        return _double(_native.reference_conv2d_backward_data, shape, layout, gradient, weight, tuple(size))
    prepared = _planned(shape, "backward_data", algorithm, layout_of(gradient) or layout, layout, gradient.dtype)
    return None if prepared is None else prepared.run(gradient, weight)


@_in_float32
def _backward_weights(
    x: Tensor, gradient: Tensor, kernel: Any, stride: Any, padding: Any, dilation: Any, groups: int, algorithm: str
) -> Tensor | None:
    filters = (gradient.shape[1], x.shape[1] // groups, *kernel)
    shape = _shape(tuple(x.shape), filters, tuple(stride), tuple(padding), tuple(dilation), groups)
    if x.dtype == torch.float64:
        return _double(_native.reference_conv2d_backward_weights, shape, "nchw", x, gradient, tuple(kernel))
    from_, to = layout_of(x) or "nchw", layout_of(gradient) or "nchw"
    prepared = _planned(shape, "backward_weights", algorithm, from_, to, x.dtype)
    return None if prepared is None else prepared.gradient(x, gradient)


_library.impl("conv2d", _forward, "CPU")
_library.impl("conv2d_backward_data", _backward_data, "CPU")
_library.impl("conv2d_backward_weights", _backward_weights, "CPU")


# What a tracer sees: sizes and layouts, no numbers.


def _fake(size: Sequence[Any], like: Tensor, other: Tensor | None = None) -> Tensor:
    last = any(
        t is not None and t.is_contiguous(memory_format=torch.channels_last) and not t.is_contiguous()
        for t in (like, other)
    )
    memory_format = torch.channels_last if last else torch.contiguous_format
    return torch.empty(size, dtype=like.dtype, device=like.device, memory_format=memory_format)


def _fake_forward(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Any,
    padding: Any,
    dilation: Any,
    groups: int,
    algorithm: str,
) -> Tensor:
    out = [
        (n + padding[2 * i] + padding[2 * i + 1] - dilation[i] * (weight.shape[2 + i] - 1) - 1) // stride[i] + 1
        for i, n in enumerate(x.shape[2:])
    ]
    return _fake((x.shape[0], weight.shape[0], *out), x, weight)


def _fake_backward_data(gradient: Tensor, weight: Tensor, size: Any, *settings: Any) -> Tensor:
    groups = settings[3]
    return _fake((gradient.shape[0], weight.shape[1] * groups, *size), gradient, weight)


def _fake_backward_weights(x: Tensor, gradient: Tensor, kernel: Any, *settings: Any) -> Tensor:
    groups = settings[3]
    return x.new_empty((gradient.shape[1], x.shape[1] // groups, *kernel))


_torch_library.register_fake("striate::conv2d", _fake_forward, lib=_library)
_torch_library.register_fake("striate::conv2d_backward_data", _fake_backward_data, lib=_library)
_torch_library.register_fake("striate::conv2d_backward_weights", _fake_backward_weights, lib=_library)


# Derivatives. The contexts keep what the formulas above need.


def _keep(ctx: Any, inputs: tuple[Any, ...], output: Tensor) -> None:
    first, second, _, *settings = inputs
    ctx.save_for_backward(first, second)
    ctx.settings = settings


def _backward_of_forward(context: Any, g: Tensor) -> tuple[Any, ...]:
    x, weight = context.saved_tensors
    needs_x, needs_weight, needs_bias = context.needs_input_grad[:3]
    dx = backward_data(g, weight, x.shape[2:], *context.settings) if needs_x else None
    dw = backward_weights(x, g, weight.shape[2:], *context.settings) if needs_weight else None
    db = g.sum((0, 2, 3)) if needs_bias else None
    return dx, dw, db, None, None, None, None, None


def _backward_of_data(context: Any, g: Tensor) -> tuple[Any, ...]:
    gradient, weight = context.saved_tensors
    needs_gradient, needs_weight = context.needs_input_grad[:2]
    d_gradient = forward(g, weight, None, *context.settings) if needs_gradient else None
    d_weight = backward_weights(g, gradient, weight.shape[2:], *context.settings) if needs_weight else None
    return d_gradient, d_weight, None, None, None, None, None, None


def _backward_of_weights(context: Any, g: Tensor) -> tuple[Any, ...]:
    x, gradient = context.saved_tensors
    needs_x, needs_gradient = context.needs_input_grad[:2]
    d_x = backward_data(gradient, g, x.shape[2:], *context.settings) if needs_x else None
    d_gradient = forward(x, g, None, *context.settings) if needs_gradient else None
    return d_x, d_gradient, None, None, None, None, None, None


torch.library.register_autograd("striate::conv2d", _backward_of_forward, setup_context=_keep, lib=_library)
torch.library.register_autograd("striate::conv2d_backward_data", _backward_of_data, setup_context=_keep, lib=_library)
torch.library.register_autograd(
    "striate::conv2d_backward_weights", _backward_of_weights, setup_context=_keep, lib=_library
)


# Under autocast images and weights take the narrow type, as torch's own convolution does.


def _autocast(operator: Callable[..., Tensor]) -> Callable[..., Tensor]:
    def narrowed(*arguments: Any) -> Tensor:
        dtype = torch.get_autocast_dtype("cpu")
        cast = [
            a.to(dtype) if isinstance(a, Tensor) and a.dtype in (torch.float32, torch.bfloat16, torch.float16) else a
            for a in arguments
        ]
        with torch._C._ExcludeDispatchKeyGuard(torch._C.DispatchKeySet(torch._C.DispatchKey.AutocastCPU)):
            return operator(*cast)

    return narrowed


for _name, _operator in (
    ("conv2d", forward),
    ("conv2d_backward_data", backward_data),
    ("conv2d_backward_weights", backward_weights),
):
    _library.impl(_name, _autocast(_operator), "AutocastCPU")


# vmap: one call per slice, whatever is batched. Slow, and right.


def _one_by_one(operator: Callable[..., Tensor]) -> Callable[..., Any]:
    def mapped(info: Any, in_dims: tuple[Any, ...], *arguments: Any) -> tuple[Tensor, int]:
        def slice_of(i: int) -> list[Any]:  # lists of settings come with lists of None
            return [a.select(d, i) if isinstance(d, int) else a for a, d in zip(arguments, in_dims, strict=True)]

        slices = [operator(*slice_of(i)) for i in range(info.batch_size)]
        return torch.stack(slices), 0

    return mapped


for _name, _operator in (
    ("conv2d", forward),
    ("conv2d_backward_data", backward_data),
    ("conv2d_backward_weights", backward_weights),
):
    torch.library.register_vmap(f"striate::{_name}", _one_by_one(_operator), lib=_library)


# torch's FlopCounterMode counts what it has a formula for: two flops a multiply-add, whatever the algorithm.


def _flops(filters: Sequence[int], result: Sequence[int]) -> int:
    return 2 * math.prod(filters) * result[0] * math.prod(result[2:])


@register_flop_formula(torch.ops.striate.conv2d)
def _flops_forward(x: Any, weight: Any, *_: Any, out_shape: Any, **__: Any) -> int:
    return _flops(weight, out_shape)


@register_flop_formula(torch.ops.striate.conv2d_backward_data)
def _flops_backward_data(gradient: Any, weight: Any, *_: Any, **__: Any) -> int:
    return _flops(weight, gradient)


@register_flop_formula(torch.ops.striate.conv2d_backward_weights)
def _flops_backward_weights(x: Any, gradient: Any, *_: Any, out_shape: Any, **__: Any) -> int:
    return _flops(out_shape, gradient)
