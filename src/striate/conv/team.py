"""One set of threads for PyTorch and for our kernels.

torch computes on the threads of its OpenMP library, which stay awake for a while after each operator. Threads of our
own beside them would fight for the same cores; so where that library is GNU's (as in torch's wheels for Linux), our
kernels run on its team. Elsewhere they run on the core's own pool (native/threads), which sleeps when idle.
"""

import ctypes
import os
from functools import cache
from pathlib import Path

import torch

from striate import _native

__all__ = ["join_torch", "team_size"]

MOST_THREADS = 256  # native/threads/pool.h
_forked = False


def team_size() -> int:
    """As many threads as torch computes on, and no more than the core can."""
    return min(torch.get_num_threads(), MOST_THREADS)


@cache
def join_torch() -> bool:
    """Run the core's convolutions on torch's own threads, if they can be found; whether they were.

    Never in a forked child, which has lost the threads of its parent's team and would wait for them for ever.
    """
    if _forked:
        return False
    maps = Path("/proc/self/maps")
    if not maps.exists():
        return False
    libraries = {line.split(maxsplit=5)[-1] for line in maps.read_text().splitlines() if "libgomp" in line}
    for library in sorted(libraries):
        try:
            runner = ctypes.CDLL(library).GOMP_parallel
        except (OSError, AttributeError):
            continue
        _native.use_openmp(ctypes.cast(runner, ctypes.c_void_p).value or 0)
        return True
    return False


def _note_the_fork() -> None:
    global _forked
    _forked = True
    join_torch.cache_clear()


if hasattr(os, "register_at_fork"):
    os.register_at_fork(after_in_child=_note_the_fork)
