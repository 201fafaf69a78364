"""ResNets for CIFAR, and the plain nets they were measured against.

    3×3, 16 → n blocks of 16 maps at 32×32 → n of 32 at 16×16 → n of 64 at 8×8 → average → scores

6n + 2 layers with weights; n = 3, 5, 7, 9, 18 (He 2015, §4.2 and table 6). Shortcuts have no parameters (option A):
where the shape changes, every second pixel of every second row is taken and the new maps are zero. The plain twin is
the same net without shortcuts, the one whose training error rises with depth (figure 6). Parameters are named as in the
widely used trained ones (conv1, bn1, layer1.0.conv1 …, linear).
"""

import torch.nn.functional as F
from torch import Tensor, nn

from striate.nets.net import Net, NetSpec, Stage
from striate.nets.zoo.entry import Entry
from striate.nets.zoo.initialise import he

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

    def __init__(self, channels: int, width: int, stride: int, *, residual: bool) -> None:
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
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        if self.shortcut is not None:
            y = y + self.shortcut(x)
        out: Tensor = self.relu2(y)
        return out


class CifarResNet(Net):
    """x [N, in_chans, H, W] → features [N, 64, ⌈H / 4⌉, ⌈W / 4⌉] → scores."""

    stages = tuple(Stage(name=f"layer{i + 1}", stride=2**i, channels=width) for i, width in enumerate(WIDTHS))

    def __init__(self, spec: NetSpec, blocks: int, residual: bool) -> None:
        super().__init__(spec)
        self.conv1 = nn.Conv2d(spec.in_chans, WIDTHS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.relu = nn.ReLU()
        self.layer1, self.layer2, self.layer3 = (
            nn.Sequential(
                CifarBlock(channels, width, stride, residual=residual),
                *(CifarBlock(width, width, 1, residual=residual) for _ in range(blocks - 1)),
            )
            for channels, width, stride in ((16, 16, 1), (16, 32, 2), (32, 64, 2))
        )
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


NETS = {
    f"{kind}{layers}": Entry(
        build=CifarResNet,
        args=((layers - 2) // 6, kind == "resnet"),
        input_size=(32, 32),
        source="He 2015, §4.2",
    )
    for kind in ("resnet", "plain")
    for layers in (20, 32, 44, 56, 110)
}
