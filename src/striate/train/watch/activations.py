"""What the layers of a net put out: mean, spread, zeros, dead units, saturation and a histogram of each.

    with Activations(net) as seen:
        net(images)
    for layer in seen.layers():
        print(layer.name, layer.mean, layer.deviation, layer.dead)

Nothing is kept but sums: an activation is read where it is made, by a hook, and let go. Reading changes nothing,
neither values nor generators nor what backward will need. Layers come in the order in which the forward pass meets
them, named by their path in the net; a layer used twice in a pass is two lines, the second called "path (2)".

A *unit* is a channel of a map [N, C, H, W] or a feature of a vector [N, F]. It is *dead* when its rectifier puts out
nothing for any image seen, anywhere: no gradient reaches its weights, so no step can wake it. A squashing unit is
*saturated* where its slope is less than a twentieth of its steepest. Only the layers that can be dead, or saturated,
say so; for the others the value is None.
"""

import contextlib
import math
import time
from collections.abc import Callable
from dataclasses import dataclass
from types import TracebackType
from typing import Any, Self

import torch
from torch import Tensor, nn

from striate.nets.describe import describe
from striate.train.watch.histogram import Histogram, histogram, spread
from striate.train.watch.length import length

__all__ = ["NONLINEARITIES", "Activations", "LayerActivations", "is_layer", "is_nonlinearity"]

RECTIFIERS = (nn.ReLU, nn.ReLU6)  # never below zero, and at zero nothing flows back
# Where the slope falls below 1/20 of its steepest: tanh' = 1 − y² < 0.05 at |y| > 0.975; σ' = y(1 − y) < 0.05/4 at
# |y − ½| > 0.4873; the straight ones are flat at their ends.
FLAT_BEYOND: dict[type[nn.Module], tuple[float, float]] = {  # centre, and the distance from it
    nn.Tanh: (0.0, 0.9747),
    nn.Sigmoid: (0.5, 0.4873),
    nn.Hardtanh: (0.0, 0.9999),
    nn.Hardsigmoid: (0.5, 0.4999),
}
NONLINEARITIES: tuple[type[nn.Module], ...] = (
    *RECTIFIERS,
    *FLAT_BEYOND,
    *(nn.LeakyReLU, nn.PReLU, nn.RReLU, nn.ELU, nn.CELU, nn.SELU, nn.GELU, nn.SiLU, nn.Mish, nn.Hardswish),
    *(nn.Softplus, nn.Softsign, nn.LogSigmoid),
)
# What a leaf does that changes no number, or changes them by chance: its output says nothing that its input did not.
PASSES_ON = (nn.Identity, nn.Flatten, nn.Unflatten, nn.modules.dropout._DropoutNd)


@dataclass(frozen=True, kw_only=True)
class LayerActivations:
    """One layer's outputs over the images seen.

    kind: in a word or two ("conv 3×3"). shape: of one image's output. Shares are of 1: zeros, of all values; dead, of
    the `units`; saturated, of all values (zeros and saturation are those of the histogram's sample, right within half a
    hundredth). broken: share of values that are no finite numbers; the other measures are
    of the rest.
    """

    name: str
    kind: str
    shape: tuple[int, ...]
    images: int
    units: int
    mean: float
    deviation: float
    zeros: float
    dead: float | None
    saturated: float | None
    broken: float
    histogram: Histogram


def is_layer(module: nn.Module) -> bool:
    """A leaf that computes something: neither a container, nor a reshape, nor noise."""
    return not any(True for _ in module.children()) and not isinstance(module, PASSES_ON)


def is_nonlinearity(module: nn.Module) -> bool:
    """One of torch's activation functions."""
    return isinstance(module, NONLINEARITIES)


class Activations:
    """Watches the layers of a net inside a `with`; what it saw stays until `forget`.

    of: which modules count (`is_layer`: all that compute, `is_nonlinearity`: what leaves the activation functions).
    images: at most so many of each batch are read. The `with` may be entered again to see more.
    """

    def __init__(
        self, net: nn.Module, *, of: Callable[[nn.Module], bool] = is_layer, images: int | None = None
    ) -> None:
        self._net, self._images = net, images
        self._modules = [(name, module) for name, module in net.named_modules() if of(module)]
        self._seen: dict[str, _Sums] = {}  # in the order of the forward pass
        self._calls: dict[str, int] = {}  # of each module in the pass under way
        self._hooks = contextlib.ExitStack()
        self.seconds = 0.0  # that reading has taken

    def __enter__(self) -> Self:
        self._calls = {}
        self._hook(self._net.register_forward_pre_hook(self._begin))
        for name, module in self._modules:
            self._hook(module.register_forward_hook(self._reader(name)))
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self._hooks.close()

    def layers(self) -> tuple[LayerActivations, ...]:
        """What was seen, in the order of the forward pass."""
        return tuple(sums.told(name) for name, sums in self._seen.items())

    def forget(self) -> None:
        """Start anew."""
        self._seen = {}

    def _hook(self, handle: Any) -> None:
        self._hooks.callback(handle.remove)

    def _begin(self, module: nn.Module, inputs: Any) -> None:
        self._calls = {}

    def _reader(self, name: str) -> Callable[[nn.Module, Any, Any], None]:
        def read(module: nn.Module, inputs: Any, output: Any) -> None:
            if not isinstance(output, Tensor) or output.ndim < 2 or not output.is_floating_point():
                return
            started = time.perf_counter()
            call = self._calls[name] = self._calls.get(name, 0) + 1
            line = name if call == 1 else f"{name} ({call})"
            if line not in self._seen:
                self._seen[line] = _Sums(module, output)
            self._seen[line].add(output.detach()[: self._images])
            self.seconds += time.perf_counter() - started

        return read


class _Sums:
    """What is kept of one layer, on its device: moments, counts, each unit's largest value, a histogram."""

    def __init__(self, module: nn.Module, output: Tensor) -> None:
        self._kind, self._shape = describe(module), tuple(output.shape[1:])
        # A linear layer's features come last, whatever stands between them and the images.
        self._unit_axis = output.ndim - 1 if isinstance(module, nn.Linear) else 1
        self._rectifies = isinstance(module, RECTIFIERS)
        self._flat = next((flat for kind, flat in FLAT_BEYOND.items() if isinstance(module, kind)), None)
        self._images = 0
        self._count, self._mean, self._squares = 0, 0.0, 0.0  # Chan 1979: squares of the distances from the mean
        self._values = self._sampled = self._zeros = self._saturated = 0
        self._fires: Tensor | None = None  # by unit
        self._histogram: Histogram | None = None

    @torch.no_grad()
    def add(self, output: Tensor) -> None:
        """One batch more. output: [N, …]."""
        values = output.float()
        self._images += len(values)
        self._values += values.numel()
        if self._rectifies:  # sums, since they vectorise in either memory format and torch's maxima do not
            fires = values.sum([axis for axis in range(values.ndim) if axis != self._unit_axis]) != 0
            self._fires = fires if self._fires is None else self._fires | fires
        mean = float(values.sum(dtype=torch.float32)) / values.numel()
        if not math.isfinite(mean):  # measure what is left
            values = values[values.isfinite()]
            mean = float(values.double().sum()) / max(1, values.numel())
        # torch.var_mean reads once but is not vectorised: 7.7 ms for a million values, where these two passes take 0.8
        self._merge(values.numel(), mean, length(values - mean) ** 2)
        self._sample(spread(values))

    def _sample(self, few: Tensor) -> None:
        """few: [n], some of a batch's values."""
        self._sampled += few.numel()
        self._zeros += int((few == 0).sum())
        if self._flat is not None:
            centre, reach = self._flat
            self._saturated += int((few - centre).abs_().gt_(reach).sum())
        if self._histogram is None:
            self._histogram = histogram(few)
        else:
            bins = self._histogram
            self._histogram = bins.with_counts(histogram(few, low=bins.low, high=bins.high).counts)

    def told(self, name: str) -> LayerActivations:
        """The line of the layer called `name`."""
        assert self._histogram is not None
        sampled = max(1, self._sampled)
        return LayerActivations(
            name=name,
            kind=self._kind,
            shape=self._shape,
            images=self._images,
            units=self._shape[self._unit_axis - 1],
            mean=self._mean,
            deviation=(self._squares / max(1, self._count)) ** 0.5,
            zeros=self._zeros / sampled,
            dead=None if self._fires is None else 1 - float(self._fires.float().mean()),
            saturated=None if self._flat is None else self._saturated / sampled,
            broken=(self._values - self._count) / max(1, self._values),
            histogram=self._histogram,
        )

    def _merge(self, count: int, mean: float, squares: float) -> None:
        """squares: the sum of the squared distances from the mean."""
        if count == 0:
            return
        total = self._count + count
        apart = mean - self._mean
        self._squares += squares + apart * apart * self._count * count / total
        self._mean += apart * count / total
        self._count = total
