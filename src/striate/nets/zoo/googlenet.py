"""GoogLeNet: nine Inception modules, 22 layers, seven million parameters.

    Szegedy 2014, "Going deeper with convolutions", table 1: maps of each branch of each module

        x ─┬─ 1×1 ────────────┐
           ├─ 1×1 ─ 3×3 ──────┤
           ├─ 1×1 ─ 5×5 ──────┼─ concatenated
           └─ max 3×3 ─ 1×1 ──┘

`googlenet2014` is the paper's: 5×5, biases, local response norm, dropout 0.4. `googlenet` is torchvision's, with its
names: batch norm for both, and a 3×3 where the paper has the 5×5 (a slip of the port that its trained weights have made
permanent). Two auxiliary heads, behind 4a and 4d, push gradients into the middle while training, with weight 0.3 each
(§5); `auxiliary=False` leaves them out. Every pool rounds up, as Caffe's do, which gives 112, 56, 28, 14, 7.
"""

from collections.abc import Mapping
from types import MappingProxyType

import torch
from torch import Tensor, nn

from striate.arithmetic import DoesNotFit
from striate.nets.layers import LocalResponseNorm
from striate.nets.net import Net, NetSpec, Stage
from striate.nets.zoo.entry import Entry
from striate.nets.zoo.initialise import he
from striate.nets.zoo.settings import probability
from striate.nets.zoo.units import ConvNormReLU, ConvReLU

__all__ = ["NETS", "GoogLeNet", "Inception"]

#    1×1, reduce 3×3, 3×3, reduce 5×5, 5×5, after the pool
TABLE: Mapping[str, tuple[int, int, int, int, int, int]] = MappingProxyType(
    {
        "3a": (64, 96, 128, 16, 32, 32),
        "3b": (128, 128, 192, 32, 96, 64),
        "4a": (192, 96, 208, 16, 48, 64),
        "4b": (160, 112, 224, 24, 64, 64),
        "4c": (128, 128, 256, 24, 64, 64),
        "4d": (112, 144, 288, 32, 64, 64),
        "4e": (256, 160, 320, 32, 128, 128),
        "5a": (256, 160, 320, 32, 128, 128),
        "5b": (384, 192, 384, 48, 128, 128),
    }
)
AUXILIARY_WEIGHT = 0.3  # §5: "weighted by 0.3"
AUXILIARY_DROPOUT = 0.7  # §5

_Unit = type[ConvNormReLU] | type[ConvReLU]


class Inception(nn.Module):
    """Four branches side by side: [N, C, H, W] → [N, maps of all branches, H, W]."""

    def __init__(self, channels: int, row: tuple[int, int, int, int, int, int], unit: _Unit, kernel: int) -> None:
        super().__init__()
        one, reduce3, three, reduce5, five, pooled = row
        self.branch1 = unit(channels, one, 1)
        self.branch2 = nn.Sequential(unit(channels, reduce3, 1), unit(reduce3, three, 3, padding=1))
        self.branch3 = nn.Sequential(unit(channels, reduce5, 1), unit(reduce5, five, kernel, padding=kernel // 2))
        self.branch4 = nn.Sequential(nn.MaxPool2d(3, stride=1, padding=1, ceil_mode=True), unit(channels, pooled, 1))

    def forward(self, x: Tensor) -> Tensor:
        return torch.cat([self.branch1(x), self.branch2(x), self.branch3(x), self.branch4(x)], 1)


class AuxiliaryHead(nn.Module):
    """Scores from the middle: maps [N, C, h, w] → [N, classes], for training only.

    Raises DoesNotFit for maps that the paper's pool cannot take.

    The paper's average pool 5×5/3 makes 4×4 of its 14×14; `adaptive` is torchvision's pool, which always makes 4×4.
    """

    def __init__(self, channels: int, classes: int, unit: _Unit, *, adaptive: bool) -> None:
        super().__init__()
        self.adaptive = adaptive
        exact = nn.AdaptiveAvgPool2d(4)  # leaves 4×4 alone
        self.pool = exact if adaptive else nn.Sequential(nn.AvgPool2d(5, stride=3), exact)
        self.conv = unit(channels, 128, 1)
        self.fc1 = nn.Linear(128 * 4 * 4, 1024)
        self.relu = nn.ReLU()
        self.dropout = nn.Dropout(AUXILIARY_DROPOUT)
        self.fc2 = nn.Linear(1024, classes)

    def forward(self, f: Tensor) -> Tensor:
        if not self.adaptive and min(f.shape[2:]) < 5:
            raise DoesNotFit(
                f"the auxiliary head of googlenet2014 sees {f.shape[2]}×{f.shape[3]} px and needs 5×5; train on "
                "images of at least 79×79, or create the net with auxiliary=False"
            )
        y = self.conv(self.pool(f)).flatten(1)  # N × 2048
        scores: Tensor = self.fc2(self.dropout(self.relu(self.fc1(y))))
        return scores


class GoogLeNet(Net):
    """x [N, in_chans, H, W] → features [N, 1024, ⌈H / 32⌉, ⌈W / 32⌉] → scores."""

    stages = (
        Stage(name="conv1", stride=2, channels=64),
        Stage(name="conv3", stride=4, channels=192),
        Stage(name="inception3b", stride=8, channels=480),
        Stage(name="inception4e", stride=16, channels=832),
        Stage(name="inception5b", stride=32, channels=1024),
    )

    def __init__(self, spec: NetSpec, published: bool, *, auxiliary: bool, dropout: float) -> None:
        super().__init__(spec)
        unit: _Unit = ConvReLU if published else ConvNormReLU
        kernel = 5 if published else 3

        def module(name: str, channels: int) -> Inception:
            return Inception(channels, TABLE[name], unit, kernel)

        def norm() -> nn.Module:  # α, β, k as in the net its authors' prototxt describes
            return LocalResponseNorm(5, alpha=1e-4, beta=0.75, k=1.0) if published else nn.Identity()

        self.conv1 = unit(spec.in_chans, 64, 7, stride=2, padding=3)
        self.maxpool1 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.norm1 = norm()
        self.conv2 = unit(64, 64, 1)
        self.conv3 = unit(64, 192, 3, padding=1)
        self.norm2 = norm()
        self.maxpool2 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception3a = module("3a", 192)
        self.inception3b = module("3b", 256)
        self.maxpool3 = nn.MaxPool2d(3, stride=2, ceil_mode=True)
        self.inception4a = module("4a", 480)
        self.inception4b = module("4b", 512)
        self.inception4c = module("4c", 512)
        self.inception4d = module("4d", 512)
        self.inception4e = module("4e", 528)
        last = 3 if published else 2  # torchvision's last pool is 2×2
        self.maxpool4 = nn.MaxPool2d(last, stride=2, ceil_mode=True)
        self.inception5a = module("5a", 832)
        self.inception5b = module("5b", 832)
        self.aux1 = AuxiliaryHead(512, spec.num_classes, unit, adaptive=not published) if auxiliary else None
        self.aux2 = AuxiliaryHead(528, spec.num_classes, unit, adaptive=not published) if auxiliary else None
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(probability("dropout", dropout))
        self.fc = nn.Linear(1024, spec.num_classes)
        heads = tuple(head.fc2 for head in (self.aux1, self.aux2) if head is not None)
        he(self, convolutions="fan_in", output=(self.fc, *heads))

    def features(self, x: Tensor) -> Tensor:
        return self._trunk(x)[2]

    def head(self, f: Tensor) -> Tensor:
        scores: Tensor = self.fc(self.dropout(self.avgpool(f).flatten(1)))
        return scores

    def forward_with_auxiliary(self, x: Tensor) -> tuple[Tensor, list[tuple[float, Tensor]]]:
        """Scores, and (weight, scores) of the auxiliary heads: what training lowers the loss of."""
        at4a, at4d, f = self._trunk(x)
        if self.aux1 is None or self.aux2 is None:
            return self.head(f), []
        return self.head(f), [(AUXILIARY_WEIGHT, self.aux1(at4a)), (AUXILIARY_WEIGHT, self.aux2(at4d))]

    def _trunk(self, x: Tensor) -> tuple[Tensor, Tensor, Tensor]:
        """The maps behind 4a, behind 4d and at the end."""
        y = self.norm1(self.maxpool1(self.conv1(x)))  # N × 64 × H/4
        y = self.maxpool2(self.norm2(self.conv3(self.conv2(y))))  # N × 192 × H/8
        at4a = self.inception4a(self.maxpool3(self.inception3b(self.inception3a(y))))  # N × 512 × H/16
        at4d = self.inception4d(self.inception4c(self.inception4b(at4a)))  # N × 528 × H/16
        y = self.maxpool4(self.inception4e(at4d))  # N × 832 × H/32
        return at4a, at4d, self.inception5b(self.inception5a(y))


def _published(spec: NetSpec, *, auxiliary: bool = True, dropout: float = 0.4) -> GoogLeNet:
    return GoogLeNet(spec, True, auxiliary=auxiliary, dropout=dropout)


def _torchvision(spec: NetSpec, *, auxiliary: bool = True, dropout: float = 0.2) -> GoogLeNet:
    return GoogLeNet(spec, False, auxiliary=auxiliary, dropout=dropout)


NETS = {
    "googlenet": Entry(build=_torchvision, input_size=(224, 224), source="Szegedy 2014, as torchvision has it"),
    "googlenet2014": Entry(build=_published, input_size=(224, 224), source="Szegedy 2014, table 1"),
}
