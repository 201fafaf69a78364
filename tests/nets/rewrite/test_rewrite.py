"""Rewritten layers against what they replace: in float64, on random layers, and on whole nets."""

import copy

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import nn

from striate.errors import StriateError
from striate.nets import create_model, layer_table
from striate.nets.activations import ACTIVATIONS
from striate.nets.rewrite import (
    as_3x3_stack,
    as_asymmetric,
    as_bottleneck,
    as_convolution,
    fully_convolutional,
    replace,
    suggest,
)


@st.composite
def convolutions(draw: st.DrawFn, square_odd: bool = False) -> nn.Conv2d:
    groups = draw(st.integers(1, 2))
    rows = draw(st.sampled_from([5, 7, 9])) if square_odd else draw(st.integers(1, 4))
    columns = rows if square_odd else draw(st.integers(1, 4))
    torch.manual_seed(draw(st.integers(0, 1000)))
    return nn.Conv2d(
        groups * draw(st.integers(1, 3)),
        groups * draw(st.integers(1, 3)),
        (rows, columns),
        stride=draw(st.integers(1, 3)),
        padding=draw(st.integers(0, min(rows, columns) - 1)),
        dilation=draw(st.integers(1, 2)),
        groups=groups,
        bias=draw(st.booleans()),
    ).double()


def full(conv: nn.Conv2d) -> tuple[int, int]:
    return conv.in_channels, conv.out_channels


def differs(a: nn.Module, b: nn.Module, x: torch.Tensor) -> float:
    with torch.no_grad():
        old, new = a(x), b(x)
    assert old.shape == new.shape
    return float((old - new).norm() / old.norm().clamp(min=1e-12))


@settings(max_examples=60, deadline=None)
@given(convolutions(), st.integers(9, 14), st.integers(9, 14))
def test_at_full_rank_the_factors_are_the_convolution(conv, height, width):
    x = torch.randn(2, conv.in_channels, height, width, dtype=torch.float64)
    for factored in (as_asymmetric(conv, error=0.0), as_bottleneck(conv, ranks=full(conv))):
        assert factored.error < 1e-12
        assert differs(conv, factored.layers, x) < 1e-12


@settings(max_examples=30, deadline=None)
@given(convolutions(square_odd=True), st.integers(17, 24), st.integers(17, 24))
def test_a_stack_gives_the_same_shape_and_has_3x3_only(conv, height, width):
    x = torch.randn(2, conv.in_channels, height, width, dtype=torch.float64)
    stack = as_3x3_stack(conv)
    assert stack(x).shape == conv(x).shape
    layers = [layer for layer in stack if isinstance(layer, nn.Conv2d)]
    assert {layer.kernel_size for layer in layers} == {(3, 3)}
    assert len(layers) == (conv.kernel_size[0] - 1) // 2
    # the field of view is the same: only pixels that the old window sees move the middle output
    probe = x[:1].clone().requires_grad_()
    linear = nn.Sequential(*layers)
    for layer in layers:
        nn.init.ones_(layer.weight)
    linear(probe)[0, 0, 0, 0].backward()
    old = x[:1].clone().requires_grad_()
    nn.init.ones_(conv.weight)
    conv(old)[0, 0, 0, 0].backward()
    assert torch.equal(probe.grad != 0, old.grad != 0)


def test_the_savings_of_the_slides():
    """LECTURES.md C4: 27C² of 49C², 6C² of 9C², 3.25C² of 9C²."""
    c = 16
    seven, three = nn.Conv2d(c, c, 7, padding=3, bias=False), nn.Conv2d(c, c, 3, padding=1, bias=False)

    def weights(module: nn.Module) -> float:
        return sum(p.numel() for p in module.parameters()) / c**2

    assert (weights(seven), weights(as_3x3_stack(seven))) == (49, 27)
    assert (weights(three), weights(as_asymmetric(three).layers)) == (9, 6)
    assert weights(as_bottleneck(three).layers) == 3.25
    macs = {name: sum(row.macs for row in layer_table(m, (c, 10, 12))) for name, m in [("7", seven), ("3", three)]}
    assert macs == {"7": 49 * 10 * 12 * c**2, "3": 9 * 10 * 12 * c**2}


@pytest.mark.parametrize("rank", [1, 3, 7])
def test_the_stated_error_is_that_of_the_best_approximation(rank):
    """Eckart and Young 1936: no matrix of this rank is nearer than the truncated SVD; NumPy says how near that is."""
    torch.manual_seed(0)
    conv = nn.Conv2d(5, 6, 3, padding=1, bias=False).double()
    factored = as_asymmetric(conv, rank=rank)
    first, second = (layer.weight.detach() for layer in factored.layers)
    rebuilt = torch.einsum("orn,rim->oinm", second[..., 0], first[:, :, 0])
    measured = float((conv.weight.detach() - rebuilt).norm() / conv.weight.detach().norm())
    matrix = conv.weight.detach().numpy().transpose(1, 3, 0, 2).reshape(15, 18)
    singular = np.linalg.svd(matrix, compute_uv=False)
    best = float(np.sqrt((singular[rank:] ** 2).sum() / (singular**2).sum()))
    assert measured == pytest.approx(best, rel=1e-9)
    assert factored.error == pytest.approx(best, rel=1e-9)


def test_the_error_is_that_of_the_output_for_white_inputs():
    torch.manual_seed(0)
    conv = nn.Conv2d(8, 8, 3, bias=False).double()
    factored = as_asymmetric(conv, rank=8)
    x = torch.randn(8, 8, 66, 66, dtype=torch.float64)
    assert differs(conv, factored.layers, x) == pytest.approx(factored.error, rel=0.03)


def test_a_wanted_error_takes_the_smallest_rank():
    torch.manual_seed(0)
    conv = nn.Conv2d(6, 6, 3, padding=1).double()
    errors = [as_asymmetric(conv, rank=rank).error for rank in range(1, 19)]
    assert errors == sorted(errors, reverse=True)
    factored = as_asymmetric(conv, error=0.3)
    rank = factored.layers[0].out_channels
    assert factored.error == errors[rank - 1] <= 0.3 < errors[rank - 2]


def test_a_bottleneck_finds_low_rank_that_is_there():
    torch.manual_seed(0)
    conv = nn.Conv2d(8, 10, 3, padding=1).double()
    core, u, v = torch.randn(4, 3, 3, 3), torch.randn(10, 4), torch.randn(8, 3)
    conv.weight.data = torch.einsum("pqnm,op,iq->oinm", core, u, v).double()
    factored = as_bottleneck(conv, ranks=(3, 4))
    assert factored.error < 1e-6
    assert differs(conv, factored.layers, torch.randn(1, 8, 9, 9, dtype=torch.float64)) < 1e-6
    assert as_bottleneck(conv, ranks=(2, 4)).error > 0.05


def test_of_a_convolution_of_zeros_nothing_is_lost():
    conv = nn.Conv2d(4, 4, 3)
    nn.init.zeros_(conv.weight)
    assert as_asymmetric(conv).error == as_bottleneck(conv).error == 0


@pytest.mark.parametrize(
    ("rewrite", "message"),
    [
        (lambda: as_3x3_stack(nn.Conv2d(1, 1, 3)), "cannot stack 3×3 convolutions to 3×3: the kernel has to be 5×5"),
        (lambda: as_3x3_stack(nn.Conv2d(1, 1, (5, 7))), "cannot stack 3×3 convolutions to 5×7: the kernel has to be"),
        (lambda: as_3x3_stack(nn.Conv2d(1, 1, 5, padding=5)), "under 5 px of padding: 4 px are the most"),
        (lambda: as_asymmetric(nn.Conv2d(2, 2, 3), rank=7), "rank is 7; give a whole number from 1 to 6$"),
        (
            lambda: as_asymmetric(nn.Conv2d(4, 4, 3, groups=2), rank=3),
            "rank is 3; give a whole number from 2 to 12 in steps of 2, the groups",
        ),
        (lambda: as_asymmetric(nn.Conv2d(2, 2, 3), error=1.0), "error is 1.0; give a share of the weights' norm"),
        (lambda: as_bottleneck(nn.Conv2d(2, 4, 3), ranks=(3, 4)), r"ranks\[0\] is 3; give a whole number from 1 to 2"),
        (lambda: as_bottleneck(nn.Conv2d(2, 2, 3, padding="same")), "cannot rewrite a convolution with padding='same'"),
        (
            lambda: as_asymmetric(nn.Conv2d(2, 2, 3, padding=1, padding_mode="reflect")),
            r"padding_mode='reflect'; it has to pad zeros",
        ),
        (lambda: as_convolution(nn.Linear(10, 2), 3), "a linear layer on 10 values does not read maps of 3×3 px"),
        (lambda: replace(nn.Sequential(nn.ReLU()), {"1": nn.ReLU()}), "unknown layer '1'"),
        (lambda: fully_convolutional(create_model("mlp", num_classes=3)), "mlp has no maps to slide over"),
    ],
)
def test_what_cannot_be_rewritten_is_one_clear_line(rewrite, message):
    with pytest.raises(StriateError, match=message):
        rewrite()


def test_a_linear_layer_as_a_convolution_says_the_same():
    linear = nn.Linear(3 * 4 * 5, 7).double()
    x = torch.randn(2, 3, 4, 5, dtype=torch.float64)
    assert torch.allclose(as_convolution(linear, (4, 5))(x).flatten(1), linear(x.flatten(1)), atol=1e-14)
    assert as_convolution(linear, (4, 5)).weight.data_ptr() == linear.weight.data_ptr()


@pytest.mark.parametrize(
    ("name", "size"),
    [("lenet5", (32, 32)), ("alexnet2012", (67, 67)), ("resnet20", (32, 32)), ("vgg11_bn", (224, 224))],
)
def test_a_sliding_net_gives_the_same_scores(name, size):
    net = create_model(name, num_classes=5, input_size=size).eval()
    x = torch.randn(2, 3, *size)
    with torch.no_grad():
        scores, slid = net(x), fully_convolutional(net)(x)
    assert slid.shape == (2, 5, 1, 1)
    assert torch.allclose(slid.flatten(1), scores, atol=1e-5 * float(scores.abs().max()))


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_every_activation_slides(activation):
    net = create_model("lenet5", num_classes=3, in_chans=1, activation=activation).eval()
    x = torch.randn(2, 1, 32, 32)
    with torch.no_grad():
        assert torch.allclose(fully_convolutional(net)(x).flatten(1), net(x), atol=1e-5)


def test_larger_images_slide():
    """LeNet-5 pads nothing, so each place of the map is its answer to that window of the image."""
    net = create_model("lenet5", num_classes=4, in_chans=1).double().eval()
    x = torch.randn(1, 1, 40, 44, dtype=torch.float64)
    with torch.no_grad():
        scores = fully_convolutional(net)(x)
        assert scores.shape == (1, 4, 3, 4)  # windows of 32 px, a stride of 4
        for row in range(3):
            for column in range(4):
                window = x[:, :, 4 * row : 4 * row + 32, 4 * column : 4 * column + 32]
                assert torch.allclose(scores[:, :, row, column], net(window), atol=1e-12)


def test_sliding_leaves_the_net_alone_and_holds_each_weight_once():
    net = create_model("resnet20", num_classes=5).train()
    before = copy.deepcopy(net.state_dict())
    slid = fully_convolutional(net)
    assert net.training
    assert all(torch.equal(net.state_dict()[name], tensor) for name, tensor in before.items())
    assert sum(p.numel() for p in slid.parameters()) == sum(p.numel() for p in net.parameters())


def test_a_head_that_does_more_than_its_layers_is_refused():
    net = create_model("lenet5", num_classes=4, in_chans=1)
    head = net.head
    net.head = lambda f: 2 * head(f)  # type: ignore[method-assign]  # a head with arithmetic of its own
    with pytest.raises(StriateError, match="the head of lenet5 is no chain of layers that slide"):
        fully_convolutional(net)


def test_a_net_with_a_replaced_layer_runs_and_the_old_one_is_untouched():
    net = create_model("resnet20", num_classes=5).eval()
    layer = net.get_submodule("layer1.0.conv1")
    new = replace(net, {"layer1.0.conv1": as_bottleneck(layer, ranks=(16, 16)).layers})
    assert net.get_submodule("layer1.0.conv1") is layer
    assert differs(net, new, torch.randn(2, 3, 32, 32)) < 1e-5


def test_suggestions_of_a_net():
    torch.manual_seed(0)
    net = create_model("lenet5", num_classes=10)
    found = suggest(net, (3, 32, 32))
    by = {(s.layer, s.rewrite): s for s in found}
    assert ("features.c3", "3×3 stack") not in by  # 16 maps between cost more than they save on 6
    asymmetric = by["features.c3", "1×N and N×1"]
    assert asymmetric.new_params == 6 * 5 * 16 + 16 * 5 * 16 + 16
    assert 0 < asymmetric.error < 1
    assert asymmetric.note == f"weights off by {asymmetric.error:.1%}"
    assert all(s.new_macs < s.macs for s in found[:-1])
    savings = [s.macs - s.new_macs for s in found[:-1]]
    assert savings == sorted(savings, reverse=True)
    assert (found[-1].layer, found[-1].note) == ("head", "exact; larger images slide")


def test_a_suggested_head_is_the_one_that_answers():
    with torch.device("meta"):
        net = create_model("googlenet", num_classes=1000)  # its auxiliary heads have linear layers, too
    head = suggest(net, (3, 224, 224))[-1]
    assert (head.params, head.macs) == (1024 * 1000 + 1000, 1024 * 1000)


def test_a_stack_is_suggested_where_it_saves():
    found = suggest(nn.Sequential(nn.Conv2d(32, 32, 7, padding=3)), (32, 20, 20))
    stack = next(s for s in found if s.rewrite == "3×3 stack")
    assert (stack.params, stack.new_params) == (49 * 32**2 + 32, 27 * 32**2 + 3 * 32)
    assert stack.new_macs / stack.macs == 27 / 49
    assert (stack.error, stack.note) == (None, "new weights: train it")


def test_suggestions_without_weights_take_no_memory_and_state_no_error():
    with torch.device("meta"):
        net = create_model("vgg16", num_classes=1000)
    found = suggest(net, (3, 224, 224))
    assert {s.rewrite for s in found} == {"1×N and N×1", "bottleneck", "fully convolutional"}
    assert all(s.error is None and s.note == "load weights to know the error" for s in found[:-1])
