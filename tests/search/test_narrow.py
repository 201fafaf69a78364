"""Coarse to fine: ranges shrink around the best, widen at an edge, and say so."""

import pytest

from striate.search.narrow import narrow
from striate.search.space import Choices, Dimension, Range

LR = Range(low=1e-6, high=1e-2, log=True)


def tried(places: list[tuple[float, float]], one: Range = LR, name: str = "lr") -> list[tuple[dict[str, float], float]]:
    return [({name: one.at(place)}, value) for place, value in places]


def test_the_range_shrinks_to_the_best_fifth_with_a_margin() -> None:
    trials = tried([(i / 19, 1 - abs(i / 19 - 0.5)) for i in range(20)])  # the best are 8, 9, 10, 11 of 19
    found = narrow({"lr": LR}, trials)
    new = found.space["lr"]
    assert isinstance(new, Range)
    assert LR.place(new.low) == pytest.approx(8 / 19 - 0.1)
    assert LR.place(new.high) == pytest.approx(11 / 19 + 0.1)
    assert found.said[0].startswith("lr 1×10⁻⁶ … 0.01 → ")
    assert "edge" not in found.said[0]


def test_a_range_keeps_a_quarter_of_its_width_however_near_the_best_lie() -> None:
    new = narrow({"lr": LR}, tried([(0.5, 1), (0.5, 1), (0.5, 1), (0.5, 1), (0.1, 0), (0.9, 0)])).space["lr"]
    assert isinstance(new, Range)
    assert LR.place(new.high) - LR.place(new.low) == pytest.approx(0.25)


@pytest.mark.parametrize(("best", "low", "high", "edge"), [(0.97, 0.6, 1.25, "upper"), (0.02, -0.25, 0.4, "lower")])
def test_the_best_at_an_edge_widens_the_range_there_and_is_said(
    best: float, low: float, high: float, edge: str
) -> None:
    others = [(0.7, 0.8), (0.75, 0.8), (0.8, 0.8)] if edge == "upper" else [(0.3, 0.8), (0.2, 0.8), (0.1, 0.8)]
    found = narrow({"lr": LR}, tried([(best, 0.9), *others, (0.5, 0.1)]))
    new = found.space["lr"]
    assert isinstance(new, Range)
    assert (LR.place(new.low), LR.place(new.high)) == (pytest.approx(low), pytest.approx(high))
    assert f"lies at the {edge} edge: widened there" in found.said[0]


def test_a_range_is_not_widened_to_what_no_run_can_use() -> None:
    momentum = Range(low=0.5, high=0.99)
    trials = tried([(0.99, 0.9), (0.9, 0.8), (0.8, 0.8), (0.7, 0.8)], momentum, "momentum")
    found = narrow({"momentum": momentum}, trials)
    new = found.space["momentum"]
    assert isinstance(new, Range)
    assert new.high == 0.99
    assert "at the upper edge, beyond which no value is allowed" in found.said[0]


def test_options_that_no_good_trial_took_are_dropped_but_never_all_others() -> None:
    space: dict[str, Dimension] = {"policy": Choices(options=("none", "light", "strong"))}
    values = [("none", 0.9), ("light", 0.8), ("none", 0.8), ("light", 0.8), ("strong", 0.1)]
    found = narrow(space, [({"policy": one}, value) for one, value in values])
    assert found.space["policy"] == Choices(options=("none", "light"))
    assert found.said == ("policy: none, light; dropped strong",)
    same = narrow(space, [({"policy": "none"}, 0.9)] * 5)
    assert same.space == space


def test_without_trials_nothing_changes_and_that_is_said() -> None:
    assert narrow({"lr": LR}, []).space == {"lr": LR}
    assert narrow({"lr": LR}, []).said == ("no two trials came to an end: the space stays as it is",)
