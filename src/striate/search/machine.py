"""What is the machine's doing and no trial's: a full disk, a storage out of reach.

A trial that meets it goes back into the queue, and the search ends with one line, to go on once the machine is mended.
Told as a failure of the trial, it would stay one for good.
"""

import errno
import os

from optuna.exceptions import StorageInternalError
from sqlalchemy.exc import SQLAlchemyError

from striate.atomic import FULL

__all__ = ["MACHINE_EXIT", "machines_doing"]

MACHINE_EXIT = getattr(os, "EX_IOERR", 74)  # of a worker that ended for such a reason (sysexits.h)
_SIGNS = {*FULL, errno.EROFS, errno.EIO, errno.ENFILE, errno.EMFILE, errno.ESTALE}


def machines_doing(error: BaseException | None) -> str | None:
    """What ails the machine, in a line, where an error, or what it came from, says so; None of any other.

    >>> machines_doing(OSError(errno.ENOSPC, "No space left on device", "a.db"))
    'a.db: No space left on device'
    >>> machines_doing(ValueError("no such net")) is None
    True
    """
    while error is not None:
        if isinstance(error, OSError) and error.errno in _SIGNS:
            return f"{error.filename}: {error.strerror}" if error.filename else str(error.strerror)
        if isinstance(error, SQLAlchemyError | StorageInternalError):
            reason = " ".join(str(error.__cause__ or error).split()).partition(" [SQL:")[0]
            return f"the search's storage: {reason}"
        error = error.__cause__ or error.__context__
    return None
