"""The one way in: from what a user writes to a data set."""

import os
from collections.abc import Callable
from pathlib import Path

from striate.data.dataset import Dataset, Split, split_parts
from striate.data.digits import CLASSES as DIGIT_CLASSES
from striate.data.digits import digits
from striate.data.files import open_tree
from striate.data.source import FolderSource, ZipSource
from striate.errors import StriateError, unknown

__all__ = ["NAMED", "open"]

NAMED = ("digits", "mnist", "fashion-mnist", "cifar10", "cifar100")


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
    progress: Callable[[str, int, int], None] | None = None,
) -> Dataset:
    how = Split(val_fraction=val_fraction, test_fraction=test_fraction, seed=split_seed)
    if isinstance(spec, str) and spec == "digits":
        train, val, test = split_parts(digits(), None, None, how)
        return Dataset(
            name="digits", spec="digits", classes=DIGIT_CLASSES, train=train, val=val, test=test, mirror=False
        )
    path = Path(spec)
    scanned = None if progress is None else lambda done, total: progress("checking", done, total)
    if path.is_dir():
        return open_tree(FolderSource(path), str(spec), strict=strict, check=check, how=how, progress=scanned)
    if path.is_file():
        return open_tree(ZipSource(path), str(spec), strict=strict, check=check, how=how, progress=scanned)
    raise StriateError(unknown("data set", str(spec), NAMED))
