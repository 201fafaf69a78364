"""What one unit sees of the input, along one axis.

A field is (size r, jump j, start s): unit k sees the pixels [s + k j, s + k j + r). A window of F taps, stride S,
dilation D and low padding P composes it (Araujo, Norris and Sim 2019, eqs. 1 and 2):

    r' = r + D(F − 1) j          j' = S j          s' = s − P j

Dilation leaves holes; the size is the hull, from the first pixel to the last. Fields are not clipped at the border.
A jump is a fraction after upsampling; there units differ, and size and start are means over them.

>>> two = PIXEL.through(Window(3)).through(Window(3))                   # CS231n: two 3×3 see 5×5, three 7×7
>>> two.pixels, two.through(Window(3)).pixels
(5, 7)
>>> [field.pixels for field in chain(Window(3), Window(3, dilation=2), Window(3, dilation=4))]   # Yu and Koltun 2016
[3, 7, 15]
>>> vgg16 = [w for n in (2, 2, 3, 3, 3) for w in [Window(3, padding=1)] * n + [Window(2, stride=2)]]
>>> chain(*vgg16)[-1]                                                   # VGG-16's pool5
Field(size=212, jump=32, start=-90)
"""

import math
from dataclasses import dataclass
from fractions import Fraction

from striate.arithmetic.transposed import TransposedWindow
from striate.arithmetic.window import Window

__all__ = ["PIXEL", "Field", "chain", "hull"]

Number = int | Fraction


@dataclass(frozen=True)
class Field:
    """Size, jump and start in px of the input. A jump of 0 says that every unit sees the same."""

    size: Number
    jump: Number
    start: Number

    @property
    def pixels(self) -> int:
        """The size in whole pixels, rounded up."""
        return math.ceil(self.size)

    @property
    def centre(self) -> Fraction:
        """The middle of what unit 0 sees; the first pixel's middle is ½."""
        return Fraction(self.start) + Fraction(self.size) / 2

    def through(self, window: Window | TransposedWindow) -> "Field":
        """The field of a window's outputs on units that have this field.

        >>> PIXEL.through(TransposedWindow(4, stride=2, padding=1))     # 2 of the 4 taps meet a pixel
        Field(size=2, jump=Fraction(1, 2), start=Fraction(-3, 4))
        """
        if isinstance(window, Window):
            return self.taken(window.extent, step=window.stride, first=-window.low)
        return self.taken(window.taps, step=Fraction(1, window.stride), first=window.first)

    def taken(self, taps: Number, *, step: Number, first: Number) -> "Field":
        """The field of units that reach over `taps` units of this one, the first at `first`, each `step` further on."""
        return Field(
            size=_plain(self.size + (taps - 1) * self.jump),
            jump=_plain(self.jump * step),
            start=_plain(self.start + first * self.jump),
        )

    def resized(self, scale: Number, *, taps: int) -> "Field":
        """After resampling to `scale` times the size with an interpolation over `taps` units (1 nearest, 2 linear,
        4 cubic), pixel areas aligned: output k has its middle at (k + ½) / scale.

        >>> PIXEL.resized(2, taps=1)
        Field(size=1, jump=Fraction(1, 2), start=Fraction(-1, 4))
        """
        middle = Fraction(1, 2) / scale
        return self.taken(taps, step=Fraction(1) / scale, first=middle - Fraction(taps, 2))


PIXEL = Field(size=1, jump=1, start=0)  # what an input pixel sees


def chain(*windows: Window | TransposedWindow) -> list[Field]:
    """The field after each of the windows, one behind another."""
    fields = [PIXEL]
    for window in windows:
        fields.append(fields[-1].through(window))
    return fields[1:]


def hull(fields: list[Field], n: int) -> Field:
    """The smallest field that holds all `fields` for the `n` units of a join (an addition, a concatenation).

    Where jumps agree that is exact. Where they do not, it has the largest jump and is as wide as the worst unit needs.

    >>> hull([PIXEL, PIXEL.through(Window(3, padding=1))], n=8)        # a residual join
    Field(size=3, jump=1, start=-1)
    """
    jump = max(field.jump for field in fields)
    lows = [field.start + k * (field.jump - jump) for field in fields for k in (0, max(n - 1, 0))]
    highs = [field.start + field.size + k * (field.jump - jump) for field in fields for k in (0, max(n - 1, 0))]
    return Field(size=_plain(max(highs) - min(lows)), jump=jump, start=_plain(min(lows)))


def _plain(number: Number) -> Number:
    """A fraction that is whole as an int."""
    return number.numerator if isinstance(number, Fraction) and number.denominator == 1 else number
