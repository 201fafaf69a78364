"""Local response norm against the papers' sums, written as loops, and against torch's own."""

import numpy as np
import pytest
import torch
from torch import nn

from striate.errors import StriateError
from striate.nets.layers import LocalResponseNorm, krizhevsky_norm


def across(a: np.ndarray, n: int, k: float, alpha: float, beta: float) -> np.ndarray:
    """Krizhevsky 2012, §3.3, as it is written: i over maps, N maps in all, α multiplying the sum."""
    maps = a.shape[1]
    b = np.empty_like(a)
    for i in range(maps):
        total = np.zeros_like(a[:, 0])
        for j in range(max(0, i - n // 2), min(maps - 1, i + n // 2) + 1):
            total += a[:, j] ** 2
        b[:, i] = a[:, i] / (k + alpha * total) ** beta
    return b


def within(a: np.ndarray, n: int, k: float, alpha: float, beta: float) -> np.ndarray:
    """cuda-convnet's map-wise normalisation: the same sum over n×n px of one map."""
    b = np.empty_like(a)
    height, width = a.shape[2:]
    for y in range(height):
        for x in range(width):
            window = a[:, :, max(0, y - n // 2) : y + n // 2 + 1, max(0, x - n // 2) : x + n // 2 + 1]
            b[:, :, y, x] = a[:, :, y, x] / (k + alpha * (window**2).sum((2, 3))) ** beta
    return b


@pytest.mark.parametrize("maps", [1, 2, 4, 5, 9, 96])
def test_krizhevskys_is_the_papers(maps: int) -> None:
    a = np.random.default_rng(maps).normal(scale=100, size=(2, maps, 3, 4))  # large, so that the sum matters
    given = krizhevsky_norm()(torch.from_numpy(a)).numpy()
    np.testing.assert_allclose(given, across(a, 5, 2.0, 1e-4, 0.75), rtol=1e-12)  # both in double


@pytest.mark.parametrize("size", [1, 3, 5, 7])
@pytest.mark.parametrize(("region", "share"), [("across", 1), ("within", 2)])
def test_what_alpha_is_of(size: int, region: str, share: int) -> None:
    """Caffe and torch divide α by the size of the window, n maps or n² px; the paper does not."""
    a = np.random.default_rng(0).normal(scale=10, size=(2, 6, 7, 5))
    reference = across if region == "across" else within
    for alpha_of, divisor in (("sum", 1), ("mean", size**share)):
        layer = LocalResponseNorm(size, alpha=0.3, beta=0.6, k=1.5, region=region, alpha_of=alpha_of)
        expected = reference(a, size, 1.5, 0.3 / divisor, 0.6)
        np.testing.assert_allclose(layer(torch.from_numpy(a)).numpy(), expected, rtol=1e-12)


def test_mean_across_is_torchs() -> None:
    x = torch.randn(2, 8, 4, 4) * 10
    ours, torchs = LocalResponseNorm(4, alpha=0.1), nn.LocalResponseNorm(4, alpha=0.1)
    assert torch.equal(ours(x), torchs(x))


def test_what_cannot_be() -> None:
    with pytest.raises(StriateError, match=r"within maps: size is an odd number of px, at least 1, got 4"):
        LocalResponseNorm(4, region="within")
    with pytest.raises(StriateError, match=r"across maps: size is a number of maps, at least 1, got 0"):
        LocalResponseNorm(0)
    with pytest.raises(StriateError, match="unknown region 'accross'; did you mean 'across'"):
        LocalResponseNorm(5, region="accross")
    with pytest.raises(StriateError, match="unknown alpha_of 'max'"):
        LocalResponseNorm(5, alpha_of="max")
