"""Transposed windows against torch, and the text of every refusal."""

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from striate.arithmetic import DoesNotFit, TransposedWindow, Window


@settings(deadline=None)
@given(
    n=st.integers(1, 20),
    kernel=st.integers(1, 6),
    stride=st.integers(1, 4),
    padding=st.integers(0, 4),
    dilation=st.integers(1, 3),
    extra=st.integers(0, 3),
)
def test_out_is_the_size_that_torch_gives(
    n: int, kernel: int, stride: int, padding: int, dilation: int, extra: int
) -> None:
    if extra >= max(stride, dilation):
        with pytest.raises(ValueError, match="output padding must be smaller than stride or dilation"):
            TransposedWindow(kernel, stride=stride, padding=padding, dilation=dilation, output_padding=extra)
        return
    window = TransposedWindow(kernel, stride=stride, padding=padding, dilation=dilation, output_padding=extra)
    x, w = torch.zeros(1, 1, n), torch.zeros(1, 1, kernel)
    try:
        expected = F.conv_transpose1d(x, w, None, stride, padding, extra, 1, dilation).shape[-1]
    except RuntimeError:
        with pytest.raises(DoesNotFit, match="px come out; use padding"):
            window.out(n)
    else:
        assert window.out(n) == expected


@given(n=st.integers(3, 40), kernel=st.integers(1, 5), stride=st.integers(1, 4), padding=st.integers(0, 2))
def test_it_undoes_the_size_of_its_window(n: int, kernel: int, stride: int, padding: int) -> None:
    window = Window(kernel, stride=stride, padding=padding)
    if n < window.smallest:
        return
    left = (n + 2 * padding - kernel) % stride
    back = TransposedWindow(kernel, stride=stride, padding=padding, output_padding=left)
    assert back.out(window.out(n)) == n


def test_refusals_say_what_to_do() -> None:
    with pytest.raises(
        DoesNotFit, match=r"^0 px do not fit transposed kernel 3, stride 1: an input has at least 1 px$"
    ):
        TransposedWindow(3).out(0)
    with pytest.raises(ValueError, match="must be at least 1 px"):
        TransposedWindow(0)
    with pytest.raises(ValueError, match="must not be negative"):
        TransposedWindow(1, padding=-1)
    text = str(TransposedWindow(3, stride=2, padding=(1, 0), dilation=2, output_padding=1))
    assert text == "transposed kernel 3, stride 2, padding (1, 0), dilation 2, output padding 1"
