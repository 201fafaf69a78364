"""What may be searched, and how it is written: parsed, placed, refused, and written back."""

import math

import pytest
from hypothesis import given
from hypothesis import strategies as st

from striate.errors import StriateError
from striate.search.space import Choices, Range, apply, dimension, parse, space_from, written
from striate.train import Settings


def test_each_notation() -> None:
    assert parse("lr", "1e-6:1e-3:log") == Range(low=1e-6, high=1e-3, log=True)
    assert parse("momentum", "0:.99") == Range(low=0.0, high=0.99)
    assert parse("batch-size", "16:256:log") == Range(low=16, high=256, log=True, whole=True)
    assert parse("model_settings.hidden", "16:256") == Range(low=16, high=256, whole=True)
    assert parse("model_settings.dropout", "0.0:0.5") == Range(low=0.0, high=0.5)
    assert parse("optimizer", "sgd,adamw") == Choices(options=("sgd", "adamw"))
    assert parse("flip", "true,false") == Choices(options=(True, False))
    assert parse("batch_size", "32, 64") == Choices(options=(32, 64))
    assert (parse("lr", "0.1"), parse("policy", "none"), parse("milestones", "3,5")) == (0.1, "none", [3, 5])
    assert dimension("lr", {"low": 1e-3, "high": 1.0, "log": True}) == Range(low=1e-3, high=1.0, log=True)
    assert dimension("model_settings.hidden", [[64], [64, 32]]).points(9) == [[64], [64, 32]]


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("momentun", "1:2", r"unknown setting 'momentun'; did you mean 'momentum'\?"),
        ("lr", "1e-3:1e-6:log", r"range 0\.001:1e-06:log: expected LOW:HIGH, two numbers, the smaller first"),
        ("weight_decay", "0:1:log", "a logarithm needs a LOW above 0"),
        ("lr", "1:2:3:log", r"--lr 1:2:3:log: expected LOW:HIGH or LOW:HIGH:log, two numbers"),
        ("lr", "a:b", r"--lr a:b: expected LOW:HIGH or LOW:HIGH:log, two numbers"),
        ("momentum", "0.5:1.5", r"--momentum 1\.5: expected at least 0 and below 1"),
        ("optimizer", "sgd,adam", r"unknown --optimizer 'adam'; did you mean 'adamw'\?"),
        ("lr", "0.1,0.1", r"choices 0\.1,0\.1: expected two or more different ones"),
        ("val_fraction", "0.1:0.2", "--val-fraction cannot be searched: trials on other validation images cannot be"),
        ("epochs", "1:20", "--epochs cannot be searched: each stage has its own: --stages"),
        ("seed", "0:9", "--seed cannot be searched: the luckiest draw is no setting"),
    ],
)
def test_what_cannot_be_is_refused_in_one_line(name: str, text: str, message: str) -> None:
    with pytest.raises(StriateError, match=message):
        parse(name, text)


@given(st.floats(1e-8, 1e3), st.floats(1.01, 1e6), st.booleans(), st.floats(0, 1))
def test_place_is_the_inverse_of_at_and_a_value_never_leaves_its_range(
    low: float, factor: float, log: bool, place: float
) -> None:
    one = Range(low=low, high=low * factor, log=log)
    value = one.at(place)
    assert one.low <= value <= one.high
    assert one.place(value) == pytest.approx(place, abs=1e-6)


def test_the_middle_of_a_logarithmic_range_is_the_geometric_mean() -> None:
    assert Range(low=1e-6, high=1e-2, log=True).at(0.5) == pytest.approx(1e-4)
    assert Range(low=1e-6, high=1e-2, log=True).points(5) == pytest.approx([1e-6, 1e-5, 1e-4, 1e-3, 1e-2])
    assert Range(low=1, high=4, whole=True).points(9) == [1, 2, 3, 4]


def test_choices_share_the_unit_interval_alike() -> None:
    one = Choices(options=("a", "b", "c"))
    assert [one.at(place) for place in (0, 0.32, 0.34, 0.99, 1)] == ["a", "a", "b", "c", "c"]


def test_written_and_read_back_is_the_same() -> None:
    space = {
        "lr": Range(low=1e-6, high=math.pi, log=True),
        "model_settings.hidden": Choices(options=([64], [64, 32])),
        "batch_size": Range(low=8, high=64, log=True, whole=True),
    }
    assert space_from(written(space)) == dict(sorted(space.items()))


def test_values_find_their_places_in_the_settings() -> None:
    settings = apply(Settings(model_settings={"dropout": 0.5}), {"lr": 1, "model_settings.hidden": 64})
    assert settings.lr == 1.0
    assert settings.model_settings == {"dropout": 0.5, "hidden": 64}


def test_ends_of_a_whole_number_are_whole():
    with pytest.raises(StriateError, match=r"range 1\.5:3 of batch_size: its ends are whole numbers"):
        parse("batch_size", "1.5:3")
    assert str(parse("batch_size", "16:64")) == "16:64"
