"""Every layer against the plain NumPy of `reference`, which computes it as Caffe's documentation says."""

from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from striate.nets.caffe.convert import convert
from striate.nets.caffe.pool import pool
from striate.nets.caffe.read import parse_net
from striate.nets.caffe.reference import forward

INPUT = 'input: "data" input_dim: 2 input_dim: {} input_dim: {} input_dim: {}\n'


def layer(kind: str, text: str = "", bottom: str = "data", top: str = "out") -> str:
    bottoms = " ".join(f'bottom: "{name}"' for name in bottom.split())
    tops = " ".join(f'top: "{name}"' for name in top.split())
    return f'layer {{ name: "{kind}_{top.split()[0]}" type: "{kind}" {bottoms} {tops} {text} }}\n'


def check(
    model_of: Callable[..., Any], text: str, sides: tuple[int, int, int] = (6, 9, 11), *, positive: bool = False
) -> None:
    """The converted net and the reference agree on the blob `out` to 1e-5 of its largest value."""
    text = INPUT.format(*sides) + text + layer("Flatten", "", "out", "end")  # since scores are rows
    prototxt, weights, blobs = model_of(text)
    net = convert(prototxt, weights, bgr=False).net
    x = np.random.default_rng(3).normal(size=(2, *sides)).astype(np.float32)
    x = np.abs(x) if positive else x
    wanted = forward(parse_net(text, "net"), blobs, "data", x, "end")
    with torch.inference_mode():
        found = net(torch.from_numpy(x)).numpy()
    assert found.shape == wanted.shape
    assert np.abs(found - wanted).max() <= 1e-5 * np.abs(wanted).max()


CONVOLUTIONS = [
    "num_output: 4 kernel_size: 3",
    "num_output: 4 kernel_size: 3 pad: 1 stride: 2 bias_term: false",
    "num_output: 6 kernel_size: 3 group: 3 pad: 2",
    "num_output: 4 kernel_size: 3 dilation: 2 pad: 2",
    "num_output: 4 kernel_h: 5 kernel_w: 2 stride_h: 2 stride_w: 3 pad_h: 0 pad_w: 1",
    "num_output: 4 kernel_size: 3 kernel_size: 2 stride: 1 stride: 2 pad: 2 pad: 0 dilation: 1 dilation: 3",
]


@pytest.mark.parametrize("kind", ["Convolution", "Deconvolution"])
@pytest.mark.parametrize("text", CONVOLUTIONS)
def test_convolutions(model_of, kind, text):
    check(model_of, layer(kind, f"convolution_param {{ {text} }}"))


@pytest.mark.parametrize("method", ["MAX", "AVE"])
@pytest.mark.parametrize(
    "text",
    [
        "kernel_size: 3 stride: 2",  # 9 → 4, 11 → 5, as everywhere
        "kernel_size: 2 stride: 2",  # 9 → 5, 11 → 6: rounded up
        "kernel_size: 3 stride: 2 pad: 1",
        "kernel_size: 2 stride: 2 pad: 1",  # 9 → 5: the sixth window would begin in the far padding
        "kernel_size: 3 stride: 1 pad: 2",  # more than half the kernel
        "kernel_size: 4 stride: 3 pad: 3",
        "kernel_h: 3 kernel_w: 2 stride_h: 1 stride_w: 2 pad_h: 1 pad_w: 0",
        "kernel_size: 3 stride: 2 round_mode: FLOOR pad: 1",
        "global_pooling: true",
    ],
)
def test_pools(model_of, method, text):
    check(model_of, layer("Pooling", f"pooling_param {{ pool: {method} {text} }}"))


@pytest.mark.parametrize(
    ("kind", "text"),
    [
        ("InnerProduct", "inner_product_param { num_output: 5 }"),
        ("InnerProduct", "inner_product_param { num_output: 5 transpose: true bias_term: false }"),
        ("InnerProduct", "inner_product_param { num_output: 5 axis: 2 }"),
        ("InnerProduct", "inner_product_param { num_output: 5 axis: -1 transpose: true }"),
        ("ReLU", ""),
        ("ReLU", "relu_param { negative_slope: 0.1 }"),
        ("PReLU", ""),
        ("PReLU", "prelu_param { channel_shared: true }"),
        ("ELU", "elu_param { alpha: 0.7 }"),
        ("Sigmoid", ""),
        ("TanH", ""),
        ("AbsVal", ""),
        ("BNLL", ""),
        ("Power", "power_param { power: 2 scale: -0.5 shift: 1 }"),
        ("Exp", "exp_param { base: 2 scale: 0.5 shift: 1 }"),
        ("Exp", ""),
        ("LRN", "lrn_param { local_size: 3 alpha: 2 beta: 0.75 k: 2 }"),
        ("LRN", "lrn_param { local_size: 5 alpha: 1 norm_region: WITHIN_CHANNEL }"),
        ("BatchNorm", ""),
        ("BatchNorm", "batch_norm_param { eps: 0.1 use_global_stats: true }"),
        ("Scale", ""),
        ("Scale", "scale_param { bias_term: true }"),
        ("Scale", "scale_param { axis: 2 num_axes: -1 bias_term: true }"),
        ("Scale", "scale_param { axis: -1 }"),
        ("Scale", "scale_param { num_axes: 0 }"),
        ("Bias", "bias_param { axis: 2 num_axes: 2 }"),
        ("Dropout", ""),
        ("Softmax", "softmax_param { axis: 3 }"),
        ("Flatten", ""),
        ("Flatten", "flatten_param { axis: 2 end_axis: -1 }"),
        ("Reshape", "reshape_param { shape { dim: 0 dim: 3 dim: -1 dim: 11 } }"),
        ("Reshape", "reshape_param { shape { dim: 99 } axis: 2 num_axes: 2 }"),
        ("Reshape", "reshape_param { shape { dim: 1 } axis: -1 num_axes: 0 }"),
    ],
)
def test_layers_of_one_blob(model_of, kind, text):
    check(model_of, layer(kind, text))


def test_logarithms(model_of):
    check(model_of, layer("Log", "log_param { base: 10 scale: 2 shift: 3 }"), positive=True)
    check(model_of, layer("Log", "log_param { shift: 0.5 }"), positive=True)


@pytest.mark.parametrize(
    "text",
    [
        layer("Softmax", "", "a", "p") + layer("Eltwise", "", "p b"),
        layer("Eltwise", "", "a b"),
        layer("Eltwise", "eltwise_param { coeff: 1 coeff: -0.5 }", "a b"),
        layer("Eltwise", "eltwise_param { operation: PROD }", "a b data"),
        layer("Eltwise", "eltwise_param { operation: MAX }", "a b"),
        layer("Concat", "", "a b data"),
        layer("Concat", "concat_param { axis: 3 }", "a b"),
        layer("Concat", "concat_param { concat_dim: 2 }", "a b"),
        layer("Slice", "slice_param { slice_point: 2 slice_point: 4 }", "a", "p q r") + layer("Eltwise", "", "p q"),
        layer("Slice", "slice_param { axis: 1 }", "a", "p q") + layer("Concat", "", "q p"),
        layer("Split", "", "a", "p q") + layer("Eltwise", "", "p q"),
        layer("Pooling", "pooling_param { kernel_size: 3 stride: 2 }", "b", "p")
        + layer("Crop", "crop_param { axis: 2 offset: 2 offset: 4 }", "a p"),
        layer("Pooling", "pooling_param { global_pooling: true pool: AVE }", "b", "p")
        + layer("Flatten", "", "p", "f")
        + layer("Scale", "scale_param { axis: 0 }", "a f"),
        layer("Pooling", "pooling_param { global_pooling: true pool: AVE }", "b", "p")
        + layer("Flatten", "", "p", "f")
        + layer("Bias", "bias_param { axis: 0 }", "a f"),
    ],
)
def test_layers_of_several_blobs(model_of, text):
    two = layer("TanH", "", "data", "a") + layer("Sigmoid", "", "data", "b")
    check(model_of, two + text)


def test_a_blob_overwritten_in_place_is_still_there_for_who_read_it_before(model_of):
    text = (
        layer("TanH", "", "data", "a")
        + layer("Power", "power_param { shift: 3 }", "a", "before")
        + layer("ReLU", "", "a", "a")
        + layer("Eltwise", "", "a before")
    )
    check(model_of, text)


@given(
    n=st.integers(1, 12), kernel=st.integers(1, 6), stride=st.integers(1, 4), pad=st.integers(0, 5),
    method=st.sampled_from(["MAX", "AVE"]), ceil=st.booleans(),
)  # fmt: skip
@settings(max_examples=200, deadline=None)
def test_any_pool_is_caffes(n, kernel, stride, pad, method, ceil):
    assume(pad < kernel <= n + 2 * pad and (n + 2 * pad - kernel) // stride >= 0)
    outside = ceil and pad == 0 and -(-(n - kernel) // stride) * stride >= n
    if outside:
        with pytest.raises(ValueError, match="lies outside"):
            pool(method, (kernel, 1), (stride, 1), (pad, 0), (n, 3), ceil_mode=ceil)
        return
    module = pool(method, (kernel, 1), (stride, 1), (pad, 0), (n, 3), ceil_mode=ceil)
    mode = "CEIL" if ceil else "FLOOR"
    text = (
        f"pool: {method} kernel_h: {kernel} kernel_w: 1 stride_h: {stride} stride_w: 1 pad_h: {pad} pad_w: 0 "
        f"round_mode: {mode}"
    )
    message = parse_net(layer("Pooling", f"pooling_param {{ {text} }}"), "net")
    x = np.random.default_rng(n).normal(size=(1, 2, n, 3))
    wanted = forward(message, {}, "data", x, "out")
    np.testing.assert_allclose(module(torch.from_numpy(x)).numpy(), wanted, rtol=1e-12, atol=1e-12)
