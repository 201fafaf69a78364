"""The IDX format of MNIST and its kin: a big-endian header, then unsigned bytes.

    0 0 type dimensions | size of each dimension, 4 bytes, most significant first | the values, last dimension fastest

(LeCun, Cortes & Burges, "The MNIST database of handwritten digits", file formats.) Only type 0x08, unsigned bytes,
which is all that these sets use. A file is read strictly: one byte too few or too many, and it is refused.
"""

import gzip
import math
import struct
import zlib
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from striate.errors import StriateError

__all__ = ["read_idx"]

MAX_NBYTES = 1 << 32  # MNIST takes 47 MB; a header that asks for more than 4 GiB is a broken one


def read_idx(path: Path, dimensions: int) -> NDArray[np.uint8]:
    """The array in an IDX file, plain or gzipped, uint8 of `dimensions` dimensions.

    Raises StriateError, naming the file and the numbers, when it is not exactly that.
    """
    try:
        with path.open("rb") as raw:
            zipped = raw.read(2) == b"\x1f\x8b"  # RFC 1952, §2.3.1: by content, since browsers unpack and keep names
        with gzip.open(path) if zipped else path.open("rb") as file:
            head = file.read(4 + 4 * dimensions)
            shape = _shape(path, head, dimensions)
            expected = math.prod(shape)
            data = file.read(expected + 1)  # one more, to see that there is no more; never what the file claims to be
    except (EOFError, zlib.error, gzip.BadGzipFile) as error:
        raise StriateError(f"{path} is a damaged or truncated gzip file ({error}); get it again") from error
    except OSError as error:
        raise StriateError(f"cannot read {path}: {error.strerror or error}") from error
    if len(data) != expected:
        held = f"only {len(data)}" if len(data) < expected else "more"
        sizes = "×".join(str(size) for size in shape)
        raise StriateError(f"{path} announces {sizes} = {expected} bytes and holds {held}; get it again")
    return np.frombuffer(data, np.uint8).reshape(shape)


def _shape(path: Path, head: bytes, dimensions: int) -> tuple[int, ...]:
    magic = bytes([0, 0, 8, dimensions])
    if head[:4] != magic:
        given = head[:4].hex(" ") or "nothing"
        raise StriateError(
            f"{path} begins with {given}, where an IDX file of bytes in {dimensions} dimensions begins with "
            f"{magic.hex(' ')}; it is another file under this name, get it again"
        )
    if len(head) < 4 + 4 * dimensions:
        raise StriateError(f"{path} ends inside its header, after {len(head)} bytes; get it again")
    shape = struct.unpack(f">{dimensions}I", head[4:])
    if math.prod(shape) > MAX_NBYTES:
        raise StriateError(f"{path} announces {'×'.join(map(str, shape))} bytes, which no such set has; get it again")
    return shape
