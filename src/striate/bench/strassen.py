"""Strassen's seven products over our matrix product, against it and against BLAS: crossover and error.

    m₁ = (a₁₁ + a₂₂)(b₁₁ + b₂₂)    m₅ = (a₁₁ + a₁₂) b₂₂
    m₂ = (a₂₁ + a₂₂) b₁₁           m₆ = (a₂₁ − a₁₁)(b₁₁ + b₁₂)
    m₃ = a₁₁ (b₁₂ − b₂₂)           m₇ = (a₁₂ − a₂₂)(b₂₁ + b₂₂)
    m₄ = a₂₂ (b₂₁ − b₁₁)
    c₁₁ = m₁ + m₄ − m₅ + m₇,  c₁₂ = m₃ + m₅,  c₂₁ = m₂ + m₄,  c₂₂ = m₁ − m₂ + m₃ + m₆        (Strassen 1969)

Each level saves an eighth of the multiplications, adds eighteen sums of quarters, and multiplies the bound on the error
by up to 12 in place of 8 (Higham 2002, §23.2.2), which is why nobody goes on to single numbers. The sums are torch's,
on as many threads as the products.
"""

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import numpy as np
import torch
from numpy.typing import NDArray
from threadpoolctl import threadpool_limits  # type: ignore[import-untyped]  # it states no types
from torch import Tensor

from striate import _native
from striate.bench.charts import Line, line_chart
from striate.bench.problem import relative_error
from striate.bench.timing import Spread, interleave, ratio, spread

__all__ = ["OURS", "SizeEntry", "SizeRow", "crossover", "figure", "measure", "product", "way"]

OURS = "striate"


@dataclass(frozen=True, kw_only=True)
class SizeEntry:
    """One way to multiply. error: max |c − c₆₄| / max |c₆₄|."""

    error: float
    seconds: Spread
    samples: tuple[float, ...]


@dataclass(frozen=True, kw_only=True)
class SizeRow:
    """Square matrices of one size by every way; Strassen's with 1 to `levels` levels."""

    size: int
    levels: int
    entries: dict[str, SizeEntry]


def way(levels: int) -> str:
    """What a number of levels is called in the table.

    >>> way(2)
    'strassen 2'
    """
    return f"strassen {levels}"


def product(a: Tensor, b: Tensor, levels: int, multiply: Callable[[Tensor, Tensor], Tensor]) -> Tensor:
    """a b of square matrices whose side can be halved `levels` times.

    >>> a, b = torch.arange(16.0).view(4, 4), torch.eye(4) * 2
    >>> torch.equal(product(a, b, 2, torch.matmul), 2 * a)
    True
    """
    if levels == 0:
        return multiply(a, b)
    half = a.shape[0] // 2
    (a11, a12), (a21, a22) = ((rows[:, :half], rows[:, half:]) for rows in (a[:half], a[half:]))
    (b11, b12), (b21, b22) = ((rows[:, :half], rows[:, half:]) for rows in (b[:half], b[half:]))
    pairs = (
        (a11 + a22, b11 + b22),
        (a21 + a22, b11),
        (a11, b12 - b22),
        (a22, b21 - b11),
        (a11 + a12, b22),
        (a21 - a11, b11 + b12),
        (a12 - a22, b21 + b22),
    )
    m1, m2, m3, m4, m5, m6, m7 = (product(left, right, levels - 1, multiply) for left, right in pairs)
    c = torch.empty_like(a)
    torch.add(m3, m5, out=c[:half, half:])
    torch.add(m2, m4, out=c[half:, :half])
    torch.add(m1, m4, out=c[:half, :half]).sub_(m5).add_(m7)
    torch.sub(m1, m2, out=c[half:, half:]).add_(m3).add_(m6)
    return c


def measure(sizes: Sequence[int], levels: int, *, threads: int, rounds: int) -> Iterator[SizeRow]:
    """The rows, size after size, of matrices of standard normal numbers."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        with threadpool_limits(threads, user_api="blas"):
            for size in sizes:
                yield _row(size, levels, threads, rounds)
    finally:
        torch.set_num_threads(before)


def crossover(rows: Sequence[SizeRow], levels: int) -> int | None:
    """The size from which on so many levels are faster than our plain product, always; None when they end slower."""
    at = None
    for row in sorted(rows, key=lambda row: row.size):
        gain = ratio(row.entries[OURS].samples, row.entries[way(levels)].samples).median
        at = None if gain <= 1 else row.size if at is None else at
    return at


def figure(rows: Sequence[SizeRow], peak: float) -> str:
    """Effective GFLOP/s (2 n³ over the time) against the size; the dashed line is the multiply-add peak."""
    lines = [
        Line(
            name=name,
            points=[(row.size, 2 * row.size**3 / row.entries[name].seconds.median / 1e9) for row in rows],
        )
        for name in rows[0].entries
    ]
    return line_chart(
        "Strassen over our matrix product",
        lines,
        x_name="side of the matrices",
        y_name="effective GFLOP/s",
        limit=peak / 1e9,
    )


def _row(size: int, levels: int, threads: int, rounds: int) -> SizeRow:
    rng = np.random.default_rng(1969)
    a, b = (rng.standard_normal((size, size), dtype=np.float32) for _ in range(2))
    left, right = torch.from_numpy(a), torch.from_numpy(b)
    truth = a.astype(np.float64) @ b.astype(np.float64)

    def ours(x: Tensor, y: Tensor) -> Tensor:
        return torch.from_numpy(_native.matmul(x.numpy(), y.numpy(), threads))

    runs: dict[str, Callable[[], Tensor]] = {
        OURS: lambda: ours(left, right),
        "numpy": lambda: torch.from_numpy(a @ b),
        "torch": lambda: left @ right,
        **{way(level): _strassen(left, right, level, ours) for level in range(1, levels + 1)},
    }
    errors = {name: relative_error(_array(run()), truth) for name, run in runs.items()}
    samples = interleave(runs, rounds)
    entries = {
        name: SizeEntry(error=errors[name], seconds=spread(samples[name]), samples=tuple(samples[name]))
        for name in runs
    }
    return SizeRow(size=size, levels=levels, entries=entries)


def _strassen(
    left: Tensor, right: Tensor, levels: int, multiply: Callable[[Tensor, Tensor], Tensor]
) -> Callable[[], Tensor]:
    return lambda: product(left, right, levels, multiply)


def _array(result: Tensor) -> NDArray[np.float32]:
    values: NDArray[np.float32] = result.numpy()
    return values
