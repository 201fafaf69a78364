"""Samples that lie in packs: files' bytes, decoded when asked for, or pixels, which are views of the mapping."""

from bisect import bisect_right
from collections.abc import Sequence
from typing import Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from striate.data.colour import with_channels
from striate.data.pack.reader import Pack
from striate.data.samples import EncodedSamples, Samples, checked_labels

__all__ = ["PackedFiles", "PackedPixels"]


class _Rows:
    """Images of several packs in one row of numbers: the first pack's, then the second's."""

    def __init__(self, packs: Sequence[Pack], rows: ArrayLike) -> None:
        self.packs = tuple(packs)
        self.rows = np.asarray(rows, np.int64)
        self._starts = np.cumsum([0, *(len(pack) for pack in packs)])[:-1].tolist()

    def __getitem__(self, i: int) -> tuple[Pack, int]:
        row = int(self.rows[i])
        if len(self.packs) == 1:
            return self.packs[0], row
        p = bisect_right(self._starts, row) - 1
        return self.packs[p], row - self._starts[p]

    def where(self, i: int) -> str:
        pack, row = self[i]
        return pack.where(row)

    def key(self, i: int) -> str:
        pack, row = self[i]
        return pack.key(row)


class _Packed(Samples):
    """Images of packs; `rows` are their numbers in all packs together."""

    def __init__(self, packs: Sequence[Pack], rows: ArrayLike, labels: ArrayLike) -> None:
        self._rows = _Rows(packs, rows)
        self.labels = checked_labels(labels, len(self._rows.rows))

    def contents(self) -> dict[str, str]:
        return {"packs": " ".join(pack.contents() for pack in self._rows.packs)}

    def name(self, i: int) -> str:
        return self._rows.where(i)

    def key(self, i: int) -> str:
        return self._rows.key(i)

    def subset(self, indices: ArrayLike) -> Self:
        chosen = np.asarray(indices, dtype=np.int64)
        return type(self)(self._rows.packs, self._rows.rows[chosen], self.labels[chosen])


@final
class PackedFiles(_Packed, EncodedSamples):
    """The encoded images of packs."""

    def read(self, i: int) -> bytes:
        pack, row = self._rows[i]
        return pack.file(row)


@final
class PackedPixels(_Packed):
    """The raw images of packs."""

    held = True

    @property
    def channels(self) -> int:
        """Of the first image."""
        pack, row = self._rows[0]
        return int(pack.pixels(row).shape[2])

    def pixels(self, i: int, channels: int) -> NDArray[np.uint8]:
        pack, row = self._rows[i]
        return with_channels(pack.pixels(row), channels)
