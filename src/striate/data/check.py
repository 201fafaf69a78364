"""The scan: which files cannot be used, found before training starts.

Decoding a file to its last pixel is the only true test that it is whole, so that is what is done, by threads: the
decoders release the GIL, and the disk is kept busy meanwhile.
"""

import hashlib
import os
from collections.abc import Callable
from concurrent.futures import ThreadPoolExecutor
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from striate.data.badimage import BadImage
from striate.data.samples import EncodedSamples, Samples
from striate.data.shown import shown

__all__ = ["Problem", "available_threads", "scan", "scan_and_digest"]

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
    return scan_and_digest(samples, threads, progress)[0]


def scan_and_digest(
    samples: Samples, threads: int | None = None, progress: Callable[[int, int], None] | None = None
) -> tuple[dict[int, Problem], NDArray[np.uint64]]:
    """As `scan`; and 64 bits of BLAKE2 of each file's bytes, since they are there: 0 of one that is bad or has none.

    Of a million files two that differ have the same 64 bits with a probability of 3e-8.
    """
    count = len(samples)
    bad: dict[int, Problem] = {}
    digests = np.zeros(count, np.uint64)
    with ThreadPoolExecutor(threads or available_threads(), thread_name_prefix="striate-scan") as pool:
        chunks = [range(at, min(at + _CHUNK, count)) for at in range(0, count, _CHUNK)]
        for chunk, found in zip(chunks, pool.map(lambda c: _scan_chunk(samples, c, digests), chunks), strict=True):
            bad.update(found)
            if progress is not None:
                progress(chunk.stop, count)
    return bad, digests


def available_threads() -> int:
    """The cores this process may run on, at most 16: past that a disk is the limit."""
    affinity = getattr(os, "sched_getaffinity", None)  # not on macOS and Windows
    return min(16, len(affinity(0)) if affinity is not None else os.cpu_count() or 1)


def _scan_chunk(samples: Samples, indices: range, digests: NDArray[np.uint64]) -> dict[int, Problem]:
    bad: dict[int, Problem] = {}
    for i in indices:
        try:
            if isinstance(samples, EncodedSamples):
                data = samples.read(i)
                samples.decoded(data, i, 3)
                digests[i] = int.from_bytes(hashlib.blake2b(data, digest_size=8).digest(), "little")
            else:
                samples.pixels(i, 3)
        except BadImage as error:
            bad[i] = Problem(error.where, error.reason)
    return bad
