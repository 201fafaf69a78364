"""The rules that answer for torch on the meta device give what torch itself gives."""

import subprocess
import sys

import pytest
import torch
import torch.nn.functional as F
from hypothesis import given, settings
from hypothesis import strategies as st
from torch import Tensor

from striate.nets.shapes import Shapes, like


def told(x: Tensor) -> tuple[object, ...]:
    return x.shape, x.dtype, x.stride()


X = torch.rand(2, 6, 9, 8)
LAST = X.contiguous(memory_format=torch.channels_last)
W = torch.rand(4, 6, 3, 3)
CASES = {
    "relu": lambda x: F.relu(x),
    "gelu": lambda x: F.gelu(x),
    "tanh": lambda x: x.tanh(),
    "add": lambda x: x + x,
    "add a number": lambda x: x + 1,
    "broadcast": lambda x: x * x.mean((2, 3), keepdim=True),
    "in place": lambda x: x.clone().mul_(x[:1]),
    "types": lambda x: x + x.double(),
    "whole numbers": lambda x: (x > 0) + 1.5,
    "power": lambda x: x**2,
    "mean": lambda x: x.mean((2, -1)),
    "mean of all": lambda x: x.mean(),
    "convolution": lambda x: F.conv2d(x, W.to(x.device), stride=(2, 1), padding=(0, 2), dilation=(1, 2)),
    "grouped": lambda x: F.conv2d(x, W.to(x.device)[:, :3], groups=2),
    "transposed": lambda x: F.conv_transpose2d(x, W.to(x.device).transpose(0, 1), stride=2, output_padding=1),
    "max-pool": lambda x: F.max_pool2d(x, 3, 2, 1, ceil_mode=True),
    "where the maximum was": lambda x: F.max_pool2d(x, 2, return_indices=True)[1],
    "average-pool": lambda x: F.avg_pool2d(x, (2, 3)),
    "adaptive": lambda x: F.adaptive_avg_pool2d(x, (3, 5)),
    "volume": lambda x: F.avg_pool3d(x[:, None], (3, 1, 1), stride=1, padding=(1, 0, 0)),
    "batch norm": lambda x: F.batch_norm(x, torch.zeros(6, device=x.device), torch.ones(6, device=x.device)),
    "empty_like": lambda x: torch.empty_like(x),
    "linear": lambda x: F.linear(x[:, :, 0, 0], W.to(x.device)[:, :, 0, 0], W.to(x.device)[:, 0, 0, 0]),
}


@pytest.mark.parametrize("case", CASES)
@pytest.mark.parametrize("x", [X, LAST], ids=["NCHW", "channels last"])
def test_shape_type_and_order_are_torchs(case: str, x: Tensor) -> None:
    with Shapes():
        found = CASES[case](x.to("meta"))
    assert told(found)[:2] == told(CASES[case](x))[:2]
    if "transposed" not in case:
        assert found.is_contiguous() == CASES[case](x).is_contiguous()


@settings(deadline=None)
@given(
    n=st.integers(1, 12),
    kernel=st.integers(1, 5),
    stride=st.integers(1, 3),
    padding=st.integers(0, 3),
    dilation=st.integers(1, 3),
)
def test_convolutions_fit_or_are_refused_as_torch_does(
    n: int, kernel: int, stride: int, padding: int, dilation: int
) -> None:
    x, w = torch.zeros(1, 2, n), torch.zeros(3, 2, kernel)
    try:
        expected = F.conv1d(x, w, None, stride, padding, dilation).shape
    except RuntimeError:
        expected = None
    with Shapes():
        try:
            found = F.conv1d(x.to("meta"), w.to("meta"), None, stride, padding, dilation).shape
        except RuntimeError:
            found = None
    assert found == expected


def test_like_is_dense() -> None:
    assert like(X[..., ::2]).is_contiguous()
    assert like(LAST).is_contiguous(memory_format=torch.channels_last)
    assert like(X, torch.int64).dtype == torch.int64


@pytest.mark.slow
@pytest.mark.parametrize("name", ["resnet152", "vgg16", "alexnet2012"])
def test_a_walk_does_not_load_torchs_compiler(name: str) -> None:
    """It is why the rules are there: loading it takes longer than `import torch`."""
    code = (
        "import sys, striate\nfrom striate.nets.weightless import weightless\n"
        f"with weightless(): net = striate.create_model({name!r})\n"
        "striate.cost(net, (3, *net.spec.input_size))\n"
        "print('sympy' in sys.modules, 'torch._dynamo' in sys.modules)"
    )
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout.split() == ["False", "False"]
