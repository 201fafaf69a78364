"""What people give, as the plain values that configs, model files and messages hold.

NumPy's numbers count as numbers, since a notebook counts with them; true and false do not, though Python adds them up.
"""

import math
import operator
from collections.abc import Mapping
from numbers import Real
from typing import Any

from striate.errors import StriateError, given

__all__ = ["check_whole", "finite", "finite_numbers", "is_number", "plain", "whole"]


def plain(value: Any, sequence: type[list[Any]] | type[tuple[Any, ...]] = list) -> Any:
    """Tables, and lists or tuples as a `sequence`, of Python's own numbers, where there are NumPy's in them.

    >>> plain({"hidden": (64, 32)}), plain([1, [2]], tuple)
    ({'hidden': [64, 32]}, (1, (2,)))
    """
    if isinstance(value, Mapping):
        return {key: plain(each, sequence) for key, each in value.items()}
    if isinstance(value, list | tuple):
        return sequence(plain(each, sequence) for each in value)
    own = getattr(value, "tolist", None)  # of NumPy's scalars and arrays, and of torch's tensors
    return plain(own(), sequence) if callable(own) else value


def whole(value: Any) -> int | None:
    """A whole number as Python's own; None where it is none.

    >>> whole(3), whole(3.0), whole(True)
    (3, None, None)
    """
    try:
        return None if isinstance(value, bool) else operator.index(value)
    except TypeError:
        return None


def check_whole(what: str, value: Any, least: int, most: int | None = None) -> int:
    """A whole number within bounds, as Python's own. Raises StriateError, which begins with `what`, for all else."""
    number = whole(value)
    if number is None or number < least or (most is not None and number > most):
        allowed = f"{least} or more" if most is None else f"{least} to {most}"
        raise StriateError(f"{what} is {given(value)}; give a whole number, {allowed}")
    return number


def is_number(value: Any) -> bool:
    """Whether it is one, NaN and infinities included."""
    return isinstance(value, Real) and not isinstance(value, bool)


def finite(value: Any) -> float | None:
    """A number as a float; None where it is none, not finite, or larger than a float can be.

    >>> finite(2), finite("2"), finite(math.inf), finite(10**400)
    (2.0, None, None, None)
    """
    try:
        number = float(value) if is_number(value) else math.nan
    except OverflowError:
        return None
    return number if math.isfinite(number) else None


def finite_numbers(values: Any) -> tuple[float, ...] | None:
    """The numbers of a list as floats; None where it is no list, or one of them is no finite number."""
    try:
        numbers = tuple(map(finite, values))
    except TypeError:
        return None
    known = tuple(number for number in numbers if number is not None)
    return known if len(known) == len(numbers) else None
