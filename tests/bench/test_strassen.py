"""Strassen's products are the product, with an error that grows with the levels as the book says it may."""

import numpy as np
import pytest
import torch

from striate.bench.strassen import OURS, SizeEntry, SizeRow, crossover, figure, measure, product, way
from striate.bench.timing import spread


@pytest.mark.parametrize("levels", [0, 1, 2, 3])
def test_seven_products_are_the_product(levels: int) -> None:
    generator = torch.Generator().manual_seed(levels)
    a, b = (torch.randn(48, 48, generator=generator, dtype=torch.float64) for _ in range(2))
    count = 0

    def multiply(x: torch.Tensor, y: torch.Tensor) -> torch.Tensor:
        nonlocal count
        count += 1
        return x @ y

    torch.testing.assert_close(product(a, b, levels, multiply), a @ b, rtol=1e-12, atol=1e-12)
    assert count == 7**levels


def test_integers_come_out_exactly() -> None:
    rng = np.random.default_rng(0)
    a, b = (torch.from_numpy(rng.integers(-9, 10, (32, 32)).astype(np.float32)) for _ in range(2))
    assert torch.equal(product(a, b, 2, torch.matmul), a @ b)


def test_errors_are_within_higham_s_bounds() -> None:
    """(23.12) with n₀ = n / 2ᵏ: ‖error‖ ≤ ((n / n₀)^log₂12 (n₀² + 5 n₀) − 5n) u ‖A‖ ‖B‖, norms of the largest entry."""
    (row,) = measure([128], 2, threads=1, rounds=3)
    rng = np.random.default_rng(1969)
    a, b = (rng.standard_normal((128, 128), dtype=np.float32) for _ in range(2))
    largest = np.abs(a.astype(float) @ b.astype(float)).max()
    for levels in (1, 2):
        n0 = 128 / 2**levels
        bound = (12.0**levels * (n0**2 + 5 * n0) - 5 * 128) * 2.0**-24 * np.abs(a).max() * np.abs(b).max()
        assert row.entries[way(levels)].error <= bound / largest
    assert row.entries[way(2)].error > row.entries[OURS].error
    assert list(row.entries) == [OURS, "numpy", "torch", "strassen 1", "strassen 2"]


def entry(seconds: float) -> SizeEntry:
    return SizeEntry(error=1e-6, seconds=spread([seconds]), samples=(seconds,))


def rows(*gains: float) -> list[SizeRow]:
    sizes = (256 * 2**i for i in range(len(gains)))
    return [
        SizeRow(size=size, levels=1, entries={OURS: entry(gain), way(1): entry(1.0)})
        for size, gain in zip(sizes, gains, strict=True)
    ]


def test_the_crossover_is_where_it_stays_ahead() -> None:
    assert crossover(rows(0.5, 1.1, 0.9, 1.2, 1.3), 1) == 2048
    assert crossover(rows(0.5, 1.1, 0.9), 1) is None
    assert crossover(rows(1.5), 1) == 256


def test_the_picture_counts_direct_operations() -> None:
    assert "striate: 0.0336 at 256" in figure(rows(1.0, 1.0), peak=1e9)
