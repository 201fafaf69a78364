"""ResNets with the ReLU before the convolution, and a clean path from the first layer to the last.

    y = shortcut(x) + F(x),       F: norm relu 3×3, norm relu 3×3
                                  or norm relu 1×1, norm relu 3×3, norm relu 1×1 (bottleneck, four times the maps)

He, Zhang, Ren and Sun 2016, "Identity mappings in deep residual networks", figure 4e and table 4. Nothing stands on
the shortcut but the identity, or a 1×1 of the normalised input where the shape changes. CIFAR: 6n + 2 layers (110) or
9n + 2 with bottlenecks (164, 1001). ImageNet: table 1 of He 2015.
"""

from torch import Tensor, nn

from striate.nets.net import Net, NetSpec, Stage
from striate.nets.zoo.entry import Entry
from striate.nets.zoo.initialise import he

__all__ = ["NETS", "PreActBlock", "PreActBottleneck", "PreActResNet"]


class PreActBlock(nn.Module):
    """norm relu 3×3, norm relu [dropout] 3×3: [N, C, H, W] → [N, width, H / stride, W / stride]."""

    expansion = 1

    def __init__(self, channels: int, width: int, stride: int, dropout: float = 0.0) -> None:
        super().__init__()
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.dropout = nn.Dropout(dropout) if dropout else nn.Identity()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        changes = stride != 1 or channels != width
        self.shortcut = nn.Conv2d(channels, width, 1, stride=stride, bias=False) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.bn1(x))
        shortcut = x if self.shortcut is None else self.shortcut(y)
        out: Tensor = shortcut + self.conv2(self.dropout(self.relu2(self.bn2(self.conv1(y)))))
        return out


class PreActBottleneck(nn.Module):
    """norm relu 1×1, norm relu 3×3, norm relu 1×1: [N, C, H, W] → [N, 4 · width, H / stride, W / stride]."""

    expansion = 4

    def __init__(self, channels: int, width: int, stride: int) -> None:
        super().__init__()
        out = width * self.expansion
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu1 = nn.ReLU()
        self.conv1 = nn.Conv2d(channels, width, 1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.relu2 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, stride=stride, padding=1, bias=False)
        self.bn3 = nn.BatchNorm2d(width)
        self.relu3 = nn.ReLU()
        self.conv3 = nn.Conv2d(width, out, 1, bias=False)
        changes = stride != 1 or channels != out
        self.shortcut = nn.Conv2d(channels, out, 1, stride=stride, bias=False) if changes else None

    def forward(self, x: Tensor) -> Tensor:
        y = self.relu1(self.bn1(x))
        shortcut = x if self.shortcut is None else self.shortcut(y)
        y = self.conv2(self.relu2(self.bn2(self.conv1(y))))
        out: Tensor = shortcut + self.conv3(self.relu3(self.bn3(y)))
        return out


class PreActResNet(Net):
    """x [N, in_chans, H, W] → features → scores; the maps of `features` are normalised and positive.

    With `large` the net begins as ImageNet's do (7×7/2 and a pool), else with a 3×3 of 16 maps.
    """

    def __init__(
        self, spec: NetSpec, block: type[PreActBlock] | type[PreActBottleneck], depths: tuple[int, ...], large: bool
    ) -> None:
        super().__init__(spec)
        first = 64 if large else 16
        self.conv1 = (
            nn.Conv2d(spec.in_chans, first, 7, stride=2, padding=3, bias=False)
            if large
            else nn.Conv2d(spec.in_chans, first, 3, padding=1, bias=False)
        )
        self.pool = nn.MaxPool2d(3, stride=2, padding=1) if large else nn.Identity()
        channels = first
        stages: list[Stage] = []
        layers: list[nn.Module] = []
        for i, depth in enumerate(depths):
            width = first * 2**i
            blocks = [block(channels, width, 2 if i else 1)]
            channels = width * block.expansion
            blocks += [block(channels, width, 1) for _ in range(depth - 1)]
            layers.append(nn.Sequential(*blocks))
            stages.append(Stage(name=f"layers.{i}", stride=(4 if large else 1) * 2**i, channels=channels))
        self.layers = nn.Sequential(*layers)
        self.bn = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(channels, spec.num_classes)
        self.stages = tuple(stages)
        he(self, convolutions="fan_out", output=self.linear)

    def features(self, x: Tensor) -> Tensor:
        f: Tensor = self.relu(self.bn(self.layers(self.pool(self.conv1(x)))))
        return f

    def head(self, f: Tensor) -> Tensor:
        scores: Tensor = self.linear(self.avgpool(f).flatten(1))
        return scores


NETS = {
    f"preact_resnet{layers}": Entry(
        build=PreActResNet, args=(block, depths, large), input_size=size, source="He 2016, identity mappings"
    )
    for layers, block, depths, large, size in (
        (18, PreActBlock, (2, 2, 2, 2), True, (224, 224)),
        (34, PreActBlock, (3, 4, 6, 3), True, (224, 224)),
        (50, PreActBottleneck, (3, 4, 6, 3), True, (224, 224)),
        (101, PreActBottleneck, (3, 4, 23, 3), True, (224, 224)),
        (152, PreActBottleneck, (3, 8, 36, 3), True, (224, 224)),
        (110, PreActBlock, (18, 18, 18), False, (32, 32)),
        (164, PreActBottleneck, (18, 18, 18), False, (32, 32)),
        (1001, PreActBottleneck, (111, 111, 111), False, (32, 32)),
    )
}
