"""Samples: labelled images that can be asked for one by one, from memory or from files.

What a sample is asked for is always the same: pixels as uint8 H×W×C, upright, contiguous, in the number of channels
the net wants. Whether they lie in one array, in several or in encoded files is the business of the classes here.
"""

import copy
import hashlib
import zlib
from abc import ABC, abstractmethod
from collections.abc import Sequence
from typing import ClassVar, Self, final

import numpy as np
from numpy.typing import ArrayLike, NDArray

from striate.data.colour import with_channels
from striate.data.decoding import decode
from striate.data.source import Source

__all__ = ["ArraySamples", "DecodedSamples", "EncodedSamples", "FileSamples", "Samples", "checked_labels"]


class Samples(ABC):
    """Labelled images. `labels` is int64[N], read-only: indices into the data set's classes.

    `held`: the pixels lie in memory or in a mapping, so that nothing is gained by keeping them once more.
    """

    labels: NDArray[np.int64]
    held: ClassVar[bool] = False

    def __len__(self) -> int:
        return len(self.labels)

    def __repr__(self) -> str:
        return f"<{type(self).__name__}: {len(self):,} images of {len(np.unique(self.labels)):,} classes>"

    @abstractmethod
    def pixels(self, i: int, channels: int) -> NDArray[np.uint8]:
        """Image `i` as uint8[H, W, channels], upright and contiguous; safe to call from many threads.

        Raises BadImage where a file cannot be decoded.
        """

    @abstractmethod
    def name(self, i: int) -> str:
        """What a person would call sample `i`: the path of a file, or the set's name and a number."""

    @abstractmethod
    def key(self, i: int) -> str:
        """What identifies sample `i` wherever its folder lies: the split is drawn from it, so it must not change."""

    @abstractmethod
    def subset(self, indices: ArrayLike) -> Self:
        """The samples at `indices`, int64[M], in that order; encoded files are not read, arrays are copied."""

    def contents(self) -> dict[str, str]:
        """What tells these images from others of the same names, by what it is made of; empty where telling would take
        a pass over files."""
        return {}

    def relabelled(self, labels: ArrayLike) -> Self:
        """The same images with other labels: another data set's numbers for the classes."""
        other = copy.copy(self)
        other.labels = checked_labels(labels, len(self))
        return other


class EncodedSamples(Samples):
    """Images in files of a known format, whose bytes can be had without decoding them."""

    @abstractmethod
    def read(self, i: int) -> bytes:
        """The encoded bytes of image `i`. Raises BadImage when they cannot be read."""

    def decoded(self, data: bytes, i: int, channels: int) -> NDArray[np.uint8]:
        """Image `i` as `pixels` gives it, from its bytes."""
        return decode(data, channels, self.name(i))

    def pixels(self, i: int, channels: int) -> NDArray[np.uint8]:
        return self.decoded(self.read(i), i, channels)


@final
class ArraySamples(Samples):
    """Images in memory, all of one size.

    `images` is uint8[N, H, W, C] with C = 1 or 3. `names` (default "0", "1", …) say where each came from.
    """

    held = True

    def __init__(self, images: NDArray[np.uint8], labels: ArrayLike, names: Sequence[str] | None = None) -> None:
        if images.ndim != 4 or images.dtype != np.uint8 or images.shape[3] not in (1, 3):
            raise ValueError(f"images must be uint8[N, H, W, 1 or 3], not {images.dtype}{list(images.shape)}")
        self.images = np.ascontiguousarray(images)
        self.labels = checked_labels(labels, len(images))
        self._names = None if names is None else tuple(names)
        if self._names is not None and len(self._names) != len(images):
            raise ValueError(f"{len(images)} images were given {len(self._names)} names")

    @property
    def channels(self) -> int:
        """Of every image."""
        return int(self.images.shape[3])

    def pixels(self, i: int, channels: int) -> NDArray[np.uint8]:
        return with_channels(self.images[i], channels)

    def contents(self) -> dict[str, str]:
        return {"pixels": f"{zlib.crc32(self.images.data):08x}"}  # a tenth of a second for CIFAR

    def name(self, i: int) -> str:
        return str(i) if self._names is None else self._names[i]

    def key(self, i: int) -> str:
        return self.name(i)

    def subset(self, indices: ArrayLike) -> Self:
        chosen = np.asarray(indices, dtype=np.int64)
        return type(self)(self.images[chosen], self.labels[chosen], [self.name(int(i)) for i in chosen])


@final
class DecodedSamples(Samples):
    """Images in memory, of any sizes: uint8[H, W, 1 or 3] each."""

    held = True

    def __init__(self, images: Sequence[NDArray[np.uint8]], labels: ArrayLike, names: Sequence[str]) -> None:
        self._images, self._names = images, names
        self.labels = checked_labels(labels, len(images))

    def pixels(self, i: int, channels: int) -> NDArray[np.uint8]:
        return with_channels(self._images[i], channels)

    def name(self, i: int) -> str:
        return self._names[i]

    def key(self, i: int) -> str:
        return self._names[i]

    def subset(self, indices: ArrayLike) -> Self:
        chosen = np.asarray(indices, dtype=np.int64)
        images = [self._images[i] for i in chosen]
        return type(self)(images, self.labels[chosen], [self._names[i] for i in chosen])


@final
class FileSamples(EncodedSamples):
    """Images in encoded files: `entries` are names inside `source`, a folder or a zip; decoded anew at every call.

    `digests`: of the files' bytes, where a scan has read them (`striate.data.check`).
    """

    def __init__(
        self,
        source: Source,
        entries: Sequence[str],
        labels: ArrayLike,
        digests: NDArray[np.uint64] | None = None,
    ) -> None:
        self.source = source
        self.entries = tuple(entries)
        self.labels = checked_labels(labels, len(self.entries))
        self.digests = digests

    def contents(self) -> dict[str, str]:
        if self.digests is None:
            return {}
        return {"files": hashlib.sha256(self.digests.astype("<u8").tobytes()).hexdigest()}

    def read(self, i: int) -> bytes:
        return self.source.read(self.entries[i])

    def name(self, i: int) -> str:
        return self.source.where(self.entries[i])

    def key(self, i: int) -> str:
        return self.entries[i]

    def subset(self, indices: ArrayLike) -> Self:
        chosen = np.asarray(indices, dtype=np.int64)
        digests = None if self.digests is None else self.digests[chosen]
        return type(self)(self.source, [self.entries[i] for i in chosen], self.labels[chosen], digests)


def checked_labels(labels: ArrayLike, count: int) -> NDArray[np.int64]:
    """Labels as int64[count], read-only. Raises ValueError when there is not one for each image."""
    array = np.array(labels, dtype=np.int64)  # a copy, so that nobody else can change it
    if array.shape != (count,):
        raise ValueError(f"{count} images were given labels of shape {list(array.shape)}, not one each")
    array.setflags(write=False)
    return array
