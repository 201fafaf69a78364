"""From packs to a data set."""

from collections.abc import Sequence
from pathlib import Path

import numpy as np

from striate.data.dataset import Dataset
from striate.data.pack.packed import PackedFiles, PackedPixels
from striate.data.pack.reader import Pack
from striate.data.parts import PARTS
from striate.data.samples import Samples
from striate.errors import StriateError

__all__ = ["open_packs"]


def open_packs(paths: Sequence[Path], spec: str) -> Dataset:
    """The images of all packs, those of the first before those of the second, in the parts they were packed in.

    Raises StriateError where the packs are not of one kind, where one is named twice, and where there is nothing to
    train on.
    """
    packs = [Pack(path) for path in paths]
    files = set[tuple[int, int]]()
    for path in paths:
        status = path.stat()
        if (status.st_dev, status.st_ino) in files:
            raise StriateError(f"{path} is named twice, and each of its images would count twice; name it once")
        files.add((status.st_dev, status.st_ino))
    first = packs[0].header
    for pack in packs[1:]:
        if pack.header.classes != first.classes:
            differing = sorted(set(pack.header.classes) ^ set(first.classes))
            said = f"class {differing[0]!r} is in one only" if differing else "their order differs"
            raise StriateError(
                f"{pack.path} and {packs[0].path} have other classes ({said}); pack both from one folder"
            )
        if pack.header.form != first.form:
            raise StriateError(
                f"{packs[0].path} holds {_kind(first.form)}, {pack.path} {_kind(pack.header.form)}; pack them alike"
            )
    labels = np.concatenate([pack.labels for pack in packs])
    parts = np.concatenate([pack.parts for pack in packs])
    kind: type[PackedFiles | PackedPixels] = PackedFiles if first.form == "encoded" else PackedPixels

    def part(name: str) -> Samples | None:
        rows = np.flatnonzero(parts == PARTS.index(name))
        return kind(packs, rows, labels[rows]) if len(rows) else None

    train = part("train")
    if train is None:
        raise StriateError(f"{spec} has no training part; pack data that have one")
    return Dataset(
        name=first.name,
        spec=spec,
        classes=first.classes,
        train=train,
        val=part("val"),
        test=part("test"),
        mirror=first.mirror,
    )


def _kind(form: str) -> str:
    return "encoded files" if form == "encoded" else "raw pixels"
