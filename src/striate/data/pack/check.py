"""Every checksum of a pack: which batch is damaged, and which images."""

from collections.abc import Callable
from pathlib import Path

import pyarrow as pa  # type: ignore[import-untyped]  # it ships no stubs

from striate.data.badimage import BadImage
from striate.data.check import Problem
from striate.data.pack.layout import as_summed
from striate.data.pack.reader import Pack

__all__ = ["check_pack"]


def check_pack(path: Path, progress: Callable[[int, int], None] | None = None) -> list[Problem]:
    """The damaged images and batches of a pack; `progress(images done, of how many)`.

    Raises StriateError where the file cannot even be opened: it says how much of it is whole.
    """
    pack = Pack(path)
    problems: list[Problem] = []
    for b in range(pack.header.batches):
        problems += _check_batch(pack, b)
        if progress is not None:
            progress(min(len(pack), (b + 1) * pack.header.rows), len(pack))
    return problems


def _check_batch(pack: Pack, b: int) -> list[Problem]:
    first = b * pack.header.rows
    last = min(len(pack), first + pack.header.rows) - 1
    place = f"batch {b} of {pack.header.batches} (images {first} to {last})"
    try:
        stated, batch = pack.stated_sums(b), pack.batch(b)
        batch.validate(full=True)
        if as_summed(batch, stated):
            return []
        bad = [row for row in range(len(batch)) if not pack.has_its_sum(first + row)]
    except (pa.ArrowException, OSError) as error:
        return [Problem(f"{pack.path}, {place}", f"cannot be read: {str(error).splitlines()[0]}")]
    except BadImage as error:
        return [Problem(f"{pack.path}, {place}", error.reason)]
    if not bad:
        return [Problem(f"{pack.path}, {place}", "is damaged in its labels, keys or sizes; its images are whole")]
    return [Problem(pack.where(first + row), f"is damaged: image {first + row}, in {place}") for row in bad]
