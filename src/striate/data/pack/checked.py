"""Packing what is usable, without decoding a file twice.

Files' bytes are packed unread, so they are checked before. Raw pixels are not: packing decodes every file anyway, and
that is the check. Only where it meets a file that cannot be used are all files checked, as training would have done,
and packed anew without the bad ones: the split is drawn from what is left, so it cannot be drawn before.
"""

from collections.abc import Callable
from pathlib import Path
from typing import Any

from striate.data.badimage import BadImage
from striate.data.dataset import Dataset
from striate.data.pack.found import PART
from striate.data.pack.reader import stated_header
from striate.data.pack.size import PackSize
from striate.data.pack.writer import Packed, fingerprint, write_pack

__all__ = ["pack_checked"]


def pack_checked(
    opened: Callable[[bool], Dataset], path: Path, *, size: PackSize | None = None, **settings: Any
) -> tuple[Dataset, Packed]:
    """What was packed, and how; `opened(check)` opens the data set, every file of it checked or none.

    `settings` are those of `write_pack`, and so is what is raised.
    """
    if size is not None:
        data = opened(False)
        begun = stated_header(path.with_name(path.name + PART))
        if begun is None or begun.fingerprint == fingerprint(data, size):  # else it is of a packing without bad files
            try:
                return data, write_pack(data, path, size=size, **settings)
            except BadImage:
                pass  # the check below names it, and all others
    data = opened(True)
    return data, write_pack(data, path, size=size, **settings)
