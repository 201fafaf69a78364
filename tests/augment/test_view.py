"""A view is checked where it is made: what is given wrong is said in one line."""

import dataclasses
from typing import Any

import pytest

from striate.augment.view import View
from striate.errors import StriateError


def test_a_view_of_nothing_in_particular_is_the_evaluators_centre() -> None:
    assert View() == View(short_side=None, place=(0.5, 0.5), flip=False, weight=1.0)


def test_a_view_cannot_be_changed_and_can_be_a_key() -> None:
    with pytest.raises(dataclasses.FrozenInstanceError):
        View().flip = True  # type: ignore[misc]  # what the test is about
    assert len({View(), View(), View(flip=True)}) == 2


@pytest.mark.parametrize("place", [(0, 0), (0, 1), (1, 0), (1, 1), (0.25, 0.75)])
def test_every_share_of_the_free_range_is_a_place(place: tuple[float, float]) -> None:
    assert View(place=place).place == place


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"short_side": 0}, "short_side is 0; give whole pixels, 1 or more, or None"),
        ({"short_side": 256.0}, "short_side is 256.0; give whole pixels, 1 or more, or None"),
        ({"short_side": True}, "short_side is True; give whole pixels, 1 or more, or None"),
        ({"place": (0, 1.5)}, r"place is \(0, 1.5\); give \(down, across\), each from 0 to 1"),
        ({"place": (0.5,)}, r"place is \(0.5,\); give \(down, across\), each from 0 to 1"),
        ({"place": (0, float("nan"))}, r"place is \(0, nan\); give \(down, across\), each from 0 to 1"),
        ({"weight": 0}, "weight is 0; give a share of the average, above 0 and at most 1"),
        ({"weight": 1.5}, "weight is 1.5; give a share of the average, above 0 and at most 1"),
        ({"weight": float("nan")}, "weight is nan; give a share of the average, above 0 and at most 1"),
    ],
)
def test_a_wrong_view_says_what_is_wrong_in_one_line(settings: dict[str, Any], message: str) -> None:
    with pytest.raises(StriateError, match=f"^View: {message}$"):
        View(**settings)
