"""A file that one process at a time works on."""

import os
from pathlib import Path
from typing import IO, Any

__all__ = ["is_at", "lock"]


def lock(file: IO[Any], *, wait: bool) -> bool:
    """Hold the lock of an open file, which the system gives back however the process ends (flock(2)).

    False where another process holds it and is not to be waited for. Windows has no such locks, and some file systems
    have none: there nothing is locked, and the answer is True.
    """
    try:
        import fcntl
    except ImportError:  # Windows
        return True
    try:
        fcntl.flock(file, fcntl.LOCK_EX if wait else fcntl.LOCK_EX | fcntl.LOCK_NB)
    except BlockingIOError:
        return False
    except OSError:
        pass  # no locks here
    return True


def is_at(file: IO[Any], path: Path) -> bool:
    """Whether the open file is the one of that name still: who held it may have renamed it while we waited."""
    try:
        return os.path.samestat(os.fstat(file.fileno()), path.stat())
    except FileNotFoundError:  # asked at once: between two questions another may rename it
        return False
