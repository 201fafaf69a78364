"""`conv2d` as people know it, and its relatives along one axis and three."""

from collections.abc import Sequence
from functools import lru_cache

import torch
from torch import Tensor, nn

from striate.conv import operators
from striate.conv.passes import Passes
from striate.conv.plans import Layout, algorithms, layout_of
from striate.conv.shape import ConvShape, Padding, Sizes, WrongShape, pair, sides
from striate.errors import unknown

__all__ = ["conv1d", "conv2d", "conv3d"]


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
    torch.export see one operator.
    Raises WrongShape, with the numbers, for what does not fit, and for algorithms that cannot do it, with the reason.

    >>> x = torch.arange(16.0).view(1, 1, 4, 4)
    >>> conv2d(x, torch.ones(1, 1, 3, 3), algorithm="winograd2")
    tensor([[[[45., 54.],
              [81., 90.]]]])
    """
    if algorithm != "auto" and algorithm not in algorithms():
        raise WrongShape(unknown("algorithm", algorithm, ("auto", *algorithms())))
    if x.ndim == 3:
        return conv2d(x[None], weight, bias, stride, padding, dilation, groups, algorithm)[0]
    if x.ndim != 4 or weight.ndim != 4:
        raise WrongShape(
            f"conv2d: x must be [N, C, H, W] and the weights [K, C / groups, h, w], not {list(x.shape)} and "
            f"{list(weight.shape)}"
        )
    strides, dilations = pair(stride, "stride"), pair(dilation, "dilation")
    padded = sides(padding, weight.shape[2:], strides, dilations)
    if x.device.type != "cpu":
        return _torch_conv2d(x, weight, bias, strides, padded, dilations, groups)
    if _plainly_called(x, weight, bias):
        passes = _passes(
            tuple(x.shape), tuple(weight.shape), strides, padded, dilations, groups, algorithm,
            layout_of(x), operators.result_layout(x, weight), torch.get_num_threads(),
        )  # fmt: skip
        return passes.apply(x, weight, bias)
    return operators.forward(x, weight, bias, strides, padded, dilations, groups, algorithm)


def _plainly_called(x: Tensor, weight: Tensor, bias: Tensor | None) -> bool:
    """Whether nobody is watching: plain float32 tensors, no tracing, no transformation, no autocast, no mode."""
    return (
        not torch.compiler.is_compiling()
        and all(type(t) in (Tensor, nn.Parameter) and t.dtype == torch.float32 for t in (x, weight))
        and (bias is None or (bias.dtype == torch.float32 and bias.shape == weight.shape[:1]))
        and not torch.is_autocast_enabled("cpu")
        and torch._C._functorch.peek_interpreter_stack() is None
        and torch._C._len_torch_dispatch_stack() == 0
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
    stride: int = 1,
    padding: int | tuple[int, int] = 0,
    dilation: int = 1,
    groups: int = 1,
    algorithm: str = "auto",
) -> Tensor:
    """[N, K, Q]: x [N, C, W] filtered by weight [K, C / groups, w]; padding is (left, right) or one number for both.

    >>> conv1d(torch.arange(5.0).view(1, 1, 5), torch.ones(1, 1, 3), algorithm="reference")
    tensor([[[3., 6., 9.]]])
    """
    left, right = (padding, padding) if isinstance(padding, int) else padding
    y = conv2d(
        x[:, :, None], weight[:, :, None], bias, (1, stride), (0, 0, left, right), (1, dilation), groups, algorithm
    )
    return y[:, :, 0]


def conv3d(
    x: Tensor,
    weight: Tensor,
    bias: Tensor | None = None,
    stride: int | Sequence[int] = 1,
    padding: int | Sequence[int] = 0,
    dilation: int | Sequence[int] = 1,
    groups: int = 1,
    algorithm: str = "auto",
) -> Tensor:
    """[N, K, O, P, Q]: x [N, C, D, H, W] filtered by weight [K, C / groups, d, h, w], slice by slice.

    A filter of depth d is d flat filters: the sum over them of the 2-D convolutions of the slices that each sees.

    >>> conv3d(torch.ones(1, 1, 3, 3, 3), torch.ones(1, 1, 3, 3, 3), algorithm="reference").item()
    27.0
    """

    def three(given: int | Sequence[int]) -> tuple[int, int, int]:
        numbers = (given,) * 3 if isinstance(given, int) else tuple(given)
        if len(numbers) != 3:
            raise WrongShape(f"conv3d: settings are one number or three, not {given!r}")
        return (numbers[0], numbers[1], numbers[2])

    (s, *strides), (p, *pads), (d, *dilations) = three(stride), three(padding), three(dilation)
    deep = torch.nn.functional.pad(x, (0, 0, 0, 0, p, p))
    batch, channels, depth, height, width = deep.shape
    slices = (depth - d * (weight.shape[2] - 1) - 1) // s + 1
    if slices < 1:
        span = d * (weight.shape[2] - 1) + 1
        raise WrongShape(f"conv3d: depth {x.shape[2]} + padding {2 * p} is less than the {span} slices a filter spans")
    total: Tensor | None = None
    for tap in range(weight.shape[2]):
        seen = deep[:, :, tap * d : tap * d + (slices - 1) * s + 1 : s]
        flat = seen.transpose(1, 2).reshape(batch * slices, channels, height, width)
        offset = bias if tap == 0 else None
        y = conv2d(flat, weight[:, :, tap], offset, strides, pads, dilations, groups, algorithm)
        total = y if total is None else total + y
    assert total is not None
    return total.view(batch, slices, *total.shape[1:]).transpose(1, 2).contiguous()
