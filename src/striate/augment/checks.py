"""What a noise may be told, and the one line it answers otherwise."""

import math
from typing import Any

from striate.errors import StriateError, given
from striate.plain import finite, finite_numbers, whole

__all__ = ["check_at_least", "check_count", "check_pixels", "check_probability", "check_range"]


def check_probability(noise: Any, name: str) -> None:
    """Raises StriateError when the field is not from 0 to 1."""
    number = finite(getattr(noise, name))
    if number is None or not 0 <= number <= 1:
        raise _refused(noise, name, "give a probability from 0 to 1")


def check_range(noise: Any, name: str, low: float = -math.inf, high: float = math.inf) -> None:
    """The field becomes a pair of floats. Raises StriateError unless low ≤ first ≤ second ≤ high, all finite."""
    pair = finite_numbers(getattr(noise, name))
    if pair is None or len(pair) != 2 or not low <= pair[0] <= pair[1] <= high:
        bounds = "" if math.isinf(low) and math.isinf(high) else f" within {low:g} to {high:g}"
        raise _refused(noise, name, f"give two numbers{bounds}, the smaller first")
    object.__setattr__(noise, name, pair)


def check_at_least(noise: Any, name: str, low: float, *, most: float = math.inf) -> None:
    """Raises StriateError unless low ≤ the field ≤ most and it is finite."""
    number = finite(getattr(noise, name))
    if number is None or not low <= number <= most:
        bounds = f"{low:g} or more" if math.isinf(most) else f"from {low:g} to {most:g}"
        raise _refused(noise, name, f"give a number {bounds}")


def check_count(noise: Any, name: str, least: int, most: int) -> None:
    """The field becomes an int. Raises StriateError unless it is a whole number from `least` to `most`."""
    _whole(noise, name, least, most, f"give a whole number from {least} to {most}")


def check_pixels(noise: Any, name: str, least: int) -> None:
    """The field becomes an int. Raises StriateError unless it is a whole number of px, `least` or more."""
    _whole(noise, name, least, math.inf, f"give whole pixels, {least} or more")


def _whole(noise: Any, name: str, least: int, most: float, wanted: str) -> None:
    number = whole(getattr(noise, name))
    if number is None or not least <= number <= most:
        raise _refused(noise, name, wanted)
    object.__setattr__(noise, name, number)


def _refused(noise: Any, name: str, wanted: str) -> StriateError:
    return StriateError(f"{type(noise).__name__}: {name} is {given(getattr(noise, name))}; {wanted}")
