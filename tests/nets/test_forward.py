"""Forwards against the papers' layers written out one by one, so that no ReLU, order or stride can go missing."""

from collections.abc import Callable

import pytest
import torch
import torch.nn.functional as F
from torch import Tensor

from striate.nets import Net, create_model, layer_table

State = dict[str, Tensor]


def conv_bn(state: State, x: Tensor, conv: str, bn: str, stride: int) -> Tensor:
    weight = state[f"{conv}.weight"]
    y = F.conv2d(x, weight, stride=stride, padding=weight.shape[-1] // 2)
    mean, variance = (state[f"{bn}.running_{what}"].view(-1, 1, 1) for what in ("mean", "var"))
    gamma, beta = (state[f"{bn}.{what}"].view(-1, 1, 1) for what in ("weight", "bias"))
    return (y - mean) / torch.sqrt(variance + 1e-5) * gamma + beta  # Ioffe and Szegedy 2015, algorithm 2


def resnet_by_hand(
    state: State, x: Tensor, depths: tuple[int, ...], strides: Callable[[int], tuple[int, ...]]
) -> Tensor:
    """He 2015, table 1 and figure 5; `strides(s)` places a block's stride s among its convolutions."""
    y = F.max_pool2d(F.relu(conv_bn(state, x, "conv1", "bn1", 2)), 3, 2, 1)
    for stage, depth in enumerate(depths, start=1):
        for block in range(depth):
            name = f"layer{stage}.{block}"
            stride = 2 if stage > 1 and block == 0 else 1
            f = y
            placed = strides(stride)
            for i, s in enumerate(placed, start=1):
                f = conv_bn(state, f, f"{name}.conv{i}", f"{name}.bn{i}", s)
                f = F.relu(f) if i < len(placed) else f
            changes = f"{name}.downsample.0.weight" in state
            shortcut = conv_bn(state, y, f"{name}.downsample.0", f"{name}.downsample.1", stride) if changes else y
            y = F.relu(f + shortcut)
    return y.mean((2, 3)) @ state["fc.weight"].T + state["fc.bias"]


@pytest.mark.parametrize(
    ("name", "settings", "depths", "strides"),
    [
        ("resnet18", {}, (2, 2, 2, 2), lambda s: (s, 1)),
        ("resnet50", {}, (3, 4, 6, 3), lambda s: (1, s, 1)),
        ("resnet50", {"stride_on": "1x1"}, (3, 4, 6, 3), lambda s: (s, 1, 1)),
    ],
)
def test_resnet(
    name: str, settings: dict[str, str], depths: tuple[int, ...], strides: Callable[[int], tuple[int, ...]]
) -> None:
    torch.manual_seed(0)
    net = create_model(name, num_classes=5, **settings).eval().double()
    for key, tensor in net.state_dict().items():  # batch norms that do something
        if "bn" in key or "downsample.1" in key:
            if key.endswith(("weight", "running_var")):
                tensor.uniform_(0.5, 1.0)
            elif key.endswith(("bias", "running_mean")):
                tensor.normal_(0.0, 0.1)
    x = torch.randn(2, 3, 40, 56, dtype=torch.float64)
    with torch.no_grad():
        torch.testing.assert_close(net(x), resnet_by_hand(net.state_dict(), x, depths, strides), rtol=1e-9, atol=1e-9)


@pytest.mark.parametrize(("activation", "pool"), [("relu", "max"), ("tanh", "avg")])
def test_lenet5(activation: str, pool: str) -> None:
    squash = {"relu": F.relu, "tanh": torch.tanh}[activation]
    subsample = {"max": F.max_pool2d, "avg": F.avg_pool2d}[pool]
    net = create_model("lenet5", num_classes=10, in_chans=1, activation=activation, pool=pool).double()
    c1, c3 = (
        (net.get_parameter(f"features.{c}.weight"), net.get_parameter(f"features.{c}.bias")) for c in ("c1", "c3")
    )
    x = torch.randn(3, 1, 32, 32, dtype=torch.float64)
    y = subsample(squash(F.conv2d(x, *c1)), 2)
    y = subsample(squash(F.conv2d(y, *c3)), 2).flatten(1)
    for name in ("c5", "f6", "output"):
        y = F.linear(y, net.get_parameter(f"classifier.{name}.weight"), net.get_parameter(f"classifier.{name}.bias"))
        y = y if name == "output" else squash(y)
    torch.testing.assert_close(net(x), y)


@pytest.mark.parametrize("batch_norm", [False, True])
def test_mlp(batch_norm: bool) -> None:
    net = create_model("mlp", num_classes=4, in_chans=2, input_size=(3, 5), hidden=(7, 6), batch_norm=batch_norm)
    net = net.double()
    state = net.state_dict()
    x = torch.randn(9, 2, 3, 5, dtype=torch.float64)
    y = x.reshape(9, 30)
    for i in (1, 2):
        y = y @ state[f"features.affine{i}.weight"].T + state[f"features.affine{i}.bias"]
        if batch_norm:  # Ioffe and Szegedy 2015, algorithm 1
            y = (y - y.mean(0)) / torch.sqrt(y.var(0, unbiased=False) + 1e-5)
        y = y.clamp(min=0)
    torch.testing.assert_close(net(x), y @ state["classifier.weight"].T + state["classifier.bias"])


def test_dropout_is_inverted_and_only_in_training() -> None:
    net = create_model("mlp", num_classes=2, in_chans=1, input_size=(1, 1), hidden=(20_000,), dropout=0.25)
    x = torch.ones(1, 1, 1, 1)
    kept = net.features(x)
    whole = net.eval().features(x)
    alive = whole > 0
    ratio = kept[alive] / whole[alive]
    assert ratio.round(decimals=4).unique().tolist() == pytest.approx([0.0, 4 / 3], abs=1e-4)
    assert float((ratio > 0).float().mean()) == pytest.approx(0.75, abs=0.02)  # 10,000 draws: four deviations


def kinds(net: Net) -> str:
    """The layers, a letter each."""
    letters = {"conv": "C", "linear": "L", "relu": "R", "local": "N", "batch": "B", "max-pool": "P", "adaptive": "A"}
    letters |= {"dropout": "D", "flatten": ""}
    rows = layer_table(net, (3, *net.spec.input_size))
    return "".join(letters[row.kind.split()[0]] for row in rows)


@pytest.mark.parametrize(
    ("name", "layers"),
    [
        ("alexnet2012", "CRNP CRNP CR CR CRP LRD LRD L"),
        ("alexnet", "CRP CRP CR CR CRP A DLR DLR L"),
        ("vgg11", "CRP CRP CRCRP CRCRP CRCRP A LRD LRD L"),
        ("vgg11_lrn", "CRNP CRP CRCRP CRCRP CRCRP A LRD LRD L"),
        ("vgg13_bn", "CBRCBRP CBRCBRP CBRCBRP CBRCBRP CBRCBRP A LRD LRD L"),
        ("vgg16c", "CRCRP CRCRP CRCRCRP CRCRCRP CRCRCRP A LRD LRD L"),
    ],
)
def test_layers_in_order(name: str, layers: str, zoo: Callable[[str], Net]) -> None:
    assert kinds(zoo(name)) == layers.replace(" ", "")


def test_vgg16c_has_its_1x1_last_in_three_stages(zoo: Callable[[str], Net]) -> None:
    convs = [row.kind for row in layer_table(zoo("vgg16c"), (3, 224, 224)) if row.kind.startswith("conv")]
    assert [i for i, kind in enumerate(convs, start=1) if kind == "conv 1×1"] == [7, 10, 13]
