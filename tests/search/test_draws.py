"""Which points a stage tries: laws, budgets, and independence of everything but the seed."""

import math

import numpy as np

from striate.search.draws import grid_points, random_point, stage_points
from striate.search.space import Choices, Range

LR = Range(low=1e-5, high=1e-1, log=True)
DECAY = Range(low=1e-6, high=1e-2, log=True)
SPACE = {"lr": LR, "weight_decay": DECAY, "optimizer": Choices(options=("sgd", "adamw"))}


def test_a_logarithmic_range_is_drawn_evenly_in_its_logarithm() -> None:
    drawn = [LR.place(point["lr"]) for point in stage_points(SPACE, 4000, "random", 0, 0)]
    counts, _ = np.histogram(drawn, bins=10, range=(0, 1))
    chi2 = float(((counts - 400) ** 2 / 400).sum())
    assert chi2 < 27.9  # χ² with 9 degrees of freedom exceeds that once in a thousand


def test_dimensions_are_drawn_independently() -> None:
    points = stage_points(SPACE, 4000, "random", 1, 0)
    places = np.array([[LR.place(p["lr"]), DECAY.place(p["weight_decay"])] for p in points])
    assert abs(np.corrcoef(places.T)[0, 1]) < 4 / math.sqrt(4000)


def test_a_point_depends_on_seed_stage_and_number_alone() -> None:
    many, few = stage_points(SPACE, 50, "random", 3, 1), stage_points(SPACE, 5, "random", 3, 1)
    assert many[:5] == few
    assert few[4] == random_point(SPACE, 3, 1, 4)
    other_order = dict(reversed(SPACE.items()))
    assert random_point(other_order, 3, 1, 4) == few[4]
    drawn = {str(random_point(SPACE, seed, stage, 0)) for seed in range(3) for stage in range(3)}
    assert len(drawn) == 9


def test_a_grid_has_at_most_as_many_points_as_trials_and_every_option() -> None:
    points = grid_points(SPACE, 50)
    assert len(points) == 2 * 5 * 5
    assert len({point["lr"] for point in points}) == 5
    assert {point["optimizer"] for point in points} == {"sgd", "adamw"}
    assert {point["lr"] for point in grid_points({"lr": LR}, 5)} == {1e-5, *(LR.at(i / 4) for i in range(1, 5))}


def test_a_grid_gives_what_whole_numbers_leave_to_the_others() -> None:
    space = {"batch_size": Range(low=1, high=2, whole=True), "lr": LR}
    points = grid_points(space, 20)
    assert len(points) == 20
    assert len({point["lr"] for point in points}) == 10


def test_a_grid_is_tried_in_an_order_of_its_own_and_whole() -> None:
    points = stage_points({"lr": LR}, 9, "grid", 0, 0)
    assert sorted(point["lr"] for point in points) == LR.points(9)
    assert [point["lr"] for point in points] != LR.points(9)


def test_tpe_leaves_every_point_open() -> None:
    assert stage_points(SPACE, 3, "tpe", 0, 0) == [{}, {}, {}]
