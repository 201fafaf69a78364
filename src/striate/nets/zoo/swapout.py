"""Swapout nets: CIFAR ResNets, twice or four times as wide, whose units choose between shortcut and residual.

    Singh, Hoiem and Forsyth 2016, §4: y = Θ1 ∘ x + Θ2 ∘ F(x), keep probabilities from 1 in the first block to 0.5 in
    the last ("Linear(1, 0.5)"), F as in the pre-activation ResNet, a 1×1 where the shape changes; 20 layers with
    twice the maps of ResNet-20 (W×2), 32 layers with four times (W×4)

`inference="stochastic"` goes on drawing at test time: average the probabilities of several passes (the paper takes 30).
"""

from torch import Tensor, nn

from striate.nets.layers import Swapout
from striate.nets.net import Net, NetSpec, Stage
from striate.nets.zoo.entry import Entry
from striate.nets.zoo.initialise import he
from striate.nets.zoo.settings import probability

__all__ = ["NETS", "SwapoutNet"]


class SwapoutBlock(nn.Module):
    """[N, C, H, W] → [N, width, ⌈H / stride⌉, ⌈W / stride⌉]; `keep` is both θ."""

    def __init__(self, channels: int, width: int, stride: int, keep: float, inference: str) -> None:
        super().__init__()
        self.residual = nn.Sequential(
            nn.BatchNorm2d(channels),
            nn.ReLU(),
            nn.Conv2d(channels, width, 3, stride=stride, padding=1, bias=False),
            nn.BatchNorm2d(width),
            nn.ReLU(),
            nn.Conv2d(width, width, 3, padding=1, bias=False),
        )
        same = stride == 1 and channels == width
        self.shortcut = nn.Identity() if same else nn.Conv2d(channels, width, 1, stride=stride, bias=False)
        self.swapout = Swapout(keep, keep, inference=inference)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.swapout(self.shortcut(x), self.residual(x))
        return out


class SwapoutNet(Net):
    """x [N, in_chans, H, W] → features [N, 64 · wide, ⌈H / 4⌉, ⌈W / 4⌉] → scores."""

    def __init__(
        self, spec: NetSpec, depth: int, wide: int, *, drop_last: float = 0.5, inference: str = "deterministic"
    ) -> None:
        super().__init__(spec)
        p, blocks = probability("drop_last", drop_last), (depth - 2) // 6
        widths = (16 * wide, 32 * wide, 64 * wide)
        self.conv1 = nn.Conv2d(spec.in_chans, widths[0], 3, padding=1, bias=False)

        def keep(block: int) -> float:
            return 1 - p * block / (3 * blocks - 1)

        def stage(number: int, channels: int, width: int) -> nn.Sequential:
            first = number * blocks
            made = [SwapoutBlock(channels, width, 2 if number else 1, keep(first), inference)]
            made += [SwapoutBlock(width, width, 1, keep(first + i), inference) for i in range(1, blocks)]
            return nn.Sequential(*made)

        self.layer1, self.layer2, self.layer3 = (
            stage(i, channels, width)
            for i, (channels, width) in enumerate(zip((widths[0], *widths[:2]), widths, strict=True))
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
    f"swapout{depth}": Entry(build=SwapoutNet, args=(depth, wide), input_size=(32, 32), source="Singh 2016, table 4")
    for depth, wide in ((20, 2), (32, 4))
}
