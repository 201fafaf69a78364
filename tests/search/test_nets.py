"""Nets that cannot be built are told before a trial is spent on them."""

import pytest

from striate.errors import StriateError
from striate.search.nets import check_nets, refusal
from striate.search.space import Dimension, dimension
from striate.train import Settings


@pytest.mark.parametrize(
    ("model", "space", "message"),
    [
        ("two_layer", {"model_settings.hidden": "0:9"}, r"^--set hidden 0 cannot be searched: .*at least 1, got 0"),
        ("alexnet", {"model_settings.dropout": "0:1.0"}, r"^--set dropout 1 cannot be searched: .*below 1, got 1\.0"),
        (
            "lenet5",  # what is in the middle of the options takes it
            {"model": "lenet5,two_layer", "model_settings.hidden": "8:16"},
            r"^--model lenet5: --set hidden 8 cannot be searched: unknown setting of lenet5 'hidden'",
        ),
        (
            "two_layer",
            {"model_settings.hidden": "1.5:2.5"},
            r"hidden 1\.5 cannot be searched: hidden is the width of each hidden layer, whole numbers",
        ),
    ],
)
def test_a_space_with_a_net_that_cannot_be_is_refused(model: str, space: dict[str, str], message: str) -> None:
    read: dict[str, Dimension] = {name: dimension(name, text) for name, text in space.items()}
    with pytest.raises(StriateError, match=message):
        check_nets(Settings(model=model), read)


def test_a_space_of_nets_that_can_be_is_taken() -> None:
    check_nets(Settings(model="two_layer"), {"model_settings.hidden": dimension("model_settings.hidden", "1:9")})
    check_nets(Settings(), {"lr": dimension("lr", "0.1:1")})
    check_nets(Settings(), {"model": dimension("model", "two_layer,lenet5")})
    assert refusal(Settings(model="two_layer", model_settings={"hidden": [16, 8]})) is None
