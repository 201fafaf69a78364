"""What can be timed: something prepared once and run often."""

from abc import ABC, abstractmethod

from striate.bench.problem import Floats, Problem
from striate.errors import StriateError

__all__ = ["CannotDo", "Subject"]


class CannotDo(StriateError):
    """A library has no way to compute this: it is left out of a row, and the row says so."""


class Subject(ABC):
    """A convolution as one library computes it. Making one is not timed: weights are packed there, kernels chosen.

    `takes` says in which layout `run` finds its images and leaves its result; what a library converts by itself is
    part of its time.
    """

    takes: str

    @abstractmethod
    def __init__(self, problem: Problem) -> None:
        """Prepare. Raises CannotDo, saying why, where the library cannot."""

    @abstractmethod
    def run(self) -> None:
        """What is timed."""

    @abstractmethod
    def result(self) -> Floats:
        """Of the last run, what `problem.checked_images` asks for: [images, maps, down, across], or all of dw."""
