"""From random 32-bit words to the numbers a noise needs, without a loop.

Both functions cut [0, 2³²) into intervals, so a result's probability differs from the one asked for by less than 2⁻³²,
far below what any number of epochs could show.
"""

import numpy as np
from numpy.typing import NDArray

__all__ = ["below", "chance"]


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
