"""One process at a time trains in a run folder: two would prune each other's files and mix their logs."""

import contextlib
import importlib
import os
from collections.abc import Iterator
from pathlib import Path
from typing import Any

from striate.atomic import reason
from striate.errors import StriateError

fcntl: Any = None
with contextlib.suppress(ImportError):  # Windows has no flock; there nothing is locked
    fcntl = importlib.import_module("fcntl")

__all__ = ["alone_in"]

NAME = ".lock"


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder's lock, which the system gives back however the process ends (flock(2)).

    Raises StriateError where another process holds it. A file system without locks is done without them.
    """
    if fcntl is None:
        yield
        return
    try:
        file = (folder / NAME).open("a+b", buffering=0)
    except OSError as error:
        raise StriateError(f"cannot write {folder / NAME}: {reason(error)}") from error
    with file:
        try:
            fcntl.flock(file, fcntl.LOCK_EX | fcntl.LOCK_NB)
        except BlockingIOError:
            file.seek(0)
            who = file.read().decode(errors="replace").strip()
            by = f"process {who}" if who else "another process"
            raise StriateError(f"run {folder} is being trained by {by}; wait for it, or stop it (Ctrl-C)") from None
        except OSError:
            yield
            return
        with contextlib.suppress(OSError):  # only whom to ask: on a full disk another file says so
            file.truncate(0)
            file.write(str(os.getpid()).encode())
        yield
