"""Where the time of loading goes: seconds of every stage, summed over all threads.

    read      bytes from the disk or the network, or the page of a mapping that is not in memory yet
    decode    bytes to pixels, and the resize that a base image is made by
    augment   draws, windows or the one resampling, steps, normalisation
    transfer  from main memory to the device

A part of a batch keeps a `Lap` of its own and hands it in when it is done, so the lock is taken once a part.
"""

import threading
from collections.abc import Mapping
from time import perf_counter
from typing import final

__all__ = ["STAGES", "Lap", "Stages", "wait_shares"]

STAGES = ("read", "decode", "augment", "transfer")


@final
class Lap:
    """A stopwatch of one thread: `lap("read")` gives the time since the last call to a stage."""

    def __init__(self) -> None:
        self.seconds: dict[str, float] = {}
        self._last = perf_counter()

    def __call__(self, stage: str) -> None:
        now = perf_counter()
        self.seconds[stage] = self.seconds.get(stage, 0.0) + now - self._last
        self._last = now


@final
class Stages:
    """The sums, from any thread."""

    def __init__(self) -> None:
        self._seconds = dict.fromkeys(STAGES, 0.0)
        self._lock = threading.Lock()

    def __reduce__(self) -> tuple[type["Stages"], tuple[()]]:
        """Time is not sent along: what is at work elsewhere counts its own."""
        return Stages, ()

    def add(self, seconds: Mapping[str, float]) -> None:
        with self._lock:
            for stage, value in seconds.items():
                self._seconds[stage] += value

    def drain(self) -> dict[str, float]:
        """Seconds of each stage since the last call."""
        with self._lock:
            drained, self._seconds = self._seconds, dict.fromkeys(STAGES, 0.0)
        return drained


def wait_shares(stage_seconds: Mapping[str, float], wait_share: float) -> dict[str, float]:
    """What a step waits for, as shares of its time: every stage, and `compute`, which is the rest; together 1.

    While a step waits, threads work for it; the wait is divided as their time is. Without threads that is exact, with
    them it is the honest guess: whichever of several overlapping stages shortens, the batch is there sooner.

    >>> wait_shares({"read": 1.0, "decode": 3.0}, 0.4)
    {'read': 0.1, 'decode': 0.3..., 'augment': 0.0, 'transfer': 0.0, 'compute': 0.6}
    """
    total = sum(stage_seconds.values())
    shares = {
        stage: wait_share * stage_seconds.get(stage, 0.0) / total if total else wait_share * (stage == "read")
        for stage in STAGES
    }
    return {**shares, "compute": 1 - wait_share}
