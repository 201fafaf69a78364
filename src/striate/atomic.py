"""Files, and folders, that are either wholly there or not at all.

A file is written under a temporary name in the folder it is meant for, flushed to the disk, and renamed; then the
folder itself is flushed, so that the name survives a power cut as well (POSIX rename(2), fsync(2)). A folder is filled
under a temporary name in the same way.
"""

import contextlib
import errno
import os
import shutil
import tempfile
from collections.abc import Callable, Iterable, Iterator
from pathlib import Path
from typing import BinaryIO

from striate.errors import StriateError

__all__ = [
    "FULL",
    "TEMPORARY_PREFIX",
    "check_writable",
    "clear_temporaries",
    "make_folder",
    "new_folder",
    "replace_file",
    "sync_folder",
    "umask",
    "why_not_written",
    "write_bytes",
]

TEMPORARY_PREFIX = ".tmp-"  # what a killed process may leave behind; never read, safe to delete
AGAIN = "run the command again, a run with --resume"
FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)  # the disk, what one may use of it, a file of the largest size


@contextlib.contextmanager
def replace_file(path: Path) -> Iterator[BinaryIO]:
    """A binary file to write into that becomes `path` when the block ends without an error.

    Raises StriateError, with the old `path` untouched and nothing left behind, when the disk is full or the folder
    may not be written.
    """
    path = Path(path)
    try:
        descriptor, temporary = tempfile.mkstemp(prefix=TEMPORARY_PREFIX, suffix=path.suffix, dir=path.parent)
    except OSError as error:
        raise StriateError(f"cannot write {path}: {why_not_written(error)}") from error
    try:
        with os.fdopen(descriptor, "wb") as file:
            yield file
            file.flush()
            os.fsync(file.fileno())
        os.chmod(temporary, 0o666 & ~umask())  # mkstemp makes private files; these are ordinary ones
        os.replace(temporary, path)
    except BaseException as error:
        with contextlib.suppress(OSError):
            os.unlink(temporary)
        if isinstance(error, OSError):
            raise StriateError(f"cannot write {path}: {why_not_written(error)}") from error
        raise
    try:
        sync_folder(path.parent)
    except OSError as error:
        raise StriateError(f"cannot write {path}: {why_not_written(error)}") from error


def write_bytes(path: Path, data: bytes) -> None:
    """Write `data` as the whole of `path`, atomically."""
    with replace_file(path) as file:
        file.write(data)


def new_folder(place: Path, names: Iterable[str], fill: Callable[[Path, str], None]) -> Path | None:
    """A folder in `place` called by the first of `names` that is free; None when all are taken.

    `fill(folder, name)` writes what it holds from the moment it has that name. Raises OSError where none can be made.
    """
    make_folder(place)
    staged = Path(tempfile.mkdtemp(prefix=TEMPORARY_PREFIX, dir=place))
    try:
        for name in names:
            if (place / name).exists():
                continue
            try:
                fill(staged, name)
            except StriateError as error:  # of a file whose name nobody has seen
                raise (error.__cause__ if isinstance(error.__cause__, OSError) else error) from None
            staged.chmod(0o777 & ~umask())  # mkdtemp makes private folders; this is an ordinary one
            try:
                os.rename(staged, place / name)
            except OSError:
                if not (place / name).exists():
                    raise
                continue  # another process took the name in between
            sync_folder(place)
            return place / name
    finally:
        shutil.rmtree(staged, ignore_errors=True)
    return None


def make_folder(folder: Path) -> None:
    """A folder, and those above it, by names that survive a power cut; nothing where it is there already."""
    if folder.is_dir():
        return
    if folder.parent != folder:
        make_folder(folder.parent)
    folder.mkdir(exist_ok=True)  # another process may have been faster
    sync_folder(folder.parent)


def check_writable(path: Path) -> None:
    """Raise StriateError now, before hours of work, where `path` could not be written after them."""
    if path.is_dir():
        raise StriateError(f"cannot write {path}: it is a folder; give the name of a file")
    error = errno.ENOENT if not path.parent.is_dir() else 0 if os.access(path.parent, os.W_OK) else errno.EACCES
    if error:
        raise StriateError(f"cannot write {path}: {why_not_written(OSError(error, os.strerror(error)))}")


def clear_temporaries(folder: Path) -> None:
    """Take away what a killed process was writing in `folder`; only where nobody else may be writing."""
    for left in folder.glob(f"{TEMPORARY_PREFIX}*"):
        shutil.rmtree(left) if left.is_dir() else left.unlink(missing_ok=True)


def sync_folder(folder: Path) -> None:
    """Flush a folder's entries to the disk, where the system can (not on Windows) and lets us (who may read it)."""
    if not hasattr(os, "O_DIRECTORY"):
        return
    try:
        descriptor = os.open(folder, os.O_RDONLY | os.O_DIRECTORY)
    except PermissionError:  # one may write into a folder that one may not read
        return
    try:
        os.fsync(descriptor)
    except OSError as error:
        if error.errno != errno.EINVAL:  # file systems that cannot flush a folder say so
            raise
    finally:
        os.close(descriptor)


def umask() -> int:
    """The rights that this process takes from what it makes; it can only be read by setting it."""
    mask = os.umask(0)
    os.umask(mask)
    return mask


def why_not_written(error: OSError, *, again: str = AGAIN, elsewhere: str = "") -> str:
    """Why a file could not be written, and what to do. again: when there is room; elsewhere: how to name a folder."""
    if error.errno in FULL:
        return f"the disk is full; free some space and {again}"
    if error.errno == errno.ENOENT:
        return "there is no such folder; make it first"
    choose = f"choose another folder{elsewhere and f' with {elsewhere}'}"
    if error.errno in (errno.EACCES, errno.EPERM, errno.EROFS):
        return f"not allowed to write there; {choose}"
    return f"{error.strerror or error}; {choose}" if elsewhere else error.strerror or str(error)
