"""Is this a whole file of Caffe's binary messages? Asked before anything is built from it.

The encoding (protobuf.dev, "Encoding"): a message is a run of fields, each a varint of 8 × number + wire type and then
its value: a varint (0), eight bytes (1), a length and so many bytes (2), four bytes (5). Here the fields of a net and
of its layers are walked over and nothing is kept: a length beyond the end is named with its place, and a file of
millions of empty messages is refused, because each would cost far more in memory than it takes in the file.
"""

from collections.abc import Iterator

from striate.errors import StriateError

__all__ = ["check_net"]

LAYERS = (2, 100)  # of NetParameter: the layers of the old format and of the new
MOST_FIELDS = 200_000  # of a net and its layers together; ResNet-152 has about 8,000
VARINT, EIGHT_BYTES, RUN, FOUR_BYTES = 0, 1, 2, 5


def check_net(data: bytes, path: object) -> None:
    """Walk over a NetParameter and its layers. Raises StriateError, one line that names `path` and the place."""
    fields = 0
    for number, start, end in _fields(data, 0, len(data), path):
        fields += 1
        if number in LAYERS and start < end:
            for _ in _fields(data, start, end, path):
                fields += 1
                if fields > MOST_FIELDS:
                    break
        if fields > MOST_FIELDS:
            raise StriateError(f"{path} holds more than {MOST_FIELDS:,} fields, which no net does; use another file")


def _fields(data: bytes, position: int, end: int, path: object) -> Iterator[tuple[int, int, int]]:
    """(number, start, end of the value) for every field of the message data[position:end]."""
    while position < end:
        begin = position
        tag, position = _varint(data, position, end, path)
        number, kind = tag >> 3, tag & 7
        if kind == VARINT:
            start = position
            _, position = _varint(data, position, end, path)
        elif kind == RUN:
            length, start = _varint(data, position, end, path)
            position = start + length
        elif kind in (EIGHT_BYTES, FOUR_BYTES):
            start, position = position, position + (8 if kind == EIGHT_BYTES else 4)
        else:
            number = 0  # groups, and numbers that mean nothing
        if number == 0:
            raise StriateError(f"{path} is no caffemodel: byte {begin:,} begins no field; is it another kind of file?")
        if position > end:
            raise StriateError(
                f"{path} is cut short or damaged: field {number} at byte {begin:,} claims {position - start:,} bytes "
                f"where {end - start:,} are left; use another copy"
            )
        yield number, start, position


def _varint(data: bytes, position: int, end: int, path: object) -> tuple[int, int]:
    """A number in groups of seven bits, lowest first, and the position after it."""
    value = 0
    for shift in range(0, 70, 7):
        if position >= end:
            raise StriateError(f"{path} is cut short: it ends within a number at byte {position:,}; use another copy")
        byte = data[position]
        position += 1
        value |= (byte & 0x7F) << shift
        if byte < 0x80:
            return value, position
    raise StriateError(f"{path} is damaged: the number before byte {position:,} has no end; use another copy")
