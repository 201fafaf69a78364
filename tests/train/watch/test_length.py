"""Lengths of many numbers, against sums in float64."""

import pytest
import torch
from torch import nn

from striate.train.watch.activations import Activations
from striate.train.watch.length import SHORT, length, lengths
from striate.train.watch.weights import UpdateLook

MANY = 1 << 23  # torch's own norm of so many is 2e-4 too small on a CPU


@pytest.fixture(scope="module")
def many() -> torch.Tensor:
    return torch.rand(8, 16, 256, 256, generator=torch.Generator().manual_seed(0)) + 1


def exact(values: torch.Tensor) -> float:
    return float(values.double().square().sum().sqrt())


@pytest.mark.parametrize("form", [torch.contiguous_format, torch.channels_last])
def test_the_length_of_many_values_is_right_to_six_digits(many: torch.Tensor, form: torch.memory_format) -> None:
    assert many.numel() == MANY
    assert length(many.contiguous(memory_format=form)) == pytest.approx(exact(many), rel=1e-6)
    assert length(many[:, ::3]) == pytest.approx(exact(many[:, ::3]), rel=1e-6)


@pytest.mark.parametrize("count", [0, 1, (1 << 14) - 1, 1 << 14, (1 << 14) + 1])
def test_no_value_is_left_out(count: int) -> None:
    assert length(torch.ones(count)) == pytest.approx(count**0.5, rel=1e-6)


def test_short_and_long_ones_keep_their_order() -> None:
    values = [torch.full((n,), 2.0) for n in (3, SHORT + 1, 5, SHORT)]
    assert lengths(values) == pytest.approx([exact(one) for one in values], rel=2e-5)
    assert lengths([]) == []


def test_a_large_layers_gradient_and_deviation_are_right_to_the_digits_that_are_logged(many: torch.Tensor) -> None:
    layer = nn.Linear(MANY >> 10, 1 << 10, bias=False)
    layer.weight.grad = many.view(layer.weight.shape)
    look = UpdateLook(layer)
    assert look.total == pytest.approx(exact(many), rel=1e-5)
    assert look.layers()[0].gradient == pytest.approx(exact(many), rel=1e-5)
    net = nn.Sequential(nn.Identity(), nn.Hardtanh(-9, 9))
    with Activations(net) as seen:
        net(many)
    assert seen.layers()[0].deviation == pytest.approx(float(many.double().std(correction=0)), rel=1e-5)
