"""The one way in: from what a user writes to a data set."""

import difflib
import os
import zipfile
from collections.abc import Callable
from pathlib import Path

from striate.data.classnames import DIGITS
from striate.data.dataset import Dataset, Split, split_parts
from striate.data.digits import digits
from striate.data.files import Checks, open_files, open_tree
from striate.data.formats import EXTENSIONS
from striate.data.listed import read_list
from striate.data.named import NAMED, default_data_dir, find, held_by, read
from striate.data.pack.found import find_packs
from striate.data.samples import ArraySamples
from striate.data.source import FolderSource, ZipSource
from striate.errors import StriateError, unknown
from striate.errors import given as told
from striate.home import at_home

__all__ = ["SPECS", "open"]

SPECS = ("digits", *NAMED)
KINDS = "a folder, a zip, a pack (.arrow), a CSV of path,label"

Progress = Callable[[str, int, int], None]  # (what is being done, how much of it is, of how much or 0 where unknown)


def open(
    spec: str | os.PathLike[str],
    *,
    data_dir: str | os.PathLike[str] | None = None,
    val_fraction: float = 0.1,
    test_fraction: float = 0.2,
    split_seed: int = 0,
    strict: bool = False,
    download: bool = True,
    check: bool = True,
    progress: Progress | None = None,
) -> Dataset:
    """The data set that `spec` names: one of `SPECS`, a folder, a zip, a CSV list, a pack, or an archive of CIFAR.

    `data_dir` is where named sets lie or are downloaded to. `val_fraction`, `test_fraction` and `split_seed` say how a
    source that lacks parts is split (`striate.data.split`). `check` decodes every file first; what is bad is left out
    and noted, or, with `strict`, fatal. A pack (`a.arrow`; several: `a.arrow,b.arrow`, or a folder of them) was checked
    and split when it was packed, and opens without a pass over its images.

    A name goes before a folder of that name: write `./mnist` for the folder. Raises StriateError, one line that says
    what to do, for whatever cannot be opened.
    """
    how = Split(val_fraction=val_fraction, test_fraction=test_fraction, seed=split_seed)
    given = _written(spec)
    path = Path(given)
    if given == "digits":
        return _in_memory("digits", given, (digits(), None, DIGITS), mirror=False, how=how)
    if given in NAMED:
        place = at_home(data_dir) if data_dir is not None else default_data_dir()
        path = find(given, place, download=download, progress=progress)
    elif packs := _packs(given):
        return packs
    elif not os.path.exists(path):  # noqa: PTH110  # pathlib's raises for a name that no file can have
        raise StriateError(_nowhere(given, path))
    held = NAMED[given] if given in ("mnist", "fashion-mnist") else held_by(path)
    if held is not None:
        return _in_memory(held.name, given, read(path, held), mirror=held.mirror, how=how)
    checked = None if progress is None else lambda done, total: progress("checking", done, total)
    checks = Checks(check=check, strict=strict, progress=checked)
    if path.is_dir():
        return open_tree(FolderSource(path), str(path), checks, how)
    if path.suffix.lower() == ".csv":
        return open_files(FolderSource(path.parent), read_list(path), str(path), checks, how)
    if zipfile.is_zipfile(path) or path.suffix.lower() == ".zip":
        return open_tree(ZipSource(path), str(path), checks, how)
    raise StriateError(_not_a_set(path))


def _written(spec: object) -> str:
    """The words that name a data set. Raises StriateError for what are none; an empty path would be this folder."""
    if not isinstance(spec, str | os.PathLike) or not isinstance(given := os.fspath(spec), str):
        raise StriateError(f"a data set is given by its name or path, such as 'digits' or 'photos/', got {told(spec)}")
    if not given:
        raise StriateError(f"no data set is named; give {KINDS}, or one of {', '.join(SPECS)}")
    return os.fspath(at_home(given)) if given.startswith("~") else given


def _packs(given: str) -> Dataset | None:
    packs = find_packs(given)
    if not packs:
        return None
    from striate.data.pack.opened import open_packs  # here, because Arrow takes a while to load

    return open_packs(packs, given)


def _in_memory(
    name: str,
    spec: str,
    parts: tuple[ArraySamples, ArraySamples | None, tuple[str, ...]],
    *,
    mirror: bool,
    how: Split,
) -> Dataset:
    given_train, given_test, classes = parts
    train, val, test = split_parts(given_train, None, given_test, how)
    return Dataset(name=name, spec=spec, classes=classes, train=train, val=val, test=test, mirror=mirror)


def _nowhere(given: str, path: Path) -> str:
    """The message for what is neither a name nor there: the nearest name, or the nearest path beside it."""
    try:
        path.stat()
    except (FileNotFoundError, NotADirectoryError, ValueError):  # not there, or with a NUL byte in its name
        pass
    except OSError as error:
        return f"cannot read {given:.100}: {error.strerror}"
    if difflib.get_close_matches(given, SPECS, n=1) or (path.name == given and not path.suffix):
        return f"there is no file or folder {given!r} here, and it is an " + unknown("data set", given, SPECS)
    beside = [child.name for child in path.parent.iterdir()] if path.parent.is_dir() else []
    near = difflib.get_close_matches(path.name, beside, n=1)
    if near:
        return f"{given} does not exist; did you mean '{path.parent / near[0]}'?"
    return f"{given} does not exist; give {KINDS}, or one of {', '.join(SPECS)}"


def _not_a_set(path: Path) -> str:
    if path.suffix.lower() in EXTENSIONS:
        return f"{path} is one image; training takes a folder with one folder of images per class"
    return f"{path} is not a data set: neither a folder, a zip, a CSV of path,label, nor a whole archive of CIFAR"
