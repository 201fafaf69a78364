"""Which points of a space a stage tries.

random: point i is a function of (seed, stage, i) alone, Philox keyed by them, so that a search that is resumed, or
worked on by many machines, draws what it would have drawn on one. grid: as many values of each dimension as the
number of trials allows, in an order drawn from the seed. tpe: each point is left open until its trial begins, when
Optuna's sampler draws it from what is known by then (Bergstra 2011).
"""

import itertools
from typing import Any

import numpy as np

from striate.search.space import Choices, Space

__all__ = ["grid_points", "random_point", "stage_points"]


def stage_points(space: Space, trials: int, sampler: str, seed: int, stage: int) -> list[dict[str, Any]]:
    """The values of every trial of a stage, in order; an empty table where the sampler will choose."""
    if sampler == "grid":
        points = grid_points(space, trials)
        order = np.random.Generator(np.random.Philox(key=[seed, stage])).permutation(len(points))
        return [points[i] for i in order]
    if sampler == "random":
        return [random_point(space, seed, stage, number) for number in range(trials)]
    return [{} for _ in range(trials)]


def random_point(space: Space, seed: int, stage: int, number: int) -> dict[str, Any]:
    """One value of each dimension, in the order of their names."""
    generator = np.random.Generator(np.random.Philox(key=[seed, (stage << 32) + number]))
    return {name: space[name].at(float(generator.random())) for name in sorted(space)}


def grid_points(space: Space, trials: int) -> list[dict[str, Any]]:
    """The largest grid of at most `trials` points; one more value goes to each dimension in turn while there is room.

    Options are all taken, whatever that costs: a grid without one of them would not be one. So a grid may have more
    points than `trials` where there are that many combinations of options.
    """
    names = sorted(space)
    counts = {name: len(one.options) if isinstance(one, Choices) else 1 for name, one in space.items()}
    values = {name: space[name].points(counts[name]) for name in names}
    growing = [name for name in names if not isinstance(space[name], Choices)]
    while growing:
        name = min(growing, key=lambda one: (counts[one], one))
        more = space[name].points(counts[name] + 1)
        others = [len(values[other]) for other in names if other != name]
        if len(more) <= len(values[name]) or int(np.prod(others)) * len(more) > trials:
            growing.remove(name)
            continue
        counts[name] += 1
        values[name] = more
    return [dict(zip(names, point, strict=True)) for point in itertools.product(*(values[name] for name in names))]
