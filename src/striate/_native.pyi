"""The native core (native/): pixels to tensors, resizing, counter-based random numbers, convolutions.

Every function releases the GIL while it computes. Arrays are NumPy's or anything that speaks DLPack (torch tensors in
main memory). ValueError, TypeError and IndexError carry one line that names the function, the argument and the remedy.
"""

from collections.abc import Sequence
from typing import Literal, TypeAlias, TypeVar

import numpy as np
import numpy.typing as npt
from torch import Tensor

Bytes: TypeAlias = npt.NDArray[np.uint8]
Floats: TypeAlias = npt.NDArray[np.float32] | Tensor
Filter: TypeAlias = Literal["box", "bilinear", "bicubic", "lanczos"]
Sampler: TypeAlias = Literal["nearest", "bilinear", "bicubic"]
Border: TypeAlias = Literal["constant", "edge", "reflect"]
Number = TypeVar("Number", np.float32, np.float64)
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

def return_memory() -> bool:
    """Return to the system, once, what is free now; whether there was any. glibc only; elsewhere it returns False."""

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

def warp(
    images: list[Bytes],
    geometry: npt.NDArray[np.float64],
    lens: npt.NDArray[np.float64] | None,
    colour: npt.NDArray[np.float32] | None,
    scale: npt.NDArray[np.float32],
    shift: npt.NDArray[np.float32],
    fill: npt.NDArray[np.float32],
    out: Floats | Bytes,
    threads: int,
    *,
    filter: Sampler,
    antialias: bool,
    border: Border,
    isa: Isa | None = None,
) -> None:
    """out[b] = images[b] resampled once, through one colour matrix, times scale plus shift (docs/design/augment.md).

    images: a list of B arrays uint8[Hi, Wi, C], C 1 or 3. geometry float64[B, 3, 3] takes (x, y, 1) of the output to
    the source, pixel (i, j) having its centre at (j + ½, i + ½); lens float64[B, 2] = (k1, k2) bends the output first.
    colour float32[B, C, C + 1] maps bytes to bytes; the result is clipped to 0…255. scale, shift float32[C]. fill
    float32[C] in 0…255 stands outside the source where `border` is "constant". out float32, bfloat16 (a torch tensor)
    or uint8 [B, C, h, w], contiguous or channels-last in memory; uint8 is rounded, and takes scale 1 and shift 0.
    With `antialias` the filter widens where the map shrinks; "nearest" takes one pixel all the same.

    The same bits for every number of `threads`; between instruction sets, within one grey level of `isa="reference"`.
    Raises ValueError, naming the row and its numbers, for a matrix that is not finite or singular, or that sends part
    of the output to infinity; ValueError or TypeError for arrays that do not fit.
    """

def matmul(
    a: npt.NDArray[np.float32],
    b: npt.NDArray[np.float32],
    threads: int = 1,
    *,
    isa: Isa | None = None,
    levels: int = 0,
) -> npt.NDArray[np.float32]:
    """float32[M, N]: the product of a float32[M, K] and b float32[K, N], of any strides.

    With `levels` > 0 by Strassen's seven products, that often. The same bits for every number of threads. Raises
    ValueError when the sizes do not meet.
    """

def reference_conv2d(
    x: npt.NDArray[Number],
    weight: npt.NDArray[Number],
    bias: npt.NDArray[Number] | None,
    *,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> npt.NDArray[Number]:
    """[N, K, P, Q]: the convolution of x [N, C, H, W] with weight [K, C / groups, h, w], all float32 or all float64.

    By the obvious loops, sums in double: what every faster way is held against. stride and dilation are (down, across),
    padding is (top, bottom, left, right). Raises ValueError and TypeError, with the numbers, for what does not fit.
    """

def reference_conv2d_backward_data(
    grad: npt.NDArray[Number],
    weight: npt.NDArray[Number],
    input_size: Sequence[int],
    *,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> npt.NDArray[Number]:
    """[N, C, H, W]: the gradient with respect to x of (H, W) = `input_size`, from that with respect to the output."""

def reference_conv2d_backward_weights(
    x: npt.NDArray[Number],
    grad: npt.NDArray[Number],
    kernel_size: Sequence[int],
    *,
    stride: Sequence[int],
    padding: Sequence[int],
    dilation: Sequence[int],
    groups: int,
) -> npt.NDArray[Number]:
    """[K, C / groups, h, w]: the gradient with respect to the weights, from that with respect to the output."""

def conv_algorithms() -> list[str]:
    """The names of the convolution algorithms, the reference first."""

def conv_refusal(algorithm: str, pass_: str, shape: Sequence[int], from_layout: str, to_layout: str) -> str:
    """Why an algorithm cannot do this; empty if it can. Raises ValueError for names that do not exist."""

def conv_error_bound(algorithm: str, pass_: str, shape: Sequence[int]) -> float:
    """A bound on the error of any result, in units of 2^-24 times the largest sum of absolute products."""

def use_openmp(runner: int) -> None:
    """Run convolutions on the threads of the OpenMP library whose GOMP_parallel lies at this address; 0: on our own."""

def peak_flops(threads: int, seconds: float = 0.1, isa: Isa | None = None) -> float:
    """Floating-point operations a second of a loop of multiply-adds in registers."""

def multiply_adds(threads: int, rounds: int, isa: Isa | None = None) -> float:
    """So many rounds of that loop on every thread, a fixed piece of work; returns its floating-point operations."""

class PackedWeights:
    """Weights in the form in which one plan reads them."""

    @property
    def nbytes(self) -> int: ...

class ConvPlan:
    """An algorithm prepared for one pass of one convolution (native/conv/plan.h).

    It runs on addresses and checks none of them: striate.conv.plan is its one caller. `shape` is (batch, in, out,
    groups) and for rows and columns each (size, kernel, stride, low, high, dilation).
    """

    def __init__(
        self,
        algorithm: str,
        pass_: str,
        shape: Sequence[int],
        from_layout: str,
        to_layout: str,
        threads: int,
        isa: str | None = None,
    ) -> None: ...
    @property
    def workspace_bytes(self) -> int: ...
    @property
    def packed_bytes(self) -> int: ...
    def pack(self, weights: int) -> PackedWeights: ...
    def run(self, images: int, packed: PackedWeights, bias: int, residual: int, relu: bool, result: int) -> None: ...
    def pack_and_run(self, images: int, weights: int, bias: int, residual: int, relu: bool, result: int) -> None: ...
    def run_filters(self, x: int, gradient: int, result: int) -> None: ...

class BfloatConvPlan:
    """ConvPlan of bfloat16 numbers, its bias in float32. `isa` may be any of bfloat16_units()."""

    def __init__(
        self,
        algorithm: str,
        pass_: str,
        shape: Sequence[int],
        from_layout: str,
        to_layout: str,
        threads: int,
        isa: str | None = None,
    ) -> None: ...
    @property
    def workspace_bytes(self) -> int: ...
    @property
    def packed_bytes(self) -> int: ...
    def pack(self, weights: int) -> PackedWeights: ...
    def run(self, images: int, packed: PackedWeights, bias: int, residual: int, relu: bool, result: int) -> None: ...
    def pack_and_run(self, images: int, weights: int, bias: int, residual: int, relu: bool, result: int) -> None: ...

def bfloat16_algorithms() -> list[str]:
    """The names of the algorithms that compute in bfloat16."""

def bfloat16_units() -> list[str]:
    """What multiplies bfloat16 numbers here, from the least to the most capable."""

def bfloat16_unit() -> str:
    """What multiplies bfloat16 numbers in plans that name no instruction set."""

def bfloat16_refusal(algorithm: str, pass_: str, shape: Sequence[int], from_layout: str, to_layout: str) -> str:
    """Why an algorithm cannot do this in bfloat16; empty if it can."""

def bfloat16_error_bound(algorithm: str, pass_: str, shape: Sequence[int]) -> float:
    """As conv_error_bound, of results in bfloat16, their own rounding with it."""
