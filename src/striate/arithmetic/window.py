"""A window that slides along one axis: how many outputs it has, and why it does not fit.

    out(N) = ⌊(N + P_low + P_high − D(F − 1) − 1) / S⌋ + 1

for N pixels, kernel F, stride S, padding P on either side and dilation D (Dumoulin and Visin 2016, relationship 15).
Convolutions and pools are the same thing here. The floor is PyTorch's and everybody's: the pixels that are left over
are not looked at. A lecture's blackboard has no floor and says "does not fit" instead; `exact=True` is the blackboard.

>>> [Window(3, stride=s).out(7, exact=True) for s in (1, 2)]   # CS231n, 7×7 input and a 3×3 filter
[5, 3]
>>> Window(3, stride=3).out(7)          # what torch computes: the last pixel is never seen
2
>>> Window(11, stride=4).out(227), Window(3, stride=2).out(55)   # AlexNet's conv1 and pool1, Krizhevsky 2012
(55, 27)
>>> Window(5, padding=2).out(32)        # (F − 1) / 2 keeps the size
32
>>> Window(3, dilation=4).extent        # pixels from the first tap to the last
9
>>> Window.same(3, 224, stride=2)       # TensorFlow's SAME: the odd pixel comes after; torch's padding=1 is (1, 1)
Window(kernel=3, stride=2, padding=(0, 1), dilation=1, ceil_mode=False)
"""

from dataclasses import KW_ONLY, dataclass
from typing import Literal

from striate.errors import StriateError

__all__ = ["DoesNotFit", "Taps", "Window"]


class DoesNotFit(StriateError, ValueError):
    """A window, or a net made of windows, cannot take an input of this size."""


@dataclass(frozen=True)
class Taps:
    """What a window and a transposed one share: kernel, stride, padding and dilation along one axis, in px.

    Raises ValueError for a kernel, stride or dilation below 1 or a negative padding.
    """

    kernel: int
    _: KW_ONLY
    stride: int = 1
    padding: int | tuple[int, int] = 0  # (low, high), or one number for both
    dilation: int = 1

    def __post_init__(self) -> None:
        if isinstance(self.padding, int):
            object.__setattr__(self, "padding", (self.padding, self.padding))
        if min(self.kernel, self.stride, self.dilation) < 1:
            raise ValueError(f"kernel, stride and dilation must be at least 1 px: {self}")
        if min(self.low, self.high) < 0:
            raise ValueError(f"padding must not be negative: {self}")

    @property
    def low(self) -> int:
        """Padding before the first pixel."""
        return self.padding if isinstance(self.padding, int) else self.padding[0]

    @property
    def high(self) -> int:
        """Padding after the last pixel."""
        return self.padding if isinstance(self.padding, int) else self.padding[1]

    @property
    def extent(self) -> int:
        """Pixels from the first tap to the last, both included: D(F − 1) + 1."""
        return self.dilation * (self.kernel - 1) + 1


@dataclass(frozen=True, kw_only=True)
class Window(Taps):
    """Kernel, stride, padding and dilation along one axis, in px; `padding` is (low, high), or one number for both.

    `ceil_mode` rounds up instead of down, as torch's pools do on request: a last window that starts inside the input
    (or its low padding) counts although it hangs over the end. `"caffe"` rounds as Caffe's pools always do: where
    nothing is padded and the stride is larger than the kernel, even a window that lies wholly outside counts.

    >>> [Window(1, stride=3, ceil_mode=mode).out(5) for mode in (False, True, "caffe")]
    [2, 2, 3]

    Raises ValueError for a kernel, stride or dilation below 1 or a negative padding.
    """

    ceil_mode: bool | Literal["caffe"] = False

    @classmethod
    def same(cls, kernel: int, n: int, *, stride: int = 1, dilation: int = 1) -> "Window":
        """TensorFlow's 'SAME' on an axis of `n` px: ⌈n / S⌉ outputs, the padding even or with one pixel more after.

        The padding depends on `n`: this is why a net ported from TensorFlow differs by a pixel.
        """
        span = (-(-n // stride) - 1) * stride + dilation * (kernel - 1) + 1
        missing = max(0, span - n)
        return cls(kernel, stride=stride, padding=(missing // 2, missing - missing // 2), dilation=dilation)

    @classmethod
    def valid(cls, kernel: int, *, stride: int = 1, dilation: int = 1) -> "Window":
        """TensorFlow's 'VALID': no padding.

        >>> Window.valid(3, stride=2).out(224)
        111
        """
        return cls(kernel, stride=stride, dilation=dilation)

    @property
    def smallest(self) -> int:
        """The smallest input, in px, that gives one output."""
        slack = self.stride - 1 if self.ceil_mode else 0
        return max(1, self.extent - slack - self.low - self.high)

    def out(self, n: int, *, exact: bool = False) -> int:
        """Outputs along an axis of `n` px.

        Raises DoesNotFit when there is not one output, and with `exact` also when the windows do not end at the end.

        >>> Window(3, stride=3).out(7, exact=True)
        Traceback (most recent call last):
        striate.arithmetic.window.DoesNotFit: 7 px do not fit kernel 3, stride 3: (7 − 3) / 3 + 1 = 2.33; use stride 2
        or 4, or padding (1, 1)
        """
        if n < self.smallest:
            raise DoesNotFit(f"{n} px do not fit {self}: {self._too_small(n)}")
        span = n + self.low + self.high - self.extent
        if exact and span % self.stride:
            raise DoesNotFit(f"{n} px do not fit {self}: {self._left_over(n, span)}")
        if not self.ceil_mode:
            return span // self.stride + 1
        outputs = -(-span // self.stride) + 1
        clip = self.ceil_mode != "caffe" or self.low > 0  # Caffe clips where it pads; its padding is symmetric
        if clip and (outputs - 1) * self.stride >= n + self.low:  # a window that would start in the high padding
            outputs -= 1
        return outputs

    def _too_small(self, n: int) -> str:
        if n < 1:
            return "an input has at least 1 px"
        missing = self.smallest - n
        padding = (self.low + (missing + 1) // 2, self.high + missing // 2)
        kernel = (n + self.low + self.high - 1) // self.dilation + 1
        smaller = f"kernel {kernel}, " if 1 <= kernel < self.kernel else ""
        return f"it needs at least {self.smallest} px; use {smaller}padding {padding} or a larger input"

    def _left_over(self, n: int, span: int) -> str:
        strides = [s for s in range(1, span + 1) if span % s == 0] or [1]
        below = [s for s in strides if s < self.stride][-1:]
        above = [s for s in strides if s > self.stride][:1]
        near = " or ".join(str(s) for s in below + above)
        missing = self.stride - span % self.stride
        padding = (self.low + (missing + 1) // 2, self.high + missing // 2)
        pad = f" + {self.low + self.high}" if self.low + self.high else ""
        sum_ = f"({n}{pad} − {self.extent}) / {self.stride} + 1 = {span / self.stride + 1:.2f}"
        return f"{sum_}; use stride {near}, or padding {padding}"

    def __str__(self) -> str:
        text = f"kernel {self.kernel}, stride {self.stride}"
        if self.low or self.high:
            text += f", padding {self.low if self.low == self.high else (self.low, self.high)}"
        if self.dilation > 1:
            text += f", dilation {self.dilation}"
        return text
