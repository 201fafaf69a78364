"""'SAME', 'VALID' and Caffe's ceiling, each against its own definition written out."""

import math

from hypothesis import given
from hypothesis import strategies as st

from striate.arithmetic import Window

sizes, kernels, strides, dilations = st.integers(1, 60), st.integers(1, 7), st.integers(1, 5), st.integers(1, 3)


@given(n=sizes, kernel=kernels, stride=strides, dilation=dilations)
def test_same_is_the_smallest_padding_with_ceil_n_by_s_outputs(n: int, kernel: int, stride: int, dilation: int) -> None:
    window = Window.same(kernel, n, stride=stride, dilation=dilation)
    assert window.out(n) == math.ceil(n / stride)
    assert window.high - window.low in (0, 1)
    total = window.low + window.high
    if total:  # one less would not do
        assert (n + total - 1 - window.extent) // stride + 1 < math.ceil(n / stride)


@given(n=sizes, kernel=kernels, stride=strides)
def test_valid_is_what_lies_inside(n: int, kernel: int, stride: int) -> None:
    if n >= kernel:
        assert Window.valid(kernel, stride=stride).out(n) == math.ceil((n - kernel + 1) / stride)


@given(n=sizes, kernel=kernels, stride=strides, padding=st.integers(0, 3))
def test_caffe_rounds_as_its_pooling_layer_does(n: int, kernel: int, stride: int, padding: int) -> None:
    """pooling_layer.cpp: ceil, and clipped only `if (pad_h_ || pad_w_)`."""
    if padding >= kernel or n + 2 * padding < kernel:
        return
    pooled = math.ceil((n + 2 * padding - kernel) / stride) + 1
    if padding and (pooled - 1) * stride >= n + padding:
        pooled -= 1
    assert Window(kernel, stride=stride, padding=padding, ceil_mode="caffe").out(n) == pooled


def test_googlenets_pools_round_up() -> None:
    """Szegedy 2014, table 1: 112 → 56 → 28 → 14 → 7 with 3×3 pools of stride 2 and no padding."""
    pool = Window(3, stride=2, ceil_mode="caffe")
    assert [pool.out(n) for n in (112, 56, 28, 14)] == [56, 28, 14, 7]
