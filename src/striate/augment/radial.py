"""A lens's radial terms (Brown 1966), for arrays of NumPy and tensors of torch alike.

A point at distance d from the output's centre, with u = |d|² in squares of half the diagonal, comes from
centre + f · d. The derivative of that is f I + slope · d dᵀ.

The formula's one place in Python; native/augment/lens.h has it for C++, `triton_warp` for the GPU, native/ref/warp.cpp
for all of them to be held against.
"""

from typing import Any, TypeVar

__all__ = ["factor", "per_square", "slope"]

Values = TypeVar("Values")  # a number, an array, a tensor


def per_square(height: int, width: int) -> float:
    """1 / (half the diagonal)²."""
    return 4 / (height * height + width * width)


def factor(u: Values, k1: Any, k2: Any) -> Values:
    """f.

    >>> factor(1.0, 0.1, 0.05)  # at the corners
    1.15
    """
    f: Values = 1 + u * (k1 + u * k2)
    return f


def slope(u: Values, k1: Any, k2: Any, per_square: float) -> Values:
    """∂f/∂|d|, over |d|."""
    along: Values = 2 * per_square * (k1 + 2 * k2 * u)
    return along
