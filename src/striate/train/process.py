"""What training asks of the process that it is in: threads, a heap that keeps what it has, and no subnormal numbers."""

import contextlib
from collections.abc import Iterator

import torch

from striate import _native

__all__ = ["prepare_process", "subnormals_are_zero"]

SUBNORMAL = 1e-40  # below float32's smallest normal number, 1.2e-38


def prepare_process(threads: int | None = None) -> None:
    """`threads`: that sums are split among; None leaves PyTorch's choice."""
    if threads is not None:
        torch.set_num_threads(threads)
    _native.keep_memory()


@contextlib.contextmanager
def subnormals_are_zero() -> Iterator[None]:
    """Numbers too small for float32's full precision count as zero in this thread, and in those that it starts.

    A net whose weights decay to nothing (a penalty far too strong, as the first stage of a search has many) computes
    with them, and processors take a hundred times longer over each: 140 times for the product of CIFAR-10's 3,072 × 50
    on the machine this was found on, so a trial took 62 s in place of 5. TensorFlow does the same. Threads of PyTorch's
    that are there already keep to subnormal numbers; this one has them back at the end.
    """
    before = bool(torch.full((1,), SUBNORMAL).mul(1.0).count_nonzero())
    torch.set_flush_denormal(True)  # where the processor can
    try:
        yield
    finally:
        torch.set_flush_denormal(not before)
