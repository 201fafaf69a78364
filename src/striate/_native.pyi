"""The native core (native/): pixels to tensors, resizing, counter-based random numbers.

Every function releases the GIL while it computes. Arrays are NumPy's or anything that speaks DLPack (torch tensors in
main memory). ValueError, TypeError and IndexError carry one line that names the function, the argument and the remedy.
"""

from typing import Literal, TypeAlias

import numpy as np
import numpy.typing as npt
from torch import Tensor

Bytes: TypeAlias = npt.NDArray[np.uint8]
Floats: TypeAlias = npt.NDArray[np.float32] | Tensor
Filter: TypeAlias = Literal["box", "bilinear", "bicubic", "lanczos"]
Isa: TypeAlias = Literal["reference", "portable", "avx2", "avx512"]

def isa() -> str:
    """The instruction set in use: "portable", "avx2" or "avx512".

    The most capable one that processor and system support, or what the environment variable STRIATE_ISA names.
    Raises ValueError, saying what is available, when STRIATE_ISA names one that is unknown or that the machine lacks;
    so do the functions below.
    """

def available_isas() -> list[str]:
    """The instruction sets this machine can run, from the least to the most capable."""

def cpu_features() -> list[str]:
    """The processor features that matter here, enabled by the system: "avx2", "avx512vnni", …"""

def keep_memory() -> bool:
    """Keep freed memory in the process instead of returning it to the system at once; whether that was possible.

    For programs that allocate and free the same large tensors again and again (native/memory/keep.h says why). glibc
    only; elsewhere it does nothing and returns False. The process keeps its high-water mark of memory.
    """

def philox(seed: int, epoch: int, samples: npt.NDArray[np.int64], stream: int) -> npt.NDArray[np.uint32]:
    """uint32[N, 4]: four random words per sample, a function of the arguments alone.

    Philox4x32-10 (Salmon 2011): key = seed (64 bit), counter = (sample low, sample high, epoch, stream).
    `seed` is from 0 to 2**64 - 1, `epoch` and `stream` from 0 to 2**32 - 1, `samples` int64[N].
    """

def philox_block(counter: npt.NDArray[np.uint32], key: npt.NDArray[np.uint32]) -> npt.NDArray[np.uint32]:
    """uint32[4]: one block of Philox4x32-10 for a counter uint32[4] and a key uint32[2]."""

def batch_from_array(
    images: Bytes,
    indices: npt.NDArray[np.int64],
    windows: npt.NDArray[np.int32],
    fill: Bytes,
    scale: npt.NDArray[np.float32],
    shift: npt.NDArray[np.float32],
    out: Floats,
    threads: int,
    *,
    isa: Isa | None = None,
) -> None:
    """out[b] = window b of images[indices[b]], times scale plus shift.

    images uint8[N, H, W, C]; indices int64[B]; windows int32[B, 3] = (top, left, flip): where the window of h×w pixels
    begins in the image, and whether it is mirrored left to right. It may lie partly or wholly outside, where pixels
    are fill uint8[C]. scale, shift float32[C]; out float32[B, C, h, w], contiguous or channels-last in memory. In
    single precision, rounded after the product and after the sum: the same bits whatever the `isa` and `threads`.

    Raises IndexError for an index out of range, naming it; ValueError or TypeError for arrays that do not fit.
    """

def batch_from_list(
    images: list[Bytes],
    windows: npt.NDArray[np.int32],
    fill: Bytes,
    scale: npt.NDArray[np.float32],
    shift: npt.NDArray[np.float32],
    out: Floats,
    threads: int,
    *,
    isa: Isa | None = None,
) -> None:
    """out[b] = window b of images[b], times scale plus shift: `batch_from_array` for images of different sizes.

    images: a list of B arrays uint8[Hi, Wi, C].
    """

def resize(image: Bytes, height: int, width: int, filter: Filter = "bilinear", *, isa: Isa | None = None) -> Bytes:
    """uint8[height, width, C]: `image` uint8[H, W, C] resampled with antialiasing, equal to Pillow's bit for bit.

    Raises ValueError for an empty image, a side below 1, an unknown filter.
    """
