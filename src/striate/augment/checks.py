"""What a noise may be told, and the one line it answers otherwise."""

import math
from numbers import Real
from typing import Any

from striate.errors import StriateError

__all__ = ["check_at_least", "check_probability", "check_range", "finite_numbers", "is_number"]


def is_number(value: Any) -> bool:
    """Whether it is one, NaN and infinities included; true and false are none."""
    return isinstance(value, Real) and not isinstance(value, bool)


def finite_numbers(value: Any) -> tuple[float, ...] | None:
    """The numbers of a list as floats; None where it is no list, or one of them is no finite number."""
    try:
        numbers = tuple(value)
    except TypeError:
        return None
    return tuple(map(float, numbers)) if all(is_number(n) and math.isfinite(n) for n in numbers) else None


def check_probability(noise: Any, name: str) -> None:
    """Raises StriateError when the field is not from 0 to 1."""
    value = getattr(noise, name)
    if not (is_number(value) and 0 <= value <= 1):
        raise StriateError(f"{type(noise).__name__}: {name} is {value!r}; give a probability from 0 to 1")


def check_range(noise: Any, name: str, low: float = -math.inf, high: float = math.inf) -> None:
    """The field becomes a pair of floats. Raises StriateError unless low ≤ first ≤ second ≤ high, all finite."""
    value = getattr(noise, name)
    pair = finite_numbers(value)
    if pair is None or len(pair) != 2 or not low <= pair[0] <= pair[1] <= high:
        bounds = "" if math.isinf(low) and math.isinf(high) else f" within {low:g} to {high:g}"
        raise StriateError(f"{type(noise).__name__}: {name} is {value!r}; give two numbers{bounds}, the smaller first")
    object.__setattr__(noise, name, pair)


def check_at_least(noise: Any, name: str, low: float, *, most: float = math.inf) -> None:
    """Raises StriateError unless low ≤ the field ≤ most and it is finite."""
    value = getattr(noise, name)
    if not (is_number(value) and math.isfinite(value) and low <= value <= most):
        bounds = f"{low:g} or more" if math.isinf(most) else f"from {low:g} to {most:g}"
        raise StriateError(f"{type(noise).__name__}: {name} is {value!r}; give a number {bounds}")
