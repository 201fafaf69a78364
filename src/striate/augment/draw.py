"""From random 32-bit words to the numbers a noise needs, without a loop.

`below` and `chance` cut [0, 2³²) into intervals, so a result's probability differs from the one asked for by less than
2⁻³², far below what any number of epochs could show. The continuous laws take a word as the middle of its interval.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["below", "chance", "log_uniform", "normal", "sign", "uniform"]


def below(words: NDArray[np.uint32], n: NDArray[np.int64] | int) -> NDArray[np.int64]:
    """Uniform integers in [0, n): the upper half of the 64-bit product words × n (Lemire 2019, without rejection).

    A value owns ⌊2³²/n⌋ or ⌈2³²/n⌉ words. `n` ≥ 1 broadcasts against `words` and must stay below 2³¹.

    >>> below(np.array([0, 2**31, 2**32 - 1], np.uint32), 9)
    array([0, 4, 8])
    """
    return (words.astype(np.int64) * n) >> 32


def chance(words: NDArray[np.uint32], p: float) -> NDArray[np.bool_]:
    """True with probability `p`; never at 0, always at 1.

    >>> chance(np.array([0, 2**31, 2**32 - 1], np.uint32), 0.5)
    array([ True, False, False])
    """
    return words.astype(np.int64) < round(p * 2**32)


def uniform(words: NDArray[np.uint32], low: float, high: float) -> NDArray[np.float64]:
    """Uniform in (low, high); `low` itself where the two are one.

    >>> uniform(np.array([0, 2**31, 2**32 - 1], np.uint32), -1.0, 1.0).round(6)
    array([-1.,  0.,  1.])
    """
    return low + (high - low) * ((words + 0.5) / 2**32)


def log_uniform(words: NDArray[np.uint32], low: float, high: float) -> NDArray[np.float64]:
    """exp of a uniform between log low and log high, both above 0: a factor and its inverse are equally likely."""
    exponents: NDArray[np.float64] = np.exp(uniform(words, float(np.log(low)), float(np.log(high))))
    return exponents


def sign(words: NDArray[np.uint32]) -> NDArray[np.float64]:
    """−1 or 1, equally likely."""
    return np.where(chance(words, 0.5), 1.0, -1.0)


def normal(words: NDArray[np.uint32]) -> NDArray[np.float64]:
    """Standard normals of words [..., 2k], pair by pair (Box and Muller 1958): within ±6.8, as far as 32 bits reach.

    >>> normal(np.array([[2**31, 0, 2**31, 2**30]], np.uint32)).shape
    (1, 4)
    """
    share = (words + 0.5) / 2**32
    radius, angle = np.sqrt(-2 * np.log(share[..., 0::2])), 2 * np.pi * share[..., 1::2]
    return np.stack([radius * np.cos(angle), radius * np.sin(angle)], -1).reshape(words.shape)
