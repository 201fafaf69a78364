"""Whole nets, forward and backward, as convnet-benchmarks measured them: torch as it is, channels-last and compiled,
against torch with its convolutions taken over by `striate.conv.accelerate`.

Forward is that of training (everything that the backward pass wants is kept), backward the gradients of all weights.
Dropout is off, so that all four compute the same thing; their gradients are compared before their times are taken.
"""

import copy
from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass

import torch
from torch import Tensor, nn

from striate import conv, create_model
from striate.bench.timing import Spread, interleave, spread

__all__ = ["NETS", "WAYS", "NetEntry", "NetRow", "Published", "measure"]

TOLERANCE = 1e-2  # of the gradients' length: sums of 10⁹ products in float32, in other orders and by Winograd


@dataclass(frozen=True, kw_only=True)
class Published:
    """A net of the list: its name there and in the zoo, and the batch it was measured with."""

    title: str
    net: str
    batch: int


NETS = (  # convnet-benchmarks, README, "Imagenet Winners Benchmarking", inputs of 224×224
    Published(title="OxfordNet-A", net="vgg11", batch=64),
    Published(title="AlexNet-OWT", net="alexnet", batch=128),
    Published(title="GoogLeNet-v1", net="googlenet2014", batch=128),
)
WAYS = ("eager", "channels-last", "compile", "striate")


@dataclass(frozen=True, kw_only=True)
class NetEntry:
    """One way to compute a net. difference: of its gradients from eager's, relative to their length."""

    difference: float
    forward: Spread | None = None
    step: Spread | None = None
    note: str = ""

    @property
    def backward_seconds(self) -> float | None:
        """The median step without the median forward."""
        return None if self.step is None or self.forward is None else self.step.median - self.forward.median


@dataclass(frozen=True, kw_only=True)
class NetRow:
    """A net and a batch, by every way."""

    published: Published
    batch: int
    entries: dict[str, NetEntry]
    accelerated: str = ""  # what `accelerate` says it did


def measure(
    nets: Sequence[Published], *, batch: int | None, threads: int, rounds: int, ways: Sequence[str] = WAYS
) -> Iterator[NetRow]:
    """The rows, net after net, each at its own batch or at `batch`."""
    before = torch.get_num_threads()
    torch.set_num_threads(threads)
    try:
        for published in nets:
            yield _row(published, batch or published.batch, rounds, ways)
    finally:
        torch.set_num_threads(before)


def _row(published: Published, batch: int, rounds: int, ways: Sequence[str]) -> NetRow:
    torch.manual_seed(0)
    base = create_model(published.net)
    for module in base.modules():
        if isinstance(module, nn.Dropout):
            module.eval()
    x = torch.randn(batch, 3, *base.spec.input_size)
    told, entries = "", {}
    runs: dict[str, Callable[[], object]] = {}
    reference = _gradients(base, x)
    for way in ways:
        model, images = copy.deepcopy(base), x
        called: Callable[[Tensor], Tensor] = model
        if way != "eager":
            model = model.to(memory_format=torch.channels_last)  # type: ignore[call-overload]  # torch lists it for tensors only
            images = x.contiguous(memory_format=torch.channels_last)
        if way == "compile":
            called = torch.compile(model)
        if way == "striate":
            told = str(conv.accelerate(model, images, verbose=False))
        difference = _difference(_gradients(model, images, called), reference)
        note = "" if difference <= TOLERANCE else f"its gradients differ by {difference:.1e}: not timed"
        entries[way] = NetEntry(difference=difference, note=note)
        if not note:
            runs[f"{way} forward"] = _forward(called, images)
            runs[f"{way} step"] = _step(model, called, images)
    samples = interleave(runs, rounds)
    for way, entry in entries.items():
        if not entry.note:
            entries[way] = NetEntry(
                difference=entry.difference,
                forward=spread(samples[f"{way} forward"]),
                step=spread(samples[f"{way} step"]),
            )
    return NetRow(published=published, batch=batch, entries=entries, accelerated=told)


def _forward(called: Callable[[Tensor], Tensor], x: Tensor) -> Callable[[], object]:
    return lambda: called(x)


def _step(model: nn.Module, called: Callable[[Tensor], Tensor], x: Tensor) -> Callable[[], object]:
    def run() -> None:
        for parameter in model.parameters():
            parameter.grad = None
        _scores(called, x).square().mean().backward()  # type: ignore[no-untyped-call]  # torch does not annotate it

    return run


def _scores(called: Callable[[Tensor], Tensor], x: Tensor) -> Tensor:
    """The scores; of a net with auxiliary heads, those of all heads in one row."""
    scores = called(x)
    return scores if isinstance(scores, Tensor) else torch.cat(list(scores), dim=1)


def _gradients(model: nn.Module, x: Tensor, called: Callable[[Tensor], Tensor] | None = None) -> list[Tensor]:
    _step(model, called or model, x)()
    found = [parameter.grad for parameter in model.parameters() if parameter.grad is not None]
    for parameter in model.parameters():
        parameter.grad = None
    return found


def _difference(given: Sequence[Tensor], wanted: Sequence[Tensor]) -> float:
    """The length of the difference over the length of all gradients together."""
    if len(given) != len(wanted):
        return float("inf")
    apart = sum((a - b).double().square().sum().item() for a, b in zip(given, wanted, strict=True))
    length = sum(b.double().square().sum().item() for b in wanted)
    return float((apart / length) ** 0.5) if length > 0 else float(apart > 0)
