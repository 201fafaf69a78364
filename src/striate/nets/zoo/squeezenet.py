"""SqueezeNet: AlexNet's accuracy from a fiftieth of its parameters.

    Iandola 2016, table 1. A Fire module squeezes by 1×1 and expands by 1×1 beside 3×3:

        x ─ 1×1 ─ relu ─┬─ 1×1 ─ relu ─┐
                        └─ 3×3 ─ relu ─┴─ concatenated

In the lines below a number is a Fire module of that squeeze width, which expands fourfold on either side, and `M` a
pool of 3×3/2. 1.0 is the paper's net; 1.1, of its authors' repository, has a smaller first filter and earlier pools:
2.4 times fewer multiply-adds. Names and shapes are torchvision's; pools round up, as Caffe's do.
"""

import torch
from torch import Tensor, nn

from striate.nets.net import Net, NetSpec, Stage
from striate.nets.zoo.entry import Entry
from striate.nets.zoo.initialise import he
from striate.nets.zoo.settings import probability

__all__ = ["NETS", "Fire", "SqueezeNet"]

#        first maps, its kernel, the rest
CONFIGURATIONS = {
    "squeezenet1_0": (96, 7, "M 16 16 32 M 32 48 48 64 M 64"),
    "squeezenet1_1": (64, 3, "M 16 16 M 32 32 M 48 48 64 64"),
}


class Fire(nn.Module):
    """[N, C, H, W] → [N, 8 · squeeze, H, W]."""

    def __init__(self, channels: int, squeeze: int) -> None:
        super().__init__()
        self.squeeze = nn.Conv2d(channels, squeeze, 1)
        self.squeeze_activation = nn.ReLU()
        self.expand1x1 = nn.Conv2d(squeeze, 4 * squeeze, 1)
        self.expand1x1_activation = nn.ReLU()
        self.expand3x3 = nn.Conv2d(squeeze, 4 * squeeze, 3, padding=1)
        self.expand3x3_activation = nn.ReLU()

    def forward(self, x: Tensor) -> Tensor:
        y = self.squeeze_activation(self.squeeze(x))
        ones = self.expand1x1_activation(self.expand1x1(y))
        return torch.cat([ones, self.expand3x3_activation(self.expand3x3(y))], 1)


class SqueezeNet(Net):
    """x [N, in_chans, H, W] → features [N, 512, h, w] → scores; h = w = 13 for 224×224."""

    features: nn.Sequential

    def __init__(self, spec: NetSpec, first: int, kernel: int, rest: str, *, dropout: float = 0.5) -> None:
        super().__init__(spec)
        layers: list[nn.Module] = [nn.Conv2d(spec.in_chans, first, kernel, stride=2), nn.ReLU()]
        stages: list[Stage] = []
        channels, stride = first, 2
        for word in rest.split():
            if word == "M":
                stages.append(Stage(name=f"features.{len(layers) - 1}", stride=stride, channels=channels))
                layers.append(nn.MaxPool2d(3, stride=2, ceil_mode=True))
                stride *= 2
            else:
                layers.append(Fire(channels, int(word)))
                channels = 8 * int(word)
        stages.append(Stage(name=f"features.{len(layers) - 1}", stride=stride, channels=channels))
        self.features = nn.Sequential(*layers)
        self.stages = tuple(stages)
        output = nn.Conv2d(channels, spec.num_classes, 1)
        self.classifier = nn.Sequential(
            nn.Dropout(probability("dropout", dropout)), output, nn.ReLU(), nn.AdaptiveAvgPool2d(1), nn.Flatten()
        )
        he(self, convolutions="fan_in", output=output)
        nn.init.normal_(output.weight, 0.0, 0.01)  # as its authors' prototxt: this output has a ReLU behind it

    def head(self, f: Tensor) -> Tensor:
        scores: Tensor = self.classifier(f)
        return scores


NETS = {
    name: Entry(build=SqueezeNet, args=args, input_size=(224, 224), source="Iandola 2016, table 1")
    for name, args in CONFIGURATIONS.items()
}
