"""Where what can be fetched or measured again is kept: one folder of the user's, and what moves it elsewhere."""

import os
from pathlib import Path

from striate.errors import StriateError

__all__ = ["cache_folder"]


def cache_folder(name: str, variable: str | None = None, *, option: str | None = None) -> Path:
    """What the environment's `variable` says, else `striate/name` in the user's cache folder.

    That is XDG_CACHE_HOME where it is an absolute path, else ~/.cache (XDG Base Directory Specification, which has a
    relative one ignored). Raises StriateError, with what sets it (`option` of the command line, too), where there is no
    home to begin from: a container's user often has none.
    """
    told = os.environ.get(variable, "") if variable else ""
    cache = os.environ.get("XDG_CACHE_HOME", "")
    try:
        if told:
            return Path(told).expanduser()
        return (Path(cache) if Path(cache).is_absolute() else Path.home() / ".cache") / "striate" / name
    except RuntimeError as error:
        ways = " or ".join(way for way in (option, variable, "XDG_CACHE_HOME") if way)
        what = f"{variable}={told!r} begins with a home that nobody has" if told else "this user has no home folder"
        raise StriateError(f"{what}: say where {name} are kept by {ways}") from error
