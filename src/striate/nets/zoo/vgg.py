"""VGG: nothing but 3×3 convolutions and 2×2 pools, a net on one line.

Simonyan and Zisserman 2014, "Very deep convolutional networks", table 1: A, A-LRN, B, C, D, E. In the line a number is
a 3×3 convolution with that many maps and a ReLU, `M` a pool; `L` is Krizhevsky's local response normalisation and
"256:1" a convolution of 1×1 (net C). Names and shapes of the parameters are torchvision's where torchvision has the
net (vgg11, 13, 16, 19, with and without `_bn`), and so is the adaptive pool before the classifier, which lets every
size in that leaves a pixel for the last pool.
"""

from torch import Tensor, nn

from striate.nets.layers import krizhevsky_norm
from striate.nets.net import Net, NetSpec, Stage
from striate.nets.zoo.entry import Entry
from striate.nets.zoo.initialise import he
from striate.nets.zoo.settings import probability

__all__ = ["NETS", "VGG"]

CONFIGURATIONS = {
    "vgg11": "64 M 128 M 256 256 M 512 512 M 512 512 M",  # A
    "vgg11_lrn": "64 L M 128 M 256 256 M 512 512 M 512 512 M",  # A-LRN
    "vgg13": "64 64 M 128 128 M 256 256 M 512 512 M 512 512 M",  # B
    "vgg16c": "64 64 M 128 128 M 256 256 256:1 M 512 512 512:1 M 512 512 512:1 M",  # C
    "vgg16": "64 64 M 128 128 M 256 256 256 M 512 512 512 M 512 512 512 M",  # D
    "vgg19": "64 64 M 128 128 M 256 256 256 256 M 512 512 512 512 M 512 512 512 512 M",  # E
}


class VGG(Net):
    """x [N, in_chans, H, W] → features [N, 512, ⌊H / 32⌋, ⌊W / 32⌋] → scores."""

    features: nn.Sequential

    def __init__(self, spec: NetSpec, configuration: str, batch_norm: bool, *, dropout: float = 0.5) -> None:
        super().__init__(spec)
        layers: list[nn.Module] = []
        stages: list[Stage] = []
        channels = spec.in_chans
        for word in configuration.split():
            if word == "M":
                layers.append(nn.MaxPool2d(2))
                stages.append(
                    Stage(name=f"features.{len(layers) - 1}", stride=2 ** (len(stages) + 1), channels=channels)
                )
            elif word == "L":
                layers.append(krizhevsky_norm())
            else:
                maps, _, kernel = word.partition(":")
                side = int(kernel or 3)
                layers.append(nn.Conv2d(channels, int(maps), side, padding=side // 2))
                layers += [nn.BatchNorm2d(int(maps)), nn.ReLU()] if batch_norm else [nn.ReLU()]
                channels = int(maps)
        self.features = nn.Sequential(*layers)
        self.stages = tuple(stages)
        self.avgpool = nn.AdaptiveAvgPool2d(7)
        p = probability("dropout", dropout)
        output = nn.Linear(4096, spec.num_classes)
        self.classifier = nn.Sequential(
            nn.Linear(channels * 7 * 7, 4096),
            nn.ReLU(),
            nn.Dropout(p),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            nn.Dropout(p),
            output,
        )
        he(self, convolutions="fan_out", output=output)

    def head(self, f: Tensor) -> Tensor:
        scores: Tensor = self.classifier(self.avgpool(f).flatten(1))  # N × 25088 before the classifier
        return scores


NETS = {
    f"{name}{suffix}": Entry(
        build=VGG, args=(line, bool(suffix)), input_size=(224, 224), source="Simonyan and Zisserman 2014, table 1"
    )
    for name, line in CONFIGURATIONS.items()
    for suffix in ("", "_bn")
    if not (suffix and "L" in line)  # one normalisation is enough
}
