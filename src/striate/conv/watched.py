"""Who else has to see a convolution: tracers, modes and transformations, from which pointers would hide it.

Our kernels are called on the tensors' memory. That is right for plain tensors in a plain call; where a tracer records
operators, a mode replaces them or a transformation differentiates them, the call has to go by torch's dispatcher.
"""

from typing import Any

import torch
from torch import Tensor, nn
from torch.autograd import forward_ad

__all__ = ["is_transformed", "is_watched"]

_PLAIN = (Tensor, nn.Parameter)
_functorch: Any = torch._C._functorch  # has no types


def is_watched(*tensors: Tensor | None) -> bool:
    """Whether these are no plain tensors (fake ones, proxies, wrappers), or a tracer, mode or transformation is on."""
    for tensor in tensors:
        if tensor is not None and (type(tensor) not in _PLAIN or not torch._C._has_storage(tensor)):
            return True
    return (
        _functorch.peek_interpreter_stack() is not None
        or torch._C._len_torch_dispatch_stack() > 0
        or _is_traced_or_dual()
    )


def is_transformed() -> bool:
    """Whether a transformation is on that our operators do not have: torch.func's but vmap, forward-mode derivatives,
    torch.jit.trace. A compiler is none, and could not look."""
    if torch.compiler.is_compiling():
        return False
    if _is_traced_or_dual():
        return True
    stack = _functorch.get_interpreter_stack() or ()
    return any(level.key() != _functorch.TransformType.Vmap for level in stack)


def _is_traced_or_dual() -> bool:
    return torch._C._get_tracing_state() is not None or forward_ad._current_level >= 0
