"""Strassen's products are the product, with an error that grows with the levels as the book says it may."""

import numpy as np

from striate import _native
from striate.bench.strassen import OURS, SizeEntry, SizeRow, crossover, figure, measure, way
from striate.bench.timing import spread


def test_integers_come_out_exactly() -> None:
    rng = np.random.default_rng(0)
    a, b = (rng.integers(-9, 10, (48, 48)).astype(np.float32) for _ in range(2))
    for levels in (0, 1, 2, 3):
        assert (_native.matmul(a, b, levels=levels) == a @ b).all()


def test_errors_are_within_higham_s_bounds() -> None:
    """‖error‖ ≤ (18ᵏ (n₀² + 6 n₀) − 6n) u ‖A‖ ‖B‖ for Winograd's form, n₀ = n / 2ᵏ, norms of the largest entry."""
    (row,) = measure([128], 2, threads=1, rounds=3)
    rng = np.random.default_rng(1969)
    a, b = (rng.standard_normal((128, 128), dtype=np.float32) for _ in range(2))
    largest = np.abs(a.astype(float) @ b.astype(float)).max()
    for levels in (1, 2):
        n0 = 128 / 2**levels
        bound = (18.0**levels * (n0**2 + 6 * n0) - 6 * 128) * 2.0**-24 * np.abs(a).max() * np.abs(b).max()
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
