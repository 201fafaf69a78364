"""What training samples has the mean that testing uses: each row of docs/noise.md, by enumeration where it is small.

Elsewhere the mean of n draws with deviation s is held to 5 s / √n: a run in a million fails, and the seed is fixed.
"""

import itertools
import math

import numpy as np
import pytest
import torch
from torch import nn

from striate.data import Preprocess
from striate.errors import StriateError
from striate.evaluate import Plan, views
from striate.nets.layers import DropConnect, Dropout, DropPath

MASKS = list(itertools.product([0.0, 1.0], repeat=2))


def test_vanilla_dropout_of_two_inputs_is_half_of_their_sum() -> None:
    """The lecture's neuron a = w0 x + w1 y: its four masks at p = ½ have the mean ½ (w0 x + w1 y)."""
    w, inputs = torch.tensor([0.7, -1.3], dtype=torch.float64), torch.tensor([2.0, 5.0], dtype=torch.float64)
    drawn = [w @ (inputs * torch.tensor(mask, dtype=torch.float64)) for mask in MASKS]
    tested = w @ Dropout(0.5).eval()(inputs)
    assert float(sum(drawn) / 4) == pytest.approx(float(tested), rel=1e-15)
    assert float(tested) == pytest.approx(0.5 * (0.7 * 2 - 1.3 * 5), rel=1e-15)


@pytest.mark.parametrize("p", [0.1, 0.5, 0.8])
@pytest.mark.parametrize("inverted", [False, True])
def test_dropout_of_a_linear_unit_by_all_its_masks(p: float, inverted: bool) -> None:
    """Σ over 2⁵ masks of P(mask) · w·(mask ∘ x): the scale stands in testing, or (inverted) in training."""
    torch.manual_seed(0)
    w, x = torch.randn(5, dtype=torch.float64), torch.randn(5, dtype=torch.float64)
    mean = 0.0
    for mask in itertools.product([0.0, 1.0], repeat=5):
        kept = torch.tensor(mask, dtype=torch.float64)
        chance = math.prod(1 - p if m else p for m in mask)
        mean += chance * float(w @ (x * kept)) / (1 - p if inverted else 1)
    layer: nn.Module = nn.Dropout(p) if inverted else Dropout(p)
    assert float(w @ layer.eval()(x)) == pytest.approx(mean, rel=1e-12)


@pytest.mark.parametrize("layer", [Dropout(0.3), nn.Dropout(0.3)], ids=["vanilla", "inverted"])
def test_what_dropout_draws_has_that_mean(layer: nn.Module) -> None:
    torch.manual_seed(1)
    x = torch.tensor([1.0, -2.0, 3.0])
    drawn = layer.train()(x.expand(40_000, 3))
    error = 5 * drawn.std(0) / math.sqrt(len(drawn))
    assert ((drawn.mean(0) - layer.eval()(x)).abs() < error).all()
    assert set((drawn[:, 0] / drawn[:, 0].max()).tolist()) == {0.0, 1.0}


def test_vanilla_dropout_refuses_what_is_no_probability() -> None:
    with pytest.raises(StriateError, match=r"^p is a probability, at least 0 and below 1, got 1$"):
        Dropout(1)
    x = torch.randn(3, 4)
    assert torch.equal(Dropout(0.0)(x), x)
    assert repr(Dropout(0.25)) == "Dropout(p=0.25)"


def test_dropconnect_by_all_its_masks() -> None:
    """2 inputs, 1 output, a bias: 2³ masks of the weights; mean and variance are those of its Gaussian."""
    p = 0.3
    layer = DropConnect(2, 1, p=p).double().eval()
    with torch.no_grad():
        layer.weight.copy_(torch.tensor([[0.6, -1.1]]))
        layer.bias.fill_(0.4)
    x = torch.tensor([[2.0, 3.0]], dtype=torch.float64)
    values, chances = [], []
    for a, b, c in itertools.product([0.0, 1.0], repeat=3):
        values.append((a * 0.6 * 2 - b * 1.1 * 3 + c * 0.4) / (1 - p))
        chances.append(math.prod(1 - p if kept else p for kept in (a, b, c)))
    mean = np.dot(values, chances)
    assert layer(x).item() == pytest.approx(mean, rel=1e-6)  # 0.6 and the others are float32's
    moments = [moment.item() for moment in layer.moments(x)]
    assert moments == pytest.approx([mean, np.dot(np.square(values), chances) - mean**2], rel=1e-6)


@pytest.mark.parametrize("scale", ["test", "train"])
def test_stochastic_depth_by_both_its_gates(scale: str) -> None:
    """y = x + b F(x): b is 1 with probability 1 − p."""
    p, branch = 0.25, torch.tensor([4.0, -8.0])
    alive = branch / (1 - p) if scale == "train" else branch
    assert torch.equal(DropPath(p, scale=scale).eval()(branch), p * 0 + (1 - p) * alive)


def test_batch_norms_running_statistics_are_the_mean_of_the_batches() -> None:
    """A plain mean over 50 batches of 20: mean to 5 s / √1000; E[s²] is σ², as torch divides by n − 1."""
    torch.manual_seed(2)
    norm = nn.BatchNorm1d(1, momentum=None)
    for _ in range(50):
        norm(3 + 2 * torch.randn(20, 1))
    assert norm.running_mean is not None
    assert norm.running_var is not None
    assert abs(float(norm.running_mean) - 3) < 5 * 2 / math.sqrt(1000)
    assert abs(float(norm.running_var) - 4) < 5 * 4 * math.sqrt(2 / (50 * 19))  # Var[s²] = 2σ⁴/(n − 1), of 50 means


def test_flips_are_the_exact_mean_over_what_training_draws() -> None:
    """A linear unit on a 3×3 crop, mirrored with probability ½: the mean of both is the unit with mirrored weights."""
    torch.manual_seed(3)
    w, crop = torch.randn(3, 3, dtype=torch.float64), torch.randn(3, 3, dtype=torch.float64)
    both = Plan(crops=2).views(Preprocess(channels=1, size=(3, 3), mean=(0.0,), std=(1.0,)))
    tested = sum(view.weight * float((w * (crop.flip(1) if view.flip else crop)).sum()) for view in both)
    assert tested == pytest.approx(float(((w + w.flip(1)) / 2 * crop).sum()), rel=1e-12)


def test_crops_are_the_exact_mean_for_what_is_affine_in_the_place() -> None:
    """Uniform places of a 3×3 crop in a 7×11 ramp: the corners and the centre have the mean of all 45 places."""
    torch.manual_seed(4)
    w = torch.randn(3, 3, dtype=torch.float64)
    ramp = 0.3 * torch.arange(7)[:, None] - 1.7 * torch.arange(11)[None, :] + 0.4

    def unit(top: int, left: int) -> float:
        return float((w * ramp[top : top + 3, left : left + 3]).sum())

    trained = sum(unit(top, left) for top in range(5) for left in range(9)) / 45
    tested = sum(view.weight * unit(int(view.place[0] * 4), int(view.place[1] * 8)) for view in views(5, 1))
    assert tested == pytest.approx(trained, rel=1e-6)
