"""Coarse to fine: ranges shrink around the best, widen at an edge, and say so."""

import pytest

from striate.search.narrow import narrow
from striate.search.space import Choices, Dimension, Range
from striate.train import Settings

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


@pytest.mark.parametrize(
    ("high", "new_high", "said"),
    [(0.9, 0.95, "widened there"), (0.999, 0.999, "beyond which a run allows next to nothing")],
)
def test_a_range_is_widened_as_far_as_a_run_allows(high: float, new_high: float, said: str) -> None:
    momentum = Range(low=0.5, high=high)
    trials = tried([(0.99, 0.9), (0.9, 0.8), (0.8, 0.8), (0.7, 0.8)], momentum, "momentum")
    found = narrow({"momentum": momentum}, trials)
    new = found.space["momentum"]
    assert isinstance(new, Range)
    assert new.high == pytest.approx(new_high)
    assert f"at the upper edge{',' if high == 0.999 else ':'} {said}" in found.said[0]


@pytest.mark.parametrize(
    ("model", "name", "one", "place", "ends"),
    [
        ("two_layer", "hidden", Range(low=1, high=9, whole=True), 0.0, (1, 8)),
        ("two_layer", "hidden", Range(low=16, high=64, log=True, whole=True), 0.0, (11, 48)),
        ("alexnet", "dropout", Range(low=0.0, high=0.5), 0.0, (0.0, 0.4)),
        ("alexnet", "dropout", Range(low=0.0, high=0.8), 1.0, (0.16, 0.9)),
    ],
)
def test_a_range_is_widened_as_far_as_the_net_allows(
    model: str, name: str, one: Range, place: float, ends: tuple[float, float]
) -> None:
    own = f"model_settings.{name}"
    others = [abs(place - 0.5), abs(place - 0.6), abs(place - 0.7)]
    trials = tried([(place, 0.9), *((other, 0.8) for other in others)], one, own)
    new = narrow({own: one}, trials, Settings(model=model)).space[own]
    assert isinstance(new, Range)
    assert (new.low, new.high) == (pytest.approx(ends[0]), pytest.approx(ends[1]))


def test_whole_numbers_are_said_as_such() -> None:
    one = Range(low=8, high=64, log=True, whole=True)
    said = narrow({"batch_size": one}, tried([(0.0, 0.9), (0.3, 0.8), (0.5, 0.8)], one, "batch_size")).said
    assert said == ("batch_size 8 … 64 → 5 … 28; the best, 8, lies at the lower edge: widened there",)


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
