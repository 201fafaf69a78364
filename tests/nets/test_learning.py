"""A net learns: it begins well, a step helps, and the seed alone decides."""

import math

import pytest
import torch
import torch.nn.functional as F

from striate.nets import Net, NetSpec, create_model
from striate.nets.zoo.vgg import VGG

CLASSES = 5


def tiny_vgg() -> Net:
    """The published VGGs hold 133 million parameters and more; this one has their parts (L, M, 1×1, batch norm)."""
    spec = NetSpec(name="tiny", num_classes=CLASSES, in_chans=3, input_size=(32, 32))
    return VGG(spec, "8 L M 8:1 M", True, dropout=0.0)


def made(name: str) -> Net:
    torch.manual_seed(1)
    size = (64, 64) if name == "resnet18" else (32, 32)
    return tiny_vgg() if name == "tiny_vgg" else create_model(name, num_classes=CLASSES, input_size=size)


NETS = ["two_layer", "mlp", "lenet5", "tiny_vgg", "resnet18", "resnet20", "plain20"]


@pytest.mark.parametrize("name", NETS)
def test_one_step_lowers_the_loss(name: str) -> None:
    net = made(name)
    x, y = torch.randn(16, 3, *net.spec.input_size), torch.arange(16) % CLASSES
    optimiser = torch.optim.SGD(net.parameters(), lr=0.001)
    before = F.cross_entropy(net(x), y)
    before.backward()
    optimiser.step()
    with torch.no_grad():
        after = F.cross_entropy(net(x), y)
    assert after < before


@pytest.mark.parametrize("name", NETS)
def test_it_begins_near_the_loss_of_a_guess(name: str) -> None:
    """CS231n's first sanity check: log(classes), for inputs of variance one.

    Within 1.5 nats, since a max-pool takes the largest of four and so raises what He's variance holds level.
    """
    net = made(name)
    with torch.no_grad():
        loss = F.cross_entropy(net(torch.randn(64, 3, *net.spec.input_size)), torch.arange(64) % CLASSES)
    assert abs(float(loss) - math.log(CLASSES)) < 1.5


@pytest.mark.parametrize("name", ["mlp", "lenet5", "resnet20"])
def test_the_seed_alone_decides_the_weights(name: str) -> None:
    def weights(seed: int, **settings: object) -> list[torch.Tensor]:
        torch.manual_seed(seed)
        return list(create_model(name, num_classes=CLASSES, **settings).parameters())

    def equal(a: list[torch.Tensor], b: list[torch.Tensor]) -> bool:
        return all(torch.equal(p, q) for p, q in zip(a, b, strict=True))

    first = weights(7)
    assert equal(first, weights(7))
    assert equal(first, weights(7, input_size=(32, 32)))  # looking whether a size fits draws nothing
    assert not equal(first, weights(8))


def test_he_variances() -> None:
    """2 / fan out for ResNets' convolutions (He 2015, eq. 14), 2 / fan in for LeNet's layers (eq. 10)."""
    resnet = create_model("resnet18", num_classes=2)
    weight = resnet.get_parameter("layer3.0.conv2.weight")  # 256 maps out, 3×3
    assert float(weight.detach().var()) == pytest.approx(2 / (256 * 9), rel=0.02)
    lenet = create_model("lenet5", num_classes=2)
    assert float(lenet.get_parameter("classifier.c5.weight").detach().var()) == pytest.approx(2 / 400, rel=0.05)
    assert not lenet.get_parameter("classifier.c5.bias").detach().any()


def test_zero_init_residual_makes_every_block_the_identity_at_first() -> None:
    net = create_model("resnet18", num_classes=2, zero_init_residual=True).eval()
    x = torch.rand(1, 64, 8, 8)  # positive, so that the ReLU after the sum changes nothing
    block = net.get_submodule("layer1.1")
    assert torch.equal(block(x), x)
    plain = create_model("resnet18", num_classes=2).eval()
    assert not torch.equal(plain.get_submodule("layer1.1")(x), x)


@pytest.mark.parametrize("stride_on", ["3x3", "1x1"])
def test_the_setting_places_the_stride(stride_on: str) -> None:
    with torch.device("meta"):
        net = create_model("resnet50", stride_on=stride_on)
    strides = {kernel: net.get_submodule(f"layer2.0.conv{i}").stride for i, kernel in ((1, "1x1"), (2, "3x3"))}
    assert strides[stride_on] == (2, 2)
    assert sorted(strides.values()) == [(1, 1), (2, 2)]


def test_plain_nets_are_the_same_nets_without_the_sum() -> None:
    torch.manual_seed(3)
    residual = create_model("resnet20", num_classes=2).eval()
    plain = create_model("plain20", num_classes=2).eval()
    plain.load_state_dict(residual.state_dict())
    x = torch.randn(1, 3, 32, 32)
    assert not torch.allclose(plain(x), residual(x))
    for net in (plain, residual):
        for block in range(3):  # a block whose residual is zero: the identity with a shortcut, nothing without
            torch.nn.init.zeros_(net.get_submodule(f"layer1.{block}.bn2").weight)
    f = torch.rand(1, 16, 4, 4)
    assert torch.equal(residual.get_submodule("layer1")(f), f)
    assert not plain.get_submodule("layer1")(f).any()


def test_the_shortcut_without_parameters_takes_every_second_pixel() -> None:
    net = create_model("resnet20", num_classes=2)
    x = torch.randn(2, 16, 5, 6)
    y = net.get_submodule("layer2.0.shortcut")(x)
    assert y.shape == (2, 32, 3, 3)
    assert torch.equal(y[:, 8:24], x[:, :, ::2, ::2])
    assert not y[:, :8].any()
    assert not y[:, 24:].any()
