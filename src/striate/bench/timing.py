"""Rounds in which subjects take turns, so that a machine whose speed changes by the minute is unfair to all alike.

One sample of a subject: a pause, in which the threads of the one before stop spinning; a run that is not counted, which
brings its data and threads back; then as many runs as fill `least_seconds`, of which the mean is the sample. The order
is another in every round. Ratios are taken between samples of one round, which are neighbours, and then the median.
"""

import statistics
import time
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

__all__ = ["Clock", "Spread", "interleave", "ratio", "spread"]

PAUSE_SECONDS = 0.02  # OpenMP's threads and ONNX Runtime's look for work for some milliseconds after it has ended
LEAST_SECONDS = 0.01  # a sample shorter than this measures the clock and the interrupts
LONG_SECONDS = 0.2  # a run as long as this needs no run before it to warm up
MOST_RUNS = 1000


@dataclass(frozen=True, kw_only=True)
class Clock:
    """Time itself, given so that tests need none."""

    now: Callable[[], float] = time.perf_counter
    sleep: Callable[[float], None] = time.sleep


@dataclass(frozen=True, kw_only=True)
class Spread:
    """Median and quartiles of samples, in the samples' unit."""

    median: float
    low: float  # first quartile
    high: float  # third quartile
    least: float
    count: int


def interleave(
    runs: Mapping[str, Callable[[], object]],
    rounds: int,
    *,
    least_seconds: float = LEAST_SECONDS,
    clock: Clock | None = None,
) -> dict[str, list[float]]:
    """Seconds of one run, a sample for every subject and round; sample i of all subjects is of round i.

    >>> ticks = iter(range(1000))
    >>> fake = Clock(now=lambda: float(next(ticks)), sleep=lambda seconds: None)
    >>> interleave({"a": lambda: None, "b": lambda: None}, 2, clock=fake)
    {'a': [1.0, 1.0], 'b': [1.0, 1.0]}
    """
    clock = clock or Clock()
    names = list(runs)
    repeats = {name: _repeats(runs[name], least_seconds, clock) for name in names}
    samples: dict[str, list[float]] = {name: [] for name in names}
    for number in range(rounds):
        for name in _order(names, number):
            clock.sleep(PAUSE_SECONDS)
            if repeats[name] > 0:
                runs[name]()
            count = max(1, repeats[name])
            begun = clock.now()
            for _ in range(count):
                runs[name]()
            samples[name].append((clock.now() - begun) / count)
    return samples


def spread(samples: Sequence[float]) -> Spread:
    """What is reported of samples.

    >>> spread([4.0, 1.0, 2.0, 3.0, 5.0])
    Spread(median=3.0, low=2.0, high=4.0, least=1.0, count=5)
    """
    if len(samples) == 1:
        low = high = samples[0]
    else:
        low, _, high = statistics.quantiles(samples, n=4, method="inclusive")
    return Spread(median=statistics.median(samples), low=low, high=high, least=min(samples), count=len(samples))


def ratio(slow: Sequence[float], fast: Sequence[float]) -> Spread:
    """How many times as long: samples of the same round over each other.

    >>> ratio([2.0, 4.0, 9.0], [1.0, 2.0, 3.0]).median
    2.0
    """
    return spread([a / b for a, b in zip(slow, fast, strict=True)])


def _repeats(run: Callable[[], object], least_seconds: float, clock: Clock) -> int:
    """Runs in one sample; 0: one, without warming up. The first run of all finds its memory, and is not counted."""
    clock.sleep(PAUSE_SECONDS)
    run()
    begun = clock.now()
    run()
    once = clock.now() - begun
    if once >= LONG_SECONDS:
        return 0
    return min(MOST_RUNS, max(1, round(least_seconds / max(once, 1e-9))))


def _order(names: list[str], number: int) -> list[str]:
    """Every subject follows every other in turn: forward from another one in even rounds, backward in odd ones.

    >>> [_order(["a", "b", "c"], i) for i in range(3)]
    [['a', 'b', 'c'], ['a', 'c', 'b'], ['b', 'c', 'a']]
    """
    at = number // 2 % len(names) if names else 0
    turned = names[at:] + names[:at]
    return turned if number % 2 == 0 else turned[:1] + turned[:0:-1]
