"""A convolution prepared once and run often, by an algorithm of one's choice: the face of native/conv/plan.h.

>>> import torch
>>> x, weight = torch.ones(1, 2, 5, 5), torch.ones(3, 2, 3, 3)
>>> prepared = plan(ConvShape.of(x.shape, weight.shape), algorithm="winograd2")
>>> prepared.run(x, prepared.pack(weight))[0, 0]
tensor([[18., 18., 18.],
        [18., 18., 18.],
        [18., 18., 18.]])
"""

from functools import lru_cache
from typing import Literal, TypeAlias

import torch
from torch import Tensor

from striate import _native
from striate.conv.shape import ConvShape, WrongShape
from striate.conv.team import join_torch, team_size
from striate.errors import unknown

__all__ = [
    "Element",
    "Layout",
    "Pass",
    "Plan",
    "algorithms",
    "blocked_size",
    "element_of",
    "from_blocked",
    "laid_out",
    "layout_of",
    "plan",
    "refusal",
    "to_blocked",
]

Layout: TypeAlias = Literal["nchw", "channels_last", "blocked"]
Isa: TypeAlias = Literal["portable", "avx2", "avx512", "avx512_bf16", "amx"]  # the last two for bfloat16 only
Element: TypeAlias = Literal["float32", "bfloat16"]
Pass: TypeAlias = Literal["forward", "backward_data", "backward_weights"]

BLOCK = 16  # channels of a block: native/conv/layout.h


_NAMES = tuple(_native.conv_algorithms())
_NAMES_BFLOAT16 = tuple(_native.bfloat16_algorithms())
_DTYPES: dict[Element, torch.dtype] = {"float32": torch.float32, "bfloat16": torch.bfloat16}
_ELEMENTS = {dtype: element for element, dtype in _DTYPES.items()}


def algorithms() -> tuple[str, ...]:
    """The names of the algorithms, the reference first."""
    return _NAMES


def refusal(
    algorithm: str,
    pass_: Pass,
    shape: ConvShape,
    from_layout: Layout = "nchw",
    to_layout: Layout = "nchw",
    element: Element = "float32",
) -> str:
    """Why `algorithm` cannot do this; empty if it can. Raises ValueError for a name that does not exist."""
    if algorithm not in algorithms():
        raise WrongShape(unknown("algorithm", str(algorithm), algorithms()))
    if element not in _DTYPES:
        raise WrongShape(unknown("element", str(element), _DTYPES))
    if element == "bfloat16":
        if algorithm not in _NAMES_BFLOAT16:
            return f"does not compute in bfloat16; {', '.join(_NAMES_BFLOAT16)} do"
        return _native.bfloat16_refusal(algorithm, pass_, shape.numbers, from_layout, to_layout)
    return _native.conv_refusal(algorithm, pass_, shape.numbers, from_layout, to_layout)


def element_of(x: Tensor) -> Element | None:
    """What plans call its dtype; None for one that none computes in."""
    return _ELEMENTS.get(x.dtype)


def layout_of(x: Tensor) -> Layout | None:
    """How a dense [N, C, H, W] tensor lies in memory; None if in neither way."""
    if x.is_contiguous():
        return "nchw"
    return "channels_last" if x.is_contiguous(memory_format=torch.channels_last) else None


def blocked_size(size: tuple[int, int, int, int]) -> tuple[int, int, int, int, int]:
    """[N, ⌈C / 16⌉, H, W, 16]: the blocked layout of [N, C, H, W]."""
    batch, channels, height, width = size
    return (batch, -(-channels // BLOCK), height, width, BLOCK)


def to_blocked(x: Tensor) -> Tensor:
    """[N, C, H, W] to [N, ⌈C / 16⌉, H, W, 16], the channels that are missing being zero."""
    batch, channels, height, width = x.shape
    size = blocked_size((batch, channels, height, width))
    padded = torch.nn.functional.pad(x, (0, 0, 0, 0, 0, size[1] * BLOCK - channels))
    return padded.view(batch, size[1], BLOCK, height, width).permute(0, 1, 3, 4, 2).contiguous()


def from_blocked(x: Tensor, channels: int) -> Tensor:
    """[N, B, H, W, 16] to [N, channels, H, W]."""
    batch, blocks, height, width, _ = x.shape
    if not (blocks - 1) * BLOCK < channels <= blocks * BLOCK:
        raise WrongShape(f"from_blocked: {blocks} × {BLOCK} channels in blocks are not {channels} channels")
    return x.permute(0, 1, 4, 2, 3).reshape(batch, blocks * BLOCK, height, width)[:, :channels].contiguous()


def laid_out(x: Tensor, layout: Layout) -> Tensor:
    """[N, C, H, W], wherever it lies, as `layout` has it in memory; itself if it lies so."""
    if layout == "blocked":
        return to_blocked(x)
    return x.contiguous(memory_format=torch.channels_last if layout == "channels_last" else torch.contiguous_format)


def plan(
    shape: ConvShape,
    algorithm: str,
    pass_: Pass = "forward",
    *,
    from_layout: Layout = "nchw",
    to_layout: Layout = "nchw",
    threads: int | None = None,
    isa: Isa | None = None,
    element: Element = "float32",
) -> "Plan":
    """The plan of `algorithm` for one pass of `shape`; the same object for the same arguments.

    `from_layout` is that of x (of dy in "backward_data"); `to_layout` that of y (of dx in "backward_data", of dy in
    "backward_weights"). `threads` is torch's number, as it is now, if not given. `element` is what images, weights and
    result are made of; in "bfloat16", sums are float32 and each result is rounded once.
    Raises WrongShape, with the reason, for what the algorithm cannot do, and for a name that does not exist.
    """
    return _plan_made_once(shape, algorithm, pass_, from_layout, to_layout, threads or team_size(), isa, element)


class Plan:
    """See `plan`. Safe to use from several threads at once."""

    def __init__(
        self,
        shape: ConvShape,
        algorithm: str,
        pass_: Pass,
        from_layout: Layout,
        to_layout: Layout,
        threads: int,
        isa: Isa | None,
        element: Element,
    ) -> None:
        why = refusal(algorithm, pass_, shape, from_layout, to_layout, element)
        if why:
            raise WrongShape(f"{algorithm} cannot compute {shape} ({pass_}): it {why}")
        join_torch()
        self.shape, self.algorithm, self.pass_ = shape, algorithm, pass_
        self.from_layout, self.to_layout, self.threads = from_layout, to_layout, threads
        self.element, self._dtype = element, _DTYPES[element]
        native = _native.BfloatConvPlan if element == "bfloat16" else _native.ConvPlan
        self._native: _native.ConvPlan | _native.BfloatConvPlan = native(
            algorithm, pass_, shape.numbers, from_layout, to_layout, threads, isa
        )
        forward = pass_ == "forward"
        self._images = shape.images if pass_ != "backward_data" else shape.result
        self._result = shape.result if forward else shape.images

    @property
    def workspace_bytes(self) -> int:
        """Bytes that a run needs beside images, packed weights and result."""
        return self._native.workspace_bytes

    @property
    def packed_bytes(self) -> int:
        """Bytes of the weights in the form in which the algorithm reads them."""
        return self._native.packed_bytes

    @property
    def bytes_needed(self) -> int:
        """Of both: all that a run needs beside images and result."""
        return self.workspace_bytes + self.packed_bytes

    def pack(self, weight: Tensor) -> _native.PackedWeights:
        """The weights [K, C / groups, h, w] in the form that `run` takes: for weights that are used more than once."""
        dense = self._dense(
            weight, self.shape.filters, "the weights", "nchw"
        )  # perhaps a copy: it has to live until packed
        return self._native.pack(dense.data_ptr())

    def empty(self) -> Tensor:
        """A result, not initialised, in `to_layout`."""
        return empty(self._result, self.to_layout, self._dtype)

    def run(
        self,
        images: Tensor,
        packed: _native.PackedWeights | Tensor,
        *,
        bias: Tensor | None = None,
        residual: Tensor | None = None,
        relu: bool = False,
        out: Tensor | None = None,
    ) -> Tensor:
        """relu(conv(images) + bias + residual), or of the gradient `images` in "backward_data".

        `packed` is what `pack` gave, of this plan or of one made from the same, or weights as they are, which are then
        packed for this run. `residual` and `out` lie as the result does, `out` apart from all that is read. The bias
        of a bfloat16 plan may be float32 too. Raises WrongShape for tensors that are not of the plan's element, of
        these sizes and in these layouts, and ValueError where `out` overlaps what is read, and for another plan's
        weights.
        """
        images = self._dense(images, self._images, "the images", self.from_layout)
        if out is None:
            out = self.empty()
        elif self._dense(out, self._result, "out", self.to_layout) is not out:
            raise WrongShape(f"conv2d: out is not dense in the layout {self.to_layout}")
        if bias is not None:
            wide = bias.float() if bias.dtype == self._dtype else bias
            bias = _dense(wide, (self._result[1],), "the bias", "nchw", torch.float32)
        if residual is not None:
            residual = self._dense(residual, self._result, "the residual", self.to_layout)
        extras = (0 if bias is None else bias.data_ptr(), 0 if residual is None else residual.data_ptr(), relu)
        if isinstance(packed, Tensor):
            weight = self._dense(packed, self.shape.filters, "the weights", "nchw")
            self._native.pack_and_run(images.data_ptr(), weight.data_ptr(), *extras, out.data_ptr())
        else:
            self._native.run(images.data_ptr(), packed, *extras, out.data_ptr())
        return out

    def gradient(self, images: Tensor, gradient: Tensor) -> Tensor:
        """The gradient of the weights [K, C / groups, h, w], in "backward_weights", from x and that of the result."""
        assert isinstance(self._native, _native.ConvPlan), "no plan in bfloat16 is for the gradient of weights"
        images = self._dense(images, self.shape.images, "the images", self.from_layout)
        gradient = self._dense(gradient, self.shape.result, "the gradient", self.to_layout)
        result = torch.empty(self.shape.filters, dtype=torch.float32, device="cpu")
        self._native.run_filters(images.data_ptr(), gradient.data_ptr(), result.data_ptr())
        return result

    def _dense(self, given: Tensor, size: tuple[int, ...], what: str, layout: Layout) -> Tensor:
        return _dense(given, size, what, layout, self._dtype)


def empty(size: tuple[int, int, int, int], layout: Layout, dtype: torch.dtype = torch.float32) -> Tensor:
    """Not initialised, lying in `layout`."""
    if layout == "blocked":
        return torch.empty(blocked_size(size), dtype=dtype, device="cpu")
    memory_format = torch.channels_last if layout == "channels_last" else torch.contiguous_format
    return torch.empty(size, dtype=dtype, device="cpu", memory_format=memory_format)


def _dense(given: Tensor, size: tuple[int, ...], what: str, layout: Layout, dtype: torch.dtype) -> Tensor:
    """`given`, or a copy of it that is dense in `layout`."""
    wanted = blocked_size(size) if layout == "blocked" and len(size) == 4 else size
    if given.dtype != dtype or given.device.type != "cpu" or given.shape != wanted:
        raise WrongShape(
            f"conv2d: {what} must be {str(dtype).removeprefix('torch.')}{list(wanted)} on the CPU, not "
            f"{str(given.dtype).removeprefix('torch.')}{list(given.shape)} on {given.device.type}"
        )
    given = given.resolve_neg()  # a view of negated numbers, as imaginary parts are
    if layout == "channels_last":
        return given.contiguous(memory_format=torch.channels_last)
    return given.contiguous()


_plan_made_once = lru_cache(maxsize=4096)(Plan)
