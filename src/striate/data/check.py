"""The scan: which files cannot be used, found before training starts.

Decoding a file to its last pixel is the only true test that it is whole, so that is what is done, by threads: the
decoders release the GIL, and the disk is kept busy meanwhile.
"""

import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

from striate.data.badimage import BadImage
from striate.data.samples import Samples
from striate.data.shown import shown

__all__ = ["Problem", "available_threads", "scan"]

_CHUNK = 64  # files per task: enough that the queue costs nothing, few enough that progress is seen


@dataclass(frozen=True)
class Problem:
    """A file that is not used, and why; printed as `name: reason`, in one line whatever the name."""

    name: str
    reason: str

    def __str__(self) -> str:
        return shown(f"{self.name}: {self.reason}")


def scan(
    samples: Samples, threads: int | None = None, progress: Callable[[int, int], None] | None = None
) -> dict[int, Problem]:
    """Decode every sample; the bad ones by index, ascending. `progress(done, total)` is called from this thread."""
    count = len(samples)
    bad: dict[int, Problem] = {}
    with ThreadPoolExecutor(threads or available_threads(), thread_name_prefix="striate-scan") as pool:
        chunks = [range(at, min(at + _CHUNK, count)) for at in range(0, count, _CHUNK)]
        for chunk, found in zip(chunks, pool.map(lambda c: _scan_chunk(samples, c), chunks), strict=True):
            bad.update(found)
            if progress is not None:
                progress(chunk.stop, count)
    return bad


def available_threads() -> int:
    """The cores this process may run on, at most 16: past that a disk is the limit."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    return min(16, len(affinity(0)) if affinity is not None else os.cpu_count() or 1)


def _scan_chunk(samples: Samples, indices: range) -> dict[int, Problem]:
    bad: dict[int, Problem] = {}
    for i in indices:
        try:
            samples.pixels(i, 3)
        except BadImage as error:
            bad[i] = Problem(error.where, error.reason)
    return bad
