"""Who is fastest, with most of the time spent on those who may be: candidates run in turns, and the slow leave early.

A machine that changes its speed does so for all who run in that round. Who is hopeless is seen from the smallest times:
whatever else the machine did can only have added to the others. Two near each other take many rounds to tell apart, one
far behind takes two; so the rounds that the hopeless no longer run are the rounds that the choice between the best is
made by. They are judged by the median: a shared core's AMX is at times four times as slow as at others, and its best
time would promise what most runs do not get.
"""

import statistics
import time
from collections.abc import Callable, Hashable, Mapping, Sequence
from typing import TypeVar

__all__ = ["race", "typical"]

ROUNDS = 11
SURE = 3  # rounds that the last ones in the race always run
SECONDS = 0.4  # that one of them may take in all beyond those
# Rounds run, and how many times the least time then is too much. A disturbed run takes up to twice as long by float32's
# units and four times by AMX, and two in a row are not rare.
LEAVES = ((2, 2.5), (4, 1.5), (7, 1.125))

Name = TypeVar("Name", bound=Hashable)


def race(
    runs: Mapping[Name, Callable[[], object]],
    *,
    rounds: int = ROUNDS,
    seconds: float = SECONDS,
    now: Callable[[], float] = time.perf_counter,
) -> dict[Name, list[float]]:
    """Seconds of each run, in the order of the rounds; whoever left early has fewer.

    >>> clock = [0.0]
    >>> def takes(seconds: float) -> Callable[[], None]:
    ...     return lambda: clock.__setitem__(0, clock[0] + seconds)
    >>> runs = {"hare": takes(1.0), "dog": takes(1.25), "tortoise": takes(9.0)}
    >>> {name: len(times) for name, times in race(runs, seconds=99.0, now=lambda: clock[0]).items()}
    {'hare': 11, 'dog': 7, 'tortoise': 2}
    """
    times: dict[Name, list[float]] = {name: [] for name in runs}
    racing = list(runs)
    for turn in range(1, rounds + 1):
        for name in racing:
            begun = now()
            runs[name]()
            times[name].append(now() - begun)
        for after, behind in LEAVES:
            if turn >= after:
                best = min((min(times[name]) for name in racing), default=0.0)
                racing = [name for name in racing if min(times[name]) <= behind * best]
        if turn >= SURE and any(sum(times[name]) > seconds for name in racing):
            break
    return times


def typical(times: Sequence[float]) -> float:
    """What a runner's time counts as: the median of its rounds, the smaller of the middle two."""
    return statistics.median_low(times)
