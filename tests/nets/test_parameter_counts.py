"""Parameters and multiply-adds of every net against what papers, tables and documentation print."""

from collections.abc import Callable

import pytest
import torch

from striate.nets import Net, create_model, layer_table, list_models, model_info


def meta(name: str, **settings: object) -> Net:
    with torch.device("meta"):
        return create_model(name, **settings)


def params(net: Net) -> int:
    return sum(p.numel() for p in net.parameters())


def macs(net: Net) -> int:
    return sum(row.macs for row in layer_table(net, (net.spec.in_chans, *net.spec.input_size)))


@pytest.mark.parametrize("name", list_models())
def test_the_layer_table_holds_every_parameter(name: str, zoo: Callable[[str], Net]) -> None:
    net = zoo(name)
    rows = layer_table(net, (3, *model_info(name).input_size))
    heads = [net.get_submodule(path) for path in ("aux1", "aux2", "AuxLogits") if hasattr(net, path)]  # not in forward
    assert sum(row.params for row in rows) == params(net) - sum(p.numel() for head in heads for p in head.parameters())
    assert rows[-1].output_shape == (1000,)


def test_lenet5_has_the_layers_of_lecun_1998() -> None:
    net = meta("lenet5", num_classes=10, in_chans=1)
    rows = {row.name: row for row in layer_table(net, (1, 32, 32))}
    assert rows["features.c1"].params == 156  # §II.B prints these three
    assert rows["classifier.c5"].params == 48_120
    assert rows["classifier.f6"].params == 10_164
    # The paper counts C1's 122,304 connections with the biases, which a MAC leaves out.
    assert rows["features.c1"].macs + 6 * 28 * 28 == 122_304
    assert params(net) == 156 + 2_416 + 48_120 + 10_164 + 850 == 61_706
    maps = ["features.c1", "features.s2", "features.c3", "features.s4"]
    assert [rows[name].output_shape for name in maps] == [(6, 28, 28), (6, 14, 14), (16, 10, 10), (16, 5, 5)]


def test_alexnet_2012_has_60_million_parameters_and_the_papers_maps() -> None:
    net = meta("alexnet2012")
    assert params(net) == 60_965_224
    rows = {row.name: row for row in layer_table(net, (3, 227, 227))}
    assert rows["features.conv1"].output_shape == (96, 55, 55)  # "55×55×96", figure 2
    assert rows["features.pool1"].output_shape == (96, 27, 27)
    assert rows["features.pool5"].output_shape == (256, 6, 6)
    # Neurons per layer, as figure 2's caption lists them: 253,440 – 186,624 – 64,896 – 64,896 – 43,264 – 4096 – 4096 –
    # 1000. Its first is a known slip: 55 · 55 · 96 is 290,400.
    neurons = [55 * 55 * 96, 186_624, 64_896, 64_896, 43_264]
    for i, count in enumerate(neurons, start=1):
        c, h, w = rows[f"features.conv{i}"].output_shape
        assert c * h * w == count


@pytest.mark.parametrize(
    ("name", "millions"),
    [("vgg11", 133), ("vgg11_lrn", 133), ("vgg13", 133), ("vgg16c", 134), ("vgg16", 138), ("vgg19", 144)],
)
def test_vgg_table_2(name: str, millions: int) -> None:
    assert round(params(meta(name)) / 1e6) == millions


def test_vgg16_rows_of_the_cs231n_table() -> None:
    rows = [row for row in layer_table(meta("vgg16"), (3, 224, 224)) if row.macs]
    weights = [row.params - row.output_shape[0] for row in rows]  # the table leaves the biases out
    assert weights == [
        *(1_728, 36_864, 73_728, 147_456, 294_912, 589_824, 589_824),
        *(1_179_648, 2_359_296, 2_359_296, 2_359_296, 2_359_296, 2_359_296),
        *(102_760_448, 16_777_216, 4_096_000),
    ]
    assert round(macs(meta("vgg16")) / 1e9, 1) == 15.5
    assert round(macs(meta("vgg19")) / 1e9, 1) == 19.6  # He 2015, §3.3: "19.6 billion FLOPs", meaning multiply-adds


@pytest.mark.parametrize(
    ("name", "billions"),
    [("resnet18", 1.8), ("resnet34", 3.6), ("resnet50", 3.8), ("resnet101", 7.6), ("resnet152", 11.3)],
)
def test_resnet_table_1(name: str, billions: float) -> None:
    """The paper strides the first 1×1; it cuts some of its figures (3.66 → 3.6) and rounds others (7.57 → 7.6)."""
    bottleneck = name not in {"resnet18", "resnet34"}
    net = meta(name, stride_on="1x1") if bottleneck else meta(name)
    assert abs(macs(net) / 1e9 - billions) < 0.1


def test_a_stride_on_the_3x3_costs_more() -> None:
    """Known of torchvision's ResNet-50: 4.1×10⁹. The first 1×1 of three stages sees four times the pixels."""
    assert round(macs(meta("resnet50")) / 1e9, 1) == 4.1
    assert params(meta("resnet50")) == params(meta("resnet50", stride_on="1x1"))


@pytest.mark.parametrize("kind", ["resnet", "plain"])
@pytest.mark.parametrize(("layers", "millions"), [(20, 0.27), (32, 0.46), (44, 0.66), (56, 0.85), (110, 1.7)])
def test_cifar_resnet_table_6(kind: str, layers: int, millions: float) -> None:
    net = meta(f"{kind}{layers}", num_classes=10)
    assert round(params(net) / 1e6, 1 if layers == 110 else 2) == millions
    weighted = [row for row in layer_table(net, (3, 32, 32)) if row.macs]
    assert len(weighted) == layers


def test_resnet20_costs_the_41_million_macs_that_everybody_counts() -> None:
    by_hand = (
        9 * (3 * 16 * 1024 + 6 * 16 * 16 * 1024 + (16 * 32 + 5 * 32 * 32) * 256 + (32 * 64 + 5 * 64 * 64) * 64) + 640
    )
    assert macs(meta("resnet20", num_classes=10)) == by_hand


@pytest.mark.parametrize("batch_norm", [False, True])
def test_mlp_closed_form(batch_norm: bool) -> None:
    net = meta("mlp", num_classes=10, hidden=(30, 20), batch_norm=batch_norm, input_size=(8, 6), in_chans=2)
    affine = (2 * 8 * 6 + 1) * 30 + 31 * 20 + 21 * 10
    assert params(net) == affine + (2 * 30 + 2 * 20) * batch_norm
    assert macs(net) == 96 * 30 + 30 * 20 + 20 * 10


def test_two_layers_with_50_hidden_units_on_cifar10() -> None:
    assert params(meta("two_layer", num_classes=10)) == 3072 * 50 + 50 + 50 * 10 + 10  # CS231n, assignment 1
