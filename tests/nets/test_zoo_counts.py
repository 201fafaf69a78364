"""Parameters and multiply-adds of the zoo against the tables of papers, and against the prototxts they published.

Millions, rounded as printed. What cannot be reached is here too, with the reason: docs/design/nets.md says the same.
"""

import re
from pathlib import Path

import pytest
import torch

from striate.nets import LayerRow, Net, NetSpec, create_model, layer_table
from striate.nets.zoo.swapout import SwapoutNet

DATA = Path(__file__).parents[3] / "shared" / "data"


def meta(name: str, **settings: object) -> Net:
    with torch.device("meta"):
        return create_model(name, **settings)


def rows(net: Net) -> list[LayerRow]:
    return layer_table(net, (net.spec.in_chans, *net.spec.input_size))


def params(net: Net) -> int:
    return sum(p.numel() for p in net.parameters())


@pytest.mark.parametrize(
    ("name", "settings", "millions", "digits"),
    [
        ("wrn16_4", {}, 2.7, 1),  # Zagoruyko 2016, tables 3 to 5
        ("wrn16_8", {}, 11.0, 1),
        ("wrn28_10", {}, 36.5, 1),
        ("wrn40_1", {}, 0.6, 1),
        ("wrn40_2", {}, 2.2, 1),
        ("wrn40_4", {}, 8.9, 1),
        ("preact_resnet110", {}, 1.7, 1),  # He 2016, table 4, as later papers count it
        ("preact_resnet164", {}, 1.7, 1),
        ("preact_resnet1001", {}, 10.3, 1),
        ("resnet110_sd", {}, 1.7, 1),  # Huang 2016: the ResNet of 110 layers
        ("ror110", {}, 1.7, 1),  # Zhang 2016, RoR-3-110
        ("swapout20", {"wide": 4}, 4.33, 2),  # Singh 2016, table 4
        ("swapout32", {}, 7.43, 2),
    ],
)
def test_cifar_nets(name: str, settings: dict[str, int], millions: float, digits: int) -> None:
    if settings:  # W×4 is not a name of its own
        spec = NetSpec(name=name, num_classes=10, in_chans=3, input_size=(32, 32))
        net: Net = SwapoutNet(spec, 20, settings["wide"])
    else:
        net = meta(name, num_classes=10)
    assert round(params(net) / 1e6, digits) == millions


@pytest.mark.parametrize(
    ("name", "settings", "ours", "printed"),
    [
        ("swapout20", {}, 1.08, 1.09),  # W×2: with a bias in every convolution it would be 1.09
        ("rir18", {}, 9.47, 10.3),  # the split of 16 layers over three widths is not printed
        ("fractalnet20", {}, 33.7, 38.6),  # 35 convolutions of the printed widths are 33.7 million
    ],
)
def test_what_the_papers_do_not_let_us_reach(
    name: str, settings: dict[str, object], ours: float, printed: float
) -> None:
    millions = params(meta(name, num_classes=10, **settings)) / 1e6
    assert millions == pytest.approx(ours, abs=0.01 if ours < 10 else 0.05)
    assert abs(millions - printed) / printed < 0.15


def test_weighted_layers_are_what_the_names_say() -> None:
    def deepest(name: str) -> int:
        return sum(row.kind.startswith(("conv 3", "linear")) for row in rows(meta(name, num_classes=10)))

    assert deepest("wrn28_10") == 26  # and two of the 1×1 shortcuts the paper counts
    assert deepest("rir18") == 18
    assert deepest("swapout20") == 20
    assert deepest("ror110") == deepest("weighted_resnet110") == 110
    assert deepest("fractalnet20") == 5 * 7 + 1  # eq. 1: three columns have 1 + 2 + 4 convolutions
    assert deepest("fractalnet40") == 5 * 15 + 1


# Szegedy 2014, table 1: parameters in K and multiply-adds in M of each row; its K is 1024.
GOOGLENET = {
    "conv3": (112, 360),
    "inception3a": (159, 128),
    "inception3b": (380, 304),
    "inception4a": (364, 73),
    "inception4b": (437, 88),
    "inception4e": (840, 170),
    "fc": (1000, 1),
}


@pytest.mark.parametrize("row", GOOGLENET)
def test_googlenet_table_1(row: str) -> None:
    """Weights without biases, within 1 % (4a's 366.8 is printed 364, the linear layer's 1,024,000 as 1000K of 1024)."""
    net = meta("googlenet2014", auxiliary=False)
    names = ("conv2", "conv3") if row == "conv3" else (row,)
    printed_params, printed_macs = GOOGLENET[row]
    of_row = [r for r in rows(net) if r.name.split(".")[0] in names and r.macs]
    weights = sum(r.params - r.output_shape[0] for r in of_row)
    assert weights / 1024 == pytest.approx(printed_params, rel=0.01)
    assert sum(r.macs for r in of_row) / 1e6 == pytest.approx(printed_macs, rel=0.013, abs=0.5)


@pytest.mark.parametrize(
    ("row", "ours", "printed", "macs", "printed_macs"),
    [
        ("inception4c", 497.5, 463, 99.9, 100),
        ("inception4d", 590.5, 580, 118.5, 119),
        ("inception5b", 1409.0, 1388, 70.7, 71),
        ("inception5a", 1018.0, 1072, 51.1, 54),
    ],
)
def test_googlenets_rows_that_disagree_with_themselves(
    row: str, ours: float, printed: int, macs: float, printed_macs: int
) -> None:
    """The widths of three rows give the printed multiply-adds and not the printed parameters; of 5a, neither."""
    of_row = [r for r in rows(meta("googlenet2014")) if r.name.startswith(row) and r.macs]
    weights = sum(r.params - r.output_shape[0] for r in of_row)
    total = sum(r.macs for r in of_row) / 1e6
    assert weights / 1024 == ours
    assert abs(ours / printed - 1) < 0.08
    assert total == pytest.approx(macs, abs=0.05)
    assert (abs(total - printed_macs) < 0.6) == (row != "inception5a")


def test_googlenets_first_row_is_another_filter() -> None:
    """2.7K and 34M are those of 7 + 7 weights per map and channel, a row and a column; a 7×7 has 9.4K and 118M."""
    first = rows(meta("googlenet2014"))[0]
    assert first.params - 64 == 7 * 7 * 3 * 64 == 9_408
    assert first.macs == 9_408 * 112 * 112
    assert round((7 + 7) * 3 * 64 / 1000, 1) == 2.7
    assert round((7 + 7) * 3 * 64 * 112 * 112 / 1e6) == 34


def test_auxiliary_heads_cost_what_is_published() -> None:
    """torchvision's documentation counts GoogLeNet without them and Inception-v3 with."""
    assert params(meta("googlenet", auxiliary=False)) == 6_624_904
    assert params(meta("inception_v3")) == 27_161_264
    assert params(meta("googlenet2014", auxiliary=False)) == 6_998_552


@pytest.mark.parametrize(
    ("name", "billions"),
    [
        ("googlenet", 1.5),  # the GFLOPS (multiply-adds) that torchvision's documentation prints
        ("inception_v3", 5.71),
        ("densenet121", 2.83),
        ("densenet161", 7.73),
        ("densenet169", 3.36),
        ("densenet201", 4.29),
        ("squeezenet1_0", 0.82),
        ("squeezenet1_1", 0.35),
        ("wide_resnet50_2", 11.4),
        ("wide_resnet101_2", 22.75),
    ],
)
def test_multiply_adds(name: str, billions: float) -> None:
    total = sum(row.macs for row in rows(meta(name))) / 1e9
    assert round(total, len(str(billions).split(".")[1])) == billions


def test_zfnets_maps_are_those_of_figure_3() -> None:
    table = {row.name: row.output_shape for row in rows(meta("zfnet"))}
    maps = {"relu1": (96, 110, 110), "pool1": (96, 55, 55), "relu2": (256, 26, 26), "pool2": (256, 13, 13)}
    for layer, shape in {**maps, "relu5": (256, 13, 13), "pool5": (256, 6, 6)}.items():
        assert table[f"features.{layer}"] == shape


def convolutions(path: Path) -> list[tuple[int, int]]:
    """(maps, kernel) of every convolution of a prototxt in its order, told from the text."""
    if not path.exists():
        pytest.skip(f"needs {path.parent.name} in ../shared/data")
    text = re.sub(r"#.*", "", path.read_text())
    found = re.findall(r"convolution_param\s*\{((?:[^{}]|\{[^{}]*\})*)\}", text)
    return [
        (int(re.search(r"num_output:\s*(\d+)", body)[1]), int(re.search(r"kernel_size:\s*(\d+)", body)[1]))
        for body in found
    ]


@pytest.mark.shared
@pytest.mark.parametrize(
    ("name", "path"),
    [
        ("googlenet2014", "caffe-bvlc/models/bvlc_googlenet/deploy.prototxt"),
        ("nin", "caffe-nin-prototxt/models/nin_imagenet/deploy.prototxt"),
        ("squeezenet1_0", "squeezenet-prototxt/SqueezeNet_v1.0/deploy.prototxt"),
        ("squeezenet1_1", "squeezenet-prototxt/SqueezeNet_v1.1/deploy.prototxt"),
    ],
)
def test_convolutions_are_those_of_the_published_prototxt(name: str, path: str) -> None:
    net = meta(name, auxiliary=False) if name == "googlenet2014" else meta(name)
    ours = [(m.out_channels, m.kernel_size[0]) for m in net.modules() if isinstance(m, torch.nn.Conv2d)]
    assert ours == convolutions(DATA / path)


@pytest.mark.shared
def test_a_squeezenet_trained_in_torchvision_fits() -> None:
    path = DATA / "repackaged-imagenet" / "squeezenet1_1-torchvision-fp16rounded.pth"
    if not path.exists():
        pytest.skip("needs repackaged-imagenet in ../shared/data")
    state = torch.load(path, map_location="cpu", weights_only=True)
    net = create_model("squeezenet1_1")
    net.load_state_dict(state, strict=True)
