"""The gradients of every layer and kernel of our own, and of the zoo's nets."""

from collections.abc import Callable

import pytest
import torch
from torch import Tensor, nn
from torch.nn import functional

import striate
from striate import conv
from striate.nets import layers
from striate.tasks import Classification
from striate.train.check import check_gradients
from striate.train.check.gradients import GROWTH

LAYERS: dict[str, Callable[[], nn.Module]] = {
    "locally connected": lambda: layers.LocallyConnected2d(3, 2, 3, input_size=(6, 6), stride=2, padding=1),
    "response norm across": lambda: layers.LocalResponseNorm(3, alpha=0.5),
    "response norm within": lambda: layers.LocalResponseNorm(3, alpha=0.5, region="within"),
    "response norm, Krizhevsky's": lambda: layers.krizhevsky_norm(),
    "maxout": lambda: layers.Maxout(3),
    "dropout": lambda: layers.Dropout(0.4),
    "drop path, batch": lambda: layers.DropPath(0.3),
    "drop path, sample": lambda: layers.DropPath(0.3, per="sample", scale="train"),
}
ROWS: dict[str, Callable[[], nn.Module]] = {
    "drop connect": lambda: layers.DropConnect(36, 5),
    "drop connect, relu": lambda: layers.DropConnect(36, 5, relu=True),
    "drop connect, moments": lambda: layers.DropConnect(36, 5, relu=True, inference="gaussian"),
    "coordinates": lambda: layers.CoordinateLinear((6, 6), (2, 2), maps=2),
}


def _images(*shape: int, seed: int = 0) -> Tensor:
    return torch.randn(shape, generator=torch.Generator().manual_seed(seed))


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", LAYERS)
def test_layers_of_images(name: str, training: bool) -> None:
    torch.manual_seed(0)
    found = check_gradients(LAYERS[name]().train(training), _images(4, 3, 6, 6))
    assert found.ok, str(found)
    assert all(row.verdict == "right" for row in found.rows)


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("name", ROWS)
def test_layers_of_rows(name: str, training: bool) -> None:
    torch.manual_seed(0)
    found = check_gradients(ROWS[name]().train(training), _images(4, 36))
    assert found.ok, str(found)


def test_swapout_takes_two_inputs() -> None:
    found = check_gradients(layers.Swapout(0.6, 0.7), _images(3, 2, 4, 4), _images(3, 2, 4, 4, seed=1))
    assert [row.verdict for row in found.rows] == ["right", "right"]


@pytest.mark.parametrize("square", [False, True])
def test_the_penalty_of_distance(square: bool) -> None:
    torch.manual_seed(0)
    layer = layers.CoordinateLinear((4, 4), (2, 2), square=square)
    assert check_gradients(layer, _images(2, 16), loss=lambda y: y.square().mean() + 0.01 * layer.penalty()).ok


@pytest.mark.parametrize("smoothing", [0.0, 0.1])
def test_losses(smoothing: float) -> None:
    task = Classification(("a", "b", "c"), label_smoothing=smoothing)
    scores, one, two = _images(5, 3), torch.tensor([0, 1, 2, 0, 1]), torch.tensor([1, 1, 0, 2, 0])

    def in_double(scores: Tensor, target: Tensor) -> Tensor:  # the task computes in float32, whatever it is given
        return functional.cross_entropy(scores, target, label_smoothing=smoothing)

    def mixed(scores: Tensor) -> Tensor:
        share = torch.linspace(0, 1, 5, dtype=scores.dtype)
        return (
            torch.stack([in_double(s[None], a[None]) for s, a in zip(scores, one, strict=True)]) * share
            + torch.stack([in_double(s[None], b[None]) for s, b in zip(scores, two, strict=True)]) * (1 - share)
        ).mean()

    def gradient(loss: Callable[[Tensor], Tensor], dtype: torch.dtype) -> Tensor:
        x = scores.to(dtype).requires_grad_()
        return torch.autograd.grad(loss(x), x)[0].double()

    for plain, ours in (
        (lambda y: in_double(y, one), lambda y: task.loss(y, one)),
        (mixed, lambda y: task.mixed_loss(y, one, two, torch.linspace(0, 1, 5))),
    ):
        assert check_gradients(nn.Identity(), scores, loss=plain).ok
        torch.testing.assert_close(gradient(ours, torch.float32), gradient(plain, torch.float64), rtol=1e-5, atol=1e-7)


CONVOLUTIONS = {
    "3×3": {"kernel_size": 3, "padding": 1},
    "3×3 in groups": {"kernel_size": 3, "padding": 1, "groups": 2},
    "1×1": {"kernel_size": 1},
    "5×5, stride 2": {"kernel_size": 5, "stride": 2, "padding": 2},
    "3×3, dilated": {"kernel_size": 3, "dilation": 2},
}


@pytest.mark.parametrize("algorithm", conv.algorithms())
@pytest.mark.parametrize("case", CONVOLUTIONS)
def test_convolutions(case: str, algorithm: str) -> None:
    """Gradients by the float32 kernels against differences of the float64 loops, which are another computation.

    The bound is the check's own: GROWTH · eps of float32, 1.2e-4, about the 1e-4 that "auto" admits an algorithm with.
    """
    torch.manual_seed(0)
    layer = conv.Conv2d(4, 6, **CONVOLUTIONS[case], algorithm=algorithm)
    images = _images(2, 4, 12, 12)
    try:
        layer(images)
    except conv.WrongShape as error:
        pytest.skip(str(error))
    found = check_gradients(layer, images, dtype=torch.float32, loss=lambda y: y.sin().mean())
    assert found.ok, str(found)
    assert found.error < 10 * GROWTH * torch.finfo(torch.float32).eps
    assert check_gradients(layer, images, loss=lambda y: y.sin().mean()).ok  # and the loops' own


def test_convolutions_along_one_and_three_axes() -> None:
    assert check_gradients(conv.conv1d, _images(2, 3, 9), _images(4, 3, 3, seed=1)).ok
    assert check_gradients(conv.conv3d, _images(1, 2, 4, 5, 5), _images(3, 2, 2, 3, 3, seed=1)).ok


SMALL = {
    "lenet5": (1, 32),
    "two_layer": (3, 8),
    "mlp": (3, 8),
}


@pytest.mark.parametrize("name", SMALL)
def test_nets(name: str) -> None:
    """With batch norms, stochastic depth and the like in training mode."""
    channels, side = SMALL[name]
    torch.manual_seed(0)
    net = striate.create_model(name, num_classes=4, in_chans=channels, input_size=(side, side))
    images, labels = _images(3, channels, side, side).clamp(-1, 1), torch.tensor([0, 1, 2])
    found = check_gradients(
        net, images, loss=lambda y: functional.cross_entropy(y, labels), directions=1, coordinates=2
    )
    assert found.ok, str(found)


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet20", "weighted_resnet20", "swapout20", "squeezenet1_1"])
def test_larger_nets(name: str) -> None:
    side = 64 if name == "squeezenet1_1" else 8
    torch.manual_seed(0)
    net = striate.create_model(name, num_classes=4, input_size=(side, side))
    labels = torch.tensor([0, 1])
    found = check_gradients(
        net, _images(2, 3, side, side), loss=lambda y: functional.cross_entropy(y, labels), directions=1, coordinates=1
    )
    assert found.ok, str(found)
