"""In which precision, memory format and number of threads a net trains fastest here and now: measured once, and said.

No rule knows it. bf16 wins where the CPU multiplies it (AVX512_BF16, AMX) and the net is not tiny; channels-last wins
where oneDNN would convert anyway; and several threads lose, by an order of magnitude, on cores that other work keeps
busy, because at every layer all wait for the one that was put aside.
"""

import copy
import dataclasses
import time
from collections.abc import Callable, Sequence
from typing import TypeAlias

import torch
from torch import Tensor, nn

from striate.pages.wording import plural
from striate.train.precision import autocast, memory_format
from striate.train.settings import Settings

__all__ = ["Choice", "choose"]

GAIN = 0.95  # anything but the plain choice must save a twentieth of the time: less is noise
ROUNDS, SECONDS = 8, 5.0  # timed steps of each variant, and the time after which fewer will do
PROBE_IMAGES, PROBE_SECONDS = 32, 0.4  # a net that takes longer for so few images is not timed on whole batches
HOPELESS, HOPELESS_IMAGES = 5.0, 4  # times fp32's time, for so few images: bf16 where the CPU cannot multiply it

_Step: TypeAlias = Callable[[], None]


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """What was chosen, and the sentences that say why; none when nothing was open."""

    precision: str
    channels_last: bool
    threads: int
    reasons: tuple[str, ...] = ()


def choose(net: nn.Module, loss: Callable[..., Tensor], example: tuple[Tensor, Tensor], settings: Settings) -> Choice:
    """The fastest way for this net on this device, among what the settings leave open.

    example: images float32 [B, C, H, W] and labels int64 [B], on the device. The net and torch's generator are not
    touched; the number of threads is set. Nets without a convolution are not tried in channels-last.
    """
    device = example[0].device
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        threads, why_threads = _choose_threads(net, loss, example, settings)
        torch.set_num_threads(threads)
        precision, channels_last, why_format = _choose_format(net, loss, example, settings)
    return Choice(
        precision=precision, channels_last=channels_last, threads=threads, reasons=(*why_threads, *why_format)
    )


def _choose_threads(
    net: nn.Module, loss: Callable[..., Tensor], example: tuple[Tensor, Tensor], settings: Settings
) -> tuple[int, tuple[str, ...]]:
    """All threads or one. Means are compared, not least times: a busy machine is what this has to notice."""
    every = torch.get_num_threads()
    if settings.threads is not None or every == 1 or example[0].device.type != "cpu":
        return settings.threads or every, ()
    layout = bool(settings.channels_last)
    example = _as_many_as_is_quick(net, loss, example, settings.precision, layout)
    step = _stepper(net, loss, example, settings.precision, layout)

    def with_threads(count: int) -> _Step:
        def run() -> None:
            torch.set_num_threads(count)
            step()

        return run

    one, many = (sum(times) / len(times) for times in _times([with_threads(1), with_threads(every)]))
    torch.set_num_threads(every)
    if one < GAIN * many:
        said = f"1 thread: {1000 * one:.1f} ms for {len(example[0])} images, against {1000 * many:.1f} ms with {every}"
        return 1, (f"{said}; set --threads to insist",)
    return every, ()


def _choose_format(
    net: nn.Module, loss: Callable[..., Tensor], example: tuple[Tensor, Tensor], settings: Settings
) -> tuple[str, bool, tuple[str, ...]]:
    """fp32 or bf16, NCHW or channels-last, by the least time of each: other work can only add to it."""
    precisions, told = _hopeful(net, loss, example) if settings.precision == "auto" else ([settings.precision], "")
    spatial = any(isinstance(module, nn.Conv2d) for module in net.modules())
    layouts = [settings.channels_last] if settings.channels_last is not None else [False, True] if spatial else [False]
    variants = [(precision, layout) for precision in precisions for layout in layouts]
    if len(variants) == 1:
        return precisions[0], layouts[0], (f"{precisions[0]}: {told}",) if told else ()
    example = _as_many_as_is_quick(net, loss, example, *variants[0])
    times = _times([_stepper(net, loss, example, *variant) for variant in variants])
    seconds = {variant: min(measured) for variant, measured in zip(variants, times, strict=True)}
    plain = variants[0]
    fastest = min(variants, key=seconds.__getitem__)
    chosen = fastest if seconds[fastest] < GAIN * seconds[plain] else plain
    measured = ", ".join(f"{_name(*variant)} {1000 * seconds[variant]:.1f} ms" for variant in variants)
    said = f"{_name(*chosen)}: a step of {len(example[0])} images takes {measured}"
    return *chosen, (f"{said}; {told}" if told else said,)


def _hopeful(net: nn.Module, loss: Callable[..., Tensor], example: tuple[Tensor, Tensor]) -> tuple[list[str], str]:
    """The precisions that are worth timing on more than a few images, and why bf16 is none; "" where it is.

    A CPU that has to widen every number, as one with AVX2 alone, takes twenty times as long for a convolution: a race
    on whole batches would take longer than a short run.
    """
    few = example[0][:HOPELESS_IMAGES], example[1][:HOPELESS_IMAGES]
    (plain,), (narrow,) = _times([_stepper(net, loss, few, name, False) for name in ("fp32", "bf16")], rounds=1)
    if narrow <= HOPELESS * plain:
        return ["fp32", "bf16"], ""
    return ["fp32"], f"bf16 takes {narrow / plain:.0f} times as long for {plural(len(few[0]), 'image')}"


def _as_many_as_is_quick(
    net: nn.Module, loss: Callable[..., Tensor], example: tuple[Tensor, Tensor], precision: str, channels_last: bool
) -> tuple[Tensor, Tensor]:
    """The whole batch, since what is fastest for a few images need not be for many; or a few where that takes long."""
    few = example[0][:PROBE_IMAGES], example[1][:PROBE_IMAGES]
    ((probe, *_),) = _times([_stepper(net, loss, few, precision, channels_last)], rounds=1)
    return example if probe < PROBE_SECONDS else few


def _stepper(
    net: nn.Module, loss: Callable[..., Tensor], example: tuple[Tensor, Tensor], precision: str, channels_last: bool
) -> _Step:
    """One forward and backward pass of a copy of the net in the given variant."""
    layout = memory_format(channels_last)
    trial = copy.deepcopy(net).train().to(memory_format=layout)  # type: ignore[call-overload]  # torch's stub omits it
    images, labels = example[0].contiguous(memory_format=layout), example[1]

    def step() -> None:
        with autocast(images.device, precision):
            value = loss(trial(images), labels)
        value.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        trial.zero_grad(set_to_none=True)
        if images.device.type == "cuda":
            torch.cuda.synchronize(images.device)

    return step


def _times(steps: Sequence[_Step], rounds: int = ROUNDS) -> list[list[float]]:
    """Seconds of each step, in turns, after one turn that is not timed: it allocates and lets oneDNN choose."""
    began = time.monotonic()
    for step in steps:
        step()
    times: list[list[float]] = [[] for _ in steps]
    for turn in range(rounds):
        if turn and time.monotonic() - began > SECONDS:
            break
        for step, measured in zip(steps, times, strict=True):
            started = time.perf_counter()
            step()
            measured.append(time.perf_counter() - started)
    return times


def _name(precision: str, channels_last: bool) -> str:
    return f"{precision} {'channels-last' if channels_last else 'NCHW'}"
