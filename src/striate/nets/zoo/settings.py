"""Checks that several families make of their settings; each raises StriateError, saying what was given and expected."""

from collections.abc import Mapping
from typing import TypeVar

from striate.errors import StriateError, UnknownName, unknown
from striate.plain import whole

__all__ = ["choose", "count", "probability", "truth"]

T = TypeVar("T")


def choose(setting: str, given: str, among: Mapping[str, T]) -> T:
    """The thing that a setting names."""
    if given not in among:
        raise UnknownName(unknown(setting, str(given), among))
    return among[given]


def count(expected: str, given: object) -> int:
    """A whole number from 1; `expected` says of what, for the message."""
    number = whole(given)
    if number is None or number < 1:
        raise StriateError(f"{expected}, got {given!r}")
    return number


def truth(setting: str, given: object) -> bool:
    """True or false: a word that means no is not one that Python takes for true."""
    if not isinstance(given, bool | int | float) or given not in (True, False):
        raise StriateError(f"{setting} is true or false, got {given!r}")
    return bool(given)


def probability(setting: str, given: float) -> float:
    """A probability that leaves something over: 0 ≤ p < 1."""
    if not isinstance(given, int | float) or not 0 <= given < 1:
        raise StriateError(f"{setting} is a probability, at least 0 and below 1, got {given!r}")
    return float(given)
