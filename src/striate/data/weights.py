"""Weights from a CSV: how often an epoch shall hold the images of a class, or one image.

    class,weight            image,weight
    bees,3                  bees/17.jpg,0
    ants,1                  ants/02.jpg,2.5

What is not listed weighs 1. An image is called what its set calls it: its path inside the folder, its number in a set
that lies in memory. The table that comes of it, {"class": {"bees": 3.0}}, is what a run's config keeps.
"""

import math
from collections.abc import Mapping
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from striate.data.samples import Samples
from striate.data.table import table_rows
from striate.errors import StriateError, unknown

__all__ = ["read_weights", "sample_weights"]

KINDS = ("class", "image")


def read_weights(path: Path) -> dict[str, dict[str, float]]:
    """The table in the CSV at `path`. Raises StriateError, naming the line, for what is none."""
    kind, weights = "", dict[str, float]()
    for line, row in table_rows(path):
        if not kind:
            kind = _kind(path, row)
            continue
        name, weight = _row(f"{path}, line {line}", row)
        if name in weights:
            raise StriateError(f"{path}, line {line}: {name!r} has a weight already; keep one")
        weights[name] = weight
    if not weights:
        raise StriateError(f"{path} gives nothing a weight; its first line is class,weight or image,weight")
    return {kind: weights}


def sample_weights(table: Mapping[str, Any], samples: Samples, classes: tuple[str, ...]) -> NDArray[np.float64]:
    """float64 [N]: the weight of each sample; of a class times of the image, where the table has both.

    Raises StriateError for a name that is none of theirs, and for a weight that is no number of 0 or more.
    """
    weights = np.ones(len(samples))
    for kind, given in table.items():
        if kind not in KINDS:
            raise StriateError(unknown("kind of weight", kind, KINDS))
        names = classes if kind == "class" else [samples.key(i) for i in range(len(samples))]
        at = {name: i for i, name in enumerate(names)}
        factors = np.ones(len(names))
        for name, weight in given.items():
            if kind == "class" and name not in at:
                raise StriateError(unknown("class among the weights:", name, classes))
            if not (isinstance(weight, int | float) and math.isfinite(weight) and weight >= 0):
                raise StriateError(f"the weight of {kind} {name!r} is {weight!r}; give a number, 0 or more")
            if name in at:  # an image may be in the validation or the test part, where nothing is drawn
                factors[at[name]] = weight
        if kind == "image" and not any(name in at for name in given):
            raise StriateError(
                f"none of the {len(given)} images with a weight is in the training part; {_called(names)}"
            )
        weights *= factors[samples.labels] if kind == "class" else factors
    return weights


def _kind(path: Path, row: list[str]) -> str:
    first = [cell.lower() for cell in row]
    for kind in KINDS:
        if first == [kind, "weight"]:
            return kind
    raise StriateError(f"{path} begins with {','.join(row)!r}; it should begin with class,weight or image,weight")


def _row(where: str, row: list[str]) -> tuple[str, float]:
    if len(row) != 2:
        raise StriateError(f"{where}: {len(row)} columns where the first line has 2")
    try:
        weight = float(row[1])
    except ValueError:
        weight = math.nan
    if not (math.isfinite(weight) and weight >= 0):
        raise StriateError(f"{where}: the weight is {row[1]!r}; give a number, 0 or more")
    return row[0], weight


def _called(names: Any) -> str:
    return f"they are called like {names[0]!r}"
