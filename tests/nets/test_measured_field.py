"""Measured fields against closed forms: sizes of the papers, and Luo's Gaussian for a deep linear stack."""

import numpy as np
import pytest
import torch
from torch import nn

from striate.errors import StriateError
from striate.nets import create_model
from striate.nets.measured_field import measured_field


def stack(depth: int, dilations: tuple[int, ...] | None = None) -> nn.Sequential:
    torch.manual_seed(0)
    each = dilations or (1,) * depth
    return nn.Sequential(*(nn.Conv2d(4 if i else 1, 4, 3, padding=d, dilation=d) for i, d in enumerate(each))).double()


@pytest.mark.parametrize(("depth", "size"), [(1, 3), (2, 5), (3, 7)])
def test_stacked_3x3_see_as_the_lectures_say(depth, size):
    field = measured_field(stack(depth), (1, 33, 41), str(depth - 1))
    assert field.support_size == (size, size)
    assert field.unit == (16, 20)
    assert field.support == (16 - size // 2, 20 - size // 2, 17 + size // 2, 21 + size // 2)


def test_dilated_1_2_4_see_15():
    """Yu and Koltun 2016."""
    net = stack(3, (1, 2, 4))
    assert [measured_field(net, (1, 64, 64), str(i)).support_size for i in range(3)] == [(3, 3), (7, 7), (15, 15)]


def test_a_unit_at_the_border_sees_less():
    field = measured_field(stack(3), (1, 20, 20), "2", unit=(0, 19))
    assert field.support == (0, 16, 4, 20)


def test_the_effective_field_of_a_deep_stack_is_a_gaussian():
    """Luo et al. 2016, §2.2: n averaging 3×3 layers give a deviation of √(2n / 3), and the field grows as √n."""
    sizes = []
    for depth in (8, 32):
        net = nn.Sequential(*(nn.Conv2d(1, 1, 3, padding=1, bias=False) for _ in range(depth))).double()
        for layer in net:
            nn.init.constant_(layer.weight, 1 / 9)
        field = measured_field(net, (1, 129, 129), str(depth - 1), images=1)
        assert field.support_size == (2 * depth + 1, 2 * depth + 1)
        share = field.contribution.sum(0) / field.contribution.sum()
        deviation = np.sqrt((share * (np.arange(129) - 64) ** 2).sum())
        assert deviation == pytest.approx(np.sqrt(2 * depth / 3), rel=1e-6)
        # a Gaussian falls to 4.55 % of its peak at r² = −2σ² ln 0.0455: a disc of π r² px
        radius_squared = -2 * deviation**2 * np.log(0.0455)
        assert field.effective_size == pytest.approx(np.sqrt(np.pi * radius_squared), rel=0.04)
        sizes.append(field.effective_size)
    assert sizes[1] / sizes[0] == pytest.approx(2, rel=0.05)  # 4 times as deep


def test_the_support_of_a_net_lies_in_the_published_field():
    """AlexNet of 2012 sees 195 px at pool5; what has influence, less."""
    torch.manual_seed(0)
    net = create_model("alexnet2012", num_classes=2, input_size=(227, 227)).train()
    field = measured_field(net, (3, 227, 227), "features.pool5", images=2)
    assert 150 < min(field.support_size) <= max(field.support_size) <= 195
    assert 0 < field.effective_size < 195
    assert net.training


def test_a_dead_unit_sees_nothing():
    net = nn.Sequential(nn.Conv2d(1, 1, 3), nn.ReLU())
    nn.init.zeros_(net[0].weight)
    nn.init.constant_(net[0].bias, -1.0)
    field = measured_field(net, (1, 8, 8), "1")
    assert (field.support, field.support_size, field.effective_size) == (None, (0, 0), 0.0)


@pytest.mark.parametrize(
    ("layer", "unit", "message"),
    [
        ("features.c2", None, "unknown layer 'features.c2'; did you mean 'features.s2'"),
        ("classifier.f6", None, "classifier.f6 gives no maps: choose a layer before"),
        ("features.c3", (10, 0), r"features.c3 gives maps of 10×10; there is no unit \(10, 0\)"),
    ],
)
def test_what_cannot_be_measured_is_one_clear_line(layer, unit, message):
    with pytest.raises(StriateError, match=message):
        measured_field(create_model("lenet5", num_classes=3, in_chans=1), (1, 32, 32), layer, unit=unit)


def test_a_layer_that_is_never_called_is_said():
    net = nn.Sequential(nn.Conv2d(1, 1, 3))
    net[0].spare = nn.ReLU()
    with pytest.raises(StriateError, match=r"the net never called 0\.spare for this image"):
        measured_field(net, (1, 8, 8), "0.spare")
