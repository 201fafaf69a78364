"""How much memory a net takes at most, for inference and for training, without taking it.

Forward, loss and backward run on the meta device; every storage is followed from its birth to its death, as Python and
autograd really free them, and the largest sum is the peak. Parameters, buffers, gradients and what the optimiser
remembers stand beside it. On a CPU, convolutions work on copies in oneDNN's own order, channels padded to a vector,
which count while the convolution runs. Not in it: the interpreter, torch itself, and cuDNN's workspaces on a GPU.
"""

import functools
import operator
import weakref
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any, Literal

import torch
import torch.nn.functional as F
from torch import Tensor, nn
from torch.utils.checkpoint import checkpoint

from striate.arithmetic import OPTIMIZER_COPIES, DoesNotFit
from striate.errors import StriateError, UnknownName, unknown
from striate.nets.inspect.given import Input, inputs_for
from striate.nets.inspect.record import HOMES, REFUSALS, prepared, quiet
from striate.nets.net import Net
from striate.nets.shapes import Shapes
from striate.nets.trace import Path

__all__ = ["MOST_IMAGES", "PRECISIONS", "Memory", "Precision", "largest_batch", "memory"]

Precision = Literal["fp32", "bf16", "fp16"]
PRECISIONS: dict[str, torch.dtype] = {"fp32": torch.float32, "bf16": torch.bfloat16, "fp16": torch.float16}

DEVICES = ("cpu", "cuda")
VECTOR = 16  # channels in a block of oneDNN's nChw16c, the order of AVX-512 (8 with AVX2)
PLAIN_CHANNELS = 4  # up to so many channels oneDNN's first layer reads an image as it lies
STEP_COPIES = {
    "none": 0,
    "sgd": 1,
    "momentum": 1,
}  # of the largest parameter, while it is updated; others 2 (Adam's √v)
MOST_IMAGES = 2**20  # where the search for the largest batch ends


@dataclass(frozen=True, kw_only=True)
class Memory:
    """Bytes at the moment when they are most. `activations_nbytes` is everything that is made on the way, gradients of
    activations included; `step_nbytes` what an update borrows, at another moment.
    """

    batch_size: int
    training: bool
    precision: str
    parameters_nbytes: int
    buffers_nbytes: int
    gradients_nbytes: int
    optimizer_nbytes: int
    step_nbytes: int
    inputs_nbytes: int
    activations_nbytes: int  # at the peak of the passes, gradients of parameters that exist by then included

    @property
    def standing_nbytes(self) -> int:
        """What is there all the time."""
        return self.parameters_nbytes + self.buffers_nbytes + self.optimizer_nbytes + self.inputs_nbytes

    @property
    def peak_nbytes(self) -> int:
        """The most at one time: in the passes, or in the update after them."""
        return sum(self.at_peak.values())

    @property
    def at_peak(self) -> dict[str, int]:
        """What there is at that moment, by name: in the passes, or in the update after them, when activations are gone.

        >>> one = Memory(batch_size=1, training=True, precision="fp32", parameters_nbytes=8, buffers_nbytes=0,
        ...     gradients_nbytes=8, optimizer_nbytes=16, step_nbytes=4, inputs_nbytes=1, activations_nbytes=11)
        >>> one.at_peak, one.peak_nbytes
        ({'parameters': 8, 'buffers': 0, 'optimizer': 16, 'input': 1, 'gradients': 8, 'update': 4}, 37)
        """
        standing = {
            "parameters": self.parameters_nbytes,
            "buffers": self.buffers_nbytes,
            "optimizer": self.optimizer_nbytes,
            "input": self.inputs_nbytes,
        }
        if self.gradients_nbytes + self.step_nbytes > self.activations_nbytes:
            return standing | {"gradients": self.gradients_nbytes, "update": self.step_nbytes}
        made = "activations and gradients" if self.training else "activations"
        return standing | {made: self.activations_nbytes}


def memory(
    module: nn.Module,
    input: Input,
    *,
    batch_size: int = 1,
    optimizer: str | None = None,
    precision: str = "fp32",
    checkpointing: bool | Sequence[str] = False,
    device: str = "cpu",
) -> Memory:
    """The peak of `module` on a batch of inputs like `input`, one image's shape (C, H, W).

    `optimizer` (sgd, momentum, adamw, …) makes it training; without it, it is inference. In 16 bits, inference is a
    net whose parameters are 16 bits wide; training is autocast: parameters, gradients, inputs and what the optimiser
    remembers stay 32 bits wide, activations and copies of parameters and inputs are 16.
    `checkpointing` computes the named modules twice instead of keeping what is inside them; True: the blocks of every
    stage, or the module's children. `device` is cpu or cuda; on the first, convolutions copy what they work on.

    Raises DoesNotFit where the module refuses the input, StriateError for a setting that is not known.

    >>> from striate.nets import create_model
    >>> net = create_model("lenet5", num_classes=10, in_chans=1)
    >>> found = memory(net, (1, 32, 32), batch_size=64, optimizer="momentum")
    >>> found.parameters_nbytes == found.gradients_nbytes == found.optimizer_nbytes == 4 * 61706
    True
    """
    if optimizer is not None and optimizer not in OPTIMIZER_COPIES:
        raise UnknownName(unknown("optimizer", str(optimizer), OPTIMIZER_COPIES))
    if precision not in PRECISIONS:
        raise UnknownName(unknown("precision", str(precision), PRECISIONS))
    device = str(device)  # or torch's own word for it
    if device not in DEVICES:
        raise UnknownName(unknown("device", device, DEVICES))
    try:
        batch_size = operator.index(batch_size)  # NumPy's numbers too
    except TypeError as error:
        raise StriateError(f"a batch has at least 1 image, got {batch_size!r}") from error
    if batch_size < 1:
        raise StriateError(f"a batch has at least 1 image, got {batch_size}")
    training = optimizer is not None
    wide = tuple(_batch(x, batch_size).to("meta") for x in inputs_for(module, input))
    narrow = PRECISIONS[precision] if precision != "fp32" else None  # a net of doubles stays one
    given = tuple(x.to(narrow) if narrow and x.is_floating_point() else x for x in wide)
    mixed = training and narrow is not None  # as autocast does it: 32 bits stand, the passes work on copies in 16

    def fresh() -> nn.Module:
        copied = prepared(module, training=training)
        copied = copied.to(narrow) if narrow else copied
        if training and checkpointing:
            for path in _blocks(module) if checkpointing is True else checkpointing:
                _checkpointed(copied, path)
        return copied

    copied, peak = _passes(fresh, given, training=training, copies=device == "cpu", mixed=mixed)
    trained = [p for p in copied.parameters() if p.requires_grad]
    weights = sum(p.numel() for p in trained)
    if mixed:
        peak += 2 * weights  # a weight's copy, until its gradient takes the place: of that the other half
        peak += sum(x.numel() * x.itemsize for x in given if x.is_floating_point())
    largest = max((p.numel() for p in trained), default=0)
    return Memory(
        batch_size=batch_size,
        training=training,
        precision=precision,
        parameters_nbytes=sum(p.numel() * (4 if mixed else p.itemsize) for p in copied.parameters()),
        buffers_nbytes=sum(
            b.numel() * (4 if mixed and b.is_floating_point() else b.itemsize) for b in copied.buffers()
        ),
        gradients_nbytes=sum(p.numel() * (4 if mixed else p.itemsize) for p in trained) if training else 0,
        optimizer_nbytes=4 * weights * OPTIMIZER_COPIES[optimizer] if optimizer else 0,
        step_nbytes=4 * largest * STEP_COPIES.get(optimizer, 2) if optimizer else 0,
        inputs_nbytes=sum(x.numel() * x.itemsize for x in (wide if mixed else given)),
        activations_nbytes=peak,
    )


def largest_batch(module: nn.Module, input: Input, budget_nbytes: int, **settings: Any) -> Memory:
    """The largest batch whose peak is within `budget_nbytes`, and that peak; `settings` are those of `memory`.

    Two traces give the line that the peak nearly is; the answer is confirmed by traces at it and one image above it.
    Nobody needs more than MOST_IMAGES, where the search ends.

    Raises StriateError when not even one image fits.
    """
    peaks: dict[int, Memory] = {}

    def at(n: int) -> Memory:
        if n not in peaks:
            peaks[n] = memory(module, input, batch_size=n, **settings)
        return peaks[n]

    def fits(n: int) -> bool:
        return at(n).peak_nbytes <= budget_nbytes

    if not fits(1):
        leaner = "a leaner optimizer or checkpointing" if at(1).training else "a smaller net or 16 bits"
        raise StriateError(
            f"not even one image fits {budget_nbytes:,} bytes: {at(1).peak_nbytes:,} are needed; "
            f"use a smaller input, {leaner}"
        )
    low, high = 1, 2
    while fits(high):
        if high == MOST_IMAGES:
            return at(high)
        slope = max(1, (at(high).peak_nbytes - at(low).peak_nbytes) // (high - low))
        room = budget_nbytes - at(high).peak_nbytes
        low, high = high, min(MOST_IMAGES, high + max(1, room // slope))
    while high - low > 1:
        slope = max(1, (at(high).peak_nbytes - at(low).peak_nbytes) // (high - low))
        guess = low + (budget_nbytes - at(low).peak_nbytes) // slope
        middle = min(max(guess, low + 1), high - 1)
        low, high = (middle, high) if fits(middle) else (low, middle)
    return at(low)


def _passes(
    fresh: Callable[[], nn.Module], inputs: tuple[Tensor, ...], *, training: bool, copies: bool, mixed: bool
) -> tuple[nn.Module, int]:
    """A copy that went through, and the most bytes alive at once that were not alive before.

    `mixed`: gradients are made in 16 bits and widened one by one, when both are there.
    """
    first: Exception | None = None
    for home in HOMES:
        module = fresh()
        live = _Live([*module.parameters(), *module.buffers(), *inputs], copies=copies)
        for parameter in module.parameters() if mixed else ():
            if parameter.requires_grad:
                parameter.register_post_accumulate_grad_hook(live.widened)  # type: ignore[no-untyped-call]  # torch's
        try:
            with home(), quiet(), torch.set_grad_enabled(training), live:
                output = Path(module)(*inputs)
                if training:
                    _loss(output).backward()  # type: ignore[no-untyped-call]  # torch has no types here
        except REFUSALS as error:
            first = first or error
            continue
        return module, live.peak
    if isinstance(first, StriateError):
        raise first
    raise DoesNotFit(f"the input does not go through: {str(first).splitlines()[0]}") from first


def _loss(output: Any) -> Tensor:
    """Cross entropy of scores [N, classes]; the sum of whatever else comes out."""
    tensors = [x for x in _flat(output) if x.requires_grad]
    if not tensors:
        raise DoesNotFit("nothing that comes out depends on a parameter that is trained")
    total = torch.zeros((), device="meta")
    for x in tensors:
        if x.ndim == 2:
            target = torch.empty(x.shape[0], dtype=torch.int64, device="meta")
            total = total + F.cross_entropy(x.float(), target)
        else:
            total = total + x.float().sum()
    return total


def _flat(tree: Any) -> list[Tensor]:
    if isinstance(tree, Tensor):
        return [tree]
    items = tree.values() if isinstance(tree, dict) else tree if isinstance(tree, tuple | list) else ()
    return [x for item in items for x in _flat(item)]


class _Live(Shapes):
    """Bytes of the storages that are alive and were made under this mode."""

    def __init__(self, standing: list[Tensor], *, copies: bool) -> None:
        super().__init__()
        self._copies = copies
        self.now = self.peak = 0
        self._standing = {x.untyped_storage()._cdata for x in standing}
        self._known: dict[int, weakref.ref[Any]] = {}

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        output = super().__torch_dispatch__(func, types, args, kwargs)
        for x in _flat(output):
            self._born(x)
        if self._copies:
            self.borrowed(_copied(func._schema.name, args, output))
        return output

    def borrowed(self, nbytes: int) -> None:
        """So many bytes more for a moment."""
        self.peak = max(self.peak, self.now + nbytes)

    def widened(self, parameter: Tensor) -> None:
        """Its gradient in 16 bits is there beside the one in 32, of which half is counted as its copy was."""
        self.borrowed(parameter.numel() * parameter.itemsize)

    def _born(self, x: Tensor) -> None:
        storage = x.untyped_storage()
        key, nbytes = storage._cdata, storage.nbytes()
        if key in self._known or key in self._standing:
            return

        def died(_: Any) -> None:
            self._known.pop(key, None)
            self.now -= nbytes

        self._known[key] = weakref.ref(storage, died)
        self.now += nbytes
        self.borrowed(0)


def _copied(name: str, args: Any, output: Any) -> int:
    """Bytes that a convolution on a CPU borrows: what it reads and what it writes, in blocks of channels.

    Forward, the copy of what is read is gone before the result is written out, and a page that was never written to
    is not resident.
    """
    if name == "aten::convolution_backward":
        return _blocked(args[0]) + _blocked(args[1])
    if name != "aten::convolution":
        return 0
    plain: int = output.numel() * output.itemsize
    return max(_blocked(output), _blocked(args[0]) + _blocked(output) - plain)


def _blocked(x: Tensor) -> int:
    """Bytes of a map whose channels are padded to whole vectors; none where it can be read as it lies."""
    last = x.ndim == 4 and x.shape[1] > 1 and x.is_contiguous(memory_format=torch.channels_last)
    if x.ndim < 3 or x.shape[1] <= PLAIN_CHANNELS or last:
        return 0
    return x.numel() // x.shape[1] * -(-x.shape[1] // VECTOR) * VECTOR * x.itemsize


def _batch(x: Tensor, batch_size: int) -> Tensor:
    """`batch_size` times as many; an input that already is a batch is one of the images there are to be."""
    return x if batch_size == 1 else x.new_empty((x.shape[0] * batch_size, *x.shape[1:]), device="meta")


def _blocks(module: nn.Module) -> list[str]:
    """The blocks of every stage; the children that have children where there are no stages."""
    stages = [s.name for s in module.stages] if isinstance(module, Net) else []
    blocks = [
        f"{stage}.{name}"
        for stage in stages
        for name, child in module.get_submodule(stage).named_children()
        if next(child.children(), None) is not None
    ]
    return blocks or [name for name, child in module.named_children() if next(child.children(), None) is not None]


def _checkpointed(module: nn.Module, path: str) -> None:
    parts = dict(module.named_modules())
    if path not in parts:
        raise UnknownName(unknown("module", path, [name for name in parts if name]))
    part = parts[path]
    part.forward = functools.partial(checkpoint, part.forward, use_reentrant=False)
