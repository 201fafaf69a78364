"""`conv2d` as people know it, and its relatives along one axis and three."""

from collections.abc import Callable, Sequence
from functools import lru_cache
from typing import Any

import torch
from torch import Tensor
from torch.overrides import handle_torch_function, has_torch_function

from striate.conv import operators
from striate.conv.passes import Passes
from striate.conv.plans import Layout, algorithms, layout_of
from striate.conv.shape import ConvShape, Padding, Sizes, WrongShape, each, pair, sides, whole
from striate.conv.team import team_size
from striate.conv.watched import is_transformed, is_watched
from striate.errors import unknown

__all__ = ["conv1d", "conv2d", "conv3d"]

_NARROW = (torch.bfloat16, torch.float16)


def conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Padding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
    algorithm: str = "auto",
) -> Tensor:
    """[N, K, P, Q]: x [N, C, H, W] (or [C, H, W]) filtered by weight [K, C / groups, h, w], plus bias [K].

    As `torch.nn.functional.conv2d`, with the algorithm of one's choice: a name of `striate.conv.algorithms()`, or
    "auto", which measures those that can do this shape once and remembers the fastest; so do derivatives that the
    named one lacks. Padding may also be (top, bottom, left, right). Derivatives of any order; torch.compile and
    torch.export see one operator; torch.func's transformations but vmap, and forward-mode derivatives, get torch's own.
    Raises WrongShape, with the numbers, for what does not fit, and for algorithms that cannot do it, with the reason.

    >>> x = torch.arange(16.0).view(1, 1, 4, 4)
    >>> conv2d(x, torch.ones(1, 1, 3, 3), algorithm="winograd2")
    tensor([[[[45., 54.],
              [81., 90.]]]])
    """
    if has_torch_function((x, weight, bias)):  # torch.fx, tensors with a say of their own in functions
        return _handed_over(conv2d, x, weight, bias, stride, padding, dilation, groups, algorithm)
    if algorithm != "auto" and algorithm not in algorithms():
        raise WrongShape(unknown("algorithm", str(algorithm), ("auto", *algorithms())))
    _check_dimensions("conv2d", x, weight, 2)
    if bias is not None and not isinstance(bias, Tensor):
        raise WrongShape(f"conv2d: the bias must be a tensor, not {type(bias).__name__}")
    if x.ndim == 3:
        return conv2d(x[None], weight, bias, stride, padding, dilation, groups, algorithm)[0]
    strides, dilations = pair(stride, "stride"), pair(dilation, "dilation")
    padded = sides(padding, weight.shape[2:], strides, dilations)
    (groups,) = each(groups, 1, 1, "conv2d: groups")
    if x.device.type != "cpu" or is_transformed():
        return _torch_conv2d(x, weight, bias, strides, padded, dilations, groups)
    if _plainly_called(x, weight, bias):
        passes = _passes(
            tuple(x.shape), tuple(weight.shape), strides, padded, dilations, groups, algorithm,
            layout_of(x), operators.result_layout(x, weight), team_size(),
        )  # fmt: skip
        return passes.apply(x, weight, bias)
    return operators.forward(x, weight, bias, strides, padded, dilations, groups, algorithm)


def _plainly_called(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Whether nobody is watching and there is nothing to convert: float32, no compiler, no autocast."""
    return (
        not torch.compiler.is_compiling()
        and x.dtype == weight.dtype == torch.float32
        and (bias is None or (bias.dtype == torch.float32 and bias.shape == weight.shape[:1]))
        and not torch.is_autocast_enabled("cpu")
        and not is_watched(x, weight, bias)
    )


@lru_cache(maxsize=4096)
def _passes(
    images: tuple[int, ...],
    filters: tuple[int, ...],
    strides: tuple[int, int],
    padded: tuple[int, ...],
    dilations: tuple[int, int],
    groups: int,
    algorithm: str,
    x_layout: Layout | None,
    y_layout: Layout,
    threads: int,
) -> Passes:
    shape = ConvShape.of(images, filters, stride=strides, padding=padded, dilation=dilations, groups=groups)
    return Passes(shape, x_layout or y_layout, y_layout, algorithm, algorithm, algorithm, threads)


def _torch_conv2d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> Tensor:
    """torch's own, which knows no padding that differs between the sides."""
    top, bottom, left, right = padding
    if (top, left) != (bottom, right):
        x, top, left = torch.nn.functional.pad(x, (left, right, top, bottom)), 0, 0
    return torch.nn.functional.conv2d(x, weight, bias, tuple(stride), (top, left), tuple(dilation), groups)


def conv1d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Padding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
    algorithm: str = "auto",
) -> Tensor:
    """[N, K, Q]: x [N, C, W] (or [C, W]) filtered by weight [K, C / groups, w], plus bias [K].

    padding is one number for both sides, (left, right), "same" or "valid". Raises WrongShape as `conv2d` does.

    >>> conv1d(torch.arange(5.0).view(1, 1, 5), torch.ones(1, 1, 3), algorithm="reference")
    tensor([[[3., 6., 9.]]])
    """
    if has_torch_function((x, weight, bias)):
        return _handed_over(conv1d, x, weight, bias, stride, padding, dilation, groups, algorithm)
    _check_dimensions("conv1d", x, weight, 1)
    (stride,), (dilation,) = each(stride, 1, 1, "conv1d: stride"), each(dilation, 1, 1, "conv1d: dilation")
    if isinstance(padding, str):
        pads = sides(padding, (1, weight.shape[2]), (1, stride), (1, dilation))
    else:
        given = whole(padding)
        pads = (0, 0, *each(given[0] if len(given) == 1 else padding, 2, 0, "conv1d: padding"))
    flat = weight[:, :, None]
    return conv2d(x[..., None, :], flat, bias, (1, stride), pads, (1, dilation), groups, algorithm).squeeze(-2)


def conv3d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: Sizes = 1,
    padding: Padding = 0,
    dilation: Sizes = 1,
    groups: int = 1,
    algorithm: str = "auto",
) -> Tensor:
    """[N, K, O, P, Q]: x [N, C, D, H, W] (or [C, D, H, W]) filtered by weight [K, C / groups, d, h, w], slice by slice.

    A filter of depth d is d flat filters: the sum over them of the 2-D convolutions of the slices that each sees.
    padding is one number or three, "same" or "valid". bfloat16 and float16 are summed over the slices in float32, and
    rounded once. Raises WrongShape as `conv2d` does.

    >>> conv3d(torch.ones(1, 1, 3, 3, 3), torch.ones(1, 1, 3, 3, 3), algorithm="reference").item()
    27.0
    """
    if has_torch_function((x, weight, bias)):
        return _handed_over(conv3d, x, weight, bias, stride, padding, dilation, groups, algorithm)
    _check_dimensions("conv3d", x, weight, 3)
    if x.is_cpu and torch.is_autocast_enabled("cpu") and x.dtype in (torch.float32, *_NARROW):
        narrow = _in_dtype(torch.get_autocast_dtype("cpu"), x, weight, bias)
        with torch.autocast("cpu", enabled=False):
            return conv3d(*narrow, stride, padding, dilation, groups, algorithm)
    if x.is_cpu and x.dtype in _NARROW and {t.dtype for t in (weight, bias) if t is not None} == {x.dtype}:
        wide = _in_dtype(torch.float32, x, weight, bias)
        return conv3d(*wide, stride, padding, dilation, groups, algorithm).to(x.dtype)
    if x.ndim == 4:
        return conv3d(x[None], weight, bias, stride, padding, dilation, groups, algorithm)[0]
    s, *strides = each(stride, 3, 1, "conv3d: stride")
    d, *dilations = each(dilation, 3, 1, "conv3d: dilation")
    if isinstance(padding, str):
        front, back, _, _ = sides(padding, (weight.shape[2], 1), (s, 1), (d, 1))
        pads = sides(padding, weight.shape[3:], strides, dilations)
    else:
        front, down, across = each(padding, 3, 0, "conv3d: padding")
        back, pads = front, (down, down, across, across)
    deep = torch.nn.functional.pad(x, (0, 0, 0, 0, front, back))
    batch, channels, depth, height, width = deep.shape
    span = d * (weight.shape[2] - 1) + 1
    slices = (depth - span) // s + 1
    if slices < 1:
        raise WrongShape(
            f"conv3d: depth {x.shape[2]} + padding {front + back} is less than the {span} slices a filter spans"
        )
    total: Tensor | None = None
    for tap in range(weight.shape[2]):
        seen = deep[:, :, tap * d : tap * d + (slices - 1) * s + 1 : s]
        flat = seen.transpose(1, 2).reshape(batch * slices, channels, height, width)
        offset = bias if tap == 0 else None
        y = conv2d(flat, weight[:, :, tap], offset, strides, pads, dilations, groups, algorithm)
        total = y if total is None else total + y
    if total is None:
        raise WrongShape("conv3d: a filter has at least one tap along each axis, not 0 slices")
    return total.view(batch, slices, *total.shape[1:]).transpose(1, 2).contiguous()


def _in_dtype(
    dtype: torch.dtype, x: Tensor, weight: Tensor, bias: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    return x.to(dtype), weight.to(dtype), None if bias is None else bias.to(dtype)


def _handed_over(function: Callable[..., Tensor], x: Tensor, weight: Tensor, bias: Tensor | None, *how: Any) -> Tensor:
    """What the tensors' own `__torch_function__` makes of the call, as for torch's functions."""
    result: Tensor = handle_torch_function(function, (x, weight, bias), x, weight, bias, *how)
    return result


def _check_dimensions(name: str, x: Tensor, weight: Tensor, axes: int) -> None:
    for what, given in (("x", x), ("the weights", weight)):
        if not isinstance(given, Tensor):
            raise WrongShape(f"{name}: {what} must be a tensor, not {type(given).__name__}")
    if x.ndim not in (axes + 1, axes + 2) or weight.ndim != axes + 2:
        images, filters = ("D, H, W", "d, h, w") if axes == 3 else ("H, W", "h, w") if axes == 2 else ("W", "w")
        raise WrongShape(
            f"{name}: x must be [N, C, {images}] or [C, {images}] and the weights [K, C / groups, {filters}], not "
            f"{list(x.shape)} and {list(weight.shape)}"
        )
