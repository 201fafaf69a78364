"""What layers put out, against closed forms and torch's own reductions."""

import math

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor, nn

from striate.nets import create_model, model_info
from striate.train.watch.activations import Activations, is_nonlinearity
from striate.train.watch.histogram import BINS, histogram, spread


def images(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


def test_moments_zeros_and_histogram_are_those_of_the_values() -> None:
    net = nn.Sequential(nn.Conv2d(1, 4, 3), nn.ReLU(), nn.Flatten(), nn.Linear(4 * 6 * 6, 5))
    x = images(7, 1, 8, 8)
    with Activations(net) as seen:
        net(x)
    conv, relu, linear = seen.layers()
    assert [layer.name for layer in (conv, relu, linear)] == ["0", "1", "3"]
    assert [layer.kind for layer in (conv, relu, linear)] == ["conv 3×3", "relu", "linear"]
    assert (conv.shape, conv.units, conv.images) == ((4, 6, 6), 4, 7)
    made = net[1](net[0](x)).detach()
    assert relu.mean == pytest.approx(made.mean().item(), abs=1e-6)
    assert relu.deviation == pytest.approx(made.std(correction=0).item(), rel=1e-5)
    assert relu.zeros == pytest.approx((made == 0).float().mean().item(), abs=1e-7)
    assert sum(relu.histogram.counts) == made.numel()
    assert relu.histogram.counts[0] >= (made == 0).sum()
    assert sum(relu.histogram.shares) == pytest.approx(1)
    assert (conv.dead, conv.saturated, relu.saturated, linear.dead) == (None, None, None, None)


def test_batches_add_up_to_what_they_are_together() -> None:
    net, x = nn.Sequential(nn.Linear(6, 8), nn.ReLU()), images(12, 6)
    with Activations(net) as seen, Activations(net) as whole:
        net(x)
    seen.forget()
    with seen:
        for part in (x[:5], x[5:]):
            net(part)
    for parts, once in zip(seen.layers(), whole.layers(), strict=True):
        assert parts.images == once.images == 12
        assert parts.mean == pytest.approx(once.mean, abs=1e-6)
        assert parts.deviation == pytest.approx(once.deviation, rel=1e-5)
        assert (parts.zeros, parts.dead) == (once.zeros, once.dead)
        assert sum(parts.histogram.counts) == sum(once.histogram.counts)


def test_a_unit_is_dead_when_it_never_fires_for_any_image() -> None:
    net = nn.Sequential(nn.Linear(3, 8), nn.ReLU())
    with torch.no_grad():
        net[0].weight.zero_()
        net[0].bias.copy_(torch.tensor([-1.0, -1, -1, 1, 1, 1, 1, 1]))
        net[0].weight[0, 0] = 3  # fires for the second image alone
    with Activations(net, of=is_nonlinearity) as seen:
        net(torch.zeros(1, 3))
        assert seen.layers()[0].dead == 3 / 8
        net(torch.ones(1, 3))
    assert seen.layers()[0].dead == 2 / 8


@pytest.mark.parametrize(("kind", "steep"), [(nn.Tanh, 1.0), (nn.Sigmoid, 0.25)])
def test_saturated_means_a_slope_under_a_twentieth_of_the_steepest(kind: type[nn.Module], steep: float) -> None:
    x = torch.linspace(-6, 6, 1001)[None].requires_grad_()
    net = kind()
    with Activations(net) as seen:
        y = net(x)
    (slope,) = torch.autograd.grad(y.sum(), x)
    assert seen.layers()[0].saturated == pytest.approx((slope < 0.05 * steep).float().mean().item(), abs=2e-3)


def test_a_layer_used_twice_is_two_lines_in_the_order_of_the_pass() -> None:
    class Twice(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.late, self.early, self.relu = nn.Linear(4, 4), nn.Linear(4, 4), nn.ReLU()

        def forward(self, x: Tensor) -> Tensor:
            return self.relu(self.late(self.relu(self.early(x))))

    net = Twice()
    with Activations(net) as seen:
        for _ in range(3):
            net(images(5, 4))
    assert [layer.name for layer in seen.layers()] == ["early", "relu", "late", "relu (2)"]
    assert [layer.images for layer in seen.layers()] == [15] * 4


def test_what_is_no_number_is_told_and_left_out() -> None:
    net = nn.Sequential(nn.ReLU())
    with Activations(net) as seen:
        net(torch.tensor([[1.0, math.nan], [3.0, math.inf]]))
        net(torch.tensor([[math.nan, math.nan]]))
    (layer,) = seen.layers()
    assert (layer.broken, layer.mean, layer.deviation) == (4 / 6, 2.0, 1.0)


def test_only_so_many_images_of_a_batch_are_read() -> None:
    net = nn.Sequential(nn.Linear(2, 2))
    with Activations(net, images=3) as seen:
        net(images(10, 2))
    assert seen.layers()[0].images == 3


@pytest.mark.parametrize("name", ["lenet5", "resnet20", "weighted_resnet20", "swapout20", "googlenet", "alexnet"])
def test_reading_changes_neither_outputs_nor_gradients_nor_generators(name: str) -> None:
    size = min(model_info(name).input_size)
    x = images(2, 3, size, size)
    results = []
    for watched in (False, True):
        torch.manual_seed(3)
        net = create_model(name, num_classes=4, in_chans=3, input_size=(size, size)).train()
        if watched:
            with Activations(net) as seen:
                y = net(x)
            assert len(seen.layers()) > 5
        else:
            y = net(x)
        F.cross_entropy(y, torch.tensor([0, 1])).backward()
        results.append([y, *(p.grad for p in net.parameters()), *net.buffers(), torch.get_rng_state()])
        assert not any(m._forward_hooks or m._forward_pre_hooks for m in net.modules())
    assert all((a is b) or torch.equal(a, b) for a, b in zip(*results, strict=True))


@pytest.mark.parametrize("form", [torch.contiguous_format, torch.channels_last])
def test_a_spread_is_a_view_that_reaches_over_the_whole(form: torch.memory_format) -> None:
    x = torch.arange(2.0 * 8 * 16 * 16).reshape(2, 8, 16, 16).contiguous(memory_format=form)
    few = spread(x, 100)
    assert 50 <= len(few) <= 100
    assert few.data_ptr() == x.data_ptr()
    assert few.max() > 0.95 * x.max()
    assert torch.equal(spread(x, 10**6).sort().values, x.flatten().sort().values)


def test_a_histogram_of_one_value_and_of_values_beyond_its_range() -> None:
    one = histogram(torch.full((9,), 2.0))
    assert one.low < 2 < one.high
    assert sum(one.counts) == 9
    ends = histogram(torch.tensor([-5.0, 0.5, 9.0]), low=0.0, high=1.0)
    assert len(ends.counts) == BINS
    assert (ends.counts[0], ends.counts[-1], sum(ends.counts)) == (1, 1, 3)
