"""What training asks of the process that it is in: threads, a heap that keeps what it has, and no subnormal numbers.

A net whose weights decay to nothing (a penalty far too strong, as the first stage of a search has many) computes with
numbers below 1.2e-38, which processors take a hundred times longer over than over others: 140 times for the product of
CIFAR-10's 3,072 × 50 on the machine this was found on, so a trial took 62 s in place of 5. They are taken for zero, as
TensorFlow does, and as the formats that nets are deployed in do.
"""

import torch

from striate import _native

__all__ = ["prepare_process"]


def prepare_process(threads: int | None = None) -> None:
    """Once, before anything is computed: threads of PyTorch that are there already keep to subnormal numbers.

    `threads`: that sums are split among; None leaves PyTorch's choice.
    """
    if threads is not None:
        torch.set_num_threads(threads)
    torch.set_flush_denormal(True)  # where the processor can; threads take it over from the one that starts them
    _native.keep_memory()
