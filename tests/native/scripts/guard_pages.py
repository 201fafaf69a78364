"""Arrays that end, or begin, exactly where forbidden memory does: touching one byte too many ends the process."""

import ctypes
import itertools
import mmap
import sys

import numpy as np

from striate import _native

PAGE = mmap.PAGESIZE
PROT_NONE = 0  # sys/mman.h


class Arena:
    """One stretch of memory with a forbidden page before and behind it, used again for every array."""

    def __init__(self, libc: ctypes.CDLL, nbytes: int) -> None:
        self.size = -(-nbytes // PAGE) * PAGE
        self.mapping = mmap.mmap(-1, self.size + 2 * PAGE)
        start = ctypes.addressof(ctypes.c_char.from_buffer(self.mapping))
        for page in (start, start + PAGE + self.size):
            assert libc.mprotect(ctypes.c_void_p(page), ctypes.c_size_t(PAGE), PROT_NONE) == 0

    def array(self, shape, dtype, at_end):
        count = int(np.prod(shape))
        nbytes = count * np.dtype(dtype).itemsize
        assert nbytes <= self.size
        return np.frombuffer(self.mapping, dtype, count, PAGE + (self.size - nbytes if at_end else 0)).reshape(shape)


def convert(isa: str, source: Arena, target: Arena) -> None:
    widths = [*range(1, 20), 31, 32, 33, 48, 63, 64, 65]
    for channels, width, at_end, flip, last in itertools.product((1, 2, 3), widths, (0, 1), (0, 1), (0, 1)):
        images = source.array((2, 3, width, channels), np.uint8, at_end)
        if last:
            out = target.array((2, 3, width, channels), np.float32, at_end).transpose(0, 3, 1, 2)
        else:
            out = target.array((2, channels, 3, width), np.float32, at_end)
        for left in (0, 1, -1):
            windows = np.array([[0, left, flip], [left, 0, flip]], np.int32)
            fill, ones = np.zeros(channels, np.uint8), np.ones(channels, np.float32)
            _native.batch_from_array(images, np.array([1, 0]), windows, fill, ones, ones, out, 1, isa=isa)


def resize(isa: str, source: Arena) -> None:
    sides = [1, 2, 3, 4, 5, 7, 16, 17, 33, 40]
    for channels, height, width, at_end in itertools.product((1, 2, 3), sides, sides, (0, 1)):
        image = source.array((height, width, channels), np.uint8, at_end)
        for side, name in itertools.product((1, 3, 16, 37), ("box", "bilinear", "lanczos")):
            for size in ((side, 41 - side), (height, side), (side, width)):
                _native.resize(image, *size, name, isa=isa)


def main(isa: str) -> None:
    libc = ctypes.CDLL(None, use_errno=True)
    source, target = Arena(libc, 1 << 14), Arena(libc, 1 << 13)
    convert(isa, source, target)
    resize(isa, source)


if __name__ == "__main__":
    main(sys.argv[1])
