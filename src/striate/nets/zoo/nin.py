"""Network in Network: a small fully connected net slides over the image, and averaging replaces the classifier.

    Lin, Chen and Yan 2013: mlpconv = F×F, then 1×1, then 1×1, each with a ReLU; the last gives a map per class,
    and a class's score is the mean of its map (§3.2). No fully connected layer.

        nin          11×11/4 96 96 96 · pool · 5×5 256 256 256 · pool · 3×3 384 384 384 · pool · 3×3 1024 1024 classes
        nin_cifar10  5×5 192 160 96 · pool · 5×5 192 192 192 · pool · 3×3 192 192 classes

The maps are those of its authors' Caffe nets (the paper prints none); dropout of 0.5 before the last mlpconv, and in
the CIFAR net after each pool. Pools are 3×3/2 and round up, as Caffe's do.
"""

from dataclasses import dataclass

from torch import Tensor, nn

from striate.nets.net import Net, NetSpec, Stage
from striate.nets.zoo.entry import Entry
from striate.nets.zoo.initialise import he
from striate.nets.zoo.settings import probability

__all__ = ["NETS", "NetworkInNetwork"]


@dataclass(frozen=True, kw_only=True)
class MlpConv:
    """One mlpconv: the sliding filter, and the maps of its three layers (0: as many as classes)."""

    kernel: int
    stride: int = 1
    padding: int = 0
    maps: tuple[int, int, int]


IMAGENET = (
    MlpConv(kernel=11, stride=4, maps=(96, 96, 96)),
    MlpConv(kernel=5, padding=2, maps=(256, 256, 256)),
    MlpConv(kernel=3, padding=1, maps=(384, 384, 384)),
    MlpConv(kernel=3, padding=1, maps=(1024, 1024, 0)),
)
CIFAR = (
    MlpConv(kernel=5, padding=2, maps=(192, 160, 96)),
    MlpConv(kernel=5, padding=2, maps=(192, 192, 192)),
    MlpConv(kernel=3, padding=1, maps=(192, 192, 0)),
)


class NetworkInNetwork(Net):
    """x [N, in_chans, H, W] → features [N, maps, h, w] → a map per class → their means.

    `features` ends before the last 1×1, which is the head's, so that the number of classes concerns the head alone.
    """

    features: nn.Sequential

    def __init__(self, spec: NetSpec, plan: tuple[MlpConv, ...], average: bool, *, dropout: float = 0.5) -> None:
        super().__init__(spec)
        p = probability("dropout", dropout)
        layers: list[nn.Module] = []
        stages: list[Stage] = []
        channels, stride = spec.in_chans, 1
        for i, block in enumerate(plan):
            kernels = ((block.kernel, block.stride, block.padding), (1, 1, 0), (1, 1, 0))
            for maps, (kernel, step, padding) in zip(block.maps, kernels, strict=True):
                if maps:
                    layers += [nn.Conv2d(channels, maps, kernel, stride=step, padding=padding), nn.ReLU()]
                    channels = maps
            stride *= block.stride
            stages.append(Stage(name=f"features.{len(layers) - 1}", stride=stride, channels=channels))
            if i < len(plan) - 1:
                later = average and i > 0  # the CIFAR net's second pool averages
                pool = nn.AvgPool2d(3, stride=2, ceil_mode=True) if later else nn.MaxPool2d(3, stride=2, ceil_mode=True)
                layers.append(pool)
                stride *= 2
                if average or i == len(plan) - 2:
                    layers.append(nn.Dropout(p))
        self.features = nn.Sequential(*layers)
        self.stages = tuple(stages)
        output = nn.Conv2d(channels, spec.num_classes, 1)
        self.classifier = nn.Sequential(output, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten())
        he(self, convolutions="fan_in", output=output)
        nn.init.normal_(output.weight, 0.0, 0.01)  # as published: this output has a ReLU behind it

    def head(self, f: Tensor) -> Tensor:
        scores: Tensor = self.classifier(f)
        return scores


NETS = {
    "nin": Entry(build=NetworkInNetwork, args=(IMAGENET, False), input_size=(224, 224), source="Lin 2013, §4"),
    "nin_cifar10": Entry(build=NetworkInNetwork, args=(CIFAR, True), input_size=(32, 32), source="Lin 2013, §4.2"),
}
