"""Inception-v3: large filters taken apart into rows and columns.

    Szegedy 2015, "Rethinking the Inception architecture", table 1 and figures 5, 6, 7 (299×299 in)

        35×35   A, three times   the 5×5 beside two 3×3
        17×17   C, four times    7×7 as 1×7 and 7×1, and twice over (§3.2, n = 7)
         8×8    E, twice         3×3 as 1×3 beside 3×1, concatenated: wide, where maps are small (figure 7)

B and D halve the maps by strided convolutions beside a pool, so that nothing is squeezed first (§5, figure 10). Names
and shapes are torchvision's, itself ported from the net its authors trained: its first modules keep a 5×5 where the
paper's figure 5 has two 3×3. One auxiliary head, with batch norm, behind the last 17×17 (§4), weight 0.4 as in
TensorFlow's recipe; at least 299 px are needed to train it, `auxiliary=False` does without.
"""

import torch
from torch import Tensor, nn

from striate.arithmetic import DoesNotFit
from striate.nets.net import Net, NetSpec, Stage
from striate.nets.zoo.entry import Entry
from striate.nets.zoo.initialise import he
from striate.nets.zoo.settings import probability
from striate.nets.zoo.units import ConvNormReLU as Conv

__all__ = ["NETS", "InceptionV3"]

AUXILIARY_WEIGHT = 0.4
AUXILIARY_PX = 17  # maps smaller than this leave nothing for the head's 5×5 pool and 5×5 convolution

ROW, COLUMN = (1, 7), (7, 1)
ROW_PADDING, COLUMN_PADDING = (0, 3), (3, 0)


class A(nn.Module):
    """1×1 | 5×5 | 3×3 twice | pool: [N, C, h, w] → [N, 224 + pooled, h, w]."""

    def __init__(self, channels: int, pooled: int) -> None:
        super().__init__()
        self.branch1x1 = Conv(channels, 64, 1)
        self.branch5x5_1 = Conv(channels, 48, 1)
        self.branch5x5_2 = Conv(48, 64, 5, padding=2)
        self.branch3x3dbl_1 = Conv(channels, 64, 1)
        self.branch3x3dbl_2 = Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Conv(96, 96, 3, padding=1)
        self.pool = nn.AvgPool2d(3, stride=1, padding=1)
        self.branch_pool = Conv(channels, pooled, 1)

    def forward(self, x: Tensor) -> Tensor:
        five = self.branch5x5_2(self.branch5x5_1(x))
        three = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch1x1(x), five, three, self.branch_pool(self.pool(x))], 1)


class B(nn.Module):
    """Half the size: strided 3×3 | 3×3 twice | pool: [N, C, h, w] → [N, 480 + C, h / 2, w / 2]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch3x3 = Conv(channels, 384, 3, stride=2)
        self.branch3x3dbl_1 = Conv(channels, 64, 1)
        self.branch3x3dbl_2 = Conv(64, 96, 3, padding=1)
        self.branch3x3dbl_3 = Conv(96, 96, 3, stride=2)
        self.pool = nn.MaxPool2d(3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        double = self.branch3x3dbl_3(self.branch3x3dbl_2(self.branch3x3dbl_1(x)))
        return torch.cat([self.branch3x3(x), double, self.pool(x)], 1)


class C(nn.Module):
    """1×1 | 7×7 | 7×7 twice | pool, each 7×7 a row and a column of `width` maps: → [N, 768, h, w]."""

    def __init__(self, channels: int, width: int) -> None:
        super().__init__()
        self.branch1x1 = Conv(channels, 192, 1)
        self.branch7x7_1 = Conv(channels, width, 1)
        self.branch7x7_2 = Conv(width, width, ROW, padding=ROW_PADDING)
        self.branch7x7_3 = Conv(width, 192, COLUMN, padding=COLUMN_PADDING)
        self.branch7x7dbl_1 = Conv(channels, width, 1)
        self.branch7x7dbl_2 = Conv(width, width, COLUMN, padding=COLUMN_PADDING)
        self.branch7x7dbl_3 = Conv(width, width, ROW, padding=ROW_PADDING)
        self.branch7x7dbl_4 = Conv(width, width, COLUMN, padding=COLUMN_PADDING)
        self.branch7x7dbl_5 = Conv(width, 192, ROW, padding=ROW_PADDING)
        self.pool = nn.AvgPool2d(3, stride=1, padding=1)
        self.branch_pool = Conv(channels, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        seven = self.branch7x7_3(self.branch7x7_2(self.branch7x7_1(x)))
        double = self.branch7x7dbl_3(self.branch7x7dbl_2(self.branch7x7dbl_1(x)))
        double = self.branch7x7dbl_5(self.branch7x7dbl_4(double))
        return torch.cat([self.branch1x1(x), seven, double, self.branch_pool(self.pool(x))], 1)


class D(nn.Module):
    """Half the size: strided 3×3 | 7×7, strided 3×3 | pool: [N, C, h, w] → [N, 512 + C, h / 2, w / 2]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch3x3_1 = Conv(channels, 192, 1)
        self.branch3x3_2 = Conv(192, 320, 3, stride=2)
        self.branch7x7x3_1 = Conv(channels, 192, 1)
        self.branch7x7x3_2 = Conv(192, 192, ROW, padding=ROW_PADDING)
        self.branch7x7x3_3 = Conv(192, 192, COLUMN, padding=COLUMN_PADDING)
        self.branch7x7x3_4 = Conv(192, 192, 3, stride=2)
        self.pool = nn.MaxPool2d(3, stride=2)

    def forward(self, x: Tensor) -> Tensor:
        seven = self.branch7x7x3_3(self.branch7x7x3_2(self.branch7x7x3_1(x)))
        return torch.cat([self.branch3x3_2(self.branch3x3_1(x)), self.branch7x7x3_4(seven), self.pool(x)], 1)


class E(nn.Module):
    """1×1 | 1×3 beside 3×1 | 3×3, then 1×3 beside 3×1 | pool: [N, C, h, w] → [N, 2048, h, w]."""

    def __init__(self, channels: int) -> None:
        super().__init__()
        self.branch1x1 = Conv(channels, 320, 1)
        self.branch3x3_1 = Conv(channels, 384, 1)
        self.branch3x3_2a = Conv(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3_2b = Conv(384, 384, (3, 1), padding=(1, 0))
        self.branch3x3dbl_1 = Conv(channels, 448, 1)
        self.branch3x3dbl_2 = Conv(448, 384, 3, padding=1)
        self.branch3x3dbl_3a = Conv(384, 384, (1, 3), padding=(0, 1))
        self.branch3x3dbl_3b = Conv(384, 384, (3, 1), padding=(1, 0))
        self.pool = nn.AvgPool2d(3, stride=1, padding=1)
        self.branch_pool = Conv(channels, 192, 1)

    def forward(self, x: Tensor) -> Tensor:
        y = self.branch3x3_1(x)
        three = [self.branch3x3_2a(y), self.branch3x3_2b(y)]
        y = self.branch3x3dbl_2(self.branch3x3dbl_1(x))
        double = [self.branch3x3dbl_3a(y), self.branch3x3dbl_3b(y)]
        return torch.cat([self.branch1x1(x), *three, *double, self.branch_pool(self.pool(x))], 1)


class AuxiliaryHead(nn.Module):
    """Scores from the middle: [N, C, 17, 17] or larger → [N, classes], for training only."""

    def __init__(self, channels: int, classes: int) -> None:
        super().__init__()
        self.pool = nn.AvgPool2d(5, stride=3)
        self.conv0 = Conv(channels, 128, 1)
        self.conv1 = Conv(128, 768, 5)
        self.average = nn.AdaptiveAvgPool2d(1)
        self.fc = nn.Linear(768, classes)

    def forward(self, f: Tensor) -> Tensor:
        if min(f.shape[2:]) < AUXILIARY_PX:
            raise DoesNotFit(
                f"the auxiliary head of inception_v3 sees {f.shape[2]}×{f.shape[3]} px and needs 17×17; train on "
                "images of at least 299×299, or create the net with auxiliary=False"
            )
        scores: Tensor = self.fc(self.average(self.conv1(self.conv0(self.pool(f)))).flatten(1))
        return scores


class InceptionV3(Net):
    """x [N, in_chans, H, W] → features [N, 2048, h, w] → scores; h = w = 8 for 299×299."""

    stages = (
        Stage(name="Conv2d_2b_3x3", stride=2, channels=64),
        Stage(name="Conv2d_4a_3x3", stride=4, channels=192),
        Stage(name="Mixed_5d", stride=8, channels=288),
        Stage(name="Mixed_6e", stride=16, channels=768),
        Stage(name="Mixed_7c", stride=32, channels=2048),
    )

    def __init__(self, spec: NetSpec, *, auxiliary: bool = True, dropout: float = 0.5) -> None:
        super().__init__(spec)
        self.Conv2d_1a_3x3 = Conv(spec.in_chans, 32, 3, stride=2)
        self.Conv2d_2a_3x3 = Conv(32, 32, 3)
        self.Conv2d_2b_3x3 = Conv(32, 64, 3, padding=1)
        self.maxpool1 = nn.MaxPool2d(3, stride=2)
        self.Conv2d_3b_1x1 = Conv(64, 80, 1)
        self.Conv2d_4a_3x3 = Conv(80, 192, 3)
        self.maxpool2 = nn.MaxPool2d(3, stride=2)
        self.Mixed_5b = A(192, 32)
        self.Mixed_5c = A(256, 64)
        self.Mixed_5d = A(288, 64)
        self.Mixed_6a = B(288)
        self.Mixed_6b = C(768, 128)
        self.Mixed_6c = C(768, 160)
        self.Mixed_6d = C(768, 160)
        self.Mixed_6e = C(768, 192)
        self.AuxLogits = AuxiliaryHead(768, spec.num_classes) if auxiliary else None
        self.Mixed_7a = D(768)
        self.Mixed_7b = E(1280)
        self.Mixed_7c = E(2048)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.dropout = nn.Dropout(probability("dropout", dropout))
        self.fc = nn.Linear(2048, spec.num_classes)
        outputs = (self.fc,) if self.AuxLogits is None else (self.fc, self.AuxLogits.fc)
        he(self, convolutions="fan_in", output=outputs)

    def features(self, x: Tensor) -> Tensor:
        return self._end(self._middle(x))

    def head(self, f: Tensor) -> Tensor:
        scores: Tensor = self.fc(self.dropout(self.avgpool(f).flatten(1)))
        return scores

    def forward_with_auxiliary(self, x: Tensor) -> tuple[Tensor, list[tuple[float, Tensor]]]:
        """Scores, and (weight, scores) of the auxiliary head. Raises DoesNotFit for images too small for that head."""
        middle = self._middle(x)
        scores = self.head(self._end(middle))
        return scores, [] if self.AuxLogits is None else [(AUXILIARY_WEIGHT, self.AuxLogits(middle))]

    def _middle(self, x: Tensor) -> Tensor:
        y = self.Conv2d_2b_3x3(self.Conv2d_2a_3x3(self.Conv2d_1a_3x3(x)))  # N × 64 × 147 × 147
        y = self.Conv2d_4a_3x3(self.Conv2d_3b_1x1(self.maxpool1(y)))  # N × 192 × 71 × 71
        y = self.Mixed_5d(self.Mixed_5c(self.Mixed_5b(self.maxpool2(y))))  # N × 288 × 35 × 35
        middle: Tensor = self.Mixed_6e(self.Mixed_6d(self.Mixed_6c(self.Mixed_6b(self.Mixed_6a(y)))))
        return middle  # N × 768 × 17 × 17

    def _end(self, middle: Tensor) -> Tensor:
        f: Tensor = self.Mixed_7c(self.Mixed_7b(self.Mixed_7a(middle)))
        return f


NETS = {"inception_v3": Entry(build=InceptionV3, input_size=(299, 299), source="Szegedy 2015, table 1")}
