"""Strassen's seven products (native/strassen) against our matrix product and against BLAS: crossover and error.

Each level saves an eighth of the multiplications, adds fifteen sums of quarters, and multiplies the bound on the error
(docs/algorithms/strassen.md), which is why nobody goes on to single numbers.
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

__all__ = ["OURS", "SizeEntry", "SizeRow", "crossover", "figure", "measure", "way"]

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
        limit_name="multiply-add peak",
    )


def _row(size: int, levels: int, threads: int, rounds: int) -> SizeRow:
    rng = np.random.default_rng(1969)
    a, b = (rng.standard_normal((size, size), dtype=np.float32) for _ in range(2))
    left, right = torch.from_numpy(a), torch.from_numpy(b)
    truth = a.astype(np.float64) @ b.astype(np.float64)

    def ours(levels: int) -> Callable[[], Tensor]:
        return lambda: torch.from_numpy(_native.matmul(a, b, threads, levels=levels))

    runs: dict[str, Callable[[], Tensor]] = {
        OURS: ours(0),
        "numpy": lambda: torch.from_numpy(a @ b),
        "torch": lambda: left @ right,
        **{way(level): ours(level) for level in range(1, levels + 1)},
    }
    errors = {name: relative_error(_array(run()), truth) for name, run in runs.items()}
    samples = interleave(runs, rounds)
    entries = {
        name: SizeEntry(error=errors[name], seconds=spread(samples[name]), samples=tuple(samples[name]))
        for name in runs
    }
    return SizeRow(size=size, levels=levels, entries=entries)


def _array(result: Tensor) -> NDArray[np.float32]:
    values: NDArray[np.float32] = result.numpy()
    return values
