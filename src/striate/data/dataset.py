"""A data set as training sees it: classes, three parts, and what was left out."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np

from striate.data.check import Problem
from striate.data.parts import PARTS
from striate.data.samples import Samples
from striate.data.split import check_fraction, split
from striate.errors import StriateError
from striate.plain import whole

__all__ = ["Dataset", "Split", "class_counts", "mirror_keeps", "split_parts"]


@dataclass(frozen=True, kw_only=True)
class Dataset:
    """`mirror`: a mirrored image keeps its class. `notes`: what was skipped or found odd, one line each.

    `problems`: the files behind those notes. `remarks`: the notes that are of no such file: a part that lacks a class,
    a file that is in two.
    """

    name: str
    spec: str
    classes: tuple[str, ...]
    train: Samples
    val: Samples | None
    test: Samples | None
    mirror: bool
    notes: tuple[str, ...] = ()
    problems: tuple[Problem, ...] = ()
    remarks: tuple[str, ...] = ()

    @property
    def parts(self) -> dict[str, Samples]:
        """The parts that there are, by name."""
        return {name: part for name in PARTS if (part := getattr(self, name)) is not None}

    @property
    def exam(self) -> tuple[str, Samples]:
        """The part that chose least, by name: test, else validation, else training."""
        return next(reversed(self.parts.items()))


@dataclass(frozen=True, kw_only=True)
class Split:
    """How parts that a source lacks are cut from its training part: shares in [0, 1) and the seed of the draw."""

    val_fraction: float = 0.1
    test_fraction: float = 0.2
    seed: int = 0

    def __post_init__(self) -> None:
        check_fraction("val_fraction", self.val_fraction)
        check_fraction("test_fraction", self.test_fraction)
        seed = whole(self.seed)
        if seed is None or not 0 <= seed < 2**64:
            raise StriateError(f"split_seed is {self.seed!r}; it is a whole number from 0 to 2^64 - 1")
        object.__setattr__(self, "seed", seed)


def split_parts(
    train: Samples, val: Samples | None, test: Samples | None, how: Split
) -> tuple[Samples, Samples | None, Samples | None]:
    """Cut what is missing: a test part only where there are no parts at all, a validation part wherever there is none.

    A part that would be empty is None.
    """
    if val is None and test is None:
        train, test = _cut(train, how.test_fraction, how.seed)
    if val is None:
        train, val = _cut(train, how.val_fraction, how.seed)
    return train, val, test


def class_counts(samples: Samples | None, classes: Sequence[str]) -> dict[str, int]:
    """Images per class, in the order of `classes`; none of a part that does not exist."""
    labels = samples.labels if samples is not None else np.empty(0, np.int64)
    return dict(zip(classes, np.bincount(labels, minlength=len(classes)).tolist(), strict=True))


def mirror_keeps(classes: Sequence[str]) -> bool:
    """Whether a mirrored image likely keeps its class, judged by the names: not for characters, nor left and right.

    >>> mirror_keeps(["ants", "bees"]), mirror_keeps(["a", "b"]), mirror_keeps(["turn left", "turn right"])
    (True, False, False)
    """
    words = [set(name.lower().replace("_", " ").replace("-", " ").split()) for name in classes]
    sided = any(word & {"left", "right"} for word in words)
    return not sided and not all(len(name) == 1 for name in classes)


def _cut(samples: Samples, fraction: float, seed: int) -> tuple[Samples, Samples | None]:
    if fraction == 0:
        return samples, None
    kept, taken = split(samples.labels, [samples.key(i) for i in range(len(samples))], fraction, seed)
    return (samples.subset(kept), samples.subset(taken)) if len(taken) else (samples, None)
