"""An open pack: a mapping of the file, read by batch and row. No image is touched until it is asked for."""

import hashlib
import zlib
from pathlib import Path
from typing import Any, NamedTuple, final

import numpy as np
import pyarrow as pa  # type: ignore[import-untyped]  # it ships no stubs
from numpy.typing import NDArray

from striate.data.badimage import BadImage
from striate.data.pack.layout import COLUMNS, GROUPS, LABELS, MAGIC, NAMES, SUM, Header, as_summed, checksum
from striate.data.parts import PARTS
from striate.errors import StriateError

__all__ = ["Pack", "stated_header", "whole_batches"]


class _Images(NamedTuple):
    """One batch's images as NumPy sees them in the mapping."""

    data: NDArray[np.uint8]
    offsets: NDArray[np.int64]
    sizes: NDArray[np.int32]  # [rows, 3]: height, width, channels
    sums: NDArray[np.uint32]
    keys: Any


@final
class Pack:
    """The file at `path`, mapped read-only. Raises StriateError, one line, when it is no pack, or is cut short."""

    def __init__(self, path: Path) -> None:
        self.path = Path(path)
        try:
            with self.path.open("rb"):  # says in plain words why it cannot be
                self._mapping = pa.memory_map(str(self.path))
        except OSError as error:
            raise StriateError(f"cannot read {path}: {_said(error)}") from error
        try:
            self._reader = pa.ipc.open_file(self._mapping)
            count = self._reader.num_record_batches
        except (pa.ArrowException, OSError) as error:
            raise StriateError(_broken(self.path, str(error))) from error
        header = Header.from_metadata(self._reader.schema.metadata)
        if header is None or not self._reader.schema.equals(COLUMNS):
            raise StriateError(f"{path} is an Arrow file but no pack of images; `striate pack DATA {path}` writes one")
        if not self._begins_as_it_ends():
            raise StriateError(f"{path} is damaged: its header stands at both ends, and they differ; pack again")
        self.header = header
        if count != header.batches:
            raise StriateError(
                f"{path} is damaged: {count} of its {header.batches} record batches are listed; pack again"
            )
        self._batches: dict[int, _Images] = {}
        self._whole = bytearray(header.images)  # 1: its bytes were held against their checksum
        columns = [self._labels(b) for b in range(count)]
        self.labels = np.concatenate([label for label, _ in columns]).astype(np.int64)
        self.parts = np.concatenate([part for _, part in columns])
        if len(self.labels) != header.images or not _within(self.labels, len(header.classes)):
            raise StriateError(f"{path} is damaged (its labels); pack again")
        if not _within(self.parts, len(PARTS)):
            raise StriateError(f"{path} is damaged (its parts); pack again")

    def _begins_as_it_ends(self) -> bool:
        """Whether the schema, in which classes and all else about the set stand, is the same at both ends of the file:
        it is the one thing that no checksum covers."""
        try:
            if not _begins(self._mapping):
                return False
            first = pa.ipc.open_stream(self._mapping).schema
            return bool(first.equals(self._reader.schema, check_metadata=True))
        except (pa.ArrowException, OSError):
            return False

    def __len__(self) -> int:
        return self.header.images

    def __reduce__(self) -> tuple[type["Pack"], tuple[Path]]:
        """A process that this is sent to maps the file itself."""
        return Pack, (self.path,)

    def batch(self, b: int) -> Any:
        """Record batch `b`, in the mapping."""
        return self._reader.get_batch(b)

    def stated_sums(self, b: int) -> dict[bytes, bytes]:
        """The checksums that batch `b` carries, by their names in `layout`."""
        return dict(self._reader.get_batch_with_custom_metadata(b).custom_metadata or {})

    def contents(self) -> str:
        """What tells this pack from others of the same names: its batches' checksums, as they are stated."""
        stated = b"".join(self.stated_sums(b).get(SUM, b"") for b in range(self.header.batches))
        return hashlib.sha256(stated).hexdigest()

    def image(self, i: int) -> NDArray[np.uint8]:
        """The bytes of image `i`, a view of the mapping: its pixels in a row where the pack is raw, else its file's."""
        images, row = self._at(i)
        start, stop = images.offsets[row], images.offsets[row + 1]
        if not 0 <= start <= stop <= len(images.data):
            raise BadImage(self.where(i), f"is damaged (where it lies); `striate data check {self.path}` says more")
        return images.data[start:stop]

    def has_its_sum(self, i: int) -> bool:
        """Whether the bytes of image `i` are those that were packed. Raises BadImage where they cannot be found."""
        images, row = self._at(i)
        return zlib.crc32(self.image(i).data) == int(images.sums[row])

    def pixels(self, i: int) -> NDArray[np.uint8]:
        """Image `i` of a raw pack as uint8[H, W, C], read-only; held against its checksum when it is first asked for.

        Raises BadImage where it is damaged.
        """
        images, row = self._at(i)
        height, width, channels = (int(n) for n in images.sizes[row])
        data = self.image(i)
        if channels not in (1, 3) or min(height, width) < 1 or height * width * channels != len(data):
            raise BadImage(self.where(i), f"is damaged (its size); `striate data check {self.path}` says more")
        self._hold(i, "its pixels")
        return data.reshape(height, width, channels)

    def file(self, i: int) -> bytes:
        """Image `i` of an encoded pack as the file it was; held against its checksum when it is first asked for.

        The decoder alone would not tell: most flipped bits of a JPEG give another picture and no error. Raises
        BadImage where it is damaged.
        """
        data = self.image(i)
        self._hold(i, "its bytes")
        return bytes(data)

    def _hold(self, i: int, what: str) -> None:
        """Image `i` against its checksum, unless that was done before in this process."""
        if self._whole[i]:
            return
        if not self.has_its_sum(i):
            raise BadImage(self.where(i), f"is damaged ({what}); `striate data check {self.path}` says more")
        self._whole[i] = 1

    def key(self, i: int) -> str:
        """What identified image `i` where it was packed from. Raises BadImage, naming the pack, where it is damaged."""
        images, row = self._at(i)
        return str(images.keys[row].as_py())

    def where(self, i: int) -> str:
        """Image `i` for a person; its number where the key itself cannot be read."""
        try:
            return f"{self.path}/{self.key(i)}"
        except BadImage:
            return f"{self.path}, image {i}"

    def _at(self, i: int) -> tuple[_Images, int]:
        b, row = divmod(i, self.header.rows)
        images = self._batches.get(b)
        if images is None:
            images = self._batches[b] = self._images(b)  # two threads may both do it: with the same result
        return images, row

    def _images(self, b: int) -> _Images:
        height, width, channels, key, crc32, image = self._columns(b, NAMES, "image")
        _, offsets, data = image.buffers()
        return _Images(
            data=np.frombuffer(data, np.uint8) if data is not None else np.empty(0, np.uint8),
            offsets=np.frombuffer(offsets, np.int64, len(image) + 1),
            sizes=np.stack([column.to_numpy() for column in (height, width, channels)], axis=1),
            sums=crc32.to_numpy(),
            keys=key,
        )

    def _labels(self, b: int) -> tuple[NDArray[np.int32], NDArray[np.int8]]:
        label, part = self._columns(b, LABELS)
        return label.to_numpy(), part.to_numpy()

    def _columns(self, b: int, group: bytes, *more: str) -> list[Any]:
        """A group's columns of batch `b`, and more, that are safe to read: a damaged length or offset would be followed
        out of the mapping, and the process would end. The group is held against its sum. Raises BadImage, naming the
        pack.

        Of the images only the ends are looked at here, so that none is touched; `image` looks at each one's place.
        """
        names = (*GROUPS[group], *more)
        try:
            batch, stated = self.batch(b), self.stated_sums(b).get(group)
            columns = [batch.column(name) for name in names]
            for name, column in zip(names, columns, strict=True):
                column.validate(full=name != "image")
        except (pa.ArrowException, OSError) as error:
            raise self._damaged(b, _said(error)) from error
        rows = min(self.header.rows, self.header.images - b * self.header.rows)
        if len(batch) != rows:
            raise self._damaged(b, f"{len(batch)} rows in place of {rows}")
        for name, column in zip(names, columns, strict=True):
            if column.null_count or column.offset:  # a pack has none of either
                raise self._damaged(b, f"its column {name}")
        if stated not in (None, checksum(columns[: len(GROUPS[group])])):  # None: of a pack from before there were any
            raise self._damaged(b, "its labels or parts" if group == LABELS else "its names, sizes or checksums")
        return columns

    def _damaged(self, b: int, said: str) -> BadImage:
        return BadImage(str(self.path), f"is damaged (batch {b} of {self.header.batches}: {said}); pack again")


def stated_header(path: Path) -> Header | None:
    """What the beginning of a pack, whole or not, says of itself; None where there is none."""
    try:
        with pa.memory_map(str(path)) as mapping:
            return Header.from_metadata(pa.ipc.open_stream(mapping).schema.metadata) if _begins(mapping) else None
    except (pa.ArrowException, OSError):
        return None


def _begins(mapping: Any) -> bool:
    """Whether a pack may begin here; a stream follows."""
    mapping.seek(0)
    return bool(mapping.read(len(MAGIC)) == MAGIC)


def whole_batches(path: Path) -> tuple[Header | None, list[tuple[Any, dict[bytes, bytes]]], int]:
    """The beginning of a pack that was not finished: its header, its whole batches, each with its metadata, and
    the bytes up to there.

    The batches lie in a mapping of the file, which lives as long as they do.
    """
    header: Header | None = None
    batches: list[tuple[Any, dict[bytes, bytes]]] = []
    end = 0
    try:
        mapping = pa.memory_map(str(path))
        if not _begins(mapping):
            return None, [], 0
        reader = pa.ipc.open_stream(mapping)
        header = Header.from_metadata(reader.schema.metadata)
        end = mapping.tell()
        while header is not None and len(batches) < header.batches:
            batch, metadata = reader.read_next_batch_with_custom_metadata()
            batch.validate()  # buffers as long as their rows, before the sum goes over them
            stated = dict(metadata or {})
            if not as_summed(batch, stated):
                break
            batches.append((batch, stated))
            end = mapping.tell()
    except (pa.ArrowException, OSError, StopIteration):
        pass  # the end of what is whole
    return header, batches, end


def _broken(path: Path, said: str) -> str:
    header, batches, _ = whole_batches(path)
    if header is None:
        return f"{path} is not a pack, or its beginning is damaged ({said.splitlines()[0]})"
    images = min(header.images, len(batches) * header.rows)
    return (
        f"{path} is truncated: {len(batches)} of {header.batches} record batches are whole, the first {images:,} "
        f"images of {header.images:,}; copy it again, or pack it again"
    )


def _within(values: NDArray[Any], count: int) -> bool:
    return bool(len(values)) and int(values.min()) >= 0 and int(values.max()) < count


def _said(error: Exception) -> str:
    return getattr(error, "strerror", None) or str(error).splitlines()[0]
