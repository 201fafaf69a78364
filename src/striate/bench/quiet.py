"""Libraries written in C++ greet and warn on standard output, where our table or JSON belongs."""

import contextlib
import ctypes
import os
import sys
from collections.abc import Iterator

__all__ = ["quiet"]


@contextlib.contextmanager
def quiet() -> Iterator[None]:
    """Whatever the process writes to file descriptor 1, C's buffered output too, goes to standard error instead."""
    if sys.stdout is not None:  # closed by whoever started the process
        sys.stdout.flush()
    kept = os.dup(1)
    os.dup2(2, 1)
    try:
        yield
    finally:
        _flush()
        os.dup2(kept, 1)
        os.close(kept)


def _flush() -> None:
    """What C's streams still hold; where there is no C library to ask, nothing is done."""
    with contextlib.suppress(OSError, AttributeError):
        ctypes.CDLL(None).fflush(None)
