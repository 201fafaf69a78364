"""ResNets for CIFAR, and the plain nets they were measured against.

    3×3, 16 → n blocks of 16 maps at 32×32 → n of 32 at 16×16 → n of 64 at 8×8 → average → scores

6n + 2 layers with weights; n = 3, 5, 7, 9, 18 (He 2015, §4.2 and table 6). Shortcuts have no parameters (option A):
where the shape changes, every second pixel of every second row is taken and the new maps are zero. The plain twin is
the same net without shortcuts, the one whose training error rises with depth (figure 6). Parameters are named as in the
widely used trained ones (conv1, bn1, layer1.0.conv1 …, linear).

`drop_path` is stochastic depth (Huang 2016): block l of L is dropped with probability l/L · drop_path while training,
and scaled by its probability to survive at test time. `resnet110_sd` is their net, with 0.5.
"""

import torch.nn.functional as F
from torch import Tensor, nn

from striate.nets.layers import DropPath, linear_decay
from striate.nets.net import Net, NetSpec, Stage
from striate.nets.zoo.entry import Entry
from striate.nets.zoo.initialise import he
from striate.nets.zoo.settings import probability

__all__ = ["NETS", "CifarBlock", "CifarResNet", "Subsample"]

WIDTHS = (16, 32, 64)


class Subsample(nn.Module):
    """The shortcut without parameters: [N, C, H, W] → [N, channels, ⌈H / stride⌉, ⌈W / stride⌉], new maps zero."""

    def __init__(self, channels: int, stride: int) -> None:
        super().__init__()
        self.channels = channels
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        missing = self.channels - x.shape[1]
        before = missing // 2  # half of the zero maps come before, as in the trained nets whose names we share
        return F.pad(x[:, :, :: self.stride, :: self.stride], (0, 0, 0, 0, before, missing - before))


class CifarBlock(nn.Module):
    """3×3, 3×3, with or without the shortcut: [N, C, H, W] → [N, width, ⌈H / stride⌉, ⌈W / stride⌉]."""

    def __init__(self, channels: int, width: int, stride: int, *, residual: bool, drop: float = 0.0) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.shortcut: nn.Module | None = None
        if residual:
            same = stride == 1 and channels == width
            self.shortcut = nn.Identity() if same else Subsample(width, stride)
        self.drop_path = DropPath(drop) if drop else None
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        if self.drop_path is not None:
            y = self.drop_path(y)
        if self.shortcut is not None:
            y = y + self.shortcut(x)
        out: Tensor = self.relu2(y)
        return out


class CifarResNet(Net):
    """x [N, in_chans, H, W] → features [N, 64, ⌈H / 4⌉, ⌈W / 4⌉] → scores."""

    stages = tuple(Stage(name=f"layer{i + 1}", stride=2**i, channels=width) for i, width in enumerate(WIDTHS))

    def __init__(self, spec: NetSpec, blocks: int, residual: bool, *, drop_path: float = 0.0) -> None:
        super().__init__(spec)
        p = probability("drop_path", drop_path)
        self.conv1 = nn.Conv2d(spec.in_chans, WIDTHS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.relu = nn.ReLU()

        def stage(number: int, channels: int, width: int, stride: int) -> nn.Sequential:
            drops = [linear_decay(p, number * blocks + i + 1, 3 * blocks) for i in range(blocks)]
            return nn.Sequential(
                CifarBlock(channels, width, stride, residual=residual, drop=drops[0]),
                *(CifarBlock(width, width, 1, residual=residual, drop=drop) for drop in drops[1:]),
            )

        self.layer1, self.layer2, self.layer3 = stage(0, 16, 16, 1), stage(1, 16, 32, 2), stage(2, 32, 64, 2)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(WIDTHS[-1], spec.num_classes)
        he(self, convolutions="fan_out", output=self.linear)

    def features(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))  # N × 16 × H × W
        f: Tensor = self.layer3(self.layer2(self.layer1(y)))
        return f

    def head(self, f: Tensor) -> Tensor:
        scores: Tensor = self.linear(self.avgpool(f).flatten(1))
        return scores


def _residual(spec: NetSpec, blocks: int, *, drop_path: float = 0.0) -> CifarResNet:
    return CifarResNet(spec, blocks, True, drop_path=drop_path)


def _plain(spec: NetSpec, blocks: int) -> CifarResNet:
    return CifarResNet(spec, blocks, False)


def _stochastic(spec: NetSpec, blocks: int, *, drop_path: float = 0.5) -> CifarResNet:
    return CifarResNet(spec, blocks, True, drop_path=drop_path)


NETS = {
    f"{kind}{layers}": Entry(build=build, args=((layers - 2) // 6,), input_size=(32, 32), source="He 2015, §4.2")
    for kind, build in (("resnet", _residual), ("plain", _plain))
    for layers in (20, 32, 44, 56, 110)
} | {"resnet110_sd": Entry(build=_stochastic, args=(18,), input_size=(32, 32), source="Huang 2016, §4")}
