"""What stands in a pack: columns, metadata, checksums. The format is described in docs/design/packed.md.

Everything here is Arrow's own: any Arrow tool reads a pack as a table, and finds the metadata as JSON text in its
schema.
"""

import json
import zlib
from collections.abc import Iterable, Mapping
from dataclasses import asdict, dataclass
from typing import Any

import pyarrow as pa  # type: ignore[import-untyped]  # it ships no stubs

__all__ = ["GROUPS", "LABELS", "MAGIC", "NAMES", "SUM", "Header", "as_summed", "checksum", "schema", "sums"]

MAGIC = b"ARROW1\0\0"  # Arrow columnar format, "IPC file format": the magic word, padded to 8 bytes; a stream follows
VERSION = 1
KEY = b"striate"  # of the schema's metadata
SUM = b"striate.crc32"  # of a batch's metadata: over all columns; and over those that are read on their own
LABELS, NAMES = b"striate.crc32.labels", b"striate.crc32.names"
GROUPS = {LABELS: ("label", "part"), NAMES: ("height", "width", "channels", "key", "crc32")}

COLUMNS = pa.schema(
    [
        pa.field("image", pa.large_binary(), nullable=False),
        pa.field("height", pa.int32(), nullable=False),
        pa.field("width", pa.int32(), nullable=False),
        pa.field("channels", pa.int32(), nullable=False),
        pa.field("label", pa.int32(), nullable=False),
        pa.field("part", pa.int8(), nullable=False),
        pa.field("key", pa.string(), nullable=False),
        pa.field("crc32", pa.uint32(), nullable=False),
    ]
)


@dataclass(frozen=True, kw_only=True)
class Header:
    """What a pack says of itself. form: "encoded" or "raw"; rows: images in every batch but the last.

    fingerprint: of everything that was to be packed, so that a part of a file is gone on with only where it belongs.
    """

    form: str
    name: str
    source: str
    classes: tuple[str, ...]
    mirror: bool
    images: int
    rows: int
    size: str
    fingerprint: str
    version: int = VERSION

    @property
    def batches(self) -> int:
        """Record batches in the whole file."""
        return -(-self.images // self.rows)

    def to_metadata(self) -> dict[bytes, bytes]:
        """For the schema."""
        return {KEY: json.dumps(asdict(self), ensure_ascii=False).encode()}

    @classmethod
    def from_metadata(cls, metadata: Mapping[bytes, bytes] | None) -> "Header | None":
        """The inverse; None where the file is an Arrow file of someone else's, or of a version not known here."""
        try:
            stated: dict[str, Any] = json.loads((metadata or {})[KEY])
            header = cls(**{**stated, "classes": tuple(stated["classes"])})
        except (KeyError, TypeError, ValueError):
            return None
        sound = (
            header.version == VERSION and header.rows > 0 and header.images > 0 and header.form in ("encoded", "raw")
        )
        return header if sound else None


def schema(header: Header) -> Any:
    """The Arrow schema of a pack with this header."""
    return COLUMNS.with_metadata(header.to_metadata())


def sums(batch: Any) -> dict[bytes, bytes]:
    """A batch's metadata: its checksums. Packs from before there were GROUPS have the first alone."""
    groups = {name: checksum([batch.column(column) for column in columns]) for name, columns in GROUPS.items()}
    return {SUM: checksum(batch.columns), **groups}


def as_summed(batch: Any, stated: Mapping[bytes, bytes]) -> bool:
    """Whether a batch is what its metadata say, and they say it."""
    return SUM in stated and stated.items() <= sums(batch).items()


def checksum(columns: Iterable[Any]) -> bytes:
    """CRC-32 over the buffers of columns, one after another, as eight hexadecimal digits.

    The buffers as far as the rows use them: Arrow pads them with bytes that mean nothing.
    """
    crc = 0
    for column in columns:
        crc = zlib.crc32(_values(column), crc)
        if pa.types.is_large_binary(column.type) or pa.types.is_string(column.type):
            crc = zlib.crc32(_offsets(column), crc)
    return f"{crc:08x}".encode()


def _offsets(column: Any) -> memoryview:
    wide = 8 if pa.types.is_large_binary(column.type) else 4
    return memoryview(column.buffers()[1])[column.offset * wide : (column.offset + len(column) + 1) * wide]


def _values(column: Any) -> memoryview:
    """The bytes of a column's values: of fixed width, or all that its offsets span."""
    buffers = column.buffers()
    if len(buffers) == 3:
        offsets = _offsets(column).cast("B").cast("q" if pa.types.is_large_binary(column.type) else "i")
        return memoryview(buffers[2] or b"")[offsets[0] : offsets[-1]]
    wide = column.type.bit_width // 8
    return memoryview(buffers[1])[column.offset * wide : (column.offset + len(column)) * wide]
