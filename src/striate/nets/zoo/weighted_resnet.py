"""Weighted residuals: each block says how much of itself to add, beginning with nothing.

    y = shortcut(x) + λ · F(x),        −1 < λ < 1, learnt, 0 at first;    F: 3×3 norm relu, 3×3 norm relu

Shen, Gao and Zeng 2016, "Weighted residuals for very deep networks", eq. 3. F ends in a ReLU, the shortcut has none: a
ResNet that adds what a ReLU leaves can only grow, and λ of either sign mends that. One λ for a block, held in its range
by cutting it off, as the paper projects it after each step. Depths and maps are those of the CIFAR ResNets.
"""

import torch
from torch import Tensor, nn

from striate.nets.net import Net, NetSpec, Stage
from striate.nets.zoo.cifar_resnet import WIDTHS, Subsample
from striate.nets.zoo.entry import Entry
from striate.nets.zoo.initialise import he

__all__ = ["NETS", "WeightedBlock", "WeightedResNet"]


class WeightedBlock(nn.Module):
    """[N, C, H, W] → [N, width, ⌈H / stride⌉, ⌈W / stride⌉]."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
        )
        same = stride == 1 and channels == width
        self.shortcut = nn.Identity() if same else Subsample(width, stride)
        self.weight = nn.Parameter(torch.zeros(()))  # λ

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.shortcut(x) + self.weight.clamp(-1, 1) * self.residual(x)
        return out


class WeightedResNet(Net):
    """x [N, in_chans, H, W] → features [N, 64, ⌈H / 4⌉, ⌈W / 4⌉] → scores."""

    stages = tuple(Stage(name=f"layer{i + 1}", stride=2**i, channels=width) for i, width in enumerate(WIDTHS))

    def __init__(self, spec: NetSpec, blocks: int) -> None:
        super().__init__(spec)
        self.conv1 = nn.Conv2d(spec.in_chans, WIDTHS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.relu = nn.ReLU()
        self.layer1, self.layer2, self.layer3 = (
            nn.Sequential(
                WeightedBlock(channels, width, stride), *(WeightedBlock(width, width, 1) for _ in range(blocks - 1))
            )
            for channels, width, stride in ((16, 16, 1), (16, 32, 2), (32, 64, 2))
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(WIDTHS[-1], spec.num_classes)
        he(self, convolutions="fan_out", output=self.linear)

    def features(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        f: Tensor = self.layer3(self.layer2(self.layer1(y)))
        return f

    def head(self, f: Tensor) -> Tensor:
        scores: Tensor = self.linear(self.avgpool(f).flatten(1))
        return scores


NETS = {
    f"weighted_resnet{layers}": Entry(
        build=WeightedResNet, args=((layers - 2) // 6,), input_size=(32, 32), source="Shen 2016, eq. 3"
    )
    for layers in (20, 110)
}
