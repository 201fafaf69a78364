"""One process at a time trains in a run folder: two would prune each other's files and mix their logs."""

import contextlib
import os
from collections.abc import Iterator
from pathlib import Path

from striate.atomic import why_not_written
from striate.errors import StriateError
from striate.lock import lock

__all__ = ["alone_in"]

NAME = ".lock"


@contextlib.contextmanager
def alone_in(folder: Path) -> Iterator[None]:
    """Hold the folder's lock (`striate.lock`). Raises StriateError where another process holds it."""
    try:
        file = (folder / NAME).open("a+b", buffering=0)
    except OSError as error:
        raise StriateError(f"cannot write {folder / NAME}: {why_not_written(error)}") from error
    with file:
        if not lock(file, wait=False):
            file.seek(0)
            who = file.read().decode(errors="replace").strip()
            by = f"process {who}" if who else "another process"
            raise StriateError(f"run {folder} is being trained by {by}; wait for it, or stop it (Ctrl-C)")
        with contextlib.suppress(OSError):  # only whom to ask: on a full disk another file says so
            file.truncate(0)
            file.write(str(os.getpid()).encode())
        yield
