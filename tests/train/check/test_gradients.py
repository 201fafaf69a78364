"""The gradient check itself: it finds what is wrong, it blames no kink, and its bounds hold."""

import math
from typing import Any

import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor, nn
from torch.nn import functional

import striate
from striate.errors import StriateError
from striate.train.check import check_gradients
from striate.train.check.slope import Line, noise_of


class _Faulty(torch.autograd.Function):
    """The identity, whose backward pass multiplies one value of the gradient, or all of them, by a factor."""

    @staticmethod
    def forward(context: Any, x: Tensor, factor: float, index: int | None) -> Tensor:
        context.factor, context.index = factor, index
        return x.clone()

    @staticmethod
    def backward(context: Any, *gradients: Tensor) -> tuple[Tensor, None, None]:
        g = gradients[0].clone()
        if context.index is None:
            return g * context.factor, None, None
        g.view(-1)[context.index] *= context.factor
        return g, None, None


class _Net(nn.Module):
    """conv – batch norm – relu – pool – linear, in which one parameter's gradient is made wrong."""

    def __init__(self, wrong: str = "", factor: float = 1.0, index: int | None = None) -> None:
        super().__init__()
        self.conv, self.norm, self.out = nn.Conv2d(2, 5, 3), nn.BatchNorm2d(5), nn.Linear(20, 4)
        self.wrong, self.factor, self.index = wrong, factor, index

    def forward(self, x: Tensor) -> Tensor:
        p = dict(self.named_parameters())
        if self.wrong:
            p[self.wrong] = _Faulty.apply(p[self.wrong], self.factor, self.index)  # type: ignore[no-untyped-call]
        y = functional.conv2d(x, p["conv.weight"], p["conv.bias"])
        y = functional.batch_norm(y, None, None, p["norm.weight"], p["norm.bias"], training=True)
        y = functional.max_pool2d(y.relu(), 2).flatten(1)
        return functional.linear(y, p["out.weight"], p["out.bias"])


def _images(seed: int, *shape: int) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def _cross_entropy(scores: Tensor) -> Tensor:
    return functional.cross_entropy(scores, torch.arange(len(scores)) % scores.shape[1])


FACTORS = st.sampled_from([-1.0, 0.0, 0.5, 2.0, 0.999, 1.001, 1e3])
# all but the convolution's bias, whose gradient is zero in front of a batch norm: no factor makes it wrong
SHAPES = {"conv.weight": 90, "norm.weight": 5, "norm.bias": 5, "out.weight": 80, "out.bias": 4}


@settings(max_examples=8, deadline=None)
@given(st.sampled_from(sorted(SHAPES)), FACTORS, st.integers(0, 2**16))
def test_a_factor_in_one_parameter_is_found(name: str, factor: float, seed: int) -> None:
    torch.manual_seed(seed)
    found = check_gradients(_Net(name, factor), _images(seed, 3, 2, 6, 6), loss=_cross_entropy, seed=seed)
    assert [row.name for row in found.rows if row.verdict == "wrong"] == [name]
    worst = next(row for row in found.rows if row.name == name).wrong[0]
    assert worst.analytic == pytest.approx(factor * worst.numeric, rel=1e-4, abs=1e-9)


@settings(max_examples=8, deadline=None)
@given(st.sampled_from(sorted(SHAPES)), FACTORS, st.integers(0, 2**16), st.data())
def test_a_factor_in_one_value_is_found_and_its_place_named(
    name: str, factor: float, seed: int, data: st.DataObject
) -> None:
    """Without a single value compared on its own: the directions see it and halving finds it."""
    torch.manual_seed(seed)
    index = data.draw(st.integers(0, SHAPES[name] - 1))
    net = _Net(name, factor, index)
    images = _images(seed, 3, 2, 6, 6)
    right = torch.autograd.grad(_cross_entropy(_Net.forward(net, images)), net.get_parameter(name))[0].double()
    share = abs(float(right.view(-1)[index] / factor if factor else 1.0)) / float(right.norm())
    found = check_gradients(net, images, loss=_cross_entropy, coordinates=0, seed=seed)
    row = next(row for row in found.rows if row.name == name)
    if share * abs(factor - 1) > 1e-4 * (1 + abs(factor)):  # it is more than what the bounds leave open
        place = tuple(int(k) for k in torch.unravel_index(torch.tensor(index), right.shape))
        if factor:
            assert [wrong.index for wrong in row.wrong] == [place]
    assert all(other.verdict != "wrong" for other in found.rows if other.name != name)


@pytest.mark.parametrize("seed", range(12))
def test_relu_nets_are_never_blamed(seed: int) -> None:
    """Deep nets of kinks, half of them with black images and biases of zero, which put many units at the kink."""
    torch.manual_seed(seed)
    layers: list[nn.Module] = []
    for i in range(seed % 3 + 1):
        layers += [nn.Conv2d(6 if i else 1, 6, 3, padding=1), (nn.ReLU, nn.LeakyReLU, nn.Hardtanh)[seed % 3]()]
    net = nn.Sequential(*layers, nn.MaxPool2d(2), nn.Flatten(), nn.Linear(150, 20), nn.ReLU(), nn.Linear(20, 4))
    images = _images(seed, 3, 1, 10, 10)
    if seed % 2:
        images[:, :, :6] = 0
        for module in net.modules():
            if isinstance(module, nn.Conv2d | nn.Linear):
                nn.init.zeros_(module.bias)
    found = check_gradients(net, images, loss=_cross_entropy, seed=seed)
    assert found.ok, str(found)
    assert found.error < 1e-4
    assert seed % 2 == 0 or found.kinks > 0


def test_a_kink_is_counted_and_the_point_beside_it_compared() -> None:
    found = check_gradients(torch.relu, torch.zeros(3))
    (row,) = found.rows
    assert (row.verdict, row.kinks > 0, row.wrong) == ("right", True, ())
    assert row.error is not None
    # relu(x) − relu(−x) = x: at 0 the left and the right slope agree, and torch's gradient is another
    assert check_gradients(lambda x: torch.relu(x) - torch.relu(-x), torch.zeros(3)).ok


def test_a_wrong_kink_is_found() -> None:
    class Leaky(torch.autograd.Function):
        @staticmethod
        def forward(context: Any, x: Tensor) -> Tensor:
            context.save_for_backward(x)
            return torch.where(x > 0, x, 0.1 * x)

        @staticmethod
        def backward(context: Any, *g: Tensor) -> Tensor:
            (x,) = context.saved_tensors
            return g[0] * (x > 0)

    assert not check_gradients(Leaky.apply, torch.zeros(4)).ok
    assert not check_gradients(Leaky.apply, torch.tensor([-1.0, 1.0])).ok
    assert check_gradients(Leaky.apply, torch.tensor([2.0, 1.0])).ok  # its gradient is right where x > 0


def test_dropout_and_batch_norm_are_held_still_and_the_module_is_left_alone() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Linear(6, 8), nn.BatchNorm1d(8), nn.Tanh(), nn.Dropout(0.5), nn.Linear(8, 3)).train()
    before = {name: value.clone() for name, value in net.state_dict().items()}
    state = torch.get_rng_state()
    found = check_gradients(net, _images(0, 7, 6), loss=_cross_entropy)
    assert found.ok
    assert torch.equal(torch.get_rng_state(), state)
    assert all(torch.equal(value, before[name]) for name, value in net.state_dict().items())
    assert all(p.grad is None and p.dtype == torch.float32 for p in net.parameters())


def test_a_gradient_that_is_not_a_number_is_wrong() -> None:
    found = check_gradients(lambda x: x.norm(p=2.0).sqrt(), torch.tensor([1.0, 0.0]))
    assert found.ok
    found = check_gradients(lambda x: x.sqrt() * 0 + x, torch.tensor([4.0, 0.0]), seed=1)
    assert not found.ok


def test_float32_gradients_are_held_against_float64_values() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(2, 4, 3), nn.BatchNorm2d(4), nn.ReLU(), nn.Flatten(), nn.Linear(64, 3))
    found = check_gradients(net, _images(0, 4, 2, 6, 6), loss=_cross_entropy, dtype=torch.float32)
    assert found.ok
    assert 1e-9 < found.error < 1e-3
    assert not check_gradients(_Net("out.weight", 1.01), _images(0, 3, 2, 6, 6), dtype=torch.float32).ok


def test_what_cannot_be_checked_is_said_in_one_line() -> None:
    with pytest.raises(StriateError, match="the loss is nan; give inputs at which it is finite"):
        check_gradients(torch.log, torch.tensor([-1.0]))
    with pytest.raises(StriateError, match=r"loss is of shape \[2\]; give a `loss` that makes one number"):
        check_gradients(nn.Identity(), torch.ones(2), loss=lambda y: y)
    with pytest.raises(StriateError, match="there is nothing to differentiate"):
        check_gradients(nn.Identity(), torch.ones(2, dtype=torch.int64))
    count = iter(range(10**6))
    with pytest.raises(StriateError, match="differs from one evaluation to the next"):
        check_gradients(lambda x: x * next(count), torch.ones(2))


def test_the_table_and_the_exception_name_the_value() -> None:
    found = striate.check_gradients(_Net("out.bias", -1.0, 2), _images(0, 3, 2, 6, 6))
    assert "wrong at [2]" in str(found)
    assert str(found).count("\n") == len(found.rows)
    with pytest.raises(StriateError, match=r"the gradient of out.bias\[2\] is .* and the slope there is"):
        found.raise_if_wrong()
    assert check_gradients(torch.sin, torch.ones(1)).raise_if_wrong().ok


def test_slopes_against_closed_forms() -> None:
    """d exp(t) = 1, and the stated bound holds at each step; the noise of a sum of 1000 terms is near √1000 ulp."""
    line = Line(math.exp, 1.0, noise_of(math.exp))
    assert all(abs(step.value - 1) <= step.bound for step in line.steps())
    assert not any(line.bends(step) for step in line.steps())
    bent = Line(lambda t: max(t, 0.0) + math.sin(t), 0.0, 1e-17)
    assert all(bent.bends(step) for step in bent.steps() if step.h <= 1e-4)
    terms = _images(0, 1000).double()
    assert 1e-17 < noise_of(lambda t: float((terms * (1 + t)).sum())) < 1e-12
