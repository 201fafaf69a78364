"""float32 as the sum of two bfloat16 numbers: what it keeps, what it loses, and the ends of its range.

Every shape, layout and unit is held to the bound by native/tests/bfloat16.cpp and test_every_algorithm.py.
"""

import pytest
import torch
from torch.nn import functional

from striate.conv import algorithms, conv2d
from striate.conv.choose import SPLIT

SPLITS = [name for name in algorithms() if name.endswith(SPLIT)]
DIRECT = [name for name in SPLITS if not name.startswith("winograd")]


def test_there_are_some() -> None:
    assert set(SPLITS) == {"direct_bf16x3", "im2col_bf16x3", "winograd2_bf16x3", "winograd4_bf16x3"}


@pytest.mark.parametrize("algorithm", DIRECT)
def test_sixteen_bits_are_kept(algorithm: str) -> None:
    """Whole numbers of 16 bits by weights of one, in sums below 2²⁴: nothing is left out, so nothing is off."""
    torch.manual_seed(0)
    x = torch.randint(-(1 << 16), 1 << 16, (2, 16, 9, 21)).float()
    weight = torch.randint(-1, 2, (20, 16, 3, 3)).float()
    wanted = functional.conv2d(x.double(), weight.double(), padding=1)
    assert torch.equal(conv2d(x, weight, padding=1, algorithm=algorithm).double(), wanted)


@pytest.mark.parametrize("algorithm", SPLITS)
def test_the_error_is_between_those_of_float32_and_bfloat16(algorithm: str) -> None:
    torch.manual_seed(1)
    x, weight = torch.randn(1, 64, 20, 20), torch.randn(48, 64, 3, 3)
    wanted = functional.conv2d(x.double(), weight.double(), padding=1)

    def error(y: torch.Tensor) -> float:
        return ((y.double() - wanted).abs().max() / wanted.abs().max()).item()

    own = error(conv2d(x, weight, padding=1, algorithm=algorithm))
    wide = error(conv2d(x, weight, padding=1, algorithm="im2col"))
    narrow = error(conv2d(x.bfloat16(), weight.bfloat16(), padding=1, algorithm="direct"))
    assert 3 * wide < own < 1e-4 < narrow


@pytest.mark.parametrize("algorithm", DIRECT)
@pytest.mark.parametrize("power", [-90, 80])
def test_a_power_of_two_changes_no_digit(algorithm: str, power: int) -> None:
    torch.manual_seed(2)
    x, weight = torch.randn(1, 40, 6, 18), torch.randn(33, 40, 3, 3)
    y = conv2d(x, weight, padding=1, algorithm=algorithm)
    assert torch.equal(conv2d(x * 2.0**power, weight, padding=1, algorithm=algorithm), y * 2.0**power)


@pytest.mark.parametrize("algorithm", DIRECT)
def test_what_rounds_to_infinity_comes_out_as_nan_where_it_is_seen(algorithm: str) -> None:
    """And only there; the largest number below that is still a number."""
    x, weight = torch.zeros(1, 32, 4, 40), torch.full((16, 32, 1, 3), 0.5)
    x[0, 3, 1, 7] = 2.0**128 * (1 - 2.0**-9)
    y = conv2d(x, weight, padding=(0, 1), algorithm=algorithm)
    seen = torch.zeros(4, 40, dtype=torch.bool)
    seen[1, 6:9] = True
    assert torch.equal(y.isnan(), seen.expand_as(y))
    x[0, 3, 1, 7] = 2.0**128 * (1 - 2.0**-8)
    assert torch.equal(conv2d(x, weight, padding=(0, 1), algorithm=algorithm)[0, :, 1, 7], x[0, 3, 1, 7].expand(16) / 2)


@pytest.mark.parametrize("algorithm", SPLITS)
def test_its_derivatives_are_a_convolutions(algorithm: str) -> None:
    """Backward to data by itself, to the weights by whoever can: near torch's in float64."""
    torch.manual_seed(3)
    x = torch.randn(2, 33, 9, 9, requires_grad=True)
    weight = torch.randn(17, 33, 3, 3, requires_grad=True)
    gradients = torch.autograd.grad(conv2d(x, weight, padding=1, algorithm=algorithm).square().sum(), [x, weight])
    wide = [t.detach().double().requires_grad_() for t in (x, weight)]
    wanted = torch.autograd.grad(functional.conv2d(*wide, padding=1).square().sum(), wide)
    for given, exact in zip(gradients, wanted, strict=True):
        assert (given.double() - exact).abs().max() < 2e-4 * exact.abs().max()
