"""Memory for batches, used again as soon as nobody can see it any more.

Fresh memory is dear: the system hands it out page by page, zeroed, at the first touch. For a batch of 64×3×224×224
floats (38 MB) that takes ten times as long as filling it (docs/design/loader.md). So a block is lent out as a tensor
over a NumPy array; the tensor's storage holds the array, and whoever can see the values (a view, another tensor, an
array made from one, autograd's graph) holds the storage. When the last of them is gone the array goes, and only then
is its block lent again: a batch may be kept for as long as one likes, and nothing written later shows in it.
"""

import weakref
from typing import final

import torch

__all__ = ["Buffers"]


@final
class Buffers:
    """Uninitialised float32 tensors of [≤ shape[0], *shape[1:]], from any thread.

    Blocks are those of full batches; a smaller one, once an epoch, is new memory, and so is page-locked memory: torch
    reuses that by itself, after the GPU has read it.
    """

    def __init__(self, shape: tuple[int, int, int, int], *, channels_last: bool, pin_memory: bool) -> None:
        self._shape = shape
        self._memory_format = torch.channels_last if channels_last else torch.contiguous_format
        self._pin_memory = pin_memory
        self._free: list[torch.Tensor] = []

    def take(self, count: int) -> torch.Tensor:
        """[count, C, h, w] that nobody else sees."""
        if count != self._shape[0] or self._pin_memory:
            return self._new(count)
        try:
            block = self._free.pop()  # atomic, as append is
        except IndexError:
            block = self._new(count)
        lent = block.numpy()
        weakref.finalize(lent, self._free.append, block).atexit = False  # holds the list, not this object
        return torch.from_numpy(lent)

    def _new(self, count: int) -> torch.Tensor:
        return torch.empty(
            (count, *self._shape[1:]),
            dtype=torch.float32,  # whatever torch's default dtype and device are
            device="cpu",
            memory_format=self._memory_format,
            pin_memory=self._pin_memory,
        )
