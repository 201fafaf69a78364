"""A transposed window: the sizes of a convolution, run backwards ("deconvolution", Zeiler 2010).

    out(N) = (N − 1) S − P_low − P_high + D(F − 1) + 1 + output_padding

Dumoulin and Visin 2016, relationship 14. Several inputs of a strided convolution share an output size; the output
padding says which of them is meant, and that is all it does: nothing is padded with it.

>>> TransposedWindow(4, stride=2, padding=1).out(7)      # doubles: DCGAN, FCN
14
>>> TransposedWindow(3, stride=2, padding=1, output_padding=1).out(112)
224
"""

from dataclasses import dataclass
from fractions import Fraction

from striate.arithmetic.window import DoesNotFit, Taps

__all__ = ["TransposedWindow"]


@dataclass(frozen=True, kw_only=True)
class TransposedWindow(Taps):
    """Kernel, stride, padding, dilation along one axis, in px, of the convolution that this one transposes.

    Raises ValueError for a kernel, stride or dilation below 1, a negative padding, or an output padding that is not
    smaller than the stride or the dilation (torch's rule: otherwise it names no convolution).
    """

    output_padding: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if not 0 <= self.output_padding < max(self.stride, self.dilation):
            raise ValueError(f"output padding must be smaller than stride or dilation: {self}")

    def out(self, n: int) -> int:
        """Outputs along an axis of `n` px. Raises DoesNotFit when the padding takes all of them away.

        >>> TransposedWindow(2, padding=1).out(1)
        Traceback (most recent call last):
        striate.arithmetic.window.DoesNotFit: 1 px do not fit transposed kernel 2, stride 1, padding 1: 0 px come out;
        use padding 0 or a larger input
        """
        if n < 1:
            raise DoesNotFit(f"{n} px do not fit {self}: an input has at least 1 px")
        out = (n - 1) * self.stride - self.low - self.high + self.extent + self.output_padding
        if out < 1:
            most = (out + self.low + self.high - 1) // 2
            raise DoesNotFit(f"{n} px do not fit {self}: {out} px come out; use padding {most} or a larger input")
        return out

    @property
    def taps(self) -> Fraction:
        """Inputs from the first to the last that reach one output, averaged over outputs: extent / stride."""
        return max(Fraction(1), Fraction(self.extent, self.stride))

    @property
    def first(self) -> Fraction:
        """Where the first of them lies for output 0, averaged likewise; output k has its own at first + k / stride."""
        centre = Fraction(2 * self.low - self.extent + 1, 2 * self.stride)  # of the inputs k + P − D f = i S
        return centre - (self.taps - 1) / 2

    def __str__(self) -> str:
        text = f"transposed kernel {self.kernel}, stride {self.stride}"
        if self.low or self.high:
            text += f", padding {self.low if self.low == self.high else (self.low, self.high)}"
        if self.dilation > 1:
            text += f", dilation {self.dilation}"
        if self.output_padding:
            text += f", output padding {self.output_padding}"
        return text
