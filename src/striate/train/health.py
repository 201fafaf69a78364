"""When a run is beyond saving, and what most likely broke it.

The rule of the lectures (LECTURES F2): a loss over three times its first value has exploded. The first value is taken
as at least −log(1/C), the loss of a guess, so that a net that starts well is not ended for one hard batch.
"""

import dataclasses
import math

import torch
from torch import nn

from striate.errors import StriateError

__all__ = ["Diverged", "Health"]


class Diverged(StriateError):
    """The loss exploded or stopped being a number; the message names the step, the last good state and the cause."""


@dataclasses.dataclass(kw_only=True)
class Health:
    """Watches one number, the loss of each step."""

    chance_loss: float
    explosion: float
    reference: float | None = None

    def sick(self, loss: float) -> str | None:
        """What is wrong with this loss, in words, or None."""
        if not math.isfinite(loss):
            return f"the loss is {loss}"
        if self.reference is None:
            self.reference = max(loss, self.chance_loss)
        if self.explosion and loss > self.explosion * self.reference:
            return f"the loss, {loss:.3g}, is over {self.explosion:g}× its first value, {self.reference:.3g}"
        return None


def broken_parameter(net: nn.Module) -> str | None:
    """The name of the first parameter with a NaN or an infinity in it."""
    return next((name for name, value in net.named_parameters() if not bool(torch.isfinite(value).all())), None)


def likely_cause(net: nn.Module, *, lr: float, step: int, precision: str, clip_grad: float | None) -> str:
    """The likeliest reason for a sick loss, with what to try."""
    broken = broken_parameter(net)
    if precision == "fp16" and broken is None:
        return "fp16 overflowed in the forward pass; try --precision bf16 or fp32"
    advice = f"try --lr {float(f'{lr / 10:.2g}'):g}, a warm-up (--warmup-epochs 1)"
    if clip_grad is None:
        advice += " or --clip-grad 1"
    where = f" ({broken} is no longer finite)" if broken else ""
    if step == 0:
        return f"the first forward pass is already sick{where}: the weights or the inputs are; check --pretrained"
    return f"the learning rate, {lr:.3g}, is too high for this net{where}; {advice}"
