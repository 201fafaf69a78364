"""What a convolution is: sizes and windows, and nothing about how it is computed.

The same as `native/conv/shape.h`, built from what tensors say, with the messages that a wrong call deserves.

>>> shape = ConvShape.of((1, 64, 56, 56), (128, 64, 3, 3), padding=1)
>>> shape.result, shape.macs
((1, 128, 56, 56), 231211008)
>>> ConvShape.of((1, 3, 8, 8), (4, 2, 3, 3))
Traceback (most recent call last):
striate.conv.shape.WrongShape: conv2d: images of 3 channels do not fit filters of 2 channels in groups=1: 2 × 1 is not 3
"""

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from operator import index
from typing import TypeAlias

from striate.arithmetic.window import Window
from striate.errors import StriateError

__all__ = ["ConvShape", "Padding", "Sizes", "WrongShape", "each", "pair", "sides", "whole"]

Sizes: TypeAlias = int | Sequence[int]  # one number, or (down, across)
Padding: TypeAlias = int | Sequence[int] | str  # …, (top, bottom, left, right), "same" or "valid"


class WrongShape(StriateError, ValueError):
    """Images, filters and settings that do not make a convolution; the message has the numbers."""


def pair(given: Sizes, what: str, *, at_least: int = 1) -> tuple[int, int]:
    """(down, across) of one number or two.

    >>> pair(2, "stride"), pair((2, 1), "stride")
    ((2, 2), (2, 1))
    """
    down, across = each(given, 2, at_least, f"conv2d: {what}")
    return (down, across)


def each(given: Sizes, count: int, at_least: int, what: str) -> tuple[int, ...]:
    """`count` whole numbers, of one for all or of so many."""
    numbers = whole(given)
    if len(numbers) == 1:
        numbers = numbers * count
    if len(numbers) != count or min(numbers) < at_least:
        wanted = ("one whole number", "one or two whole numbers", "one or three whole numbers")[count - 1]
        raise WrongShape(f"{what} must be {wanted} from {at_least} on, not {given!r}")
    return numbers


def whole(given: Sizes) -> tuple[int, ...]:
    """One whole number or several; none of them where one is no whole number.

    >>> whole(2), whole((2, 1)), whole((2, 1.5))
    ((2,), (2, 1), ())
    """
    try:
        return tuple(map(index, (given,) if isinstance(given, int) else given))
    except TypeError:
        return ()


def _counted(given: Sequence[int]) -> tuple[int, ...]:
    """The sizes of a tensor, which anybody may have written."""
    sizes = whole(given)
    if len(sizes) != len(given) or min(sizes, default=0) < 0:
        raise WrongShape(f"conv2d: sizes of a tensor are whole numbers from 0 on, not {tuple(given)}")
    return sizes


def sides(padding: Padding, kernel: Sequence[int], stride: Sequence[int], dilation: Sequence[int]) -> tuple[int, ...]:
    """(top, bottom, left, right) of whatever people write for padding.

    "same" keeps the size, the odd pixel after (as torch); "valid" pads nothing.

    >>> sides(1, (3, 3), (1, 1), (1, 1)), sides((0, 1, 2, 3), (3, 3), (1, 1), (1, 1))
    ((1, 1, 1, 1), (0, 1, 2, 3))
    >>> sides("same", (4, 1), (1, 1), (1, 1))
    (1, 2, 0, 0)
    """
    if isinstance(padding, str):
        if padding == "valid":
            return (0, 0, 0, 0)
        if padding != "same":
            raise WrongShape(f"conv2d: padding must be numbers, 'same' or 'valid', not {padding!r}")
        if max(stride) > 1:
            raise WrongShape(f"conv2d: padding='same' is for stride 1, not {tuple(stride)}; give the padding in px")
        spans = [d * (k - 1) for k, d in zip(kernel, dilation, strict=True)]
        return tuple(side for span in spans for side in (span // 2, span - span // 2))
    numbers = whole(padding)
    if len(numbers) == 1:
        numbers = numbers * 4
    elif len(numbers) == 2:
        numbers = (numbers[0], numbers[0], numbers[1], numbers[1])
    if len(numbers) != 4 or min(numbers) < 0:
        raise WrongShape(f"conv2d: padding must be one, two or four whole numbers from 0 on, not {padding!r}")
    return numbers


@dataclass(frozen=True)
class ConvShape:
    """x [batch, in_channels, height, width], filters [out_channels, in_channels / groups, kernel] → result."""

    batch: int
    in_channels: int
    out_channels: int
    groups: int
    height: int
    width: int
    rows: Window
    columns: Window

    @classmethod
    def of(
        cls,
        images: Sequence[int],
        filters: Sequence[int],
        *,
        stride: Sizes = 1,
        padding: Padding = 0,
        dilation: Sizes = 1,
        groups: int = 1,
    ) -> "ConvShape":
        """The shape for x of size `images` and weights of size `filters`.

        Raises WrongShape with the numbers that do not fit.
        """
        if len(images) != 4 or len(filters) != 4:
            raise WrongShape(
                f"conv2d: x must be [N, C, H, W] and the weights [K, C / groups, h, w], not {tuple(images)} and "
                f"{tuple(filters)}"
            )
        batch, in_channels, height, width = _counted(images)
        out_channels, group_in, *kernel = _counted(filters)
        (groups,) = each(groups, 1, 1, "conv2d: groups")
        if min(kernel) < 1:
            raise WrongShape(f"conv2d: a filter has at least one tap along each axis, not {kernel[0]}×{kernel[1]}")
        if group_in * groups != in_channels:
            raise WrongShape(
                f"conv2d: images of {in_channels} channels do not fit filters of {group_in} channels in "
                f"groups={groups}: {group_in} × {groups} is not {in_channels}"
            )
        if out_channels % groups:
            raise WrongShape(f"conv2d: {out_channels} filters do not divide into {groups} groups")
        strides, dilations = pair(stride, "stride"), pair(dilation, "dilation")
        top, bottom, left, right = sides(padding, kernel, strides, dilations)
        rows = Window(kernel[0], stride=strides[0], padding=(top, bottom), dilation=dilations[0])
        columns = Window(kernel[1], stride=strides[1], padding=(left, right), dilation=dilations[1])
        for name, window, n in (("height", rows, height), ("width", columns, width)):
            if n + window.low + window.high < window.extent:
                raise WrongShape(
                    f"conv2d: {name} {n} + padding {window.low + window.high} is less than the {window.extent} px that "
                    f"a filter spans"
                )
        return cls(batch, in_channels, out_channels, groups, height, width, rows, columns)

    @cached_property
    def result(self) -> tuple[int, int, int, int]:
        """[N, K, P, Q]."""
        return (self.batch, self.out_channels, self.rows.out(self.height), self.columns.out(self.width))

    @cached_property
    def images(self) -> tuple[int, int, int, int]:
        """[N, C, H, W]."""
        return (self.batch, self.in_channels, self.height, self.width)

    @property
    def filters(self) -> tuple[int, int, int, int]:
        """[K, C / groups, h, w]."""
        return (self.out_channels, self.in_channels // self.groups, self.rows.kernel, self.columns.kernel)

    @property
    def macs(self) -> int:
        """Multiply-adds of the direct sum, padding counted as pixels: what times are measured against."""
        _, group_in, h, w = self.filters
        batch, out_channels, height, width = self.result
        return batch * out_channels * height * width * group_in * h * w

    @property
    def numbers(self) -> list[int]:
        """As the native core takes it."""
        axes = ((self.height, self.rows), (self.width, self.columns))
        return [self.batch, self.in_channels, self.out_channels, self.groups] + [
            number for n, w in axes for number in (n, w.kernel, w.stride, w.low, w.high, w.dilation)
        ]

    def __str__(self) -> str:
        _, _, *kernel = self.filters
        text = f"{self.in_channels}→{self.out_channels}, {kernel[0]}×{kernel[1]}"
        for name, a, b in (
            ("/", self.rows.stride, self.columns.stride),
            (" dilation ", self.rows.dilation, self.columns.dilation),
        ):
            if (a, b) != (1, 1):
                text += f"{name}{a}" if a == b else f"{name}{a}×{b}"
        text += f" @ {self.height}×{self.width}"
        if self.groups > 1:
            text += f", {self.groups} groups"
        return f"{text}, N={self.batch}"
