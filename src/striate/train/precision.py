"""Which precision and memory format a net trains fastest in on this device: measured once, and said.

fp32 weights throughout; `bf16` and `fp16` mean torch's autocast around the forward pass and the loss, with loss scaling
for fp16 (Micikevicius 2018). Evaluation is always fp32, so that an accuracy never depends on the machine that trained.
"""

import contextlib
import copy
import dataclasses
import time
from collections.abc import Callable
from typing import Any, TypeAlias

import torch
from torch import nn

from striate.train.settings import Settings

__all__ = ["Choice", "autocast", "choose", "grad_scaler", "memory_format"]

DTYPES = {"bf16": torch.bfloat16, "fp16": torch.float16}
GAIN = 0.95  # another format must save a twentieth of the time: less is noise, and fp32 in NCHW is the plain choice
ROUNDS, SECONDS = 8, 6.0  # timed steps for each variant, and the time after which fewer will do


_Variant: TypeAlias = tuple[str, bool]  # precision, channels-last


@dataclasses.dataclass(frozen=True, kw_only=True)
class Choice:
    """What was chosen, and the sentence that says why."""

    precision: str
    channels_last: bool
    reason: str


def autocast(device: torch.device, precision: str) -> contextlib.AbstractContextManager[Any]:
    """The context a training step's forward pass runs in."""
    if precision in DTYPES:
        return torch.autocast(device.type, DTYPES[precision])
    return contextlib.nullcontext()


def grad_scaler(device: torch.device, precision: str) -> torch.amp.GradScaler:
    """Loss scaling for fp16; a scaler that does nothing otherwise."""
    return torch.amp.GradScaler(device.type, enabled=precision == "fp16")


def memory_format(channels_last: bool) -> torch.memory_format:
    """torch's name for NHWC or NCHW in memory."""
    return torch.channels_last if channels_last else torch.contiguous_format


def choose(
    net: nn.Module, loss: Callable[..., torch.Tensor], example: tuple[torch.Tensor, torch.Tensor], settings: Settings
) -> Choice:
    """The faster of fp32 and bf16, of NCHW and channels-last, for this net on this device; asks only what is open.

    example: images float32 [B, C, H, W] and labels int64 [B], on the device. The net itself is not touched. Nets
    without a convolution are not tried in channels-last.
    """
    device = example[0].device
    precisions = ["fp32", "bf16"] if settings.precision == "auto" else [settings.precision]
    spatial = any(isinstance(module, nn.Conv2d) for module in net.modules())
    layouts = [settings.channels_last] if settings.channels_last is not None else [False, True] if spatial else [False]
    variants = [(precision, layout) for precision in precisions for layout in layouts]
    if len(variants) == 1:
        return Choice(precision=precisions[0], channels_last=layouts[0], reason="as set")
    with torch.random.fork_rng(devices=[device] if device.type == "cuda" else []):
        steps = {variant: _stepper(net, loss, example, *variant) for variant in variants}
        seconds = _least_seconds(steps, device)
    plain = variants[0]
    fastest = min(variants, key=seconds.__getitem__)
    chosen = fastest if seconds[fastest] < GAIN * seconds[plain] else plain
    measured = ", ".join(f"{_name(*variant)} {1000 * seconds[variant]:.1f} ms" for variant in variants)
    reason = f"{_name(*chosen)}: a step of {len(example[0])} images takes {measured}"
    return Choice(precision=chosen[0], channels_last=chosen[1], reason=reason)


def _stepper(
    net: nn.Module,
    loss: Callable[..., torch.Tensor],
    example: tuple[torch.Tensor, torch.Tensor],
    precision: str,
    channels_last: bool,
) -> Callable[[], None]:
    """One forward and backward pass of a copy of the net in the given variant."""
    layout = memory_format(channels_last)
    trial = copy.deepcopy(net).train().to(memory_format=layout)  # type: ignore[call-overload]  # torch's stub omits it
    images, labels = example[0].contiguous(memory_format=layout), example[1]

    def step() -> None:
        with autocast(images.device, precision):
            value = loss(trial(images), labels)
        value.backward()  # type: ignore[no-untyped-call]  # torch leaves it untyped
        trial.zero_grad(set_to_none=True)

    return step


def _least_seconds(steps: dict[_Variant, Callable[[], None]], device: torch.device) -> dict[_Variant, float]:
    """Each variant's least time, in turns: other work on the machine can only add to a time, and hits all alike."""

    def timed(step: Callable[[], None]) -> float:
        started = time.perf_counter()
        step()
        if device.type == "cuda":
            torch.cuda.synchronize(device)
        return time.perf_counter() - started

    began = time.monotonic()
    for step in steps.values():
        timed(step)  # the first pass allocates and lets oneDNN choose its kernels
    least = {variant: timed(step) for variant, step in steps.items()}
    for _ in range(ROUNDS - 1):
        if time.monotonic() - began > SECONDS:
            break
        least = {variant: min(least[variant], timed(step)) for variant, step in steps.items()}
    return least


def _name(precision: str, channels_last: bool) -> str:
    return f"{precision} {'channels-last' if channels_last else 'NCHW'}"
