"""Bytes: of numbers, of parameters, and of what training keeps beside them.

For P parameters of b bytes, training holds at all times: the weights P·b, their gradients P·b (from the backward pass
on), and what the optimiser remembers in copies of the weights: none for plain SGD, one for momentum, two for Adam.
With mixed precision the copies and a master copy of the weights stay in 32 bits (Micikevicius 2018).

>>> Standing(params=138_357_544, optimizer="momentum").nbytes / 2**20    # VGG-16: weights, gradients, momentum, in MiB
1583.3...
>>> nbytes_of((3, 224, 224))                                             # one image in 32 bits
602112
"""

import math
import re
from dataclasses import dataclass

from striate.errors import StriateError, unknown

__all__ = ["NBYTES", "OPTIMIZER_COPIES", "Standing", "nbytes_of", "parse_nbytes"]

NBYTES: dict[str, int] = {"fp64": 8, "fp32": 4, "bf16": 2, "fp16": 2, "int8": 1, "int64": 8, "bool": 1}

OPTIMIZER_COPIES: dict[str, int] = {  # numbers remembered for every parameter
    "none": 0,
    "sgd": 0,
    "momentum": 1,
    "rmsprop": 1,
    "adagrad": 1,
    "adam": 2,
    "adamw": 2,
}

UNITS = {"": 1, "k": 10**3, "m": 10**6, "g": 10**9, "t": 10**12, "ki": 2**10, "mi": 2**20, "gi": 2**30, "ti": 2**40}


def nbytes_of(shape: tuple[int, ...], dtype: str = "fp32") -> int:
    """Bytes of an array. Raises StriateError for a type that is not in NBYTES."""
    if dtype not in NBYTES:
        raise StriateError(unknown("number type", dtype, NBYTES))
    return math.prod(shape) * NBYTES[dtype]


@dataclass(frozen=True, kw_only=True)
class Standing:
    """What is held at all times while `params` parameters are trained; nothing here depends on the batch.

    `master` keeps a 32-bit copy of weights held in fewer bits, which the optimiser updates.

    Raises StriateError for an optimiser or a number type that is not known.
    """

    params: int
    optimizer: str = "momentum"
    dtype: str = "fp32"
    master: bool = False

    def __post_init__(self) -> None:
        if self.optimizer not in OPTIMIZER_COPIES:
            raise StriateError(unknown("optimizer", self.optimizer, OPTIMIZER_COPIES))
        nbytes_of((), self.dtype)

    @property
    def weights_nbytes(self) -> int:
        """The weights, and their master copy where there is one."""
        return nbytes_of((self.params,), self.dtype) + (nbytes_of((self.params,)) if self.master else 0)

    @property
    def gradients_nbytes(self) -> int:
        """One number for every weight, of the weights' type."""
        return nbytes_of((self.params,), self.dtype)

    @property
    def optimizer_nbytes(self) -> int:
        """What the optimiser remembers: of the master's type where there is a master."""
        return OPTIMIZER_COPIES[self.optimizer] * nbytes_of((self.params,), "fp32" if self.master else self.dtype)

    @property
    def nbytes(self) -> int:
        """All of it."""
        return self.weights_nbytes + self.gradients_nbytes + self.optimizer_nbytes


def parse_nbytes(text: str) -> int:
    """An amount of memory as people write it: GB is 10⁹ bytes, GiB 2³⁰.

    Raises StriateError for anything else.

    >>> parse_nbytes("16GB"), parse_nbytes("1.5 GiB"), parse_nbytes("512m")
    (16000000000, 1610612736, 512000000)
    """
    match = re.fullmatch(r"\s*(\d+(?:\.\d+)?|\.\d+)\s*([kmgt]i?)?b?\s*", text.lower())
    if match is None:
        raise StriateError(f"{text!r} is no amount of memory; write it as 16GB, 24GiB or 800MB")
    return int(float(match[1]) * UNITS[match[2] or ""])
