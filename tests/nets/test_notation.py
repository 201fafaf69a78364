"""One convolution in four notations: every one against the same plain loop."""

import math
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st
from numpy.typing import NDArray
from torch import nn

from striate.arithmetic import DoesNotFit
from striate.errors import StriateError
from striate.nets.notation import Convolution, from_caffe, from_matconvnet, from_pytorch, from_tensorflow

Array = NDArray[np.float64]


def loop(x: Array, weight: Array, bias: Array, stride: Any, sides: Any, dilation: Any, groups: int) -> Array:
    """Σ over channels and taps, output by output; x [N, C, H, W], weight [O, C/G, H, W], sides (top, bottom, …)."""
    top, bottom, left, right = sides
    x = np.pad(x, ((0, 0), (0, 0), (top, bottom), (left, right)))
    outputs, depth, kh, kw = weight.shape
    rows = (x.shape[2] - dilation[0] * (kh - 1) - 1) // stride[0] + 1
    columns = (x.shape[3] - dilation[1] * (kw - 1) - 1) // stride[1] + 1
    y = np.zeros((len(x), outputs, rows, columns))
    for o in range(outputs):
        first = o // (outputs // groups) * depth
        for i in range(rows):
            for j in range(columns):
                seen = x[
                    :,
                    first : first + depth,
                    i * stride[0] : i * stride[0] + dilation[0] * (kh - 1) + 1 : dilation[0],
                    j * stride[1] : j * stride[1] + dilation[1] * (kw - 1) + 1 : dilation[1],
                ]
                y[:, o, i, j] = (seen * weight[o]).sum((1, 2, 3)) + bias[o]
    return y


def numbers(*shape: int) -> Array:
    return np.random.default_rng(shape).normal(size=shape)


def t(array: Array) -> torch.Tensor:
    return torch.from_numpy(np.ascontiguousarray(array))


pairs = st.tuples(st.integers(1, 3), st.integers(1, 3))


@given(kernel=pairs, stride=pairs, dilation=pairs, pad=st.tuples(st.integers(0, 2), st.integers(0, 2)),
       groups=st.sampled_from([1, 2]), size=st.tuples(st.integers(5, 9), st.integers(5, 9)))  # fmt: skip
@settings(max_examples=60, deadline=None)
def test_four_notations_one_answer(kernel, stride, dilation, pad, groups, size):
    extents = [d * (k - 1) + 1 for d, k in zip(dilation, kernel, strict=True)]
    assume(all(e <= n + 2 * p for e, n, p in zip(extents, size, pad, strict=True)))
    weight, bias, x = numbers(4, 4 // groups, *kernel), numbers(4), numbers(2, 4, *size)
    sides = (pad[0], pad[0], pad[1], pad[1])
    wanted = loop(x, weight, bias, stride, sides, dilation, groups)

    theirs = nn.Conv2d(4, 4, kernel, stride, pad, dilation, groups, dtype=torch.float64)
    theirs.weight.data, theirs.bias.data = t(weight), t(bias)  # type: ignore[union-attr]  # it was asked for
    both = [f"{name}: {value}" for name, given in (("kernel_size", kernel), ("stride", stride), ("pad", pad),
            ("dilation", dilation)) for value in given]  # fmt: skip
    text = f'layer {{ type: "Convolution" convolution_param {{ num_output: 4 group: {groups} {" ".join(both)} }} }}'
    caffe = from_caffe(text, weight=t(weight), bias=t(bias)).double()
    caffe.weight.data, caffe.bias.data = t(weight), t(bias)  # in double, where float32 has rounded
    filters = weight.transpose(2, 3, 1, 0)  # H × W × C/G × O
    matconvnet = from_matconvnet(t(filters), t(bias), channels=4, pad=sides, stride=stride, dilate=dilation)
    for layer in (from_pytorch(theirs), caffe, matconvnet):
        np.testing.assert_allclose(layer(t(x)).detach().numpy(), wanted, rtol=1e-12, atol=1e-12)
    if pad == (0, 0):
        for layout, axes, back in (("NCHW", (0, 1, 2, 3), (0, 1, 2, 3)), ("NHWC", (0, 2, 3, 1), (0, 3, 1, 2))):
            steps = [1, 1, 1, 1]
            steps[layout.index("H")], steps[layout.index("W")] = stride
            tensorflow = from_tensorflow(
                t(filters), t(bias), channels=4, strides=steps, dilations=dilation, data_format=layout
            )
            found = tensorflow(t(x.transpose(axes))).detach().numpy().transpose(back)
            np.testing.assert_allclose(found, wanted, rtol=1e-12, atol=1e-12)


@given(kernel=pairs, stride=pairs, dilation=pairs, size=st.tuples(st.integers(1, 9), st.integers(1, 9)))
@settings(max_examples=60, deadline=None)
def test_same_is_tensorflows(kernel, stride, dilation, size):
    """Their rule: ⌈n / s⌉ outputs, max(0, (out − 1)·s + extent − n) px of padding, the odd one after."""
    sides = []
    for n, k, s, d in zip(size, kernel, stride, dilation, strict=True):
        whole = max(0, (math.ceil(n / s) - 1) * s + d * (k - 1) + 1 - n)
        sides += [whole // 2, whole - whole // 2]
    weight, bias, x = numbers(2, 3, *kernel), numbers(2), numbers(1, 3, *size)
    wanted = loop(x, weight, bias, stride, sides, dilation, 1)
    assert wanted.shape[2:] == tuple(math.ceil(n / s) for n, s in zip(size, stride, strict=True))
    layer = from_tensorflow(
        t(weight.transpose(2, 3, 1, 0)), t(bias), strides=stride, dilations=dilation, padding="SAME", data_format="NCHW"
    )
    np.testing.assert_allclose(layer(t(x)).detach().numpy(), wanted, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("pad", [(0, 1, 2, 0), (3, 0, 0, 1)])
def test_matconvnet_pads_each_side_by_itself(pad):
    weight, bias, x = numbers(4, 1, 3, 2), numbers(4), numbers(1, 2, 6, 7)
    layer = from_matconvnet(t(weight.transpose(2, 3, 1, 0)), t(bias), channels=2, pad=pad, stride=[2, 1])
    wanted = loop(x, weight, bias, (2, 1), pad, (1, 1), 2)
    np.testing.assert_allclose(layer(t(x)).detach().numpy(), wanted, rtol=1e-12, atol=1e-12)


def test_torchs_same_and_an_old_prototxt():
    theirs = nn.Conv2d(3, 4, 4, padding="same", dilation=2)
    x = torch.randn(1, 3, 9, 9)
    torch.testing.assert_close(from_pytorch(theirs)(x), theirs(x))
    layer = from_caffe("layers { type: CONVOLUTION convolution_param { num_output: 5 kernel_size: 3 } }", channels=2)
    assert layer(torch.zeros(1, 2, 8, 8)).shape == (1, 5, 6, 6)
    assert "stride=(1, 1), padding=(0, 0, 0, 0)" in repr(layer)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: from_caffe('layer { type: "ReLU" }'), "expected one Convolution layer and got ReLU"),
        (lambda: from_caffe('layer { type: "Convolution" }'), r"does not say how many channels .*; give channels="),
        (lambda: from_caffe('layer { name: "c" type: "Convolution" }', channels=3), "layer 'c': num_output is 0"),
        (lambda: from_matconvnet(torch.zeros(3, 3, 2, 4), channels=3), "2 deep do not go into 3 channels"),
        (lambda: from_matconvnet(torch.zeros(3, 3, 2, 4), channels=2, pad=[1, 1]), r"pad is \[1, 1\]; give one number"),
        (lambda: from_tensorflow(torch.zeros(3, 3, 2, 4), strides=[2, 1, 1, 1]), "steps over images or channels"),
        (lambda: from_tensorflow(torch.zeros(3, 3, 2, 4), padding="same"), "padding is 'SAME' or 'VALID'"),
        (lambda: from_pytorch(nn.Conv2d(1, 1, 3, padding_mode="reflect")), "only zeros are padded here"),
        (lambda: Convolution(torch.zeros(3, 1, 1, 1), groups=2), "3 filters cannot be shared out among 2 groups"),
        (lambda: Convolution(torch.zeros(3, 1, 1, 1), stride=(0, 1)), "at least 1"),
        (lambda: Convolution(torch.zeros(3, 1, 1, 1), torch.zeros(2)), "with a bias of 2 are no convolution"),
    ],
)
def test_what_is_no_convolution(make, message):
    with pytest.raises(StriateError, match=message):
        make()


def test_images_that_do_not_fit():
    layer = from_tensorflow(torch.zeros(3, 3, 2, 4))
    with pytest.raises(DoesNotFit, match=r"take 2 channels and would get 7 \(NHWC\)"):
        layer(torch.zeros(1, 8, 8, 7))
    with pytest.raises(DoesNotFit, match="2 px do not fit kernel 3"):
        layer(torch.zeros(1, 2, 9, 2))
