"""The neocognitron: simple cells that detect, complex cells that do not mind where, sandwiched three times.

    S   u_S = r · relu( (1 + Σ a u) / (1 + r / (1 + r) · b v) − 1 ),      v = √(Σ c u²)
    C   u_C = ψ( Σ d u_S ),      ψ(x) = x⁺ / (α + x⁺)

Fukushima 1980, eqs. 1 to 7. An S cell sees 5×5 of all planes before it and is held down by the mean activity v of the
same patch (shunting inhibition), so that it answers to a pattern and not to brightness; c falls off from the middle
and is fixed. A C cell sees 5×5 of one plane, blurred by a fixed d, at every second pixel. Fukushima let a and b grow
without a teacher; here they are trained by gradients, softplus holding a ≥ 0 and b ≥ 0, and a linear layer reads the
classes. Images may be negative, cells may not: they enter as an on and an off plane for each channel. 24 planes a
stage, as in 1980.
"""

import math

import torch
import torch.nn.functional as F
from torch import Tensor, nn

from striate.nets.net import Net, NetSpec, Stage
from striate.nets.zoo.entry import Entry
from striate.nets.zoo.settings import count

__all__ = ["NETS", "CCells", "Neocognitron", "SCells"]

KERNEL = 5
SELECTIVITY = (4.0, 1.5, 1.5)  # r of the three stages, Fukushima 1980, §IV
SATURATION = 0.5  # α of the C cells


class SCells(nn.Module):
    """[N, planes before, H, W], none negative → [N, planes, H, W], none negative."""

    falloff: Tensor

    def __init__(self, channels: int, planes: int, r: float) -> None:
        super().__init__()
        self.r = r
        self.excitatory = nn.Parameter(torch.empty(planes, channels, KERNEL, KERNEL))  # a, before softplus
        self.inhibitory = nn.Parameter(torch.zeros(planes))  # b, before softplus
        self.register_buffer("falloff", _gaussian(KERNEL).expand(1, channels, -1, -1) / channels)  # c, sums to one
        fan_in = channels * KERNEL**2
        # softplus(x) is about exp(x) here: a begins near one over the fan in, so that excitation balances inhibition
        nn.init.normal_(self.excitatory, -math.log(fan_in), 1.0)

    def forward(self, u: Tensor) -> Tensor:
        drive = F.conv2d(u, F.softplus(self.excitatory), padding=KERNEL // 2)
        v = torch.sqrt(F.conv2d(u.square(), self.falloff, padding=KERNEL // 2) + 1e-12)  # a root needs a slope at 0
        hold = self.r / (1 + self.r) * F.softplus(self.inhibitory).view(-1, 1, 1) * v
        return self.r * ((1 + drive) / (1 + hold) - 1).relu()


class CCells(nn.Module):
    """[N, planes, H, W] → [N, planes, ⌈H / 2⌉, ⌈W / 2⌉], from 0 to 1; nothing is learnt."""

    blur: Tensor

    def __init__(self, planes: int) -> None:
        super().__init__()
        self.register_buffer("blur", _gaussian(KERNEL).expand(planes, 1, -1, -1).clone())

    def forward(self, u: Tensor) -> Tensor:
        x = F.conv2d(u, self.blur, stride=2, padding=KERNEL // 2, groups=len(self.blur)).relu()
        return x / (SATURATION + x)


class Neocognitron(Net):
    """x [N, in_chans, H, W] → features [N, planes, ⌈H / 8⌉, ⌈W / 8⌉] → scores."""

    def __init__(self, spec: NetSpec, *, planes: int = 24) -> None:
        super().__init__(spec)
        planes = count("planes is how many kinds of cell a stage has, a whole number from 1", planes)
        inputs = (2 * spec.in_chans, planes, planes)
        self.s1, self.s2, self.s3 = (SCells(c, planes, r) for c, r in zip(inputs, SELECTIVITY, strict=True))
        self.c1, self.c2, self.c3 = (CCells(planes) for _ in SELECTIVITY)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(planes, spec.num_classes)
        nn.init.zeros_(self.linear.bias)
        self.stages = tuple(Stage(name=f"c{i}", stride=2**i, channels=planes) for i in (1, 2, 3))

    def features(self, x: Tensor) -> Tensor:
        u = torch.cat([x.relu(), (-x).relu()], 1)  # on and off
        f: Tensor = self.c3(self.s3(self.c2(self.s2(self.c1(self.s1(u))))))
        return f

    def head(self, f: Tensor) -> Tensor:
        scores: Tensor = self.linear(self.avgpool(f).flatten(1))
        return scores


def _gaussian(side: int) -> Tensor:
    """[side, side] around the middle, deviation of a quarter of the side, summing to one."""
    along = torch.exp(-((torch.arange(side) - (side - 1) / 2) ** 2) / (2 * (side / 4) ** 2))
    square = torch.outer(along, along)
    return square / square.sum()


NETS = {"neocognitron": Entry(build=Neocognitron, input_size=(16, 16), source="Fukushima 1980")}
