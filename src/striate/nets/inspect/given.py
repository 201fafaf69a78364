"""What a net is asked with: a shape or a tensor, told apart and made ready for a walk."""

from collections.abc import Sequence
from numbers import Integral
from typing import Any

import torch
from torch import Tensor, nn

from striate.errors import StriateError
from striate.errors import given as told
from striate.nets.net import Net

__all__ = ["Input", "inputs_for", "spatial_axes"]

Input = Any  # Tensor | Sequence[int] | Sequence[Input]: a tensor, a shape, or several of them

_DIMS: tuple[tuple[tuple[str, ...], int], ...] = tuple(
    ((f"Conv{n}d", f"ConvTranspose{n}d", f"MaxPool{n}d", f"AvgPool{n}d", f"BatchNorm{n}d"), n) for n in (2, 3, 1)
)


def inputs_for(module: nn.Module, given: Input) -> tuple[Tensor, ...]:
    """Tensors on the meta device for `given`.

    A shape is one image without its batch where it has as many numbers as the module's convolutions have axes, and one
    (channels); it is taken as it stands otherwise. Modules without convolutions are asked with images, too: (C, H, W).
    Its type is that of the module's parameters; for token numbers, or sequences (N, T, F), give a tensor.

    Raises StriateError for what is neither, and for what is no module.
    """
    if not isinstance(module, nn.Module):
        raise StriateError(f"a net is given as a module, as create_model makes it, got {told(module)}")
    if isinstance(given, Tensor):
        return (given,)
    several = list(given) if isinstance(given, Sequence) and not isinstance(given, str) else []
    if several and all(isinstance(side, Integral) and not isinstance(side, bool) for side in several):
        shape = tuple(int(side) for side in several)
        if min(shape) < 1:
            raise StriateError(f"an input has at least one element along each axis, got {'×'.join(map(str, shape))}")
        if len(shape) == _axes_of(module) + 1:
            shape = (1, *shape)
        dtype = next((p.dtype for p in module.parameters() if p.is_floating_point()), torch.float32)
        return (torch.empty(shape, dtype=dtype, device="meta"),)
    if several and all(isinstance(one, Tensor | Sequence) and not isinstance(one, str) for one in several):
        return tuple(tensor for one in several for tensor in inputs_for(module, one))
    raise StriateError(f"an input is a shape such as (3, 224, 224), a tensor, or a tuple of them; got {told(given)}")


def spatial_axes(module: nn.Module, x: Tensor) -> tuple[int, ...]:
    """The dimensions of the first input that are axes of an image, a volume, a signal or a sequence."""
    if x.ndim >= 4:
        return tuple(range(2, x.ndim))
    if x.ndim == 3:
        recurrent = next((part for part in module.modules() if isinstance(part, nn.RNNBase)), None)
        if _axes_of(module, default=0) == 1:
            return (2,)
        return (1,) if recurrent is None or recurrent.batch_first else (0,)
    return (1,) if x.ndim == 2 and not x.is_floating_point() else ()


def _axes_of(module: nn.Module, default: int = 2) -> int:
    """Axes of the first convolution, pool or batch norm: 1, 2 or 3."""
    if isinstance(module, Net):
        return 2
    for part in module.modules():
        for kinds, axes in _DIMS:
            if any(kind in kinds for kind in (base.__name__ for base in type(part).__mro__)):
                return axes
    return default
