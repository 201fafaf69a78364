"""Which packs a user's words name: one file, several with commas between, or a folder of them.

Arrow is not loaded here, so that whoever opens a folder of images does not wait for it.
"""

import os
from pathlib import Path

from striate.errors import StriateError

__all__ = ["PART", "SUFFIX", "find_packs", "is_pack"]

SUFFIX = ".arrow"
PART = ".part"  # put behind the name of a pack while it is written


def find_packs(spec: str) -> list[Path]:
    """The packs that `spec` names: `a.arrow`, `a.arrow,b.arrow`, or a folder with nothing but packs; else none.

    A comma may be part of a file's name, so what exists under the whole of `spec` goes first. Raises StriateError for a
    folder of packs of which one is not finished: training on the others would be on another set.
    """
    path = Path(spec)
    if os.path.isfile(path):  # noqa: PTH113  # pathlib's raises where names in a row are longer than a name may be
        return [path] if is_pack(path) else []
    if os.path.isdir(path):  # noqa: PTH112  # as above
        held = sorted(child for child in path.iterdir() if not child.name.startswith("."))
        packs = [child for child in held if is_pack(child) and child.is_file()]
        begun = [child for child in held if child.suffix == PART and is_pack(child.with_suffix(""))]
        if packs and begun and len(packs) + len(begun) == len(held):
            raise StriateError(f"{begun[0]} is a pack that was not finished; pack it to its end, or delete it")
        return packs if len(packs) == len(held) else []
    parts = [Path(part.strip()) for part in spec.split(",")]
    return parts if len(parts) > 1 and all(map(is_pack, parts)) else []


def is_pack(path: Path) -> bool:
    """Whether a file is called as packs are."""
    return path.suffix.lower() == SUFFIX
