"""Paths as people write them in Python and in configs, where no shell has read them first."""

import os
from pathlib import Path

__all__ = ["at_home"]


def at_home(path: str | os.PathLike[str]) -> Path:
    """`path` with a leading `~` or `~name` as that home folder; as it is where there is none.

    Left alone it would be a folder of that name, and whoever deletes that deletes the wrong one.
    """
    return Path(os.path.expanduser(path))  # noqa: PTH111  # pathlib's raises for names of nobody
