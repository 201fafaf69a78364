"""Layers of the zoo as the papers list them, and how they are named and chosen."""

import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from striate.bench.layer import Layer, layers_of
from striate.errors import StriateError

Pair = tuple[int, int]


def test_vgg_e_has_the_layers_of_lavin_and_gray() -> None:
    """Their table 1: nine shapes, the last four times, the deepest nets' other ones as often as here."""
    found = layers_of("vgg19")
    assert [(layer.in_maps, layer.out_maps, layer.size[0], layer.count) for layer in found] == [
        (3, 64, 224, 1),
        (64, 64, 224, 1),
        (64, 128, 112, 1),
        (128, 128, 112, 1),
        (128, 256, 56, 1),
        (256, 256, 56, 3),
        (256, 512, 28, 1),
        (512, 512, 28, 3),
        (512, 512, 14, 4),
    ]
    assert {(layer.kernel, layer.padding, layer.stride) for layer in found} == {((3, 3), (1, 1), (1, 1))}
    gflops = sum(2 * layer.count * layer.macs(1) for layer in found) / 1e9
    assert gflops == pytest.approx(39.0, abs=0.1)  # their total, 39.10, has 0.17 for conv1.1's bias and the like


def test_macs_agree_with_the_net_as_a_whole() -> None:
    from striate.nets import create_model
    from striate.nets.inspect import cost

    for name in ("alexnet", "resnet50", "googlenet2014"):
        net = create_model(name)
        if name == "googlenet2014":
            net = create_model(name, auxiliary=False)
        convolutions = sum(row.macs for row in cost(net, (3, 224, 224)).layers if row.kind.startswith("conv"))
        assert sum(layer.count * layer.macs(1) for layer in layers_of(name)) == convolutions


def test_keys_say_what_differs_from_the_usual() -> None:
    plain = Layer(in_maps=8, out_maps=16, size=(9, 9), kernel=(3, 3), padding=(1, 1))
    assert plain.key == "8-16-3x3@9"
    assert str(plain) == "8→16 3×3@9"
    odd = Layer(
        in_maps=8, out_maps=8, size=(9, 12), kernel=(1, 3), stride=(2, 1), dilation=(1, 2), groups=8, padding=(0, 2)
    )
    assert odd.key == "8-8-1x3@9x12/2x1d1x2g8"
    unpadded = Layer(in_maps=8, out_maps=8, size=(9, 9), kernel=(3, 3))
    assert unpadded.key == "8-8-3x3@9p0"
    assert unpadded.out_size == (7, 7)


def test_patterns_choose_by_key_and_by_name() -> None:
    assert [layer.key for layer in layers_of("vgg19", "512-*")] == ["512-512-3x3@28", "512-512-3x3@14"]
    assert [layer.key for layer in layers_of("vgg19", "512-*, !*@14")] == ["512-512-3x3@28"]
    assert [layer.key for layer in layers_of("vgg19", "features.0")] == ["3-64-3x3@224"]
    assert len(layers_of("vgg19", "!3-*")) == 8


def test_nothing_that_matches_is_an_error_that_lists_what_there_is() -> None:
    for pattern in ("7x7", "512-*,7x7", "512-*,!7x7"):
        with pytest.raises(
            StriateError, match=r"^no convolution of vgg19 matches --layer '7x7'; it has 3-64-3x3@224, .*…$"
        ):
            layers_of("vgg19", pattern)


def test_an_unknown_net_gets_the_nearest_name() -> None:
    with pytest.raises(StriateError, match="unknown net 'vgg91'; did you mean 'vgg19'"):
        layers_of("vgg91")


SIDES = st.tuples(st.integers(1, 4), st.integers(1, 4))


@given(
    maps=st.tuples(st.integers(1, 5), st.integers(1, 5), st.integers(1, 3)),
    size=st.tuples(st.integers(9, 40), st.integers(9, 40)),
    kernel=SIDES,
    stride=SIDES,
    padding=st.tuples(st.integers(0, 4), st.integers(0, 4)),
    dilation=st.tuples(st.integers(1, 2), st.integers(1, 2)),
)
def test_a_key_is_read_as_it_is_written(
    maps: tuple[int, int, int], size: Pair, kernel: Pair, stride: Pair, padding: Pair, dilation: Pair
) -> None:
    into, out, groups = maps
    layer = Layer(
        in_maps=into * groups,
        out_maps=out * groups,
        size=size,
        kernel=kernel,
        stride=stride,
        padding=padding,
        dilation=dilation,
        groups=groups,
    )
    assert Layer.of_key(layer.key) == layer


@pytest.mark.parametrize(
    ("key", "message"),
    [
        ("64-64-3@112", "'64-64-3@112' is no convolution: write MAPS-MAPS-HxW@PIXELS, then "),
        ("64-64-3x3@112g64/2", "'64-64-3x3@112g64/2' is no convolution: write MAPS-MAPS-HxW@PIXELS, then "),
        ("", "'' is no convolution: write "),
        ("64-48-3x3@112g64", "'64-48-3x3@112g64' is no convolution: 64 groups do not divide its maps"),
        ("64-64-3x3@112/0", "'64-64-3x3@112/0' is no convolution: only a padding may be 0"),
        ("0-64-3x3@112", "'0-64-3x3@112' is no convolution: only a padding may be 0"),
        ("8-8-7x7@4p0", "'8-8-7x7@4p0' is no convolution: 4 px do not fit "),
    ],
)
def test_a_key_of_no_convolution_is_an_error_that_says_why(key: str, message: str) -> None:
    with pytest.raises(StriateError, match=f"^{re.escape(message)}"):
        Layer.of_key(key)
