"""The reference convolution against torch in float64: every setting, forward and both derivatives."""

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st
from torch.nn import functional

from striate import _native


@st.composite
def convolutions(draw):
    """x, weight, bias or None, and the settings, of anything that fits; a batch may be empty."""
    groups = draw(st.integers(1, 3))
    kernel = draw(st.integers(1, 4)), draw(st.integers(1, 4))
    stride = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    dilation = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    padding = tuple(draw(st.integers(0, 3)) for _ in range(4))
    size = tuple(
        draw(st.integers(max(1, d * (k - 1) + 1 - low - high), d * (k - 1) + 9))
        for k, d, low, high in zip(kernel, dilation, padding[::2], padding[1::2], strict=True)
    )
    rng = np.random.default_rng(draw(st.integers(0, 2**32)))
    group_in, group_out = draw(st.integers(1, 3)), draw(st.integers(1, 3))
    x = rng.normal(size=(draw(st.integers(0, 2)), groups * group_in, *size))
    weight = rng.normal(size=(groups * group_out, group_in, *kernel))
    bias = rng.normal(size=groups * group_out) if draw(st.booleans()) else None
    return x, weight, bias, {"stride": stride, "padding": padding, "dilation": dilation, "groups": groups}


def with_torch(x, weight, bias, chosen):
    """The output, and a function from its gradient to those of x and weight."""
    top, bottom, left, right = chosen["padding"]
    x, weight = torch.from_numpy(x).requires_grad_(), torch.from_numpy(weight).requires_grad_()
    padded = functional.pad(x, (left, right, top, bottom))
    bias = None if bias is None else torch.from_numpy(bias)
    y = functional.conv2d(
        padded, weight, bias, stride=chosen["stride"], dilation=chosen["dilation"], groups=chosen["groups"]
    )
    return y.detach().numpy(), lambda grad: torch.autograd.grad(y, (x, weight), torch.from_numpy(grad))


def close(given, wanted, rtol):
    assert given.shape == tuple(wanted.shape)
    scale = np.abs(wanted).max(initial=1.0)
    np.testing.assert_allclose(given, wanted, rtol=rtol, atol=rtol * scale)


@pytest.mark.parametrize(("dtype", "rtol"), [(np.float64, 1e-13), (np.float32, 1e-6)])
@settings(deadline=None, max_examples=150)
@given(convolution=convolutions(), seed=st.integers(0, 2**32))
def test_the_sums_and_their_derivatives_are_torchs(dtype, rtol, convolution, seed):
    x, weight, bias, chosen = convolution
    x, weight, bias = (None if a is None else a.astype(dtype) for a in (x, weight, bias))
    wide = [None if a is None else a.astype(np.float64) for a in (x, weight, bias)]
    wanted, backward = with_torch(*wide, chosen)
    given = _native.reference_conv2d(x, weight, bias, **chosen)
    assert given.dtype == dtype
    close(given, wanted, rtol)

    grad = np.random.default_rng(seed).normal(size=wanted.shape).astype(dtype)
    dx, dw = backward(grad.astype(np.float64))
    close(_native.reference_conv2d_backward_data(grad, weight, x.shape[2:], **chosen), dx.numpy(), rtol)
    close(_native.reference_conv2d_backward_weights(x, grad, weight.shape[2:], **chosen), dw.numpy(), rtol)


def test_float32_sums_are_taken_in_double():
    """10⁸ + 1 − 10⁸ is 1 in double and 0 in single precision."""
    x = np.array([1e8, 1.0, -1e8], np.float32).reshape(1, 3, 1, 1)
    weight = np.ones((1, 3, 1, 1), np.float32)
    plain = {"stride": (1, 1), "padding": (0, 0, 0, 0), "dilation": (1, 1), "groups": 1}
    assert _native.reference_conv2d(x, weight, None, **plain).item() == 1.0


def arguments(**changed):
    given = {
        "x": np.zeros((2, 4, 5, 6), np.float32),
        "weight": np.zeros((6, 2, 3, 3), np.float32),
        "bias": None,
        "stride": (1, 1),
        "padding": (1, 1, 1, 1),
        "dilation": (1, 1),
        "groups": 2,
    } | changed
    return [given.pop(name) for name in ("x", "weight", "bias")], given


def test_the_call_that_the_others_change_works():
    positional, named = arguments()
    assert _native.reference_conv2d(*positional, **named).shape == (2, 6, 5, 6)


@pytest.mark.parametrize(
    ("changed", "error", "message"),
    [
        ({"x": [1.0]}, TypeError, "x must be an array float32.N, C, H, W.*, not list"),
        ({"weight": np.zeros((6, 2, 3, 3))}, TypeError, r"weight must be float32.*not float64\[6, 2, 3, 3\]"),
        ({"weight": np.zeros((6, 4, 3, 3), np.float32)}, ValueError, "2 groups of filters on 4 maps each, 6 in all, "),
        ({"weight": np.zeros((5, 2, 3, 3), np.float32)}, ValueError, "do not fit images of 4 maps"),
        ({"weight": np.zeros((6, 2, 0, 3), np.float32)}, ValueError, "a filter has at least one tap along each axis"),
        ({"dilation": (1, 5)}, ValueError, r"width 6 \+ padding 2 is less than the 11 px that a filter spans"),
        ({"stride": (0, 1)}, ValueError, r"stride\[0\] must be from 1 to"),
        ({"stride": 2}, TypeError, r"stride must be \(down, across\), not 2"),
        ({"padding": (1, 1)}, TypeError, r"padding must be \(top, bottom, left, right\), not \(1, 1\)"),
        ({"padding": (1, 1, -1, 1)}, ValueError, r"padding\[2\] must be from 0 to"),
        ({"bias": np.zeros(5, np.float32)}, ValueError, "bias has 5 numbers for 6 filters"),
        ({"x": np.zeros((2, 5, 6, 4), np.float32).transpose(0, 3, 1, 2)}, ValueError, "x must be contiguous"),
    ],
)
def test_what_does_not_fit_is_one_clear_line(changed, error, message):
    positional, named = arguments(**changed)
    with pytest.raises(error, match=f"^reference_conv2d: .*{message}"):
        _native.reference_conv2d(*positional, **named)


def test_a_gradient_of_another_size_is_said():
    _, named = arguments()
    grad = np.zeros((2, 6, 4, 6), np.float32)
    message = r"^reference_conv2d_backward_data: grad is float32\[2, 6, 4, 6\]; the convolution gives \(2, 6, 5, 6\)"
    with pytest.raises(ValueError, match=message):
        _native.reference_conv2d_backward_data(grad, np.zeros((6, 2, 3, 3), np.float32), (5, 6), **named)
