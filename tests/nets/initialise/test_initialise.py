"""How weights begin, against closed forms: variances, orthogonality, unit variance, gains."""

import math

import pytest
import torch
from torch import nn

import striate
from striate.errors import StriateError
from striate.nets.activations import ACTIVATIONS, GAINS, pieces_of
from striate.nets.initialise import SCHEMES, fans, gain, initialise, lsuv
from striate.nets.initialise.order import weighted_layers
from striate.nets.layers import DropConnect, LocallyConnected2d, Maxout


def _deep(activation: nn.Module, depth: int = 12, width: int = 256) -> nn.Sequential:
    made: list[nn.Module] = []
    for _ in range(depth):
        made += [nn.Linear(width, width), activation]
    return nn.Sequential(*made, nn.Linear(width, 10))


def _rows(count: int = 400, width: int = 256) -> torch.Tensor:
    return torch.randn(count, width, generator=torch.Generator().manual_seed(0))


# fans of the layer below: 48 · 9 = 432 in, 96 · 9 = 864 out; the activation behind it is a ReLU
VARIANCES = {
    "gaussian": 1e-4,
    "lecun": 1 / 432,
    "xavier": 2 / (432 + 864),
    "he": 2 / 432,
    "he_fan_out": 2 / 864,
    "caffe_xavier": 1 / 432,
    "caffe_msra": 2 / 432,
}


@pytest.mark.parametrize("scheme", VARIANCES)
def test_the_variance_is_the_formulas(scheme: str) -> None:
    """Of 41,472 draws: a deviation of the variance is 0.7 % for a normal law, less for a uniform one."""
    torch.manual_seed(0)
    net = nn.Sequential(nn.Conv2d(48, 96, 3), nn.ReLU(), nn.Conv2d(96, 10, 1))
    initialise(net, scheme, torch.zeros(1, 48, 5, 5))
    weight = net[0].weight.detach().double()
    assert float(weight.var()) == pytest.approx(VARIANCES[scheme], rel=0.03)
    assert abs(float(weight.mean())) < 4 * math.sqrt(VARIANCES[scheme] / weight.numel())
    assert not net[0].bias.any()
    if "xavier" in scheme:
        half = math.sqrt(3 * VARIANCES[scheme])
        assert 0.99 * half < float(weight.abs().max()) <= half * (1 + 1e-6)


@pytest.mark.parametrize("scheme", VARIANCES)
def test_filters_of_each_place_are_drawn_as_a_convolutions(scheme: str) -> None:
    """Their weight is [places, O, patch]: its second side is no fan in, nor the number of places a fan out."""
    torch.manual_seed(0)
    layer = LocallyConnected2d(48, 96, 3, input_size=(5, 4))
    initialise(nn.Sequential(layer, nn.ReLU(), nn.Flatten(), nn.Linear(576, 10)), scheme, torch.zeros(1, 48, 5, 4))
    assert float(layer.weight.detach().double().var()) == pytest.approx(VARIANCES[scheme], rel=0.02)


@pytest.mark.parametrize("scheme", ["orthogonal", "lsuv"])
def test_filters_of_each_place_are_orthogonal(scheme: str) -> None:
    layer = LocallyConnected2d(2, 4, 3, input_size=(4, 5))
    net = nn.Sequential(layer, nn.ReLU(), nn.Flatten(), nn.Linear(24, 10))
    initialise(net, scheme, torch.randn(64, 2, 4, 5, generator=torch.Generator().manual_seed(0)))
    products = (layer.weight @ layer.weight.mT).detach()  # places × 4 × 4
    scale = products[0, 0, 0].item()
    torch.testing.assert_close(products, (scale * torch.eye(4)).expand(6, 4, 4), atol=1e-5, rtol=0)
    assert scheme == "lsuv" or scale == pytest.approx(2)


def test_a_layer_with_a_rectifier_of_its_own_has_the_rectifiers_gain() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(DropConnect(400, 300, relu=True), nn.Linear(300, 10))
    initialise(net, "he", torch.zeros(1, 400))
    assert float(net[0].weight.detach().double().var()) == pytest.approx(2 / 400, rel=0.02)


def test_orthogonal_rows_of_the_gains_length() -> None:
    net = nn.Sequential(nn.Linear(60, 40), nn.ReLU(), nn.Linear(40, 10))
    initialise(net, "orthogonal", torch.zeros(1, 60))
    weight = net[0].weight.detach().double()
    torch.testing.assert_close(weight @ weight.mT, 2 * torch.eye(40, dtype=torch.float64), atol=1e-5, rtol=0)


@pytest.mark.parametrize("name", ACTIVATIONS)
def test_gains_are_the_integral_and_keep_a_deep_nets_size(name: str) -> None:
    activation = ACTIVATIONS[name]()
    assert gain(activation) == pytest.approx(GAINS[name], abs=1e-4)
    # an independent estimate: a million draws
    z = torch.randn(2_000_000 // pieces_of(name), pieces_of(name), generator=torch.Generator().manual_seed(1))
    with torch.no_grad():
        values = activation(z if pieces_of(name) > 1 else z[:, 0, None])
    assert gain(activation) == pytest.approx(float(values.double().square().mean()) ** -0.5, rel=0.01)


def test_closed_forms_of_gains() -> None:
    assert gain(nn.ReLU()) == pytest.approx(math.sqrt(2), abs=1e-7)
    assert gain(nn.LeakyReLU(0.2)) == pytest.approx(math.sqrt(2 / 1.04), abs=1e-7)  # He 2015, eq. 15
    assert gain(nn.SELU()) == pytest.approx(1, abs=1e-6)  # Klambauer 2017: its fixed point
    assert gain(Maxout(2)) == pytest.approx(1, abs=1e-9)  # E max(z, z')² = 1/π + 1 − 1/π
    assert gain(nn.Identity()) == pytest.approx(1, abs=1e-9)


@pytest.mark.parametrize("activation", [nn.ReLU(), nn.Tanh(), nn.ELU(), nn.GELU(), nn.PReLU(), nn.LeakyReLU(0.3)])
def test_he_by_the_gain_keeps_the_mean_square_through_twelve_layers(activation: nn.Module) -> None:
    torch.manual_seed(0)
    net = _deep(activation)
    initialise(net, "he", _rows())
    with torch.no_grad():
        out = net[:-1](_rows())
    assert 0.2 < float(out.square().mean()) < 5  # of 256 units: each layer adds a few per cent of chance


def test_lsuv_gives_every_layer_unit_variance_and_changes_nothing_else() -> None:
    torch.manual_seed(0)
    net = nn.Sequential(
        *(nn.Conv2d(3, 8, 3), nn.BatchNorm2d(8), nn.Tanh(), nn.Conv2d(8, 16, 3), nn.Sigmoid(), nn.Dropout(0.5)),
        *(nn.Flatten(), nn.Linear(256, 20), nn.ReLU(), nn.Linear(20, 5)),
    )
    images = torch.rand(64, 3, 8, 8, generator=torch.Generator().manual_seed(0)) + 2
    state, last = torch.get_rng_state(), net[-1].weight.clone()
    mean = net[1].running_mean.clone()
    reached = dict(lsuv(net, images))
    assert list(reached) == ["0", "3", "7"]
    assert all(abs(variance - 1) <= 0.01 for variance in reached.values())
    seen = []
    with torch.no_grad(), net[3].register_forward_hook(lambda _, __, out: seen.append(out)):
        net(images)
    assert float(seen[0].var(correction=0)) == pytest.approx(1, abs=0.02)
    assert torch.equal(net[-1].weight, last)
    assert net.training
    del state, mean


def test_lsuv_says_where_nothing_varies() -> None:
    net = nn.Sequential(nn.Linear(4, 3), nn.ReLU(), nn.Linear(3, 2))
    with pytest.raises(StriateError, match="lsuv: 0 gives a constant for these images"):
        lsuv(net, torch.zeros(8, 4))
    with pytest.raises(StriateError, match="lsuv looks at a batch of images, and there is none"):
        initialise(striate.create_model("lenet5", num_classes=10, in_chans=1), "lsuv")
    with pytest.raises(StriateError, match="unknown initialisation 'hee'; did you mean 'he'"):
        initialise(net, "hee", torch.zeros(1, 4))


def test_layers_are_met_in_the_order_of_use_with_what_follows() -> None:
    net = striate.create_model("resnet20", num_classes=10)
    met = weighted_layers(net)
    assert [one.name for one in met][:3] == ["conv1", "layer1.0.conv1", "layer1.0.conv2"]
    assert (met[-1].name, met[-1].last, met[-1].activation) == ("linear", True, None)
    assert sum(one.last for one in met) == 1
    assert isinstance(met[1].activation, nn.ReLU)


@pytest.mark.parametrize("scheme", SCHEMES)
@pytest.mark.parametrize("name", ["lenet5", "resnet20"])
def test_every_scheme_starts_a_net_of_the_zoo_near_a_guess(name: str, scheme: str) -> None:
    """The loss of ten classes within a nat of log 10; the output layer is what makes it so."""
    torch.manual_seed(0)
    net = striate.create_model(name, num_classes=10, in_chans=3, input_size=(32, 32))
    images = torch.randn(32, 3, 32, 32, generator=torch.Generator().manual_seed(0))
    initialise(net, scheme, images)
    loss = nn.functional.cross_entropy(net(images), torch.arange(32) % 10)
    assert loss.item() == pytest.approx(math.log(10), abs=1.0)


def test_draws_depend_on_the_seed_alone() -> None:
    nets = []
    for _ in range(2):
        net = striate.create_model("lenet5", num_classes=10, in_chans=1)
        torch.manual_seed(7)
        initialise(net, "he")
        nets.append(net)
    assert all(torch.equal(a, b) for a, b in zip(*(net.parameters() for net in nets), strict=True))


def test_fans_of_windows_and_groups() -> None:
    assert fans(nn.Linear(300, 50).weight) == (300, 50)
    assert fans(nn.Conv2d(8, 12, 3, groups=4).weight) == (18, 108)


@pytest.mark.parametrize("activation", ACTIVATIONS)
@pytest.mark.parametrize("name", ["lenet5", "mlp", "two_layer"])
def test_nets_take_every_activation(name: str, activation: str) -> None:
    torch.manual_seed(0)
    net = striate.create_model(name, num_classes=3, in_chans=1, input_size=(16, 16), activation=activation)
    assert net(torch.randn(2, 1, 16, 16)).shape == (2, 3)
    found = {type(module) for module in net.modules()}
    assert type(ACTIVATIONS[activation]()) in found
    with pytest.raises(StriateError, match="unknown activation 'rel'; did you mean"):
        striate.create_model(name, num_classes=3, activation="rel")


def test_maxout_says_what_does_not_divide() -> None:
    with pytest.raises(StriateError, match="maxout of 2 pieces cannot share out 3 channels"):
        Maxout()(torch.ones(1, 3))
    with pytest.raises(StriateError, match="at least 2 pieces, got 1"):
        Maxout(1)
    x = torch.randn(2, 6, 4, 4)
    assert torch.equal(Maxout(3)(x), torch.stack([x[:, :3].amax(1), x[:, 3:].amax(1)], 1))
