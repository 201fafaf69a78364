"""Paths as people write them in Python and in configs, where no shell has read them first."""

import os
from pathlib import Path

from striate.errors import StriateError, given

__all__ = ["at_home"]


def at_home(path: str | os.PathLike[str]) -> Path:
    """`path` with a leading `~` or `~name` as that home folder; as it is where there is none.

    Left alone it would be a folder of that name, and whoever deletes that deletes the wrong one.

    Raises StriateError for what is no path.
    """
    if not isinstance(path, str | os.PathLike):
        raise StriateError(f"a path is given as a text, or as a pathlib.Path, got {given(path)}")
    return Path(os.path.expanduser(path))  # noqa: PTH111  # pathlib's raises for names of nobody
