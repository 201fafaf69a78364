"""Residual networks of residual networks: shortcuts over shortcuts.

    final level    over every block, as in ResNet
    middle level   over every stage, a 1×1 with batch norm
    root level     from the first convolution to the end, a 1×1 with batch norm

Zhang, Sun, Han, Yuan, Guo and Liu 2016, eqs. 2 to 4 and figure 1 (m = 3 levels, its best): ReLU comes after all sums
that end at a place. `ror110` is the CIFAR ResNet of 110 layers with the two further levels, whose shortcuts are
projections (§3.5, type B), while those of the blocks have no parameters (type A). `drop_path` is stochastic depth,
which the paper finds it needs.
"""

from torch import Tensor, nn

from striate.nets.layers import DropPath, linear_decay
from striate.nets.net import Net, NetSpec, Stage
from striate.nets.zoo.cifar_resnet import WIDTHS, Subsample
from striate.nets.zoo.entry import Entry
from striate.nets.zoo.initialise import he
from striate.nets.zoo.settings import probability

__all__ = ["NETS", "RoR"]


class OpenBlock(nn.Module):
    """A residual block before its last ReLU, so that others can add to it."""

    def __init__(self, channels: int, width: int, stride: int, drop: float) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.drop_path = DropPath(drop) if drop else nn.Identity()
        same = stride == 1 and channels == width
        self.shortcut = nn.Identity() if same else Subsample(width, stride)

    def forward(self, x: Tensor) -> Tensor:
        y = self.bn2(self.conv2(self.relu1(self.bn1(self.conv1(x)))))
        out: Tensor = self.drop_path(y) + self.shortcut(x)
        return out


class Group(nn.Module):
    """A stage with its middle-level shortcut, before the last ReLU: [N, C, H, W] → [N, width, H / stride, …]."""

    def __init__(self, channels: int, width: int, stride: int, drops: list[float]) -> None:
        super().__init__()
        layers: list[nn.Module] = []
        for i, drop in enumerate(drops):
            layers += [nn.ReLU()] if i else []
            layers.append(OpenBlock(width if i else channels, width, 1 if i else stride, drop))
        self.blocks = nn.Sequential(*layers)
        self.shortcut = _projection(channels, width, stride)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.blocks(x) + self.shortcut(x)
        return out


class RoR(Net):
    """x [N, in_chans, H, W] → features [N, 64, ⌈H / 4⌉, ⌈W / 4⌉] → scores."""

    stages = tuple(Stage(name=f"relu{i + 1}", stride=2**i, channels=width) for i, width in enumerate(WIDTHS))

    def __init__(self, spec: NetSpec, blocks: int, *, drop_path: float = 0.0) -> None:
        super().__init__(spec)
        p = probability("drop_path", drop_path)
        drops = [linear_decay(p, block, 3 * blocks) for block in range(1, 3 * blocks + 1)]
        self.conv1 = nn.Conv2d(spec.in_chans, WIDTHS[0], 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(WIDTHS[0])
        self.relu = nn.ReLU()
        self.layer1 = Group(WIDTHS[0], WIDTHS[0], 1, drops[:blocks])
        self.relu1 = nn.ReLU()
        self.layer2 = Group(WIDTHS[0], WIDTHS[1], 2, drops[blocks : 2 * blocks])
        self.relu2 = nn.ReLU()
        self.layer3 = Group(WIDTHS[1], WIDTHS[2], 2, drops[2 * blocks :])
        self.root = _projection(WIDTHS[0], WIDTHS[2], 4)
        self.relu3 = nn.ReLU()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(WIDTHS[2], spec.num_classes)
        he(self, convolutions="fan_out", output=self.linear)

    def features(self, x: Tensor) -> Tensor:
        y = self.relu(self.bn1(self.conv1(x)))
        deep = self.layer3(self.relu2(self.layer2(self.relu1(self.layer1(y)))))
        f: Tensor = self.relu3(deep + self.root(y))
        return f

    def head(self, f: Tensor) -> Tensor:
        scores: Tensor = self.linear(self.avgpool(f).flatten(1))
        return scores


def _projection(channels: int, width: int, stride: int) -> nn.Sequential:
    return nn.Sequential(nn.Conv2d(channels, width, 1, stride=stride, bias=False), nn.BatchNorm2d(width))


NETS = {
    f"ror{layers}": Entry(build=RoR, args=((layers - 2) // 6,), input_size=(32, 32), source="Zhang 2016, RoR-3")
    for layers in (56, 110)
}
