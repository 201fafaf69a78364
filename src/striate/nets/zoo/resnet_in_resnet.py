"""ResNet in ResNet: two streams, one that keeps and one that may forget.

    r' = relu(norm( W_rr r + W_tr t + shortcut(r) ))         residual stream
    t' = relu(norm( W_rt r + W_tt t ))                       transient stream

Targ, Almeida and Lyman 2016, eq. 1. All four convolutions are one 3×3 over both streams, each half of the maps. RiR
puts two such layers into a residual block of its own, whose shortcut spans both. 18 layers, 96 192 384 maps ("18-layer
+ wide"); 2, 3 and 3 blocks, since the paper prints no split. Shortcuts that change shape take every second pixel and
add zero maps, a half to either stream.
"""

import torch
from torch import Tensor, nn

from striate.nets.net import Net, NetSpec, Stage
from striate.nets.zoo.cifar_resnet import Subsample
from striate.nets.zoo.entry import Entry
from striate.nets.zoo.initialise import he

__all__ = ["NETS", "ResNetInResNet", "TwoStreams"]

WIDTHS = (96, 192, 384)
BLOCKS = (2, 3, 3)


class TwoStreams(nn.Module):
    """One generalised residual layer: both streams [N, C, H, W] → [N, width, …], the residual half first."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.kept = width // 2
        self.conv = nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False)
        self.shortcut = nn.Identity() if stride == 1 and channels == width else Subsample(self.kept, stride)
        self.bn = nn.BatchNorm2d(width)
        self.relu = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.conv(x)
        residual = y[:, : self.kept] + self.shortcut(x[:, : x.shape[1] // 2])
        out: Tensor = self.relu(self.bn(torch.cat([residual, y[:, self.kept :]], 1)))
        return out


class Block(nn.Module):
    """Two generalised layers inside a shortcut: [N, C, H, W] → [N, width, ⌈H / stride⌉, ⌈W / stride⌉]."""

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        self.layer1 = TwoStreams(channels, width, stride)
        self.layer2 = TwoStreams(width, width, 1)
        self.shortcut = nn.Identity() if stride == 1 and channels == width else Subsample(width, stride)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.layer2(self.layer1(x)) + self.shortcut(x)
        return out


class ResNetInResNet(Net):
    """x [N, in_chans, H, W] → features [N, 384, ⌈H / 4⌉, ⌈W / 4⌉] → scores."""

    stages = tuple(Stage(name=f"layers.{i}", stride=2**i, channels=width) for i, width in enumerate(WIDTHS))

    def __init__(self, spec: NetSpec) -> None:
        super().__init__(spec)
        self.conv1 = nn.Conv2d(spec.in_chans, WIDTHS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.relu = nn.ReLU()
        inputs = (WIDTHS[0], *WIDTHS[:-1])
        self.layers = nn.Sequential(
            *(
                nn.Sequential(
                    Block(channels, width, 2 if i else 1), *(Block(width, width, 1) for _ in range(count - 1))
                )
                for i, (channels, width, count) in enumerate(zip(inputs, WIDTHS, BLOCKS, strict=True))
            )
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(WIDTHS[-1], spec.num_classes)
        he(self, convolutions="fan_out", output=self.linear)

    def features(self, x: Tensor) -> Tensor:
        f: Tensor = self.layers(self.relu(self.bn1(self.conv1(x))))
        return f

    def head(self, f: Tensor) -> Tensor:
        scores: Tensor = self.linear(self.avgpool(f).flatten(1))
        return scores


NETS = {"rir18": Entry(build=ResNetInResNet, input_size=(32, 32), source="Targ 2016, 18-layer + wide RiR")}
