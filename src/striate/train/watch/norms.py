"""How far a batch norm's running statistics are from the batches it sees.

Training normalises by the batch, evaluation by the running averages; where the two part, the net that is evaluated is
not the one that was trained. For each layer: `shift`, how many running deviations the batch's channel means lie off
(root mean square over channels), and `scale`, the batch's deviation over the running one (its middle channel).
"""

import contextlib
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from striate.nets.batch_norms import batch_norms

__all__ = ["LayerNorms", "Norms"]


@dataclass(frozen=True, kw_only=True)
class LayerNorms:
    """One batch norm at one batch; see the head of this file."""

    name: str
    shift: float
    scale: float


class Norms:
    """Watches the batch norms of a net inside a `with`, before each takes the batch into its running statistics."""

    def __init__(self, net: nn.Module, *, images: int | None = None) -> None:
        """images: at most so many of each batch are read."""
        self._images = images
        self._modules = [(name, module) for name, module in batch_norms(net).items() if module.track_running_stats]
        self._seen: dict[str, LayerNorms] = {}
        self._hooks = contextlib.ExitStack()
        self.seconds = 0.0  # that reading has taken

    def __enter__(self) -> Self:
        for name, module in self._modules:
            self._hooks.callback(module.register_forward_pre_hook(self._reader(name)).remove)
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hooks.close()

    def layers(self) -> tuple[LayerNorms, ...]:
        """What was seen last, in the order of the forward pass."""
        return tuple(self._seen.values())

    def _reader(self, name: str) -> Callable[[nn.Module, Any], None]:
        @torch.no_grad()
        def read(module: Any, inputs: Any) -> None:
            started = time.perf_counter()
            x: Tensor = inputs[0].detach().float()
            if not module.training or x.numel() <= x.shape[1]:
                return
            axes, shape = [axis for axis in range(x.ndim) if axis != 1], [1, -1] + [1] * (x.ndim - 2)
            running = module.running_var + module.eps
            apart = x[: self._images] - module.running_mean.view(shape)
            count = apart.numel() / apart.shape[1]
            mean = apart.sum(axes) / count
            variance = apart.square_().sum(axes) / count - mean.square()
            shift = float((mean.square() / running).mean().sqrt())
            scale = float(((variance.clamp_min(0) + module.eps) / running).sqrt().median())
            self._seen[name] = LayerNorms(name=name, shift=shift, scale=scale)
            self.seconds += time.perf_counter() - started

        return read
