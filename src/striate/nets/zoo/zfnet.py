"""ZFNet: AlexNet looked into, and mended where the pictures showed it broken.

    Zeiler and Fergus 2013, "Visualizing and understanding convolutional networks", figure 3: 224×224 in

        conv1 96@7×7/2 · pool 3×3/2 · norm      110 → 55
        conv2 256@5×5/2 · pool 3×3/2 · norm      26 → 13
        conv3 384@3×3, conv4 384@3×3, conv5 256@3×3 · pool 3×3/2     13 → 6
        4096, 4096, classes; dropout 0.5

The first filters are 7×7 with stride 2 where AlexNet had 11×11 with stride 4: its first layer held only extremes of
frequency and its second layer aliases (§4.1). One device, so no groups. The contrast normalisation across maps is
Krizhevsky's. conv1's padding of 1 and the first pool's are what gives the figure's 110 and 55.
"""

from collections import OrderedDict

from torch import Tensor, nn

from striate.nets.fit import feature_shape
from striate.nets.layers import krizhevsky_norm
from striate.nets.net import Net, NetSpec, Stage
from striate.nets.zoo.alexnet import three_layers
from striate.nets.zoo.entry import Entry
from striate.nets.zoo.initialise import he

__all__ = ["NETS", "ZFNet"]


class ZFNet(Net):
    """x [N, in_chans, H, W] → features [N, 256, h, w] → scores; h = w = 6 for 224×224."""

    features: nn.Sequential
    stages = (
        Stage(name="features.relu1", stride=2, channels=96),
        Stage(name="features.pool1", stride=4, channels=96),
        Stage(name="features.relu2", stride=8, channels=256),
        Stage(name="features.pool2", stride=16, channels=256),
        Stage(name="features.pool5", stride=32, channels=256),
    )
    fixed_size = True

    def __init__(self, spec: NetSpec, *, dropout: float = 0.5) -> None:
        super().__init__(spec)
        self.features = nn.Sequential(
            OrderedDict(
                conv1=nn.Conv2d(spec.in_chans, 96, 7, stride=2, padding=1),
                relu1=nn.ReLU(),
                pool1=nn.MaxPool2d(3, stride=2, padding=1),
                norm1=krizhevsky_norm(),
                conv2=nn.Conv2d(96, 256, 5, stride=2),
                relu2=nn.ReLU(),
                pool2=nn.MaxPool2d(3, stride=2, padding=1),
                norm2=krizhevsky_norm(),
                conv3=nn.Conv2d(256, 384, 3, padding=1),
                relu3=nn.ReLU(),
                conv4=nn.Conv2d(384, 384, 3, padding=1),
                relu4=nn.ReLU(),
                conv5=nn.Conv2d(384, 256, 3, padding=1),
                relu5=nn.ReLU(),
                pool5=nn.MaxPool2d(3, stride=2),
            )
        )
        seen = feature_shape(self.features, spec.in_chans, spec.input_size)
        self.classifier = three_layers(seen, spec.num_classes, dropout)
        he(self, convolutions="fan_in", output=self.classifier.get_submodule("fc8"))

    def head(self, f: Tensor) -> Tensor:
        scores: Tensor = self.classifier(f)
        return scores


NETS = {"zfnet": Entry(build=ZFNet, input_size=(224, 224), source="Zeiler and Fergus 2013, figure 3")}
