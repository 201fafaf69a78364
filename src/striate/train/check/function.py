"""The function whose gradients are checked: a float64 copy, evaluated with the same draws and buffers every time."""

import contextlib
import copy
import math
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass
from typing import Any, TypeAlias

import torch
from torch import Tensor, nn

from striate.errors import StriateError, unknown
from striate.train.check.slope import noise_of

__all__ = ["Function", "Loss", "Point"]

Loss: TypeAlias = Callable[[Any], Tensor]

NUDGE = 1e-3  # of the size of each tensor: beside the point, where ties are broken
LEAST_SIZE = 1e-3  # of what is moved, where values are nearly zero; biases of zero move by 1


@dataclass(frozen=True, kw_only=True)
class Point:
    """Values of all tensors, the loss there, and its gradient."""

    tensors: Mapping[str, Tensor]
    gradients: Mapping[str, Tensor]
    value: float


class Function:
    """The function under test: a float64 copy, evaluated with the same draws and the same buffers every time."""

    def __init__(
        self,
        module: Callable[..., Any],
        inputs: tuple[Any, ...],
        loss: Loss | None,
        seed: int,
        wrt_inputs: bool,
        only: Collection[str] | None,
    ) -> None:
        self._given = module
        self._inputs = inputs
        self._loss = loss or _weighted_sum(seed)
        self._seed = seed
        self._module = _copied(module, torch.float64)
        self._arguments = [_cast(x, torch.float64) for x in inputs]
        self._buffers = {b: b.clone() for b in self._module.buffers()} if isinstance(self._module, nn.Module) else {}
        self.tensors: dict[str, Tensor] = {}
        if isinstance(self._module, nn.Module):
            known = {name: p for name, p in self._module.named_parameters() if p.requires_grad and p.numel()}
            for name in only or ():
                if name not in known:
                    raise StriateError("check_gradients: " + unknown("parameter", name, known))
            self.tensors |= {name: p for name, p in known.items() if only is None or name in only}
        if wrt_inputs:
            self.tensors |= {f"input {i}": x for i, x in enumerate(self._arguments) if _is_float(x) and x.numel()}
        if not self.tensors:
            raise StriateError("check_gradients: there is nothing to differentiate: no parameter, no float input")
        self.sizes = {name: _size(tensor) for name, tensor in self.tensors.items()}
        value = self.evaluate()
        if not math.isfinite(value):
            raise StriateError(f"check_gradients: the loss is {value}; give inputs at which it is finite")
        if self.evaluate() != value:
            raise StriateError(
                "check_gradients: the loss differs from one evaluation to the next with the same draws; let its "
                "randomness come from torch's generators"
            )

    @torch.no_grad()
    def evaluate(self) -> float:
        """The loss where the tensors are now."""
        try:
            return float(self._compute(self._module, self._arguments))
        except RuntimeError as error:
            if "dtype" not in str(error) and "Double" not in str(error) and "double" not in str(error):
                raise
            raise StriateError(
                f"check_gradients: differences need the function in float64, and it refuses: {error}"
            ) from error
        finally:
            for buffer, value in self._buffers.items():
                buffer.copy_(value)

    def point(self, dtype: torch.dtype) -> Point:
        """Where the tensors are now; a gradient is zero where the loss does not depend on a tensor."""
        module = _copied(self._given, dtype)
        arguments = [_cast(x, dtype) for x in self._inputs]
        named: dict[str, Tensor] = dict(module.named_parameters()) if isinstance(module, nn.Module) else {}
        named |= {f"input {i}": x.requires_grad_() for i, x in enumerate(arguments) if _is_float(x)}
        with torch.no_grad():
            for name, tensor in self.tensors.items():
                named[name].copy_(tensor)
        wanted = [named[name] for name in self.tensors]
        value = self._compute(module, arguments)
        found = torch.autograd.grad(value, wanted, allow_unused=True) if value.requires_grad else [None] * len(wanted)
        gradients = {
            name: torch.zeros_like(t, dtype=torch.float64) if g is None else g.detach().double().contiguous()
            for (name, t), g in zip(self.tensors.items(), found, strict=True)
        }
        held = {name: tensor.detach().clone() for name, tensor in self.tensors.items()}
        return Point(tensors=held, gradients=gradients, value=self.evaluate())

    def beside(self, dtype: torch.dtype) -> Point:
        """A point a thousandth beside; inputs stay where they are if the loss is finite at these values only."""
        before = {name: tensor.detach().clone() for name, tensor in self.tensors.items()}
        generator = torch.Generator().manual_seed(self._seed + 2)
        try:
            for inputs_too in (True, False):
                for name, tensor in self.tensors.items():
                    way = torch.randn(tensor.shape, generator=generator, dtype=torch.float64)
                    far = NUDGE * self.sizes[name] if inputs_too or not name.startswith("input ") else 0.0
                    with torch.no_grad():
                        tensor.copy_((before[name] + far * way).to(dtype))
                with contextlib.suppress(RuntimeError, ValueError):  # an input that may only be 0 or 1
                    if math.isfinite((point := self.point(dtype)).value):
                        return point
            return point
        finally:
            self.go(before)

    def go(self, tensors: Mapping[str, Tensor]) -> None:
        """Put the tensors at these values."""
        with torch.no_grad():
            for name, value in tensors.items():
                self.tensors[name].copy_(value)

    def noise(self, name: str, point: Point) -> float:
        """The noise of the loss while a tensor moves by a hair around `point`, which no kink should be in."""
        self.go(point.tensors)
        with self.moved(name, torch.full_like(self.tensors[name], self.sizes[name])) as f:
            return noise_of(f)

    @contextlib.contextmanager
    def moved(self, name: str, direction: Tensor) -> Iterator[Callable[[float], float]]:
        """The loss as a function of t, with a tensor at its place + t · `direction`."""
        tensor = self.tensors[name]
        place = tensor.detach().clone()

        def at(t: float) -> float:
            with torch.no_grad():
                tensor.copy_(place).add_(direction, alpha=t)
            return self.evaluate()

        try:
            yield at
        finally:
            with torch.no_grad():
                tensor.copy_(place)

    def _compute(self, module: Callable[..., Any], arguments: list[Any]) -> Tensor:
        with torch.random.fork_rng(devices=[]):
            torch.manual_seed(self._seed)
            value = self._loss(module(*arguments))
        if not isinstance(value, Tensor) or value.numel() != 1:
            kind = f"of shape {list(value.shape)}" if isinstance(value, Tensor) else f"a {type(value).__name__}"
            raise StriateError(
                f"check_gradients: the loss is {kind}; give a `loss` that makes one number of the output"
            )
        return value.reshape(())


def _weighted_sum(seed: int) -> Loss:
    """Σ r·y over everything returned, r ~ N(0, 1): no output can hide behind another."""

    def loss(output: Any) -> Tensor:
        generator = torch.Generator().manual_seed(seed + 1)
        total: Tensor | None = None
        for y in _tensors(output):
            r = torch.randn(y.shape, generator=generator, dtype=torch.float64).to(y)
            part = (r * y).sum()
            total = part if total is None else total + part
        if total is None:
            raise StriateError("check_gradients: the function returns no tensor of floats; give a `loss`")
        return total

    return loss


def _tensors(output: Any) -> Iterator[Tensor]:
    if isinstance(output, Tensor):
        if output.is_floating_point():
            yield output
    elif isinstance(output, Mapping):
        for value in output.values():
            yield from _tensors(value)
    elif isinstance(output, list | tuple):
        for value in output:
            yield from _tensors(value)


def _copied(module: Callable[..., Any], dtype: torch.dtype) -> Callable[..., Any]:
    """A copy on the CPU whose floats are of `dtype`, without gradients or hooks of others; a function is itself."""
    if not isinstance(module, nn.Module):
        return module
    return copy.deepcopy(module).to(device="cpu", dtype=dtype)


def _cast(x: Any, dtype: torch.dtype) -> Any:
    return x.detach().to(device="cpu", dtype=dtype, copy=True).contiguous() if _is_float(x) else x


def _is_float(x: Any) -> bool:
    return isinstance(x, Tensor) and x.is_floating_point()


def _size(tensor: Tensor) -> float:
    """What a step is measured in: the root mean square of the values, 1 where all are zero."""
    rms = float(tensor.detach().double().square().mean().sqrt())
    return max(rms, LEAST_SIZE) if rms > 0 else 1.0
