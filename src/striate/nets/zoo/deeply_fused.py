"""Deeply-fused nets: a deep and a shallow net that meet after every stage.

    y_k = D_k(y_k−1) + S_k(y_k−1)        k: the stages; D the deep net's, S the shallow net's

Wang, Wei, Zhang and Zeng 2016, eq. 2: what the nets' stages give is summed and handed to both, so that every mixture of
deep and shallow stages is a path of the net and the deep one is reached early by gradients. Either is a plain net for
CIFAR (3×3, batch norm, ReLU; 16 32 64 maps); a stage of the deep one has `deep` convolutions, of the shallow one
`shallow`. The name says the layers with weights along the two.
"""

from torch import Tensor, nn

from striate.nets.net import Net, NetSpec, Stage
from striate.nets.zoo.cifar_resnet import WIDTHS
from striate.nets.zoo.entry import Entry
from striate.nets.zoo.initialise import he

__all__ = ["NETS", "DeeplyFused"]


class Fusion(nn.Module):
    """One stage of both nets, summed: [N, C, H, W] → [N, width, ⌈H / stride⌉, ⌈W / stride⌉]."""

    def __init__(self, channels: int, width: int, stride: int, deep: int, shallow: int) -> None:
        super().__init__()
        self.deep = _plain(channels, width, stride, deep)
        self.shallow = _plain(channels, width, stride, shallow)

    def forward(self, x: Tensor) -> Tensor:
        out: Tensor = self.deep(x) + self.shallow(x)
        return out


class DeeplyFused(Net):
    """x [N, in_chans, H, W] → features [N, 64, ⌈H / 4⌉, ⌈W / 4⌉] → scores."""

    stages = tuple(Stage(name=f"fusion{i + 1}", stride=2**i, channels=width) for i, width in enumerate(WIDTHS))

    def __init__(self, spec: NetSpec, deep: int, shallow: int) -> None:
        super().__init__(spec)
        self.conv1 = _plain(spec.in_chans, WIDTHS[0], 1, 1)
        self.fusion1 = Fusion(WIDTHS[0], WIDTHS[0], 1, deep, shallow)
        self.fusion2 = Fusion(WIDTHS[0], WIDTHS[1], 2, deep, shallow)
        self.fusion3 = Fusion(WIDTHS[1], WIDTHS[2], 2, deep, shallow)
        self.avgpool = nn.AdaptiveAvgPool2d(1)
        self.linear = nn.Linear(WIDTHS[2], spec.num_classes)
        he(self, convolutions="fan_out", output=self.linear)

    def features(self, x: Tensor) -> Tensor:
        f: Tensor = self.fusion3(self.fusion2(self.fusion1(self.conv1(x))))
        return f

    def head(self, f: Tensor) -> Tensor:
        scores: Tensor = self.linear(self.avgpool(f).flatten(1))
        return scores


def _plain(channels: int, width: int, stride: int, convolutions: int) -> nn.Sequential:
    layers: list[nn.Module] = []
    for i in range(convolutions):
        conv = nn.Conv2d(width if i else channels, width, 3, stride=1 if i else stride, padding=1, bias=False)
        layers += [conv, nn.BatchNorm2d(width), nn.ReLU()]
    return nn.Sequential(*layers)


NETS = {
    f"deeply_fused{3 * deep + 2}_{3 * shallow + 2}": Entry(
        build=DeeplyFused, args=(deep, shallow), input_size=(32, 32), source="Wang 2016, eq. 2"
    )
    for deep, shallow in ((6, 2), (18, 6))
}
