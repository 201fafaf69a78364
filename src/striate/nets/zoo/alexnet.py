"""AlexNet, twice: the net of 2012 and the one-weird-trick net that torchvision calls `alexnet`.

`alexnet2012` is Krizhevsky, Sutskever and Hinton 2012, §3.5: 227×227 in (the paper's 224 does not give its 55), conv2,
conv4 and conv5 in two groups because the net lived on two GPUs, local response normalisation after the ReLU of conv1
and conv2, overlapping 3×3/2 pools. 60,965,224 parameters.

`alexnet` is Krizhevsky 2014, "One weird trick for parallelizing convolutional neural networks", footnote 1: one column,
64-192-384-256-256 maps, no normalisation. Names and shapes of the parameters are torchvision's. 61,100,840 parameters.
"""

from collections import OrderedDict
from math import prod

from torch import Tensor, nn

from striate.nets.fit import feature_shape
from striate.nets.flatten import FlattenExactly
from striate.nets.layers import krizhevsky_norm
from striate.nets.net import Net, NetSpec, Stage
from striate.nets.zoo.entry import Entry
from striate.nets.zoo.initialise import he
from striate.nets.zoo.settings import choose, probability

__all__ = ["NETS", "AlexNet2012", "AlexNetOneWeirdTrick", "three_layers"]

INITIALISATIONS = {"he": True, "paper": False}


def three_layers(seen: tuple[int, ...], classes: int, dropout: float) -> nn.Sequential:
    """fc6, fc7 and fc8 on maps of the shape `seen`, dropout behind the first two: [N, *seen] → [N, classes]."""
    p = probability("dropout", dropout)
    output = nn.Linear(4096, classes)
    return nn.Sequential(
        OrderedDict(
            flatten=FlattenExactly(seen),
            fc6=nn.Linear(prod(seen), 4096),
            relu6=nn.ReLU(),
            drop6=nn.Dropout(p),
            fc7=nn.Linear(4096, 4096),
            relu7=nn.ReLU(),
            drop7=nn.Dropout(p),
            fc8=output,
        )
    )


class AlexNet2012(Net):
    """x [N, in_chans, H, W] → features [N, 256, h, w] → scores; h = w = 6 for 227×227."""

    features: nn.Sequential
    stages = (
        Stage(name="features.relu1", stride=4, channels=96),
        Stage(name="features.pool1", stride=8, channels=96),
        Stage(name="features.pool2", stride=16, channels=256),
        Stage(name="features.pool5", stride=32, channels=256),
    )
    fixed_size = True

    def __init__(self, spec: NetSpec, *, dropout: float = 0.5, init: str = "he") -> None:
        super().__init__(spec)
        self.features = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(spec.in_chans, 96, 11, stride=4),
                relu1=nn.ReLU(),
                norm1=krizhevsky_norm(),
                pool1=nn.MaxPool2d(3, stride=2),
                conv2=nn.Conv2d(96, 256, 5, padding=2, groups=2),
                relu2=nn.ReLU(),
                norm2=krizhevsky_norm(),
                pool2=nn.MaxPool2d(3, stride=2),
                conv3=nn.Conv2d(256, 384, 3, padding=1),
                relu3=nn.ReLU(),
                conv4=nn.Conv2d(384, 384, 3, padding=1, groups=2),
                relu4=nn.ReLU(),
                conv5=nn.Conv2d(384, 256, 3, padding=1, groups=2),
                relu5=nn.ReLU(),
                pool5=nn.MaxPool2d(3, stride=2),
            )
        )
        seen = feature_shape(self.features, spec.in_chans, spec.input_size)
        self.classifier = three_layers(seen, spec.num_classes, dropout)
        if choose("init", init, INITIALISATIONS):
            he(self, convolutions="fan_in", output=self.classifier.get_submodule("fc8"))
        else:
            self._initialise_as_published()

    def head(self, f: Tensor) -> Tensor:
        scores: Tensor = self.classifier(f)
        return scores

    def _initialise_as_published(self) -> None:
        """§5: weights N(0, 0.01²); biases one where that starts a ReLU on its live side, zero elsewhere."""
        for name, module in self.named_modules():
            if isinstance(module, nn.Conv2d | nn.Linear) and module.bias is not None:
                nn.init.normal_(module.weight, 0.0, 0.01)
                live = name.rpartition(".")[2] in {"conv2", "conv4", "conv5", "fc6", "fc7"}
                nn.init.constant_(module.bias, 1.0 if live else 0.0)


class AlexNetOneWeirdTrick(Net):
    """x [N, in_chans, H, W] → features [N, 256, h, w] → scores; h = w = 6 for 224×224, pooled to that otherwise."""

    features: nn.Sequential
    stages = (
        Stage(name="features.1", stride=4, channels=64),
        Stage(name="features.2", stride=8, channels=64),
        Stage(name="features.5", stride=16, channels=192),
        Stage(name="features.12", stride=32, channels=256),
    )

    def __init__(self, spec: NetSpec, *, dropout: float = 0.5) -> None:
        super().__init__(spec)
        self.features = nn.Sequential(
            nn.Conv2d(spec.in_chans, 64, 11, stride=4, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(64, 192, 5, padding=2),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
            nn.Conv2d(192, 384, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(384, 256, 3, padding=1),
            nn.ReLU(),
            nn.Conv2d(256, 256, 3, padding=1),
            nn.ReLU(),
            nn.MaxPool2d(3, stride=2),
        )
        self.avgpool = nn.AdaptiveAvgPool2d(6)
        p = probability("dropout", dropout)
        output = nn.Linear(4096, spec.num_classes)
        self.classifier = nn.Sequential(
            nn.Dropout(p),
            nn.Linear(256 * 6 * 6, 4096),
            nn.ReLU(),
            nn.Dropout(p),
            nn.Linear(4096, 4096),
            nn.ReLU(),
            output,
        )
        he(self, convolutions="fan_in", output=output)

    def head(self, f: Tensor) -> Tensor:
        scores: Tensor = self.classifier(self.avgpool(f).flatten(1))  # N × 9216 before the classifier
        return scores


NETS = {
    "alexnet2012": Entry(build=AlexNet2012, input_size=(227, 227), source="Krizhevsky 2012, §3.5"),
    "alexnet": Entry(build=AlexNetOneWeirdTrick, input_size=(224, 224), source="Krizhevsky 2014, one weird trick"),
}
