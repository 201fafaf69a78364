"""Build a net without its weights: shapes on the meta device, and no drawing of numbers that nobody will see.

On the meta device alone an initialisation still runs through Python versions of torch's random functions, whose first
use loads the compiler: more than a second, longer than everything else that `striate inspect` does.
"""

import contextlib
from collections.abc import Iterator
from typing import Any

import torch

from striate.nets.mode import Mode

__all__ = ["weightless"]


@contextlib.contextmanager
def weightless() -> Iterator[None]:
    """Tensors made inside have a shape and no numbers, and writing into them in place does nothing.

    >>> with weightless():
    ...     layer = torch.nn.Linear(10**6, 10**6)
    >>> layer.weight.shape, layer.weight.device.type
    (torch.Size([1000000, 1000000]), 'meta')
    """
    with torch.device("meta"), _Undrawn():
        yield


class _Undrawn(Mode):
    """In-place operators on tensors without numbers are left out."""

    def __torch_dispatch__(self, func: Any, types: Any, args: Any = (), kwargs: Any = None) -> Any:
        in_place = func._schema.name.endswith("_") and func._schema.is_mutable
        if in_place and args and isinstance(args[0], torch.Tensor) and args[0].is_meta:
            return args[0]
        return func(*args, **(kwargs or {}))
