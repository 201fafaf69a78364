"""The slope of a function along a line, from its values alone, and how far that can be trusted.

    central   D(h) = (f(h) − f(−h)) / 2h      error  h²/6 · f''' + noise / h
    right     (f(h) − f(0)) / h               left  (f(0) − f(−h)) / h

Nothing about f is assumed but that its values carry noise of one size, which is measured (Moré and Wild 2011,
"Estimating computational noise": the k-th differences of f at k + 1 points a hair apart hold no more of a smooth f, and
k! / √(2k)! of their size is the noise). The error of D(h/2) is a third of D(h) − D(h/2) where f is smooth, so the whole
of that difference is a bound with room; it is large where a step crosses a kink, and such a step then proves nothing.
"""

import math
from collections.abc import Callable, Iterator
from dataclasses import dataclass
from itertools import pairwise
from typing import TypeAlias

__all__ = ["STEPS", "Line", "Step", "noise_of"]

Function: TypeAlias = Callable[[float], float]

# In units of the size of what is moved. The first is near the best for smooth functions (between ε^(1/3) and ε^(1/5));
# the smaller ones step short of kinks, at 1e-8 with a millionth of the slope's digits left; the larger ones are for
# functions that are nearly flat in what is moved.
STEPS = (1e-4, 1e-5, 1e-6, 1e-7, 1e-8, 1e-3, 1e-2)
NOISE_POINTS = 7  # sixth differences: what a smooth function leaves in them is (1e-9)⁶
NOISE_STEP = 1e-9  # in the same units; far above the spacing of doubles, so that each point rounds anew
SAFETY = (
    16.0  # of two values that each carry noise: √2 · 6 deviations, and the estimate itself is good to a factor of 2
)
BLOW_UP = 4.0  # second differences of a smooth function settle; at a kink they grow as 1 / h, tenfold from step to step


def noise_of(f: Function) -> float:
    """The size of the rounding noise in f near 0; at least half a last place of its value.

    >>> 1e-17 < noise_of(lambda t: math.exp(t)) < 1e-15
    True
    """
    values = [f((i - NOISE_POINTS // 2) * NOISE_STEP) for i in range(NOISE_POINTS)]
    least = math.ulp(max(map(abs, values))) / 2
    differences, sizes = values, []
    for k in range(1, NOISE_POINTS):
        differences = [b - a for a, b in pairwise(differences)]
        scale = math.factorial(k) ** 2 / math.factorial(2 * k)
        sizes.append(math.sqrt(scale * math.fsum(d * d for d in differences) / len(differences)))
    return max(least, *sizes[NOISE_POINTS // 2 :])  # low differences still hold the slope itself


@dataclass(frozen=True, kw_only=True)
class Step:
    """What one step h tells of the slope at 0: its value, and a bound on what rounding and curvature do to it."""

    h: float
    value: float  # D(h / 2)
    bound: float
    left: float
    right: float
    rounding: float  # of the one-sided slopes

    @property
    def second(self) -> float:
        """The second derivative, if there is one."""
        return (self.right - self.left) / (self.h / 2)


class Line:
    """A function of one number around 0, and its steps, each computed when it is first asked for."""

    def __init__(self, f: Function, f0: float, noise: float) -> None:
        self._f, self._f0, self._noise = f, f0, noise
        self._known: dict[float, Step] = {}

    def step(self, h: float) -> Step:
        """The slopes from f(±h) and f(±h/2)."""
        if h not in self._known:
            far = (self._f(h) - self._f(-h)) / (2 * h)
            above, below = self._f(h / 2), self._f(-h / 2)
            near = (above - below) / h
            rounding = SAFETY * self._noise / h
            self._known[h] = Step(
                h=h,
                value=near,
                bound=abs(near - far) + rounding,
                left=(self._f0 - below) / (h / 2),
                right=(above - self._f0) / (h / 2),
                rounding=2 * rounding,
            )
        return self._known[h]

    def steps(self) -> Iterator[Step]:
        """All of them, the likeliest to be good first."""
        return map(self.step, STEPS)

    def bends(self, step: Step) -> bool:
        """Whether the slopes left and right of 0 differ at `step` by more than curvature and rounding make them.

        Second differences of a smooth function settle as the step shrinks; at a kink they grow as 1 / h.
        """
        widest = self.step(max(STEPS))
        curvature = abs(widest.second) + 2 * widest.rounding / widest.h
        return abs(step.right - step.left) > step.rounding and abs(step.second) > BLOW_UP * curvature
