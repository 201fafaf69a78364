"""A data set into one file: made by threads, written in order, gone on with after a kill.

The file grows as `out.arrow.part`. Arrow's own writer makes every byte of it; when a part is gone on with, the writer
is given the batches that are whole already, and the sink swallows what the file holds, so the result is the file that
one go would have written (docs/design/packed.md).
"""

import contextlib
import dataclasses
import hashlib
import os
import zlib
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from typing import Any, BinaryIO, TypeAlias, final

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]  # it ships no stubs
from numpy.typing import NDArray

from striate.atomic import sync_folder, why_not_written
from striate.data.dataset import Dataset
from striate.data.pack.found import PART, SUFFIX, is_pack
from striate.data.pack.layout import Header, schema, sums
from striate.data.pack.reader import whole_batches
from striate.data.pack.size import PackSize
from striate.data.parts import PARTS
from striate.data.prefetch import Ahead, Job
from striate.data.samples import EncodedSamples, Samples
from striate.data.shown import as_text
from striate.errors import StriateError
from striate.lock import is_at, lock

__all__ = ["Packed", "fingerprint", "write_pack"]

BATCH_NBYTES = 32 << 20  # what a batch holds, about: a second's work to make, a few hundredths to check
MOST_ROWS = 65_536  # of tiny images, so that progress is seen and little is lost to a kill
LOOKED_AT = 64  # images, spread over all, whose size tells how many make a batch
KEPT_NBYTES = 64 << 20  # of these, so that they need not be made twice
PARTS_OF_BATCH = 16  # per thread; see loader.PARTS
AHEAD = 2  # batches being made while one is written

_Row: TypeAlias = tuple[Any, tuple[int, int, int], str]  # bytes; (height, width, channels) of pixels; key


@dataclasses.dataclass(frozen=True, kw_only=True)
class Packed:
    """What was written. resumed: how many of the images an earlier, interrupted packing had written."""

    path: Path
    form: str
    images: int
    nbytes: int
    resumed: int


def write_pack(
    data: Dataset,
    path: Path,
    *,
    size: PackSize | None = None,
    threads: int = 2,
    overwrite: bool = False,
    progress: Callable[[int, int], None] | None = None,
) -> Packed:
    """Write `data` as the pack `path`: files' bytes as they are, or raw pixels with a `size` or from memory.

    `progress(images done, of how many)` is called from this thread. Raises StriateError when `path` exists and may not
    be overwritten, is being written, or cannot be; what was written so far stays as `path`.part, to be gone on with.
    """
    path = Path(path)
    if not is_pack(path):
        raise StriateError(f"{path}: a pack is called by {SUFFIX}; try {path.with_suffix(SUFFIX)}")
    taken = StriateError(f"{path} exists; choose another name, or replace it with --overwrite")
    if path.exists() and not overwrite:
        raise taken
    content = _Content(data, size)
    part = path.with_name(path.name + PART)
    with _clear_errors(part), _locked(part) as file:
        if path.exists() and not overwrite:  # another process has finished it meanwhile
            if os.fstat(file.fileno()).st_size == 0:
                part.unlink()
            raise taken
        header, whole, kept = whole_batches(part)
        if header != content.header:
            whole, kept = [], 0
        file.truncate(kept)
        done = _write(file, content, whole, kept, max(1, threads), progress)
        file.flush()
        os.fsync(file.fileno())
        nbytes = file.seek(0, os.SEEK_END)
        os.replace(part, path)
    with _clear_errors(path):
        sync_folder(path.parent)
    return Packed(path=path, form=content.header.form, images=content.header.images, nbytes=nbytes, resumed=done)


def _write(
    file: BinaryIO,
    content: "_Content",
    whole: Sequence[tuple[Any, dict[bytes, bytes]]],
    kept: int,
    threads: int,
    progress: Callable[[int, int], None] | None,
) -> int:
    """All batches, those that are `whole` without writing them again; how many images these hold."""
    header = content.header
    resumed = min(header.images, len(whole) * header.rows)
    sink = pa.PythonFile(_Sink(file, kept), mode="w")
    with pa.ipc.new_file(sink, schema(header)) as out:
        for batch, stated in whole:
            out.write_batch(batch, custom_metadata=stated)  # byte for byte, whichever version wrote it
        made = Ahead(lambda k: content.job(len(whole) + k, threads), header.batches - len(whole), threads, AHEAD)
        with contextlib.closing(made):
            for number, (batch, stated) in enumerate(made, start=len(whole) + 1):
                out.write_batch(batch, custom_metadata=stated)
                file.flush()
                if progress is not None:
                    progress(min(header.images, number * header.rows), header.images)
    return resumed


@final
class _Sink:
    """Writes into `file` what lies beyond its first `kept` bytes, which it holds already."""

    def __init__(self, file: BinaryIO, kept: int) -> None:
        self._file = file
        self._kept = kept
        self._at = 0
        self.closed = False
        file.seek(kept)

    def write(self, data: bytes) -> int:
        fresh = max(0, self._kept - self._at)
        if fresh < len(data):
            self._file.write(memoryview(data)[fresh:])
        self._at += len(data)
        return len(data)

    def tell(self) -> int:
        return self._at

    def flush(self) -> None:
        self._file.flush()

    def close(self) -> None:
        self.closed = True


# ------------------------------------------------------------------------------------------------------------ batches


def fingerprint(data: Dataset, size: PackSize | None) -> str:
    """Of everything that is to be packed: classes, form, each part's images by key and label."""
    digest = hashlib.sha256(repr((data.classes, str(size), _encoded(data, size))).encode())
    for samples in data.parts.values():
        for i, label in enumerate(samples.labels.tolist()):
            digest.update(f"{samples.key(i)}\t{label}\n".encode("utf-8", "surrogateescape"))
        digest.update(b"\0")
    return digest.hexdigest()


def _encoded(data: Dataset, size: PackSize | None) -> bool:
    return size is None and all(isinstance(samples, EncodedSamples) for samples in data.parts.values())


@final
class _Content:
    """All images of a data set in the order of the file: train, then val, then test."""

    def __init__(self, data: Dataset, size: PackSize | None) -> None:
        held = data.parts
        self._parts: list[Samples] = list(held.values())
        self._numbers = np.concatenate([np.full(len(s), PARTS.index(name), np.int8) for name, s in held.items()])
        self._indices = np.concatenate([np.arange(len(s), dtype=np.int64) for s in self._parts])
        self._of = np.concatenate([np.full(len(s), k, np.int64) for k, s in enumerate(self._parts)])
        self._labels = np.concatenate([s.labels for s in self._parts])
        self._size = size
        self._encoded = _encoded(data, size)
        self._looked_at: dict[int, _Row] = {}  # made already, to see how large images are
        images = len(self._labels)
        self.header = Header(
            form="encoded" if self._encoded else "raw",
            name=data.name,
            source=data.spec,
            classes=data.classes,
            mirror=data.mirror,
            images=images,
            rows=max(1, min(MOST_ROWS, images, BATCH_NBYTES // max(1, self._mean_nbytes()))),
            size="" if size is None else str(size),
            fingerprint=fingerprint(data, size),
        )

    def job(self, number: int, threads: int) -> "_BatchJob":
        """What makes batch `number`."""
        start = number * self.header.rows
        return _BatchJob(self, range(start, min(start + self.header.rows, self.header.images)), threads)

    def row(self, i: int) -> _Row:
        """Image `i` of the file; asked for once."""
        return self._looked_at.pop(i, None) or self._row(i)

    def _row(self, i: int) -> _Row:
        samples, index = self._parts[int(self._of[i])], int(self._indices[i])
        key = samples.key(index)
        if self._encoded:
            assert isinstance(samples, EncodedSamples)
            return samples.read(index), (0, 0, 0), key
        pixels = self._pixels(samples, index)
        height, width, channels = pixels.shape
        return np.ascontiguousarray(pixels).data.cast("B"), (height, width, channels), key

    def labels(self, rows: range) -> NDArray[np.int64]:
        return self._labels[rows.start : rows.stop]

    def numbers(self, rows: range) -> NDArray[np.int8]:
        """Of the parts that the rows belong to."""
        return self._numbers[rows.start : rows.stop]

    def _pixels(self, samples: Samples, index: int) -> NDArray[np.uint8]:
        pixels = samples.pixels(
            index, getattr(samples, "channels", 3)
        )  # files are read as RGB, whatever each of them is
        return pixels if self._size is None else self._size.applied(pixels)

    def _mean_nbytes(self) -> int:
        """Of some images, enough to say how many make a batch: a function of the data alone.

        They are spread over all, since images of one class may be a thousand times as large as those of the first.
        """
        count = min(LOOKED_AT, len(self._labels))
        total = 0
        for k in range(count):
            i = k * len(self._labels) // count
            row = self._row(i)
            total += len(row[0])
            if total <= KEPT_NBYTES:
                self._looked_at[i] = row
        return total // count


@final
class _BatchJob(Job[tuple[Any, dict[bytes, bytes]]]):
    """One record batch and its checksums, the images read and resized in parts."""

    def __init__(self, content: _Content, rows: range, threads: int) -> None:
        self._content = content
        self._rows = rows
        self._chunk = max(1, -(-len(rows) // (PARTS_OF_BATCH * threads)))
        self.parts = -(-len(rows) // self._chunk)
        self._made: list[Any] = [None] * len(rows)

    def part(self, j: int) -> None:
        for row in range(j * self._chunk, min((j + 1) * self._chunk, len(self._rows))):
            data, size, key = self._content.row(self._rows[row])
            self._made[row] = data, size, key, zlib.crc32(data)

    def finish(self) -> tuple[Any, dict[bytes, bytes]]:
        images, sizes, keys, crcs = zip(*self._made, strict=True)
        self._made.clear()
        height, width, channels = np.array(sizes, np.int32).T
        columns = {
            "image": pa.array(images, pa.large_binary()),
            "height": pa.array(height),
            "width": pa.array(width),
            "channels": pa.array(channels),
            "label": pa.array(self._content.labels(self._rows).astype(np.int32)),
            "part": pa.array(self._content.numbers(self._rows)),
            "key": pa.array([as_text(key) for key in keys]),
            "crc32": pa.array(np.array(crcs, np.uint32)),
        }
        batch = pa.record_batch(list(columns.values()), schema=schema(self._content.header))
        return batch, sums(batch)


# ------------------------------------------------------------------------------------------------------------- errors


@contextlib.contextmanager
def _locked(part: Path) -> Iterator[BinaryIO]:
    """The growing file, open for reading and writing, and no other process's."""
    while True:
        file = os.fdopen(os.open(part, os.O_RDWR | os.O_CREAT, 0o666), "r+b")
        with file:
            if not lock(file, wait=False):
                raise StriateError(f"{part} is being written by another process; wait for it, or stop it")
            if is_at(file, part):
                yield file
                return
        # between the two calls another process has finished and renamed it: what was open is its pack


@contextlib.contextmanager
def _clear_errors(part: Path) -> Iterator[None]:
    try:
        yield
    except OSError as error:
        why = why_not_written(error, again="run it again, it goes on from there")
        raise StriateError(f"cannot write {part}: {why}") from error
