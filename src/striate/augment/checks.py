"""What a noise may be told, and the one line it answers otherwise."""

import math
from typing import Any

from striate.errors import StriateError

__all__ = ["check_at_least", "check_probability", "check_range"]


def check_probability(noise: Any, name: str) -> None:
    """Raises StriateError when the field is not from 0 to 1."""
    value = getattr(noise, name)
    if not 0 <= value <= 1:
        raise StriateError(f"{type(noise).__name__}: {name} is {value!r}; give a probability from 0 to 1")


def check_range(noise: Any, name: str, low: float = -math.inf, high: float = math.inf) -> None:
    """The field becomes a pair of floats. Raises StriateError unless low ≤ first ≤ second ≤ high, all finite."""
    value = getattr(noise, name)
    try:
        first, second = (float(number) for number in value)
    except (TypeError, ValueError):
        first, second = 1.0, 0.0
    if not (low <= first <= second <= high and math.isfinite(first) and math.isfinite(second)):
        bounds = "" if math.isinf(low) and math.isinf(high) else f" within {low:g} to {high:g}"
        raise StriateError(f"{type(noise).__name__}: {name} is {value!r}; give two numbers{bounds}, the smaller first")
    object.__setattr__(noise, name, (first, second))


def check_at_least(noise: Any, name: str, low: float, *, most: float = math.inf) -> None:
    """Raises StriateError unless low ≤ the field ≤ most and it is finite."""
    value = getattr(noise, name)
    if not (isinstance(value, int | float) and math.isfinite(value) and low <= value <= most):
        bounds = f"{low:g} or more" if math.isinf(most) else f"from {low:g} to {most:g}"
        raise StriateError(f"{type(noise).__name__}: {name} is {value!r}; give a number {bounds}")
