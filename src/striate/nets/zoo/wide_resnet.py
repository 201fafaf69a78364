"""Wide ResNets for CIFAR: fewer layers, more maps, faster to train.

    Zagoruyko and Komodakis 2016, table 1: WRN-depth-k

        3×3, 16 → n blocks of 16k maps → n of 32k, half the size → n of 64k → norm relu, average, scores

Depth 6n + 4 (its 1×1 shortcuts are counted): n = 2, 4, 6 for 16, 28, 40. Pre-activation blocks of two 3×3, the best
of the paper's table 2; `dropout` stands between the two (§2.4; the paper takes 0.3).
"""

from torch import Tensor, nn

from striate.nets.net import Net, NetSpec, Stage
from striate.nets.zoo.entry import Entry
from striate.nets.zoo.initialise import he
from striate.nets.zoo.preact_resnet import PreActBlock
from striate.nets.zoo.settings import probability

__all__ = ["NETS", "WideResNet"]

PUBLISHED = ((16, 4), (16, 8), (28, 10), (40, 1), (40, 2), (40, 4))  # depth, k: tables 3 to 5


class WideResNet(Net):
    """x [N, in_chans, H, W] → features [N, 64k, ⌈H / 4⌉, ⌈W / 4⌉] → scores."""

    def __init__(self, spec: NetSpec, depth: int, k: int, *, dropout: float = 0.0) -> None:
        super().__init__(spec)
        p, blocks = probability("dropout", dropout), (depth - 4) // 6
        widths = (16 * k, 32 * k, 64 * k)
        self.conv1 = nn.Conv2d(spec.in_chans, 16, 3, padding=1, bias=False)
        self.layer1, self.layer2, self.layer3 = (
            nn.Sequential(
                PreActBlock(channels, width, stride, p), *(PreActBlock(width, width, 1, p) for _ in range(blocks - 1))
            )
            for channels, width, stride in zip((16, *widths[:2]), widths, (1, 2, 2), strict=True)
        )
        self.bn = nn.BatchNorm2d(widths[-1])
        self.relu = nn.ReLU()
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(widths[-1], spec.num_classes)
        self.stages = tuple(Stage(name=f"layer{i + 1}", stride=2**i, channels=w) for i, w in enumerate(widths))
        he(self, convolutions="fan_out", output=self.linear)

    def features(self, x: Tensor) -> Tensor:
        f: Tensor = self.relu(self.bn(self.layer3(self.layer2(self.layer1(self.conv1(x))))))
        return f

    def head(self, f: Tensor) -> Tensor:
        scores: Tensor = self.linear(self.avgpool(f).flatten(1))
        return scores


NETS = {
    f"wrn{depth}_{k}": Entry(
        build=WideResNet, args=(depth, k), input_size=(32, 32), source="Zagoruyko and Komodakis 2016, table 1"
    )
    for depth, k in PUBLISHED
}
