"""ResNets for ImageNet: blocks that add to what they were given.

    y = relu(F(x) + shortcut(x))

He, Zhang, Ren and Sun 2015, "Deep residual learning for image recognition", table 1 and figure 5. A shortcut is the
identity where the shape stays and a strided 1×1 convolution where it changes (option B). Names and shapes of the
parameters are torchvision's. So is the place of the stride in a bottleneck: the 3×3 (`stride_on="3x3"`, sometimes
called v1.5, 4.1×10⁹ MACs for ResNet-50); the paper strides the first 1×1 (`stride_on="1x1"`, 3.8×10⁹), which saves
multiply-adds by never looking at three pixels in four. The wide ones have twice the maps in every 3×3.
"""

from collections.abc import Mapping
from types import MappingProxyType

from torch import Tensor, nn

from striate.nets.net import Net, NetSpec, Stage
from striate.nets.zoo.entry import Entry
from striate.nets.zoo.initialise import he
from striate.nets.zoo.settings import choose

__all__ = ["NETS", "Basic", "Bottleneck", "ResNet"]

WIDTHS = (64, 128, 256, 512)  # of the 3×3 convolutions, stage by stage
BOTTLENECK_STRIDES: Mapping[str, bool] = MappingProxyType({"3x3": False, "1x1": True})


class Basic(nn.Module):
    """3×3, 3×3: [N, C, H, W] → [N, width, H / stride, W / stride]."""

    expansion = 1

    def __init__(self, channels: int, width: int, stride: int, downsample: nn.Module | None, early: bool) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(width, width, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(width)
        self.downsample = downsample
        self.relu2 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.bn2(self.conv2(y))
        out: Tensor = self.relu2(y + shortcut)
        return out


class Bottleneck(nn.Module):
    """1×1, 3×3, 1×1: [N, C, H, W] → [N, 4 · width, H / stride, W / stride]; `early` strides the first 1×1.

    `wide` multiplies the maps of the 3×3 (Zagoruyko 2016), not those that come out.
    """

    expansion = 4

    def __init__(
        self, channels: int, width: int, stride: int, downsample: nn.Module | None, early: bool, wide: int = 1
    ) -> None:
        super().__init__()
        inner = width * wide
        first, second = (stride, 1) if early else (1, stride)
        self.conv1 = nn.Conv2d(channels, inner, 1, stride=first, bias=False)
        self.bn1 = nn.BatchNorm2d(inner)
        self.relu1 = nn.ReLU()
        self.conv2 = nn.Conv2d(inner, inner, 3, stride=second, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(inner)
        self.relu2 = nn.ReLU()
        self.conv3 = nn.Conv2d(inner, width * self.expansion, 1, bias=False)
        self.bn3 = nn.BatchNorm2d(width * self.expansion)
        self.downsample = downsample
        self.relu3 = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        y = self.relu1(self.bn1(self.conv1(x)))
        y = self.relu2(self.bn2(self.conv2(y)))
        y = self.bn3(self.conv3(y))
        out: Tensor = self.relu3(y + shortcut)
        return out


class ResNet(Net):
    """x [N, in_chans, H, W] → features [N, 512 · expansion, ⌈H / 32⌉, ⌈W / 32⌉] → scores."""

    def __init__(
        self,
        spec: NetSpec,
        block: type[Basic] | type[Bottleneck],
        depths: tuple[int, ...],
        *,
        zero_init_residual: bool = False,
        early: bool = False,
        wide: int = 1,
    ) -> None:
        super().__init__(spec)
        self.conv1 = nn.Conv2d(spec.in_chans, 64, 7, stride=2, padding=3, bias=False)
        self.bn1 = nn.BatchNorm2d(64)
        self.relu = nn.ReLU()
        self.maxpool = nn.MaxPool2d(3, stride=2, padding=1)
        outputs = [width * block.expansion for width in WIDTHS]
        self.layer1, self.layer2, self.layer3, self.layer4 = (
            _stage(block, channels, width, stride, depth, early, wide)
            for channels, width, stride, depth in zip([64, *outputs[:-1]], WIDTHS, (1, 2, 2, 2), depths, strict=True)
        )
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(outputs[-1], spec.num_classes)
        self.stages = tuple(
            Stage(name=f"layer{i}", stride=2 ** (i + 1), channels=channels)
            for i, channels in enumerate(outputs, start=1)
        )
        he(self, convolutions="fan_out", output=self.fc)
        if zero_init_residual:  # every block begins as the identity (Goyal 2017, §5.1)
            for module in self.modules():
                if isinstance(module, Basic | Bottleneck):
                    last = module.bn3 if isinstance(module, Bottleneck) else module.bn2
                    nn.init.zeros_(last.weight)

    def features(self, x: Tensor) -> Tensor:
        y = self.maxpool(self.relu(self.bn1(self.conv1(x))))  # N × 64 × H/4 × W/4
        f: Tensor = self.layer4(self.layer3(self.layer2(self.layer1(y))))
        return f

    def head(self, f: Tensor) -> Tensor:
        scores: Tensor = self.fc(self.avgpool(f).flatten(1))
        return scores


def _stage(
    block: type[Basic] | type[Bottleneck], channels: int, width: int, stride: int, depth: int, early: bool, wide: int
) -> nn.Sequential:
    out = width * block.expansion
    downsample = None
    if stride != 1 or channels != out:
        downsample = nn.Sequential(nn.Conv2d(channels, out, 1, stride=stride, bias=False), nn.BatchNorm2d(out))

    def make(channels: int, stride: int, downsample: nn.Module | None) -> nn.Module:
        if issubclass(block, Bottleneck):
            return block(channels, width, stride, downsample, early, wide)
        return block(channels, width, stride, downsample, early)

    return nn.Sequential(make(channels, stride, downsample), *(make(out, 1, None) for _ in range(depth - 1)))


def _basic(spec: NetSpec, depths: tuple[int, ...], *, zero_init_residual: bool = False) -> ResNet:
    return ResNet(spec, Basic, depths, zero_init_residual=zero_init_residual)


def _bottleneck(
    spec: NetSpec,
    depths: tuple[int, ...],
    wide: int = 1,
    *,
    zero_init_residual: bool = False,
    stride_on: str = "3x3",
) -> ResNet:
    early = choose("stride_on", stride_on, BOTTLENECK_STRIDES)
    return ResNet(spec, Bottleneck, depths, zero_init_residual=zero_init_residual, early=early, wide=wide)


NETS = {
    name: Entry(build=build, args=args, input_size=(224, 224), source=source)
    for name, build, args, source in (
        ("resnet18", _basic, ((2, 2, 2, 2),), "He 2015, table 1"),
        ("resnet34", _basic, ((3, 4, 6, 3),), "He 2015, table 1"),
        ("resnet50", _bottleneck, ((3, 4, 6, 3),), "He 2015, table 1"),
        ("resnet101", _bottleneck, ((3, 4, 23, 3),), "He 2015, table 1"),
        ("resnet152", _bottleneck, ((3, 8, 36, 3),), "He 2015, table 1"),
        ("wide_resnet50_2", _bottleneck, ((3, 4, 6, 3), 2), "Zagoruyko 2016, table 8"),
        ("wide_resnet101_2", _bottleneck, ((3, 4, 23, 3), 2), "Zagoruyko 2016, as torchvision has it"),
    )
}
