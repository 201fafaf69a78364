"""`accelerate(model, example)`: each convolution of any PyTorch model by whatever is fastest for its shape here.

Nothing of the model changes but the class of its `Conv2d`s, and that only until `restore()`: parameters, state dict,
hooks, modes and copies stay what they are. A layer called with a shape, dtype or device other than the example's
computes as it always did. Models in bfloat16, and models under torch's autocast to it, take algorithms in bfloat16.
"""

import statistics
import sys
import time
from collections.abc import Collection, Mapping, Sequence
from dataclasses import dataclass, replace
from numbers import Real
from typing import Any

import torch
from torch import Tensor, nn
from torch.nn import functional

from striate.conv.accelerated import AsFound, install, installed, uninstall
from striate.conv.choose import MAX_RELATIVE_ERROR, MAX_RELATIVE_ERROR_BF16, WORKSPACE_LIMIT, measured
from striate.conv.example import Call, Example, Untouched, calls_of
from striate.conv.measure import SAMPLE, TORCH, Measurement, relative_difference
from striate.conv.passes import Passes
from striate.conv.plans import Element, Layout, Pass
from striate.conv.shape import WrongShape
from striate.errors import given

__all__ = ["Acceleration", "LayerChoice", "accelerate"]

ROUNDS = 7  # of the whole model, before and after,
SURE, SECONDS = 2, 20.0  # but only so many where torch's alone take longer
LEAST_GAIN = 1.0  # of the whole model; with less it stays as it was
# A layer measured alone finds its weights in a cache, which in a large model they are not. A pass that is faster by
# less than this alone may be slower there, so the model is also tried without such passes.
CLEAR = 1.25
SILENCE = 10.0  # seconds of measuring after which `verbose` says how far it is


@dataclass(frozen=True)
class LayerChoice:
    """What one layer computes with, and what its passes took by torch and by the choice."""

    name: str
    passes: Passes
    times: Mapping[Pass, tuple[float, float]]  # seconds of each pass that is wanted: torch's, and the choice's
    relative_error: float  # of the forward pass on the example, against float64; the largest of the three by noise
    notes: tuple[str, ...] = ()  # faster candidates that were left out, and why

    @property
    def changed(self) -> bool:
        """Whether any pass is not torch's."""
        return self.passes.names != (TORCH, TORCH, TORCH)

    @property
    def torch_seconds(self) -> float:
        """All passes by torch."""
        return sum(torchs for torchs, _ in self.times.values())

    @property
    def seconds(self) -> float:
        """All passes by the choice."""
        return sum(chosen for _, chosen in self.times.values())

    def with_torch_for(self, passes: Collection[Pass]) -> "LayerChoice":
        """The choice with these passes left to torch."""
        names: dict[str, Any] = dict.fromkeys(passes, TORCH)
        times = {
            pass_: (torchs, torchs if pass_ in passes else chosen) for pass_, (torchs, chosen) in self.times.items()
        }
        return replace(self, passes=replace(self.passes, **names), times=times)


class Acceleration:
    """What `accelerate` did to a model. Printed, it is a table; `restore()` undoes it."""

    def __init__(self, model: nn.Module, layers: Sequence[LayerChoice], seconds: tuple[float, float]) -> None:
        self.model = model
        self.layers = tuple(layers)
        self.seconds_before, self.seconds_after = seconds

    @property
    def gain(self) -> float:
        """Times as fast as before, on the example."""
        return self.seconds_before / self.seconds_after if self.seconds_after > 0 else 1.0

    def restore(self) -> None:
        """The model as it was. More than once does nothing more."""
        uninstall(self.model)

    def __str__(self) -> str:
        """A line for each kind of layer that changed, and the gain."""
        kinds: dict[Passes, list[LayerChoice]] = {}
        for layer in self.layers:
            if layer.changed:
                kinds.setdefault(layer.passes, []).append(layer)
        named = {
            passes: layers[0].name + (f" and {len(layers) - 1} more" if len(layers) > 1 else "")
            for passes, layers in kinds.items()
        }
        widest = max(map(len, named.values()), default=0)
        widest_shape = max((len(str(passes.shape)) for passes in kinds), default=0)
        lines = []
        for passes, layers in kinds.items():
            torch_ms, ours_ms = 1e3 * layers[0].torch_seconds, 1e3 * layers[0].seconds
            error = max(layer.relative_error for layer in layers)
            lines.append(
                f"{named[passes]:<{widest}}  {passes.shape!s:<{widest_shape}}  {torch_ms:8.3f} → {ours_ms:7.3f} ms  "
                f"error {error:.0e}  {passes.named()}"
            )
        lines += [note for layer in self.layers for note in layer.notes]
        changed = sum(len(layers) for layers in kinds.values())
        lines.append(
            f"{changed} of {len(self.layers)} convolutions changed; the example takes "
            f"{1e3 * self.seconds_after:.2f} ms where it took {1e3 * self.seconds_before:.2f} ms: {self.gain:.2f}×"
        )
        return "\n".join(lines)


def accelerate(
    model: nn.Module,
    example: Tensor | tuple[Any, ...] | Mapping[str, Any],
    *,
    max_rel_error: float = MAX_RELATIVE_ERROR,
    max_rel_error_bf16: float = MAX_RELATIVE_ERROR_BF16,
    workspace_limit: int = WORKSPACE_LIMIT,
    verbose: bool = True,
) -> Acceleration:
    """Let every Conv2d of `model` take the fastest of our algorithms and torch, as measured for its shape.

    `example` is what the model is called with: a tensor, a tuple of arguments or a mapping of keywords. In training
    mode the two backward passes are chosen as well, and the gain is that of a whole step. A candidate is taken only if
    its results differ from float64 by no more than `max_rel_error` of the largest (`max_rel_error_bf16` for layers in
    bfloat16, or under autocast to it, float64 given the same bfloat16 numbers), for noise and (forward) for the example
    itself, and if it needs no more than `workspace_limit` bytes. The whole model is timed with every pass that is
    faster alone, and with those that are so clearly; if it gets faster with neither, it is left as it was. Prints what
    was chosen. Interrupted, it leaves the model as it found it.

    Raises WrongShape for an example that the model cannot take, for limits that are none, and for a model that is not
    on the CPU, has lazy layers that no call has made yet, learns within its backward pass, or takes its steps together
    with other processes (DistributedDataParallel, FSDP: accelerate what they wrap, before).
    """
    if not isinstance(model, nn.Module):
        raise WrongShape(f"accelerate: the model must be a torch.nn.Module, not {given(model)}")
    _check_limit("max_rel_error", max_rel_error)
    _check_limit("max_rel_error_bf16", max_rel_error_bf16)
    _check_limit("workspace_limit", workspace_limit)
    limits: dict[Element, float] = {"float32": max_rel_error, "bfloat16": max_rel_error_bf16}
    with torch.inference_mode(mode=False), AsFound(model), Untouched(model):  # where it is on, nothing can learn
        run = Example(model, example)
        uninstall(model)
        calls = calls_of(run)
        if verbose:
            print(f"measuring {len(calls)} convolutions; once for each shape, then it is remembered", file=sys.stderr)
        _look(calls, verbose=verbose)
        fastest = [_choose(call, limits, workspace_limit) for call in calls]
        clear = [_clear(layer) for layer in fastest]
        offers = [fastest] if clear == fastest else [fastest, clear]
        offers = [offer for offer in offers if any(layer.changed for layer in offer)]  # the others are torch again
        before, *times = _compare(run, offers)
    timed = zip(times, offers, strict=True)
    after, layers = min(timed, key=lambda offer: offer[0], default=(before, fastest))
    if before / after < LEAST_GAIN:
        layers = [replace(layer.with_torch_for(layer.times), relative_error=0.0, notes=()) for layer in layers]
        after = before
    _install(model, layers)
    result = Acceleration(model, layers, (before, after))
    if verbose:
        print(result)
    return result


def _check_limit(name: str, limit: Any) -> None:
    if not isinstance(limit, Real) or not float(limit) >= 0:
        raise WrongShape(f"accelerate: {name} must be a number from 0 on, not {given(limit)}")


def _look(calls: Sequence[Call], *, verbose: bool) -> None:
    """Measure what the cache lacks, all of it twice: a second look some time after the first forgives a slow moment."""
    begun = said = time.monotonic()
    for looks in (1, 2):
        for number, call in enumerate(calls, 1):
            for pass_, from_, to in call.wanted:
                _measured(call, pass_, from_, to, looks=looks)
            now = time.monotonic()
            if verbose and now - said >= SILENCE:
                said = now
                told = f"{'first' if looks == 1 else 'second'} look: {number} of {len(calls)} convolutions"
                print(f"{told}, {now - begun:.0f} s", file=sys.stderr)


def _measured(call: Call, pass_: Pass, from_: Layout, to: Layout, *, looks: int = 1) -> dict[str, Measurement]:
    return measured(
        call.shape, pass_, from_layout=from_, to_layout=to, with_torch=True, element=call.element, looks=looks
    )


def _choose(call: Call, limits: dict[Element, float], workspace_limit: int) -> LayerChoice:
    name, module, element, shape = call.name, call.module, call.element, call.shape
    max_rel_error = limits[element]
    chosen: dict[Pass, str] = {}
    times: dict[Pass, tuple[float, float]] = {}
    notes: list[str] = []
    largest_error = 0.0
    for pass_, from_, to in call.wanted:
        known = _measured(call, pass_, from_, to)
        if TORCH not in known:  # layouts that differ: torch would copy; it stays with torch
            continue
        seconds = {name: m.of(packed=not module.training) for name, m in known.items()}
        for candidate in sorted(known, key=lambda c: seconds[c]):
            m = known[candidate]
            error = m.relative_error
            if candidate == TORCH:
                break
            if m.workspace_bytes > workspace_limit:
                notes.append(
                    f"{name}: {candidate} needs {m.workspace_bytes:,} bytes of workspace, over the limit of "
                    f"{workspace_limit:,}"
                )
                continue
            if pass_ == "forward" and error <= max_rel_error:
                passes = Passes(shape, from_, to, candidate, element=element)
                error = max(error, _error_on_example(module, call.x, passes, max_rel_error))
            if error <= max_rel_error:
                break
            notes.append(f"{name}: {candidate} errs by {error:.0e}, over the limit of {max_rel_error:g}")
        chosen[pass_] = candidate
        largest_error = max(largest_error, error)
        times[pass_] = seconds[TORCH], seconds[candidate]
    passes = Passes(
        shape, call.x_layout, call.y_layout, chosen.get("forward", TORCH),
        chosen.get("backward_data", TORCH), chosen.get("backward_weights", TORCH), element=element,
    )  # fmt: skip
    return LayerChoice(name, passes, times, largest_error, tuple(notes))


def _clear(layer: LayerChoice) -> LayerChoice:
    """The choice without the passes that are faster than torch's by less than `CLEAR`."""
    return layer.with_torch_for([p for p, (torchs, chosen) in layer.times.items() if torchs < CLEAR * chosen])


def _error_on_example(module: nn.Conv2d, x: Tensor, passes: Passes, limit: float) -> float:
    """As the layer will be called, relative to the largest result: some filters on the first image against float64,
    and everything where it comes near the limit. What is near is told by torch, whose own error is much smaller."""
    s = passes.shape
    count, group_in = min(SAMPLE, s.out_channels // s.groups), s.in_channels // s.groups
    rows, columns = s.rows, s.columns
    with torch.no_grad(), torch.autocast("cpu", enabled=False):
        weight = module.weight.to(x.dtype)
        if module.training:
            result = passes.compute(x, weight, None)
        else:
            result = passes.infer(x, passes.forward_plan().pack(weight), None)
        torchs = Passes(s, passes.x_layout, passes.y_layout, TORCH)
        if relative_difference(result.float(), torchs.compute(x, weight, None).float()) > limit / 2:
            return relative_difference(result, torchs.compute(x.double(), weight.double(), None))
        padded = functional.pad(x[:1, :group_in].double(), (columns.low, columns.high, rows.low, rows.high))
        wanted = functional.conv2d(
            padded, weight[:count].double(),
            stride=(rows.stride, columns.stride), dilation=(rows.dilation, columns.dilation),
        )  # fmt: skip
        return relative_difference(result[:1, :count], wanted)


def _install(model: nn.Module, layers: Sequence[LayerChoice]) -> None:
    """These choices and no others."""
    uninstall(model)
    modules = dict(model.named_modules())
    for layer in layers:
        if layer.changed:
            install(modules[layer.name], layer.passes)


def _pack(model: nn.Module) -> None:
    for layer, _ in installed(model):
        layer.pack()


def _compare(run: Example, offers: Sequence[Sequence[LayerChoice]]) -> tuple[float, ...]:
    """Seconds of the example by torch, then with each offer's choices, in turns."""
    model = run.model
    subjects: list[Sequence[LayerChoice]] = [[], *offers]  # torch's: nothing chosen
    times: list[list[float]] = [[] for _ in subjects]
    for turn in range(ROUNDS + 1):
        if turn > SURE and sum(times[0]) > SECONDS:
            break
        for layers, seconds in zip(subjects, times, strict=True):
            _install(model, layers)
            if not model.training:
                _pack(model)
            begin = time.perf_counter()
            run.step()
            if turn > 0:  # the first finds its memory
                seconds.append(time.perf_counter() - begin)
    return tuple(map(statistics.median, times))
