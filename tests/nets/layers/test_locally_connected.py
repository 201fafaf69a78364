"""Locally connected layers against loops, and against the convolution that they are when all filters agree."""

import numpy as np
import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st

from striate.nets import DoesNotFit
from striate.nets.layers import LocallyConnected2d

sizes = st.integers(1, 3)


@settings(max_examples=25, deadline=None)
@given(st.integers(3, 7), st.integers(3, 7), sizes, sizes, sizes, sizes, st.integers(0, 2), st.integers(0, 2))
def test_against_loops(h: int, w: int, fh: int, fw: int, sh: int, sw: int, ph: int, pw: int) -> None:
    layer = LocallyConnected2d(2, 3, (fh, fw), input_size=(h, w), stride=(sh, sw), padding=(ph, pw)).double()
    x = torch.randn(2, 2, h, w, dtype=torch.float64)
    padded = np.pad(x.numpy(), ((0, 0), (0, 0), (ph, ph), (pw, pw)))
    rows, columns = (h + 2 * ph - fh) // sh + 1, (w + 2 * pw - fw) // sw + 1
    weight, bias = layer.weight.detach().numpy(), layer.bias.detach().numpy()
    y = np.empty((2, 3, rows, columns))
    for r in range(rows):
        for c in range(columns):
            patch = padded[:, :, r * sh : r * sh + fh, c * sw : c * sw + fw].reshape(2, -1)
            y[:, :, r, c] = patch @ weight[r * columns + c].T + bias[:, r, c]
    np.testing.assert_allclose(layer(x).detach().numpy(), y, rtol=1e-12, atol=1e-12)


@pytest.mark.parametrize("bias", [True, False])
def test_equal_filters_everywhere_are_a_convolution(bias: bool) -> None:
    layer = LocallyConnected2d(3, 5, (3, 2), input_size=(9, 8), stride=2, padding=1, bias=bias).double()
    filters = torch.randn(5, 3, 3, 2, dtype=torch.float64)
    b = torch.randn(5, dtype=torch.float64) if bias else None
    with torch.no_grad():
        layer.weight.copy_(filters.reshape(5, -1).expand_as(layer.weight))
        if b is not None:
            layer.bias.copy_(b.view(5, 1, 1).expand_as(layer.bias))
    x = torch.randn(4, 3, 9, 8, dtype=torch.float64)
    torch.testing.assert_close(layer(x), F.conv2d(x, filters, b, stride=2, padding=1))


def test_gradients() -> None:
    layer = LocallyConnected2d(1, 2, 2, input_size=(3, 3)).double()
    assert torch.autograd.gradcheck(layer, torch.randn(2, 1, 3, 3, dtype=torch.float64, requires_grad=True))


def test_sizes_that_do_not_fit() -> None:
    with pytest.raises(DoesNotFit, match=r"2 px do not fit kernel 3, stride 1"):
        LocallyConnected2d(1, 1, 3, input_size=(2, 5))
    with pytest.raises(DoesNotFit, match=r"locally connected layer for 3×6×6 images got 3×7×6"):
        LocallyConnected2d(3, 8, 3, input_size=(6, 6))(torch.zeros(1, 3, 7, 6))
